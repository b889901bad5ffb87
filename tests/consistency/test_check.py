"""The checker on histories that are known to be good or bad."""
import hashlib
import itertools
import os
import random
import time

import checker

MS = 1000000
NUMBERS = itertools.count(1)


def body_hash(cart, version, variant=""):
    text = "%s %d %s" % (cart, version, variant)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def line(kind, begin, end, cart, status, version, cache="-", node="-", units=None,
         body=None, name="-"):
    """One operation; times in ms, a body by default that of the version."""
    if units is None:
        units = version if version > 0 or kind == "r" and version == 0 else -1
    if body is None:
        body = body_hash(cart, version) if version >= 0 else "0" * 16
    return "\t".join(str(value) for value in (
        kind, int(begin * MS), int(end * MS), cart, status, version, cache, node, units,
        body, name))


def read(begin, end, version, cart="a", **more):
    more = {"cache": "HIT", "node": "replica-1", "status": 200, **more}
    return line("r", begin, end, cart, more.pop("status"), version, **more)


def write(begin, end, version, cart="a", status=200, **more):
    name = "w%d" % next(NUMBERS)
    return line("w", begin, end, cart, status, version, name=name, **more)


def unknown(begin, end, status=503, cart="a"):
    return write(begin, end, -1, cart, status)


def refused(begin, end, cart="a"):
    return write(begin, end, 0, cart, 503, units=-1, body="0" * 16)


def failed(begin, end, status, cart="a"):
    return read(begin, end, -1, cart, status=status, cache="-", node="-")


class Case:
    """`final`: of cart a, or {cart: (version, units)}; `rules`: how often each breaks."""

    def __init__(self, name, ops, final, **rules):
        self.name = name
        self.ops = ops
        self.final = final if isinstance(final, dict) else {"a": (final, final)}
        self.rules = {rule.replace("_", "-"): n for rule, n in rules.items()}


GOOD = [
    Case("reads and writes one after another",
         [read(0, 1, 0), write(2, 3, 1, status=201), read(4, 5, 1), write(6, 7, 2),
          read(8, 9, 2)], 2),
    Case("a read during a write may see the old cart",
         [write(0, 1, 1), write(2, 9, 2), read(3, 4, 1)], 2),
    Case("a read during a write may see the new cart",
         [write(0, 1, 1), write(2, 9, 2), read(3, 4, 2)], 2),
    Case("a read that began before the answer may see the old cart after it",
         [write(0, 1, 1), read(2, 9, 1), write(3, 4, 2)], 2),
    Case("operations that touch are at the same time",
         [write(0, 1, 1), write(2, 4, 2), read(4, 5, 1)], 2),
    Case("a write of unknown outcome that was done",
         [write(0, 1, 1), unknown(2, 3), read(4, 5, 2)], 2),
    Case("a write of unknown outcome that was not done",
         [write(0, 1, 1), unknown(2, 3), read(4, 5, 1)], 1),
    Case("a write of unknown outcome that is done long after its end",
         [write(0, 1, 1), unknown(2, 3), read(4, 5, 1), read(6, 7, 2)], 2),
    Case("a write of unknown outcome that only the final state shows",
         [write(0, 1, 1), unknown(2, 3, status=0)], 2),
    Case("a lost answer below an acknowledged version",
         [unknown(0, 1, status=502), write(2, 3, 2), read(4, 5, 2)], 2),
    Case("two writes of unknown outcome, the later one first",
         [unknown(0, 9), unknown(1, 2), read(3, 4, 1), read(5, 6, 2)], 2),
    Case("a refused write without an effect",
         [write(0, 1, 1), refused(2, 3), read(4, 5, 1)], 1),
    Case("unavailable is not wrong",
         [write(0, 1, 1), failed(2, 3, 503), failed(2, 3, 502), failed(2, 3, 504),
          failed(2, 3, 0), unknown(4, 5, 504)], 1),
    Case("a cart that nobody wrote is empty",
         [read(0, 1, 0), read(2, 3, 0, cache="MISS")], {}),
    Case("carts have nothing to do with each other",
         [write(0, 1, 1, "a"), write(0, 1, 1, "b"), write(2, 3, 2, "a"),
          read(4, 5, 1, "b"), read(4, 5, 2, "a")], {"a": (2, 2), "b": (1, 1)}),
    Case("the file's order is of no importance",
         [read(8, 9, 2), write(2, 3, 2), read(4, 5, 2), write(0, 1, 1)], 2),
]

