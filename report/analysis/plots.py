"""Plots by gnuplot, as SVG: {name: text} for a page, where they take its colours of text
and paper, and files with a white ground for elsewhere.

HIT, MISS and BYPASS have one colour each everywhere, of Okabe and Ito's palette, which
is told apart also by those who do not see all colours; so have the nodes.
"""
import re
import subprocess
from xml.sax.saxutils import escape

from analysis.readlog import ENV
from analysis.values import Values

COLOURS = {"HIT": "#009E73", "MISS": "#E69F00", "BYPASS": "#0072B2", "reads": "#888888",
           "writes": "#CC79A7", "other": "#999999", "errors": "#D55E00",
           "refused": "#D55E00",
           "with": "#009E73", "without": "#0072B2",
           "replica-1": "#009E73", "replica-2": "#8ADBC2", "master": "#F0E442",
           "app": "#999999", "redis": "#D55E00", "db": "#0072B2",
           "p50": "#0072B2", "p99": "#E69F00", "max": "#D55E00"}
LINES = "#80808060"

HEAD = """
set terminal svg size %(width)d,%(height)d dynamic noenhanced font 'sans-serif,14' \
linewidth 1.2
set encoding utf8
set border 3 lc rgb '#808080'
set tics nomirror out scale 0.5 textcolor rgb 'black'
set grid ytics lc rgb '#c0c0c0' lw 0.5
set style fill solid 1 noborder
set key outside top center horizontal Left reverse samplen 2 width 1 textcolor rgb 'black'
set lmargin 10
set rmargin 3
"""


def gnuplot(script):
    done = subprocess.run(["gnuplot"], input=script, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(ENV, LC_ALL="C.UTF-8"))
    if done.returncode or not done.stdout.rstrip().endswith("</svg>"):
        raise RuntimeError("gnuplot: " + done.stderr + script)
    return done.stdout


def block(name, rows):
    """A data block; None is a missing value."""
    return "$%s << END_OF_DATA\n%s\nEND_OF_DATA\n" % (name, "\n".join(
        " ".join("NaN" if v is None else quote(v) if isinstance(v, str) else "%.6g" % v
                 for v in row) for row in rows))


def quote(text):
    return '"%s"' % re.sub(r'["\\`$@\n]', " ", text)


def panel(i, n, bottom):
    """The place of one of n plots, one above the other, with room below the last."""
    each = (1 - bottom) / n
    top = 1 - i * each
    return "set tmargin at screen %g\nset bmargin at screen %g\n" % (
        top - 0.3 * each, top - each + 0.04)


def share_axis():
    return "set format y '%g %%'\n"


