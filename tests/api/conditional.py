"""ETag, If-None-Match, If-Match (RFC 9110, section 13) and Idempotency-Key."""
from lib.steps import Step

ADD = "POST /cart/${u}/add"
GET = "GET /cart/${u}"
UPDATE = "PUT /cart/${u}/update/1"
CLEAR = "POST /cart/${u}/clear"
REMOVE = "POST /cart/${u}/remove/1"
GOOD = {"product_id": 1, "name": "n", "price": 1}
MALFORMED = ["1", "abc", '"open', 'open"', '"a" "b"', '*, "1"', '"1", *', 'W/1', 'w/"1"',
             'W"1"', '"a b"', "'1'", '"1";q=1', '"1",,x', "**"]
REPLAYED = {"Idempotency-Replayed": "true"}
FRESH = {"Idempotency-Replayed": None}


def match(value):
    return {"If-Match": value}


def none_match(value):
    return {"If-None-Match": value}


def key(value, **more):
    return dict({"Idempotency-Key": value}, **more)


READS = [
    Step("a cart", ADD, 201, GOOD, save="v1"),
    Step("its tag", GET, 304, sent=none_match("${v1.etag}"),
         headers={"ETag": '"1"', "Cache-Control": "private, no-cache",
                  "Content-Type": None}),
    Step("the weak form of it", GET, 304, sent=none_match('W/"1"'),
         headers={"ETag": '"1"'}),
    Step("a list that has it", GET, 304, sent=none_match('"0" , W/"9","1"')),
    Step("a list with empty members", GET, 304, sent=none_match(', "1",,')),
    Step("a tag with commas", GET, 304, sent=none_match('"a,b", "1"')),
    Step("*", GET, 304, sent=none_match("*")),
    Step("another tag", GET, 200, sent=none_match('"2"'), want={"version": 1}),
    Step("a tag that only looks like it", GET, 200, sent=none_match('"10", "01", "-1"')),
    Step("a list without it", GET, 200, sent=none_match('"0", W/"2"')),
    Step("an empty tag", GET, 200, sent=none_match('""')),
    Step("HEAD", "HEAD /cart/${u}", 304, sent=none_match('"1"'), headers={"ETag": '"1"'}),
    Step("HEAD of another", "HEAD /cart/${u}", 200, sent=none_match('"2"')),
    Step("a cart that nobody wrote", "GET /cart/${u}-none", 304, sent=none_match('"0"')),
    Step("another tag for it", "GET /cart/${u}-none", 200, sent=none_match('"1"')),
] + [Step("malformed: " + text, GET, 400, sent=none_match(text),
          code="invalid-if-none-match")
     for text in MALFORMED]

