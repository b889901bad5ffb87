"""The seeder: the same carts in every run, and never in a user's way."""
import json
import os
import pty
import signal
import subprocess
import time

from cluster import SEEDER, Session, lock_waiters, run_sql, value, wait_until
from schema_tests import WRONG_TOTALS, fold_all, right

CARTS = ("SELECT user_id, version, product_id, added_in, name, price, quantity "
         "FROM cart LEFT JOIN cart_item USING (user_id) ORDER BY user_id, added_in")
ROWS = ("SELECT user_id, xmin, ctid FROM cart UNION ALL "
        "SELECT user_id, xmin, ctid FROM cart_item ORDER BY 1, 3")
EPOCH = "SELECT epoch FROM cache_state"
BROKEN = ("SELECT user_id FROM cart LEFT JOIN cart_item USING (user_id) GROUP BY user_id "
          "HAVING count(product_id) <> version OR max(added_in) <> version "
          "OR count(DISTINCT added_in) <> version")
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('%s', 0)) \\g /dev/null\n"
OWN_CART = ("INSERT INTO cart VALUES ('%s', 1, now());"
            "INSERT INTO cart_item VALUES ('%s', 5, 1, 'Own', 1.00, 9)")


def test(tap, cluster):
    if not os.access(SEEDER, os.X_OK):
        tap.ok(False, "seeder: the program is there", SEEDER)
        return
    for part in (arguments, catalogue, default_carts, repeatable, many_carts, users_win,
                 service_waits, interrupted, killed, progress_lines):
        tap.group(part.__name__, part, tap, cluster)


def command(carts):
    return [SEEDER] if carts is None else [SEEDER, "--carts", str(carts)]


def start(url, carts=None, **more):
    return subprocess.Popen(command(carts), env=dict(os.environ, DATABASE_URL=url),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **more)


def seed(url, carts=None):
    process = start(url, carts)
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err)
    return out


def arguments(tap, cluster):
    for words, code, said in (
            (["--help"], 0, "usage:"), (["--carts", "0"], 2, "1 to 1000000"),
            (["--carts", "-1"], 2, "1 to 1000000"),
            (["--carts", "1000001"], 2, "\"1000001\""),
            (["--carts", "1e3"], 2, "\"1e3\""), (["--carts="], 2, "\"\""),
            (["--carts", "99999999999999999999"], 2, "1 to 1000000"),
            (["--carts"], 2, "requires an argument"), (["--cats"], 2, "--cats"),
            (["24"], 2, "unexpected argument \"24\"")):
        done = subprocess.run([SEEDER, *words], check=False, capture_output=True,
                              text=True, env=dict(os.environ, DATABASE_URL="host=/x"))
        tap.ok(done.returncode == code and said in (done.stderr if code else done.stdout),
               "seeder: %s ends with %d" % (" ".join(words), code), done.stderr)
    for url, code, said in (("", 2, "DATABASE_URL is not set"),
                            ("host=/nowhere", 1, "/nowhere"),
                            (cluster.create("template0"), 1, "run sql/migrate first")):
        process = start(url)
        err = process.communicate()[1]
        tap.ok(process.returncode == code and said in err
               and err.count("carrito-seed") == 1,
               "seeder: says \"%s\" once and ends with %d" % (said, code), err)


def catalogue(tap, cluster):
    """What it prints as its products are those that it puts into carts."""
    out = subprocess.run([SEEDER, "--catalogue"], check=True, capture_output=True,
                         text=True).stdout
    rows = [json.loads(line, parse_float=str) for line in out.splitlines()]
    printed = {(str(row["product_id"]), row["name"], row["price"]) for row in rows}
    url = cluster.create()
    seed(url, 2000)
    used = {tuple(row) for row in
            run_sql(url, "SELECT DISTINCT product_id, name, price FROM cart_item")}
    tap.equal((len(rows), len(used - printed)), (576, 0),
              "seeder: --catalogue prints what carts are filled with")


