"""How long a fault is felt: each figure that is promised, measured, with its criterion.

Samples come from clients of this process, a few hundred requests a second, each with all
that its answer said; the load beside them keeps the service at work, and its history is
judged like any other.
"""
import collections
import statistics
import threading
import time

from lib.stack import until
from trial import Trial

# times are time.monotonic(); status 0: no answer. retry: has Retry-After.
Sample = collections.namedtuple("Sample", "begin end write status code hit retry")

DEADLINE = 1.0 + 2.0  # PG_POOL_WAIT_MS and PG_TIMEOUT_MS of the stage
BIN = 0.1
GOOD = {"product_id": 1, "name": "n", "price": 1}


class Sampler:
    """Runs as long as the `with` block; samples holds what was answered."""

    def __init__(self, stack, readers=4, writers=8, carts=16, pause=0.01):
        self.stack = stack
        self.paths = ["/cart/sample-%d-%d" % (time.monotonic_ns(), i)
                      for i in range(carts)]
        self.pause = pause
        self.samples = []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(i, i < writers))
                        for i in range(readers + writers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def work(self, number, write):
        client = self.stack.client(timeout=12)
        while not self.ending.wait(self.pause):
            path = self.paths[number % len(self.paths)]
            number += 1
            begin = time.monotonic()
            try:
                answer = (client.request("POST", path + "/add", GOOD) if write else
                          client.get(path))
                rest = (answer.status, answer.code if answer.status >= 400 else None,
                        answer.header("X-Cache") == "HIT",
                        answer.header("Retry-After") is not None)
            except OSError:
                rest = (0, None, False, False)
            self.samples.append(Sample(begin, time.monotonic(), write, *rest))
            # A line takes 999 units at most.
            if write and rest[0] == 422:
                client.request("POST", path + "/clear")

    def of(self, begin, end, write=None):
        """The samples that were under way in that time."""
        return [s for s in list(self.samples) if s.end >= begin and s.begin <= end
                and write in (None, s.write)]


class Figures:
    """Prints each figure with its criterion, as a result."""

    def __init__(self, tap, campaign):
        self.tap = tap
        self.campaign = campaign

    def say(self, title, figure, good, criterion, detail=""):
        self.tap.ok(good, "%s: %s (%s)" % (title, figure, criterion), detail)

    def none(self, title, what, samples):
        """No sample is like that."""
        shown = collections.Counter((s.status, s.code) for s in samples)
        self.say(title, "%d %s" % (len(samples), what), not samples, "none", str(shown))

    def measure(self, stage, title, function):
        """A trial with a sampler, a second of quiet first, and the fault mended."""
        with Trial(stage, rate=800, readers=8, writers=4) as trial:
            with Sampler(stage.stack) as sampler:
                time.sleep(3)
                try:
                    function(self, stage, sampler, title)
                finally:
                    stage.mend()
                    stage.recover()
            self.campaign.judge(stage, trial)


def failures(samples):
    return [s for s in samples if s.status == 0 or s.status >= 500]


def median_of_writes(samples):
    times = [s.end - s.begin for s in samples if s.write]
    return statistics.median(times) if times else float("inf")


def slower_for(sampler, begin, end, normal):
    """Seconds in which the median of the writes begun then was above `normal`."""
    bins = collections.defaultdict(list)
    for sample in sampler.of(begin, end, write=True):
        bins[int((sample.begin - begin) / BIN)].append(sample)
    return BIN * sum(median_of_writes(samples) > normal for samples in bins.values())


def replica_lost(context, seconds=8):
    """context: makes a context of stage and part, in which the replica is lost."""
    def run(figures, stage, sampler, title):
        before = median_of_writes(sampler.of(time.monotonic() - 2, time.monotonic()))
        with context(stage, stage.replicas()[0].part):
            begin = time.monotonic()
            stage.wait(seconds)
            end = time.monotonic()
        time.sleep(0.5)
        slow = slower_for(sampler, begin, end, 3 * before)
        later = median_of_writes([s for s in sampler.of(begin + 3, end)
                                  if s.begin >= begin + 3])
        figures.say(title, "writes slower for %.1f s" % slow, slow <= 3,
                    "at most 3 s above three times the median before")
        figures.say(title, "then %.2f ms, before %.2f ms" % (later * 1e3, before * 1e3),
                    later <= 3 * before, "normal speed after 3 s")
        figures.none(title, "answers of 5xx", failures(sampler.of(begin, end)))
    return run


def master_lost(context):
    def run(figures, stage, sampler, title):
        old = stage.master()
        others = [node for node in stage.nodes if node is not old]
        with context(stage, old.part):
            begin = time.monotonic()
            if not until(lambda: any(n.is_master() for n in others), 20, 0.01):
                raise RuntimeError("Sentinel promoted nobody")
            promotion = time.monotonic()
            stage.wait(3)
            end = time.monotonic()
        time.sleep(0.5)
        hits = [s.end for s in sampler.of(promotion, end, write=False)
                if s.hit and s.begin >= promotion]
        back = min(hits, default=float("inf")) - promotion
        figures.say(title, "hits back %.2f s after the promotion" % back, back <= 1,
                    "at most 1 s; promoted %.1f s after the loss" % (promotion - begin))
        reads = [s for s in sampler.of(promotion + 1, end, write=False)
                 if s.begin >= promotion + 1]
        share = sum(s.hit for s in reads) / max(1, len(reads))
        figures.say(title, "%.0f %% of reads are hits then" % (100 * share), share > 0.3,
                    "a third, beside writes to the same carts")
        figures.none(title, "reads that failed",
                     [s for s in sampler.of(begin, end, write=False) if s.status != 200])
        writes = sampler.of(begin, end, write=True)
        figures.none(title, "writes neither done nor 503 with Retry-After", [
            s for s in writes if s.status not in (200, 201)
            and not (s.status == 503 and s.retry)])
        refused = sum(s.status == 503 for s in writes)
        figures.tap.note("%s: %d of %d writes got 503" % (title, refused, len(writes)))
    return run


def redis_gone(figures, stage, sampler, title):
    begin = time.monotonic()
    with stage.dead(*[node.part for node in stage.nodes]):
        stage.wait(4)
    stage.recover()
    figures.none(title, "answers of 5xx until all was back",
                 failures(sampler.of(begin, time.monotonic())))


def postgres_gone(context, seconds=4):
    def run(figures, stage, sampler, title):
        with context(stage, "postgres"):
            begin = time.monotonic()
            stage.wait(seconds)
            end = time.monotonic()
        until(lambda: answers(stage), 30, 0.005)
        back = time.monotonic()
        time.sleep(3)
        during = [s for s in sampler.of(begin, end) if s.begin >= begin]
        slowest = max(s.end - s.begin for s in during)
        figures.say(title, "answers within %.2f s" % slowest, slowest <= DEADLINE + 0.1,
                    "PG_POOL_WAIT_MS + PG_TIMEOUT_MS = %.0f s, and 0.1 s" % DEADLINE)
        figures.none(title, "failures other than 503",
                     [s for s in failures(during) if s.status != 503])
        figures.none(title, "503 without Retry-After, but for outcome-unknown", [
            s for s in failures(during) if s.status == 503 and not s.retry
            and s.code != "outcome-unknown"])
        resumed = min((s.end for s in sampler.of(back, back + 3, write=True)
                       if s.status in (200, 201)), default=float("inf")) - back
        figures.say(title, "writes resume after %.2f s" % max(0, resumed), resumed <= 2,
                    "at most 2 s after its return")
    return run


def answers(stage):
    try:
        return stage.stack.value("SELECT 1") == "1"
    except RuntimeError:
        return False


def run(tap, campaign):
    figures = Figures(tap, campaign)
    stopped, dead = (lambda stage, part: stage.stopped(part),
                     lambda stage, part: stage.dead(part))
    with campaign.stage() as stage:
        for title, function in (
                ("replica killed", replica_lost(dead)),
                ("replica stopped", replica_lost(stopped)),
                ("Redis all gone", redis_gone),
                ("PostgreSQL killed", postgres_gone(dead)),
                ("PostgreSQL stopped", postgres_gone(stopped))):
            tap.group(title, figures.measure, stage, title, function)
        campaign.finish(stage)
    with campaign.stage(sentinel=True) as stage:
        for title, function in (
                ("master killed, Sentinel", master_lost(dead)),
                ("master stopped, Sentinel", master_lost(stopped))):
            tap.group(title, figures.measure, stage, title, function)
        campaign.finish(stage)
