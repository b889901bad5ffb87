// PostgreSQL stops and comes back, under both pages. Last, as it disturbs all others.

import {equal, ok, stack, until} from "./tap.mjs";
import {addButton, announced, BASE, CABLE, MUG, newUser, openShop, recordWrites, settled,
        shown, stepper, stored, visit} from "./visit.mjs";

const stopped = () => visit({}, async (context) => {
    const user = newUser("db");
    const page = await openShop(context, user);
    await addButton(page, MUG).click();
    await settled(page, {[MUG]: 1});
    const dashboard = await context.newPage();
    await dashboard.goto(`${BASE}/dashboard`);
    await dashboard.locator('[data-node="PostgreSQL"][data-state="up"]').waitFor();
    await stack("stop", "postgres");
    try {
        await dashboard.locator('[data-node="PostgreSQL"][data-state="down"]').waitFor();
        ok(true, "database: the dashboard shows that it is gone");
        await page.bringToFront();
        const writes = recordWrites(page);
        await stepper(page, MUG).more.click();
        await page.locator("#notice-delayed").waitFor();
        ok(await until(async () => (await page.locator("#notice-delayed").textContent())
            .includes("The database")), "database: the shop says what is wrong",
           await page.locator("#notice-delayed").textContent());
        await addButton(page, CABLE).click();
        await page.reload();
        await page.locator("#notice-delayed").waitFor();
        equal(await shown(page), {quantities: {[MUG]: 2, [CABLE]: 1}, units: "3",
                                  total: "€24.70", waiting: true},
              "database: and keeps what was done, also over a reload");
        await stack("start", "postgres");
        await until(async () => !(await shown(page)).waiting, 20);
        equal(await settled(page, {[MUG]: 2, [CABLE]: 1}), {[MUG]: 2, [CABLE]: 1},
              "database: when it is back, all is saved");
        equal(await stored(user), {[MUG]: 2, [CABLE]: 1}, "database: once");
        const keys = (path) => new Set(writes.filter((each) => each.path.includes(path))
            .map((each) => each.key));
        ok(keys("/update/").size === 1 && keys("/add").size === 1 && writes.length >= 4,
           "database: each under the one key", JSON.stringify(writes));
        ok(await until(async () => (await announced(page)).includes("is saved")),
           "database: and the page says so", await announced(page));
    } finally {
        await stack("start", "postgres");
    }
    await dashboard.bringToFront();
    await dashboard.locator('[data-node="PostgreSQL"][data-state="up"]').waitFor();
    ok(true, "database: the dashboard shows its return");
});

export const tests = [stopped];
