// A plot of one or more lines over the last minute, drawn as SVG, with its latest
// values as text and all of them as a table for who does not see lines.

import {make, makeSvg, setText} from "./dom.js";
import {decimal, language, number, text} from "./language.js";

const WIDTH = 320, HEIGHT = 120, TOP = 8;
const TABLE_ROWS = 10;

// A round number not below: 1, 2 or 5 times a power of ten.
function ceiling(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((step) => step * power).find((each) => each >= value);
}

export const plain = (value) => value === null || value === undefined ? "–"
    : Math.abs(value) < 10 && !Number.isInteger(value) ? decimal(value) : number(value);

// "M0,1L2,3": broken where a value is null.
function path(points, toX, toY) {
    let drawn = "", pen = false;
    for (const {at, value} of points) {
        if (value === null || value === undefined) {
            pen = false;
            continue;
        }
        drawn += `${pen ? "L" : "M"}${toX(at).toFixed(1)},${toY(value).toFixed(1)}`;
        pen = true;
    }
    return drawn;
}

// A chart `key` of the text table, with lines of these names. `most` fixes the top of the
// scale, `least` is the lowest that it may be; with `from` the scale is logarithmic, from
// there.
export class Chart {
    constructor(key, unit, lines, {most = null, least = 1, from = null} = {}) {
        Object.assign(this, {key, unit, lines, most, least, from});
        this.points = [];
        this.title = make("h3", {id: `chart-${key}`});
        this.help = make("p", {class: "help"});
        this.paths = lines.map((_, n) => makeSvg("path", {class: `line-${n}`}));
        this.svg = makeSvg("svg", {
            viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
            "aria-labelledby": `chart-${key} values-${key}`,
        }, makeSvg("path", {class: "axis", d: [TOP, HEIGHT / 2, HEIGHT - 1].map((y) =>
            `M0,${y}H${WIDTH}`).join("")}), ...this.paths);
        this.scale = make("span", {class: "scale", "aria-hidden": "true"});
        this.values = lines.map(() => make("b"));
        this.names = lines.map((name) => make("span", {}, name));
        this.legend = make("p", {class: "legend", id: `values-${key}`},
            ...lines.map((_, n) => make("span", {class: `line-${n}`}, this.names[n], " ",
                                        this.values[n])));
        this.rows = make("tbody");
        this.summary = make("summary");
        this.timeHead = make("th", {scope: "col"});
        this.heads = lines.map((name) => make("th", {scope: "col", class: "num"}, name));
        this.table = make("details", {ontoggle: () => this.fillTable()}, this.summary,
            make("div", {class: "scroll", tabindex: 0, role: "region",
                         "aria-labelledby": `chart-${key}`},
                make("table", {}, make("thead", {}, make("tr", {}, this.timeHead,
                    ...this.heads)), this.rows)));
        this.element = make("figure", {class: `card chart ${key}`, "data-chart": key},
            make("figcaption", {}, this.title, this.help),
            make("div", {class: "plot"}, this.svg, this.scale), this.legend, this.table);
        this.translate();
    }

    translate() {
        setText(this.title, text(this.key));
        setText(this.help, text(this.key + "Help"));
        setText(this.summary, text("asTable"));
        setText(this.timeHead, text("time"));
        if (this.lines[0] === "")
            setText(this.heads[0], text(this.key));
        this.draw();
    }

    // Another point: `at` in milliseconds, a value for each line; older than `span` is
    // out.
    add(at, values, span) {
        this.points.push({at, values});
        while (this.points[0].at < at - span - 1000)
            this.points.shift();
        this.span = span;
        this.draw();
    }

    draw() {
        const latest = this.points.at(-1);
        if (!latest)
            return;
        const known = this.points.flatMap((each) => each.values).filter(Number.isFinite);
        const largest = Math.max(this.least, ...known);
        const most = this.most ?? (this.from === null ? ceiling(largest)
            : 10 ** Math.ceil(Math.log10(largest)));
        const toX = (at) => WIDTH * (1 - (latest.at - at) / this.span);
        const share = (value) => this.from === null ? value / most
            : Math.max(Math.log(value / this.from) / Math.log(most / this.from), 0);
        const toY = (value) => HEIGHT - 1 - (HEIGHT - 1 - TOP) * share(value);
        this.paths.forEach((line, n) => line.setAttribute("d", path(
            this.points.map(({at, values}) => ({at, value: values[n]})), toX, toY)));
        setText(this.scale, `${plain(most)} ${text(this.unit)}`);
        this.values.forEach((element, n) =>
            setText(element, `${plain(latest.values[n])} ${text(this.unit)}`));
        this.fillTable();
    }

    // One row a second, the latest first.
    fillTable() {
        if (!this.table.open)
            return;
        const bySecond = new Map();
        for (const each of this.points)
            bySecond.set(Math.floor(each.at / 1000), each);
        this.rows.replaceChildren(...[...bySecond.values()].slice(-TABLE_ROWS).reverse()
            .map(({at, values}) => make("tr", {},
                make("td", {}, new Date(at).toLocaleTimeString(language)),
                ...values.map((value) => make("td", {class: "num"}, plain(value))))));
    }
}
