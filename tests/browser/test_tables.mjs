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
    const [columns, ...rows] = JSON.parse(read("products.json"));
    equal(columns, ["product_id", "name", "price", "shelf", "drawing"],
          "the shelf's table names its columns");
    const products = rows.map(([product_id, name, price]) => ({product_id, name, price}));
    none(products.filter(({product_id, name, price}) => {
        const seeded = catalogue.get(product_id);
        return seeded?.name !== name || seeded?.price !== price;
    }).map((each) => each.name), "every product of the shelf is the seeder's");
    equal([products.length, new Set(products.map((each) => each.product_id)).size],
          [24, 24], "and there are 24 of them");
    none(rows.filter((row) => !/^M[-\dA-Za-z. ]+$/.test(row[4])).map((row) => row[1]),
         "each has a drawing");
    equal(new Set(rows.map((row) => row[4])).size, rows.length, "of its own");
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

export const tests = [shelf, languages];
