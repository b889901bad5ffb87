"""How statements run that were planned while there was next to nothing in the tables."""
from lib.stack import Stack, until

TABLES = {}
CARTS = 40
ROUNDS = 3
COUNTS = ("SELECT relname, seq_scan, coalesce(idx_scan, 0) FROM pg_stat_user_tables"
          " WHERE relname IN ('cart', 'cart_item')")


def run(suite):
    with Stack(SEED_CARTS=0, PROCESSES=1) as stack:
        suite.tap.group("plans", indexes_only, suite.tap, stack)


def counts(stack):
    """{table: (scans of all of it, scans of an index)}, some seconds late."""
    return {name: (int(whole), int(index)) for name, whole, index in stack.psql(COUNTS)}


def write(stack, name):
    client = stack.client()
    for i in range(CARTS):
        client.request("POST", "/cart/%s-%d/add" % (name, i),
                       {"product_id": 1, "name": "x", "price": 1})
        client.get("/cart/%s-none-%d" % (name, i))


def indexes_only(tap, stack):
    """A plan is kept while a small table grows: so it must not read the whole of it."""
    write(stack, "before")
    stack.psql("ANALYZE cart, cart_item")  # from now on the planner knows how small
    before = counts(stack)
    for i in range(ROUNDS):
        write(stack, "round%d" % i)
    # Two lookups a cart in each table: then all has been counted.
    told = until(lambda: all(now[1] >= before[table][1] + ROUNDS * CARTS * 2
                             for table, now in counts(stack).items()), 30, 0.5)
    now = counts(stack)
    tap.ok(told, "carts are looked up by their keys", str((before, now)))
    tap.equal({table: now[table][0] - before[table][0] for table in now},
              {"cart": 0, "cart_item": 0}, "and no request reads a whole table")