WRITES = [
    Step("If-Match of version 0", ADD, 201, GOOD, sent=match('"0"'), want={"version": 1}),
    Step("the same again", ADD, 412, GOOD, {"status": 412, "cart": {"version": 1}},
         code="version-mismatch", sent=match('"0"'), headers={"ETag": '"1"'}),
    Step("the tag that is right", ADD, 200, GOOD, {"version": 2}, sent=match('"1"'),
         save="v2"),
    Step("a reference to it", UPDATE, 200, {"quantity": 5}, {"version": 3},
         sent=match("${v2.etag}")),
    Step("an old one: update", UPDATE, 412, {"quantity": 6},
         {"cart": {"version": 3, "item_count": 5}}, sent=match("${v2.etag}"),
         code="version-mismatch"),
    Step("an old one: remove", REMOVE, 412, sent=match('"2"'), code="version-mismatch"),
    Step("an old one: clear", CLEAR, 412, sent=match('"2"'), code="version-mismatch"),
    Step("a weak tag never matches", ADD, 412, GOOD, sent=match('W/"3"'),
         code="version-mismatch"),
    Step("a list without it", ADD, 412, GOOD, sent=match('"1", "2", W/"3"'),
         code="version-mismatch"),
    Step("a list that has it", ADD, 200, GOOD, {"version": 4}, sent=match('"1", "3"')),
    Step("*", ADD, 200, GOOD, {"version": 5}, sent=match("*")),
    Step("no change under the right tag", UPDATE, 200, {"quantity": 7}, {"version": 5},
         sent=match('"5"')),
    Step("no change under an old tag", UPDATE, 412, {"quantity": 7}, sent=match('"4"'),
         code="version-mismatch"),
    Step("the tag is looked at before the line", "POST /cart/${u}/remove/9", 412,
         sent=match('"4"'), code="version-mismatch"),
    Step("a bad body is told first", ADD, 422, dict(GOOD, price=0), sent=match('"4"'),
         code="invalid-price"),
    Step("If-None-Match on a write, its tag", ADD, 412, GOOD, sent=none_match('"5"'),
         code="version-mismatch", headers={"ETag": '"5"'}),
    Step("in its weak form", ADD, 412, GOOD, sent=none_match('W/"5"'),
         code="version-mismatch"),
    Step("*", CLEAR, 412, sent=none_match("*"), code="version-mismatch"),
    Step("another tag", ADD, 200, GOOD, {"version": 6}, sent=none_match('"4"')),
    Step("both, and both hold", ADD, 200, GOOD, {"version": 7},
         sent=dict(match('"6"'), **none_match('"5"'))),
    Step("both, and one does not", ADD, 412, GOOD, code="version-mismatch",
         sent=dict(match('"7"'), **none_match('"7"'))),
    Step("remove", REMOVE, 200, sent=match('"7"'), want={"version": 8}),
    Step("clear without effect", CLEAR, 200, sent=match('"8"'), want={"version": 8}),
    Step("an empty If-Match lists nothing", CLEAR, 412, sent=match(""),
         code="version-mismatch"),
    Step("nor does an empty If-None-Match", CLEAR, 200, sent=none_match("")),
] + [Step("malformed If-Match: " + text, ADD, 400, GOOD, sent=match(text),
          code="invalid-if-match") for text in MALFORMED
     ] + [Step("malformed If-None-Match on a write: " + text, CLEAR, 400,
               sent=none_match(text),
               code="invalid-if-none-match") for text in MALFORMED[:3]]

KEYS = [
    Step("the first time", ADD, 201, GOOD, {"version": 1}, sent=key("k1"), headers=FRESH,
         save="first"),
    Step("again", ADD, 201, GOOD, "${first.body}", sent=key("k1"),
         headers=dict(REPLAYED, ETag="${first.etag}")),
    Step("nothing has happened", GET, want="${first.body}"),
    Step("without a key it does", ADD, 200, GOOD, {"version": 2}, headers=FRESH),
    Step("another key too", ADD, 200, GOOD, {"version": 3}, sent=key("k2"),
         headers=FRESH),
    Step("the first key still replays", ADD, 201, GOOD, "${first.body}", sent=key("k1"),
         headers=dict(REPLAYED, ETag='"1"')),
    Step("another body", ADD, 422, dict(GOOD, quantity=2), sent=key("k1"),
         code="idempotency-key-reused"),
    Step("the same in other bytes", ADD, 422, '{"product_id": 1,"name": "n","price": 1}',
         sent=key("k1"), code="idempotency-key-reused"),
    Step("another path", CLEAR, 422, GOOD, sent=key("k1"), code="idempotency-key-reused"),
    Step("another method and path", UPDATE, 422, {"quantity": 1}, sent=key("k1"),
         code="idempotency-key-reused"),
    Step("keys are case-sensitive", ADD, 200, GOOD, {"version": 4}, sent=key("K1"),
         headers=FRESH),
    Step("another user may use it", "POST /cart/${u}-2/add", 201, GOOD, {"version": 1},
         sent=key("k1"), headers=FRESH),
    Step("it comes before If-Match", ADD, 201, GOOD, "${first.body}",
         sent=key("k1", **match('"77"')), headers=REPLAYED),
    Step("and before If-None-Match", ADD, 201, GOOD, "${first.body}",
         sent=key("k1", **none_match("*")), headers=REPLAYED),
    Step("PUT", UPDATE, 200, {"quantity": 9}, {"version": 5}, sent=key("k3"),
         headers=FRESH,
         save="put"),
    Step("PUT again", UPDATE, 200, {"quantity": 9}, "${put.body}", sent=key("k3"),
         headers=dict(REPLAYED, ETag='"5"')),
    Step("a write without effect", UPDATE, 200, {"quantity": 9}, {"version": 5},
         sent=key("k4"),
         headers=FRESH),
    Step("is kept too", UPDATE, 200, {"quantity": 9}, {"version": 5}, sent=key("k4"),
         headers=REPLAYED),
    Step("remove", REMOVE, 200, sent=key("k5"), want={"version": 6}, headers=FRESH),
    Step("remove again is no 404", REMOVE, 200, sent=key("k5"), want={"version": 6},
         headers=REPLAYED),
    Step("clear", CLEAR, 200, sent=key("k6"), want={"version": 6}, headers=FRESH),
    Step("clear again", CLEAR, 200, sent=key("k6"), want={"version": 6},
         headers=REPLAYED),
    Step("clear of a cart that nobody wrote", "POST /cart/${u}-3/clear", 200,
         sent=key("k1"),
         want={"version": 0}),
    Step("a key on GET means nothing", GET, 200, sent=key("k1"), headers=FRESH),
]

