#!/usr/bin/python3
"""The include rules of fcgi-app/src: who may know whom.

base includes nothing of ours, loop only base, data and http only base and loop. A module
(any other folder, such as cart) has three parts: its rules (cart.c) know only base; its
store (cart_store.c) adds loop and data; its handlers (cart_http.c) know rules, store and
http, never data. Modules do not know each other. The keeper knows base, loop, data, and
the rules and the store of carts, never http. routes.c knows the handlers of all, setup.c
and bin know everything. FastCGI, libpq and hiredis each have one place that includes
them.

    layers.py [SRC]        prints the violations, one a line
    layers.py --self-test  shows that each rule catches what breaks it
"""

import os
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# Layer -> the layers it may include. "rules", "store" and "handlers" are the three parts
# of a module and stand for those of the same module only.
ALLOWED = {
    "base": {"base"},
    "loop": {"base", "loop"},
    "data": {"base", "loop", "data"},
    "http": {"base", "loop", "http"},
    "rules": {"base", "rules"},
    "store": {"base", "loop", "data", "rules", "store"},
    "handlers": {"base", "http", "rules", "store", "handlers"},
    "keeper": {"base", "loop", "data", "keeper", "rules of cart", "store of cart"},
    "routes": {"base", "http", "any handlers", "routes"},
}

# A library's header -> where it may be included.
LIBRARIES = (
    (re.compile(r"fcgi(app|_config|_stdio|misc|os)\.h|fastcgi\.h"), r"http/fcgi\.c"),
    (re.compile(r"libpq-fe\.h|libpq/.*|pg_config.*\.h|postgres.*\.h"), r"data/.*"),
    (re.compile(r"hiredis/.*|hiredis\.h"), r"data/.*"),
)


def layer(path):
    """(layer, module) of a path under src; the module is None outside of modules."""
    folder, _, name = path.rpartition("/")
    stem = name.rsplit(".", 1)[0]
    if not folder:
        return ("bin" if stem == "setup" else "routes"), None
    if folder in ("base", "loop", "data", "http", "keeper", "bin"):
        return folder, None
    for part, suffix in (("store", "_store"), ("handlers", "_http")):
        if stem.endswith(suffix):
            return part, folder
    return "rules", folder


def fault(path, quoted, name):
    """Why the file at path may not include name, or None."""
    for library, home in LIBRARIES:
        if library.fullmatch(name) and not re.fullmatch(home, path):
            return f"<{name}> belongs in {home} only".replace("\\", "")
    if not quoted:
        return None
    whose, module = layer(path)
    what, other = layer(name)
    if whose == "bin":
        return None
    allowed = ALLOWED[whose]
    if module == other and what in allowed:
        return None
    if other is None and what in allowed:
        return None
    if f"any {what}" in allowed or f"{what} of {other}" in allowed:
        return None
    return f"{whose} may not include {what}" + (f" of {other}" if other else "")


def check(src):
    """All violations under src, each a line with the file and the line's number."""
    found = []
    for folder, _, names in sorted(os.walk(src)):
        for name in sorted(names):
            if not name.endswith((".c", ".h")):
                continue
            full = os.path.join(folder, name)
            path = os.path.relpath(full, src)
            with open(full, encoding="utf-8") as file:
                text = file.read()
            for match in INCLUDE.finditer(text):
                quoted, header = match[1] == '"', match[2]
                why = fault(path, quoted, header)
                if not why and quoted and not os.path.exists(os.path.join(src, header)):
                    why = "is not a path from src"
                if why:
                    line = text.count("\n", 0, match.start(1)) + 1
                    found.append(f'{path}:{line}: "{header}": {why}')
    return found


