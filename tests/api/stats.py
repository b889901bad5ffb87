"""GET /stats/top-products. The suite's stack refreshes it each second."""
import threading

from health import metrics, total
from lib.client import JSON_TYPE
from lib.stack import until

TABLES = {}
PATH = "/stats/top-products"
REFRESHES = "carrito_top_products_refreshes_total"
# The same from scratch, by another way than the service's: over all the lines.
EXPECTED = """
    SELECT product_id, name, units, carts FROM
        (SELECT product_id, sum(quantity) AS units, count(*) AS carts
         FROM cart_item GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10) AS top,
        LATERAL (SELECT name FROM cart_item AS i WHERE i.product_id = top.product_id
                 GROUP BY name ORDER BY count(*) DESC, name COLLATE "C" LIMIT 1) AS names
    ORDER BY units DESC, product_id"""


def run(suite):
    suite.tap.group("shape", shape, suite)
    suite.tap.group("counts", counts, suite)
    suite.tap.group("cached", cached, suite)
    suite.tap.group("one refresh", one_refresh, suite)


def rows(answer):
    return [[str(row[key]) for key in ("product_id", "name", "units", "carts")]
            for row in answer.json()]


def settled(suite):
    """True as soon as the answer is what the lines say."""
    want = suite.stack.psql(EXPECTED)
    return until(lambda: rows(suite.client.get(PATH)) == want, 8, 0.1)


def shape(suite):
    answer = suite.client.get(PATH)
    value = answer.json()
    good = all(set(row) == {"product_id", "name", "units", "carts"} and
               [type(row[key]) for key in ("product_id", "name", "units", "carts")]
               == [int, str, int, int] for row in value)
    good = good and answer.header("Content-Type") == JSON_TYPE
    suite.tap.ok(answer.status == 200 and good
                 and len(value) == 10 and answer.header("X-Cache") in ("HIT", "MISS"),
                 "top-products has ten rows of four members", str(answer))


def counts(suite):
    tap, client = suite.tap, suite.client

    def add(user, product, name, quantity):
        answer = client.request("POST", "/cart/top-%s/add" % user, {
            "product_id": product, "name": name, "price": 1, "quantity": quantity})
        assert answer.status in (200, 201), str(answer)
    # Lines of other tests would be among the top.
    suite.stack.psql("DELETE FROM cart_item WHERE user_id LIKE 't-%'")
    tap.ok(settled(suite), "it is what the seeded lines say", str(client.get(PATH)))
    for user in range(5):
        for product in range(900, 912):
            # 908 and 909 get the same number of units: the smaller id comes first.
            add(user, product, "P%d" % product, 300 + min(product, 908) - 900)
    tap.ok(settled(suite), "it follows writes", str(client.get(PATH)))
    top = [row[0] for row in rows(client.get(PATH))]
    tap.equal(top, ["908", "909", "910", "911", "907", "906", "905", "904", "903", "902"],
              "by units, then by product_id")
    for user in range(3):
        add(user, 908, "The other name", 1)
    tap.ok(settled(suite), "growth and a new name", str(client.get(PATH)))
    tap.equal(rows(client.get(PATH))[0][1], "The other name",
              "the name that most carts use")
    client.request("PUT", "/cart/top-0/update/908", {"quantity": 1})
    client.request("POST", "/cart/top-1/remove/908")
    client.request("POST", "/cart/top-2/clear")
    tap.ok(settled(suite), "update, remove and clear", str(client.get(PATH)))
    tap.equal([row for row in rows(client.get(PATH)) if row[0] == "911"],
              [["911", "P911", "1232", "4"]], "units and carts of one product")
    suite.stack.psql("DELETE FROM cart_item WHERE user_id LIKE 'top-%'")
    tap.ok(settled(suite), "lines that other hands delete", str(client.get(PATH)))
    left = suite.stack.value("SELECT count(*) FROM product_total"
                             " WHERE product_id BETWEEN 900 AND 911")
    tap.equal(left, "0", "products in no cart leave no row behind")


def cached(suite):
    client = suite.client
    miss = until(lambda: missed(client.get(PATH)), 5)
    suite.tap.ok(miss, "its life over, it is a MISS")
    hit = until(lambda: hit_of(client.get(PATH)), 2)
    suite.tap.ok(hit and "db" not in hit.timing() and hit.node,
                 "within its life it is a HIT from Redis", str(hit))


def missed(answer):
    return answer if answer.header("X-Cache") == "MISS" else None


def hit_of(answer):
    return answer if answer.header("X-Cache") == "HIT" else None


def one_refresh(suite):
    """However many ask while it is being made, PostgreSQL is asked once."""
    clients = [suite.fresh_client() for _ in range(50)]
    for client in clients:
        client.get("/health/live")
    refreshes, asked = [], []
    for _ in range(5):
        keys = suite.stack.redis("master", "--scan").split()
        suite.stack.redis("master", "DEL", *[key for key in keys if "top" in key])
        before = total(metrics(suite), REFRESHES)
        answers = [None] * len(clients)
        barrier = threading.Barrier(len(clients))

        def ask(i):
            barrier.wait()
            answers[i] = clients[i].get(PATH)
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(clients))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not all(answer and answer.status == 200 for answer in answers):
            suite.tap.ok(False, "50 at once are answered", [str(a) for a in answers])
            return
        asked.append(sum("db" in answer.timing() for answer in answers))
        refreshes.append(total(metrics(suite), REFRESHES) - before)
    suite.tap.equal(refreshes, [1] * 5, "50 at once cause one refresh")
    suite.tap.ok(max(asked) <= 4 * len(suite.stack.first),
                 "and few of them wait for PostgreSQL", [asked])
