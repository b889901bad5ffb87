// What somebody did and the server has not confirmed: kept by the browser, so that
// neither a lost network nor a reload loses it.
//
// Each action is an entry of its own, in order of its id, so that tabs never overwrite
// each other's. Its Idempotency-Key is made once: however often it is sent, it is done
// once. Its `version` is the If-Match that it goes out with: the one that was on show,
// or, behind another entry (`after`), the one that this one's answer brings.

import {local, session} from "./storage.js";

const PREFIX = "carrito/pending/";
const TAB = "carrito/tab";

// Not crypto.randomUUID(): that is only there on https and on localhost.
export function randomText(bytes = 16) {
    return Array.from(crypto.getRandomValues(new Uint8Array(bytes)),
                      (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// This tab's name, which a reload keeps.
export let tab = session.get(TAB) || randomText(6);
session.set(TAB, tab);

// For a tab that is a copy of another one, and began with its name.
export function renameTab() {
    tab = randomText(6);
    session.set(TAB, tab);
}

let last = 0;

// Sorts by time, and by order within a tab.
function nextId() {
    last = Math.max(Date.now(), last + 1);
    return last.toString(36).padStart(9, "0") + "-" + randomText(3);
}

function save(entry) {
    local.set(PREFIX + entry.id, JSON.stringify(entry));
}

// All entries, the oldest first.
export function all() {
    return local.keys().filter((key) => key.startsWith(PREFIX)).sort()
        .map((key) => JSON.parse(local.get(key)));
}

// Those that this tab has to send for one user; in `refused` those that met a 412.
export const waiting = (user) => all().filter((each) =>
    each.user === user && each.tab === tab && !each.refused);
export const refused = (user) => all().filter((each) =>
    each.user === user && each.tab === tab && each.refused);

// What can be sent next: the first entry of each user.
export function heads() {
    const firsts = new Map();
    for (const each of all())
        if (each.tab === tab && !each.refused && !firsts.has(each.user))
            firsts.set(each.user, each);
    return [...firsts.values()];
}

// Keeps an action that was taken on the cart at this version (null: none was on show).
export function add(user, action, version) {
    const before = waiting(user).at(-1);
    save({id: nextId(), key: randomText(), tab, user, action, version,
          after: before ? before.id : null, refused: false});
}

// Says which version the next sending has to match, unless it is not wanted any more.
export function setVersion({id}, version) {
    const kept = local.get(PREFIX + id);
    if (kept)
        save({...JSON.parse(kept), version, after: null});
}

// Done, or refused for good: the one behind it goes on from the version that is now
// there.
export function settle(entry, version) {
    for (const each of all())
        if (each.after === entry.id)
            setVersion(each, version);
    forget(entry);
}

// Met another version: all that was built on it has to wait for somebody's word.
export function refuse(entry) {
    for (const each of waiting(entry.user))
        if (each.id >= entry.id)
            save({...each, refused: true});
}

export function forget(entry) {
    local.remove(PREFIX + entry.id);
}

// Whether there is anything of other tabs.
export const others = () => all().some((each) => each.tab !== tab);

// Takes over what tabs that are gone have left.
export function adopt(living) {
    for (const each of all())
        if (!living.has(each.tab))
            save({...each, tab});
}
