// Sends what is pending: in order, one at a time, until each has an answer for good.
//
// Where there is no answer, or one that says "later", the same request goes out again
// with the same key, after a pause that doubles, with jitter, and never before
// Retry-After.

import {cartPath, isTemporary, request} from "./api.js";
import {requestOf} from "./cart.js";
import * as pending from "./pending.js";

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 5000;

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

// Ends a pause.
export function retryNow() {
    wake?.();
}

function pause(tries, answer) {
    const doubled = Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS);
    const ms = Math.max(doubled * (0.5 + Math.random() / 2), answer.retryAfterMs);
    return new Promise((done) => {
        const timer = setTimeout(done, ms);
        wake = () => {
            clearTimeout(timer);
            done();
        };
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

// Starts where it does not run already.
export async function send() {
    if (running)
        return;
    running = true;
    let tries = 0;
    for (let entry; (entry = pending.next());) {
        const answer = await attempt(entry);
        if (isTemporary(answer.status)) {
            handlers.delayed(entry, answer);
            await pause(tries++, answer);
        } else {
            tries = 0;
            conclude(entry, answer);
        }
    }
    running = false;
}
