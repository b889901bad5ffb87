"""Carts: their shape, the order of lines, exact money, what each write does."""
from lib.steps import Step, money

LAPTOP = {"product_id": 1, "name": "Laptop", "price": 999.99}
MOUSE = {"product_id": 2, "name": "Mouse", "price": 19.5}
ADD = "POST /cart/${u}/add"
GET = "GET /cart/${u}"


def ids(*wanted):
    """The products of a cart, in order."""
    return lambda items: [line["product_id"] for line in items] == list(wanted)


def line(product_id, name="n", price="1", quantity=None):
    """A line's JSON text, the price written as given."""
    amount = "" if quantity is None else ', "quantity": %s' % quantity
    return '{"product_id": %s, "name": "%s", "price": %s%s}' % (
        product_id, name, price, amount)


UNKNOWN = [
    Step("GET of a cart that nobody wrote", GET, headers={"ETag": '"0"'},
         want={"user_id": "${u}", "version": 0, "items": [], "item_count": 0,
               "total": money("0.00"), "updated_at": None}),
    Step("HEAD of it", "HEAD /cart/${u}",
         headers={"ETag": '"0"', "Content-Length": str.isdigit}),
    Step("clear of it changes nothing", "POST /cart/${u}/clear", headers={"ETag": '"0"'},
         want={"version": 0, "updated_at": None}),
    Step("remove from it", "POST /cart/${u}/remove/1", 404, code="line-not-found"),
    Step("update in it", "PUT /cart/${u}/update/1", 404, {"quantity": 1},
         code="line-not-found"),
    Step("update to 0 in it", "PUT /cart/${u}/update/1", 404, {"quantity": 0},
         code="line-not-found"),
    Step("the first add makes version 1", ADD, 201, LAPTOP, {"version": 1}),
]

EXAMPLE = [
    Step("two laptops are a new line", ADD, 201, dict(LAPTOP, quantity=2), save="first",
         headers={"ETag": '"1"'},
         want={"user_id": "${u}", "version": 1, "item_count": 2,
               "total": money("1999.98"),
               "items": [{"product_id": 1, "name": "Laptop", "price": money("999.99"),
                          "quantity": 2, "subtotal": money("1999.98")}]}),
    Step("GET gives the same", GET, want="${first.body}"),
    Step("quantity may be left out and is then 1", ADD, 201, MOUSE,
         {"version": 2, "item_count": 3, "total": money("2019.48"),
          "items": [{"product_id": 1}, {"product_id": 2, "quantity": 1,
                                        "price": money("19.50")}]}),
    Step("a line that grows is 200", ADD, 200, dict(MOUSE, quantity=2),
         {"version": 3, "items": [{}, {"quantity": 3, "subtotal": money("58.50")}]}),
    Step("growth by the quantity left out", ADD, 200, MOUSE,
         {"version": 4, "items": [{}, {"quantity": 4}]}),
    Step("growth takes the new name and price", ADD, 200,
         {"product_id": 1, "name": "Laptop 14\"", "price": 899},
         {"version": 5, "items": [{"name": "Laptop 14\"", "price": money("899.00"),
                                   "quantity": 3, "subtotal": money("2697.00")}, {}]}),
    Step("update sets the quantity", "PUT /cart/${u}/update/1", 200, {"quantity": 1},
         {"version": 6, "items": [{"name": "Laptop 14\"", "price": money("899.00"),
                                   "quantity": 1}, {"product_id": 2}]}),
    Step("update to what it is changes nothing", "PUT /cart/${u}/update/1", 200,
         {"quantity": 1}, {"version": 6}, headers={"ETag": '"6"'}),
    Step("update to 0 removes the line", "PUT /cart/${u}/update/1", 200, {"quantity": 0},
         {"version": 7, "items": ids(2)}),
    Step("update of it is then 404", "PUT /cart/${u}/update/1", 404, {"quantity": 1},
         code="line-not-found"),
    Step("remove", "POST /cart/${u}/remove/2", 200,
         want={"version": 8, "items": [], "item_count": 0, "total": money("0.00")},
         save="emptied"),
    Step("remove again is 404", "POST /cart/${u}/remove/2", 404, code="line-not-found"),
    Step("an emptied cart keeps its version", GET, want="${emptied.body}",
         headers={"ETag": '"8"'}),
    Step("clear of an empty cart changes nothing", "POST /cart/${u}/clear",
         want="${emptied.body}"),
    Step("the version goes on", ADD, 201, MOUSE, {"version": 9}),
    Step("clear", "POST /cart/${u}/clear", want={"version": 10, "items": []}),
    Step("and on", ADD, 201, MOUSE, {"version": 11}),
]

