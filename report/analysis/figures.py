"""Figures from counts: what both languages, the plots and the tests have in common.

All of it is plain data, as it is written to figures.json. Times are milliseconds.
"""
import math
import os

from analysis import readlog

QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))
CACHES = ("HIT", "MISS", "BYPASS")
# The histograms' columns: so many to a decade of time.
STEPS = 16
# A distribution's curve: shares of the requests, closer together at both ends.
CURVE = ([i / 1000 for i in range(1, 10)] + [i / 100 for i in range(1, 100)] +
         [0.991, 0.993, 0.995, 0.997, 0.999, 0.9993, 0.9997, 0.9999, 1])


def percentile(values, share):
    """The smallest value that `share` of the requests do not exceed. values: sorted
    [(value, requests)]."""
    total = sum(n for _, n in values)
    wanted = max(1, math.ceil(share * total - 1e-9))
    for value, n in values:
        wanted -= n
        if wanted <= 0:
            return value
    return None


def merged(tables):
    """One sorted [(value, requests)] of several {value: requests}."""
    both = {}
    for table in tables:
        for value, n in table.items():
            both[value] = both.get(value, 0) + n
    return sorted(both.items())


def summary(values):
    """None without a value."""
    if not values:
        return None
    total = sum(n for _, n in values)
    found = {"n": total, "mean": sum(v * n for v, n in values) / total,
             "max": values[-1][0]}
    for name, share in QUANTILES:
        found[name] = percentile(values, share)
    return found


def curve(values):
    """[(milliseconds, share of requests)], some hundred points at most."""
    points = []
    total = sum(n for _, n in values)
    sums, below = [], 0
    for value, n in values:
        below += n
        sums.append((value, below))
    at = 0
    for share in CURVE:
        wanted = max(1, math.ceil(share * total - 1e-9))
        while sums[at][1] < wanted:
            at += 1
        points.append((sums[at][0], sums[at][1] / total))
    return sorted(set(points))


def histogram(values, whole):
    """[(from, to, share of `whole`)], without the empty columns."""
    columns = {}
    for value, n in values:
        # Faster than the program's clock can tell.
        step = math.floor(math.log10(max(value, 0.001)) * STEPS + 1e-9)
        columns[step] = columns.get(step, 0) + n
    return [(10 ** (step / STEPS), 10 ** ((step + 1) / STEPS), n / whole)
            for step, n in sorted(columns.items())]


class Phase:
    """The counts of one phase, chosen by what its segments are."""

    def __init__(self, counts, name):
        self.counts, self.name = counts, name
        self.segments = {key: each for key, each in counts.segments.items()
                         if each["phase"] == name}

    def chosen(self, **wanted):
        return [key for key, each in self.segments.items()
                if all(each[name] == value for name, value in wanted.items())]

    def requests(self, **wanted):
        return sum(sum(self.counts.bins.get(key, {}).values())
                   for key in self.chosen(**wanted))

    def values(self, which, **wanted):
        table = self.counts.total if which == "total" else self.counts.request
        return merged(table.get(key, {}) for key in self.chosen(**wanted))

    def over_time(self, **wanted):
        return dict(merged(self.counts.bins.get(key, {})
                           for key in self.chosen(**wanted)))

    def latency(self, **wanted):
        return {"total": summary(self.values("total", **wanted)),
                "request": summary(self.values("request", **wanted))}

    def names(self, field):
        return sorted({each[field] for each in self.segments.values()})


def note_of(counts, kind, phase):
    return [fields[1:] for fields in counts.notes.get(kind, []) if fields[0] == phase]


def of_phase(counts, name):
    phase = Phase(counts, name)
    lines, read, unreadable, other_format = map(int, note_of(counts, "lines", name)[0])
    found = {
        "file": os.path.basename(counts.files[name]), "lines": lines,
        "requests": read, "unreadable": unreadable, "other_format": other_format,
        "reasons": sorted(([int(n), why] for n, why in note_of(counts, "reason", name)),
                          key=lambda each: (-each[0], each[1])),
        "unreadable_lines": [[int(n), why, text] for n, why, text in
                             note_of(counts, "unreadable", name)],
        "statuses": sorted([status, int(n)] for status, n in
                           note_of(counts, "status", name)),
        "failed": sorted(([int(n), *what] for n, *what in
                          note_of(counts, "failed", name)),
                         key=lambda each: (-each[0], each[1:]))[:10],
        "slow": sorted(([float(ms), float(at), *what] for ms, at, *what in
                        note_of(counts, "slow", name)), reverse=True),
        "span": None}
    span = note_of(counts, "span", name)
    if not span:
        return found
    t0, first, last = map(float, span[0])
    t0 += counts.offset[name] / readlog.BINS_PER_S
    found["span"] = {"t0": t0, "first": first, "last": last, "seconds": last - first}
    found.update(reads_of(phase), writes=phase.requests(kind="write"),
                 other=phase.requests(kind="other"),
                 errors_4xx=phase.requests(**{"class": "4xx"}),
                 errors_5xx=phase.requests(**{"class": "5xx"}),
                 database=phase.requests(db=True),
                 rate=read / max(last - first, 0.001))
    found["latency"] = {"reads": phase.latency(kind="read"),
                        "writes": phase.latency(kind="write")}
    for cache in CACHES:
        found["latency"][cache] = phase.latency(kind="read", cache=cache)
    found["routes"] = [
        {"route": route, "cache": cache, **phase.latency(route=route, cache=cache),
         "n": phase.requests(route=route, cache=cache)}
        for route in phase.names("route") for cache in (*CACHES, "-")
        if phase.requests(route=route, cache=cache)]
    found["spent"] = {kind + " " + cache: {
        "n": int(n), "app": float(app) / int(n), "redis": float(redis) / int(n),
        "db": float(db) / int(n)}
        for kind, cache, n, app, redis, db in note_of(counts, "spent", name)}
    found.update(shapes_of(phase))
    found["series"] = series_of(phase, t0)
    return found


