"""One self-contained page: no script, nothing from elsewhere; light, dark and on paper.

Text of the log comes here as it was sent by strangers, and leaves escaped.
"""
from html import escape

from analysis.values import Values

STYLE = """
:root { color-scheme: light dark; --ground: #fbfbf9; --card: #fff; --ink: #1d2126;
  --soft: #59616b; --line: #d9dce0; --strong: #00674b; --warn: #fff3d6; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --card: #1d2125;
  --ink: #e7e9eb; --soft: #a3abb4; --line: #363c43; --strong: #4fd1a9;
  --warn: #43350f; }
  /* A blue that stands out on a dark ground. */
  svg [stroke="rgb(0,114,178)"] { stroke: #3f9fdf; }
  svg [fill="rgb(0,114,178)"] { fill: #3f9fdf; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.35rem; margin: 2.6rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
.made { color: var(--soft); font-size: .9rem; }
a { color: inherit; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr));
  gap: .8rem; margin: 1.4rem 0; padding: 0; list-style: none; }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .8rem .9rem; }
.cards strong { display: block; white-space: nowrap; font-size: 1.7rem; line-height: 1.2;
  color: var(--strong); font-variant-numeric: tabular-nums; }
.cards span { font-size: .88rem; color: var(--soft); display: block; }
figure { margin: 1rem 0 1.4rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .6rem .6rem .8rem; break-inside: avoid; }
figure .plot { overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; min-width: 34rem;
  max-width: 54rem; margin: 0 auto; color: var(--ink); }
figcaption { padding: .2rem .4rem .3rem; }
figcaption b { display: block; }
.wide { overflow-x: auto; margin: .8rem 0 1.4rem; break-inside: avoid; }
table { border-collapse: collapse; font-size: .88rem; width: 100%;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .2rem 0 .4rem; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th:first-child, .text { text-align: left; }
td.long { overflow-wrap: anywhere; min-width: 12rem; }
tbody th.text { min-width: 11rem; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 500; }
.warn { background: var(--warn); border: 1px solid var(--line); border-radius: .5rem;
  padding: .5rem .9rem; max-width: none; }
li { margin: .3rem 0; }
@media print {
  @page { size: A4; margin: 14mm; }
  :root { --ground: #fff; --card: #fff; --ink: #000; --soft: #333; --line: #bbb;
    --strong: #00543d; --warn: #fff; color-scheme: light; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; margin-top: 1.4rem; }
  h2 + p { break-after: avoid; }
  figure svg { min-width: 0; max-height: 105mm; }
  figure, .cards li { border-radius: 0; }
  .wide, figure .plot { overflow: visible; }
  table { font-size: 8pt; }
  th, td { padding: .12rem .3rem; }
  td.long, tbody th.text { min-width: 0; }
  tr { break-inside: avoid; }
  nav { display: none; }
}
"""

# Which heads are of text; all others are of numbers.
TEXT_HEADS = ("t-route", "t-cache", "t-why", "t-text", "t-role", "t-link", "t-replid",
              "t-event", "t-request", "t-at")
# Of these the ones that strangers may make long.
LONG_HEADS = ("t-text", "t-request")


