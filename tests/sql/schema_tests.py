"""The schema's rules by themselves, and the totals by product after many changes."""
import random
import threading

from cluster import Session, run_sql, value, wait_until

# Tries a statement in a database with a full cart, then undoes it. Says which constraint
# refused it, or "accepted".
SETUP = """
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE refused_by text;
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'U0000';
EXCEPTION
    WHEN SQLSTATE 'U0000' THEN RETURN 'accepted';
    WHEN integrity_constraint_violation THEN
        GET STACKED DIAGNOSTICS refused_by = CONSTRAINT_NAME;
        RETURN refused_by;
END $$;
INSERT INTO cart VALUES ('u', 1, now()), ('full', 100, now());
INSERT INTO cart_item SELECT 'full', n, n, 'Mug', 1.00, 1
FROM generate_series(1, 100) AS n;
"""

CART = "INSERT INTO cart VALUES (%s, %s, now())"
LINE = ("INSERT INTO cart_item (user_id, product_id, added_in, name, price, quantity) "
        "VALUES (%s, %s, 1, %s, %s, %s)")
KEY = "INSERT INTO idempotency_key VALUES ('u', %s, '', 200, 1, '{}', now())"
EPOCH = "INSERT INTO cache_epoch VALUES (%s, 9, 'off', '', '', now(), now())"
MANY = ("INSERT INTO cart_item SELECT %s, n, n, 'Mug', 1.00, 1 "
        "FROM generate_series(%d, %d) AS n")


def cart(user_id="'a'", version=1):
    return CART % (user_id, version)


def line(user_id="'u'", product_id=1, name="'Mug'", price="1.00", quantity=1):
    return LINE % (user_id, product_id, name, price, quantity)


RULES = (
    ("accepted", [
        cart("repeat('a', 64)"), cart("'...'"), cart("'A.z_0-9'"), cart("'-'"),
        cart(version=2**63 - 1),
        line(), line(product_id=2**31 - 1), line(quantity=999),
        line(name="repeat('é', 200)"), line(name="U&'\\00a0'"),
        line(name="'🛒 \\ '' \"'"), line(price="0.01"), line(price="1000000.00"),
        KEY % "'!~'", KEY % "repeat('k', 255)",
        MANY % ("'u'", 1, 100),
        line("'full'", 7)
        + " ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = 2",
        "DELETE FROM cart_item WHERE user_id = 'full' AND product_id = 1; "
        + line("'full'", 101)]),
    ("cart_user_id_form", [
        cart("''"), cart("repeat('a', 65)"), cart("'.'"), cart("'..'"), cart("'a b'"),
        cart("'é'"), cart("'a/b'"), cart("E'a\\n'"), cart("E'\\na'"), cart("'a%'")]),
    ("cart_version_positive", [cart(version=0), cart(version=-1),
                               "UPDATE cart SET version = 0"]),
    ("cart_pkey", [cart("'u'")]),
    ("cart_item_pkey", [line("'full'", 1)]),
    ("cart_item_user_id_fkey", [line("'nobody'")]),
    ("cart_item_product_id_range", [line(product_id=0), line(product_id=-1)]),
    ("cart_item_name_form", [
        line(name="''"), line(name="repeat('a', 201)"), line(name="repeat('é', 201)"),
        *(line(name="U&'a\\%04x'" % code)
          for code in (0x01, 0x09, 0x0a, 0x0d, 0x1f, 0x7f, 0x80, 0x85, 0x9f))]),
    ("cart_item_price_range", [line(price="0"), line(price="0.004"), line(price="-1"),
                               line(price="1000000.01"), line(price="'NaN'")]),
    ("cart_item_quantity_range", [
        line(quantity=0), line(quantity=-1), line(quantity=1000),
        "UPDATE cart_item SET quantity = 1000"]),
    ("cart_item_line_count", [
        line("'full'", 101), MANY % ("'u'", 1, 101),
        MANY % ("'u'", 1, 1) + " UNION ALL SELECT 'full', 101, 101, 'Mug', 1.00, 1",
        "UPDATE cart_item SET user_id = 'u'; " + line(product_id=101)]),
    ("idempotency_key_form", [KEY % "''", KEY % "repeat('k', 256)", KEY % "'a b'",
                              KEY % "'é'", KEY % "E'a\\x7f'", KEY % "E'a\\n'"]),
    ("cache_epoch_pkey", [EPOCH % "true"]),
    ("cache_epoch_only_row_check", [EPOCH % "false",
                                    "UPDATE cache_epoch SET only_row = false"]),
    ("cache_epoch_mode_check", ["UPDATE cache_epoch SET mode = 'on'",
                                "UPDATE cache_epoch SET mode = ''"]),
)

