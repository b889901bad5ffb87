"""Paths and methods that are not there, media types, HEAD, what nginx itself refuses."""
import socket

from lib.client import JSON_TYPE
from lib.shape import answer_faults
from lib.stack import until
from lib.steps import Step

ADD = "POST /cart/${u}/add"
GOOD = {"product_id": 1, "name": "n", "price": 1}

ROUTES = {
    "/cart/${u}": {"GET", "HEAD"},
    "/cart/${u}/add": {"POST"},
    "/cart/${u}/remove/1": {"POST"},
    "/cart/${u}/update/1": {"PUT"},
    "/cart/${u}/clear": {"POST"},
    "/stats/top-products": {"GET", "HEAD"},
    "/health/live": {"GET", "HEAD"},
    "/health/ready": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
    "/openapi.json": {"GET", "HEAD"},
    "/": {"GET", "HEAD"},
    "/dashboard": {"GET", "HEAD"},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW")

NOWHERE = ["/shop.html", "/dashboard/", "/assets", "/assets/",
           "/cart", "/cart/", "/carts/a", "/Cart/a", "/cart/a/", "/cart/a/b",
           "/cart/a/add/", "/cart/a/add/1", "/cart/a/remove", "/cart/a/remove/",
           "/cart/a/remove/1/", "/cart/a/remove/1/2", "/cart/a/update",
           "/cart/a/update/1/x", "/cart/a/clear/1", "/cart/a/ADD", "/stats", "/stats/",
           "/stats/top-products/", "/stats/top", "/health", "/health/", "/health/x",
           "/metrics/", "/openapi.json/", "/openapi", "/favicon.ico", "/index.html",
           "/.git/config", "/cart//add", "/cart/a/..%2fadd"]


def allow(methods):
    return lambda value: {m.strip() for m in (value or "").split(",")} == methods


def table_of_methods():
    steps = [Step("a line", ADD, 201, GOOD)]
    for path, allowed in ROUTES.items():
        for method in METHODS:
            if method not in allowed:
                steps.append(Step("%s %s" % (method, path), method + " " + path, 405,
                                  code=None if method == "HEAD" else "method-not-allowed",
                                  headers={"Allow": allow(allowed)}))
    return steps


def table_of_paths():
    steps = []
    for path in NOWHERE:
        steps.append(Step("GET " + path, "GET " + path, 404))
        steps.append(Step("POST " + path, "POST " + path, 404, GOOD))
    return steps + [
        Step("a query is ignored", "GET /cart/${u}?x=1&y=%zz", 200),
        Step("an empty query too", "GET /cart/${u}?", 200),
        Step("a query on a write", ADD + "?quantity=5", 201, GOOD, {"item_count": 1}),
        Step("a path in absolute form", "GET http://example.org/cart/${u}", 200),
    ]


def media(value):
    return {"Content-Type": value}


MEDIA = [
    Step("charset", ADD, 201, GOOD, sent=media("application/json; charset=utf-8")),
    Step("charset without blank", ADD, 200, GOOD,
         sent=media("application/json;charset=UTF-8")),
    Step("charset in quotes", ADD, 200, GOOD,
         sent=media('application/json; charset="utf-8"')),
    Step("any case", ADD, 200, GOOD, sent=media("Application/JSON")),
] + [
    Step("%s for %s" % (value, ask.split("/")[3]), ask, 415, send, sent=media(value),
         code="unsupported-media-type")
    for ask, send in ((ADD, GOOD), ("PUT /cart/${u}/update/1", {"quantity": 2}))
    for value in (None, "text/plain", "application/x-www-form-urlencoded",
                  "application/jsonp",
                  "application/json-patch+json", "text/json", "*/*", "json",
                  "application/json; charset=iso-8859-1", "application/json; charset",
                  "application/json, text/plain", "multipart/form-data; boundary=x")
] + [
    Step("the type is looked at before the body", ADD, 415, "{", sent=media("text/plain"),
         code="unsupported-media-type"),
    Step("remove needs no type", "POST /cart/${u}/remove/1", 200, "not JSON",
         sent=media("text/plain")),
    Step("and no body", "POST /cart/${u}/remove/1", 404, code="line-not-found",
         sent={"Content-Length": None}),
    Step("clear needs no type", "POST /cart/${u}/clear", 200, "{", sent=media("x")),
    Step("clear with JSON", "POST /cart/${u}/clear", 200, {"any": "thing"}),
]

TABLES = {
    "methods": table_of_methods(),
    "paths": table_of_paths(),
    "media types": MEDIA,
}


def run(suite):
    head_like_get(suite)
    openapi(suite)
    refused_by_nginx(suite)
    unusual_but_fine(suite)


def run_off(suite):
    """With RATE_LIMIT=200: so many a second, as many again at once, then 429."""
    answers = [suite.client.get("/health/live") for _ in range(100)]
    suite.tap.equal({answer.status for answer in answers}, {200}, "100 are allowed")
    for _ in range(4000):
        answer = suite.client.get("/health/live")
        if answer.status != 200:
            break
    faults = answer_faults("GET", "/health/live", answer)
    suite.tap.ok(not faults and answer.status == 429
                 and answer.code == "too-many-requests"
                 and answer.header("Retry-After", "").isdigit(),
                 "too many are 429 with Retry-After", faults + [str(answer)])
    suite.tap.ok(until(lambda: suite.client.get("/health/live").status == 200, 3, 0.1),
                 "and soon 200 again")


def head_like_get(suite):
    suite.client.request("POST", "/cart/head/add", GOOD)
    suite.settle("/cart/head")
    for path in ("/cart/head", "/cart/nobody", "/stats/top-products", "/health/live",
                 "/health/ready", "/openapi.json", "/", "/dashboard"):
        get = suite.client.request("GET", path)
        head = suite.client.request("HEAD", path)
        names = ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Allow")
        faults = ["%s: %s, GET has %s" % (name, head.header(name), get.header(name))
                  for name in names if head.header(name) != get.header(name)]
        if head.status != get.status or head.body:
            faults.append(str(head))
        suite.tap.none(faults, "HEAD of %s is GET without the body" % path)


def openapi(suite):
    answer = suite.client.get("/openapi.json")
    document = answer.json() if answer.status == 200 else {}
    suite.tap.ok(answer.header("Content-Type", "").startswith(JSON_TYPE) and
                 str(document.get("openapi", "")).startswith("3.1"),
                 "/openapi.json is an OpenAPI 3.1 document", str(answer))


def head(request, *fields):
    return "\r\n".join((request, "Host: x") + fields).encode("latin-1") + b"\r\n\r\n"


REFUSED = [
    ("a request line without sense", b"GARBAGE\r\n\r\n", 400, "bad-request"),
    ("a method in lower case", head("get /cart/a HTTP/1.1"), 400, "bad-request"),
    ("no Host", b"GET /cart/a HTTP/1.1\r\n\r\n", 400, "bad-request"),
    ("two Hosts", head("GET /cart/a HTTP/1.1", "Host: y"), 400, "bad-request"),
    ("a bad Content-Length", head("POST /cart/a/add HTTP/1.1", "Content-Length: x"), 400,
     "bad-request"),
    ("a negative Content-Length", head("POST /cart/a/add HTTP/1.1", "Content-Length: -1"),
     400, "bad-request"),
    ("a %00 in the path", head("GET /cart/a%00b HTTP/1.1"), 400, "bad-request"),
    ("half an escape in the path", head("GET /cart/a%zz HTTP/1.1"), 400, "bad-request"),
    ("a path above the root", head("GET /../cart/a HTTP/1.1"), 400, "bad-request"),
    ("a path of 40 KB", head("GET /cart/%s HTTP/1.1" % ("a" * 40000)), 414,
     "uri-too-long"),
    ("a header of 40 KB", head("GET /cart/a HTTP/1.1", "X-Long: " + "a" * 40000), 431,
     "headers-too-large"),
    ("an unknown transfer coding",
     head("POST /cart/a/add HTTP/1.1", "Transfer-Encoding: gzip"), 501,
     "not-implemented"),
    ("HTTP/3.0", head("GET /cart/a HTTP/3.0"), 505, "http-version-not-supported"),
    ("a body of a gigabyte", head("POST /cart/a/add HTTP/1.1",
                                  "Content-Length: 1000000000"), 413, "body-too-large"),
    ("TRACE", head("TRACE /cart/a HTTP/1.1"), 405, "method-not-allowed"),
    ("CONNECT", head("CONNECT /cart/a HTTP/1.1"), 405, "method-not-allowed"),
]


def refused_by_nginx(suite):
    for name, data, status, code in REFUSED:
        answer = suite.fresh_client().raw(data)
        faults = answer_faults("GET", "", answer)
        if (answer.status, answer.code) != (status, code):
            faults.append("wanted %d %s" % (status, code))
        suite.tap.none(faults and faults + [str(answer)], "nginx refuses " + name)
    suite.tap.equal(suite.client.get("/cart/a").json()["version"], 0,
                    "what nginx refused has changed nothing")


def unusual_but_fine(suite):
    tap = suite.tap
    body = b'{"product_id": 1, "name": "n", "price": 1}'
    chunked = (head("POST /cart/chunked/add HTTP/1.1", "Content-Type: application/json",
                    "Transfer-Encoding: chunked")
               + b"5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n"
               % (body[:5], len(body) - 5, body[5:]))
    tap.equal(suite.fresh_client().raw(chunked, "POST").status, 201, "a body in chunks")
    slow = suite.fresh_client()
    slow.connect()
    for byte in head("POST /cart/slow/add HTTP/1.1", "Content-Type: application/json",
                     "Content-Length: %d" % len(body)) + body:
        slow.sock.sendall(bytes([byte]))
    tap.equal(slow.read("POST").status, 201, "a request that comes byte by byte")
    expect = suite.fresh_client()
    expect.connect()
    expect.sock.sendall(head("POST /cart/expect/add HTTP/1.1",
                             "Content-Type: application/json",
                             "Expect: 100-continue", "Content-Length: %d" % len(body)))
    tap.ok(b" 100 " in expect.sock.recv(100), "Expect: 100-continue is answered")
    expect.sock.sendall(body)
    tap.equal(expect.read("POST").status, 201, "and then the request")
    old = suite.fresh_client().raw(b"GET /cart/old HTTP/1.0\r\n\r\n")
    tap.equal((old.status, old.closes), (200, True), "HTTP/1.0")
    both = suite.fresh_client()
    both.connect()
    both.sock.sendall(head("GET /cart/one HTTP/1.1") + head("GET /cart/two HTTP/1.1",
                                                            "Connection: close"))
    data = b""
    while True:
        part = both.sock.recv(65536)
        if not part:
            break
        data += part
    tap.ok(0 < data.find(b'"one"') < data.find(b'"two"'), "two requests in one packet",
           [data])
    left = suite.fresh_client()
    left.connect()
    left.sock.sendall(head("POST /cart/left/add HTTP/1.1",
                           "Content-Type: application/json",
                           "Content-Length: %d" % len(body)) + body[:10])
    left.sock.shutdown(socket.SHUT_RDWR)
    left.close()
    tap.equal(suite.client.get("/cart/left").json()["version"], 0,
              "a client that leaves in the middle of its body has written nothing")
