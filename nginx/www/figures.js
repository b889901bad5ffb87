// What the dashboard shows, computed from readings of /metrics: a point for each plot,
// and the state of each node.

import {grown, labelValues, percentiles, sum} from "./metrics.js";

// Carts and top products: the dashboard's own questions are not what it is about.
const ofUsers = {route: (route) => /^\/(cart|stats)\//.test(route)};
const DURATION = "carrito_request_duration_seconds";

// The Redis nodes, by name: master first.
export const nodeNames = (reading) => labelValues(reading, "carrito_redis_up", "node");

// Of the processes, `up` are connected to a node and `without` have tried and are not.
// With CACHE=off none of them tries.
function nodeState(up, without, all) {
    if (up === 0)
        return without === 0 ? "unused" : "down";
    return up < all ? "partly" : "up";
}

// [{name, state, up, all, isMaster, lag}]; state: up, partly, down or unused.
export function nodes(reading) {
    const all = sum(reading, "carrito_processes");
    return nodeNames(reading).map((node) => {
        const up = sum(reading, "carrito_redis_up", {node});
        return {
            name: node, up, all,
            state: nodeState(up, sum(reading, "carrito_redis_breaker_open", {node}), all),
            isMaster: sum(reading, "carrito_cache_master", {node}) === 1,
            lag: sum(reading, "carrito_redis_replica_lag_bytes", {node}),
        };
    });
}

export const epoch = (reading) => sum(reading, "carrito_cache_epoch");

export function mode(reading) {
    const on = (reading.carrito_cache_mode || []).find((each) => each.value === 1);
    return on ? on.labels.mode : "off";
}

// A point for each plot: {requests: [..], hits: [..], ...}, null where nothing can be
// said. `window` is the reading of some seconds ago: few requests make poor
// percentiles.
export function point(before, after, seconds, window) {
    const rate = (name, wanted) => grown(before, after, name, wanted) / seconds;
    const reads = (wanted) => grown(window, after, "carrito_cache_reads_total", wanted);
    const hits = reads({result: "hit"});
    const asked = hits + reads({result: "miss"}) + reads({result: "error"});
    const latencies = percentiles(window, after, DURATION, ofUsers, [0.5, 0.95, 0.99]);
    return {
        requests: [rate("carrito_requests_total", ofUsers)],
        hitRatio: [asked ? 100 * hits / asked : null],
        latency: latencies.map((each) => each === null ? null : each * 1e6),
        reads: nodeNames(after).map((node) =>
            rate("carrito_cache_reads_total", {node, result: "hit"})),
        lag: nodes(after).map((node) => node.isMaster ? 0 : node.lag),
        epoch: [epoch(after)],
    };
}
