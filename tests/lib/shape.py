"""What every answer of the service must look like, whatever was asked."""
import re
from datetime import datetime
from decimal import Decimal

from lib.client import PROBLEM_TYPE, JSON_TYPE

CART = {"user_id", "version", "items", "item_count", "total", "updated_at"}
LINE = {"product_id", "name", "price", "quantity", "subtotal"}
TITLES = {400: "Bad Request", 403: "Forbidden", 404: "Not Found",
          405: "Method Not Allowed",
          408: "Request Timeout", 412: "Precondition Failed", 413: "Content Too Large",
          414: "URI Too Long", 415: "Unsupported Media Type",
          422: "Unprocessable Content",
          429: "Too Many Requests", 431: "Request Header Fields Too Large",
          500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
          503: "Service Unavailable", 504: "Gateway Timeout",
          505: "HTTP Version Not Supported"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TIMING = re.compile(r'(app|redis|db)(;desc="(master|replica-[12])")?;dur=\d+\.\d{3}')


def is_money(value):
    """A number that was written with exactly two decimals."""
    return isinstance(value, Decimal) and value.as_tuple().exponent == -2


def is_count(value):
    return type(value) is int and value >= 0


def cart_faults(cart):
    """What is wrong with a cart's JSON value, by the rules that hold for all carts."""
    if not isinstance(cart, dict) or set(cart) != CART:
        return ["not a cart: %r" % (cart,)]
    faults = []
    units = 0
    total = Decimal("0.00")
    for line in cart["items"]:
        if set(line) != LINE:
            faults.append("not a line: %r" % (line,))
            continue
        if not (is_money(line["price"]) and is_money(line["subtotal"])):
            faults.append("money without two decimals: %r" % (line,))
        elif line["subtotal"] != line["price"] * line["quantity"]:
            faults.append("wrong subtotal: %r" % (line,))
        if not (is_count(line["product_id"]) and is_count(line["quantity"])):
            faults.append("not integers: %r" % (line,))
        units += line["quantity"]
        total += line["subtotal"]
    ids = [line["product_id"] for line in cart["items"]]
    if len(set(ids)) != len(ids):
        faults.append("a product has two lines: %r" % (ids,))
    if not is_count(cart["item_count"]) or cart["item_count"] != units:
        faults.append("item_count %r, units %d" % (cart["item_count"], units))
    if not is_money(cart["total"]) or cart["total"] != total:
        faults.append("total %r, sum %s" % (cart["total"], total))
    if not is_count(cart["version"]):
        faults.append("version %r" % (cart["version"],))
    if cart["version"] == 0:
        if cart["updated_at"] is not None or cart["items"]:
            faults.append("version 0 with content: %r" % (cart,))
    elif not is_time(cart["updated_at"]):
        faults.append("updated_at %r" % (cart["updated_at"],))
    return faults


def is_time(text):
    """RFC 3339 in UTC."""
    if not isinstance(text, str) or not TIME.fullmatch(text):
        return False
    datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    return True


def problem_faults(answer, from_nginx):
    """What is wrong with an error's document and headers."""
    if answer.header("Content-Type") != PROBLEM_TYPE:
        return ["an error of type %s" % answer.header("Content-Type")]
    problem = answer.json()
    faults = []
    known = {"type", "title", "status", "code", "detail", "errors", "cart"}
    if set(problem) - known or not {"type", "title", "status", "code",
                                    "detail"} <= set(problem):
        faults.append("members of a problem: %s" % sorted(problem))
        return faults
    if problem["type"] != "about:blank" or problem["status"] != answer.status:
        faults.append("type %(type)r, status %(status)r" % problem)
    if problem["title"] != TITLES.get(answer.status):
        faults.append("title %r of %d" % (problem["title"], answer.status))
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(problem["code"])):
        faults.append("code %r" % problem["code"])
    if not isinstance(problem["detail"], str) or not problem["detail"]:
        faults.append("detail %r" % (problem["detail"],))
    for error in problem.get("errors", []):
        if set(error) != {"pointer", "detail"} or not error["pointer"].startswith("/"):
            faults.append("member of errors: %r" % (error,))
    if problem.get("errors") == []:
        faults.append("an empty list of errors")
    if ("cart" in problem) != (problem["code"] == "version-mismatch"):
        faults.append("a cart in a problem of code %s" % problem["code"])
    if "cart" in problem:
        faults += cart_faults(problem["cart"])
        if answer.header("ETag") != '"%d"' % problem["cart"]["version"]:
            faults.append("ETag %s of version %d" % (
                answer.header("ETag"), problem["cart"]["version"]))
    if answer.status == 405 and not answer.header("Allow"):
        faults.append("405 without Allow")
    if answer.status == 503 and not from_nginx:
        wait = answer.header("Retry-After")
        if (wait is None) != (problem["code"] == "outcome-unknown"):
            faults.append("Retry-After %s with %s" % (wait, problem["code"]))
        if wait is not None and not (wait.isdigit() and int(wait) >= 1):
            faults.append("Retry-After %s" % wait)
    return faults


def answer_faults(method, path, answer):
    """What is wrong with any answer: to a cart's request, or an error."""
    faults = []
    from_nginx = answer.header("Server-Timing") is None
    if not re.fullmatch(r"[0-9a-f]{32}", answer.header("X-Request-Id", "")):
        faults.append("X-Request-Id %s" % answer.header("X-Request-Id"))
    if not from_nginx and not all(TIMING.fullmatch(entry.strip()) for entry in
                                  answer.header("Server-Timing").split(",")):
        faults.append("Server-Timing %s" % answer.header("Server-Timing"))
    if answer.header("X-Cache") not in (None, "HIT", "MISS", "BYPASS"):
        faults.append("X-Cache %s" % answer.header("X-Cache"))
    if method == "HEAD" or answer.status == 304:
        if answer.body:
            faults.append("a body where none may be")
        return faults
    if answer.header("Content-Length") != str(len(answer.body)):
        faults.append("Content-Length %s" % answer.header("Content-Length"))
    if answer.status >= 400:
        return faults + problem_faults(answer, from_nginx)
    if path.startswith("/cart/"):
        faults += good_cart_faults(answer)
        if method == "GET" and not answer.header("X-Cache"):
            faults.append("a read without X-Cache")
    return faults


def good_cart_faults(answer):
    cart = answer.json()
    faults = cart_faults(cart)
    if answer.header("Content-Type") != JSON_TYPE:
        faults.append("Content-Type %s" % answer.header("Content-Type"))
    if answer.header("Cache-Control") != "private, no-cache":
        faults.append("Cache-Control %s" % answer.header("Cache-Control"))
    if not faults and answer.header("ETag") != '"%d"' % cart["version"]:
        faults.append("ETag %s" % answer.header("ETag"))
    return faults
