// Results as TAP lines on stdout, and requests to tests/browser/run, which has the stack.

import {createInterface} from "node:readline";

export let failed = 0;

const clean = (name) => name.replaceAll("#", "No.").replace(/\s+/g, " ");

export function note(text) {
    for (const line of String(text).split("\n").slice(0, 30))
        console.log(`# ${line.slice(0, 500)}`);
}

export function ok(good, name, detail = "") {
    console.log(`${good ? "ok" : "not ok"} - ${clean(name)}`);
    if (!good) {
        failed++;
        if (detail)
            note(typeof detail === "string" ? detail : JSON.stringify(detail, null, 1));
    }
    return Boolean(good);
}

export function equal(got, want, name) {
    const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
    return ok(a === b, name, `got  ${a}\nwant ${b}`);
}

export const none = (faults, name) => ok(faults.length === 0, name, faults.join("\n"));

const answers = createInterface({input: process.stdin})[Symbol.asyncIterator]();

// Asks for something to be done to the stack: see `obey` in run.
export async function stack(...command) {
    process.stdout.write(`@${JSON.stringify(command)}\n`);
    const {value: line} = await answers.next();
    const answer = JSON.parse(line);
    if (answer.error)
        throw new Error(answer.error);
    return answer.value;
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// How much longer things may take here: a shared machine is slow now and then.
export const SLOW = Number(process.env.BROWSER_TESTS_SLOW) || (process.env.CI ? 3 : 1);

// The first true value of condition(), or its last one when the time is up.
export async function until(condition, seconds = 10, pause = 20) {
    const end = performance.now() + 1000 * seconds * SLOW;
    for (;;) {
        const value = await condition();
        if (value || performance.now() > end)
            return value;
        await sleep(pause);
    }
}
