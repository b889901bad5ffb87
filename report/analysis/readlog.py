"""Access logs to counts: awk reads each log once, Miller counts what awk has written.

Invariant: every line of a log is counted once, as a request or as unreadable.
"""
import csv
import gzip
import math
import os
import subprocess
import time

AWK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "read-log.awk")
BINS_PER_S = 4
# Seconds that a point of the plots over time may stand for, and how many points.
WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
POINTS = 150
# Phases in which something happens that takes less than a second.
FINER = ("failover",)
# A decimal point is a point, whatever the user's language; and nobody's .mlrrc.
ENV = dict(os.environ, LC_ALL="C", MLRRC="__none__")


class LogError(Exception):
    """Why a log cannot be read, for its user."""


class Counts:
    """What the logs hold. `segments`: {id: dict}; the rest is keyed by them or by phase.

    total, request   {segment: {milliseconds as text: requests}}
    bins             {segment: {bin: requests}}
    series           {(phase, kind): {bin: dict of p50, p99 and max in ms}}
    notes            {kind of note: [fields]}
    """

    def __init__(self):
        self.segments = {}
        self.total, self.request, self.bins, self.series = {}, {}, {}, {}
        self.notes = {}
        self.files = {}
        self.width, self.offset = {}, {}
        self.seconds = 0.0


def check(path):
    """Opens the log to see that it can be; whether it is gzip's."""
    try:
        if os.path.isdir(path):
            raise LogError("%s: is a directory, not an access log" % path)
        with open(path, "rb") as file:
            return file.read(2) == b"\x1f\x8b"
    except FileNotFoundError:
        raise LogError("%s: there is no such file" % path) from None
    except OSError as e:
        raise LogError("%s: %s" % (path, e.strerror)) from None


def read(logs, work, say=lambda text: None):
    """Counts of {phase: path}; `work` is a directory for what is between."""
    counts = Counts()
    begun = time.monotonic()
    for phase, path in logs.items():
        packed = check(path)
        counts.files[phase] = path
        awk_log(path, packed, phase, work)
        read_notes(os.path.join(work, phase + ".notes"), counts)
    say("%d lines read in %.1f s" % (total_lines(counts), time.monotonic() - begun))
    for note in counts.notes.get("segment", []):
        phase, name, kind, route, cache, node, status, asked = note
        counts.segments[name] = {
            "phase": phase, "kind": kind, "route": route, "cache": cache, "node": node,
            "class": status, "db": asked == "1"}
    for phase in logs:
        counts.width[phase] = width_of(counts, phase)
        counts.offset[phase] = offset_of(counts, phase)
        if any(each["phase"] == phase for each in counts.segments.values()):
            miller(counts, phase, work)
    counts.seconds = time.monotonic() - begun
    return counts


def total_lines(counts):
    return sum(int(note[1]) for note in counts.notes.get("lines", []))


def awk_log(path, packed, phase, work):
    """Writes PHASE.tsv and PHASE.notes."""
    notes = os.path.join(work, phase + ".notes")
    command = ["mawk", '-F"', "-v", "phase=" + phase, "-v", "notes=" + notes, "-f", AWK]
    with open(os.path.join(work, phase + ".tsv"), "wb") as out:
        if not packed:
            # By standard input: as an argument a path with = would be an assignment.
            with open(path, "rb") as file:
                code = subprocess.run(command, stdin=file, stdout=out, env=ENV,
                                      check=False).returncode
        else:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out,
                                       env=ENV)
            try:
                with gzip.open(path, "rb") as file:
                    while block := file.read(1 << 20):
                        process.stdin.write(block)
            except (OSError, EOFError) as e:
                raise LogError("%s: not a whole gzip file: %s" % (path, e)) from None
            finally:
                process.stdin.close()
                code = process.wait()
    if code:
        raise LogError("%s: mawk ended with %d" % (path, code))


def read_notes(path, counts):
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            kind, *fields = line.rstrip("\n").split("\t")
            counts.notes.setdefault(kind, []).append(fields)


def width_of(counts, phase):
    """Seconds for a point over time, so that there are not too many."""
    for name, t0, first, last in counts.notes.get("span", []):
        if name == phase:
            span = float(last) - float(first)
            if name in FINER and span <= POINTS:
                return 1 / BINS_PER_S
            for width in WIDTHS:
                if span / width <= POINTS:
                    return width
            return round(span / POINTS)
    return WIDTHS[0]


def offset_of(counts, phase):
    """Quarters of a second from awk's zero, the first line's second, to the earliest
    request: lines are in the order in which nginx's processes wrote their buffers."""
    for name, t0, first, _ in counts.notes.get("span", []):
        if name == phase:
            return math.floor((float(first) - float(t0)) * BINS_PER_S)
    return 0


def miller(counts, phase, work):
    """Four questions to one file, two at a time: this is for machines with two cores."""
    every = round(counts.width[phase] * BINS_PER_S)
    coarser = ["put", "$bin = ($bin - %d) // %d" % (counts.offset[phase], every), "then"]
    questions = [
        ["stats1", "-a", "p50,p99,max", "-f", "total_ms", "-g", "part,bin"],
        ["count-distinct", "-f", "segment,total_ms"],
        ["count-distinct", "-f", "segment,bin"],
        ["count-distinct", "-f", "segment,request_ms"]]
    questions[0] = coarser + questions[0]
    questions[2] = coarser + questions[2]
    tables = [None] * len(questions)
    for first in (0, 2):
        begun = [start_miller(q, phase, work) for q in questions[first:first + 2]]
        for i, process in enumerate(begun):
            tables[first + i] = list(csv.DictReader(process.stdout, delimiter="\t",
                                                    quoting=csv.QUOTE_NONE))
            if process.wait():
                raise LogError("mlr ended with %d" % process.returncode)
    for row in tables[0]:
        if row.get("total_ms_max"):
            kind = row["part"].partition("/")[2]
            counts.series.setdefault((phase, kind), {})[int(row["bin"])] = {
                name: float(row["total_ms_" + name]) for name in ("p50", "p99", "max")}
    for table, into, field in ((tables[1], counts.total, "total_ms"),
                               (tables[2], counts.bins, "bin"),
                               (tables[3], counts.request, "request_ms")):
        for row in table:
            if row[field] != "":
                key = int(row[field]) if field == "bin" else float(row[field])
                into.setdefault(row["segment"], {})[key] = int(row["count"])


def start_miller(question, phase, work):
    # Lite: without escapes, of which there are none, a third faster.
    return subprocess.Popen(
        ["mlr", "--tsvlite", "--from", os.path.join(work, phase + ".tsv"), *question],
        stdout=subprocess.PIPE, text=True, env=ENV)
