// The products with the most units in carts, asked for now and then while somebody looks.

import {request} from "./api.js";
import {byId, make, setText} from "./dom.js";
import {number, text} from "./language.js";
import {productById} from "./shelf.js";

const EVERY_MS = 15000;
const SHOWN = 6;

let latest = [];
let addProduct;

function row(product) {
    const known = productById(product.product_id);
    const add = known && make("button", {
        type: "button", class: "quiet", onclick: () => addProduct(known),
        "aria-label": text("addProduct", {name: product.name}),
    }, text("add"));
    return make("li", {"data-product": product.product_id},
                make("span", {class: "popular-name"}, product.name),
                make("span", {class: "popular-count"},
                     text("inCarts", {count: product.units,
                                      carts: number(product.carts)})),
                add || "");
}

// The list stays as it is where nothing has changed, and with it the keyboard's focus.
export function showTop() {
    const list = byId("popular");
    const rows = latest.slice(0, SHOWN).map(row);
    if (rows.map((each) => each.textContent).join() !==
        Array.from(list.children, (each) => each.textContent).join())
        list.replaceChildren(...rows);
}

export async function readTop() {
    const answer = await request("GET", "/stats/top-products");
    const problem = byId("popular-problem");
    problem.hidden = answer.status === 200;
    if (answer.status === 200) {
        latest = answer.json;
        showTop();
    } else {
        setText(problem, text("topUnknown"));
    }
}

export function setUpTop(add) {
    addProduct = add;
    setInterval(() => document.hidden || readTop(), EVERY_MS);
    return readTop();
}
