"""The program's processes and nginx killed, ended and restarted under load."""
import os
import signal
import socket
import threading
import time

from lib.load import Load
from lib.stack import SLACK, deliver, start_time, until

GOOD = {"product_id": 1, "name": "n", "price": 1}
# How long nginx may be without an answer after an app process was killed.
WINDOW = 1 * SLACK


def run(tap, stack):
    tap.group("kill -9 of one", killed, tap, stack, "kill -9 of a process", 1)
    tap.group("kill -9 of all", killed, tap, stack, "kill -9 of all processes", None)
    tap.group("six deaths", six_deaths, tap, stack)
    tap.group("SIGTERM of processes", drained, tap, stack, "SIGTERM of each process",
              lambda: [deliver(pid, signal.SIGTERM) for pid in stack.processes("app")])
    tap.group("SIGTERM of multiwatch", drained, tap, stack, "SIGTERM of multiwatch",
              lambda: deliver(stack.pid("app"), signal.SIGTERM))
    tap.group("SIGTERM under load", ended_under_load, tap, stack)
    tap.group("SIGTERM beside an idle peer", ended_beside_idle, tap, stack)
    tap.group("nginx restarted", nginx_restarted, tap, stack)
    tap.group("stopped process", stopped, tap, stack)


def first_answer(stack, seconds):
    """Asks every 20 ms on a connection of its own; when the first 200 came, or None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client = stack.client(timeout=1)
        try:
            if client.get("/cart/probe-%d" % time.monotonic_ns()).status == 200:
                return time.monotonic()
        except OSError:
            pass
        finally:
            client.close()
        time.sleep(0.02)
    return None


def killed(tap, stack, title, count):
    with Load(stack) as load:
        until(lambda: len(load.answers) > 200, 10)
        for _ in range(2):
            before = stack.processes("app")
            since = time.monotonic()
            for pid in before[:count]:
                deliver(pid, signal.SIGKILL)
            back = first_answer(stack, 3 * WINDOW)
            tap.ok(back and back - since <= WINDOW,
                   title + ": nginx answers within a second",
                   "after %s s" % (back and round(back - since, 2)))
            all_back = until(lambda: len(stack.processes("app")) == len(before), 5)
            tap.ok(all_back, title + ": as many processes as before",
                   [before, stack.processes("app")])
            time.sleep(max(0, since + WINDOW + 0.5 - time.monotonic()))
            late = load.broken(since=since + WINDOW)
            tap.none(late, title + ": nothing fails later than a second")
            wrong = [a for a in load.broken() if a.status not in (502, 503)]
            tap.none(wrong, title + ": until then 502 at worst")
            load.answers.clear()
    load.verify(tap, title)


def six_deaths(tap, stack):
    """multiwatch by itself gives up after the fourth death in ten seconds."""
    count = len(stack.processes("app"))
    for _ in range(6):
        before = stack.processes("app")
        deliver(before[-1], signal.SIGKILL)
        until(lambda: before[-1] not in stack.processes("app"), 5)
        until(lambda: len(stack.processes("app")) == count, 5)
    tap.equal(len(stack.processes("app")), count, "six deaths in a row are made good")
    tap.ok(first_answer(stack, 3 * SLACK), "and nginx answers")


def drained(tap, stack, title, end):
    """A request that is in work when the end comes is answered."""
    stack.client().request("POST", "/cart/slow/add", GOOD)
    path, answers = "/cart/slow/add", []
    before = stack.processes("app")

    def ask():
        try:
            answers.append(stack.client().request("POST", path, GOOD))
        except ConnectionError as e:
            answers.append(e)
    with stack.session() as session:
        session.run("BEGIN")
        session.run("SELECT 1 FROM cart WHERE user_id = 'slow' FOR UPDATE")
        thread = threading.Thread(target=ask)
        thread.start()
        waits = until(lambda: stack.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", 2)
        multiwatch = stack.pid("app")
        end()
        time.sleep(0.2)
        session.run("ROLLBACK")
        thread.join()
    good = waits and [getattr(answer, "status", 0) for answer in answers] == [200]
    tap.ok(good, title + ": a request in work is answered", [str(a) for a in answers])
    gone = until(lambda: not any(start_time(pid) for pid in before), 10)
    tap.ok(gone, title + ": then the processes end", [before, stack.processes("app")])
    if start_time(multiwatch) and stack.processes("app"):
        tap.ok(until(lambda: len(stack.processes("app")) == len(before), 5),
               title + ": others take their place")
    else:
        tap.ok(until(lambda: not start_time(multiwatch), 5),
               title + ": so does multiwatch")
        answer = stack.client().get("/cart/slow")
        tap.ok(answer.status == 502 and answer.code == "bad-gateway", title +
               ": nginx says so, as a problem", str(answer))
        stack.start("app")
    tap.ok(first_answer(stack, 3 * SLACK), title + ": and nginx answers")


def ended_under_load(tap, stack):
    """Processes ended one by one: each answers what comes on the connections it has. Some
    clients leave nginx's connections no rest, others just enough."""
    title = "SIGTERM under load"
    with Load(stack) as busy, Load(stack, workers=12, pause=0.25) as calm:
        for _ in range(4):
            until(lambda: len(busy.answers) > 100, 10)
            before = stack.processes("app")
            deliver(before[0], signal.SIGTERM)
            until(lambda: before[0] not in stack.processes("app") and
                  len(stack.processes("app")) == len(before), 10)
            time.sleep(0.3)
    tap.none(busy.broken() + calm.broken(), title + ": no request fails")
    busy.verify(tap, title)
    calm.verify(tap, title + ", calm")


def ended_beside_idle(tap, stack):
    """A peer that neither asks nor goes away holds up the end for a while only."""
    title = "SIGTERM beside an idle peer"
    idle = []
    for _ in range(8):
        idle.append(socket.socket(socket.AF_UNIX))
        idle[-1].connect(stack.dir + "/fcgi.sock")
    before = stack.processes("app")
    for pid in before:
        deliver(pid, signal.SIGTERM)
    gone = until(lambda: not any(start_time(pid) for pid in before), 9)
    tap.ok(gone, title + ": the processes end", [before, stack.processes("app")])
    for sock in idle:
        sock.close()
    tap.ok(first_answer(stack, 3 * SLACK), title + ": and nginx answers")


def nginx_restarted(tap, stack):
    title = "nginx restarted"
    with Load(stack) as load:
        until(lambda: len(load.answers) > 100, 10)
        stack.kill("nginx")
        stack.start("nginx")
        back = first_answer(stack, 5 * SLACK)
        tap.ok(back, title + ": it answers")
        stack.stop("nginx")
        stack.start("nginx")
        tap.ok(first_answer(stack, 5 * SLACK), title + " again: it answers")
        since = time.monotonic() + 0.2
        until(lambda: sum(a.begin > since for a in load.answers) > 200, 10)
    tap.none([a for a in load.broken() if a.status], title + ": no 5xx of its own")
    tap.none(load.broken(since=since), title + ": all is well afterwards")
    load.verify(tap, title)


def stopped(tap, stack):
    """A process that stands still and goes on has lost nothing."""
    title = "SIGSTOP of a process"
    with Load(stack) as load:
        until(lambda: len(load.answers) > 100, 10)
        pid = stack.processes("app")[0]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)
        since = time.monotonic() + 2 * SLACK
        until(lambda: sum(a.begin > since for a in load.answers) > 200, 10)
    tap.none(load.broken(since=since), title + ": no 5xx after it goes on")
    load.verify(tap, title)
