"""A trial: one load with one history, windows for the faults made meanwhile, a verdict.

Histories grow by some megabytes a second, so a long run is many trials, and what they
found is added up in a Table.
"""
import os
import shutil
import signal
import subprocess
import time
import uuid

from checker import PROGRAMS, check
from lib.stack import until

# Of all that the load has written: cart, version, units.
FINAL = ("COPY (SELECT c.user_id, c.version, coalesce(sum(i.quantity), 0) FROM cart AS c"
         " LEFT JOIN cart_item AS i USING (user_id) WHERE c.user_id LIKE '%s%%'"
         " GROUP BY c.user_id, c.version) TO STDOUT")
# Sessions that are in the middle of something, but for this one.
BUSY = ("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()")


class Failure(Exception):
    """A trial that could not be judged."""


class Trial:
    """Use it with `with`: the load runs inside."""

    def __init__(self, stage, carts=80, readers=72, writers=16, rate=4000):
        self.stage = stage
        self.dir = os.path.join(stage.dir, "trial-" + uuid.uuid4().hex[:6])
        self.prefix = os.path.basename(self.dir) + "-"
        self.shape = {"carts": carts, "readers": readers, "writers": writers,
                      "rate": rate}
        self.windows = []

    def __enter__(self):
        os.mkdir(self.dir)
        command = [os.path.join(PROGRAMS, "load"), "--address",
                   "%s:%d" % self.stage.stack.address, "--seconds", "0",
                   "--prefix", self.prefix, "--out", self.path("history")]
        for name, value in self.shape.items():
            command += ["--" + name, str(value)] if value else []
        with open(self.path("load.log"), "w") as log:
            self.load = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log)
        self.began = time.monotonic_ns()
        return self

    def __exit__(self, *unused):
        self.end_load()

    def path(self, name):
        return os.path.join(self.dir, name)

    def age(self, ns):
        return (ns - self.began) / 1e9

    def window(self, name, begin_ns, end_ns):
        if self.load.poll() is not None:
            raise Failure("the load has ended: " + self.said("load.log"))
        self.windows.append((begin_ns, end_ns, name))

    def end_load(self):
        if self.load.poll() is None:
            self.load.send_signal(signal.SIGTERM)
            try:
                self.load.wait(30)
            except subprocess.TimeoutExpired:
                self.load.kill()
                self.load.wait()

    def said(self, name):
        with open(self.path(name), errors="replace") as file:
            return file.read()[-2000:].strip()

    def judge(self):
        """Ends the load and has its history checked; the checker.Verdict."""
        self.end_load()
        if self.load.returncode:
            raise Failure("load ended with %d: %s" % (self.load.returncode,
                                                      self.said("load.log")))
        self.write_final()
        with open(self.path("windows"), "w") as file:
            for begin, end, name in self.windows:
                file.write("%d\t%d\t%s\n" % (begin, end, name))
        verdict = check(self.path("history"), self.path("final"), self.path("windows"))
        with open(self.path("verdict"), "w") as file:
            file.write(verdict.output)
        if verdict.status not in (0, 1) or "total" not in verdict.windows:
            raise Failure("check ended with %d: %s" % (verdict.status,
                                                       verdict.output[-2000:]))
        return verdict

    def write_final(self):
        """Once nothing can change any more: some writes outlive their answers."""
        stack = self.stage.stack
        if not until(lambda: stack.value(BUSY) == "0", 10, 0.2):
            raise Failure("sessions of the service do not come to rest")
        with open(self.path("final"), "w") as file:
            for row in stack.psql(FINAL % self.prefix):
                file.write("\t".join(row) + "\n")

    def discard(self):
        shutil.rmtree(self.dir, ignore_errors=True)
