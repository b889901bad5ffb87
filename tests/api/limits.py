"""Limits: both sides of every boundary, each bad input with its own code."""
import string

from lib.steps import Step

ADD = "POST /cart/${u}/add"
GOOD = {"product_id": 1, "name": "n", "price": 1, "quantity": 1}


def users():
    """User ids in paths, good ones and those that break their limits."""
    good = ["a", "Z", "0", "_", "-", "...", ".a", "a.", "a" * 64, "A-Z.a_z-0.9",
            string.ascii_letters + "0123456789._"[:12], "add", "clear", "stats"]
    bad = ["a" * 65, "a" * 300, "a@b", "a+b", "a b", "a:b", "~a", "a,b", "a'b", "é",
           "\u200b", "a%2Fb", "a%25", "%C3%A9", "%ff", "a%0ab", "a%20", "%41" * 65]
    bad = [user.replace(" ", "%20") for user in bad]
    steps = [Step("user_id %s" % user[:20], "GET /cart/" + user,
                  want={"user_id": user}) for user in good]
    for user in bad:
        name = "bad user_id %s" % user[:20]
        steps.append(Step(name, "GET /cart/" + user, 404, code="invalid-user-id"))
    for user in ("a" * 65, "a@b"):
        steps += [
            Step("add for %s" % user[:5], "POST /cart/%s/add" % user, 404, GOOD,
                 code="invalid-user-id"),
            Step("a bad body for %s" % user[:5], "POST /cart/%s/add" % user, 404, "{",
                 code="invalid-user-id"),
            Step("remove for %s" % user[:5], "POST /cart/%s/remove/1" % user, 404,
                 code="invalid-user-id"),
            Step("update for %s" % user[:5], "PUT /cart/%s/update/1" % user, 404,
                 {"quantity": 1}, code="invalid-user-id"),
            Step("clear for %s" % user[:5], "POST /cart/%s/clear" % user, 404,
                 code="invalid-user-id"),
        ]
    return steps + [
        # nginx resolves these before any route is looked for.
        Step("the path /cart/.", "GET /cart/.", 404),
        Step("the path /cart/..", "GET /cart/..", 404),
        Step("the path /cart/%2e%2E", "GET /cart/%2e%2E", 404),
        Step("add for ..", "POST /cart/../add", 404, GOOD),
        Step("a percent-encoded id is the id", "GET /cart/%61b%2Dc",
             want={"user_id": "ab-c"}),
        Step("64 encoded characters", "GET /cart/" + "%41" * 64,
             want={"user_id": "A" * 64}),
        Step("a write by an encoded id", "POST /cart/enc%6Fded/add", 201, GOOD),
        Step("is a write by the id", "GET /cart/encoded", want={"version": 1}),
    ]


def products():
    """Product ids in paths and in bodies."""
    steps = []
    for product in ("1", "2147483647"):
        steps += [
            Step("product %s" % product, ADD, 201,
                 '{"product_id": %s, "name": "n", "price": 1}' % product),
            Step("update of %s" % product, "PUT /cart/${u}/update/" + product, 200,
                 {"quantity": 2}),
            Step("remove of %s" % product, "POST /cart/${u}/remove/" + product, 200),
        ]
    for product in ("0", "2147483648", "-1", "+1", "1.0", "1e3", "abc", "01", "0x1",
                    "1%20", "9" * 20, "1%2C2", "%D9%A1"):
        steps += [
            Step("remove of %s" % product, "POST /cart/${u}/remove/" + product, 404,
                 code="invalid-product-id"),
            Step("update of %s" % product, "PUT /cart/${u}/update/" + product, 404,
                 {"quantity": 1}, code="invalid-product-id"),
        ]
    for product in ("0", "-1", "2147483648", "9" * 30, "1.0", "1.5", "1e0", '"1"', "null",
                    "true", "[1]", "{}", "-0"):
        steps.append(Step("a body's product_id %s" % product, ADD, 422,
                          '{"product_id": %s, "name": "n", "price": 1}' % product,
                          code="invalid-product", pointers=["/product_id"]))
    return steps + [Step("product %31 in the path", "POST /cart/${u}/remove/%31", 404,
                         code="line-not-found")]