BAD = [
    Case("a read after a write's answer misses it",
         [write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)], 2, stale_read=1),
    Case("a read misses what an earlier read saw, while the write is under way",
         [write(0, 1, 1), write(2, 9, 2), read(3, 4, 2), read(5, 6, 1)], 2, stale_read=1),
    Case("a read misses what an earlier read saw of an unknown write",
         [write(0, 1, 1), unknown(2, 3), read(4, 5, 2), read(6, 7, 1)], 2, stale_read=1),
    Case("the empty cart after the first write", [write(0, 1, 1), read(2, 3, 0)], 1,
         stale_read=1),
    Case("each of several stale reads counts",
         [write(0, 1, 1), write(2, 3, 2), read(4, 5, 1), read(4, 6, 1), read(7, 8, 2),
          read(9, 10, 1)], 2, stale_read=3),
    Case("a stale read whose miss came from the database",
         [write(0, 1, 1), write(2, 3, 2), read(4, 5, 1, cache="MISS", node="-")], 2,
         stale_read=1),
    Case("a later write makes a lower version",
         [write(0, 1, 2), write(2, 3, 1)], 2, write_order=1),
    Case("a write makes less than was read before it began",
         [unknown(0, 9), write(1, 2, 2), read(3, 4, 3), unknown(0, 9), write(5, 6, 1)], 3,
         write_order=1),
    Case("two bodies under one version, a read's and the write's",
         [write(0, 1, 1), read(2, 3, 1, body=body_hash("a", 1, "other"))], 1, content=1),
    Case("two bodies under one version, both read",
         [unknown(0, 1), read(2, 3, 1), read(4, 5, 1, body=body_hash("a", 1, "other"))],
         1, content=1),
    Case("two bodies of the empty cart",
         [read(0, 1, 0), read(2, 3, 0, body=body_hash("a", 0, "other"))], {}, content=1),
    Case("a version is read before its write begins",
         [write(0, 1, 1), read(2, 3, 2), write(4, 5, 2)], 2, read_before_write=1),
    Case("a version is read before an unknown write begins",
         [write(0, 1, 1), read(2, 3, 2), unknown(4, 5)], 2, unexplained_version=1),
    Case("a version is read that nobody has asked for",
         [write(0, 1, 1), read(2, 3, 2)], 2, unexplained_version=1),
    Case("too few unknown writes for what was read",
         [write(0, 1, 1), unknown(2, 3), read(4, 5, 3)], 3, unexplained_version=1),
    Case("enough unknown writes, but one of them too late",
         [write(0, 1, 1), unknown(2, 3), read(4, 5, 3), unknown(6, 7)], 3,
         unexplained_version=1),
    Case("too few unknown writes below an acknowledged one",
         [write(0, 1, 3), unknown(0, 1)], 3, unexplained_version=1),
    Case("a refused write was done after all",
         [write(0, 1, 1), refused(2, 3)], 2, unexplained_version=1),
    Case("a write was done twice", [write(0, 1, 1), write(2, 3, 2)], 3,
         unexplained_version=1),
    Case("a write was done twice between two others",
         [write(0, 1, 1), write(2, 3, 3), read(4, 5, 3)], 3, unexplained_version=1),
    Case("two writes have one version",
         [write(0, 5, 1), write(1, 6, 1)], 1, duplicate_version=1),
    Case("two writes have one version, the later began after the end of the other",
         [write(0, 1, 1), write(2, 3, 1)], 1, duplicate_version=1),
    Case("an acknowledged write is gone in the end",
         [write(0, 1, 1), write(2, 3, 2)], 1, lost_write=1),
    Case("what was read is gone in the end",
         [write(0, 1, 1), unknown(2, 3), read(4, 5, 2)], 1, lost_write=1),
    Case("the cart is gone in the end", [write(0, 1, 1)], {}, lost_write=1),
    Case("a cart that nobody wrote is not empty", [read(0, 1, 3)], {}, never_written=1),
    Case("a cart that nobody wrote is not empty in the end",
         [read(0, 1, 0)], 2, never_written=1),
    Case("a cart that nobody asked for", [read(0, 1, 0)], {"b": (1, 1)}, never_written=1),
    Case("a cart whose only write was refused is not empty",
         [refused(0, 1), read(2, 3, 1)], 1, never_written=2),
    Case("a read has a unit less than versions",
         [write(0, 1, 1), write(2, 3, 2), read(4, 5, 2, units=1)], 2, units=1),
    Case("a write has a unit more than versions",
         [write(0, 1, 1), write(2, 3, 2, units=3)], 2, units=1),
    Case("the final cart has a unit more than versions",
         [write(0, 1, 1)], {"a": (1, 2)}, units=1),
    Case("a read without an ETag", [failed(0, 1, 200)], {}, malformed=1),
    Case("a read of another cart",
         [write(0, 1, 1), read(2, 3, 1, units=-1)], 1, malformed=1),
    Case("a write without an ETag", [unknown(0, 1, 201)], 1, malformed=1),
    Case("a write that makes version 0", [write(0, 1, 0)], 1, malformed=1),
    Case("a read is refused with 404", [failed(0, 1, 404)], {}, unexpected_status=1),
    Case("a read is answered 304", [failed(0, 1, 304)], {}, unexpected_status=1),
    Case("a read is answered 201", [read(0, 1, 0, status=201)], {}, unexpected_status=1),
    Case("a write is refused with 422", [unknown(0, 1, 422)], {}, unexpected_status=1),
    Case("a write is answered 500", [unknown(0, 1, 500)], {}, unexpected_status=1),
]


