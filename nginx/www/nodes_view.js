// The tiles on top of the dashboard: each Redis node, the database, the cache's mode and
// epoch. Says it where a node goes or returns, or the mode changes.

import {byId, make, setText} from "./dom.js";
import {plain} from "./chart.js";
import {text} from "./language.js";
import {announce} from "./notices.js";

const tiles = new Map();
let firstEpoch = null;
let lastMode = null;

function tile(name) {
    if (!tiles.has(name)) {
        const state = make("span", {class: "state"});
        const note = make("span", {class: "note"});
        const title = make("span", {class: "node-name"}, name);
        const element = make("li", {class: "card node", "data-node": name},
                             make("span", {class: "lamp"}), title, state, note);
        byId("nodes").append(element);
        tiles.set(name, {element, title, state, note, was: null});
    }
    return tiles.get(name);
}

// A node that goes or comes is said once; `partly` is on the way.
function announceChange(it, name, state) {
    if (state === "partly" || state === it.was)
        return;
    if (it.was !== null && state === "down")
        announce(text("nodeGone", {node: name}));
    else if (it.was === "down" && state === "up")
        announce(text("nodeBack", {node: name}));
    it.was = state;
}

function showNode(name, state, words, note) {
    const it = tile(name);
    it.element.dataset.state = state;
    setText(it.state, words);
    setText(it.note, note);
    announceChange(it, name, state);
}

// `hits` are those of each node, per second; `database` is up or down.
export function showNodes(nodes, hits, database, mode, epoch) {
    nodes.forEach((node, n) => {
        const note = text("hitsPerSecond", {n: plain(Math.round(hits[n] ?? 0))});
        showNode(node.name, node.state,
                 text(`nodes.${node.state}`, {up: node.up, all: node.all}),
                 node.isMaster ? text("masterMark", {hits: note}) : note);
    });
    showNode("PostgreSQL", database, text(`nodes.${database}`), "");

    showNode("mode", mode, mode, text(`mode.${mode}`));
    setText(tile("mode").title, text("mode"));
    if (lastMode !== null && lastMode !== mode)
        announce(text("modeIs", {mode}));
    lastMode = mode;

    firstEpoch ??= epoch || null;
    showNode("epoch", "plain", plain(epoch),
             text("movesSince", {count: firstEpoch ? epoch - firstEpoch : 0}));
    setText(tile("epoch").title, text("epoch"));
}
