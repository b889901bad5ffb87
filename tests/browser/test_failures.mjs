// What somebody did is kept and done exactly once, whatever happens to the network or the
// server meanwhile. What PostgreSQL's stop does is in test_database.mjs.

import {equal, ok, until} from "./tap.mjs";
import {addButton, announced, broken, CABLE, MUG, newUser, openShop, recordWrites,
        settled, shown, stepper, stored, visit} from "./visit.mjs";

const delayed = (page) => page.locator("#notice-delayed");

const sameKey = (writes, path) =>
    new Set(writes.filter((each) => each.path.endsWith(path))
        .map((each) => `${each.key} ${each.match}`)).size === 1;

const offline = () => visit({}, async (context) => {
    const user = newUser("net");
    const page = await openShop(context, user);
    const writes = recordWrites(page);
    await context.setOffline(true);
    await addButton(page, MUG).click();
    await delayed(page).waitFor();
    ok((await delayed(page).textContent()).includes("What you did is kept"),
       "network: the page says that it keeps what was done");
    ok((await announced(page)).includes("is kept"), "network: also aloud");
    equal(await shown(page), {quantities: {[MUG]: 1}, units: "1", total: "€6.50",
                              waiting: true}, "network: and shows it as not saved yet");
    await stepper(page, MUG).more.click();
    await addButton(page, CABLE).click();
    ok((await page.locator("#version").textContent()).startsWith("3 changes"),
       "network: more can be done meanwhile");
    await until(() => writes.length >= 2);
    await context.setOffline(false);
    equal(await settled(page, {[MUG]: 2, [CABLE]: 1}), {[MUG]: 2, [CABLE]: 1},
          "network: once it is back, everything is saved");
    equal(await stored(user), {[MUG]: 2, [CABLE]: 1}, "network: exactly once, in order");
    ok(writes.filter((each) => each.key === writes[0].key).length >= 2,
       "network: the same key went out again", JSON.stringify(writes));
    ok(await until(async () => (await announced(page)).includes("all you did is saved")),
       "network: and the page says so", await announced(page));
    equal(await delayed(page).count(), 0, "network: the notice is gone");
});

const reload = () => visit({}, async (context) => {
    const user = newUser("net");
    const page = await openShop(context, user);
    const writes = recordWrites(page);
    await page.route("**/add", (route) => route.abort());
    await addButton(page, MUG).click();
    await delayed(page).waitFor();
    await page.reload();
    await delayed(page).waitFor();
    equal((await shown(page)).quantities, {[MUG]: 1},
          "reload: what is pending is still there");
    await page.unroute("**/add");
    await delayed(page).locator("button").first().click();
    equal(await settled(page, {[MUG]: 1}), {[MUG]: 1}, "reload: and is saved then");
    equal(await stored(user), {[MUG]: 1}, "reload: once");
    ok(writes.length >= 3 && sameKey(writes, "/add"),
       "reload: under the key it had before", JSON.stringify(writes));
});

// The server has done it, and its answer never comes.
const lostAnswer = () => visit({}, async (context) => {
    const user = newUser("net");
    const page = await openShop(context, user);
    const writes = recordWrites(page);
    let lost = 0;
    await page.route("**/add", async (route) => {
        if (lost++ > 0)
            return route.continue();
        await route.fetch();
        return route.abort();
    });
    await addButton(page, MUG).click();
    equal(await settled(page, {[MUG]: 1}), {[MUG]: 1},
          "lost answer: the page asks again");
    equal(await stored(user), {[MUG]: 1}, "lost answer: it was done once");
    ok(writes.length === 2 && sameKey(writes, "/add"), "lost answer: by the same key",
       JSON.stringify(writes));
    equal(await page.locator("#notice-conflict").count(), 0, "lost answer: no conflict");
});

const unavailable = () => visit({}, async (context) => {
    const user = newUser("net");
    const page = await openShop(context, user);
    const writes = recordWrites(page);
    const times = [];
    await page.route("**/add", (route) => {
        times.push(performance.now());
        return times.length > 1 ? route.continue() : route.fulfill({
            status: 503, headers: {"Retry-After": "1"},
            contentType: "application/problem+json",
            body: JSON.stringify({type: "about:blank", title: "Service Unavailable",
                                  status: 503, code: "overloaded", detail: "Too much."}),
        });
    });
    await addButton(page, MUG).click();
    await delayed(page).waitFor();
    ok((await delayed(page).textContent()).includes("too much to do"),
       "503: the page says why, in its own words");
    equal(await settled(page, {[MUG]: 1}), {[MUG]: 1}, "503: and asks again");
    ok(times[1] - times[0] >= 990, "503: not before Retry-After", String(times));
    ok(writes.length === 2 && sameKey(writes, "/add"), "503: with the same key",
       JSON.stringify(writes));
    equal(await stored(user), {[MUG]: 1}, "503: it is done once");
});

