// Every action in the shop, as a person takes it.

import {equal, ok, until} from "./tap.mjs";
import {addButton, announced, api, CABLE, line, MUG, newUser, openShop, recordWrites,
        settled, shown, stepper, stored, violations, visit} from "./visit.mjs";

const addAndChange = () => visit({}, async (context) => {
    const user = newUser("shop");
    const page = await openShop(context, user);
    const writes = recordWrites(page);
    ok(await page.locator("#empty").isVisible(),
       "shop: a new cart is empty, and says so");
    await addButton(page, MUG).click();
    equal(await settled(page, {[MUG]: 1}), {[MUG]: 1}, "shop: a product is added");
    equal((await shown(page)).total, "€6.50", "shop: with its price");
    ok((await announced(page)).includes("1 in the cart, €6.50"),
       "shop: and it is announced", await announced(page));
    await stepper(page, MUG).more.click();
    await stepper(page, MUG).more.click();
    equal(await settled(page, {[MUG]: 3}), {[MUG]: 3}, "shop: two more");
    await stepper(page, MUG).fewer.click();
    equal(await settled(page, {[MUG]: 2}), {[MUG]: 2}, "shop: one less");
    await stepper(page, MUG).input.fill("12");
    await stepper(page, MUG).input.press("Enter");
    equal(await settled(page, {[MUG]: 12}), {[MUG]: 12},
          "shop: a quantity that is typed");
    await stepper(page, MUG).input.fill("a lot");
    await stepper(page, MUG).input.blur();
    equal(await settled(page, {[MUG]: 12}), {[MUG]: 12}, "shop: one that is none is not");
    await addButton(page, CABLE).click();
    await settled(page, {[MUG]: 12, [CABLE]: 1});
    const now = await shown(page);
    equal([now.units, now.total], ["13", "€89.70"], "shop: units and total of two lines");
    equal(await stored(user), {[MUG]: 12, [CABLE]: 1}, "shop: the server has the same");
    await stepper(page, MUG).bin.click();
    equal(await settled(page, {[CABLE]: 1}), {[CABLE]: 1}, "shop: a line is removed");
    await page.locator("#clear").click();
    equal(await settled(page, {}), {}, "shop: the cart is emptied");
    equal(await stored(user), {}, "shop: the server's too");
    equal(writes.map((each) => each.match), writes.map((_, n) => `"${n}"`),
          "shop: each write says which version it is about");
    equal(new Set(writes.map((each) => each.key)).size, writes.length,
          "shop: and has a key of its own");
});

// What is shown anew meanwhile does not disturb who types.
const typing = () => visit({}, async (context) => {
    const user = newUser("typing");
    const page = await openShop(context, user);
    await addButton(page, MUG).click();
    await settled(page, {[MUG]: 1});
    const {input} = stepper(page, MUG);
    await input.focus();
    await input.press("Control+A");
    await page.keyboard.type("4");
    await page.locator(`#products [data-product="${CABLE}"] .add`)
        .evaluate((button) => button.click());
    await settled(page, {[MUG]: 4, [CABLE]: 1});
    await page.keyboard.type("2");
    equal(await input.inputValue(), "42", "shop: what is being typed stays");
    await input.press("Enter");
    equal(await settled(page, {[MUG]: 42, [CABLE]: 1}), {[MUG]: 42, [CABLE]: 1},
          "shop: and is taken in the end");
    equal(await stored(user), {[MUG]: 42, [CABLE]: 1}, "shop: by the server too");
});

const otherUser = () => visit({}, async (context) => {
    const page = await openShop(context, newUser("shop"));
    await page.locator("#user").fill("not valid!");
    await page.locator("#user").press("Enter");
    equal(await page.locator("#user").getAttribute("aria-invalid"), "true",
          "shop: a user id that cannot be is refused");
    ok((await page.locator("#user-problem").textContent()).includes("1 to 64"),
       "shop: with the reason");
    await page.locator("#user").fill("user101");
    await page.locator("#user").press("Enter");
    const seeded = await stored("user101");
    const wanted = Object.keys(seeded).length;
    ok(wanted > 0 && await until(async () =>
        await page.locator("#lines .line").count() === wanted),
       "shop: another user's cart is shown");
    ok(page.url().endsWith("?user=user101"), "shop: and named in the address",
       page.url());
    await page.reload();
    equal(await page.locator("#user").inputValue(), "user101",
          "shop: also after a reload");
});

const filters = () => visit({}, async (context) => {
    const page = await openShop(context, newUser("shop"));
    await page.locator('[data-shelf="kitchen"]').click();
    const visible = await page.locator("#products .product:visible").count();
    ok(visible === await page.locator("#products .kitchen").count() && visible > 0,
       "shop: a part of the shelf", String(visible));
    await page.locator('[data-shelf="all"]').click();
    equal(await page.locator("#products .product:visible").count(), 24,
          "shop: and all of it");
});