def default_carts(tap, cluster):
    url = cluster.create()
    out = seed(url)
    rows = run_sql(url, CARTS)
    tap.ok(out.startswith("24 carts inserted with %d items, 0 existed, " % len(rows)),
           "seeder: sums up what it did", out)
    tap.equal([row[0] for row in run_sql(url, "SELECT user_id FROM cart ORDER BY 1")],
              ["user%d" % n for n in range(101, 125)], "seeder: user101 to user124")
    tap.equal(run_sql(url, "SELECT name FROM cart_item GROUP BY product_id, name "
                           "HAVING count(DISTINCT price) > 1"), [],
              "seeder: a product has one price")
    tap.equal(value(url, "SELECT count(DISTINCT name) > 60 AND bool_and(name ~ ', ') "
                         "FROM cart_item"), "t", "seeder: many products, described")
    wrong = run_sql(url, WRONG_TOTALS)
    tap.ok(right(wrong), "seeder: the totals by product are already up to date", wrong)


def repeatable(tap, cluster):
    one, other = cluster.create(), cluster.create()
    seed(one)
    seed(other, 1)
    seed(other, 24)
    tap.equal(run_sql(one, CARTS) == run_sql(other, CARTS), True,
              "seeder: another run elsewhere, in two steps, gives the same carts")
    before, epoch = run_sql(one, ROWS), run_sql(one, EPOCH)
    out = seed(one)
    tap.ok(out.startswith("0 carts inserted with 0 items, 24 existed, "),
           "seeder: a second run inserts nothing", out)
    tap.equal(run_sql(one, ROWS) == before, True, "seeder: and touches no row")
    tap.equal(run_sql(one, EPOCH), epoch, "seeder: so what is cached stays valid")

    run_sql(one, "DELETE FROM cart_item WHERE user_id = 'user101';"
                 "UPDATE cart SET version = version + 1 WHERE user_id = 'user101';"
                 "UPDATE cart_item SET quantity = 77 WHERE user_id = 'user102';"
                 + OWN_CART % ("user130", "user130"))
    before = run_sql(one, ROWS)
    out = seed(one, 40)
    tap.ok(out.startswith("15 carts inserted"), "seeder: a larger run adds the rest", out)
    after = run_sql(one, ROWS)
    tap.equal([row for row in before if row not in after], [],
              "seeder: carts that users emptied, changed or made stay as they are")
    tap.equal(value(one, "SELECT count(*) FROM cart_item WHERE user_id IN "
                         "('user101', 'user130')"), "1", "seeder: and get no lines")


def many_carts(tap, cluster):
    small, large = cluster.create(), cluster.create()
    seed(small)
    out = seed(large, 5000)
    tap.equal(value(large, "SELECT concat_ws(' ', count(*), min(n), max(n)) FROM (SELECT "
                           "substr(user_id, 5)::int AS n FROM cart) AS a"),
              "5000 101 5100",
              "seeder: --carts 5000 makes 5000: " + out.split(",")[0])
    tap.equal(run_sql(large, BROKEN), [],
              "seeder: lines are numbered from 1 to the cart's version")
    tap.equal(value(large, "SELECT concat_ws(' ', min(n), max(n)) FROM (SELECT "
                           "count(*) AS n FROM cart_item GROUP BY user_id) AS a"), "3 10",
              "seeder: 3 to 10 items in each")
    tap.equal(value(large, "SELECT concat_ws(' ', min(quantity), max(quantity), "
                           "min(price) >= 1 AND min(price) < 2, "
                           "max(price) > 900 AND max(price) <= 1000) FROM cart_item"),
              "1 5 t t", "seeder: quantities 1 to 5, prices 1 to 1000")
    tap.equal(value(large, "SELECT count(DISTINCT product_id) = count(DISTINCT name) AND "
                           "count(DISTINCT name) > 500 FROM cart_item"), "t",
              "seeder: hundreds of products, each with a name of its own")
    tap.equal(value(large, "SELECT max(units) > 5 * min(units) FROM (SELECT units FROM "
                           "product_total ORDER BY units DESC LIMIT 100) AS a"), "t",
              "seeder: some products are far more popular than others")
    first = [row for row in run_sql(large, CARTS) if row[0] <= "user124"
             and len(row[0]) == 7]
    tap.equal(first == run_sql(small, CARTS), True,
              "seeder: a cart is the same however many are made")
    wrong = run_sql(large, WRONG_TOTALS)
    tap.ok(right(wrong), "seeder: totals exact", wrong)


