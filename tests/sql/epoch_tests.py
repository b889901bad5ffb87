"""sql/0004: the epoch is a sum that every change of the cache's state, and every other
hand's change of carts, raises by one."""
import threading
import time

from cluster import Session, lock_waiters, run_sql, value, wait_until

STATE = "SELECT epoch, mode, master, master_replid, same_server FROM cache_state"
COMMITTED = "SELECT epoch, mode, master, master_replid FROM cache_state"
EPOCH = "SELECT epoch FROM cache_state"
MOVE = "SELECT * FROM cache_move(%d, '%s', '%s', '%s')"
SERVICE = " options='-c carrito.service=on'"
CARTS = ("INSERT INTO cart SELECT 'u' || n, 1, now() FROM generate_series(1, 9) AS n;"
         "INSERT INTO cart_item SELECT 'u' || n, n, 1, 'Mug', 1.00, 1 "
         "FROM generate_series(1, 9) AS n;")

# Transactions by what they raise the epoch. All begin with the carts above.
RAISE = (
    (1, "INSERT", "INSERT INTO cart VALUES ('new', 1, now())"),
    (1, "INSERT of a line", "INSERT INTO cart_item VALUES ('u1', 7, 1, 'Cup', 1.00, 1)"),
    (1, "UPDATE", "UPDATE cart SET updated_at = now() WHERE user_id = 'u1'"),
    (1, "UPDATE of all lines", "UPDATE cart_item SET quantity = 2"),
    (1, "DELETE, which takes the lines along", "DELETE FROM cart WHERE user_id = 'u1'"),
    (1, "DELETE of lines", "DELETE FROM cart_item"),
    (1, "TRUNCATE", "TRUNCATE cart CASCADE"),
    (1, "TRUNCATE of the lines", "TRUNCATE cart_item"),
    (1, "COPY", "COPY cart FROM STDIN;\nnew\t1\t2024-05-01 10:00:00+00\n\\.\n"),
    (1, "COPY of lines", "COPY cart_item FROM STDIN;\nu1\t7\t1\tCup\t1.00\t1\n\\.\n"),
    (1, "ON CONFLICT", "INSERT INTO cart VALUES ('u1', 1, now()) ON CONFLICT (user_id) "
                       "DO UPDATE SET version = cart.version + 1"),
    (1, "MERGE", "MERGE INTO cart USING (SELECT 'u1' AS id) AS s ON user_id = s.id "
                 "WHEN MATCHED THEN UPDATE SET version = 2"),
    (1, "WITH", "WITH gone AS (DELETE FROM cart_item WHERE user_id = 'u1' RETURNING 1) "
                "SELECT count(*) FROM gone"),
    (1, "a function that changes carts", "CREATE FUNCTION change() RETURNS void LANGUAGE "
        "sql AS 'UPDATE cart SET version = 2'; SELECT change()"),
    (1, "many statements of one transaction", CARTS.replace("'u'", "'v'")
        + "UPDATE cart_item SET quantity = 3; DELETE FROM cart"),
    (1, "a change after one that was undone", "SAVEPOINT s; DELETE FROM cart_item;"
        "ROLLBACK TO s; UPDATE cart_item SET quantity = 2 WHERE user_id = 'u1'"),
    (1, "a change before one that was undone", "DELETE FROM cart_item; SAVEPOINT s;"
        "UPDATE cart SET version = 2; ROLLBACK TO s"),
    (1, "carrito.service=off", "SET carrito.service = off; DELETE FROM cart_item"),
    (1, "any other carrito.service", "SET carrito.service = true; DELETE FROM cart_item"),
    (0, "what is rolled back", "DELETE FROM cart_item; ROLLBACK; BEGIN"),
    (0, "what is undone", "SAVEPOINT s; DELETE FROM cart_item; ROLLBACK TO s"),
    (0, "reading", "SELECT * FROM cart JOIN cart_item USING (user_id) FOR UPDATE"),
    (0, "what is no cart", "INSERT INTO idempotency_key VALUES "
        "('u1', 'k', '', 200, 1, '{}', now()); SELECT product_fold(100)"),
)


def test(tap, cluster):
    for part in (begins, other_hands, other_roles, service, moves, bad_modes, restarts,
                 open_transaction, raised_meanwhile, movers_take_turns, old_snapshots,
                 everybody):
        tap.group("epoch: " + part.__name__, part, tap, cluster)


def small_epoch(cluster):
    """A database whose epoch is 1: easier to read."""
    url = cluster.create()
    run_sql(url, "UPDATE cache_epoch SET epoch = 1, server_started ="
                 " pg_postmaster_start_time()")
    return url