class Files:
    """Writes the three files of a run and has them judged."""

    def __init__(self, directory):
        self.names = [os.path.join(directory, name) for name in ("history", "final",
                                                                 "windows")]

    def check(self, ops, final, windows=None, **more):
        texts = ["".join(op + "\n" for op in ops),
                 "".join("%s\t%d\t%d\n" % (cart, *state)
                         for cart, state in final.items()),
                 "".join("%d\t%d\t%s\n" % (begin * MS, end * MS, name)
                         for begin, end, name in windows or [])]
        return self.check_texts(*texts, use_windows=windows is not None, **more)

    def check_texts(self, *texts, use_windows=False, **more):
        for name, text in zip(self.names, texts):
            with open(name, "w") as file:
                file.write(text)
        windows = self.names[2] if use_windows else None
        return checker.check(*self.names[:2], windows, **more)


def cases(tap, files):
    for case in GOOD:
        verdict = files.check(case.ops, case.final)
        tap.ok(verdict.status == 0 and not verdict.rules, "passes: " + case.name,
               verdict.output)
    for case in BAD:
        verdict = files.check(case.ops, case.final)
        tap.ok(verdict.status == 1 and dict(verdict.rules) == case.rules,
               "caught as %s: %s" % (" and ".join(case.rules), case.name),
               ["want %s" % case.rules, *verdict.output.splitlines()])


def words(tap, files):
    ops = [write(1000, 1001, 1), write(1200, 1250, 2),
           read(1300.5, 1301, 1, node="replica-2")]
    verdict = files.check(ops, {"a": (2, 2)})
    name = ops[1].split("\t")[-1]
    tap.equal(verdict.violations, [
        "violation: stale-read: cart a: read of version 1 (HIT, replica-2)"
        " from 0.300500 to 0.301000 s after the end of write %s of version 2 (status 200,"
        " -) from 0.200000 to 0.250000 s" % name], "a violation is told in words")
    ops = [write(0, 1, 1), write(2, 3, 2)] + [read(4 + i, 5 + i, 1) for i in range(30)]
    verdict = files.check(ops, {"a": (2, 2)})
    tap.equal((len(verdict.violations), verdict.rules["stale-read"]), (20, 30),
              "20 violations are told, all are counted")


