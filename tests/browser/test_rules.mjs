// The page's pure functions: what an action makes of a cart, and what is computed from
// two readings of /metrics.

import {equal} from "./tap.mjs";
import {load} from "./www.mjs";

const mug = {product_id: 1, name: "Mug", price: 0.1};

async function carts() {
    const {applyAction, differences, emptyCart} = await load("cart.js");
    const after = (...actions) => actions.reduce(applyAction, emptyCart("ana"));
    const add = {...mug, kind: "add", quantity: 3};
    const show = ({items, item_count, total}) =>
        [items.map((each) => [each.product_id, each.quantity]), item_count, total];
    equal(show(after(add)), [[[1, 3]], 3, 0.3], "rules: amounts are exact");
    equal(show(after(add, {...add, product_id: 2, price: 1e6, quantity: 999})),
          [[[1, 3], [2, 999]], 1002, 999000000.3], "rules: large ones too");
    equal(show(after(add, add)), [[[1, 6]], 6, 0.6], "rules: an add grows its line");
    equal(show(after(add, {kind: "set", product_id: 1, quantity: 2})),
          [[[1, 2]], 2, 0.2], "rules: a quantity is set");
    equal([show(after(add, {kind: "set", product_id: 1, quantity: 0})),
           show(after(add, {kind: "remove", product_id: 1})),
           show(after(add, {kind: "clear"}))], Array(3).fill([[], 0, 0]),
          "rules: 0 units, remove and clear leave nothing");
    equal(differences(after(add), after({...add, product_id: 2})),
          [{name: "Mug", was: 3, now: 0}, {name: "Mug", was: 0, now: 3}],
          "rules: in what two carts differ");
}

const reading = (parse, ...counts) => parse([
    "# TYPE t_seconds histogram",
    ...["0.1", "0.2", "+Inf"].map((le, n) =>
        `t_seconds_bucket{route="/cart/{user_id}",le="${le}"} ${counts[n]}`),
    `n_total{node="a \\"b\\", c",result="hit"} ${counts[0]}`, "lonely 7", "",
].join("\n"));

async function figures() {
    const {grown, parse, percentiles, sum} = await load("metrics.js");
    const [before, after] = [reading(parse, 0, 0, 0), reading(parse, 10, 30, 40)];
    equal(after.n_total[0], {labels: {node: 'a \\"b\\", c', result: "hit"}, value: 10},
          "rules: labels may hold what separates them");
    equal([sum(after, "lonely"), sum(after, "nothing")], [7, 0],
          "rules: what is not there is zero");
    equal(percentiles(before, after, "t_seconds", {}, [0.25, 0.5, 0.99])
        .map((each) => Number(each.toFixed(6))), [0.1, 0.15, 0.2],
          "rules: percentiles are interpolated, and end at the last bound");
    equal(percentiles(after, after, "t_seconds", {}, [0.5]), [null],
          "rules: of nothing there are none");
    equal([grown(before, after, "n_total", {result: "hit"}),
           grown(after, reading(parse, 4, 4, 4), "n_total", {})], [10, 4],
          "rules: a counter that starts again has grown by what it has");
}

export const tests = [carts, figures];
