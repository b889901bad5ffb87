// The dashboard: figures that are right, and a replica's death and return within a
// second.

import {connect} from "node:net";

import {none, note, ok, sleep, stack, until} from "./tap.mjs";
import {api, BASE, MUG, newUser, visit} from "./visit.mjs";

const PROMISED_MS = 1000;
const REPLICA_PORT = Number(process.env.REDIS_PORT) + 1;

const isMode = (page, mode) =>
    page.locator(`[data-node="mode"][data-state="${mode}"]`).count();
const tile = (page, node) => page.locator(`[data-node="${node}"]`);

async function open(context) {
    const page = await context.newPage();
    await page.goto(`${BASE}/dashboard`);
    await page.locator('[data-node="replica-1"][data-state="up"]').waitFor();
    return page;
}

// Notes in the page when a node's tile changes its state, and what is announced: no
// question from here delays it.
function watchTile(page, node) {
    return page.evaluate((name) => {
        const element = document.querySelector(`[data-node="${name}"]`);
        globalThis.seen = [[element.dataset.state, Date.now()]];
        // Told also where the attribute is written and stays what it was.
        new MutationObserver(() => {
            if (globalThis.seen.at(-1)[0] !== element.dataset.state)
                globalThis.seen.push([element.dataset.state, Date.now()]);
        })
            .observe(element, {attributes: true, attributeFilter: ["data-state"]});
        const announcer = document.querySelector("#announcer");
        globalThis.said = [];
        new MutationObserver(() => globalThis.said.push(announcer.textContent))
            .observe(announcer, {childList: true});
    }, node);
}

// When it turned to a state, having been in another one before; undefined: it has not.
const seenAt = (page, before, state) => until(() => page.evaluate(([from, wanted]) => {
    const first = globalThis.seen.findIndex(([each]) => each === from);
    return globalThis.seen.find(([each], n) =>
        first >= 0 && n > first && each === wanted)?.[1];
}, [before, state]), 15);

// One PING; true for PONG, which a replica says once it follows its master again.
function answersPing() {
    return new Promise((done) => {
        const socket = connect(REPLICA_PORT, "127.0.0.1", () => socket.write("PING\r\n"));
        const end = (result) => {
            socket.destroy();
            done(result);
        };
        socket.setTimeout(200, () => end(false));
        socket.on("data", (data) => end(data.toString().startsWith("+PONG")));
        socket.on("error", () => end(false));
    });
}

// Reads of one cart, until it is told to stop.
function load(user) {
    const it = {done: 0, on: true};
    it.ended = (async () => {
        while (it.on) {
            await api("GET", `/cart/${user}`);
            it.done++;
            await sleep(5);
        }
    })();
    return it;
}

const figures = () => visit({}, async (context) => {
    const user = newUser("load");
    await api("POST", `/cart/${user}/add`, {product_id: MUG, name: "Mug", price: 6.5});
    const page = await open(context);
    const reads = load(user);
    const begun = performance.now();
    await sleep(4000);
    const rate = () => 1000 * reads.done / (performance.now() - begun);
    const value = (chart, n = 0) => page.evaluate(([name, at]) => {
        const text = document.querySelectorAll(`[data-chart="${name}"] .legend b`)[at]
            .textContent;
        return Number(text.replace(/[^\d.]/g, ""));
    }, [chart, n]);
    const seen = [];
    const near = await until(async () => {
        seen.push([await value("requests"), rate()].map(Math.round));
        const [plotted, sent] = seen.at(-1);
        return plotted > sent / 1.5 && plotted < sent * 1.5;
    });
    let ratio, p50, p99, byNode;
    const ratioFits = await until(async () => {
        ratio = await value("hitRatio");
        return ratio > 90 && ratio <= 100;
    });
    const latencyFits = await until(async () => {
        [p50, p99] = [await value("latency", 0), await value("latency", 2)];
        return p50 > 0 && p50 <= p99;
    });
    const nodesFit = await until(async () => {
        byNode = [await value("reads", 0), await value("reads", 1),
                  await value("reads", 2)];
        return byNode[0] === 0 && byNode[1] > 0 && byNode[2] > 0;
    });
    reads.on = false;
    await reads.ended;
    ok(near, "dashboard: requests per second", `plotted and sent: ${seen.join(" ")}`);
    ok(ratioFits, "dashboard: hit ratio", String(ratio));
    ok(latencyFits, "dashboard: percentiles", `${p50} ${p99}`);
    ok(nodesFit, "dashboard: reads by node", String(byNode));
    none((await page.evaluate(() => [...document.querySelectorAll(".chart svg")]
        .filter((each) => !each.querySelector("path:not(.axis)").getAttribute("d"))
        .map((each) => each.closest("figure").dataset.chart))),
         "dashboard: all are drawn");
    await page.locator('[data-chart="requests"] summary').click();
    ok(await until(async () =>
        await page.locator('[data-chart="requests"] tbody tr').count() >= 3),
       "dashboard: a plot is also a table");
    ok((await tile(page, "mode").textContent()).includes("replicas") &&
       /\d,\d/.test(await tile(page, "epoch").textContent()),
       "dashboard: mode and epoch");
});

// Kills replica-1 and starts it again. How many milliseconds after each the tile told it;
// NaN where it did not.
async function killAndStart(page) {
    await watchTile(page, "replica-1");
    const pid = await stack("pid", "redis-replica-1");
    const killed = Date.now();
    process.kill(pid, "SIGKILL");
    const gone = await seenAt(page, "up", "down");
    const degraded = await until(() => isMode(page, "master"), 10);

    const starting = stack("start", "redis-replica-1");
    let back = NaN;
    await until(async () => {
        if (await answersPing())
            back = Date.now();
        return back;
    }, 20, 5);
    await starting;
    const seen = await seenAt(page, "down", "up");
    const restored = await until(() => isMode(page, "replicas"), 15);
    const said = (words) => page.evaluate((wanted) =>
        globalThis.said.some((each) => each.includes(wanted)), words);
    note(`killed and started again it was away for ${back - killed} ms`);
    return {
        gone: gone - killed, back: seen - back, modes: degraded && restored,
        announced: await said("replica-1 is gone") && await said("replica-1 is back"),
    };
}

// The best of a few times: the machine may have been busy with something else.
const replica = () => visit({}, async (context) => {
    const page = await open(context);
    const runs = [];
    const best = (name) => Math.min(...runs.map((each) => each[name])
        .filter(Number.isFinite));
    const inTime = (name) => best(name) <= PROMISED_MS;
    do
        runs.push(await killAndStart(page));
    while (runs.length < 3 && !(inTime("gone") && inTime("back")));
    const told = JSON.stringify(runs);
    ok(inTime("gone"),
       `dashboard: a killed replica is seen within a second (${best("gone")} ms)`, told);
    ok(inTime("back"),
       `dashboard: its return is seen within a second (${best("back")} ms)`, told);
    ok(runs.every((each) => each.modes),
       "dashboard: hits come from the master, then from any node again", told);
    ok(runs.every((each) => each.announced), "dashboard: both are announced", told);
});

const forbidden = () => visit({}, async (context) => {
    const page = await context.newPage();
    await page.route("**/metrics", (route) => route.fulfill({
        status: 403, contentType: "application/problem+json", body: "{}"}));
    await page.goto(`${BASE}/dashboard`);
    await page.locator("#notice-problem").waitFor();
    ok((await page.locator("#notice-problem").textContent()).includes("METRICS_ALLOW"),
       "dashboard: says so where /metrics may not be read");
});

export const tests = [figures, replica, forbidden];