FREE = [
    Step("a refused line", UPDATE, 404, {"quantity": 1}, sent=key("a"),
         code="line-not-found"),
    Step("a bad price", ADD, 422, dict(GOOD, price=0), sent=key("a"),
         code="invalid-price"),
    Step("no JSON", ADD, 400, "{", sent=key("a"), code="invalid-json"),
    Step("a wrong tag", ADD, 412, GOOD, sent=key("a", **match('"5"')),
         code="version-mismatch"),
    Step("a bad type", ADD, 415, "x", sent=key("a", **{"Content-Type": "text/plain"})),
    Step("the key is still free", ADD, 201, GOOD, sent=key("a"), want={"version": 1},
         headers=FRESH),
    Step("too many units", ADD, 422, dict(GOOD, quantity=999), sent=key("b"),
         code="too-many-units"),
    Step("and free again", ADD, 200, GOOD, sent=key("b"), want={"version": 2},
         headers=FRESH),
]

FORM = [
    Step("one character", ADD, 201, GOOD, sent=key("!")),
    Step("255 characters", ADD, 200, GOOD, sent=key("~" * 255)),
    Step("and again", ADD, 200, GOOD, sent=key("~" * 255), headers=REPLAYED),
    Step("of every visible character", ADD, 200, GOOD,
         sent=key("".join(chr(c) for c in range(33, 127)))),
    Step("and again, of every one", ADD, 200, GOOD, headers=REPLAYED,
         sent=key("".join(chr(c) for c in range(33, 127)))),
] + [Step("not allowed: " + what, ADD, 400, GOOD, sent=key(value),
          code="invalid-idempotency-key")
     for what, value in (
         ("nothing", ""), ("256 characters", "x" * 256), ("a blank", "a b"),
         ("a tab", "a\tb"),
         ("a letter with an accent", "é"), ("DEL", "a\x7fb"), ("0x01", "a\x01b"))]

TABLES = {
    "If-None-Match": READS,
    "If-Match": WRITES,
    "Idempotency-Key": KEYS,
    "errors leave the key free": FREE,
    "form of the key": FORM,
}


def run(suite):
    """Keys count for 24 hours."""
    client, sql = suite.client, suite.stack.psql
    for age, status in (("23 hours 50 minutes", 201), ("24 hours 10 minutes", 200)):
        path, sent = "/cart/old-key-%d/add" % status, {"Idempotency-Key": "old"}
        first = client.request("POST", path, GOOD, sent)
        sql("UPDATE idempotency_key SET created_at = created_at - interval '%s'"
            " WHERE user_id = 'old-key-%d'" % (age, status))
        again = client.request("POST", path, GOOD, sent)
        suite.tap.ok(first.status == 201 and again.status == status,
                     "a key that is %s old" % age, [str(first), str(again)])
