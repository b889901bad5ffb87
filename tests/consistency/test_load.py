"""The load against a server that is good or lies, with the checker behind it."""
import collections
import os
import random
import signal
import subprocess
import threading
import time

import checker
from liar import Server

Op = collections.namedtuple(
    "Op", "kind begin end cart status version cache node units hash id")


class Run:
    """One load: its history as Ops, its totals, and what the checker says of it."""

    def __init__(self, directory, server, *args, end=None, prefix="p"):
        self.history = os.path.join(directory, "history")
        command = [os.path.join(checker.PROGRAMS, "load"), "--out", self.history,
                   "--address", "127.0.0.1:%d" % server.port, "--prefix", prefix,
                   "--seed", "5", *args]
        self.begin = time.monotonic_ns()
        process = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if end:
            timer = threading.Timer(0.5, process.send_signal, [end])
            timer.start()
        self.output, self.errors = process.communicate()
        self.end = time.monotonic_ns()
        self.status = process.returncode
        self.totals = {name: float(value) for name, value in
                       (word.split("=") for word in self.output.split())}
        with open(self.history) as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        self.ops = [Op(row[0], int(row[1]), int(row[2]), row[3], int(row[4]), int(row[5]),
                       row[6], row[7], int(row[8]), row[9], row[10]) for row in rows]
        final = os.path.join(directory, "final")
        with open(final, "w") as file:
            for cart, state in server.final().items():
                if cart.startswith(prefix + "-"):
                    file.write("%s\t%d\t%d\n" % (cart, *state))
        self.verdict = checker.check(self.history, final)

    def writes(self):
        return [op for op in self.ops if op.kind == "w"]


def sometimes(kind, words, share, seed=1):
    """A tamperer: for this share of reads (r), writes (w) or both one of the words."""
    rng = random.Random(seed)
    lock = threading.Lock()

    def tamper(what, cart):
        with lock:
            return rng.choice(words) if what in kind and rng.random() < share else None
    return tamper


def plain(tap, directory):
    with Server() as server:
        run = Run(directory, server, "--seconds", "1", "--carts", "7", "--readers", "4",
                  "--writers", "2")
        tap.ok(run.status == 0 and run.verdict.status == 0, "a good server passes",
               run.errors + run.verdict.output)
        t = run.totals
        tap.equal((t["operations"], t["reads"], t["writes"], t["hits"], t["repeated"],
                   t["status_200"] + t["status_201"], t["malformed"]),
                  (len(run.ops), len(run.ops) - len(run.writes()), len(run.writes()),
                   len(run.ops), 0, len(run.ops), 0), "the totals are the history's")
        tap.equal(len(server.requests), len(run.ops), "each request is noted")
        tap.ok(all(run.begin <= op.begin < op.end <= run.end for op in run.ops),
               "the clock is CLOCK_MONOTONIC")
        tap.equal({(op.cart, op.version, op.units) for op in run.writes()},
                  {(cart, n, n) for cart, (version, _) in server.final().items()
                   for n in range(1, version + 1)}, "every write has made a version")
        tap.equal({op.cart for op in run.ops}, {"p-%d" % n for n in range(7)},
                  "all carts are read and written")
        tap.equal({op.node for op in run.ops}, {"replica-1", "replica-2"},
                  "the nodes are noted")
        posts = [request for request in server.requests if request[0] == "POST"]
        keyed = [headers["idempotency-key"] for _, _, headers, _ in posts
                 if "idempotency-key" in headers]
        tap.ok(len(posts) * 0.4 < len(keyed) < len(posts) * 0.6 and
               len(set(keyed)) == len(keyed),
               "half of the writes have a key of their own")
        tap.equal(len({body for _, _, _, body in posts}), len(posts),
                  "each write gives a name of its own")
        written = exposed = 0
        for op in sorted(run.ops, key=lambda op: op.begin):
            if op.kind == "w":
                latest, written = op.cart, written + 1
            elif written:
                exposed += op.cart == latest
        tap.ok(exposed > 0.4 * (len(run.ops) - written),
               "half of the reads go to the cart written last",
               "%d of %d" % (exposed, len(run.ops) - written))


def faults(tap, directory):
    """Everything that may go wrong without a promise being broken."""
    words = ["refused", "overloaded", "unknown", "unknown-done", "gateway",
             "gateway-done", "drop", "drop-done", "half", "close"]
    with Server(sometimes("rw", words, 0.2)) as server:
        run = Run(directory, server, "--seconds", "2", "--carts", "5", "--readers", "6",
                  "--writers", "12")
        tap.ok(run.status == 0 and run.verdict.status == 0,
               "faults without a lie pass", run.errors + run.verdict.output)
        tap.equal({op.status for op in run.ops}, {0, 200, 201, 502, 503, 504},
                  "each outcome is noted")
        keyed = [op for op in run.writes() if op.id.startswith("k")]
        tap.ok(len(keyed) > 20 and not [op for op in keyed if op.version < 0],
               "a write with a key is repeated until its outcome is known")
        tap.equal({op.status for op in keyed}, {200, 201, 503},
                  "its status is that of the last answer")
        tap.ok(run.totals["repeated"] > 10 and
               any(op.end - op.begin > 50e6 and op.version > 0 for op in keyed),
               "and it is one operation, with its repetitions", run.output)
        bare = [op for op in run.writes() if op.id.startswith("w")]
        tap.equal({(op.status, op.version) for op in bare if op.version < 1},
                  {(503, 0), (503, -1), (502, -1), (504, -1), (0, -1)},
                  "without a key an unknown outcome stays so, and a refusal is one")
        tap.ok(all(op.version == -1 for op in run.ops
                   if op.kind == "r" and op.status != 200),
               "a failed read has no version")
        got = run.verdict.windows["total"]
        tap.equal((got["writes_unknown"], got["writes_refused"], got["reads_failed"]),
                  (len([op for op in run.writes() if op.version < 0]),
                   len([op for op in run.writes() if op.version == 0]),
                   len([op for op in run.ops if op.kind == "r" and op.status != 200])),
                  "the checker counts them")


