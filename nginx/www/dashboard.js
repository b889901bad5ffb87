// The dashboard: reads /metrics twice a second while somebody looks, and plots what it
// finds.

import {request} from "./api.js";
import {Chart} from "./chart.js";
import {byId, setText} from "./dom.js";
import {epoch, mode, nodeNames, nodes, point} from "./figures.js";
import {decimal, money, number, onLanguage, setUpLanguage, text} from "./language.js";
import {parse} from "./metrics.js";
import {showNodes} from "./nodes_view.js";
import {actionText, announce, hideNotice, problemText, showNotice} from "./notices.js";
import {setUpSender} from "./sender.js";
import {tellChanged} from "./tabs.js";

const EVERY_MS = 400;
const SPAN_MS = 60000;   // what the plots reach back
const WINDOW_MS = 5000;  // what percentiles and the hit ratio are of
const HEALTH_EVERY = 2;  // readings

const readings = []; // {at, reading}, those of the last window
let charts = [];
let database = "up";
let readingNumber = 0;
let firstEpoch = null;
let complaint = ""; // that is on show

function makeCharts(names) {
    charts = [
        new Chart("requests", "unitPerSecond", [""]),
        new Chart("hitRatio", "unitPercent", [""], {most: 100}),
        new Chart("latency", "unitMicros", ["p50", "p95", "p99"],
                  {least: 1000, from: 10}),
        new Chart("reads", "unitPerSecond", names),
        new Chart("lag", "unitBytes", names, {least: 1000}),
        new Chart("epoch", "unitMoves", [""], {least: 5}),
    ];
    byId("charts").append(...charts.map((chart) => chart.element));
}

// Takes a reading in, and returns what the plots show of it; null for the first one.
function plot(at, reading) {
    const before = readings.at(-1);
    readings.push({at, reading});
    while (readings[0].at < at - WINDOW_MS)
        readings.shift();
    if (!before)
        return null;
    const now = point(before.reading, reading, (at - before.at) / 1000,
                      readings[0].reading);
    firstEpoch ??= now.epoch[0] || null;
    now.epoch = [firstEpoch ? now.epoch[0] - firstEpoch : 0];
    for (const chart of charts)
        chart.add(at, now[chart.key], SPAN_MS);
    return now;
}

// Whether PostgreSQL answers is what the service says of its own health.
async function readHealth() {
    const answer = await request("GET", "/health/ready");
    if (answer.json?.database)
        database = answer.json.database === "ok" ? "up" : "down";
}

function complain(words) {
    if (words === complaint)
        return;
    complaint = words;
    showNotice("problem", words);
    announce(words);
}

async function read() {
    const answer = await request("GET", "/metrics");
    if (answer.status !== 200) {
        complain(text(answer.status === 403 ? "forbidden" : "metricsDown"));
        return;
    }
    complaint = "";
    hideNotice("problem");
    const reading = parse(answer.text);
    if (!charts.length)
        makeCharts(nodeNames(reading));
    const now = plot(Date.now(), reading);
    showNodes(nodes(reading), now?.reads || [], database, mode(reading), epoch(reading));
}

// Never two readings at once; while nobody looks, none.
async function readOn() {
    for (;;) {
        const begun = performance.now();
        if (!document.hidden) {
            if (readingNumber++ % HEALTH_EVERY === 0)
                readHealth();
            await read();
        }
        const left = EVERY_MS - (performance.now() - begun);
        await new Promise((done) => setTimeout(done, Math.max(left, 50)));
    }
}

// Who comes here from the shop, to see why it does not answer, has perhaps left something
// there that waits. A conflict waits until somebody sees it in the shop.
function sendWhatWaits() {
    const refusals = [];
    setUpSender({
        answered(entry, answer) {
            tellChanged(entry.user, answer.version);
            announce(text("done", {what: actionText(entry.action),
                                   units: number(answer.json.item_count),
                                   total: money(answer.json.total)}));
        },
        refused(entry, answer) {
            refusals.push(`${actionText(entry.action)}: ${problemText(answer)}`);
            showNotice("refused", text("notDone", {count: refusals.length}), [refusals]);
        },
        conflict() {},
        delayed() {},
    });
}

await setUpLanguage();
const showLive = () => setText(byId("live"), text("live", {n: decimal(1000 / EVERY_MS)}));
showLive();
onLanguage(() => {
    showLive();
    for (const chart of charts)
        chart.translate();
});
sendWhatWaits();
readOn();
