// English and Spanish: by the browser's languages, or by the switch, which is remembered.

import {equal, none, ok} from "./tap.mjs";
import {addButton, BASE, MUG, newUser, openShop, settled, shown, visit}
    from "./visit.mjs";

const lang = (page) => page.evaluate(() => document.documentElement.lang);

const byBrowser = () => visit({locale: "es-AR"}, async (context) => {
    const page = await openShop(context, newUser("es"));
    equal([await lang(page), await page.locator("h1").textContent(),
           await addButton(page, MUG).textContent()],
          ["es", "En el estante", "Añadir"],
          "languages: Spanish where the browser says so");
    await addButton(page, MUG).click();
    await settled(page, {[MUG]: 1});
    equal((await shown(page)).total.replace("\u00a0", " "), "6,50 €",
          "languages: money is written so too");
    await page.locator('.languages [lang="en"]').click();
    await page.locator("h1", {hasText: "On the shelf"}).waitFor();
    equal([await lang(page), (await shown(page)).total], ["en", "€6.50"],
          "languages: the switch changes all of it");
    await page.reload();
    await page.locator("h1", {hasText: "On the shelf"}).waitFor();
    ok(true, "languages: and is remembered");
    await page.goto(`${BASE}/dashboard`);
    await page.locator("h1", {hasText: "What is going on"}).waitFor();
    await page.locator('.languages [lang="es"]').click();
    await page.locator("h1", {hasText: "Qué pasa por dentro"}).waitFor();
    await page.locator('[data-chart="latency"] h3', {hasText: "Latencia"}).waitFor();
    ok(true, "languages: on the dashboard too");
});

const others = () => visit({locale: "fi-FI"}, async (context) => {
    const page = await openShop(context, newUser("fi"));
    equal(await lang(page), "en", "languages: English for all others");
});

const notLoaded = () => visit({}, async (context) => {
    const page = await openShop(context, newUser("es"));
    await page.route("**/es.js", (route) => route.abort());
    const failed = page.waitForEvent("requestfailed");
    await page.locator('.languages [lang="es"]').click();
    await failed;
    await addButton(page, MUG).click();
    await settled(page, {[MUG]: 1});
    equal([await lang(page), await page.locator("h1").textContent()],
          ["en", "On the shelf"], "languages: one that cannot be loaded changes nothing");
    await page.reload();
    await page.locator("h1", {hasText: "On the shelf"}).waitFor();
    ok(true, "languages: nor is it remembered");
});

// Spanish takes more room.
const narrow = () => visit({locale: "es-ES", viewport: {width: 360, height: 740}},
                           async (context) => {
    const faults = [];
    const pages = [await openShop(context, newUser("es")), await context.newPage()];
    await pages[1].goto(`${BASE}/dashboard`);
    await pages[1].locator(".chart").first().waitFor();
    for (const page of pages) {
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > 360)
            faults.push(`${page.url()}: ${width}`);
    }
    none(faults, "languages: Spanish fits on a small screen");
});

// A text that is missing would show its name, or a hole.
const noHoles = () => visit({locale: "es-ES"}, async (context) => {
    const faults = [];
    for (const path of ["/", "/dashboard"]) {
        const page = await context.newPage();
        await page.goto(BASE + path);
        const ready = path === "/" ? "#products .product" : ".chart";
        await page.locator(ready).first().waitFor();
        const text = await page.locator("body").innerText();
        faults.push(...(text.match(/{\w+}|undefined|NaN|\b[a-z]+[A-Z]\w+\b/g) || []));
    }
    none(faults.filter((each) => each !== "nginx"), "languages: no text has a hole");
});

export const tests = [byBrowser, others, notLoaded, narrow, noHoles];