def epoch(url):
    return int(value(url, EPOCH))


def move(url, seen, mode="master", master="redis:1", replid="r"):
    """What cache_move says: epoch, mode, master, master_replid, moved."""
    return run_sql(url, MOVE % (seen, mode, master, replid))[0]


def transaction(statements, end):
    """COPY's data come right behind it, and psql wants no empty statement after them."""
    return "BEGIN;\n%s\n%s" % (statements + ";" * ("\\." not in statements), end)


def begins(tap, cluster):
    url = cluster.create()  # a copy of one that was made by this run
    number, *rest = run_sql(url, STATE)[0]
    tap.ok(time.time() * 1000 - 3600000 <= int(number) <= time.time() * 1000,
           "epoch: begins above what any database before it had", number)
    tap.equal(rest, ["off", "", "", "t"], "epoch: and off")


def other_hands(tap, cluster):
    url = small_epoch(cluster)
    script = []
    for _, _, statements in RAISE:
        script += ["SET carrito.service = on; TRUNCATE cart CASCADE;" + CARTS,
                   "RESET carrito.service; SELECT 'epoch', epoch FROM cache_state;",
                   transaction(statements, "COMMIT;"),
                   "SELECT 'epoch', epoch FROM cache_state;"]
    numbers = [int(row[1]) for row in run_sql(url, "\n".join(script))
               if row[0] == "epoch"]
    for i, (by, name, _) in enumerate(RAISE):
        tap.equal(numbers[2 * i + 1] - numbers[2 * i], by,
                  "epoch: %s raises it by %d" % (name, by))


def other_roles(tap, cluster):
    """Whoever may change carts need not be allowed to change the epoch."""
    url = small_epoch(cluster)
    run_sql(cluster.url("postgres", "postgres"), "CREATE ROLE clerk LOGIN")
    run_sql(url, CARTS + "GRANT SELECT, INSERT, UPDATE, DELETE ON cart, cart_item, "
                         "product_delta TO clerk")
    clerk = url.replace("user=carrito", "user=clerk")
    before = epoch(url)
    run_sql(clerk, "UPDATE cart SET version = 2 WHERE user_id = 'u1'")
    run_sql(clerk, "SET search_path = ''; UPDATE public.cart SET version = 2")
    tap.equal(epoch(url) - before, 2,
              "epoch: a role that may change carts alone raises it")
    try:
        run_sql(clerk, "DELETE FROM cache_raise")
        tap.ok(False, "epoch: and may do nothing else with it")
    except RuntimeError as refused:
        tap.ok("permission denied" in str(refused),
               "epoch: and may do nothing else with it", str(refused))


def service(tap, cluster):
    """Its own sessions put tombstones instead."""
    url = small_epoch(cluster)
    run_sql(url, CARTS)
    before = epoch(url)
    run_sql(url + SERVICE, "\n".join(
        transaction(statements, "ROLLBACK;") for _, _, statements in RAISE
        if "carrito.service" not in statements))
    run_sql(url + SERVICE, "UPDATE cart SET version = 2; DELETE FROM cart_item;"
                           "TRUNCATE cart CASCADE")
    tap.equal(epoch(url), before, "epoch: the service's sessions do not raise it")
    run_sql(url + SERVICE, "SET carrito.service = ''; RESET carrito.service;"
                           "INSERT INTO cart VALUES ('u1', 1, now())")
    tap.equal(epoch(url), before, "epoch: also after a RESET ALL")


def moves(tap, cluster):
    url = small_epoch(cluster)
    tap.equal(move(url, 1, "replicas", "a:1", "r1"), ["2", "replicas", "a:1", "r1", "t"],
              "cache_move: from the epoch seen to the next")
    tap.equal(run_sql(url, STATE), [["2", "replicas", "a:1", "r1", "t"]],
              "cache_move: and so it stays")
    for seen in (1, 3, 0, -1, 2**63 - 1):
        tap.equal(move(url, seen, "off", "b:2", "r2"),
                  ["2", "replicas", "a:1", "r1", "f"],
                  "cache_move: from %d where it is 2 nothing moves" % seen)
    tap.equal(run_sql(url, "SELECT epoch, mode, coalesce(moved, false) "
                           "FROM cache_move(NULL, 'off', '', '')"),
              [["2", "replicas", "f"]], "cache_move: nor from NULL")
    tap.equal(move(url, 2, "replicas", "a:1", "r1"), ["3", "replicas", "a:1", "r1", "t"],
              "cache_move: to the same state is a move, too")

    run_sql(url, CARTS)     # two transactions
    tap.equal(epoch(url), 5, "cache_move: raised by two meanwhile")
    for seen in (3, 4, 6):
        tap.equal(move(url, seen, "off"), ["5", "replicas", "a:1", "r1", "f"],
                  "cache_move: from %d where it was raised to 5 nothing moves" % seen)
    tap.equal(value(url, "SELECT count(*) FROM cache_raise"), "0",
              "cache_move: folds also where it does not move, and the sum stays")
    run_sql(url, "DELETE FROM cart_item")
    tap.equal((epoch(url), value(url, "SELECT count(*) FROM cache_raise")), (6, "1"),
              "cache_move: after it the sum goes on from there")
    tap.equal(move(url, 6, "master", "b:2", "r2"), ["7", "master", "b:2", "r2", "t"],
              "cache_move: from the sum it moves")
    tap.equal(value(url, "SELECT count(*) FROM cache_raise"), "0",
              "cache_move: and has folded")


