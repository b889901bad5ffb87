"""Figures from what the run's parts counted themselves, beside those of the log."""

NODES = ("master", "replica-1", "replica-2")
# Commands besides MGET that look up one key for reading, also in scripts.
ONE_KEY = ("get", "exists", "touch", "ttl", "pttl", "type", "strlen")


def grown(phase, read, since="before", until="after"):
    """How much a counter has grown. read: a function of a snapshot."""
    return read(phase[until]) - read(phase[since])


def calls(node, command):
    return lambda snapshot: snapshot["redis"][node].get(command, 0)


def metric(*names):
    """The sum of the metrics that begin so."""
    return lambda snapshot: sum(value for name, value in snapshot["metrics"].items()
                                if name.startswith(names))


def transactions(snapshot):
    return snapshot["database"]["transactions"]


def node_rows(evidence, logged):
    """Reads by node: of the log, and of the node's own commandstats.

    One MGET has the carts of all requests of a moment, and one heartbeat. How many keys
    there were in them the node counts too: each key looked up, but for those of other
    commands, which look up one each. Only reads of carts and the keeper's audit ask MGET,
    the audit for one cart; and each sample of the audit begins with RANDOMKEY, which
    nobody else asks.
    """
    phase = evidence["phases"]["on"]
    rows = []
    for node in NODES:
        asked = grown(phase, calls(node, "mget"))
        audit = grown(phase, calls(node, "randomkey"))
        keys = grown(phase, lambda snapshot, of=node: snapshot["keys"][of]) - sum(
            grown(phase, calls(node, command)) for command in ONE_KEY)
        own = keys - asked - audit
        rows.append({"node": node, "log": logged.get(node, 0), "mget": asked,
                     "keys": keys, "audit": audit, "own": own,
                     "difference": own - logged.get(node, 0),
                     "metrics": int(grown(phase, metric(
                         'carrito_cache_reads_total{node="%s",result="hit"' % node,
                         'carrito_cache_reads_total{node="%s",result="miss"' % node)))})
    return rows


def database_row(phase, logged):
    """Transactions while a phase was measured: PostgreSQL's own count, and the log's.

    The background (the keeper, its audit, chores) is what the program's own counter grew
    by each second without a load: PostgreSQL's is too coarse for that, as connections
    report to it once a second.
    """
    idle_seconds = phase["before"]["at"] - phase["idle"]["at"]
    idle = grown(phase, metric("carrito_pg_trips_total"), "idle", "before") / idle_seconds
    seconds = phase["after"]["at"] - phase["before"]["at"]
    whole = grown(phase, transactions)
    return {"own": whole, "seconds": seconds, "idle_rate": idle,
            "background": idle * seconds, "own_requests": max(0, whole - idle * seconds),
            "log": logged["database"], "log_reads": logged["reads_database"],
            "log_writes": logged["database"] - logged["reads_database"],
            "rows": grown(phase, lambda s: s["database"]["rows_fetched"])}


def bound(buckets, share):
    """The column of a histogram that holds the quantile: its upper end in ms."""
    whole = buckets[-1][1]
    for le, n in buckets:
        if whole and n >= share * whole:
            return 1000 * le
    return None


def events_of(failover):
    """What happened, in order: what the run did, and what followed by itself."""
    events = [(at, what, node) for at, what, node in failover["events"]]
    told = set()
    kills = [at for at, what, node in failover["events"] if what == "kill"]
    for at, _, event, about in failover["sentinel"]:
        # The first sentinel's word; its state is not that of the other two.
        if event in ("+odown", "+promoted-slave") and event not in told:
            told.add(event)
            events.append((at, event, about))
    for at, mode, _ in failover["moves"]:
        if at >= kills[0]:
            events.append((at, "mode", mode))
    return sorted([list(each) for each in events])


def after(events, since, what, detail=None):
    """Seconds from `since` to the first such event; None if it did not come."""
    for at, event, about in events:
        if at >= since and event == what and detail in (None, about):
            return at - since
    return None


def of_run(evidence, phases):
    rows = node_rows(evidence, phases["on"]["nodes"])
    on = evidence["phases"]["on"]
    found = {
        "setup": evidence["setup"], "nodes": rows,
        "node_sums": {name: sum(row[name] for row in rows) for name in
                      ("log", "mget", "keys", "audit", "own", "difference", "metrics")},
        "audit_reads": int(grown(on, metric("carrito_audit_reads_total"))),
        "stale": int(grown(on, metric('carrito_audit_reads_total{result="stale"'))),
        "moves": int(grown(on, metric("carrito_keeper_moves_total"))),
        "lapsed": int(sum(grown(on, metric(
            'carrito_cache_reads_total{node="%s",result="lapsed"' % node))
            for node in NODES)),
        "off_mget": sum(grown(evidence["phases"]["off"], calls(node, "mget"))
                        for node in NODES),
        "database": {name: database_row(evidence["phases"][name], phases[name])
                     for name in ("on", "off")},
        "loads": {name: {key: value for key, value in phase.items()
                         if isinstance(value, (int, float))}
                  for name, phase in evidence["phases"].items()},
        "lag": evidence["phases"]["warm"]["lag"], "replication": on["replication"],
        "holds": {"n": int(on["holds"][-1][1]), "p50": bound(on["holds"], 0.5),
                  "p99": bound(on["holds"], 0.99)},
    }
    both = found["database"]
    found["database_saved"] = 1 - both["on"]["own_requests"] / both["off"]["own_requests"]
    found["transactions_saved"] = (both["off"]["own_requests"] -
                                   both["on"]["own_requests"])
    if "failover" in evidence["phases"]:
        failover = evidence["phases"]["failover"]
        found["events"] = events = events_of(failover)
        kill, lost = [next(at for at, *what in events if what == ["kill", node])
                      for node in ("master", "replica-1")]
        found["failover"] = {
            "odown": after(events, kill, "+odown"),
            "promoted": after(events, kill, "+promoted-slave"),
            "mode_master": after(events, kill, "mode", "master"),
            "mode_replicas": after(events, kill, "mode", "replicas"),
            "replica_mode_master": after(events, lost, "mode", "master"),
            "masters": failover["masters"],
            "first_hit": first_hit(phases["failover"], kill)}
    return found


def first_hit(phase, since):
    """Seconds until there were hits again after they had stopped, by the log."""
    series = phase["series"]
    hits = series["rate"].get("HIT", [])
    stopped = False
    for t, rate in zip(series["t"], hits):
        at = series["t0"] + t
        if at < since:
            continue
        if rate == 0:
            stopped = True
        elif stopped:
            return at - since
    return None