def figures(tap, files):
    """Reads and writes before, in and after an outage of both from 1100 to 2999 ms."""
    ops = [write(1000, 1001, 1), write(1050, 1060, 2)]
    ops += [read(1060 + i, 1061.5 + i, 2) for i in range(10)]
    ops += [failed(1100, 1150, 503), failed(1200, 2900, 0), unknown(1100, 2900),
            refused(2000, 2001)]
    ops += [read(2999, 3000, 2, cache="MISS"), write(3000, 3010, 3),
            read(3020, 3021, 3), read(3700, 3701, 3), read(5000, 5001, 3)]
    windows = [(1070, 3500, "outage"), (4900, 5100, "outage"), (3000, 3005, "short one"),
               (9000, 9001, "never")]
    got = files.check(ops, {"a": (3, 3)}, windows).windows
    want = {"ops": 9, "reads": 6, "writes": 3, "exposed": 1, "violations": 0,
            "reads_failed": 2, "writes_refused": 1, "writes_unknown": 1, "hits": 3,
            "unavailable_reads_ns": 1929500000, "unavailable_writes_ns": 1940000000,
            "unavailable_writes_sum_ns": 1940000000, "write_max_ms": 1800.0,
            "write_p50_ms": 10.0, "read_max_ms": 1700.0, "writes_slow_until_ms": 1830.0,
            "longest_without_hit_ns": 1950500000}
    tap.equal({name: got["outage"][name] for name in want}, want,
              "windows of one name are added up")
    tap.equal({name: got["never"][name] for name in ("ops", "exposed",
                                                     "unavailable_reads_ns")},
              {"ops": 0, "exposed": 0, "unavailable_reads_ns": 0},
              "a window outside the history is empty")
    tap.equal((got["short one"]["ops"], got["short one"]["writes"]), (2, 1),
              "an operation is in each window that it overlaps")
    tap.equal((got["total"]["ops"], got["total"]["exposed"], got["total"]["hits"]),
              (21, 1, 13), "the total has all, but exposed reads only from windows")
    tap.equal(list(got), ["outage", "short one", "never", "total"], "the lines' order")
    exposed = files.check(
        [write(0, 100, 1), unknown(1000, 1100), refused(3000, 3100),
         read(50, 101, 1), read(700, 701, 1), read(701, 702, 1), read(1050, 1051, 1),
         read(1700, 1701, 1), read(3050, 3051, 1), read(60, 61, 1, cache="MISS"),
         read(150, 151, 1, cart="b", units=1)], {"a": (1, 1), "b": (0, 0)})
    tap.equal(exposed.windows["total"]["exposed"], 4,
              "exposed: hits during a write to the cart, or up to 600 ms after it")
    ops = [write(0, 1, 1), write(2, 3, 2), read(10, 11, 1), read(20, 21, 1)]
    stale = files.check(ops, {"a": (2, 2)},
                        [(9, 12, "one"), (30, 40, "none"), (0, 50, "all")])
    tap.equal([stale.windows[name]["violations"] for name in ("one", "none", "all",
                                                              "total")], [1, 0, 2, 2],
              "violations are counted in their windows")


def bad_files(tap, files):
    good, final = write(0, 1, 1) + "\n", "a\t1\t1\n"
    tap.equal(files.check_texts(good, final).status, 0, "good files are judged")
    for name, history, state, windows in (
            ("an empty history", "", final, None),
            ("a history that is cut off", good + good[:-1], final, None),
            ("a line that lacks a field", good.replace("\t-", "", 1), final, None),
            ("a line that is no operation", good + "x\n", final, None),
            ("an end before the begin", good.replace("1000000", "-1"), final, None),
            ("a final state without units", good, "a\t1\n", None),
            ("a final state that is cut off", good, final[:-1], None),
            ("a window without a name", good, final, "1\t2\n"),
            ("a window without an end", good, final, "1\tx\n")):
        verdict = files.check_texts(history, state, windows or "",
                                    use_windows=windows is not None)
        tap.equal(verdict.status, 2, "not judged: " + name)


# The checker against a search of all orders

class Op:
    def __init__(self, kind, begin, end, version):
        self.kind, self.begin, self.end, self.version = kind, begin, end, version

    def line(self, cart):
        if self.kind == "unknown":
            return unknown(self.begin, self.end, cart=cart)
        if self.kind == "refused":
            return refused(self.begin, self.end, cart=cart)
        make = read if self.kind == "read" else write
        return make(self.begin, self.end, self.version, cart)


