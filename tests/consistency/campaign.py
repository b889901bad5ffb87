"""Trials on one stage after the other: what run, chaos and soak have in common."""
import argparse
import os
import random
import re
import threading
import time

from faults import ALL, chosen
from stage import Stage
from table import Table
from trial import Failure, Trial

AUDIT = re.compile(r'^carrito_audit_reads_total\{result="(\w+)"\} (\d+)', re.MULTILINE)
# In that time a history grows to some 50 MB, nginx's access log to 300 MB.
TRIAL_SECONDS = 180


def options(about, flags):
    """The command line that all three have, and flags of one's own: {flag: how}."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seed", type=int, default=None,
                        help="of all choices; printed, so that a run can be repeated")
    parser.add_argument("--variant", default="chaos",
                        help="which build runs: build/VARIANT; chaos")
    parser.add_argument("--redis", metavar="DIR",
                        help="where redis-server and the like are taken from")
    parser.add_argument("--keep", action="store_true", help="keep all files")
    parser.add_argument("faults", nargs="*", metavar="FAULT",
                        help="only faults whose names begin so")
    for flag, how in flags.items():
        parser.add_argument(flag, **how)
    given = parser.parse_args()
    if given.redis:
        os.environ["PATH"] = os.path.abspath(given.redis) + ":" + os.environ["PATH"]
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(1_000_000)
    given.chosen = chosen(given.faults) if given.faults else ALL
    return given


def say(line):
    for part in str(line).splitlines():
        print("# " + part, flush=True)


class Campaign:
    """Adds up what trials on several stages say; report() gives the results."""

    def __init__(self, given, tap):
        self.given = given
        self.tap = tap
        self.chance = random.Random(given.seed)
        self.table = Table()
        self.wanted, self.made = set(), set()
        self.problems = []
        self.bad = []
        self.audit = {"hit": 0, "miss": 0, "stale": 0}
        self.lock = threading.Lock()
        self.ending = False
        self.began = time.monotonic()
        say("seed %d" % given.seed)

    def stage(self, title="", **how):
        """title: what its lines begin with."""
        chance = random.Random(self.chance.random())
        return Stage(self.given.variant, chance, say=lambda line: say(title + line),
                     **how)

    def beside(self, *jobs):
        """Runs functions (with arguments) in threads; all end soon when one finds a
        violation, or this is interrupted."""
        threads = [threading.Thread(target=self.tap.group, args=(job[0].__name__, *job))
                   for job in jobs]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self.ending = True
            for thread in threads:
                thread.join()
            self.ending = False

    def make(self, stage, faults, stop=lambda: False, **shape):
        """Makes these faults (an iterable, maybe without end) on a stage, in as many
        trials as that takes. Ends early when stop() or at the first bad trial."""
        def over():
            return self.ending or self.bad or stop()

        faults = iter(faults)
        fault, good = next(faults, None), True
        while fault and good and not over():
            with Trial(stage, **shape) as trial:
                time.sleep(1)
                while fault and not over():
                    self.wanted.add(fault)
                    if stage.inject(fault, trial):
                        self.made.add(fault)
                    fault = next(faults, None)
                    if trial.age(time.monotonic_ns()) > TRIAL_SECONDS:
                        break
                good = self.judge(stage, trial)
        self.finish(stage)

    def judge(self, stage, trial):
        """Adds what check says of the trial; whether that is good."""
        try:
            verdict = trial.judge()
        except Failure as e:
            self.problems.append(str(e))
            stage.kept = True
            return False
        with self.lock:
            self.table.add(trial.windows, verdict)
        if verdict.status == 0 and not self.given.keep:
            trial.discard()
            stage.cut_logs()
            return True
        stage.kept = True
        if verdict.status:
            self.bad += verdict.violations + [str(dict(verdict.rules))]
            say("\n".join(self.bad))
            say("all of it: %s" % trial.dir)
        return verdict.status == 0

    def finish(self, stage):
        """Takes over what the stage has to tell, before it goes."""
        if stage.problems:
            stage.kept = True
        self.problems += stage.problems
        stage.problems = []
        self.read_audit(stage)

    def read_audit(self, stage):
        """What the keeper itself has seen: see carrito_audit_reads_total."""
        client = stage.stack.client()
        found = dict(AUDIT.findall(client.get("/metrics").body.decode()))
        client.close()
        # Its log names the cart.
        stage.kept = stage.kept or int(found.get("stale", 0)) > 0
        with self.lock:
            for result, number in found.items():
                self.audit[result] += int(number)

    def report(self, least, each=True):
        """The results. least: exposed reads in all; each: of every fault enough, too."""
        say(self.table)
        total = self.table.total
        tap, seconds = self.tap, time.monotonic() - self.began
        tap.none(self.bad, "no violation in %d operations" % total["ops"])
        tap.ok(total["exposed"] >= least,
               "%d exposed reads, %d wanted" % (total["exposed"], least))
        if each:
            tap.none(self.table.too_few(self.wanted),
                     "exposed reads of each of %d faults" % len(self.wanted))
        never = ["%s: never made" % fault.name for fault in self.wanted - self.made]
        tap.none(self.problems + never, "every fault was made and healed")
        tap.ok(self.audit["stale"] == 0 and sum(self.audit.values()) > 0,
               "the keeper's audit saw no stale cart", str(self.audit))
        say("audit: %(hit)d hits, %(miss)d misses, %(stale)d stale" % self.audit)
        say("%.0f s, seed %d" % (seconds, self.given.seed))


def shuffled(chance, faults, times):
    """Each fault that often, those that take long once, in a random order."""
    order = [fault for fault in faults for _ in range(1 if fault.once else times)]
    chance.shuffle(order)
    return order