ORDER = [
    Step("add 3", ADD, 201, line(3)),
    Step("add 1", ADD, 201, line(1)),
    Step("add 2", ADD, 201, line(2), {"items": ids(3, 1, 2)}),
    Step("growth keeps the place", ADD, 200, line(3, "other", 5),
         {"items": ids(3, 1, 2)}),
    Step("update keeps the place", "PUT /cart/${u}/update/1", 200, {"quantity": 9},
         {"items": ids(3, 1, 2)}),
    Step("remove closes the gap", "POST /cart/${u}/remove/1", want={"items": ids(3, 2)}),
    Step("a line added again comes last", ADD, 201, line(1), {"items": ids(3, 2, 1)}),
    Step("GET has the same order", GET, want={"items": ids(3, 2, 1)}),
    Step("clear", "POST /cart/${u}/clear", want={"items": []}),
    Step("a new beginning", ADD, 201, line(2)),
    Step("a new order", ADD, 201, line(3), {"items": ids(2, 3)}),
]

MONEY = [
    Step("0.1", ADD, 201, line(1, price="0.1"), {"total": money("0.10")}),
    Step("0.1 and 0.2 are 0.30", ADD, 201, line(2, price="0.2"),
         {"total": money("0.30")}),
    Step("and 3 times 1.10 are 3.60", ADD, 201, line(3, price="1.10", quantity=3),
         {"total": money("3.60"), "items": [{}, {}, {"subtotal": money("3.30")}]}),
    Step("and 100 times 4.35 are 438.60", ADD, 201, line(4, price="4.35", quantity=100),
         {"total": money("438.60"),
          "items": lambda items: str(items[3]["subtotal"]) == "435.00"}),
    Step("and 3 times 0.07 are 438.81", ADD, 201, line(5, price="0.07", quantity=3),
         {"total": money("438.81")}),
    Step("and 999 times 0.01 are 448.80", ADD, 201, line(6, price="0.01", quantity=999),
         {"total": money("448.80")}),
    Step("an integer price has two decimals too", ADD, 201, line(7, price="5"),
         {"total": money("453.80"),
          "items": lambda items: str(items[6]["price"]) == "5.00"}),
    Step("the largest price", ADD, 201, line(8, price="1000000.00", quantity=999),
         {"total": money("999000453.80")}),
    Step("read back", GET, want={"total": money("999000453.80")}),
]

NAMES = ["A \"quoted\" \\ back/slash", "'); DROP TABLE cart; --",
         "<script>alert(1)</script>",
         "Käsebrot 50 % größer — žluťoučký", "日本語の商品",
         "\U0001F600\U0001F468\u200d\U0001F469",
         " ", "%s%n{}$1 :x", "\u2028\u2029\ufeff\ufffd\uffff", "\u00a0", "{1,2} x"]


