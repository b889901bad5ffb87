// What the page has to say to a person: a line for screen readers, and notices above the
// cart for what needs to be seen, each with what can be done about it.

import {byId, make, setText} from "./dom.js";
import {hasText, text} from "./language.js";

let announcements = 0;

// Says it once, to screen readers. Said twice it is heard twice.
export function announce(words) {
    announcements++;
    setText(byId("announcer"), words + (announcements % 2 ? "" : "\u00a0"));
}

// What a problem document means, in the page's language where the code is known.
export function problemText(answer) {
    const key = `problem.${answer.json?.code}`;
    if (answer.status === 0)
        return text("problem.network");
    return hasText(key) ? text(key) : answer.json?.detail || text("problem.network");
}

// What an action is, in words, as in a list of what was not done.
export function actionText(action) {
    return text(`action.${action.kind}`, {name: action.name, units: action.quantity});
}

const shown = new Map();

// Puts a notice up, or another one in its place: `kind` names it. `buttons` are pairs of
// words and what to do; `lines` are the paragraphs below the title, lists become lists.
export function showNotice(kind, title, lines = [], buttons = []) {
    const notice = make("div", {class: `notice ${kind}`, id: `notice-${kind}`},
        make("strong", {}, title),
        ...lines.map((line) => Array.isArray(line)
            ? make("ul", {}, ...line.map((each) => make("li", {}, each)))
            : make("p", {}, line)),
        make("div", {class: "buttons"}, ...buttons.map(([words, action]) =>
            make("button", {type: "button", onclick: action}, words))));
    const old = shown.get(kind);
    if (old && old.textContent === notice.textContent)
        return;
    const hadFocus = old?.contains(document.activeElement);
    if (old)
        old.replaceWith(notice);
    else
        byId("notices").append(notice);
    shown.set(kind, notice);
    if (hadFocus)
        notice.querySelector("button")?.focus();
}

export function hideNotice(kind) {
    const notice = shown.get(kind);
    if (!notice)
        return;
    const hadFocus = notice.contains(document.activeElement);
    notice.remove();
    shown.delete(kind);
    if (hadFocus)
        byId("cart").focus();
}
