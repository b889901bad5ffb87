// Who the cart belongs to: anybody may be anyone here, as the service has no sign-in. The
// id stands in the page's address, so that another tab of it has the same cart.

import {byId, make, setText} from "./dom.js";
import {text} from "./language.js";
import {randomText} from "./pending.js";
import {local} from "./storage.js";

const REMEMBERED = "carrito/user";
const SEEDED = 24; // user101 and so on have carts from the start

// The service's own rule.
const isUserId = (id) => /^[A-Za-z0-9._-]{1,64}$/.test(id) && id !== "." && id !== "..";

export let user;

function remember(id) {
    user = id;
    local.set(REMEMBERED, id);
    byId("user").value = id;
    const address = new URL(location);
    address.searchParams.set("user", id);
    history.replaceState(null, "", address);
    byId("second-tab").href = address.pathname + address.search;
}

function showProblem(words) {
    setText(byId("user-problem"), words);
    if (words)
        byId("user").setAttribute("aria-invalid", "true");
    else
        byId("user").removeAttribute("aria-invalid");
}

// Chooses whoever the address names, or was here last, or a new guest; `changed` is
// called when somebody else is chosen.
export function setUpUser(changed) {
    const wanted = [new URLSearchParams(location.search).get("user"),
                    local.get(REMEMBERED)];
    remember(wanted.find((id) => id && isUserId(id)) || "guest-" + randomText(2));
    byId("people").append(...Array.from({length: SEEDED}, (_, n) =>
        make("option", {value: `user${101 + n}`})));
    const choose = (event) => {
        event.preventDefault();
        const id = byId("user").value.trim();
        showProblem(isUserId(id) ? "" : text("problem.invalid-user-id"));
        if (isUserId(id) && id !== user) {
            remember(id);
            changed();
        }
    };
    byId("who").addEventListener("submit", choose);
    byId("user").addEventListener("change", choose);
}
