// The cart on the page. Lines are kept from one state to the next, so that what has the
// keyboard's focus keeps it.

import {QUANTITY_MAX} from "./cart.js";
import {byId, drawing, make, setText} from "./dom.js";
import {money, number, text} from "./language.js";

const MINUS = "M6 12h12";
const PLUS = "M6 12h12M12 6v12";
const BIN = "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5";

const rows = new Map(); // by product id
let act;

// `onAction` is called with each action that somebody takes on a line, or on the cart.
export function setUpCartView(onAction) {
    act = onAction;
    byId("clear").addEventListener("click", () => act({kind: "clear"}));
}

function setQuantity(row, quantity) {
    const {product_id, name} = row.line;
    act(quantity > 0 ? {kind: "set", product_id, name, quantity}
                     : {kind: "remove", product_id, name});
}

// Only what can be a quantity is taken; all else goes back to what it was.
function onTyped(row) {
    const typed = Number(row.input.value);
    const usable = row.input.value.trim() !== "" && Number.isInteger(typed) && typed >= 0
        && typed <= QUANTITY_MAX;
    if (usable && typed !== row.line.quantity)
        setQuantity(row, typed);
    else
        row.input.value = row.line.quantity;
}

function makeRow() {
    const row = {};
    const button = (path, onclick) =>
        make("button", {type: "button", class: "icon", onclick}, drawing(path));
    row.name = make("span", {class: "line-name"});
    row.price = make("span", {class: "line-price"});
    row.subtotal = make("span", {class: "line-subtotal"});
    row.fewer = button(MINUS, () => setQuantity(row, row.line.quantity - 1));
    row.more = button(PLUS, () => setQuantity(row, row.line.quantity + 1));
    row.input = make("input", {
        type: "text", inputmode: "numeric", maxlength: 3, autocomplete: "off",
        onchange: () => onTyped(row),
    });
    row.bin = button(BIN, () => {
        const {product_id, name} = row.line;
        const {nextElementSibling, previousElementSibling} = row.element;
        const beside = nextElementSibling || previousElementSibling;
        act({kind: "remove", product_id, name});
        (beside?.querySelector(".bin") || byId("cart")).focus();
    });
    row.bin.classList.add("bin");
    row.element = make("li", {class: "line"}, row.name, row.bin, row.price,
                       make("span", {class: "stepper"}, row.fewer, row.input, row.more),
                       row.subtotal);
    return row;
}

function fillRow(row, line) {
    row.line = line;
    row.element.dataset.product = line.product_id;
    row.element.classList.toggle("pending", Boolean(line.pending));
    setText(row.name, line.name);
    setText(row.price, money(line.price));
    setText(row.subtotal, money(line.subtotal));
    // What somebody is typing stays, unless the quantity itself has changed meanwhile.
    if (row.shown !== line.quantity || row.input !== document.activeElement)
        row.input.value = line.quantity;
    row.shown = line.quantity;
    row.fewer.disabled = line.quantity <= 1;
    row.more.disabled = line.quantity >= QUANTITY_MAX;
    for (const [element, key] of [[row.fewer, "fewer"], [row.more, "more"],
                                  [row.input, "quantityOf"], [row.bin, "removeLine"]])
        element.setAttribute("aria-label", text(key, {name: line.name}));
}

// Shows a cart; null: it could not be read, and nothing is known of it.
export function showCart(cart, waiting) {
    const list = byId("lines");
    const items = cart ? cart.items : [];
    const here = new Set(items.map((line) => line.product_id));
    for (const [id, row] of rows) {
        if (!here.has(id)) {
            row.element.remove();
            rows.delete(id);
        }
    }
    items.forEach((line, at) => {
        if (!rows.has(line.product_id))
            rows.set(line.product_id, makeRow());
        const row = rows.get(line.product_id);
        if (list.children[at] !== row.element)
            list.insertBefore(row.element, list.children[at] || null);
        fillRow(row, line);
    });
    const empty = items.length === 0;
    byId("empty").hidden = !empty;
    byId("totals").hidden = empty;
    byId("clear").disabled = empty;
    setText(byId("empty"), text(cart ? "cartIsEmpty" : "cartUnknown"));
    setText(byId("version"), !cart ? "" : waiting
        ? text("waiting", {count: waiting}) : text("version", {n: number(cart.version)}));
    byId("cart").classList.toggle("pending", waiting > 0);
    if (!cart)
        return;
    setText(byId("units"), number(cart.item_count));
    setText(byId("total"), money(cart.total));
    setText(byId("to-cart"), text("toCart", {units: number(cart.item_count),
                                             total: money(cart.total)}));
}