GOOD = (
    ("base/json.c", '"base/json.h"'), ("base/json.c", "<json-c/json.h>"),
    ("loop/co.c", '"base/mem.h"'), ("data/pg.c", '"loop/co.h"'),
    ("data/pg.c", "<libpq-fe.h>"), ("data/redis.h", "<hiredis/async.h>"),
    ("http/fcgi.c", "<fcgiapp.h>"), ("http/reply.c", '"loop/loop.h"'),
    ("cart/cart.c", '"base/money.h"'), ("cart/cart.c", '"cart/cart.h"'),
    ("cart/cart_store.c", '"data/pg.h"'), ("cart/cart_store.c", '"loop/loop.h"'),
    ("cart/cart_http.c", '"http/reply.h"'), ("cart/cart_http.c", '"cart/cart_store.h"'),
    ("routes.c", '"cart/cart_http.h"'), ("routes.c", '"stats/stats_http.h"'),
    ("bin/carrito-fcgi.c", '"data/pg.h"'), ("bin/carrito-fcgi.c", '"routes.h"'),
    ("bin/carrito-keeper.c", '"setup.h"'), ("setup.c", '"data/pg.h"'),
    ("setup.c", '"keeper/keeper.h"'), ("keeper/keeper_beat.c", '"data/redis.h"'),
    ("keeper/keeper_rules.c", '"keeper/keeper_rules.h"'),
    ("keeper/keeper_audit.c", '"cart/cart.h"'),
    ("keeper/keeper_sweep.c", '"cart/cart_store.h"'),
)
BAD = (
    ("base/log.c", '"loop/loop.h"'), ("base/log.c", '"http/request.h"'),
    ("loop/loop.c", '"data/pg.h"'), ("loop/loop.c", '"http/request.h"'),
    ("data/pg.c", '"http/reply.h"'), ("data/pg.c", '"cart/cart.h"'),
    ("http/router.c", '"data/pg.h"'), ("http/router.c", '"cart/cart_http.h"'),
    ("http/router.c", '"routes.h"'), ("cart/cart.c", '"loop/loop.h"'),
    ("cart/cart.c", '"data/pg.h"'), ("cart/cart.c", '"cart/cart_store.h"'),
    ("cart/cart.h", '"http/reply.h"'), ("cart/cart_store.c", '"http/reply.h"'),
    ("cart/cart_store.c", '"cart/cart_http.h"'), ("cart/cart_http.c", '"data/redis.h"'),
    ("cart/cart_http.c", '"stats/stats.h"'), ("cart/cart_store.h", '"stats/stats.h"'),
    ("cart/cart_http.h", '"routes.h"'), ("routes.c", '"data/pg.h"'),
    ("routes.c", '"cart/cart_store.h"'), ("http/reply.c", "<fcgiapp.h>"),
    ("http/fcgi.h", "<fcgiapp.h>"), ("bin/carrito-fcgi.c", "<fcgiapp.h>"),
    ("cart/cart_store.c", "<libpq-fe.h>"), ("bin/carrito-fcgi.c", "<libpq-fe.h>"),
    ("loop/loop.c", "<hiredis/hiredis.h>"), ("http/fcgi.c", "<hiredis/async.h>"),
    ("bin/carrito-fcgi.c", '"hiredis/async.h"'), ("base/log.c", '"base/gone.h"'),
    ("keeper/keeper_beat.c", "<hiredis/async.h>"), ("keeper/keeper.c", '"routes.h"'),
    ("keeper/keeper.c", '"http/request.h"'), ("keeper/keeper.c", '"cart/cart_http.h"'),
    ("keeper/keeper.c", '"stats/stats_store.h"'), ("keeper/keeper.c", '"setup.h"'),
    ("data/redis.c", '"keeper/keeper.h"'), ("cart/cart_store.c", '"keeper/keeper.h"'),
    ("routes.c", '"keeper/keeper.h"'), ("routes.c", '"setup.h"'),
)


def write(src, path, text):
    full = os.path.join(src, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "a", encoding="utf-8") as file:
        file.write(text)


def self_test():
    """What the rules get wrong about the examples above, written out as real files."""
    wrong = []
    for cases, expected in ((GOOD, 0), (BAD, 1)):
        for path, header in cases:
            with tempfile.TemporaryDirectory() as src:
                write(src, path, f"// A file.\n\n#  include {header}\n")
                if header[0] == '"' and "gone" not in header:
                    write(src, header.strip('"'), "")
                found = check(src)
            if len(found) != expected:
                wrong.append(f"{path} includes {header}: found {found}")
    return wrong


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    if arguments == ["--self-test"]:
        found = self_test()
    else:
        found = check(arguments[0] if arguments else f"{here}/../../fcgi-app/src")
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