class Plots:
    """`words` are the texts of one language."""

    def __init__(self, figures, words):
        self.figures, self.words = figures, words
        self.phases = figures["phases"]
        self.values = Values(figures, words)
        self.svgs = {}

    def add(self, name, script, width=760, height=340):
        head = HEAD % {"width": width, "height": height}
        if self.words["plain"](0.5, 1) == "0,5":
            head += "set decimalsign ','\n"
        self.svgs[name] = tidy(gnuplot(head + script), name, self.words["title-" + name],
                               self.words["alt-" + name])

    def word(self, key):
        return quote(self.words[key])

    def all(self):
        both = "on" in self.phases and "off" in self.phases
        shown = ["on", "off"] if both else list(self.phases)[:1]
        shown = [name for name in shown if self.phases[name].get("reads")]
        if shown:
            self.percentiles(shown)
            self.distribution(shown)
            self.histogram(shown)
            self.spent(shown)
            self.hit_ratio(["warm", "on"] if "warm" in self.phases else shown[:1])
        drawn = ["on", "off"] if both else list(self.phases)[:1]
        drawn = [name for name in drawn if self.phases[name]["requests"]]
        if drawn:
            self.throughput(drawn)
        if self.node_counts():
            self.nodes()
        if (self.figures.get("measured") or {}).get("database"):
            self.database()
        chapter = "failover" if "failover" in self.phases else drawn[0] if drawn else None
        if chapter and self.phases[chapter]["requests"]:
            self.sources(chapter)
            self.over_time(chapter)
        return self.svgs

    def curves(self, shown):
        """(key, curve's name, phase, label) of what is compared: cache states."""
        found = []
        for phase in shown:
            for cache in ("HIT", "MISS", "BYPASS"):
                if cache in self.phases[phase]["cdf"]:
                    # A bypass while the cache is on is another thing than one without.
                    name = cache
                    if len(shown) == 2:
                        if phase == "on" and cache == "BYPASS":
                            continue
                        name = "%s: %s" % (self.words[phase], cache)
                    found.append((cache, phase, name))
        return found

    def percentiles(self, shown):
        names = ("p50", "p90", "p99", "p999")
        if len(shown) == 2:
            groups = [("with", "on", "reads", self.words["on"]),
                      ("without", "off", "reads", self.words["off"])]
        else:
            groups = [(cache, shown[0], cache, cache)
                      for cache in ("HIT", "MISS", "BYPASS")
                      if self.phases[shown[0]]["latency"][cache]["total"]]
        rows = []
        for at, name in enumerate(names):
            for i, (_, phase, which, _) in enumerate(groups):
                value = self.phases[phase]["latency"][which]["total"][name]
                rows.append((at + (i - (len(groups) - 1) / 2) * 0.28, value,
                             self.number(value), i))
        least = min(row[1] for row in rows)
        low = 10 ** -3
        while low * 20 < least:
            low *= 10
        plots = ", ".join(
            "$d using ($4 == %d ? $1 : NaN):2:(0.26) with boxes lc rgb '%s' title %s" % (
                i, COLOURS[key], quote(title)) for i, (key, _, _, title) in
            enumerate(groups))
        self.add("percentiles", block("d", rows) + """
set logscale y
set yrange [%g:*]
set offsets graph 0, 0, graph 0.06, 0
set xrange [-0.6:3.6]
set format y '%%g'
set ylabel %s
set xtics scale 0 ('p50' 0, 'p90' 1, 'p99' 2, 'p99.9' 3)
plot %s, $d using 1:2:3 with labels offset 0,0.6 tc rgb 'black' font ',12' notitle
""" % (low, self.word("ms-axis"), plots))

    def number(self, value):
        """As in the tables."""
        return self.values.significant(value)

    def distribution(self, shown):
        curves = self.curves(shown)
        data = "".join(block("c%d" % i, [(t, 100 * share) for t, share in
                                        self.phases[phase]["cdf"][cache]])
                       for i, (cache, phase, _) in enumerate(curves))
        plots = ", ".join(
            "$c%d using ($1 > 0.001 ? $1 : 0.001):2 with steps lw 2.5 dt %d lc rgb '%s'"
            " title %s" % (i, 1, COLOURS[cache], quote(title))
            for i, (cache, _, title) in enumerate(curves))
        self.add("cdf", data + """
set logscale x
set format x '%%g'
set grid xtics
set xlabel %s
set ylabel %s
set yrange [0:100]
%splot %s
""" % (self.word("program-axis"), self.word("share-axis"), share_axis(), plots))

    def histogram(self, shown):
        curves = self.curves(shown)
        data, plots = "", []
        for i, (cache, phase, title) in enumerate(curves):
            rows = []
            for low, high, share in self.phases[phase]["histogram"][cache]:
                rows.append(((low * high) ** 0.5, 100 * share, low, high))
            data += block("h%d" % i, rows)
            plots.append("$h%d using 1:2:3:4 with boxxyerrorbars"
                         " fs transparent solid 0.65 lc rgb '%s' title %s" % (
                             i, COLOURS[cache], quote(title)))
        # boxxyerrorbars: x y xlow xhigh ylow yhigh
        plots = [p.replace("using 1:2:3:4", "using 1:2:3:4:(0):2") for p in plots]
        self.add("histogram", data + """
set logscale x
set format x '%%g'
set xlabel %s
set ylabel %s
set yrange [0:*]
%splot %s
""" % (self.word("program-axis"), self.word("share-axis"), share_axis(),
            ", ".join(plots)))

    def spent(self, shown):
        rows = []
        for phase in shown:
            for kind, cache in (("read", "HIT"), ("read", "MISS"), ("read", "BYPASS"),
                                ("write", "-")):
                spent = self.phases[phase]["spent"].get(kind + " " + cache)
                odd = len(shown) == 2 and phase == "on" and cache == "BYPASS"
                if spent and not odd:
                    label = cache if kind == "read" else self.words["writes"]
                    if len(shown) == 2:
                        label += ", " + self.words[phase]
                    rows.append((label, spent["app"], spent["redis"], spent["db"]))
        rows = [(len(rows) - i, *row) for i, row in enumerate(rows)]
        boxes, low = [], "0"
        for field, key in ((3, "app"), (4, "redis"), (5, "db")):
            high = "%s+$%d" % (low, field)
            boxes.append("$d using (0):1:(%s):(%s):($1-0.32):($1+0.32) with"
                         " boxxyerrorbars lc rgb '%s' title %s" % (
                             low, high, COLOURS[key], self.word("spent-" + key)))
            low = high
        self.add("spent", block("d", rows) + """
set lmargin 26
unset grid
set grid xtics lc rgb '#c0c0c0' lw 0.5
set xrange [0:*]
set yrange [0.4:%g]
set xlabel %s
set ytics scale 0
plot %s, $d using (0):1:(0):ytic(2) with labels notitle
""" % (len(rows) + 0.6, self.word("mean-axis"),
            ", ".join(boxes)), height=120 + 42 * len(rows))

    def time_axis(self, last):
        """Seconds, minutes, hours or days since the log's first line."""
        for least, unit, seconds in ((172800, "days", 86400), (10800, "hours", 3600),
                                     (300, "minutes", 60), (0, "seconds", 1)):
            if last >= least:
                return self.word("time-" + unit), seconds

    def stacked(self, series, keys, unit, colours, titles):
        """Steps one upon the other; the data and what to plot, the highest first. Both
        ends of each step are points, so that an area is one path."""
        sums = [0.0] * len(series["t"])
        columns = []
        for key in keys:
            line = series["rate"].get(key) or [0] * len(sums)
            sums = [a + b for a, b in zip(sums, line)]
            columns.append(sums)
        rows = []
        for t, *values in zip(series["t"], *columns):
            rows.append([t / unit, *values])
            rows.append([(t + series["width"]) / unit, *values])
        plots = ["using 1:%d with filledcurves y=0 fc rgb '%s' title %s" % (
            i + 2, colours[i], titles[i]) for i in reversed(range(len(keys)))]
        return rows, plots

    def throughput(self, shown):
        most = max(sum(line[i] for name, line in self.phases[p]["series"]["rate"].items()
                       if not name.startswith("hits ") and name != "errors")
                   for p in shown for i in range(len(self.phases[p]["series"]["t"])))
        last = max(self.phases[p]["series"]["t"][-1] + self.phases[p]["series"]["width"]
                   for p in shown)
        label, unit = self.time_axis(last)
        script = "set multiplot\n"
        for i, phase in enumerate(shown):
            series = self.phases[phase]["series"]
            # One legend for all: also of what another one has.
            keys = [key for key in ("refused", "other", "writes", "BYPASS", "MISS", "HIT")
                    if any(key in self.phases[p]["series"]["rate"] for p in shown)]
            rows, plots = self.stacked(
                series, keys, unit, [COLOURS[key] for key in keys],
                [quote(self.words.get(key, key)) for key in keys])
            title = self.words[phase] if len(shown) == 2 else ""
            script += block("t%d" % i, rows) + panel(i, len(shown), 0.14) + """
set yrange [0:%g]
set format y '%%g'
set ylabel %s
set xlabel %s
set label 1 %s at graph 0, graph 1.12 left font ',14' tc rgb 'black'
set key tmargin right horizontal Left reverse samplen 1 width 1 maxrows 2
%s
set xrange [0:%g]
plot %s
""" % (most * 1.05, self.word("rate-axis"), label if phase == shown[-1] else "''",
                quote(title), "unset key" if i else "", last / unit,
                ", ".join("$t%d " % i + each for each in plots))
        self.add("throughput", script + "unset multiplot\n", height=60 + 200 * len(shown))

    def hit_ratio(self, shown):
        """The last minute's ratio, so to say: of each step. One phase after the other."""
        rows, begun, marks = [], 0, []
        for phase in shown:
            series = self.phases[phase]["series"]
            rate = series["rate"]
            for i, t in enumerate(series["t"]):
                reads = sum(rate[key][i] for key in ("HIT", "MISS", "BYPASS")
                            if key in rate)
                hits = rate["HIT"][i] if "HIT" in rate else 0
                rows.append((begun + t, 100 * hits / reads if reads else None))
            begun += series["t"][-1] + series["width"]
            marks.append(begun)
        label, unit = self.time_axis(begun)
        arrows = "".join("set arrow from %g,graph 0 to %g,graph 1 nohead dt 2"
                         " lc rgb '#808080'\n" % (at / unit, at / unit)
                         for at in marks[:-1])
        rows = [(t / unit, share) for t, share in rows]
        self.add("hit-ratio", block("d", rows) + arrows + """
set yrange [0:100]
set xrange [0:%g]
%sset ylabel %s
set xlabel %s
unset key
plot $d using 1:2 with lines lw 2.5 lc rgb '%s'
""" % (begun / unit, share_axis(), self.word("ratio-axis"), label, COLOURS["HIT"]),
            height=280)

    def node_counts(self):
        """(node, by the log, by the node itself or None)."""
        measured = (self.figures.get("measured") or {}).get("nodes")
        if measured:
            return [(each["node"], each["log"], each["own"]) for each in measured]
        phase = self.phases[next(iter(self.phases))]
        return [(node, n, None) for node, n in sorted(phase.get("nodes", {}).items())]

    def nodes(self):
        counts = self.node_counts()
        both = counts[0][2] is not None
        rows = [(i, log, own, node, self.values.number(log),
                 self.values.number(own) if own is not None else "")
                for i, (node, log, own) in enumerate(counts)]
        shift = 0.2 if both else 0
        plots = ["$d using ($1-%g):2:(0.38) with boxes lc rgb '#0072B2' title %s" % (
            shift, self.word("by-log")),
            "$d using ($1-%g):2:5 with labels offset 0,0.6 notitle" % shift]
        if both:
            plots += ["$d using ($1+0.2):3:(0.38) with boxes lc rgb '#E69F00' title %s" %
                      self.word("by-node"),
                      "$d using ($1+0.2):3:6 with labels offset 0,0.6 notitle"]
        self.add("nodes", block("d", rows) + """
set yrange [0:*]
set offsets graph 0, 0, graph 0.08, 0
set xrange [-0.6:%g]
set format y '%%.0f'
set ylabel %s
set xtics scale 0
plot %s, $d using 1:(0):xtic(4) with points ps 0 notitle
""" % (len(rows) - 0.4, self.word("reads-axis"), ", ".join(plots)), height=300)

    def database(self):
        """Transactions by what they were for, with the cache and without."""
        rows = []
        for i, phase in enumerate(("off", "on")):
            each = self.figures["measured"]["database"][phase]
            rows.append((1 - i, self.words[phase], each["log_reads"], each["log_writes"],
                         each["own_requests"],
                         self.values.number(each["own_requests"])))
        self.add("database", block("d", rows) + """
set lmargin 16
unset grid
set grid xtics lc rgb '#c0c0c0' lw 0.5
set xrange [0:*]
set offsets 0, graph 0.1, 0, 0
set yrange [-0.6:1.6]
set format x '%%.0f'
set xlabel %s
set ytics scale 0
plot $d using (0):1:(0):($3):($1-0.05):($1+0.35) with boxxyerrorbars \
lc rgb '#0072B2' title %s, \
$d using (0):1:($3):($3+$4):($1-0.05):($1+0.35) with boxxyerrorbars \
lc rgb '#CC79A7' title %s, \
$d using (0):1:(0):($5):($1-0.35):($1-0.1) with boxxyerrorbars \
lc rgb '#999999' title %s, \
$d using 5:($1-0.22):6 with labels left offset 0.5,0 notitle, \
$d using (0):1:(0):ytic(2) with labels notitle
""" % (self.word("transactions-axis"), self.word("log-reads"), self.word("log-writes"),
            self.word("own-transactions")), height=260)

    def events(self, chapter):
        """Lines for what happened, with numbers that the caption explains."""
        if chapter != "failover":
            return ""
        span = self.phases[chapter]["span"]
        script, level, previous = "", 0, None
        for i, (at, *_) in enumerate(self.figures["measured"]["events"]):
            # Numbers that would touch are set one above the other.
            near = previous is not None and at - previous < 0.025 * span["seconds"]
            level = level + 1 if near and level < 2 else 0
            previous = at
            script += (
                "set arrow from %g,graph 0 to %g,graph 1 nohead dt 2 lw 1"
                " lc rgb '#808080' front\nset label %s at %g,graph 1 offset 0,%g center"
                " tc rgb 'black' font ',12'\n" % (
                    at - span["t0"], at - span["t0"], quote(str(i + 1)),
                    at - span["t0"], 0.45 + 0.75 * level))
        return script

    def sources(self, chapter):
        """Who answered the reads: hits by node, misses, bypasses, failures."""
        series = self.phases[chapter]["series"]
        nodes = sorted(name for name in series["rate"] if name.startswith("hits "))
        keys = [*nodes, "MISS", "BYPASS"]
        keys = [key for key in keys if key in series["rate"]]
        if not keys:
            return
        spare = iter(("#009E73", "#F0E442", "#888888", "#bbbbbb") * 3)
        colours = [COLOURS.get(key.removeprefix("hits ")) or next(spare) for key in keys]
        titles = [quote(self.words["hits-of"] % key[5:]) if key in nodes else
                  quote(self.words.get("source-" + key, key)) for key in keys]
        label, unit = self.time_axis(series["t"][-1])
        rows, plots = self.stacked(series, keys, unit, colours, titles)
        plots = ["$d " + each for each in plots]
        failed = [(t / unit, rate) for t, rate in
                  zip(series["t"], series["rate"].get("errors", [])) if rate]
        if failed:
            plots.append("$e using 1:2 with impulses lw 3 lc rgb '%s' title %s" % (
                COLOURS["errors"], self.word("source-errors")))
        self.add("sources", block("d", rows) + block("e", failed or [(0, 0)]) +
                 self.events(chapter) + """
set yrange [0:*]
set xrange [%g:%g]
set ylabel %s
set xlabel %s
set key bmargin center horizontal Left reverse samplen 1 width -2 maxrows 2
set tmargin 3.5
set bmargin 6.5
plot %s
""" % (rows[0][0], rows[-1][0], self.word("rate-axis"), label,
            ", ".join(plots)), height=360)

    def over_time(self, chapter):
        """p50, p99 and maximum of reads and of writes."""
        latency = self.phases[chapter]["series"]["latency"]
        kinds = [kind for kind in ("read", "write") if latency.get(kind)]
        if not kinds:
            return
        last = max(latency[kind][-1][0] for kind in kinds) + \
            self.phases[chapter]["series"]["width"]
        label, unit = self.time_axis(last)
        script = "set multiplot\n"
        for i, kind in enumerate(kinds):
            rows = [(t / unit, *(max(v, 0.001) for v in values))
                    for t, *values in latency[kind]]
            script += block(kind, rows) + self.events(chapter) + panel(
                i, len(kinds), 0.2) + """
set logscale y
set yrange [*:*]
set xrange [0:%g]
set format y '%%g'
set ylabel %s
set xlabel %s
set key bmargin center horizontal Left reverse samplen 2 width 1
%s
plot $%s using 1:4 with lines lw 1 lc rgb '%s' title %s, \
$%s using 1:3 with lines lw 2 lc rgb '%s' title 'p99', \
$%s using 1:2 with lines lw 2 lc rgb '%s' title 'p50'
unset arrow
unset label
""" % (last / unit, self.word(kind + "-ms-axis"), label if kind == kinds[-1] else "''",
                "" if kind == kinds[-1] else "unset key",
                kind, COLOURS["max"], self.word("max"), kind, COLOURS["p99"], kind,
                COLOURS["p50"])
        self.add("over-time", script + "unset multiplot\n", height=80 + 200 * len(kinds))


