"""How nginx serves the page for the browser: what may be kept and for how long, what a
browser is told never to do, and that carts are not touched by any of it."""
import re

from lib.stack import until
from lib.steps import Step

HTML = "text/html; charset=utf-8"
NO_REVISION = "0" * 12
POLICY = ("default-src 'none'", "script-src 'self'", "style-src 'self'",
          "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
          "frame-ancestors 'none'", "require-trusted-types-for 'script'",
          "trusted-types 'none'")
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
         "json": "application/json; charset=utf-8", "svg": "image/svg+xml"}

TABLES = {
    "the page": [
        Step("the shop", "GET /", 200, headers={"Content-Type": HTML}),
        Step("the dashboard", "GET /dashboard", 200, headers={"Content-Type": HTML}),
        Step("an asset of no revision", "GET /assets/%s/shop.js" % NO_REVISION, 404),
        Step("an asset without a revision", "GET /assets/shop.js", 404),
        Step("another way to the shop", "GET /dashboard/..", 404),
        Step("another way to the dashboard", "GET /cart/../dashboard", 404),
        Step("a path out of the assets", "GET /assets/%s/..%%2fnginx.conf" % NO_REVISION,
             404),
    ],
}


def run(suite):
    for part in (pages, assets, packed, logged):
        suite.tap.group(part.__name__, part, suite)


def run_off(suite):
    """With RATE_LIMIT=200."""
    asset = named_assets(suite, "/")[0]
    answers = {suite.client.get(asset).status for _ in range(1000)}
    suite.tap.equal(answers, {200}, "page: what it is made of is not counted as requests")
    limited = any(suite.client.get("/assets/../cart/ana").status == 429
                  for _ in range(4000))
    suite.tap.ok(limited, "page: a cart's path that begins like theirs is counted")
    until(lambda: suite.client.get("/health/live").status == 200, 3, 0.5)


def named_assets(suite, path):
    page = suite.client.get(path).body.decode()
    return re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)


def pages(suite):
    for path in ("/", "/dashboard"):
        answer = suite.client.get(path)
        policy = answer.header("Content-Security-Policy", "").split("; ")
        faults = ["no " + rule for rule in POLICY if rule not in policy]
        faults += [rule for rule in policy if "unsafe" in rule or "*" in rule]
        for name, value in (("Content-Type", HTML),
                            ("Cache-Control", "no-cache"),
                            ("X-Content-Type-Options", "nosniff"),
                            ("Referrer-Policy", "no-referrer")):
            if answer.header(name) != value:
                faults.append("%s: %s" % (name, answer.header(name)))
        if "X-Request-Id" not in answer.headers or "$" in answer.body.decode():
            faults.append(str(answer))
        if re.search(r"<script>|<style|style=|\son[a-z]+=", answer.body.decode()):
            faults.append("something stands in the page itself")
        suite.tap.none(faults, "page: %s is sent with all that protects it" % path)
        if path == "/":
            others = [suite.client.get(name) for name in ("/openapi.json", "/nothing")]
            suite.tap.none([str(each) for each in others
                            if each.header("X-Content-Type-Options") != "nosniff"
                            or "X-Request-Id" not in each.headers],
                           "page: nobody guesses what openapi.json and problems are")
        tag = answer.header("ETag")
        again = suite.client.request("GET", path, headers={"If-None-Match": tag})
        suite.tap.ok(tag and again.status == 304,
                     "page: %s is asked for again by its ETag" % path, str(again))


def assets(suite):
    names = sorted({*named_assets(suite, "/"), *named_assets(suite, "/dashboard")})
    suite.tap.equal(len({name.split("/")[2] for name in names}), 1,
                    "page: all assets are of one revision")
    names.append(names[0].rpartition("/")[0] + "/products.json")
    names.append(names[0].rpartition("/")[0] + "/es.js")
    faults = []
    for name in names:
        answer = suite.client.get(name)
        for header, value in (
                ("Cache-Control", "public, max-age=31536000, immutable"),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Type", TYPES[name.rpartition(".")[2]])):
            if answer.status != 200 or answer.header(header) != value:
                faults.append("%s: %s: %s" % (name, header, answer.header(header)))
    suite.tap.none(faults, "page: every asset is there, and may be kept for ever")
    answer = suite.client.request("POST", names[0], {})
    suite.tap.ok(answer.status == 405 and answer.header("Allow") == "GET, HEAD"
                 and answer.code == "method-not-allowed", "page: they are only read",
                 str(answer))


def packed(suite):
    """Files are gzipped, answers of the program never: it would weaken a cart's ETag."""
    suite.client.request("POST", "/cart/packed/add",
                         {"product_id": 1, "name": "n" * 200, "price": 1})
    accept = {"Accept-Encoding": "gzip"}
    faults = []
    for path in ("/", "/dashboard", *named_assets(suite, "/")):
        answer = suite.client.request("GET", path, headers=accept)
        if answer.header("Content-Encoding") != "gzip" and len(answer.body) > 512:
            faults.append(path)
    suite.tap.none(faults, "page: files are gzipped")
    answer = suite.client.request("GET", "/cart/packed", headers=accept)
    suite.tap.ok(answer.header("Content-Encoding") is None and
                 answer.header("ETag", "").startswith('"'), "page: carts are not")


def logged(suite):
    asset = named_assets(suite, "/")[0]
    wanted = {}
    for path, route in (("/?user=ana", "/"), ("/dashboard", "/dashboard"),
                        (asset, "/assets")):
        wanted[suite.client.get(path).header("X-Request-Id")] = route
    until(lambda: all(key in suite.stack.log("access") for key in wanted), 5)
    got = {line["request_id"]: line["route"] for line in suite.stack.access()
           if line["request_id"] in wanted}
    suite.tap.equal(got, wanted, "page: the access log has routes for it")