LIES = (
    ("old answers", "r", "old", {"stale-read"}),
    ("acknowledged writes without an effect", "w", "forget", {"content", "lost-write",
                                                              "duplicate-version"}),
    ("writes with two effects", "w", "twice", {"unexplained-version"}),
    ("another cart's answer", "rw", "other-cart", {"malformed", "content"}),
    ("answers without an ETag", "rw", "no-etag", {"malformed", "unexplained-version"}),
    ("an ETag that is not the body's", "r", "other-etag", {"malformed"}),
    ("other bodies", "r", "other-body", {"content"}),
    ("404", "rw", "missing", {"unexpected-status"}),
    ("500", "rw", "error", {"unexpected-status"}),
)


def lies(tap, directory):
    for title, kind, word, rules in LIES:
        with Server(sometimes(kind, [word], 0.05)) as server:
            run = Run(directory, server, "--seconds", "0.4", "--carts", "3", "--readers",
                      "4", "--writers", "4")
        found = set(run.verdict.rules)
        tap.ok(run.verdict.status == 1 and found & rules, "a lie is noticed: " + title,
               run.verdict.output)


def ends(tap, directory):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server(sometimes("rw", ["slow"], 0.3)) as server:
            run = Run(directory, server, "--seconds", "0", end=number)
            tap.ok(run.status == 0 and run.verdict.status == 0 and
                   {op.status for op in run.ops} == {200, 201} and
                   len(server.requests) == len(run.ops),
                   "%s: what is under way is waited for and noted" % number.name,
                   run.errors + run.verdict.output)
    with Server() as server:
        pass
    run = Run(directory, server, "--seconds", "1", "--readers", "2", "--writers", "2")
    tap.ok({(op.status, op.version) for op in run.ops} == {(0, -1), (0, 0)} and
           20 < len(run.ops) < 450, "nobody listens: no effect, and no rush",
           run.output + run.errors)
    with Server(sometimes("rw", ["chunked"], 1)) as server:
        run = Run(directory, server, "--seconds", "0.3", "--readers", "2",
                  "--writers", "0")
        tap.equal({op.status for op in run.ops}, {0},
                  "an answer without a length is none")


def options(tap, directory):
    with Server() as server:
        run = Run(directory, server, "--seconds", "1", "--rate", "300", "--readers", "4",
                  "--writers", "2")
        tap.ok(200 <= len(run.ops) <= 310, "--rate", "%d in 1 s" % len(run.ops))
        run = Run(directory, server, "--seconds", "1", "--think-us", "20000", "--readers",
                  "4", "--writers", "0", prefix="q")
        tap.ok(100 <= len(run.ops) <= 204, "--think-us", "%d in 1 s" % len(run.ops))
        run = Run(directory, server, "--seconds", "1", "--carts", "2", "--readers", "1",
                  "--writers", "2", "--cart-writes", "20", "--rate", "300", prefix="z")
        versions = [state[0] for cart, state in server.final().items()
                    if cart.startswith("z-")]
        tap.ok(len(versions) > 4 and max(versions) == 20 and run.verdict.status == 0,
               "--cart-writes: full carts are replaced", "%r" % versions)
        load = os.path.join(checker.PROGRAMS, "load")
        for args in ([], ["--address", "127.0.0.1:1"], ["--carts", "0"],
                     ["--carts", "1x"], ["--seconds", "-1"],
                     ["--nonsense"], ["--address", "nowhere:1", "--out", os.devnull],
                     ["--address", "127.0.0.1:1", "--out", "/nowhere/x"],
                     ["--address", "127.0.0.1:1", "--out", os.devnull,
                      "--prefix", "a/b"]):
            done = subprocess.run([load, *args], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            tap.equal(done.returncode, 2, "not started: load " + " ".join(args))
    with Server() as server:
        run = Run(directory, server, "--seconds", "1.5", "--progress", "--rate", "100")
        tap.ok("requests/s" in run.errors, "--progress", run.errors)


def run(tap, directory):
    tap.group("plain", plain, tap, directory)
    tap.group("faults", faults, tap, directory)
    tap.group("lies", lies, tap, directory)
    tap.group("ends", ends, tap, directory)
    tap.group("options", options, tap, directory)