def tidy(svg, name, title, text):
    """gnuplot's SVG for a page: no fixed black, names that are the plot's own, and what a
    screen reader says."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<title>.*?</title>\s*<desc>.*?</desc>",
                 lambda match: '<title id="%s-title">%s</title>\n<desc id="%s-desc">%s'
                 "</desc>" % (name, escape(title), name, escape(text)), svg, count=1,
                 flags=re.S)
    svg = re.sub(r"<title>gnuplot_[^<]*</title>", "", svg)
    # Each curve's own <title> would be a tooltip "plot_1".
    svg = re.sub(r"<g id=\"gnuplot_plot_\w+\"\s*>\s*(<title>.*?</title>)?", "<g>", svg,
                 flags=re.S)
    svg = re.sub(r'\bid="(?!%s-)([^"]+)"' % re.escape(name), r'id="%s-\1"' % name, svg)
    svg = re.sub(r"\bid='([^']+)'", r"id='%s-\1'" % name, svg)
    svg = re.sub(r"(xlink:href=)(['\"])#", r"\1\2#%s-" % name, svg)
    svg = re.sub(r"url\(#", "url(#%s-" % name, svg)
    svg = re.sub(r"<svg", '<svg role="img" aria-labelledby="%s-title %s-desc"' % (
        name, name), svg, count=1)
    svg = svg.replace('"black"', '"currentColor"').replace("'black'", "'currentColor'")
    svg = re.sub(r"rgb\( ?0, ?0, ?0\)", "currentColor", svg)
    svg = re.sub(r"\b(fill|stroke) *= *'rgb\( *(\d+), *(\d+), *(\d+)\)'",
                 r'\1="rgb(\2,\3,\4)"', svg)
    # A tenth of a pixel is enough, and there are no markers.
    svg = re.sub(r"(?<=[ ,ML'])(\d+\.\d)\d(?=[ ,'])", r"\1", svg)
    svg = re.sub(r"<defs>.*?</defs>\s*", "", svg, count=1, flags=re.S)
    return re.sub(r"\s*\n\s*", "\n", svg)


def standalone(svg):
    """The same as a file: black on white, whoever shows it."""
    svg = svg.replace("currentColor", "black")
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    ground = '<rect width="%s" height="%s" fill="white"/>' % box.groups()
    return '<?xml version="1.0" encoding="utf-8"?>\n' + re.sub(
        r"(</desc>)", lambda match: match[1] + "\n" + ground, svg, count=1)