def reads_of(phase):
    """Reads are GETs of carts; those that were refused have no cache state."""
    found = {cache.lower(): phase.requests(kind="read", cache=cache) for cache in CACHES}
    answered = sum(found.values())
    found["reads"] = answered
    found["reads_refused"] = phase.requests(kind="read", cache="-")
    found["hit_ratio"] = found["hit"] / answered if answered else None
    found["nodes"] = {node: phase.requests(kind="read", node=node)
                      for node in phase.names("node")
                      if node != "-" and phase.requests(kind="read", node=node)}
    found["hits_of"] = {node: phase.requests(kind="read", node=node, cache="HIT")
                        for node in found["nodes"]}
    found["reads_database"] = phase.requests(kind="read", db=True)
    return found


def shapes_of(phase):
    """Distributions of the program's own time, of reads by cache state."""
    everything = phase.values("total", kind="read")
    whole = sum(n for _, n in everything)
    found = {"cdf": {}, "histogram": {}}
    for cache in CACHES:
        values = phase.values("total", kind="read", cache=cache)
        if values:
            found["cdf"][cache] = curve(values)
            found["histogram"][cache] = histogram(values, whole)
    if everything:
        found["cdf"]["reads"] = curve(everything)
        found["histogram"]["reads"] = histogram(everything, whole)
    return found


def series_of(phase, t0):
    """Points over time: requests per second, by what they were; latencies."""
    width = phase.counts.width[phase.name]
    lines = {"writes": phase.over_time(kind="write"),
             "other": phase.over_time(kind="other"),
             "errors": phase.over_time(**{"class": "5xx"}),
             "refused": phase.over_time(kind="read", cache="-")}
    for cache in CACHES:
        lines[cache] = phase.over_time(kind="read", cache=cache)
    for node in phase.names("node"):
        if node != "-":
            lines["hits " + node] = phase.over_time(kind="read", cache="HIT", node=node)
    used = {bin for line in lines.values() for bin in line}
    last = max(used)
    first = min(used)
    # Seconds without a request are points too, unless the log has years of them.
    bins = range(first, last + 1) if last - first <= 2000 else sorted(used)
    found = {"width": width, "t0": t0, "t": [round(bin * width, 3) for bin in bins],
             "rate": {name: [line.get(bin, 0) / width for bin in bins]
                      for name, line in lines.items() if line}}
    found["latency"] = {
        kind: [[round(bin * width, 3), each["p50"], each["p99"], each["max"]]
               for bin, each in sorted(table.items())]
        for (name, kind), table in phase.counts.series.items()
        if name == phase.name and kind != "other"}
    return found


def compare(phases):
    """With the cache against without it."""
    if not all(name in phases and phases[name].get("reads") for name in ("on", "off")):
        return None
    on, off = phases["on"], phases["off"]
    found = {"times": {}}
    for name in [name for name, _ in QUANTILES] + ["mean"]:
        a, b = (each["latency"]["reads"]["total"][name] for each in (on, off))
        found["times"][name] = b / a if a else None
    hit = on["latency"]["HIT"]["total"]
    found["hit_times"] = off["latency"]["reads"]["total"]["p50"] / hit["p50"] \
        if hit and hit["p50"] else None
    found["reads_saved"] = 1 - (on["reads_database"] / on["reads"]) / (
        off["reads_database"] / off["reads"]) if off["reads_database"] else None
    return found


def of_counts(counts, logs):
    phases = {name: of_phase(counts, name) for name in logs}
    lines = sum(each["lines"] for each in phases.values())
    return {"phases": phases, "compare": compare(phases),
            "lines": lines, "requests": sum(p["requests"] for p in phases.values()),
            "unreadable": sum(p["unreadable"] for p in phases.values()),
            "read_seconds": counts.seconds,
            "lines_per_second": lines / max(counts.seconds, 0.001)}