def full_cart():
    """100 lines at every limit: the largest total, the largest answer (about 91 KB)."""
    name = "\U0001F600" * 200
    body = line("%d", name, "1000000.00", 999)
    first = 2**31 - 100
    steps = [Step("line %d of 100" % (i + 1), ADD, 201, body % (first + i),
                  {"item_count": 999 * (i + 1)}) for i in range(100)]
    total = {"item_count": 99900, "total": money("99900000000.00"),
             "items": lambda items: len(items) == 100 and
             all(line["name"] == name for line in items)}
    big = {"Content-Length": lambda length: int(length) > 88000}
    return steps + [
        Step("the largest cart: GET", GET, want=total, headers=big),
        Step("and again", GET, want=total, headers=big),
        Step("HEAD knows its length", "HEAD /cart/${u}", headers=big),
        Step("line 101", ADD, 422, line(1), code="too-many-lines"),
        Step("a line of 100 may be told again, but not grow", ADD, 422, body % first,
             code="too-many-units"),
        Step("update in it answers with all of it", "PUT /cart/${u}/update/%d" % first,
             200,
             {"quantity": 998}, {"item_count": 99899}, headers=big),
        Step("a line of 100 may grow", ADD, 200, line(first, quantity=1),
             {"item_count": 99900}),
        Step("remove makes room", "POST /cart/${u}/remove/%d" % first,
             want={"item_count": 98901}),
        Step("for one more", ADD, 201, line(1), {"item_count": 98902}),
        Step("but not for two", ADD, 422, line(2), code="too-many-lines"),
        Step("clear", "POST /cart/${u}/clear", want={"version": 105, "items": []}),
    ]


TABLES = {
    "unknown cart": UNKNOWN,
    "a cart's life": EXAMPLE,
    "order of lines": ORDER,
    "exact money": MONEY,
    "names": [Step("name %d is kept as it is" % i, ADD, 201 if i == 0 else 200,
                   {"product_id": 1, "name": name, "price": 1},
                   {"items": [{"name": name}]})
              for i, name in enumerate(NAMES)],
    "full cart": full_cart(),
}


def run(suite):
    """Beyond the tables: what is in the database, carts that others wrote, time."""
    rows_of_reads(suite)
    carts_by_sql(suite)
    updated_at(suite)


def rows_of_reads(suite):
    client, stack = suite.client, suite.stack
    before = stack.psql("SELECT count(*) FROM cart")
    for method in ("GET", "HEAD"):
        for i in range(3):
            client.request(method, "/cart/nobody-%d" % i)
    client.request("POST", "/cart/nobody-0/clear")
    client.request("POST", "/cart/nobody-0/remove/1")
    client.request("PUT", "/cart/nobody-0/update/1", {"quantity": 1})
    client.request("POST", "/cart/nobody-0/add",
                   {"product_id": 0, "name": "", "price": 0})
    suite.tap.equal(stack.psql("SELECT count(*) FROM cart"), before,
                    "reads and refused writes of unknown carts leave no row")


def carts_by_sql(suite):
    """Carts written by other hands come out as the database has them."""
    stack, faults = suite.stack, []
    rows = stack.psql(
        "SELECT user_id, version, sum(quantity), sum(price * quantity),"
        " string_agg(product_id::text, ',' ORDER BY added_in)"
        " FROM cart JOIN cart_item USING (user_id) WHERE user_id NOT LIKE 't-%'"
        " GROUP BY user_id, version ORDER BY user_id LIMIT 24")
    for user, version, units, total, products in rows:
        cart = suite.client.get("/cart/" + user).json()
        got = [str(cart["version"]), str(cart["item_count"]), str(cart["total"]),
               ",".join(str(line["product_id"]) for line in cart["items"])]
        if got != [version, units, total, products]:
            faults.append("%s: %s, in the database %s" % (user, got,
                                                          [version, units, total]))
    if len(rows) < 24:
        faults.append("only %d seeded carts" % len(rows))
    suite.tap.none(faults, "seeded carts are answered as the database has them")


def updated_at(suite):
    """updated_at moves with each change and stays with everything else."""
    client, path = suite.client, "/cart/clock"
    times = []
    for quantity in (1, 2, 2, 3):
        client.request("POST", path + "/add", line(1) if not times else line(2))
        answer = client.request("PUT", path + "/update/1", {"quantity": quantity})
        times.append(answer.json()["updated_at"])
        same = client.request("PUT", path + "/update/1", {"quantity": quantity})
        suite.tap.equal(same.body, answer.body, "update to %d twice" % quantity)
    suite.tap.ok(times == sorted(set(times)), "updated_at grows with each change", times)
