// The shop: holds the cart as the server last gave it, and joins the parts of the page.
//
// On show is that cart with all that is pending done to it. A total is the server's own
// unless something is pending.

import {cartPath, isTemporary, request} from "./api.js";
import {applyAction, differences, emptyCart} from "./cart.js";
import {setUpCartView, showCart} from "./cart_view.js";
import {setUpCostView, showCost} from "./cost_view.js";
import {byId} from "./dom.js";
import {money, number, onLanguage, setUpLanguage, text} from "./language.js";
import {actionText, announce, hideNotice, problemText, showNotice} from "./notices.js";
import * as pending from "./pending.js";
import {retryNow, send, setUpSender} from "./sender.js";
import {setUpShelf, translateShelf} from "./shelf.js";
import {setUpTabs, tellChanged} from "./tabs.js";
import {setUpTop, showTop} from "./top.js";
import {setUpUser, user} from "./user.js";

const LAST_KNOWN = "carrito/cart/";
const READ_AGAIN_MS = 2000;

let cart = null;   // as the server last gave it; null: not yet
let taken = 0;     // how many carts were taken over: tells an answer that is late
let delayed = null; // the answer that was none, while something waits
let changes = [];  // in what the cart differed from what was on show at the last 412
let reading = null;

// Shows the state there is.
function show() {
    const waiting = pending.waiting(user);
    let known = cart;
    if (!known && waiting.length)
        known = emptyCart(user);
    for (const entry of waiting)
        known = applyAction(known, entry.action);
    showCart(known, waiting.length);
    showDelay(waiting);
    showConflict();
}

function showDelay(waiting) {
    if (!delayed || !waiting.length)
        hideNotice("delayed");
    else
        showNotice("delayed", problemText(delayed),
                   [text("kept", {count: waiting.length})],
                   [[text("tryNow"), retryNow], [text("discard"), discard]]);
}

function showConflict() {
    const refused = pending.refused(user);
    if (!refused.length || !cart) {
        hideNotice("conflict");
        return;
    }
    const differs = changes.map((each) =>
        text("changedElsewhere", {name: each.name, was: number(each.was),
                                  now: number(each.now)}));
    showNotice("conflict", text("conflict"), [
        ...(differs.length ? [differs] : []),
        text("notDone", {count: refused.length}),
        refused.map((each) => actionText(each.action)),
    ], [[text("doItAnyway"), redo], [text("leaveIt"), leave]]);
}

function redo() {
    for (const entry of pending.refused(user)) {
        pending.forget(entry);
        pending.add(user, entry.action, cart.version);
    }
    show();
    send();
}

// What is under way may be done all the same: the cart tells.
function discard() {
    pending.waiting(user).forEach(pending.forget);
    delayed = null;
    announce(text("discarded"));
    show();
    retryNow();
    read();
}

function leave() {
    pending.refused(user).forEach(pending.forget);
    announce(text("left"));
    show();
}

// Takes over a cart that the server gave to this user.
function take(given) {
    cart = given;
    taken++;
    localStorage.setItem(LAST_KNOWN + given.user_id, JSON.stringify(given));
    hideNotice("unread");
}

function act(action) {
    hideNotice("problem");
    pending.add(user, action, cart ? cart.version : null);
    show();
    send();
}

const add = (product) => act({kind: "add", product_id: product.product_id,
                              name: product.name, price: product.price, quantity: 1});

// Reads the cart. A write that was answered meanwhile may know better.
async function read() {
    clearTimeout(reading);
    const [of, before] = [user, taken];
    const answer = await request("GET", cartPath(of));
    if (of !== user)
        return;
    showCost(answer.cost);
    if (answer.status === 200) {
        if (taken === before || answer.version > cart.version)
            take(answer.json);
    } else {
        showNotice("unread", problemText(answer),
                   [text(cart ? "lastKnown" : "cartUnknown")], [[text("tryNow"), read]]);
        if (isTemporary(answer.status))
            reading = setTimeout(read, READ_AGAIN_MS);
    }
    show();
}

function answered(entry, answer) {
    showCost(answer.cost);
    // What is on show may be newer: by a read that was faster, or than a stored answer.
    if (entry.user === user && !(cart?.version > answer.version))
        take(answer.json);
    tellChanged(entry.user, answer.version);
    const late = delayed;
    if (late && !pending.waiting(user).length) {
        delayed = null;
        announce(text("savedAtLast"));
        read();
    } else if (cart) {
        announce(text("done", {what: actionText(entry.action),
                               units: number(cart.item_count),
                               total: money(cart.total)}));
    }
    show();
}

function conflict(entry, answer) {
    showCost(answer.cost);
    delayed = null;
    if (entry.user === user) {
        changes = cart ? differences(cart, answer.json.cart) : [];
        take(answer.json.cart);
        announce(text("conflict"));
    }
    show();
}

function refused(entry, answer) {
    showCost(answer.cost);
    delayed = null;
    const words = problemText(answer);
    showNotice("problem", text("notDone", {count: 1}),
               [[actionText(entry.action)], words],
               [[text("close"), () => hideNotice("problem")]]);
    announce(words);
    read();
}

function onDelay(entry, answer) {
    showCost(answer.cost);
    if (!delayed)
        announce(`${problemText(answer)} ${text("kept", {count: 1})}`);
    delayed = answer;
    show();
}

// Somebody else from now on.
function switchUser() {
    const known = localStorage.getItem(LAST_KNOWN + user);
    cart = known ? JSON.parse(known) : null;
    taken++;
    changes = [];
    hideNotice("unread");
    hideNotice("problem");
    show();
    return read();
}

await setUpLanguage();
setUpUser(() => switchUser().then(() => announce(text("nowYouAre", {user}))));
setUpCostView();
setUpCartView(act);
const shelf = setUpShelf(add);
onLanguage(() => {
    translateShelf();
    showTop();
    show();
});
switchUser();
setUpSender({answered, conflict, refused, delayed: onDelay});
setUpTabs((whose, version) => {
    if (whose === user && version > (cart?.version ?? 0))
        read();
}, () => {
    show();
    send();
});
// Somebody comes back, perhaps from another browser with the same cart.
addEventListener("visibilitychange", () => document.hidden || read());
addEventListener("focus", () => read());
shelf.then(() => setUpTop(add));
byId("second-tab").addEventListener("click", () => announce(text("secondTabHint")));