def possible(ops, final):
    """Is there an order of all that took effect, each between its begin and its end?
    An unknown write may take effect at any time after its begin, or never."""
    ops = [op for op in ops if op.kind != "refused"]

    def search(left, version):
        if version == final and all(op.kind == "unknown" for op in left):
            return True
        for op in left:
            if any(other.end < op.begin for other in left
                   if other is not op and other.kind != "unknown"):
                continue
            after = version + (op.kind != "read")
            if op.kind == "unknown" or op.version == after:
                if search([other for other in left if other is not op], after):
                    return True
        return False
    return search(ops, 0)


def random_history(rng):
    """A few operations at once, true or nearly so."""
    ops, points = [], []
    for _ in range(rng.randint(1, 6)):
        begin = rng.randint(0, 12)
        end = begin + rng.randint(0, 5)
        kind = rng.choice(["read"] * 3 + ["write"] * 3 + ["unknown", "refused"])
        op = Op(kind, begin, end, -1)
        ops.append(op)
        if kind in ("read", "write") or kind == "unknown" and rng.random() < 0.6:
            late = end + (8 if kind == "unknown" else 0)
            points.append((rng.uniform(begin, late), op))
    version = 0
    for _, op in sorted(points, key=lambda point: point[0]):
        version += op.kind != "read"
        if op.kind != "unknown":
            op.version = version
    final = version
    if rng.random() < 0.6:
        told = [op for op in ops if op.version >= 0]
        op = rng.choice(told) if told else None
        change = rng.choice([-1, 1])
        if op is None or rng.random() < 0.2:
            final = max(0, final + change)
        elif op.kind == "read" or op.version + change > 0:
            op.version = max(0, op.version + change)
    return ops, final


def every_order(tap, files, count):
    rng = random.Random(7)
    lines, finals, impossible = [], {}, set()
    for number in range(count):
        cart = "c%d" % number
        ops, final = random_history(rng)
        lines += [op.line(cart) for op in ops]
        finals[cart] = (final, final)
        if not possible(ops, final):
            impossible.add(cart)
    found = files.check(lines, finals, limit=10 * count).carts()
    tap.equal(sorted(found ^ impossible)[:5], [],
              "%d small histories, %d of them impossible: as a search of all orders says"
              % (count, len(impossible)))
    tap.ok(count / 5 < len(impossible) < count * 4 / 5, "both kinds are many")


def large(tap, files, count):
    """A long good history, and the same with one old answer in it."""
    rng = random.Random(3)
    versions, lines, at = [0] * 100, [], 0.0
    hashes = {}
    for _ in range(count):
        at += 0.1
        number = rng.randrange(100)
        cart = "cart-%d" % number
        if rng.random() < 0.15:
            versions[number] += 1
            lines.append(write(at, at + 0.05, versions[number], cart))
            continue
        version = versions[number]
        key = cart, version
        if key not in hashes:
            hashes[key] = body_hash(cart, version)
        lines.append(read(at, at + 0.05, version, cart, body=hashes[key]))
    finals = {"cart-%d" % n: (v, v) for n, v in enumerate(versions)}
    begin = time.monotonic()
    verdict = files.check(lines, finals)
    took = time.monotonic() - begin
    tap.ok(verdict.status == 0, "a good history of %d operations passes" % count,
           verdict.output)
    tap.note("%.2f s with the writing of the files" % took)
    begin = time.monotonic()
    checker.check(*files.names[:2])
    tap.note("%.2f s to judge it" % (time.monotonic() - begin))
    old = max(v for v in versions)
    number = versions.index(old)
    lines.insert(count // 2, read(at + 1, at + 2, old - 1, "cart-%d" % number))
    verdict = files.check(lines, finals)
    tap.ok(verdict.status == 1 and dict(verdict.rules) == {"stale-read": 1},
           "one old answer in it is found", verdict.output)


def run(tap, directory):
    files = Files(directory)
    tap.group("cases", cases, tap, files)
    tap.group("words", words, tap, files)
    tap.group("figures", figures, tap, files)
    tap.group("bad files", bad_files, tap, files)
    tap.group("every order", every_order, tap, files, 20000)
    tap.group("large", large, tap, files, 300000)