# Rows of one query that are not in the other, for what the totals should be and are.
WRONG_TOTALS = """
WITH truth AS (SELECT product_id, sum(quantity) AS units, count(*) AS carts
               FROM cart_item GROUP BY product_id),
     by_name AS (SELECT product_id, name, count(*) AS carts
                 FROM cart_item GROUP BY product_id, name)
SELECT 'total', (SELECT count(*) FROM
    (SELECT * FROM truth EXCEPT SELECT product_id, units, carts FROM product_total) AS a)
UNION ALL SELECT 'total', (SELECT count(*) FROM
    (SELECT product_id, units, carts FROM product_total EXCEPT SELECT * FROM truth) AS b)
UNION ALL SELECT 'name', (SELECT count(*) FROM
    (SELECT * FROM by_name EXCEPT SELECT product_id, name, carts FROM product_name_total)
    AS c)
UNION ALL SELECT 'name', (SELECT count(*) FROM
    (SELECT product_id, name, carts FROM product_name_total EXCEPT SELECT * FROM by_name)
    AS d)
UNION ALL SELECT 'delta', count(*) FROM product_delta
"""

# Products whose total and deltas together are not what the carts hold.
WRONG_SUMS = """
SELECT product_id FROM (
    SELECT product_id, quantity AS units, 1 AS carts FROM cart_item
    UNION ALL SELECT product_id, -units, -carts FROM product_total
    UNION ALL SELECT product_id, -units, -carts FROM product_delta) AS both_sides
GROUP BY product_id HAVING sum(units) <> 0 OR sum(carts) <> 0
"""

