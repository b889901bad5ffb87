"""Health, metrics, and the access log."""
import collections
import re

from lib.stack import NODES, SENTINELS, until
from lib.steps import Step

GOOD = {"product_id": 1, "name": "n", "price": 1}
READY = {"status": "ok", "database": "ok",
         "redis": {"master": "ok", "replica-1": "ok", "replica-2": "ok"}}

TABLES = {
    "health": [
        Step("live", "GET /health/live", want={"status": "ok"},
             headers={"Content-Type": "application/json"}),
        Step("ready", "GET /health/ready", want=READY,
             headers={"Content-Type": "application/json"}),
    ],
}
# For a stack with METRICS_ALLOW=192.0.2.0/24.
TABLES_OFF = {
    "METRICS_ALLOW": [
        Step("metrics from elsewhere", "GET /metrics", 403, code="forbidden"),
        Step("everything else is open", "GET /health/live"),
    ],
}

SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(\{(.*)\})? (-?[0-9.e+-]+|[+-]Inf|NaN)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
FAMILIES = {
    "carrito_requests_total": "counter", "carrito_request_duration_seconds": "histogram",
    "carrito_cache_reads_total": "counter", "carrito_cache_fills_total": "counter",
    "carrito_cache_bypass_total": "counter", "carrito_redis_up": "gauge",
    "carrito_redis_breaker_open": "gauge", "carrito_pg_connections": "gauge",
    "carrito_pg_waiting": "gauge", "carrito_processes": "gauge",
    "carrito_holds_total": "counter", "carrito_hold_seconds": "histogram",
    "carrito_cache_epoch": "gauge", "carrito_cache_mode": "gauge",
    "carrito_cache_master": "gauge", "carrito_redis_replica_lag_bytes": "gauge",
    "carrito_keeper_heartbeats_total": "counter",
    "carrito_keeper_moves_total": "counter", "carrito_audit_reads_total": "counter",
    "carrito_write_transactions_total": "counter",
    "carrito_write_places_total": "counter",
    "carrito_swept_carts_total": "counter", "carrito_swept_keys_total": "counter",
}


def run(suite):
    for part in (format_of_metrics, counted_exactly, of_the_cache, access_log,
                 hostile_log):
        suite.tap.group(part.__name__.replace("_", " "), part, suite)


def parse(text):
    """({(name, labels): value}, {name: type}, [faults]) of Prometheus' text format."""
    samples, types, faults, family = {}, {}, [], None
    if not text.endswith("\n"):
        faults.append("no newline at the end")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            family, kind = line.split()[2:]
            if family in types:
                faults.append("two TYPE lines of " + family)
            types[family] = kind
            continue
        match = SAMPLE.fullmatch(line)
        if not match:
            faults.append("not a sample: " + line)
            continue
        name, braces, labels, value = match.groups()
        pairs = LABEL.findall(labels or "")
        if braces and ",".join('%s="%s"' % pair for pair in pairs) != labels:
            faults.append("bad labels: " + line)
        if family is None or not re.fullmatch(family + "(_bucket|_sum|_count)?", name):
            faults.append("not below its TYPE: " + line)
        key = (name, frozenset(pairs))
        if key in samples:
            faults.append("twice: " + line)
        samples[key] = float(value)
    return samples, types, faults


def metrics(suite):
    return parse(suite.client.get("/metrics").body.decode())[0]


def total(samples, name, **labels):
    """The sum of all series of a name that have these labels."""
    return sum(value for (this, pairs), value in samples.items()
               if this == name and set(labels.items()) <= pairs)


def format_of_metrics(suite):
    answer = suite.client.get("/metrics")
    samples, types, faults = parse(answer.body.decode())
    if not answer.header("Content-Type", "").startswith("text/plain; version=0.0.4"):
        faults.append("Content-Type %s" % answer.header("Content-Type"))
    faults += ["%s: type %s" % (name, types.get(name)) for name, kind in FAMILIES.items()
               if types.get(name) != kind]
    buckets = collections.defaultdict(list)
    for (name, pairs), value in samples.items():
        if name.endswith("_bucket"):
            le = dict(pairs)["le"]
            rest = frozenset(pair for pair in pairs if pair[0] != "le")
            buckets[name[:-7], rest].append((float(le.replace("+Inf", "inf")), value))
    for (name, pairs), series in buckets.items():
        values = [value for _, value in sorted(series)]
        count = samples.get((name + "_count", pairs))
        if values != sorted(values) or values[-1] != count:
            faults.append("histogram %s %s" % (name, sorted(pairs)))
        if (name + "_sum", pairs) not in samples:
            faults.append("no sum of %s" % name)
    processes = len(suite.stack.processes("app") + suite.stack.processes("keeper"))
    if total(samples, "carrito_processes") != processes:
        faults.append("carrito_processes, of %d" % processes)
    for node in ("master", "replica-1", "replica-2"):
        if total(samples, "carrito_redis_breaker_open", node=node) != 0:
            faults.append("a breaker is open: " + node)
    suite.tap.none(faults, "metrics are in Prometheus' text format and complete")


