// Runs the browser tests: all modules, or those that are named. Ends its browser always.

import {failed, none, ok} from "./tap.mjs";
import {broken, launch, strangers, violations} from "./visit.mjs";

const MODULES = ["tables", "rules", "shop", "tabs", "failures", "languages", "keyboard",
                 "weight", "access", "dashboard", "database"];

const names = process.argv.length > 2 ? process.argv.slice(2) : MODULES;
const browser = await launch();
try {
    for (const name of names) {
        const {tests} = await import(`./test_${name}.mjs`);
        for (const test of tests) {
            try {
                await test();
            } catch (error) {
                ok(false, `${name}: ${test.name} broke off`, String(error.stack));
            }
        }
    }
    none(broken, "no script of the page has failed");
    none(violations, "nothing has offended against the content security policy");
    none([...strangers], "no request has left for another host");
} finally {
    await browser.close();
}
process.exit(failed ? 1 : 0);
