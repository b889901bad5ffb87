"""The cache as clients see it: X-Cache, Server-Timing, and what lies in Redis."""
import collections

from lib.stack import REDIS, until
from lib.steps import Step

ADD = "POST /cart/${u}/add"
GOOD = {"product_id": 1, "name": "n", "price": 1}


def without_redis(timing):
    return timing is not None and "redis" not in timing


NO_REDIS = {"X-Cache": "BYPASS", "Server-Timing": without_redis}

TABLES = {}
# For a stack with CACHE=off.
TABLES_OFF = {
    "CACHE=off": [
        Step("a write", ADD, 201, GOOD, {"version": 1},
             headers={"Server-Timing": without_redis}),
        Step("a read", "GET /cart/${u}", want={"version": 1}, headers=NO_REDIS),
        Step("and again", "GET /cart/${u}", want={"version": 1}, headers=NO_REDIS),
        Step("HEAD", "HEAD /cart/${u}", headers=NO_REDIS),
        Step("its tag", "GET /cart/${u}", 304, sent={"If-None-Match": '"1"'}),
        Step("a cart that nobody wrote", "GET /cart/${u}-none", want={"version": 0},
             headers=NO_REDIS),
        Step("top-products", "GET /stats/top-products", headers=NO_REDIS),
        Step("it is ready", "GET /health/ready",
             want={"status": "ok", "database": "ok", "redis": "off"}),
    ],
}


def run_off(suite):
    for node in REDIS:
        # A replica that has only just started answers nothing yet.
        empty = until(lambda: suite.stack.redis(node, "DBSIZE") == "0", 10)
        suite.tap.ok(empty, "CACHE=off leaves %s empty" % node)


def run(suite):
    suite.tap.group("misses and hits", misses_and_hits, suite)
    suite.tap.group("both replicas", both_replicas, suite)
    suite.tap.group("writes fill", writes_fill, suite)
    suite.tap.group("on all nodes", on_all_nodes, suite)
    suite.tap.group("touch", touch, suite)
    suite.tap.group("rubbish in Redis", rubbish, suite)


def insert(suite, user):
    """A cart that no read or write of the service has put in the cache."""
    suite.stack.psql(
        "BEGIN; INSERT INTO cart VALUES ('{0}', 1, now());"
        "INSERT INTO cart_item (user_id, product_id, added_in, name, price, quantity)"
        " VALUES ('{0}', 7, 1, 'by SQL', 1.5, 2); COMMIT".format(user))
    return "/cart/" + user


def misses_and_hits(suite):
    tap, client = suite.tap, suite.client
    path = insert(suite, "cache-1")
    answer = client.get(path)
    tap.ok(answer.header("X-Cache") == "MISS" and "db" in answer.timing(),
           "the first read is a MISS and asks PostgreSQL", str(answer))
    hit = suite.settle(path)
    tap.ok(hit.header("X-Cache") == "HIT" and hit.node in ("replica-1", "replica-2"),
           "soon it is a HIT from a replica", str(hit))
    tap.ok("db" not in hit.timing() and "app" in hit.timing(), "which asks no PostgreSQL",
           str(hit))
    tap.ok(hit.body == answer.body and hit.header("ETag") == answer.header("ETag") and
           hit.header("Cache-Control") == answer.header("Cache-Control"),
           "and answers the same", [str(answer), str(hit)])
    not_modified = client.get(path, **{"If-None-Match": '"1"'})
    tap.ok(not_modified.status == 304 and not_modified.header("X-Cache") == "HIT",
           "a 304 may be a HIT too", str(not_modified))
    head = client.request("HEAD", path)
    tap.equal(head.header("X-Cache"), "HIT", "and so may HEAD")


def both_replicas(suite):
    path = insert(suite, "cache-2")
    client = suite.client
    suite.settle(path)
    nodes = collections.Counter(client.get(path).node for _ in range(200))
    suite.tap.ok(set(nodes) == {"replica-1", "replica-2"} and min(nodes.values()) >= 40,
                 "200 hits are spread over both replicas", [nodes])