def counted_exactly(suite):
    """Requests over many connections, so over all processes, are all in the sum."""
    client, path = suite.client, "/cart/metrics"
    before = metrics(suite)
    for i in range(100):
        fresh = suite.fresh_client()
        fresh.get("/cart/metrics")
        fresh.request("POST", path + "/add", dict(GOOD, product_id=1 + i % 5))
        if i % 4 == 0:
            fresh.request("POST", path + "/add", "{")
            fresh.request("POST", path + "/remove/99")
            fresh.request("DELETE", path)
            fresh.request("HEAD", path)
        fresh.close()
    client.get("/nowhere/at/all")
    after = until(lambda: total(metrics(suite), "carrito_requests_total")
                  - total(before, "carrito_requests_total") >= 300 and metrics(suite), 5)
    got = {}
    # HEAD counts as GET: it is the same route.
    want = {("GET", 200): 125, ("POST", 201): 5, ("POST", 200): 95, ("POST", 400): 25,
            ("POST", 404): 25}
    for method, status in want:
        labels = {"method": method, "status": str(status)}
        change = [total({key: value for key, value in samples.items() if of_carts(key)},
                        "carrito_requests_total", **labels)
                  for samples in (before, after)]
        got[method, status] = change[1] - change[0]
    suite.tap.equal(got, want, "every request is counted once, over all processes")
    name = "carrito_request_duration_seconds_count"
    grown = (total(after, name, method="POST") - total(before, name, method="POST"))
    suite.tap.equal(grown, 150, "and timed once")
    labels = {value for (metric, pairs), _ in after.items() for label, value in pairs
              if label == "route"}
    suite.tap.ok(not any("metrics" in label and "cart" in label for label in labels),
                 "a route's label has no user's id", sorted(labels))


def of_carts(key):
    return any(label == "route" and "cart" in value for label, value in key[1])


def of_the_cache(suite):
    suite.client.request("POST", "/cart/metrics-2/add", GOOD)
    suite.settle("/cart/metrics-2")
    before = metrics(suite)
    for _ in range(60):
        suite.client.get("/cart/metrics-2")
    for i in range(10):
        suite.client.get("/cart/nobody-metrics-%d" % i)
    after = metrics(suite)

    def grown(name, **labels):
        return total(after, name, **labels) - total(before, name, **labels)
    reads = {node: grown("carrito_cache_reads_total", node=node, result="hit")
             for node in ("master", "replica-1", "replica-2")}
    suite.tap.ok(reads["replica-1"] + reads["replica-2"] == 60 and min(
        reads["replica-1"], reads["replica-2"]) > 0 and reads["master"] == 0,
                 "hits are counted by Redis node", [reads])
    suite.tap.equal(grown("carrito_cache_reads_total", result="miss"), 10,
                    "and misses")

    def stored(samples):
        return total(samples, "carrito_cache_fills_total", result="stored")
    suite.tap.ok(until(lambda: stored(metrics(suite)) - stored(before) >= 10, 3),
                 "and fills")


ACCESS = [("GET", "/cart/logged", 200, {"X-Cache": None}),
          ("POST", "/cart/logged/add", 201, {}),
          ("GET", "/nowhere", 404, {}), ("DELETE", "/cart/logged", 405, {})]


def access_log(suite):
    """Each request is a JSON line with what the performance report needs."""
    client, faults = suite.client, []
    wanted = []
    for method, path, status, _ in ACCESS + ACCESS[:1] * 3:
        body = GOOD if method == "POST" else None
        wanted.append((method, path, status, client.request(method, path, body)))
    last = wanted[-1][3].header("X-Request-Id")
    until(lambda: last in suite.stack.log("access"), 5)
    lines = {line.get("request_id"): line for line in suite.stack.access()}
    for method, path, status, answer in wanted:
        line = lines.get(answer.header("X-Request-Id"))
        if not line:
            faults.append("no line of %s %s" % (method, path))
            continue
        values = [str(value) for value in line.values()]
        timing = answer.timing()
        for what in [method, str(status), answer.header("X-Cache"), answer.node] + [
                "%.3f" % timing[name][0] for name in timing]:
            if what is not None and what not in values:
                faults.append("%s is not in %s" % (what, line))
        for field in ("request_time", "upstream", "bytes", "route"):
            if not any(field in name for name in line):
                faults.append("no field like %s: %s" % (field, sorted(line)))
    suite.tap.none(faults, "the access log has what the performance report needs")


def hostile_log(suite):
    """Whatever clients send, each line of the log is JSON of its own."""
    for data in (b"GET /cart/\xff\xfe\"x\\ HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /cart/a?\"}{\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /cart/a HTTP/1.1\r\nHost: x\r\nUser-Agent: \"\\\xff\r\n\r\n",
                 b"B\"D /x HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n",
                 b"GET /cart/a HTTP/1.1\r\nHost: x\r\nReferer: \x01\x02\r\n\r\n"):
        try:
            suite.fresh_client().raw(data)
        except ConnectionError:
            pass
    mark = suite.client.get("/cart/mark").header("X-Request-Id")
    until(lambda: mark in suite.stack.log("access"), 5)
    faults = []
    with open(suite.stack.dir + "/log/access.log", "rb") as file:
        for line in file:
            try:
                faults += [] if b'"request_id"' in line and suite.json(line) else [line]
            except ValueError as e:
                faults.append("%s: %r" % (e, line))
    suite.tap.none(faults, "every line of the access log is JSON, whatever is sent")
    with open(suite.stack.dir + "/log/app.log", "rb") as file:
        # ASan begins with a remark of its own.
        lines = [line for line in file if not line.startswith(b"==")
                 and not suite.json_or_none(line)]
    suite.tap.none(lines, "every line of the program's log is JSON")
    nodes = [node for node in NODES if node not in SENTINELS]
    suite.tap.ok(all(suite.stack.pid(node) for node in nodes), "all nodes still run")
