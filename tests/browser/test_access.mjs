// Accessibility by axe's rules, and no sideways scrolling on the smallest screen: both
// pages in both colour schemes, small and wide, also with everything that can be in the
// way.

import {readFileSync} from "node:fs";
import {createRequire} from "node:module";

import {none, ok} from "./tap.mjs";
import {addButton, api, BASE, CABLE, MUG, newUser, openShop, stepper, visit}
    from "./visit.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
                         "utf8");

async function check(page, name) {
    await page.evaluate(AXE);
    const {violations} = await page.evaluate(() => globalThis.axe.run(document));
    none(violations.flatMap((each) => each.nodes.map((node) =>
        `${each.id}: ${node.target.join(" ")}: ${node.failureSummary}`)),
         `accessible: ${name}`);
    const width = await page.evaluate(() => [document.documentElement.scrollWidth,
                                             document.documentElement.clientWidth]);
    ok(width[0] <= width[1], `accessible: ${name} does not scroll sideways`,
       String(width));
}

// A full cart with a long name, a conflict, and something that waits.
async function crowded(context) {
    const user = newUser("axe");
    await api("POST", `/cart/${user}/add`,
              {product_id: 5, name: "W".repeat(60) + " " + "long ".repeat(25), price: 1e6,
               quantity: 999});
    const page = await openShop(context, user);
    await page.route(`**/cart/${user}`, (route) => route.abort());
    await api("POST", `/cart/${user}/add`, {product_id: MUG, name: "Mug", price: 6.5});
    await addButton(page, CABLE).click();
    await page.locator("#notice-conflict").waitFor();
    await context.setOffline(true);
    await stepper(page, MUG).more.click();
    await page.locator("#notice-delayed").waitFor();
    await page.locator(".history summary").click();
    return page;
}

async function dashboard(context) {
    const page = await context.newPage();
    await page.goto(`${BASE}/dashboard`);
    await page.locator(".chart").first().waitFor();
    await page.locator('[data-chart="latency"] summary').click();
    return page;
}

const cases = ["light", "dark"].flatMap((colorScheme) => [360, 1280].map((width) => () =>
    visit({colorScheme, viewport: {width, height: 800}}, async (context) => {
        const name = `${colorScheme}, ${width} px`;
        await check(await dashboard(context), `the dashboard, ${name}`);
        await check(await openShop(context, newUser("axe")), `the shop, ${name}`);
        await check(await crowded(context), `a crowded shop, ${name}`);
    })));

const reducedMotion = () => visit({reducedMotion: "no-preference"}, async (context) => {
    const page = await openShop(context, newUser("motion"));
    const animation = () => page.evaluate(() =>
        getComputedStyle(document.querySelector(".lit .lamp")).animationName);
    const moving = await animation();
    await page.emulateMedia({reducedMotion: "reduce"});
    ok(moving === "light" && await animation() === "none",
       "accessible: nothing moves where that is asked for");
});

export const tests = [...cases, reducedMotion];