def bad_modes(tap, cluster):
    url = small_epoch(cluster)
    run_sql(url, "INSERT INTO cart VALUES ('u', 1, now())")
    for mode in ("on", "Off", "", "replica"):
        try:
            move(url, 2, mode)
            tap.ok(False, "cache_move: refuses mode '%s'" % mode)
        except RuntimeError as refused:
            tap.ok("cache_epoch_mode_check" in str(refused),
                   "cache_move: refuses mode '%s'" % mode, str(refused))
    tap.equal((run_sql(url, STATE), value(url, "SELECT count(*) FROM cache_raise")),
              ([["2", "off", "", "", "t"]], "1"), "cache_move: and leaves all as it was")


def restarts(tap, cluster):
    """PostgreSQL's own start, which counts as a move of the keeper's."""
    url = small_epoch(cluster)
    move(url, 1)
    cluster.server("pg_ctl", "-D", cluster.data, "-m", "fast", "-w", "restart")
    tap.equal(run_sql(url, STATE), [["2", "master", "redis:1", "r", "f"]],
              "epoch: after a restart the server is another one")
    move(url, 1)
    tap.equal(run_sql(url, STATE)[0][4], "f", "epoch: also where nothing has moved")
    before = time.time()
    move(url, 2)
    number, *rest = run_sql(url, STATE)[0]
    tap.equal(rest, ["master", "redis:1", "r", "t"], "epoch: until it has moved")
    tap.ok(before * 1000 <= int(number) <= time.time() * 1000,
           "epoch: above what was before, also if that was restored", number)


def open_transaction(tap, cluster):
    """Hands that take their time keep nobody from moving the epoch."""
    url = small_epoch(cluster)
    run_sql(url, CARTS)
    before = epoch(url)
    with Session(url) as slow, Session(url) as other:
        slow.ask("BEGIN; UPDATE cart SET version = 2 WHERE user_id = 'u1'")
        other.ask("BEGIN; UPDATE cart SET version = 2 WHERE user_id = 'u2'")
        tap.equal(epoch(url), before, "epoch: what is not committed does not raise it")
        moved = run_sql(url, "SET lock_timeout = '5s'; SET statement_timeout = '5s';"
                        + MOVE % (before, "off", "", ""))[0]
        tap.equal((moved[0], moved[4]), (str(before + 1), "t"),
                  "epoch: two open transactions of other hands do not block cache_move")
        tap.equal(slow.ask("COMMIT; " + EPOCH), [str(before + 2)],
                  "epoch: their commits raise what it was moved to")
        tap.equal(move(url, before + 1)[4], "f",
                  "epoch: a move from before that comes to nothing")
        run_sql(url, "UPDATE cart SET version = 3 WHERE user_id = 'u3'")
        other.ask("COMMIT")
        tap.equal(epoch(url), before + 4, "epoch: each commit raises it by one")


def raised_meanwhile(tap, cluster):
    """A commit of other hands between a move's statements and its commit: the number that
    the move had in sight is then that of the old state, raised. So who moves the epoch
    asks for it once more after the commit."""
    url = small_epoch(cluster)
    run_sql(url, CARTS)
    before = epoch(url)
    with Session(url) as mover:
        moved = mover.ask("BEGIN; " + MOVE % (before, "master", "a:1", "r"))
        run_sql(url, "SET lock_timeout = '5s'; UPDATE cart SET version = 2")
        tap.equal((moved, run_sql(url, STATE)[0][:2]),
                  (["%d|master|a:1|r|t" % (before + 1)], [str(before + 1), "off"]),
                  "epoch: other hands commit while it moves; who looks sees only theirs")
        mover.ask("COMMIT")
        tap.equal(mover.ask(STATE), ["%d|master|a:1|r|t" % (before + 2)],
                  "epoch: once it has moved both count")


