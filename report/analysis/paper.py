"""REPORT.md and INFORME.md, from their templates and the figures of a run.

{{name}} is a value, {{table NAME}} a table, {{plot NAME}} a plot. Both languages have the
same ones; a test compares them.
"""
import os
import re

from analysis import plots
from analysis.texts import LANGUAGES
from analysis.values import Values

PAPERS = {"en": ("REPORT.md.in", "REPORT.md"), "es": ("INFORME.md.in", "INFORME.md")}
MARK = re.compile(r"\{\{([a-z0-9_]+)(?: ([a-z0-9-]+))?\}\}")


def cell(text):
    return re.sub(r"([|\\`*_<>\[\]])", r"\\\1", text) or " "


def markdown_table(table):
    _, heads, rows = table
    lines = ["| " + " | ".join(cell(each) for each in row) + " |"
             for row in (heads, *rows)]
    lines.insert(1, "|" + "---|" * len(heads))
    return "\n".join(lines)


def plot_file(name, lang):
    return "plots/%s%s.svg" % (name, "" if lang == "en" else "." + lang)


def fill(template, found, lang, drawn):
    words = LANGUAGES[lang]
    values = Values(found, words)
    known = dict(values.of_log(), **values.of_run())

    def stand_in(match):
        kind, name = match.groups()
        if name is None:
            return known[kind]
        if kind == "table":
            name, _, phase = name.partition("-")
            return markdown_table(getattr(values, name)(*([phase] if phase else [])))
        if name not in drawn:
            raise KeyError("no plot " + name)
        return "![%s](%s)" % (words["alt-" + name], plot_file(name, lang))
    return MARK.sub(stand_in, template)


def write_all(templates, directory, found, drawn, write):
    os.makedirs(os.path.join(directory, "plots"), exist_ok=True)
    for lang, (source, target) in PAPERS.items():
        with open(os.path.join(templates, source), encoding="utf-8") as file:
            text = fill(file.read(), found, lang, drawn[lang])
        write(os.path.join(directory, target), text)
        for name, svg in drawn[lang].items():
            write(os.path.join(directory, plot_file(name, lang)), plots.standalone(svg))
