// How much the pages weigh, and how little a second visit does.

import {readdirSync, statSync} from "node:fs";

import {none, ok} from "./tap.mjs";
import {BASE, newUser, visit} from "./visit.mjs";
import {WWW} from "./www.mjs";

const BUDGET = {requests: 24, bytes: 100000, sent: 45000};

// What the page has loaded, by the browser's own account; without what the API answered.
function loaded(page) {
    return page.evaluate(() => [...performance.getEntriesByType("navigation"),
                                ...performance.getEntriesByType("resource")]
        .map((each) => ({path: new URL(each.name).pathname, sent: each.transferSize,
                         size: each.decodedBodySize}))
        .filter((each) => /^\/(assets\/|dashboard|$)/.test(each.path)));
}

const total = (list, name) => list.reduce((sum, each) => sum + each[name], 0);

async function open(context, path, ready) {
    const page = await context.newPage();
    await page.goto(`${BASE}${path}?user=${newUser("weight")}`);
    await page.locator(ready).first().waitFor();
    const list = await loaded(page);
    await page.close();
    return list;
}

const budget = () => visit({}, async (context) => {
    const all = new Map();
    for (const [path, ready] of [["/", "#products .product"], ["/dashboard", ".chart"]]) {
        const first = await open(context, path, ready);
        const [sent, size] = [total(first, "sent"), total(first, "size")];
        const told = `${first.length} requests, ${sent} bytes sent, ${size} unpacked`;
        ok(first.length <= BUDGET.requests && size <= BUDGET.bytes &&
           sent <= BUDGET.sent,
           `weight: ${path} keeps the budget (${told})`, JSON.stringify(first, null, 1));
        for (const each of first)
            all.set(each.path, each);
        const again = await open(context, path, ready);
        none(again.filter((each) => each.path.startsWith("/assets/") && each.sent > 0)
            .map((each) => `${each.path}: ${each.sent}`),
             `weight: a second visit of ${path} takes all assets from the cache`);
    }
    const everything = total([...all.values()], "size");
    ok(everything <= BUDGET.bytes, `weight: both pages together (${everything} bytes)`);
});

// Both languages too, of which a visit takes one.
function files() {
    const bytes = readdirSync(WWW).reduce((sum, name) =>
        sum + statSync(new URL(name, WWW)).size, 0);
    ok(bytes <= BUDGET.bytes, `weight: all that is in nginx/www (${bytes} bytes)`);
}

export const tests = [files, budget];
