// Requests to the service, and what each one cost by its own account.

const TIMEOUT_MS = 15000;

// Server-Timing: app;dur=0.031, redis;desc="replica-2";dur=0.191
// as {app: {ms}, redis: {ms, by}, db: {ms}}, of which only `app` is always there.
export function parseServerTiming(header) {
    const parts = {};
    for (const part of (header || "").split(/,\s*/)) {
        const name = /^[a-z]+/.exec(part);
        const ms = /;dur=([0-9.]+)/.exec(part);
        const by = /;desc="([^"]*)"/.exec(part);
        if (name && ms)
            parts[name[0]] = {ms: Number(ms[1]), by: by ? by[1] : null};
    }
    return parts;
}

// Retry-After in seconds, as milliseconds; 0 where there is none.
function retryAfter(headers) {
    return 1000 * (Number(headers.get("Retry-After")) || 0);
}

// How long the browser waited for an answer, by its own account of the network; by ours,
// which has the page's other work in it too, where it gives none.
function waited(path, begun) {
    const entry = performance.getEntriesByName(new URL(path, location).href).at(-1);
    return entry && entry.startTime >= begun - 1 && entry.requestStart > 0
        ? entry.responseEnd - entry.requestStart : performance.now() - begun;
}

// It keeps 250 requests and then no more, unless it is emptied.
performance.addEventListener("resourcetimingbufferfull", () =>
    performance.clearResourceTimings());

// An answer {status, json, version, retryAfterMs, cost}. `version` is the one
// that the ETag names, or null. Status 0: no answer came.
export async function request(method, path, {body, headers = {}} = {}) {
    const begun = performance.now();
    const send = {method, cache: "no-store", headers: {...headers},
                  signal: AbortSignal.timeout(TIMEOUT_MS)};
    if (body !== undefined) {
        send.headers["Content-Type"] = "application/json";
        send.body = JSON.stringify(body);
    }
    try {
        const response = await fetch(path, send);
        const raw = await response.text();
        const type = response.headers.get("Content-Type") || "";
        const tag = /^"(\d+)"$/.exec(response.headers.get("ETag") || "");
        return {
            status: response.status,
            json: /json/.test(type) ? JSON.parse(raw) : null,
            text: raw,
            version: tag ? Number(tag[1]) : null,
            retryAfterMs: retryAfter(response.headers),
            cost: {method, path, status: response.status, ms: waited(path, begun),
                   cache: response.headers.get("X-Cache"),
                   replayed: response.headers.has("Idempotency-Replayed"),
                   parts: parseServerTiming(response.headers.get("Server-Timing"))},
        };
    } catch (error) {
        return {status: 0, json: null, text: "", version: null, retryAfterMs: 0, error,
                cost: {method, path, status: 0, ms: performance.now() - begun,
                       cache: null, replayed: false, parts: {}}};
    }
}

// True where the same request may succeed later. A write is repeated under its key, so
// also where nobody knows whether it was done.
export function isTemporary(status) {
    return status === 0 || status === 408 || status === 429 || status >= 500;
}

export const cartPath = (user) => `/cart/${encodeURIComponent(user)}`;
