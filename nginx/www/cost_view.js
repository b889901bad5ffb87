// The strip that shows what a request cost, by the service's own headers: which parts it
// went through, and how many microseconds each of them took.

import {byId, make, setText} from "./dom.js";
import {number, onLanguage, text} from "./language.js";

const PARTS = ["browser", "nginx", "app", "redis", "db"];
const KEPT = 12;

const stations = new Map();
let latest = null;

const micros = (ms) => `${number(Math.round(ms * 1000))} µs`;

function makeStation(part) {
    const name = make("span", {class: "station-name"});
    const time = make("span", {class: "station-time"});
    const element = make("li", {class: `station ${part}`, "data-part": part},
                         make("span", {class: "lamp"}), name, time);
    stations.set(part, {element, name, time});
    return element;
}

function nodeName(cost) {
    return cost.parts.redis?.by ? `Redis ${cost.parts.redis.by}` : "Redis";
}

// What each part took, in milliseconds; undefined where the request did not get there.
function times(cost) {
    const {app, redis, db} = cost.parts;
    const inside = [app, redis, db].reduce((sum, part) => sum + (part?.ms || 0), 0);
    const outside = cost.status ? Math.max(cost.ms - inside, 0) : undefined;
    return {browser: cost.ms, nginx: outside, app: app?.ms, redis: redis?.ms,
            db: db?.ms};
}

function showPipeline(cost) {
    const took = times(cost);
    const names = {browser: text("browser"), nginx: text("nginxAndNetwork"), app: "app",
                   redis: nodeName(cost), db: "PostgreSQL"};
    for (const part of PARTS) {
        const station = stations.get(part);
        setText(station.name, names[part]);
        setText(station.time, took[part] === undefined
            ? text("notAsked") : micros(took[part]));
        station.element.classList.remove("lit");
        void station.element.offsetWidth; // so that the animation begins anew
        station.element.classList.toggle("lit", took[part] !== undefined);
    }
}

function cacheWord(cost) {
    return cost.cache || (cost.replayed ? text("replayed") : "");
}

function showHead(cost) {
    setText(byId("cost-request"),
            `${cost.method} ${cost.path} → ${cost.status || text("noAnswer")}`);
    const badge = byId("cost-cache");
    badge.hidden = !cacheWord(cost);
    setText(badge, cacheWord(cost));
    badge.className = `badge ${(cost.cache || "").toLowerCase()}`;
}

function addToHistory(cost) {
    const {app, redis, db} = cost.parts;
    const cell = (part, by = "") =>
        make("td", {class: "num"}, part ? `${by}${micros(part.ms)}` : "–");
    byId("cost-history").prepend(make("tr", {},
        make("td", {}, `${cost.method} ${cost.path}`),
        make("td", {}, String(cost.status || "–")),
        make("td", {}, cacheWord(cost) || "–"),
        cell(app), cell(redis, redis?.by ? `${redis.by}: ` : ""), cell(db)));
    while (byId("cost-history").children.length > KEPT)
        byId("cost-history").lastChild.remove();
}

export function showCost(cost) {
    latest = cost;
    showHead(cost);
    showPipeline(cost);
    addToHistory(cost);
}

export function setUpCostView() {
    byId("pipeline").append(...PARTS.map(makeStation));
    onLanguage(() => {
        if (latest) {
            showHead(latest);
            showPipeline(latest);
        }
    });
}
