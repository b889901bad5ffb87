// Visits of the page: browser contexts, what people do in them, and what must never
// happen in any of them.

import {createRequire} from "node:module";

import {SLOW, until} from "./tap.mjs";

const {chromium} = createRequire(import.meta.url)("playwright-core");

export const BASE = process.env.BASE_URL;
export const MUG = 1241, CABLE = 1062, DUMBBELL = 1459;

// Over all visits: scripts that broke, policies that were broken, hosts that were asked.
export const broken = [], violations = [], strangers = new Set();

let browser;

// With the browser's own sandbox where it works: root has none.
export async function launch() {
    const options = {executablePath: process.env.CHROMIUM, args: ["--disable-gpu"]};
    const unsafe = {...options, args: [...options.args, "--no-sandbox"]};
    if (process.getuid() === 0)
        browser = await chromium.launch(unsafe);
    else
        browser = await chromium.launch({...options, chromiumSandbox: true})
            .catch(() => chromium.launch(unsafe));
    return browser;
}

function watch(context) {
    context.on("request", (request) => {
        if (!request.url().startsWith(BASE) && !/^(data|blob|about):/.test(request.url()))
            strangers.add(request.url());
    });
    context.on("weberror", (error) => broken.push(error.error().stack));
    context.on("console", (message) => {
        if (/Content.Security.Policy|Trusted(HTML|Script|Types)/i.test(message.text()))
            violations.push(message.text());
    });
}

// Runs a test in a browser context of its own, which is always closed.
export async function visit(options, test) {
    const context = await browser.newContext({
        viewport: {width: 1280, height: 900}, locale: "en-US", reducedMotion: "reduce",
        ...options,
    });
    context.setDefaultTimeout(15000 * SLOW);
    watch(context);
    try {
        await test(context);
    } finally {
        await context.close();
    }
}

let users = 0;

// A user id that nobody else has.
export const newUser = (name) => `${name}-${process.pid}-${++users}`;

// A page of the shop, once it shows this user's cart.
export async function openShop(context, user, path = "/") {
    const page = await context.newPage();
    await page.goto(`${BASE}${path}?user=${user}`);
    await page.locator("#products .product").first().waitFor();
    await until(async () => /\d/.test(await page.locator("#version").textContent()));
    return page;
}

export const addButton = (page, product) =>
    page.locator(`#products [data-product="${product}"] .add`);
export const line = (page, product) =>
    page.locator(`#lines [data-product="${product}"]`);
export const stepper = (page, product) => ({
    fewer: line(page, product).locator(".stepper button").first(),
    more: line(page, product).locator(".stepper button").last(),
    input: line(page, product).locator(".stepper input"),
    bin: line(page, product).locator(".bin"),
});

// What the cart shows: {quantities: {product: n}, units, total, waiting}, null while
// empty.
export function shown(page) {
    return page.evaluate(() => {
        const lines = [...document.querySelectorAll("#lines .line")];
        return {
            quantities: Object.fromEntries(lines.map((each) =>
                [each.dataset.product, Number(each.querySelector("input").value)])),
            units: lines.length ? document.querySelector("#units").textContent : "0",
            total: lines.length ? document.querySelector("#total").textContent : "",
            waiting: document.querySelector("#cart").classList.contains("pending"),
        };
    });
}

// Waits until nothing is pending and the cart shows these quantities; tells what it
// shows.
export async function settled(page, quantities) {
    const wanted = JSON.stringify(quantities);
    await until(async () => {
        const now = await shown(page);
        return !now.waiting && JSON.stringify(now.quantities) === wanted;
    });
    const now = await shown(page);
    return now.waiting ? {...now.quantities, waiting: true} : now.quantities;
}

// The API, asked without the page.
export async function api(method, path, body, headers = {}) {
    const response = await fetch(BASE + path, {
        method, headers: {"Content-Type": "application/json", ...headers},
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    return {status: response.status, json: await response.json()};
}

// {product: quantity} of a cart, as the API tells it.
export async function stored(user) {
    const {json} = await api("GET", `/cart/${user}`);
    return Object.fromEntries(json.items.map((each) => [each.product_id, each.quantity]));
}

// The writes that a page sends from now on: [{method, path, key, match}].
export function recordWrites(page) {
    const writes = [];
    page.on("request", (request) => {
        if (request.method() !== "GET")
            writes.push({method: request.method(), path: new URL(request.url()).pathname,
                         key: request.headers()["idempotency-key"],
                         match: request.headers()["if-match"]});
    });
    return writes;
}

export const announced = (page) =>
    page.locator("#announcer").textContent().then((text) => text.trim());