def writes_fill(suite):
    tap, client, path = suite.tap, suite.client, "/cart/cache-3"
    writes = [("POST", "/add", GOOD), ("POST", "/add", GOOD),
              ("PUT", "/update/1", {"quantity": 9}),
              ("POST", "/add", dict(GOOD, product_id=2)),
              ("POST", "/remove/1", None), ("POST", "/clear", None)]
    for method, end, body in writes:
        written = client.request(method, path + end, body)
        hit = until(lambda: hit_of(client.get(path), written.body), 2)
        tap.ok(hit, "after %s what was written is soon read from a replica" % end,
               [str(written), str(client.get(path))])
    misses = 0
    for i in range(20):
        client.request("POST", path + "/add", dict(GOOD, product_id=3 + i))
        # The writer fills: nobody has to miss.
        filled = until(lambda: cart_key(suite, "master", "cache-3", "GET").endswith("}"),
                       5)
        misses += not filled or client.get(path).header("X-Cache") != "HIT"
    tap.ok(misses <= 2, "the writer fills the cache by itself", "%d of 20 not" % misses)


def hit_of(answer, body):
    """The answer, if it is a hit with this body."""
    return answer.header("X-Cache") == "HIT" and answer.body == body and answer


def cart_key(suite, node, user, command, *more):
    return suite.stack.redis(node, command, "cart:%s" % user, *more)


def on_all_nodes(suite):
    suite.settle("/cart/cache-2")
    for node in REDIS:
        wait = until(lambda: int(cart_key(suite, node, "cache-2", "TTL")), 5)
        suite.tap.ok(1700 < wait <= 1800, "%s keeps the cart for 30 minutes" % node,
                     str(wait))


def touch(suite):
    """Hits are on the replicas: one in 64 tells the master's LRU."""
    def calls():
        stats = suite.stack.redis("master", "INFO", "commandstats")
        line = [word for word in stats.split() if word.startswith("cmdstat_touch:")]
        return int(line[0].split("calls=")[1].split(",")[0]) if line else 0
    suite.settle("/cart/cache-2")
    before = calls()
    for _ in range(1280):
        suite.client.get("/cart/cache-2")
    until(lambda: calls() - before >= 10, 2)
    suite.tap.ok(10 <= calls() - before <= 30, "1280 hits TOUCH the key about 20 times",
                 "%d times" % (calls() - before))


def rubbish(suite):
    """Whatever lies under a cart's key, the answer comes from PostgreSQL then."""
    client, path = suite.client, "/cart/cache-4"
    insert(suite, "cache-4")
    right = client.get(path).body
    suite.settle(path)
    for what in ("", "V", "X", "T", "V 1 2 3", "\\xff\\x00", "x" * 1000, "V" + "9" * 40):
        cart_key(suite, "master", "cache-4", "SET", what)
        for _ in range(4):
            answer = client.get(path)
            if answer.status != 200 or answer.body != right:
                break
        suite.tap.ok(answer.body == right, "a key with %r is not believed" % what[:8],
                     str(answer))
    cart_key(suite, "master", "cache-4", "DEL")
    cart_key(suite, "master", "cache-4", "LPUSH", "x")
    answer = client.get(path)
    suite.tap.ok(answer.body == right, "nor a key of another type", str(answer))
    suite.stack.redis("master", "FLUSHALL")
    until(lambda: client.get(path).header("X-Cache") == "MISS", 2)
    hit = suite.settle(path)
    suite.tap.ok(hit.body == right and hit.header("X-Cache") == "HIT",
                 "after FLUSHALL the cart comes back", str(hit))
    # Another cart's value under this key: its id gives it away.
    other = suite.stack.redis("master", "COPY", "cart:cache-4", "cart:cache-5")
    answer = client.get("/cart/cache-5")
    suite.tap.ok(other != "1" or answer.json()["user_id"] == "cache-5",
                 "another cart's value is not believed", str(answer))
