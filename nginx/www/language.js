// The page's language: which one it is, its texts, and how it writes numbers and money.
//
// All texts are in en.js and es.js, one table each with the same keys. HTML names a
// text by data-text, or by data-label for an aria-label.

import {make} from "./dom.js";
import {local} from "./storage.js";

const LANGUAGES = {en: "English", es: "Español"};
const REMEMBERED = "carrito/language";
// The service knows amounts, not currencies; a shop window shows one.
const CURRENCY = "EUR";

let texts = {};
let plurals, money2, whole, oneDigit;
const listeners = [];

export let language = "en";

function preferred() {
    const wanted = [local.get(REMEMBERED), ...navigator.languages];
    return wanted.map((tag) => (tag || "").slice(0, 2).toLowerCase())
        .find((tag) => tag in LANGUAGES) || "en";
}

// A text of the table. `{name}` in it stands for values.name; with a `count` it is that
// of key + "One" or key + "Other".
export function text(key, values = {}) {
    const form = "count" in values
        ? key + (plurals.select(values.count) === "one" ? "One" : "Other") : key;
    return (texts[form] ?? form).replace(/{(\w+)}/g, (all, name) =>
        name === "count" ? number(values.count) : values[name] ?? all);
}

// True when the table has it: not every problem that the server may name is there.
export const hasText = (key) => key in texts;

export const money = (amount) => money2.format(amount);
export const number = (value) => whole.format(value);
export const decimal = (value) => oneDigit.format(value);

export function onLanguage(listener) {
    listeners.push(listener);
}

async function use(name) {
    texts = (await import(`./${name}.js`)).default;
    language = name;
    plurals = new Intl.PluralRules(name);
    money2 = new Intl.NumberFormat(name, {style: "currency", currency: CURRENCY});
    whole = new Intl.NumberFormat(name, {maximumFractionDigits: 0});
    oneDigit = new Intl.NumberFormat(name, {maximumFractionDigits: 1});
    document.documentElement.lang = name;
    for (const element of document.querySelectorAll("[data-text]"))
        element.textContent = text(element.dataset.text);
    for (const element of document.querySelectorAll("[data-label]"))
        element.setAttribute("aria-label", text(element.dataset.label));
    for (const button of document.querySelectorAll(".languages button"))
        button.setAttribute("aria-pressed", String(button.lang === name));
    for (const listener of listeners)
        listener();
}

// Chooses the language, puts the switch into its place, and translates the page.
export async function setUpLanguage() {
    document.querySelector(".languages").append(...Object.keys(LANGUAGES).map((name) =>
        make("button", {
            type: "button", lang: name, title: LANGUAGES[name],
            // One that cannot be loaded leaves the page as it is.
            onclick: () => use(name).then(() => local.set(REMEMBERED, name), () => {}),
        }, name.toUpperCase())));
    await use(preferred());
}