def names():
    good = {"of 200 characters": "x" * 200, "of 200 of 4 bytes": "\U0001F600" * 200,
            "of one": "x", "with a no-break space": "a\u00a0b",
            "of 200 e with accents": "é" * 200}
    steps = [Step("the line", ADD, 201, GOOD)]
    steps += [Step("a name " + what, ADD, 200, dict(GOOD, name=name),
                   {"items": [{"name": name}]}) for what, name in good.items()]
    bad = [("nothing", '""'), ("201", '"%s"' % ("x" * 201)),
           ("201 of 4 bytes", '"%s"' % ("\U0001F600" * 201)),
           ("201 escaped", '"%s"' % ("\\u0078" * 201)),
           ("a number", "1"), ("null", "null"), ("true", "true"), ("a list", "[\"n\"]"),
           ("an object", "{}")]
    bad += [("U+%04X" % c, '"a\\u%04xb"' % c) for c in
            list(range(1, 32)) + list(range(0x7f, 0xa0))]
    bad += [("raw DEL", '"\x7f"'), ("raw U+0085", '"\u0085"'),
            ("an escaped newline", '"a\\nb"')]
    for what, name in bad:
        steps.append(Step("bad name: " + what, ADD, 422,
                          '{"product_id": 1, "name": %s, "price": 1}' % name,
                          code="invalid-name", pointers=["/name"]))
    return steps


def prices():
    good = [("0.01", "0.01"), ("0.1", "0.10"), ("1", "1.00"), ("1.0", "1.00"),
            ("999.9", "999.90"), ("999999.99", "999999.99"), ("1000000", "1000000.00"),
            ("1000000.0", "1000000.00"), ("1000000.00", "1000000.00")]
    bad = ["0", "0.0", "0.00", "-0.01", "-1", "-0", "0.001", "0.009", "1.001", "1.000",
           "1000000.01", "1000001", "99999999999999999999", "1e3", "1E3", "1e-2", "1.5e1",
           "\"1\"", "\"1.00\"", "null", "true", "[]", "{}", "0." + "0" * 50 + "1",
           "9" * 400, "1000000.000000000000000001"]
    steps = [Step("price %s" % text, ADD, 201 if i == 0 else 200,
                  '{"product_id": 1, "name": "n", "price": %s}' % text,
                  {"items": lambda items, out=out: str(items[0]["price"]) == out})
             for i, (text, out) in enumerate(good)]
    return steps + [Step("bad price %s" % text[:24], ADD, 422,
                         '{"product_id": 1, "name": "n", "price": %s}' % text,
                         code="invalid-price", pointers=["/price"]) for text in bad]


def quantities():
    def add(quantity):
        return '{"product_id": 1, "name": "n", "price": 1, "quantity": %s}' % quantity
    no_int = ["1.0", "1.5", "1e2", "1E0", '"1"', "null", "true", "[]", "{}", "-0",
              "9" * 30, "2147483648", "-1", "1000", "4294967297", "18446744073709551617"]
    steps = [Step("998 at once", ADD, 201, add(998)),
             Step("999 after the sum", ADD, 200, add(1), {"item_count": 999}),
             Step("1000 after the sum", ADD, 422, add(1), code="too-many-units"),
             Step("far more after the sum", ADD, 422, add(999), code="too-many-units"),
             Step("down to 1", "PUT /cart/${u}/update/1", 200, {"quantity": 1}),
             Step("up to 999", "PUT /cart/${u}/update/1", 200, {"quantity": 999},
                  {"item_count": 999}),
             Step("down to 1 again", "PUT /cart/${u}/update/1", 200, {"quantity": 1}),
             Step("add of 0", ADD, 422, add(0), code="invalid-quantity",
                  pointers=["/quantity"])]
    for text in no_int:
        steps.append(Step("add of %s" % text, ADD, 422, add(text),
                          code="invalid-quantity",
                          pointers=["/quantity"]))
        # To JSON, -0 is 0: update takes it, add does not.
        if text != "-0":
            steps.append(Step("update to %s" % text, "PUT /cart/${u}/update/1", 422,
                              '{"quantity": %s}' % text, code="invalid-quantity",
                              pointers=["/quantity"]))
    return steps + [
        Step("999 at once", "POST /cart/${u}-2/add", 201, add(999)),
        Step("sum of 2 and 998", "POST /cart/${u}-3/add", 201, add(2)),
        Step("is too much", "POST /cart/${u}-3/add", 422, add(998),
             code="too-many-units"),
        Step("of 2 and 997 is not", "POST /cart/${u}-3/add", 200, add(997)),
    ]


