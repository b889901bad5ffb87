// Several tabs on one cart: each shows what the others do, and none overwrites it.

import {equal, none, ok, until} from "./tap.mjs";
import {addButton, announced, api, CABLE, DUMBBELL, MUG, newUser, openShop, settled,
        stepper, stored, visit} from "./visit.mjs";

const conflict = (page) => page.locator("#notice-conflict");
const deaf = (page, user) => page.route(`**/cart/${user}`, (route) => route.abort());

const follow = () => visit({}, async (context) => {
    const user = newUser("tabs");
    const one = await openShop(context, user);
    const two = await openShop(context, user);
    await addButton(one, MUG).click();
    equal(await settled(two, {[MUG]: 1}), {[MUG]: 1},
          "tabs: the other tab shows it soon");
    await stepper(two, MUG).more.click();
    equal(await settled(one, {[MUG]: 2}), {[MUG]: 2}, "tabs: and the other way round");
    equal(await conflict(one).count() + await conflict(two).count(), 0,
          "tabs: without any conflict");
});

// The second tab does not hear of the first one's change.
const inConflict = () => visit({}, async (context) => {
    const user = newUser("tabs");
    const one = await openShop(context, user);
    await addButton(one, MUG).click();
    await settled(one, {[MUG]: 1});
    const two = await openShop(context, user);
    await deaf(two, user);
    await stepper(one, MUG).input.fill("5");
    await stepper(one, MUG).input.press("Enter");
    await settled(one, {[MUG]: 5});
    await stepper(two, MUG).more.click();
    await conflict(two).waitFor();
    equal(await settled(two, {[MUG]: 5}), {[MUG]: 5},
          "tabs: a 412 shows the current cart");
    const words = await conflict(two).textContent();
    ok(words.includes("was 1, now 5") && words.includes("2 units"),
       "tabs: and says what has happened, and what was not done", words);
    ok((await announced(two)).startsWith("In another tab"), "tabs: also aloud");
    equal(await stored(user), {[MUG]: 5}, "tabs: nothing was overwritten");
    await conflict(two).locator("button").first().click();
    equal(await settled(two, {[MUG]: 2}), {[MUG]: 2},
          "tabs: one click does it after all");
    equal(await conflict(two).count(), 0, "tabs: and the notice is gone");
    equal(await settled(one, {[MUG]: 2}), {[MUG]: 2}, "tabs: the first tab sees that");
});

// Two things done while the network was away, and somebody else was faster.
const everythingBehind = () => visit({}, async (context) => {
    const user = newUser("tabs");
    const page = await openShop(context, user);
    await context.setOffline(true);
    await addButton(page, MUG).click();
    await addButton(page, CABLE).click();
    await api("POST", `/cart/${user}/add`,
              {product_id: DUMBBELL, name: "Cast-iron Dumbbell, 10 kg", price: 30.99});
    await context.setOffline(false);
    await conflict(page).waitFor();
    ok((await conflict(page).textContent()).includes("These 2 were not done"),
       "tabs: what was built on a refused change waits with it");
    await page.reload();
    await conflict(page).waitFor();
    ok(true, "tabs: also over a reload");
    await conflict(page).locator("button").last().click();
    equal(await settled(page, {[DUMBBELL]: 1}), {[DUMBBELL]: 1}, "tabs: and can be left");
    equal(await stored(user), {[DUMBBELL]: 1}, "tabs: then it is not done");
});

const closed = () => visit({}, async (context) => {
    const user = newUser("tabs");
    const one = await openShop(context, user);
    await one.route("**/add", (route) => route.abort());
    await addButton(one, MUG).click();
    await one.locator("#notice-delayed").waitFor();
    await one.close();
    const two = await openShop(context, user);
    equal(await settled(two, {[MUG]: 1}), {[MUG]: 1},
          "tabs: what a closed tab left unsent, the next one sends");
    equal(await stored(user), {[MUG]: 1}, "tabs: once");
});

// The same while the other tab is there already.
const closedBeside = () => visit({}, async (context) => {
    const user = newUser("tabs");
    const one = await openShop(context, user);
    const two = await openShop(context, user);
    await two.waitForTimeout(1000);
    await one.route("**/add", (route) => route.abort());
    await addButton(one, MUG).click();
    await one.locator("#notice-delayed").waitFor();
    await one.close();
    await two.evaluate(() => dispatchEvent(new Event("focus")));
    equal(await settled(two, {[MUG]: 1}), {[MUG]: 1},
          "tabs: what a closed tab left unsent, one that is there sends");
    equal(await stored(user), {[MUG]: 1}, "tabs: once too");
});

// Whatever two tabs do at once, each change is there once or was said not to be.
const manyAtOnce = () => visit({}, async (context) => {
    const user = newUser("tabs");
    const pages = [await openShop(context, user), await openShop(context, user)];
    const clicks = 8;
    await Promise.all(pages.map(async (page) => {
        for (let n = 0; n < clicks; n++)
            await addButton(page, MUG).click();
    }));
    let refused = 0;
    for (const page of pages) {
        await until(async () => !await page.locator("#cart.pending").count());
        if (await conflict(page).count())
            refused += await conflict(page).locator("ul").last().locator("li").count();
    }
    const {[MUG]: done} = await stored(user);
    equal(done + refused, 2 * clicks, "tabs: no click is lost, none is counted twice");
    const faults = [];
    for (const page of pages)
        if (JSON.stringify(await settled(page, {[MUG]: done})) !== `{"${MUG}":${done}}`)
            faults.push(await page.locator("#lines").textContent());
    none(faults, "tabs: and both show what the server has");
});

export const tests = [follow, inConflict, everythingBehind, closed, closedBeside,
                      manyAtOnce];
