"""Figures as text, in one language: values for sentences, and tables.

A table is (caption, heads, rows); the first cell of each row is its head. Cells are text,
not yet escaped for HTML or Markdown.
"""
import time


class Values:
    def __init__(self, figures, words):
        self.figures, self.words = figures, words
        self.phases = figures["phases"]
        self.measured = figures.get("measured")

    # Numbers

    def number(self, value, digits=0):
        return self.words["none"] if value is None else self.words["plain"](value, digits)

    def significant(self, value):
        """Three digits that tell something, as milliseconds have them."""
        if value is None:
            return self.words["none"]
        digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
        return self.number(value, digits)

    def percent(self, share, digits=1):
        return self.words["none"] if share is None else self.number(100 * share, digits)

    def span(self, seconds):
        for least, unit, size in ((172800, "days", 86400), (10800, "hours", 3600),
                                  (300, "minutes", 60), (0, "seconds", 1)):
            if seconds >= least:
                return self.words[unit].format(self.number(seconds / size, 1))

    # Values

    def of_log(self):
        """Those that any log has."""
        figures = self.figures
        found = {name: self.number(figures[name]) for name in
                 ("lines", "requests", "unreadable", "lines_per_second")}
        found["read_seconds"] = self.number(figures["read_seconds"], 1)
        found["other_format"] = self.number(sum(p["other_format"]
                                                for p in self.phases.values()))
        found.update({name: str(value) for name, value in figures["machine"].items()})
        found["load_average"] = self.number(figures["machine"].get("load_average"), 2)
        found["memory"] = self.number(figures["machine"]["memory_gib"], 0)
        name = next(iter(self.phases))
        phase = self.phases[name]
        found["file"] = phase["file"]
        if phase["span"]:
            for which in ("first", "last"):
                found[which] = time.strftime("%Y-%m-%d %H:%M:%S UTC",
                                             time.gmtime(phase["span"][which]))
            found["seconds"] = self.span(phase["span"]["seconds"])
        else:
            found.update(first="-", last="-", seconds="-")
        return found

    def of_run(self):
        """Those that a run of the loads has besides."""
        on, off, failover = (self.phases[n] for n in ("on", "off", "failover"))
        measured, found = self.measured, {}
        setup = measured["setup"]
        for name in ("rate", "carts", "connections", "capacity_off", "failover_rate"):
            found[name] = self.number(setup.get(name))
        found.update(
            capacity=found.pop("capacity_off"), zipf=self.number(setup["zipf"], 2),
            load_seconds=self.number(setup["seconds"]),
            reads_percent=self.percent(setup["reads"], 0))
        for name, phase in (("on", on), ("off", off)):
            for point in ("p50", "p90", "p99", "p999", "mean", "max"):
                found[name + "_" + point] = self.significant(
                    phase["latency"]["reads"]["total"][point])
                found[name + "_write_" + point] = self.significant(
                    phase["latency"]["writes"]["total"][point])
            found[name + "_requests"] = self.number(phase["requests"])
            found[name + "_reads"] = self.number(phase["reads"])
            found[name + "_reads_database"] = self.number(phase["reads_database"])
            found[name + "_errors"] = self.number(phase["errors_5xx"])
            row = measured["database"][name]
            found[name + "_own"] = self.number(row["own_requests"])
            found[name + "_idle"] = self.number(row["idle_rate"], 0)
        for cache in ("HIT", "MISS"):
            total = on["latency"][cache]["total"]
            for point in ("p50", "p99"):
                found[cache.lower() + "_" + point] = self.significant(
                    total and total[point])
        compare = self.figures["compare"]
        for point in ("p50", "p90", "p99", "p999", "mean"):
            found["times" if point == "p50" else "times_" + point] = self.number(
                compare["times"][point], 1)
        found["times_hit"] = self.number(compare["hit_times"], 1)
        replicas = sum(n for node, n in on["nodes"].items() if node != "master")
        found.update(
            hit_percent=self.percent(on["hit_ratio"]), hits=self.number(on["hit"]),
            misses=self.number(on["miss"]), bypasses=self.number(on["bypass"]),
            replica_percent=self.percent(replicas / on["reads"] if on["reads"] else None),
            saved_percent=self.percent(measured["database_saved"]),
            reads_saved_percent=self.percent(self.figures["compare"]["reads_saved"]),
            saved_n=self.number(measured["transactions_saved"]),
            lag_p50=self.significant(measured["lag"]["p50"]),
            lag_p99=self.significant(measured["lag"]["p99"]),
            lag_max=self.significant(measured["lag"]["max"]),
            lag_probes=self.number(measured["lag"]["probes"]),
            lag_bytes=self.number(measured["lag"]["bytes_max"]),
            holds=self.number(measured["holds"]["n"]),
            hold_p50=self.significant(measured["holds"]["p50"]),
            hold_p99=self.significant(measured["holds"]["p99"]),
            audit_reads=self.number(measured["audit_reads"]),
            moves=self.number(measured["moves"]),
            stale=self.number(measured["stale"]), lapsed=self.number(measured["lapsed"]),
            off_mget=self.number(measured["off_mget"]),
            node_log=self.number(measured["node_sums"]["log"]),
            node_mget=self.number(measured["node_sums"]["mget"]),
            node_own=self.number(measured["node_sums"]["own"]),
            node_audit=self.number(measured["node_sums"]["audit"]),
            node_difference=self.number(measured["node_sums"]["difference"]),
            failover_n=self.number(failover["requests"]),
            failover_failed=self.number(failover["errors_5xx"]),
            failover_bypass=self.number(failover["bypass"]),
            failover_write_max=self.significant(
                failover["latency"]["writes"]["total"]["max"]),
            failover_read_max=self.significant(
                failover["latency"]["reads"]["total"]["max"]))
        for name in ("odown", "promoted", "mode_master", "mode_replicas",
                     "replica_mode_master", "first_hit"):
            found[name] = self.number(measured["failover"][name], 1)
        found["new_master"] = ", ".join(measured["failover"]["masters"])
        return found

    # Tables

    def percentiles(self):
        """Reads: with and without, then by cache state."""
        words, rows = self.words, []
        points = ("p50", "p90", "p99", "p999", "mean", "max")
        heads = [words["t-state"], words["t-requests"], "p50", "p90", "p99", "p99.9",
                 words["t-mean"], words["t-max"]]
        for name in self.shown():
            phase = self.phases[name]
            for which in ("reads", "HIT", "MISS", "BYPASS"):
                total = phase["latency"][which]["total"]
                if total:
                    rows.append([words[name] + ": " + words[which],
                                 self.number(total["n"]),
                                 *(self.significant(total[point]) for point in points)])
        compare = self.figures["compare"]
        if compare:
            rows.append([words["t-times"], "", *(
                self.number(compare["times"][point], 1) if point in compare["times"]
                else "" for point in points)])
        return words["c-percentiles"], heads, rows

    def shown(self):
        both = [name for name in ("on", "off") if name in self.phases]
        both = both or list(self.phases)[:1]
        return [name for name in both if self.phases[name].get("reads")]

    def routes(self, name):
        words = self.words
        points = (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p999"),
                  (words["t-max"], "max"))
        heads = [words["t-route"], words["t-cache"], words["t-requests"],
                 *(words["t-program"] + " " + head for head, _ in points),
                 *(words["t-nginx"] + " " + head for head, _ in points)]
        rows = []
        for each in self.phases[name]["routes"]:
            row = [each["route"], each["cache"], self.number(each["n"])]
            for which, say in (("total", self.significant), ("request", self.number)):
                row += [say(each[which][point]) if each[which] else "-"
                        for _, point in points]
            rows.append(row)
        title = words["c-routes"] if len(self.phases) == 1 else "%s: %s" % (
            words["c-routes"], words[name])
        return title, heads, rows

    def nodes(self):
        words = self.words
        if self.measured:
            heads = [words["t-node"], words["t-log"], words["t-mget"], words["t-keys"],
                     words["t-audit"], words["t-own"], words["t-difference"]]
            names = ("log", "mget", "keys", "audit", "own", "difference")
            rows = [[row["node"], *(self.number(row[name]) for name in names)]
                    for row in self.measured["nodes"]]
            rows.append([words["t-sum"], *(self.number(self.measured["node_sums"][name])
                                           for name in names)])
            return words["c-nodes"], heads, rows
        phase = self.phases[next(iter(self.phases))]
        heads = [words["t-node"], words["reads"], words["t-share"], words["t-hits"]]
        whole = sum(phase["nodes"].values())
        return words["c-nodes"], heads, [
            [node, self.number(n), self.percent(n / whole) + " %",
             self.number(phase["hits_of"][node])]
            for node, n in sorted(phase["nodes"].items())]

    def database(self):
        words = self.words
        heads = [words["t-phase"], words["t-own-all"], words["t-background"],
                 words["t-requests-db"], words["t-log-db"], words["t-rows"]]
        rows = [[words[name], *(self.number(self.measured["database"][name][field])
                                for field in ("own", "background", "own_requests", "log",
                                              "rows"))] for name in ("off", "on")]
        return words["c-database"], heads, rows

    def replication(self):
        words = self.words
        heads = [words["t-node"], words["t-role"], words["t-link"], words["t-replid"],
                 words["t-offset"]]
        rows = []
        for node, info in self.measured["replication"].items():
            rows.append([node, words["role-" + info["role"]],
                         info.get("master_link_status", "-"),
                         info["master_replid"][:12] + "…",
                         self.number(int(info["master_repl_offset"]))])
        return words["c-replication"], heads, rows

    def events(self):
        words = self.words
        t0 = self.phases["failover"]["span"]["t0"]
        rows = []
        for i, (at, what, about) in enumerate(self.measured["events"], 1):
            text = words["e-" + what]
            if what == "mode":
                about = words["e-mode-" + about]
            rows.append([str(i), self.number(at - t0, 1), text.format(about)])
        return words["c-events"], [words["t-number"], words["t-after"],
                                   words["t-event"]], rows

    def statuses(self):
        names = [n for n in ("on", "off", "failover") if n in self.phases] or \
            list(self.phases)
        heads = [self.words["t-status"], *(self.words.get(n, n) for n in names)]
        counts = {name: dict(self.phases[name]["statuses"]) for name in names}
        every = sorted({status for each in counts.values() for status in each})
        return self.words["c-status"], heads, [
            [status, *(self.number(counts[name].get(status, 0)) for name in names)]
            for status in every]

    def slow(self, name):
        rows = [[self.number(ms), time.strftime("%m-%d %H:%M:%S", time.gmtime(at)),
                 method + " " + uri, status, cache]
                for ms, at, method, uri, status, cache in self.phases[name]["slow"]]
        words = self.words
        return words["c-slow"], [words["t-ms"], words["t-at"], words["t-request"],
                                 words["t-status"], words["t-cache"]], rows

    def failed(self, name):
        rows = [[self.number(n), method + " " + uri, status]
                for n, method, uri, status in self.phases[name]["failed"]]
        words = self.words
        return words["c-failed"], [words["t-requests"], words["t-request"],
                                   words["t-status"]], rows

    def reasons(self):
        sums = {}
        for phase in self.phases.values():
            for n, why in phase["reasons"]:
                sums[why] = sums.get(why, 0) + n
        rows = [[self.number(n), why] for why, n in
                sorted(sums.items(), key=lambda each: (-each[1], each[0]))]
        return self.words["c-reasons"], [self.words["t-lines"], self.words["t-why"]], rows

    def unreadable(self):
        rows = [[self.number(n), why, text] for phase in self.phases.values()
                for n, why, text in phase["unreadable_lines"]]
        return self.words["c-unreadable"], [self.words["t-line"], self.words["t-why"],
                                            self.words["t-text"]], rows[:10]
