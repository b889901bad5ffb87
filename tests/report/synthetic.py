"""Access logs made up for the tests, with what must be found in them."""
import json
import math
import random

ROUTES = {"read": ("GET", "/cart/{user_id}", "/cart/user%d"),
          "add": ("POST", "/cart/{user_id}/add", "/cart/user%d/add"),
          "top": ("GET", "/stats/top-products", "/stats/top-products")}


def entry(at, method="GET", route="/cart/{user_id}", uri="/cart/user101", status=200,
          cache="HIT", node="replica-1", app=0.01, redis=0.1, db=None, seconds=0.001):
    """One line as nginx/access-log.conf writes it, without the line's end."""
    def ms(value):
        return "null" if value is None else "%.3f" % value
    return ('{"time":"2026-11-21T20:00:00+00:00","msec":%.3f,"request_id":"%032x",'
            '"remote_addr":"127.0.0.1","method":"%s","uri":%s,"route":"%s","status":%d,'
            '"cache":"%s","redis_node":"%s","app_ms":%s,"redis_ms":%s,"db_ms":%s,'
            '"request_time":%.3f,"upstream_connect_time":"0.000",'
            '"upstream_header_time":"0.001","upstream_response_time":"0.001",'
            '"upstream_status":"%d","bytes_sent":1000,"request_length":60,'
            '"connection":3}' % (at, 7, method, json.dumps(uri), route, status, cache,
                                 node, ms(app), ms(redis), ms(db), seconds, status))


class Log:
    """Lines and, kept beside them, what each one says."""

    def __init__(self, seed=1, start=1795291302.25):
        self.random = random.Random(seed)
        self.start = self.at = start
        self.lines, self.told = [], []

    def add(self, kind, cache="", node="", status=200, **times):
        method, route, uri = ROUTES[kind]
        times.setdefault("app", round(self.random.lognormvariate(-4, 0.5), 3))
        times.setdefault("redis", None)
        times.setdefault("db", None)
        seconds = self.random.randrange(0, 40) / 1000
        if "%d" in uri:
            uri %= self.random.randrange(101, 999)
        self.lines.append(entry(self.at, method, route, uri, status, cache, node,
                                seconds=seconds, **times))
        total = sum(value or 0 for value in times.values())
        self.told.append({"kind": kind, "route": method + " " + route, "status": status,
                          "cache": cache or "-", "node": node, "at": self.at,
                          "total": round(total, 3), "request": round(1000 * seconds),
                          "db": times["db"] is not None})
        self.at += 0.004

    def fill(self, n, cached=True):
        """n requests as a load has them."""
        for _ in range(n):
            draw, draws = self.random.random(), self.random.lognormvariate
            node = self.random.choice(("replica-1", "replica-2", "replica-2"))
            if draw < 0.1:
                self.add("add", node="master" if cached else "", status=201,
                         redis=round(draws(-1, 0.4), 3) if cached else None,
                         db=round(draws(1, 0.6), 3))
            elif draw < 0.12:
                self.add("top", cache="HIT", node=node, redis=0.2)
            elif not cached:
                self.add("read", cache="BYPASS", db=round(draws(-0.5, 0.6), 3))
            elif draw < 0.2:
                self.add("read", cache="MISS", node=node, redis=round(draws(-1, 0.4), 3),
                         db=round(draws(-0.5, 0.6), 3))
            else:
                self.add("read", cache="HIT", node=node,
                         redis=round(draws(-2, 0.6), 3))
        return self

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in self.lines))
        return path

    def chosen(self, which, **wanted):
        return sorted(each[which] for each in self.told
                      if all(each[name] == value for name, value in wanted.items()))


def percentile(values, share):
    """By counting: the smallest of the sorted values that enough are not above."""
    return values[max(0, math.ceil(round(share * len(values), 9)) - 1)]


