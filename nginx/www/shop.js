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
import {local} from "./storage.js";
import {setUpTabs, tellChanged} from "./tabs.js";
import {setUpTop, showTop} from "./top.js";
import {setUpUser, user} from "./user.js";

const LAST_KNOWN = "carrito/carts"; // the carts that were on show last
const KEPT_CARTS = 5;
const READ_AGAIN_MS = 2000;

let cart = null;   // as the server last gave it; null: not yet
let taken = 0;     // how many carts were taken over: tells an answer that is late
let changes = [];  // in what the cart differed from what was on show at the last 412
let refusals = []; // [{entry, answer}], until somebody closes the notice
let reading = null;
let readNotBefore = 0; // by Retry-After
const delayed = new Map(); // by user: the answer that was none, while something waits

// Words about a user, who is named where it is not the one on show.
const about = (whose, words) => whose === user ? words : `${whose}: ${words}`;

// Shows the state there is.
function show() {
    const waiting = pending.waiting(user);
    let known = cart;
    if (!known && waiting.length)
        known = emptyCart(user);
    // What was meant for an earlier version is in this one, its answer being lost; or it
    // will be refused.
    const done = waiting.length && waiting[0].version !== null
        && waiting[0].version < known.version ? 1 : 0;
    for (const entry of waiting.slice(done))
        known = applyAction(known, entry.action);
    showCart(known, waiting.length);
    showDelay(waiting);
    showConflict();
    showRefusals();
}

function showDelay(waiting) {
    const answer = delayed.get(user);
    if (!answer || !waiting.length)
        hideNotice("delayed");
    else
        showNotice("delayed", problemText(answer),
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

function showRefusals() {
    if (!refusals.length)
        hideNotice("problem");
    else
        showNotice("problem", text("notDone", {count: refusals.length}),
                   [refusals.map(({entry, answer}) => about(entry.user,
                       `${actionText(entry.action)}: ${problemText(answer)}`))],
                   [[text("close"), closeRefusals]]);
}

function closeRefusals() {
    refusals = [];
    show();
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
    delayed.delete(user);
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
    const others = lastKnown().filter((each) => each.user_id !== given.user_id);
    local.set(LAST_KNOWN, JSON.stringify([given, ...others].slice(0, KEPT_CARTS)));
    hideNotice("unread");
}

const lastKnown = () => JSON.parse(local.get(LAST_KNOWN)) || [];

function act(action) {
    pending.add(user, action, cart ? cart.version : null);
    show();
    send();
}

const add = (product) => act({kind: "add", product_id: product.product_id,
                              name: product.name, price: product.price, quantity: 1});

// Reads the cart. A write that was answered meanwhile may know better.
async function read() {
    clearTimeout(reading);
    if (Date.now() < readNotBefore) {
        reading = setTimeout(read, readNotBefore - Date.now());
        return;
    }
    const [of, before] = [user, taken];
    const answer = await request("GET", cartPath(of));
    readNotBefore = Date.now() + answer.retryAfterMs;
    if (of !== user)
        return;
    showCost(answer.cost);
    if (answer.status === 200) {
        if (taken === before || !cart || answer.version > cart.version)
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
    if (delayed.has(entry.user) && !pending.waiting(entry.user).length) {
        delayed.delete(entry.user);
        announce(about(entry.user, text("savedAtLast")));
        read();
    } else {
        const now = entry.user === user ? cart : answer.json;
        announce(about(entry.user, text("done", {what: actionText(entry.action),
                                                 units: number(now.item_count),
                                                 total: money(now.total)})));
    }
    show();
}

function conflict(entry, answer) {
    showCost(answer.cost);
    delayed.delete(entry.user);
    if (entry.user === user) {
        changes = cart ? differences(cart, answer.json.cart) : [];
        take(answer.json.cart);
    }
    announce(about(entry.user, text("conflict")));
    show();
}

function refused(entry, answer) {
    showCost(answer.cost);
    delayed.delete(entry.user);
    refusals.push({entry, answer});
    announce(about(entry.user, problemText(answer)));
    show();
    read();
}

function onDelay(entry, answer) {
    showCost(answer.cost);
    if (!delayed.has(entry.user))
        announce(about(entry.user,
                       `${problemText(answer)} ${text("kept", {count: 1})}`));
    delayed.set(entry.user, answer);
    show();
}

// Somebody else from now on.
function switchUser() {
    cart = lastKnown().find((each) => each.user_id === user) || null;
    taken++;
    changes = [];
    hideNotice("unread");
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
