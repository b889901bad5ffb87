"""PostgreSQL stopped, killed, restarted under load: 503 within the deadline, and back."""
import time

from cutter import Cutter
from lib.load import Load
from lib.stack import SLACK, until

GOOD = {"product_id": 1, "name": "n", "price": 1}
# One wait for a connection and a few trips, as the stack of this suite has them.
SETTINGS = {"PG_TIMEOUT_MS": 500, "PG_POOL_WAIT_MS": 500}
DEADLINE = 3


def run(tap, stack):
    for title, begin, end in (
            ("SIGSTOP of PostgreSQL", stack.freeze, stack.thaw),
            ("kill -9 of PostgreSQL", stack.kill, stack.start),
            ("PostgreSQL shut down", stack.stop, stack.start)):
        for keyed in (False, True):
            this = title + (", writers repeat under a key" if keyed else "")
            tap.group(this, outage, tap, stack, this, begin, end, keyed)
    tap.group("sessions ended", sessions_ended, tap, stack)
    tap.group("idle sessions ended", idle_sessions_ended, tap, stack)
    tap.group("lost in COMMIT", lost_in_commit, tap, stack)


def works(stack):
    """Whether a read of the database, a write and readiness are good again."""
    client = stack.client()
    try:
        answers = [client.get("/cart/nobody-%d" % time.monotonic_ns()),
                   client.request("POST", "/cart/probe/add", dict(GOOD, product_id=2)),
                   client.request("POST", "/cart/probe/clear"),
                   client.get("/health/ready")]
    except ConnectionError:
        return False
    return all(answer.status in (200, 201) for answer in answers)


def outage(tap, stack, title, begin, end, keyed):
    before = stack.processes("app")
    hot = "/cart/hot"
    stack.client().request("POST", hot + "/add", dict(GOOD, product_id=3))
    stack.client().request("POST", hot + "/clear")
    until(lambda: stack.client().get(hot).header("X-Cache") == "HIT", 5)
    with Load(stack, keyed=keyed) as load:
        until(lambda: len(load.answers) > 100, 10)
        begin("postgres")
        since = time.monotonic()
        refused(tap, stack, title)
        time.sleep(0.5)
        read = stack.client().get(hot)
        tap.ok(read.status == 503 and read.header("Retry-After"),
               title + ": nor is a cached cart read once its lease is over", str(read))
        live = stack.client().get("/health/live")
        ready = stack.client().get("/health/ready")
        tap.ok(live.status == 200 and ready.status == 503 and
               (ready.json().get("status"), ready.json().get("database")) ==
               ("unavailable", "unavailable"),
               title + ": alive, but not ready", [str(live), str(ready)])
        time.sleep(1)
        over = time.monotonic()
        end("postgres")
        tap.ok(until(lambda: works(stack), 15), title + ": all works again by itself",
               str(stack.client().get("/health/ready")))
        back = time.monotonic()
        until(lambda: sum(a.begin > back for a in load.answers) > 200, 10)
    during = [a for a in load.answers if since <= a.begin and a.end <= over]
    slow = [a for a in during if a.end - a.begin > DEADLINE * SLACK]
    tap.none(slow, title + ": every answer within the deadline")
    wrong = {(a.status, a.code) for a in load.broken()} - {
        (503, "database-unavailable"), (503, "overloaded"), (503, "outcome-unknown")}
    tap.none(wrong, title + ": refused as unavailable, never otherwise")
    tap.none(load.broken(since=back + 1), title + ": no 5xx after it is back")
    tap.equal(stack.processes("app"), before, title + ": the program was not restarted")
    load.verify(tap, title)


def refused(tap, stack, title):
    """Reads that miss and writes are 503 problems with Retry-After, in time."""
    client = stack.client()
    for what, method, path, body in (
            ("a read", "GET", "/cart/cold-%d", None),
            ("a write", "POST", "/cart/cold-%d/add", GOOD)):
        begin = time.monotonic()
        answer = client.request(method, path % time.monotonic_ns(), body)
        took = time.monotonic() - begin
        tap.ok(answer.status == 503 and answer.code in ("database-unavailable",
                                                        "overloaded")
               and answer.header("Content-Type") == "application/problem+json"
               and answer.header("Retry-After", "").isdigit(),
               "%s: %s is 503 with Retry-After" % (title, what), str(answer))
        tap.ok(took <= DEADLINE * SLACK, "%s: %s is refused in time" % (title, what),
               "after %.1f s" % took)


END_SESSIONS = ("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")


def sessions_ended(tap, stack):
    """In the middle of what they do: what was refused did not happen."""
    with Load(stack) as load:
        for _ in range(5):
            time.sleep(0.4)
            stack.psql(END_SESSIONS)
        since = time.monotonic() + 1
        until(lambda: sum(a.begin > since for a in load.answers) > 200, 10)
    wrong = {(a.status, a.code) for a in load.broken()} - {
        (503, "database-unavailable"), (503, "outcome-unknown")}
    tap.none(wrong, "sessions ended: refused as unavailable, never otherwise")
    tap.none(load.broken(since=since), "sessions ended: no 5xx a second later")
    load.verify(tap, "sessions ended")


def idle_sessions_ended(tap, stack):
    """A pool that slept through it must not hand out what is dead."""
    client = stack.client()
    for round in range(3):
        for i in range(30):
            client.get("/cart/idle-%d-%d" % (round, i))
            client.request("POST", "/cart/idle-%d/add" % i, GOOD)
        stack.psql(END_SESSIONS)
        time.sleep(0.2 * SLACK)
        answers = [client.get("/cart/idle-%d-%d" % (round, 50 + i)) for i in range(30)]
        answers += [client.request("POST", "/cart/idle-%d/add" % i,
                                   GOOD) for i in range(30)]
        bad = [str(answer) for answer in answers if answer.status not in (200, 201)]
        tap.none(bad, "idle sessions ended: nobody notices, round %d" % (round + 1))


def lost_in_commit(tap, stack):
    """Committed, but the answer was lost: the client is told that nobody knows."""
    client, keyed = stack.client(), {"Idempotency-Key": "lost"}
    client.request("POST", "/cart/lost/add", GOOD)
    with Cutter(stack.database) as cutter:
        stack.psql(END_SESSIONS)
        until(lambda: works(stack), 10)
        cutter.cutting = True
        for kind, request in {
                "a new cart": ("POST", "/cart/lost-new/add", GOOD),
                "add": ("POST", "/cart/lost/add", GOOD),
                "update": ("PUT", "/cart/lost/update/1", {"quantity": 7}),
                "add with a key": ("POST", "/cart/lost/add", GOOD, keyed),
                "clear": ("POST", "/cart/lost/clear")}.items():
            answer = client.request(*request)
            tap.ok(answer.status == 503 and answer.code == "outcome-unknown"
                   and answer.header("Retry-After") is None,
                   "lost in COMMIT, %s: the outcome is unknown" % kind, str(answer))
        tap.equal(cutter.cuts, 5, "lost in COMMIT: all of them were committed")
        cutter.cutting = False
    stack.psql(END_SESSIONS)
    until(lambda: works(stack), 10)
    again = client.request("POST", "/cart/lost/add", GOOD, keyed)
    tap.ok(again.status == 200 and again.header("Idempotency-Replayed") == "true"
           and again.json()["item_count"] == 8,
           "lost in COMMIT: the key tells what came of it", str(again))

    def seen():
        cart = client.get("/cart/lost").json()
        return (cart["version"], cart["item_count"]) == (5, 0)
    tap.ok(until(seen, 5), "lost in COMMIT: what was done is read",
           str(client.get("/cart/lost")))
