// The page's own files, for tests that need no browser.

import {readFileSync} from "node:fs";

export const ROOT = new URL("../../", import.meta.url);
export const WWW = new URL("nginx/www/", ROOT);

export const read = (name) => readFileSync(new URL(name, WWW), "utf8");

// A module that imports no other.
export const load = (name) =>
    import("data:text/javascript," + encodeURIComponent(read(name)));
