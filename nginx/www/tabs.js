// Other tabs of this browser: they are told when a cart has changed, so that they read
// it again, and asked whether they still live, so that nothing stays unsent when one is
// closed.
//
// Only for speed: what keeps several tabs right is If-Match.

import * as pending from "./pending.js";

const ANSWER_MS = 400;
const AGAIN_MS = 15000;

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("carrito") : null;
const self = pending.randomText(6); // this page: two tabs may begin with one name
let living = new Set();

export function tellChanged(user, version) {
    channel?.postMessage({changed: user, version});
}

// Calls changed(user, version) when another tab has changed a cart, and adopted() when
// what closed tabs left pending was taken over.
export function setUpTabs(changed, adopted) {
    channel?.addEventListener("message", ({data}) => {
        if (data.changed)
            changed(data.changed, data.version);
        else if (data.asks)
            channel.postMessage({lives: pending.tab, page: self, to: data.asks});
        else if (data.lives && data.to === self)
            living.add(data.lives);
    });
    let asking = false;
    const ask = (then) => {
        asking = true;
        living = new Set();
        channel?.postMessage({asks: self});
        setTimeout(then, ANSWER_MS);
    };
    const adopt = () => {
        asking = false;
        pending.adopt(living.add(pending.tab));
        adopted();
    };
    const askAgain = () => channel && !asking && pending.others() && ask(adopt);
    ask(() => {
        if (living.has(pending.tab))
            pending.renameTab();
        adopt();
        setInterval(askAgain, AGAIN_MS);
        addEventListener("focus", askAgain);
        addEventListener("visibilitychange", askAgain);
    });
}