def snapshot(at, redis, transactions, trips, reads=None):
    """What report/run notes at one moment. redis: {node: (mget, randomkey, keys,
    get)}."""
    metrics = {"carrito_pg_trips_total": float(trips)}
    for (node, result), n in (reads or {}).items():
        metrics['carrito_cache_reads_total{node="%s",result="%s"}' % (node, result)] = n
    metrics['carrito_audit_reads_total{result="hit"}'] = sum(
        samples for _, samples, _, _ in redis.values())
    return {"at": at, "metrics": metrics,
            "redis": {node: {"mget": asked, "randomkey": samples, "get": others}
                      for node, (asked, samples, _, others) in redis.items()},
            "keys": {node: keys for node, (_, _, keys, _) in redis.items()},
            "database": {"transactions": transactions, "rows_fetched": transactions * 3,
                         "rows_returned": 0}}


NOTHING = {node: (5, 5, 10, 0) for node in ("master", "replica-1", "replica-2")}


def proof(logs):
    """evidence.json for {phase: Log}: the nodes agree with the log, but for one cart that
    replica-2 counts more, ask for two carts at once as long as they can, and 7 GETs of
    others; 10 trips a second of background, all of them transactions."""
    on, start = logs["on"], logs["failover"].start
    own = {"master": (105, 105, 210 + 7, 7)}
    for node in ("replica-1", "replica-2"):
        carts = len(on.chosen("at", kind="read", node=node)) + (node == "replica-2")
        asked = (carts + 1) // 2
        own[node] = (105 + asked, 105, 210 + carts + asked + 7, 7)
    reads = {(node, "hit"): float(len(on.chosen("at", kind="read", node=node)))
             for node in ("replica-1", "replica-2")}
    replication = {"master": {"role": "master", "master_replid": "a" * 40,
                              "master_repl_offset": "1234567"}}
    for node in ("replica-1", "replica-2"):
        replication[node] = {"role": "slave", "master_link_status": "up",
                             "master_replid": "a" * 40, "master_repl_offset": "1234560"}
    load = {"sent": 1, "answered": 1, "errors": 0, "not_2xx": 0, "seconds": 20.0,
            "rate": 1.0, "p50_ms": 1, "p99_ms": 1}
    phases = {}
    for name in ("on", "off"):
        asked = len(logs[name].chosen("at", db=True))
        after = own if name == "on" else NOTHING
        phases[name] = dict(
            load, idle=snapshot(0, NOTHING, 1000, 100),
            before=snapshot(5, NOTHING, 1050, 150),
            after=snapshot(45, after, 1050 + 400 + asked, 150 + 400 + 2 * asked,
                           reads if name == "on" else None))
    phases["on"].update(holds=[[0.0002, 10.0], [0.0005, 90.0], [0.001, 100.0],
                               [float("inf"), 100.0]],
                        replication=replication)
    phases["warm"] = dict(load, lag={"probes": 100, "p50": 0.21, "p99": 1.5, "max": 2.5,
                                     "bytes_max": 300})
    phases["failover"] = dict(
        load, masters=["replica-1"], replication=replication,
        events=[[start + 1, "kill", "replica-1"], [start + 2, "start", "replica-1"],
                [start + 4, "kill", "master"], [start + 7, "start", "master"]],
        moves=[[start + 1.5, "master", "x"], [start + 2.5, "replicas", "x"],
               [start + 4.1, "off", ""], [start + 5.5, "master", "y"],
               [start + 7.5, "replicas", "y"]],
        sentinel=[[start + 5.2, "sentinel-1", "+odown", "master"],
                  [start + 5.3, "sentinel-2", "+odown", "master"],
                  [start + 5.4, "sentinel-1", "+promoted-slave", "slave"]])
    return {"phases": phases, "setup": {
        "carts": 2000, "connections": 32, "reads": 0.9, "zipf": 0.99, "seed": 7,
        "warm_seconds": 8, "failover_rate": 250, "failover_seconds": 8, "rate": 250,
        "seconds": 20, "capacity_off": 523.4}, "machine": {
        "commit": "abc1234", "processors": 2, "model": "A & B <CPU>", "memory_gib": 3.9,
        "kernel": "6.1.0", "date": "2026-11-21 20:00 UTC", "miller": "6.6.0",
        "gnuplot": "5.4", "nginx": "1.22.1", "redis": "7.0.15", "postgresql": "15.20",
        "load_average": 0.1}}
