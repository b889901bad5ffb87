// Pictures of the page for README: the shop, the shop on a small dark screen in Spanish,
// and the dashboard after a replica was killed and came back.

import {sleep, stack, until} from "./tap.mjs";
import {addButton, api, BASE, CABLE, launch, MUG, openShop, settled, stepper, visit}
    from "./visit.mjs";

const [directory] = process.argv.slice(2);
const CHOCOLATE = 1319;
const CLIENTS = 6;

const picture = (page, name) => page.screenshot({path: `${directory}/${name}.png`});

// Until what is plain to see on the strip is a hit of a replica.
async function untilHit(page) {
    await until(async () => {
        await page.reload();
        await page.locator(".station.lit").first().waitFor();
        return await page.locator("#cost-cache").textContent() === "HIT";
    }, 10, 300);
    await page.locator("#popular li").first().waitFor();
    await sleep(1500); // until nothing moves any more
}

async function shop(context) {
    const page = await openShop(context, "ana");
    for (const product of [MUG, CABLE, CHOCOLATE])
        await addButton(page, product).click();
    await stepper(page, MUG).more.click();
    await settled(page, {[MUG]: 2, [CABLE]: 1, [CHOCOLATE]: 1});
    await untilHit(page);
    await picture(page, "shop");
}

async function small(context) {
    const page = await openShop(context, "ana");
    await untilHit(page);
    await picture(page, "shop-small");
}

// Reads, and now and then a write, until it is told to stop.
function load() {
    const it = {on: true};
    const client = async (n) => {
        for (let round = 0; it.on; round++) {
            const user = `user${101 + (round + 4 * n) % 24}`;
            await api("GET", `/cart/${user}`);
            if (round % 9 === 0)
                await api("POST", `/cart/${user}/add`,
                          {product_id: MUG, name: "Stoneware Mug, 250 ml", price: 6.5});
            await sleep(4 + 3 * Math.sin(Date.now() / 2500));
        }
    };
    it.ended = Promise.all(Array.from({length: CLIENTS}, (_, n) => client(n)));
    return it;
}

async function dashboard(context) {
    const page = await context.newPage();
    await page.goto(`${BASE}/dashboard`);
    await page.locator(".chart").first().waitFor();
    const clients = load();
    await sleep(28000);
    await stack("kill", "redis-replica-1");
    await sleep(6000);
    await stack("start", "redis-replica-1");
    await sleep(16000);
    await stack("kill", "redis-replica-2");
    await sleep(2000);
    await picture(page, "dashboard");
    clients.on = false;
    await clients.ended;
}

const browser = await launch();
try {
    const wide = {viewport: {width: 1280, height: 860}};
    await visit(wide, shop);
    await visit({viewport: {width: 360, height: 760}, colorScheme: "dark",
                 locale: "es-ES"}, small);
    await visit({viewport: {width: 1280, height: 890}}, dashboard);
} finally {
    await browser.close();
}
process.exit(0);
