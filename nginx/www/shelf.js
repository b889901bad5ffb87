// The shelf: the products, by kind of shelf, each with a drawing, a price and a way into
// the cart.

import {byId, drawing, make, setText} from "./dom.js";
import {money, text} from "./language.js";

const SHELVES = ["all", "desk", "kitchen", "outdoors", "home"];

let products = [];
let cards = [];
let chosen = "all";

export const productById = (id) => products.find((each) => each.product_id === id);

function makeCard(product, add) {
    // "Stoneware Mug, 250 ml": what comes after the comma is the variant.
    const comma = product.name.indexOf(",");
    const price = make("span", {class: "price"});
    const button = make("button", {type: "button", class: "add",
                                   onclick: () => add(product)});
    const element = make("li", {class: `card product ${product.shelf}`,
                                "data-product": product.product_id},
        make("span", {class: "picture"}, drawing(product.drawing)),
        make("h2", {}, product.name.slice(0, comma),
             make("small", {}, product.name.slice(comma + 2))),
        make("span", {class: "buy"}, price, button));
    return {product, element, price, button};
}

function choose(shelf) {
    chosen = shelf;
    for (const card of cards)
        card.element.hidden = shelf !== "all" && card.product.shelf !== shelf;
    for (const button of byId("filters").children)
        button.setAttribute("aria-pressed", String(button.dataset.shelf === shelf));
}

// In the page's language, whenever that changes.
export function translateShelf() {
    for (const button of byId("filters").children)
        setText(button, text(`shelf.${button.dataset.shelf}`));
    for (const card of cards) {
        setText(card.price, money(card.product.price));
        setText(card.button, text("add"));
        card.button.setAttribute("aria-label",
                                 text("addProduct", {name: card.product.name}));
    }
}

// Loads the products, a table whose first row names its columns; `add` is called with the
// one that somebody wants.
export async function setUpShelf(add) {
    const file = await fetch(new URL("products.json", import.meta.url));
    const [columns, ...rows] = await file.json();
    products = rows.map((row) =>
        Object.fromEntries(columns.map((column, n) => [column, row[n]])));
    cards = products.map((product) => makeCard(product, add));
    byId("products").append(...cards.map((card) => card.element));
    byId("filters").append(...SHELVES.map((shelf) =>
        make("button", {type: "button", "data-shelf": shelf,
                        onclick: () => choose(shelf)})));
    choose(chosen);
    translateShelf();
}