const topProducts = () => visit({}, async (context) => {
    const page = await openShop(context, newUser("shop"));
    const first = page.locator("#popular li").first();
    await first.waitFor();
    const {json} = await api("GET", "/stats/top-products");
    equal(await first.getAttribute("data-product"), String(json[0].product_id),
          "shop: the top products are there, in order");
    await page.locator(`#popular [data-product="${MUG}"] button`).click();
    equal(await settled(page, {[MUG]: 1}), {[MUG]: 1},
          "shop: and one can be added there");
});

// The strip's microseconds are those of the answer's own headers.
const cost = () => visit({}, async (context) => {
    const user = newUser("cost");
    await api("POST", `/cart/${user}/add`, {product_id: MUG, name: "Mug", price: 6.5});
    const page = await openShop(context, user);
    const answers = [];
    page.on("response", (response) => {
        if (new URL(response.url()).pathname === `/cart/${user}`)
            answers.push(response.headers());
    });
    // All of the strip at one moment.
    const strip = () => page.evaluate(() => ({
        cache: document.querySelector("#cost-cache").textContent,
        request: document.querySelector("#cost-request").textContent,
        ...Object.fromEntries([...document.querySelectorAll(".station")].map((each) =>
            [each.dataset.part, each.textContent])),
    }));
    const micros = (ms) => Math.round(Number(ms) * 1000).toLocaleString("en") + " µs";
    const asStrip = (headers) => {
        const told = /app;dur=([\d.]+), redis;desc="(replica-\d)";dur=([\d.]+)/
            .exec(headers["server-timing"]);
        return headers["x-cache"] !== "HIT" || !told ? null
            : ["HIT", "app" + micros(told[1]), `Redis ${told[2]}${micros(told[3])}`];
    };
    let now, wanted;
    ok(await until(async () => {
        await page.reload();
        await page.locator(".station.lit").first().waitFor();
        now = await strip();
        wanted = answers.map(asStrip).filter(Boolean);
        return wanted.some((each) =>
            each.join() === [now.cache, now.app, now.redis].join());
    }), "cost: a hit's times, and the Redis node, are those of its headers",
       {now, wanted});
    ok(now.request === `GET /cart/${user} → 200` && now.db.includes("not asked"),
       "cost: PostgreSQL was not asked", now);
    await addButton(page, MUG).click();
    await settled(page, {[MUG]: 2});
    ok(await until(async () => {
        now = await strip();
        return /µs/.test(now.db) && now.redis.includes("master");
    }, 2), "cost: a write asks the master and PostgreSQL", now);
    await page.locator(".history summary").click();
    ok(await page.locator("#cost-history tr").count() >= 2,
       "cost: the last requests are listed");
});

// What the server refuses for good is said, and nothing else is lost.
const refusals = () => visit({}, async (context) => {
    const user = newUser("many");
    await api("POST", `/cart/${user}/add`,
              {product_id: MUG, name: "Mug", price: 6.5, quantity: 999});
    const page = await openShop(context, user);
    ok(await stepper(page, MUG).more.isDisabled(), "shop: 999 are the most");
    await page.evaluate((products) => {
        for (const product of products)
            document.querySelector(`#products [data-product="${product}"] .add`).click();
    }, [MUG, CABLE, MUG]);
    const notice = page.locator("#notice-problem");
    ok(await until(async () => await notice.locator("li").count() === 2),
       "shop: each refusal is told, until that is closed");
    ok((await notice.textContent()).includes("at most 999"), "shop: in the page's words");
    equal(await settled(page, {[MUG]: 999, [CABLE]: 1}), {[MUG]: 999, [CABLE]: 1},
          "shop: and what came behind it is done");
    await page.locator("#notice-problem button").click();
    equal(await page.locator("#notice-problem").count(), 0, "shop: it can be closed");
});

const hostileText = () => visit({}, async (context) => {
    const user = newUser("hostile");
    const name = "<img src=x onerror=document.title='hurt'><b>{name}</b>";
    await api("POST", `/cart/${user}/add`, {product_id: 7, name, price: 1});
    const page = await openShop(context, user);
    equal(await line(page, 7).locator(".line-name").textContent(), name,
          "shop: a name that looks like HTML is text");
    equal(await page.locator("#lines img, #lines b").count(), 0,
          "shop: and makes no element");
    const before = violations.length;
    const refused = await page.evaluate(() => {
        try {
            document.body.insertAdjacentHTML("beforeend", "<i></i>");
            return false;
        } catch {
            return true;
        }
    });
    ok(refused && await until(() => violations.length > before),
       "shop: the browser itself refuses text as HTML");
    violations.length = before; // this one was meant
});

export const tests = [addAndChange, typing, otherUser, filters, topProducts, cost,
                      refusals, hostileText];
