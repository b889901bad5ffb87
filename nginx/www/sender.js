// Sends what is pending: one at a time, each user's in order, until each has an answer
// for good.
//
// Where there is no answer, or one that says "later", the same request goes out again
// with the same key, after a pause that doubles, with jitter, and never before
// Retry-After. Other users' need not wait for it.

import {cartPath, isTemporary, request} from "./api.js";
import {requestOf} from "./cart.js";
import * as pending from "./pending.js";

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 5000;

const delays = new Map(); // by user: {tries, due, notBefore}, after a failure
let handlers;
let running = false;
let wake = null;

// `handlers`: answered(entry, answer), conflict(entry, answer), refused(entry, answer),
// delayed(entry, answer), each called after the entry has been settled.
export function setUpSender(given) {
    handlers = given;
    addEventListener("online", retryNow);
    send();
}

// Ends all pauses, but for Retry-After.
export function retryNow() {
    for (const delay of delays.values())
        delay.due = delay.notBefore;
    wake?.();
}

const due = (entry) => delays.get(entry.user)?.due ?? 0;

function pause(ms) {
    return new Promise((done) => {
        const timer = setTimeout(done, ms);
        wake = () => {
            clearTimeout(timer);
            done();
        };
    });
}

function delay({user}, retryAfterMs) {
    const tries = delays.get(user)?.tries ?? 0;
    const doubled = Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS);
    const notBefore = Date.now() + retryAfterMs;
    delays.set(user, {
        tries: tries + 1, notBefore,
        due: Math.max(Date.now() + doubled * (0.5 + Math.random() / 2), notBefore),
    });
}

async function attempt(entry) {
    if (entry.version === null) {
        const read = await request("GET", cartPath(entry.user));
        if (read.status !== 200)
            return read;
        entry.version = read.version;
        pending.setVersion(entry, read.version);
    }
    const {method, path, body} = requestOf(entry.action);
    return request(method, cartPath(entry.user) + path, {
        body,
        headers: {"If-Match": `"${entry.version}"`, "Idempotency-Key": entry.key},
    });
}

function conclude(entry, answer) {
    if (answer.status === 412) {
        pending.refuse(entry);
        handlers.conflict(entry, answer);
    } else if (answer.status >= 400) {
        pending.settle(entry, entry.version);
        handlers.refused(entry, answer);
    } else {
        pending.settle(entry, answer.version);
        handlers.answered(entry, answer);
    }
}

async function sendOne(entry) {
    try {
        const answer = await attempt(entry);
        if (isTemporary(answer.status)) {
            delay(entry, answer.retryAfterMs);
            handlers.delayed(entry, answer);
        } else {
            delays.delete(entry.user);
            conclude(entry, answer);
        }
    } catch (error) {
        delay(entry, 0); // a fault of the page must not stop what is pending
        reportError(error);
    }
}

// Starts, or looks at once whether there is more to send.
export async function send() {
    if (running) {
        wake?.();
        return;
    }
    running = true;
    for (let heads; (heads = pending.heads()).length;) {
        const [entry] = heads.sort((a, b) => due(a) - due(b));
        const wait = due(entry) - Date.now();
        if (wait > 0)
            await pause(wait);
        else
            await sendOne(entry);
    }
    running = false;
}