def movers_take_turns(tap, cluster):
    url = small_epoch(cluster)
    with Session(url) as first, Session(url) as second:
        first.ask("BEGIN; " + MOVE % (1, "master", "a:1", "r1"))
        second.send(MOVE % (1, "off", "b:2", "r2"))
        wait_until(lambda: lock_waiters(url) == 1, "the second one waits")
        first.ask("COMMIT")
        tap.equal(second.ask("SELECT 'then'"), ["2|master|a:1|r1|f", "then"],
                  "cache_move: of two from the same epoch one moves, the other is told")
        first.ask("BEGIN; " + MOVE % (2, "off", "b:2", "r2"))
        second.send(MOVE % (2, "replicas", "c:3", "r3"))
        wait_until(lambda: lock_waiters(url) == 1, "the second one waits")
        first.ask("ROLLBACK")
        tap.equal(second.ask("SELECT 'then'"), ["3|replicas|c:3|r3|t", "then"],
                  "cache_move: unless the first one's comes to nothing")


def old_snapshots(tap, cluster):
    """Whoever still looks at things as they were sees the sum as it was."""
    url = small_epoch(cluster)
    run_sql(url, CARTS + "UPDATE cart SET version = 2")
    before = epoch(url)
    with Session(url) as old:
        old.ask("BEGIN ISOLATION LEVEL REPEATABLE READ; " + EPOCH)
        run_sql(url, "UPDATE cart SET version = 3")
        move(url, 0)
        tap.equal((old.ask(EPOCH), epoch(url)), ([str(before)], before + 1),
                  "epoch: folding changes no sum, neither an old snapshot's nor the last")
        old.ask("COMMIT")
        tap.equal(old.ask(EPOCH), [str(before + 1)], "epoch: which then goes on")


class Crowd:
    """Sessions that act over and over, each in a thread, until one of them is through."""

    def __init__(self, url):
        self.url = url
        self.stop = threading.Event()
        self.threads = []
        self.faults = []

    def add(self, act):
        def run():
            try:
                with Session(self.url) as session:
                    act(session)
            except Exception as fault:
                self.faults.append(repr(fault))
            self.stop.set()
        self.threads.append(threading.Thread(target=run))

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()


def everybody(tap, cluster):
    """Other hands, the service, movers and readers at once."""
    url = small_epoch(cluster)
    run_sql(url, CARTS)
    before = epoch(url)
    crowd = Crowd(url)
    raised, moved, seen, sunk = [], [], [], []

    def enough():
        return crowd.stop.is_set() or (len(raised) >= 200 and len(moved) >= 20)

    def other_hand(number):
        change = ("BEGIN; UPDATE cart SET version = version + 1 WHERE user_id = 'u%d';"
                  "UPDATE cart_item SET quantity = 2 WHERE user_id = 'u%d';"
                  % (number, number))

        def act(session):
            while not enough():
                session.ask(change + "COMMIT")
                raised.append(1)
                session.ask(change + "ROLLBACK")
        return act

    def service_hand(session):
        session.ask("SET carrito.service = on")
        while not crowd.stop.is_set():
            session.ask("UPDATE cart SET version = version + 1 WHERE user_id = 'u9'")

    def mover(name):
        def act(session):
            while not crowd.stop.is_set():
                now = session.ask(EPOCH)[0]
                said = session.ask(MOVE % (int(now), "master", name, "r%s" % now))[0]
                moved.extend([1] * said.endswith("|t"))
                seen.extend(session.ask(COMMITTED))
        return act

    def reader(session):
        last = 0
        while not crowd.stop.is_set():
            row = session.ask(COMMITTED)[0]
            number = int(row.split("|")[0])
            if number < last:
                sunk.append("%d after %d" % (number, last))
            last = number
            seen.append(row)

    for number in (1, 2, 3):
        crowd.add(other_hand(number))
    for act in (service_hand, mover("a"), mover("b"), reader, reader):
        crowd.add(act)
    crowd.run()
    states = {}
    for row in seen:
        states.setdefault(row.split("|")[0], set()).add(row.split("|", 1)[1])
    tap.none(crowd.faults, "epoch: other hands, the service, movers and readers get on")
    tap.ok(len(seen) > 50, "epoch: they met", "%d readings" % len(seen))
    tap.equal(epoch(url) - before, len(raised) + len(moved),
              "epoch: in the end it is the sum of %d commits and the moves" % len(raised))
    tap.none(sunk, "epoch: no reader has seen it sink")
    tap.none(["%s: %s" % (number, rows) for number, rows in states.items()
              if len(rows) > 1], "epoch: no number was that of two states")