def users_win(tap, cluster):
    """A user's transaction makes a cart of the same name while the seeder works."""
    for lock, end in ((True, "COMMIT"), (True, "ROLLBACK"), (False, "COMMIT"),
                      (False, "ROLLBACK")):
        url = cluster.create()
        with Session(url) as user:
            user.send("BEGIN;" + (LOCK % "user105" if lock else ""))
            user.ask(OWN_CART % ("user105", "user105"))
            process = start(url)
            wait_until(lambda u=url: lock_waiters(u) == 1, "the seeder waits")
            user.ask(end)
        process.communicate()
        mine = run_sql(url, "SELECT product_id FROM cart_item WHERE user_id = 'user105'")
        tap.equal((process.returncode, mine == [["5"]], run_sql(url, BROKEN)),
                  (0, end == "COMMIT", []),
                  "seeder: against a user's uncommitted cart, %s a lock, then %s"
                  % ("with" if lock else "without", end))
        tap.equal(value(url, "SELECT count(*) FROM cart"), "24",
                  "seeder: and all carts are there")


def service_waits(tap, cluster):
    """A write that comes upon a cart in the making sees all of it, or none."""
    url = cluster.create()
    with Session(url) as other, Session(url) as service:
        other.ask("BEGIN;" + LOCK % "user110" + "SELECT")
        process = start(url)
        wait_until(lambda: lock_waiters(url) == 1, "the seeder holds the first locks")
        service.send("BEGIN;" + LOCK % "user103")
        wait_until(lambda: lock_waiters(url) == 2, "the service waits for the seeder")
        other.ask("COMMIT")
        seen = service.ask("SELECT version - (SELECT count(*) FROM cart_item AS i "
                           "WHERE i.user_id = cart.user_id) FROM cart "
                           "WHERE user_id = 'user103'")
        service.ask("COMMIT")
    process.communicate()
    tap.equal((process.returncode, seen), (0, ["0"]),
              "seeder: who waits for a cart's lock then sees the cart with all its lines")


def interrupted(tap, cluster):
    """Ctrl-C on a terminal, while the bar is up."""
    url = cluster.create()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(SEEDER, command(1000000), dict(os.environ, DATABASE_URL=url))
    shown = ""
    try:
        while " %" not in shown:
            shown += os.read(terminal, 4096).decode()
        os.write(terminal, b"\x03")
        while True:
            shown += os.read(terminal, 4096).decode()
    except OSError:     # the terminal's other side is closed
        pass
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    tap.ok(code == 130 and "interrupted after " in shown and "\r[" in shown,
           "seeder: a bar on a terminal, and Ctrl-C ends it with 130", shown[-600:])
    whole(tap, url, "after Ctrl-C")


def killed(tap, cluster):
    url = cluster.create()
    process = start(url, 1000000)
    wait_until(lambda: value(url, "SELECT count(*) > 0 FROM cart") == "t", "some carts")
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: value(url, "SELECT count(*) FROM pg_stat_activity WHERE "
                                  "application_name = 'carrito-seed' AND "
                                  "datname = current_database()") == "0", "sessions end")
    whole(tap, url, "after kill -9")


def whole(tap, url, when):
    """No half cart, and a next run fills the gaps."""
    tap.equal(run_sql(url, BROKEN), [], "seeder: %s every cart is whole" % when)
    there = int(value(url, "SELECT count(*) FROM cart"))
    seed(url, there + 500)
    fold_all(url)
    wrong = run_sql(url, WRONG_TOTALS)
    tap.equal((int(value(url, "SELECT count(*) FROM cart")) >= there + 500,
               run_sql(url, BROKEN), right(wrong)), (True, [], True),
              "seeder: %s another run goes on, totals exact" % when)


def progress_lines(tap, cluster):
    """Blocked for six seconds it has something to say, without a bar."""
    url = cluster.create()
    with Session(url) as other:
        other.ask("BEGIN;" + LOCK % "user101" + "SELECT")
        process = start(url)
        time.sleep(6)
        other.ask("COMMIT")
    err = process.communicate()[1]
    tap.equal((process.returncode, err), (0, "carrito-seed: 0 of 24 carts, 0 a second\n"),
              "seeder: without a terminal it prints a line every five seconds")
