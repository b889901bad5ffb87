"""Step tables: an API test is a list of requests with what each must answer.

A step may name earlier ones: `${u}` is the table's own user, `${first.etag}` the ETag of
the answer saved as "first", `${first.body.version}` a member of its body. When a
step is refused, the cart of its path is read again and must be what it was.
"""
import json
import re
import uuid
from decimal import Decimal

from lib.shape import answer_faults

REFERENCE = re.compile(r"\$\{([^}]+)\}")
CART_PATH = re.compile(r"/cart/([^/?]+)")
ABSENT = object()


def money(text):
    """A price or total that must be written exactly so."""
    return Decimal(text)


class Step:
    """`ask` is "METHOD /path"; `send` a body (see client.encode); the rest is expected.

    want     part of the answer's JSON: dicts may have more members, lists may not
    code     the problem's code; pointers: those of its `errors`, in any order
    headers  expected headers; None: absent; a callable: a test of the value
    sent     headers to send
    """

    def __init__(self, name, ask, status=200, send=None, want=None, code=None,
                 pointers=None, headers=None, sent=None, save=None):
        self.name = name
        self.method, self.path = ask.split(" ", 1)
        self.status = status
        self.send = send
        self.want = want
        self.code = code
        self.pointers = pointers
        self.headers = headers or {}
        self.sent = sent or {}
        self.save = save


class Runner:
    """Runs tables on one connection and reports each step as one result."""

    def __init__(self, tap, client):
        self.tap = tap
        self.client = client
        self.user = None
        self.saved = {}
        self.written = {}

    def table(self, title, steps, user=None):
        """Runs the steps in order, for a user that no other table has."""
        self.user = user or "t-" + uuid.uuid4().hex[:12]
        self.saved = {"u": self.user}
        for step in steps:
            self.step(title, step)

    def step(self, title, step):
        method, path = step.method, self.fill(step.path)
        unchanged = method not in ("GET", "HEAD") and step.status >= 400
        try:
            before = unchanged and (self.written.get(user_of(path)) or self.cart(path))
            answer = self.client.request(method, path, self.fill(step.send),
                                         self.fill(step.sent))
            faults = self.faults(step, path, answer)
            if is_write(method, answer):
                self.written[user_of(path)] = answer.body
            if unchanged and self.cart(path) != before:
                faults.append("the cart has changed: %s" % (self.cart(path),))
            if faults:
                faults.append("%s %s: %s" % (method, path, answer))
            if step.save:
                self.saved[step.save] = answer
        except (ConnectionError, ValueError) as e:
            faults = [repr(e)]
        self.tap.none(faults, "%s: %s" % (title, step.name))

    def cart(self, path):
        """The body of the path's cart, or None when the path has no such cart."""
        user = user_of(path)
        answer = self.client.get("/cart/" + user) if user else None
        return answer.body if answer and answer.status == 200 else None

    def faults(self, step, path, answer):
        faults = []
        if answer.status != step.status:
            faults.append("status %d, wanted %d" % (answer.status, step.status))
        faults += answer_faults(step.method, path, answer)
        for name, want in step.headers.items():
            got = answer.header(name)
            want = self.fill(want)
            if not (want(got) if callable(want) else got == want):
                faults.append("%s: %r, wanted %r" % (name, got, want))
        if step.code and answer.code != step.code:
            faults.append("code %r, wanted %r" % (answer.code, step.code))
        if step.pointers is not None:
            got = sorted(e["pointer"] for e in answer.json().get("errors", []))
            if got != sorted(step.pointers):
                faults.append("pointers %r, wanted %r" % (got, sorted(step.pointers)))
        if step.want is not None:
            faults += difference("", answer.json(), self.fill(step.want))
        return faults

    def fill(self, value):
        """Replaces references in a text, or in all texts of a structure."""
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        whole = REFERENCE.fullmatch(value)
        if whole:
            return self.look_up(whole.group(1))
        return REFERENCE.sub(lambda match: str(self.look_up(match.group(1))), value)

    def look_up(self, reference):
        name, *path = reference.split(".")
        value = self.saved[name]
        if not path:
            return value
        if path[0] == "etag":
            return value.header("ETag")
        value = value.json()
        for key in path[1:]:
            value = value[int(key) if isinstance(value, list) else key]
        return value


def is_write(method, answer):
    """Whether the answer shows the cart as it is now."""
    return (method in ("POST", "PUT") and answer.status < 300
            and not answer.header("Idempotency-Replayed"))


def user_of(path):
    match = CART_PATH.match(path)
    return match and match.group(1)


def difference(where, got, want):
    """Where the JSON value `got` is not as `want` says, as lines."""
    if callable(want):
        return [] if want(got) else ["%s: %r" % (where or "body", got)]
    if isinstance(want, dict) and isinstance(got, dict):
        return [line for key, item in want.items()
                for line in difference("%s/%s" % (where, key), got.get(key, ABSENT),
                                       item)]
    if isinstance(want, list) and isinstance(got, list) and len(got) == len(want):
        return [line for i, item in enumerate(want)
                for line in difference("%s/%d" % (where, i), got[i], item)]
    if type(got) is type(want) and str(got) == str(want):
        return []
    shown = got if isinstance(got, (str, bytes)) else json.dumps(got, default=str)
    return ["%s: %s, wanted %s" % (where or "body", shown, want)]