const onDashboard = () => visit({}, async (context) => {
    const user = newUser("net");
    const page = await openShop(context, user);
    await page.route("**/add", (route) => route.abort());
    await addButton(page, MUG).click();
    await delayed(page).waitFor();
    await page.locator('nav a[href="/dashboard"]').click();
    await page.locator(".chart").first().waitFor();
    await page.unroute("**/add");
    await until(async () => (await stored(user))[MUG]);
    equal(await stored(user), {[MUG]: 1}, "dashboard: what waits is sent from there too");
});

// Nobody has to wait for a server for ever.
const discarded = () => visit({}, async (context) => {
    const user = newUser("net");
    const page = await openShop(context, user);
    await page.route("**/add", (route) => route.abort());
    await addButton(page, MUG).click();
    await addButton(page, CABLE).click();
    await delayed(page).waitFor();
    await delayed(page).locator("button").last().click();
    equal(await settled(page, {}), {}, "discard: what waits can be given up");
    await page.unroute("**/add");
    await addButton(page, CABLE).click();
    equal(await settled(page, {[CABLE]: 1}), {[CABLE]: 1}, "discard: and all goes on");
    equal(await stored(user), {[CABLE]: 1}, "discard: without it");
});

// The server has done it, its answer is lost, and a read says so before the retry does.
const seenBefore = () => visit({}, async (context) => {
    const user = newUser("net");
    const page = await openShop(context, user);
    let tries = 0;
    await page.route("**/add", async (route) => {
        if (tries++ === 0)
            await route.fetch();
        return route.abort();
    });
    await addButton(page, MUG).click();
    await delayed(page).waitFor();
    const read = page.waitForResponse((each) => each.url().endsWith(`/cart/${user}`));
    await page.evaluate(() => dispatchEvent(new Event("focus")));
    await (await read).finished();
    await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
    equal(await shown(page), {quantities: {[MUG]: 1}, units: "1", total: "€6.50",
                              waiting: true}, "lost answer: it is not shown twice");
    await stepper(page, MUG).more.click();
    await page.unroute("**/add");
    equal(await settled(page, {[MUG]: 2}), {[MUG]: 2},
          "lost answer: and what is done then is built on what is there");
});

// Somebody else's unsent change holds up nobody, and is told by its owner's name.
const otherUser = () => visit({}, async (context) => {
    const [one, two] = [newUser("first"), newUser("second")];
    const page = await openShop(context, one);
    await page.route(`**/cart/${one}/add`, (route) => route.abort());
    await addButton(page, MUG).click();
    await delayed(page).waitFor();
    await page.locator("#user").fill(two);
    await page.locator("#user").press("Enter");
    await until(async () => (await announced(page)).includes("You are now"));
    equal(await delayed(page).count(), 0, "other user: sees nothing of it");
    await addButton(page, CABLE).click();
    equal(await settled(page, {[CABLE]: 1}), {[CABLE]: 1}, "other user: need not wait");
    await page.unroute(`**/cart/${one}/add`);
    ok(await until(async () => (await announced(page)).startsWith(`${one}: The server`)),
       "other user: hears whose change was saved", await announced(page));
    equal(await stored(one), {[MUG]: 1}, "other user: the first one's is done too");
});

// Something in the page breaks while an answer is dealt with.
const pageFault = () => visit({}, async (context) => {
    const user = newUser("fault");
    const page = await openShop(context, user);
    const before = broken.length;
    await page.evaluate(() => document.querySelector("#announcer").remove());
    await addButton(page, MUG).click();
    await until(() => broken.length > before);
    await page.evaluate(() => document.body.insertAdjacentElement("beforeend",
        Object.assign(document.createElement("div"), {id: "announcer"})));
    await addButton(page, CABLE).click();
    equal(await settled(page, {[MUG]: 1, [CABLE]: 1}), {[MUG]: 1, [CABLE]: 1},
          "fault: the page goes on sending");
    ok(broken.length > before, "fault: and reports what it was");
    broken.length = before; // this one was meant
});

const unstored = (name, script) => () => visit({}, async (context) => {
    const user = newUser("store");
    await context.addInitScript(script);
    const page = await openShop(context, user);
    await page.route("**/add", (route) => route.abort());
    await addButton(page, MUG).click();
    await delayed(page).waitFor();
    await addButton(page, CABLE).click();
    equal((await shown(page)).quantities, {[MUG]: 1, [CABLE]: 1},
          `${name}: what is done is kept all the same`);
    await page.unroute("**/add");
    equal(await settled(page, {[MUG]: 1, [CABLE]: 1}), {[MUG]: 1, [CABLE]: 1},
          `${name}: and saved`);
    equal(await stored(user), {[MUG]: 1, [CABLE]: 1}, `${name}: once`);
});

const full = unstored("full storage", () => {
    Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError");
    };
});

const blocked = unstored("blocked storage", () => {
    for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(globalThis, name, {
            get() {
                throw new DOMException("blocked", "SecurityError");
            },
        });
});

export const tests = [offline, discarded, onDashboard, reload, lostAnswer, seenBefore,
                      unavailable, otherUser, pageFault, full, blocked];