FIELDS = [
    Step("nothing in the body's object", ADD, 422, "{}", code="missing-field",
         pointers=["/product_id", "/name", "/price"]),
    Step("only the product", ADD, 422, {"product_id": 1}, code="missing-field",
         pointers=["/name", "/price"]),
    Step("no price", ADD, 422, {"product_id": 1, "name": "n"}, code="missing-field",
         pointers=["/price"]),
    Step("all four bad", ADD, 422,
         {"product_id": 0, "name": "", "price": 0, "quantity": 0}, code="invalid-product",
         pointers=["/product_id", "/name", "/price", "/quantity"]),
    Step("two bad", ADD, 422, dict(GOOD, price=-1, quantity=0), code="invalid-price",
         pointers=["/price", "/quantity"]),
    Step("an unknown field", ADD, 422, dict(GOOD, colour="red"), code="unknown-field",
         pointers=["/colour"]),
    Step("a field of another case", ADD, 422, dict(GOOD, Price=1), code="unknown-field",
         pointers=["/Price"]),
    Step("a pointer with / and ~", ADD, 422, dict(GOOD, **{"a/b~c": 1}),
         code="unknown-field",
         pointers=["/a~1b~0c"]),
    Step("a field with an empty name", ADD, 422, dict(GOOD, **{"": 1}),
         code="unknown-field",
         pointers=["/"]),
    Step("an unknown field with a control character", ADD, 422, dict(GOOD, **{"a\nb": 1}),
         code="unknown-field", pointers=["/a\nb"]),
    Step("the answer's fields are no request's", ADD, 422,
         dict(GOOD, subtotal=1, user_id="x"),
         code="unknown-field", pointers=["/subtotal", "/user_id"]),
    Step("update without quantity", "PUT /cart/${u}/update/1", 422, {},
         code="missing-field",
         pointers=["/quantity"]),
    Step("update of a price", "PUT /cart/${u}/update/1", 422, {"quantity": 1, "price": 1},
         code="unknown-field", pointers=["/price"]),
    Step("fields in any order", ADD, 201,
         '{"quantity":1,"price":1,"name":"n","product_id":1}'),
    Step("an array", ADD, 422, [GOOD], code="body-not-object"),
    Step("a string", ADD, 422, '"{}"', code="body-not-object"),
    Step("a number", ADD, 422, "1", code="body-not-object"),
    Step("null", ADD, 422, "null", code="body-not-object"),
    Step("true", ADD, 422, "true", code="body-not-object"),
    Step("an array for update", "PUT /cart/${u}/update/1", 422, "[1]",
         code="body-not-object"),
    Step("a bad field and a missing one", ADD, 422, {"product_id": 0, "name": "n"},
         pointers=["/product_id", "/price"]),
]


def sizes():
    """16 KiB are allowed, whatever they are made of; one byte more is not."""
    body = '{"product_id": 1, "name": "n", "price": 1}'
    return [
        Step("a body of 16 KiB", ADD, 201, body + " " * (16384 - len(body))),
        Step("a byte more", ADD, 413, body + " " * (16385 - len(body)),
             code="body-too-large"),
        Step("a byte more for update", "PUT /cart/${u}/update/1", 413,
             '{"quantity": 2}' + " " * (16385 - 15), code="body-too-large"),
        Step("a megabyte", ADD, 413, body + " " * 1000000, code="body-too-large"),
        Step("16 KiB for update", "PUT /cart/${u}/update/1", 200,
             '{"quantity": 2}' + " " * (16384 - 15)),
        Step("16 KiB of no use for clear", "POST /cart/${u}/clear", 200, "x" * 16384),
        Step("too much for clear", "POST /cart/${u}/clear", 413, "x" * 16385,
             code="body-too-large"),
    ]


TABLES = {
    "user_id": users(),
    "product_id": products(),
    "name": names(),
    "price": prices(),
    "quantity": quantities(),
    "fields": FIELDS,
    "size": sizes(),
}