WAITS_FOR_TURN = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event = 'advisory' AND datname = current_database()
"""


def test(tap, cluster):
    for part in (rules, totals_of_one_session, totals_of_many, folders_take_turns,
                 truncate):
        tap.group(part.__name__, part, tap, cluster)


def rules(tap, cluster):
    url = cluster.create()
    run_sql(url, SETUP)
    for constraint, statements in RULES:
        said = run_sql(url, "".join("SELECT try($try$%s$try$);\n" % sql
                                    for sql in statements))
        tap.none(["%s: %s" % (row[0], sql) for row, sql in zip(said, statements)
                  if row[0] != constraint],
                 "schema: %s, %d ways" % (constraint, len(statements)))
    checks = {row[0] for row in run_sql(
        url, "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0")}
    tap.none(sorted(checks - {constraint for constraint, _ in RULES}),
             "schema: every CHECK constraint has been tried")


def fold_all(url, batch=1000):
    while int(value(url, "SELECT product_fold(%d)" % batch)) >= batch:
        pass


def right(rows):
    return all(row[1] == "0" for row in rows)


def random_change(rng, user):
    """One statement about a cart, such as the service, psql or a migration could run."""
    product = rng.randint(1, 12)
    name = rng.choice(("Mug", "Big mug", "Becher"))
    where = "WHERE user_id = '%s' AND product_id = %d" % (user, product)
    return rng.choice((
        LINE % ("'%s'" % user, product, "'%s'" % name, "1.00", rng.randint(1, 9))
        + " ON CONFLICT (user_id, product_id) DO UPDATE SET name = excluded.name, "
          "quantity = cart_item.quantity + excluded.quantity",
        "INSERT INTO cart_item SELECT '%s', n, n, '%s', 1.00, n FROM "
        "generate_series(1, 12) AS n ON CONFLICT DO NOTHING" % (user, name),
        "UPDATE cart_item SET quantity = %d %s" % (rng.randint(1, 99), where),
        "UPDATE cart_item SET quantity = quantity %s" % where,
        "UPDATE cart_item SET name = '%s' %s" % (name, where),
        "UPDATE cart_item SET name = '%s', quantity = 1 WHERE user_id = '%s'"
        % (name, user),
        "UPDATE cart_item SET product_id = product_id + 100 " + where
        + " AND NOT EXISTS (SELECT FROM cart_item WHERE user_id = '%s' "
          "AND product_id = %d)" % (user, product + 100),
        "DELETE FROM cart_item " + where,
        "DELETE FROM cart_item WHERE user_id = '%s'" % user,
        "DELETE FROM cart WHERE user_id = '%s'; INSERT INTO cart VALUES ('%s', 1, now())"
        % (user, user)))


def add_carts(url, count):
    run_sql(url, "INSERT INTO cart SELECT 'u' || n, 1, now() "
                 "FROM generate_series(1, %d) AS n" % count)


def totals_of_one_session(tap, cluster):
    url = cluster.create()
    rng = random.Random(1)
    add_carts(url, 5)
    run_sql(url, ";\n".join(random_change(rng, "u%d" % rng.randint(1, 5))
                            for _ in range(300)))
    left = int(value(url, "SELECT count(*) FROM product_delta"))
    tap.equal((left > 300, run_sql(url, WRONG_SUMS)), (True, []),
              "totals: the deltas of 300 changes add up to what carts hold")
    step = ("SELECT product_fold(7); SELECT count(*) FROM (%s) AS wrong; "
            "SELECT count(*) FROM product_total WHERE units < 0 OR carts < 0;"
            % WRONG_SUMS)
    steps = run_sql(url, step * (left // 7 + 1))
    folded = [int(row[0]) for row in steps[0::3]]
    tap.equal(folded, [7] * (left // 7) + [left % 7],
              "totals: product_fold takes as many as it is asked to, fewer at the end")
    tap.ok(all(row == ["0"] for row in steps[1::3]),
           "totals: after each batch totals and deltas still add up")
    tap.ok(all(row == ["0"] for row in steps[2::3]), "totals: none is ever below zero")
    wrong = run_sql(url, WRONG_TOTALS)
    tap.ok(right(wrong), "totals: exact, and none is kept for what no cart holds", wrong)


def totals_of_many(tap, cluster):
    """Four writers with a few carts each, a third of them giving up; two folders."""
    url = cluster.create()
    add_carts(url, 20)
    stop = threading.Event()
    faults = []

    def write(number):
        rng = random.Random(number)
        users = ["u%d" % (number * 5 + i) for i in range(1, 6)]
        script = []
        for _ in range(150):
            script.append("BEGIN")
            user = rng.choice(users)
            script.extend(random_change(rng, user) for _ in range(rng.randint(1, 4)))
            script.append(rng.choice(("COMMIT", "COMMIT", "ROLLBACK")))
        collect(lambda: run_sql(url, ";\n".join(script)))

    def fold():
        with Session(url) as session:
            while not stop.is_set():
                said = session.ask("SELECT product_fold(20)")
                if len(said) != 1 or not said[0].isdigit():
                    faults.extend(said)
                    return

    def collect(function):
        try:
            function()
        except RuntimeError as e:
            faults.append(str(e))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    folders = [threading.Thread(target=fold) for _ in range(2)]
    for thread in writers + folders:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in folders:
        thread.join()
    tap.none(faults, "totals: four writers and two folders at once get on")
    fold_all(url)
    wrong = run_sql(url, WRONG_TOTALS)
    tap.ok(right(wrong), "totals: exact after them", wrong)


def folders_take_turns(tap, cluster):
    """Two that update the same totals in different orders would run into a deadlock."""
    url = cluster.create()
    add_carts(url, 2)
    run_sql(url, line("'u1'") + ";" + line("'u2'", 2))
    with Session(url) as first, Session(url) as second:
        first.ask("BEGIN; SELECT product_fold(1)")
        second.send("SELECT product_fold(1)")
        wait_until(lambda: value(url, WAITS_FOR_TURN) == "1", "the second folder waits")
        first.ask("COMMIT")
        tap.equal(second.ask("SELECT 'folded'"), ["1", "folded"],
                  "totals: a second folder waits for the first to commit")


def truncate(tap, cluster):
    url = cluster.create()
    run_sql(url, SETUP + "SELECT product_fold(50); TRUNCATE cart CASCADE;")
    wrong = run_sql(url, WRONG_TOTALS)
    tap.ok(right(wrong), "totals: TRUNCATE empties them too", wrong)