class Page:
    def __init__(self, figures, words, svgs, other):
        self.figures, self.words, self.svgs, self.other = figures, words, svgs, other
        self.values = Values(figures, words)
        self.phases = figures["phases"]
        self.run = bool(figures.get("measured"))
        self.known = self.values.of_log()
        if self.run:
            self.known.update(self.values.of_run())
        self.parts = []

    def say(self, key, kind="p", attributes=""):
        text = escape(self.words[key].format_map(self.known))
        self.parts.append("<%s%s>%s</%s>" % (kind, attributes, text, kind))

    def head(self, key):
        self.say(key, "h2", ' id="%s"' % key)

    def figure(self, name, key=None):
        """Whether there is such a plot."""
        if name not in self.svgs:
            return False
        text = self.words[key or "p-" + name].format_map(self.known)
        self.parts.append(
            '<figure><div class="plot" tabindex="0" role="group" aria-label="%s">\n%s'
            "</div>\n<figcaption><b>%s</b>%s</figcaption></figure>" % (
                escape(self.words["title-" + name]), self.svgs[name],
                escape(self.words["title-" + name]), escape(text)))
        return True

    def table(self, table):
        caption, heads, rows = table
        if not rows:
            return
        texts = {self.words[key] for key in TEXT_HEADS}
        long = {self.words[key] for key in LONG_HEADS}
        kinds = [' class="text long"' if head in long else ' class="text"'
                 if head in texts else "" for head in heads]
        out = ['<div class="wide" tabindex="0" role="group" aria-label="%s"><table>'
               "<caption>%s</caption>\n<thead><tr>" % (escape(caption), escape(caption))]
        out += ['<th scope="col"%s>%s</th>' % (kind, escape(head))
                for head, kind in zip(heads, kinds)]
        out.append("</tr></thead>\n<tbody>\n")
        for row in rows:
            cells = ['<th scope="row"%s>%s</th>' % (kinds[0], escape(row[0]))]
            cells += ["<td%s>%s</td>" % (kind, escape(cell))
                      for cell, kind in zip(row[1:], kinds[1:])]
            out.append("<tr>%s</tr>\n" % "".join(cells))
        out.append("</tbody></table></div>")
        self.parts.append("".join(out))

    def cards(self, cards):
        """(value, key of its label); those without a value are left out."""
        items = ["<li><strong>%s</strong><span>%s</span></li>" % (
            escape(value), escape(self.words[key].format_map(self.known)))
            for value, key in cards if value is not None]
        self.parts.append('<ul class="cards">%s</ul>' % "\n".join(items))

    def html(self):
        title = self.words["page-title" if self.run else "log-title"]
        self.parts.append("<h1>%s</h1>" % escape(title))
        self.say("made-run" if self.run else "made-log", "p", ' class="made"')
        self.parts.append('<nav><a href="%s" hreflang="%s" lang="%s">%s</a></nav>' % (
            self.other, self.words["other-lang"], self.words["other-lang"],
            self.words["other-page"]))
        self.warnings()
        if self.run:
            self.of_run()
        elif self.figures["requests"]:
            self.of_log()
        self.end()
        return ('<!DOCTYPE html>\n<html lang="%s">\n<head>\n<meta charset="utf-8">\n'
                '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
                "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n%s\n"
                "</main>\n</body>\n</html>\n" % (self.words["lang"], escape(title), STYLE,
                                          "\n".join(self.parts)))

    def warnings(self):
        figures = self.figures
        if self.run and (figures["machine"].get("load_average") or 0) >= 1:
            self.say("warning-busy", "p", ' class="warn" role="note"')
        if figures["unreadable"]:
            self.say("warning-unreadable", "p", ' class="warn" role="note"')
        if not figures["requests"]:
            self.say("warning-empty", "p", ' class="warn" role="note"')
        elif not any(phase.get("reads") for phase in self.phases.values()):
            self.say("warning-no-reads", "p", ' class="warn" role="note"')
        if any(phase["other_format"] for phase in self.phases.values()):
            self.say("warning-form")

    def of_run(self):
        known, values = self.known, self.values
        self.cards([(known["times"] + "×", "card-times-label"),
                    (known["hit_percent"] + " %", "card-hit-label"),
                    (known["saved_percent"] + " %", "card-saved-label"),
                    (known["replica_percent"] + " %", "card-nodes-label"),
                    (known["failover_failed"], "card-failed-label")])
        self.head("h-with")
        self.figure("percentiles", "p-percentiles-run")
        self.table(values.percentiles())
        for name in ("cdf", "histogram", "spent"):
            self.figure(name)
        self.head("h-time")
        self.figure("throughput")
        self.figure("hit-ratio", "p-hit-ratio-run")
        self.head("h-nodes")
        self.figure("nodes", "p-nodes-run")
        self.table(values.nodes())
        self.head("h-database")
        self.figure("database")
        self.table(values.database())
        self.head("h-replication")
        self.say("p-replication")
        self.table(values.replication())
        self.head("h-failover")
        self.figure("sources", "p-failover")
        self.figure("over-time")
        self.table(values.events())
        self.head("h-routes")
        self.say("p-routes")
        for name in ("on", "off"):
            self.table(values.routes(name))
        self.head("h-operator")
        self.table(values.statuses())
        self.table(values.failed("failover"))

    def of_log(self):
        values, name = self.values, next(iter(self.phases))
        phase = self.phases[name]
        hit = phase["latency"]["HIT"]["total"]
        others = [phase["latency"][cache]["total"] for cache in ("MISS", "BYPASS")
                  if phase["latency"][cache]["total"]]
        slower = max(others, key=lambda each: each["n"]) if others else None
        self.known["db_p50"] = values.significant(slower and slower["p50"])
        reads = phase["reads"]
        self.cards([
            (self.known["requests"], "card-requests-label"),
            (values.percent(phase["hit_ratio"]) + " %" if reads else None,
             "card-hit-label"),
            (values.significant(hit["p50"]) + " ms" if hit else None,
             "card-hit-ms-label"),
            (values.percent(1 - phase["reads_database"] / reads) + " %" if reads
             else None, "card-db-label"),
            (values.number(phase["errors_5xx"]), "card-5xx-label")])
        if reads:
            self.head("h-latency")
            self.figure("percentiles", "p-percentiles-log")
            self.table(values.percentiles())
            for plot in ("cdf", "histogram", "spent"):
                self.figure(plot)
        self.head("h-time")
        self.figure("throughput")
        self.figure("hit-ratio", "p-hit-ratio-log")
        self.figure("over-time")
        if phase["nodes"]:
            self.head("h-nodes")
            self.figure("nodes", "p-nodes-log")
            self.table(values.nodes())
        self.figure("sources", "p-sources-log")
        self.head("h-routes")
        self.say("p-routes")
        self.table(values.routes(name))
        self.head("h-operator")
        self.table(values.statuses())
        self.table(values.slow(name))
        self.table(values.failed(name))

    def end(self):
        if self.figures["unreadable"]:
            self.head("h-unreadable")
            self.table(self.values.reasons())
            self.table(self.values.unreadable())
        self.head("h-method")
        texts = self.words["method"] + (self.words["method-run"] if self.run else [])
        self.parts.append("<ul>%s</ul>" % "\n".join(
            "<li>%s</li>" % escape(text.format_map(self.known)) for text in texts))
