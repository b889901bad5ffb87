// The shop without a mouse: Tab and Enter lead through everything.

import {equal, ok} from "./tap.mjs";
import {CABLE, line, MUG, newUser, openShop, settled, visit} from "./visit.mjs";

const focused = (page, selector) =>
    page.evaluate((wanted) => document.activeElement.matches(wanted), selector);

// Presses Tab until the element that has the focus passes the test.
async function tabTo(page, selector, most = 120) {
    for (let n = 0; n < most; n++) {
        await page.keyboard.press("Tab");
        if (await focused(page, selector))
            return true;
    }
    return false;
}

const all = () => visit({}, async (context) => {
    const page = await openShop(context, newUser("keys"));
    const press = (key) => page.keyboard.press(key);
    ok(await tabTo(page, `#products [data-product="${MUG}"] .add`),
       "keyboard: Tab leads to a product");
    const outline = await page.evaluate(() =>
        getComputedStyle(document.activeElement).outlineStyle);
    equal(outline, "solid", "keyboard: one sees where one is");
    await press("Enter");
    equal(await settled(page, {[MUG]: 1}), {[MUG]: 1}, "keyboard: Enter adds it");
    ok(await focused(page, ".add"), "keyboard: and the focus stays");
    await tabTo(page, `#products [data-product="${CABLE}"] .add`);
    await press("Space");
    await settled(page, {[MUG]: 1, [CABLE]: 1});

    await page.reload();
    await settled(page, {[MUG]: 1, [CABLE]: 1});
    ok(await tabTo(page, ".skip", 1), "keyboard: the first Tab leads to a link");
    await press("Enter");
    ok(await tabTo(page, `#lines [data-product="${MUG}"] .bin`, 3),
       "keyboard: which leads past the shelf to the cart");
    await tabTo(page, "#lines .stepper button:last-child", 5);
    await press("Enter");
    await settled(page, {[MUG]: 2, [CABLE]: 1});
    ok(await focused(page, ".stepper button"),
       "keyboard: the focus stays on the stepper");
    await press("Shift+Tab");
    ok(await focused(page, ".stepper input"), "keyboard: the quantity can be typed");
    await press("Control+A");
    await page.keyboard.type("7");
    await press("Enter");
    equal(await settled(page, {[MUG]: 7, [CABLE]: 1}), {[MUG]: 7, [CABLE]: 1},
          "keyboard: and Enter takes it");

    await line(page, MUG).locator(".bin").focus();
    await press("Enter");
    equal(await settled(page, {[CABLE]: 1}), {[CABLE]: 1}, "keyboard: a line is removed");
    ok(await focused(page, `#lines [data-product="${CABLE}"] .bin`),
       "keyboard: the focus goes to the next one");
    ok(await tabTo(page, "#clear", 8), "keyboard: Tab leads to the end of the cart");
    await press("Enter");
    equal(await settled(page, {}), {}, "keyboard: which empties it");
});

export const tests = [all];
