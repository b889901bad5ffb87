"""What many trials have found, fault by fault, added up and printed."""
import collections

# Of check's columns: those that are added up, and those whose largest value counts.
SUMS = ("ops", "exposed", "violations", "reads_failed", "writes_refused")
LARGEST = ("unavailable_reads_ns", "unavailable_writes_ns", "write_max_ms")

HEAD = ("%-34s %5s %9s %9s %5s %8s %8s %8s %7s %7s" % (
    "", "", "", "", "viola", "no read", "no write", "slowest", "reads", "writes"),
    "%-34s %5s %9s %9s %5s %8s %8s %8s %7s %7s" % (
    "fault", "times", "ops", "exposed", "tions", "for s", "for s", "write s", "failed",
    "refused"))


class Table:
    def __init__(self):
        self.rows = collections.defaultdict(lambda: dict.fromkeys(
            ("times", *SUMS, *LARGEST), 0))
        self.total = dict.fromkeys(SUMS, 0)

    def add(self, windows, verdict):
        """windows: (begin, end, name) of each fault; verdict: check's of their trial."""
        for _, _, name in windows:
            self.rows[name]["times"] += 1
        for name, found in verdict.windows.items():
            row = self.total if name == "total" else self.rows[name]
            for column in SUMS:
                row[column] += found[column]
            if row is not self.total:
                for column in LARGEST:
                    row[column] = max(row[column], found[column])

    def __str__(self):
        lines = list(HEAD)
        for name, row in sorted(self.rows.items()):
            lines.append("%-34s %5d %9d %9d %5d %8.2f %8.2f %8.2f %7d %7d" % (
                name, row["times"], row["ops"], row["exposed"], row["violations"],
                row["unavailable_reads_ns"] / 1e9, row["unavailable_writes_ns"] / 1e9,
                row["write_max_ms"] / 1e3, row["reads_failed"], row["writes_refused"]))
        total = self.total
        lines.append("%-34s %5d %9d %9d %5d" % (
            "all, also between faults", sum(row["times"] for row in self.rows.values()),
            total["ops"], total["exposed"], total["violations"]))
        return "\n".join(lines)

    def too_few(self, faults):
        """The faults, of these, that were not made often enough under readers' eyes."""
        least = {}
        for fault in faults:
            least.setdefault(fault.name, fault.least)
        return ["%s: %d exposed reads, wanted %d" % (name, self.rows[name]["exposed"],
                                                     wanted)
                for name, wanted in least.items()
                if self.rows[name]["exposed"] < wanted]
