// What the page is made of, without a browser: the shelf is the seeder's, and both
// languages say the same things.

import {execFileSync} from "node:child_process";
import {readdirSync} from "node:fs";

import {equal, none} from "./tap.mjs";
import {load, read, ROOT, WWW} from "./www.mjs";

function shelf() {
    const seeder = new URL(`build/${process.env.V || "release"}/carrito-seed`, ROOT);
    const catalogue = new Map(
        execFileSync(seeder.pathname, ["--catalogue"], {encoding: "utf8"}).trim()
            .split("\n").map((line) => JSON.parse(line))
            .map((each) => [each.product_id, each]));
    const products = JSON.parse(read("products.json"));
    none(products.filter(({product_id, name, price}) => {
        const seeded = catalogue.get(product_id);
        return seeded?.name !== name || seeded?.price !== price;
    }).map((each) => each.name), "every product of the shelf is the seeder's");
    equal([products.length, new Set(products.map((each) => each.product_id)).size],
          [32, 32], "and there are 32 of them");
}

async function drawings() {
    const {GLYPHS} = await load("glyphs.js");
    const used = JSON.parse(read("products.json")).map((each) => each.glyph);
    equal(Object.keys(GLYPHS).sort(), [...new Set(used)].sort(),
          "each has a drawing, and each drawing is used");
}

// Texts that are asked for by a name which is put together.
const COMPOSED = /^(problem|action|shelf|mode|nodes)\.|(One|Other|Help)$/;

async function languages() {
    const [en, es] = await Promise.all(["en.js", "es.js"].map(async (name) =>
        (await load(name)).default));
    equal(Object.keys(es), Object.keys(en), "both languages have the same texts");
    const holes = (text) => (text.match(/{\w+}/g) || []).sort().join();
    none(Object.keys(en).filter((key) => holes(en[key]) !== holes(es[key])),
         "with the same values in them");
    const code = readdirSync(WWW).filter((name) => !/^(en|es)\./.test(name)).map(read)
        .join("\n");
    none(Object.keys(en).filter((key) =>
        !COMPOSED.test(key) && !code.includes(`"${key}"`)), "every text is used");
}

export const tests = [shelf, drawings, languages];
