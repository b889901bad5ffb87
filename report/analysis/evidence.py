"""What the parts of a stack say of themselves: Redis, PostgreSQL, the program."""
import datetime
import json
import os
import platform
import re
import socket
import subprocess
import threading
import time

NODES = ("master", "replica-1", "replica-2")
PROBE_KEY = "report:lag"


def fields(text):
    """INFO's name:value lines."""
    return dict(line.split(":", 1) for line in text.replace("\r", "").splitlines()
                if ":" in line)


def command_calls(stack, node):
    """{command: calls} of a node since its start."""
    found = {}
    for name, value in fields(stack.redis(node, "INFO", "commandstats")).items():
        calls = re.match(r"calls=(\d+)", value)
        if name.startswith("cmdstat_") and calls:
            found[name[8:]] = int(calls.group(1))
    return found


def key_lookups(stack, node):
    """Keys that were looked up for reading, one by one, whatever the command."""
    stats = fields(stack.redis(node, "INFO", "stats"))
    return int(stats["keyspace_hits"]) + int(stats["keyspace_misses"])


def metrics(stack):
    """{name{labels}: value} of the program, without the histograms' columns."""
    client = stack.client()
    try:
        text = client.get("/metrics").body.decode()
    finally:
        client.close()
    found = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name and not line.startswith("#") and "_bucket{" not in name:
            found[name] = float(value)
    return found


def hold_buckets(stack):
    """[(seconds, holds so far at most as long)] of carrito_hold_seconds."""
    client = stack.client()
    try:
        text = client.get("/metrics").body.decode()
    finally:
        client.close()
    found = re.findall(r'^carrito_hold_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.M)
    return [(float(le.replace("+Inf", "inf")), float(n)) for le, n in found]


def database(stack):
    """PostgreSQL's own count of this database's transactions and of rows it gave."""
    row = stack.psql("SELECT xact_commit + xact_rollback, tup_fetched, tup_returned"
                     " FROM pg_stat_database WHERE datname = current_database()")[0]
    return dict(zip(("transactions", "rows_fetched", "rows_returned"), map(int, row)))


def snapshot(stack):
    return {"at": time.time(), "metrics": metrics(stack), "database": database(stack),
            "redis": {node: command_calls(stack, node) for node in NODES},
            "keys": {node: key_lookups(stack, node) for node in NODES}}


def replication(stack):
    """INFO replication of each node, without what is always the same."""
    kept = re.compile(r"role|connected_slaves|slave\d+|master_replid|master_port"
                      r"|master_repl_offset|master_link_status|slave_read_only")
    found = {}
    for node in NODES:
        info = fields(stack.redis(node, "INFO", "replication"))
        found[node] = {k: v for k, v in info.items() if kept.fullmatch(k)}
    return found


class Redis:
    """One connection to a Redis node: redis-cli takes longer than what is measured."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 2)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def call(self, *args):
        words = [str(arg).encode() for arg in args]
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        line = self.file.readline()
        if not line.startswith(b"$"):
            return line[1:].strip().decode()
        length = int(line[1:])
        return None if length < 0 else self.file.read(length + 2)[:-2].decode()

    def close(self):
        self.file.close()
        self.sock.close()


class LagProbe(threading.Thread):
    """Twenty times a second: how long until what the master took is on both replicas."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.ports = [stack.redis_port + i for i in range(len(NODES))]
        self.stop = threading.Event()
        self.found = []
        self.bytes = []

    def run(self):
        master, *replicas = [Redis(port) for port in self.ports]
        n = 0
        while not self.stop.wait(0.05):
            n += 1
            begun = time.monotonic()
            master.call("SET", PROBE_KEY, n, "PX", 60000)
            for replica in replicas:
                while replica.call("GET", PROBE_KEY) != str(n):
                    if time.monotonic() - begun > 2:
                        break
            self.found.append(1000 * (time.monotonic() - begun))
            if n % 20 == 0:
                self.bytes.append(self.behind(master, replicas))
        for each in (master, *replicas):
            each.close()

    def behind(self, master, replicas):
        """Bytes of the stream that a replica has not had; the master is asked last, so
        it is rather too many."""
        offsets = [int(fields(each.call("INFO", "replication"))["slave_repl_offset"])
                   for each in replicas]
        return int(fields(master.call("INFO", "replication"))["master_repl_offset"]) - \
            min(offsets)

    def result(self):
        self.stop.set()
        self.join()
        times = sorted(self.found)
        at = lambda share: times[min(len(times) - 1, int(share * len(times)))]  # noqa
        return {"probes": len(times), "p50": at(0.5), "p99": at(0.99), "max": times[-1],
                "bytes_max": max(self.bytes, default=0)}


def sentinel_events(stack, since):
    """[(time, sentinel, event)] of the sentinels' logs; their clock is the local one."""
    found = []
    for n in (1, 2, 3):
        for line in stack.log("sentinel-%d" % n).splitlines():
            match = re.match(r"\d+:X (\d+ \w+ \d+ [\d:]+)\.(\d+) \S (\+\S+) ?(.*)", line)
            if match:
                when = datetime.datetime.strptime(match[1], "%d %b %Y %H:%M:%S")
                at = when.timestamp() + int(match[2]) / 1000
                if at >= since:
                    found.append((at, "sentinel-%d" % n, match[3], match[4]))
    return sorted(found)


def epoch_moves(stack, since):
    """[(time, mode, master)] of the keeper's log and the program's."""
    found = []
    for line in (stack.log("keeper") + stack.log("app")).splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and "epoch-moved" in said.values():
            at = datetime.datetime.fromisoformat(said["time"].replace("Z", "+00:00"))
            if at.timestamp() >= since:
                found.append((at.timestamp(), said.get("mode", ""),
                              said.get("master", "")))
    return sorted(found)


def first_line(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
    except OSError:
        return "?"
    return (done.stdout.splitlines() or ["?"])[0]


def version(*command):
    found = re.search(r"\d+(\.\d+)+", first_line(*command))
    return found[0] if found else "?"


def machine(root, stack=None):
    """What the figures were made with."""
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("model name", "Model", "Hardware")):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(re.search(r"MemTotal:\s+(\d+)", file.read())[1]) / 2 ** 20
    commit = first_line("git", "-c", "safe.directory=" + root, "-C", root, "describe",
                        "--always", "--dirty")
    found = {"commit": commit, "processors": os.cpu_count(), "model": model,
             "memory_gib": memory, "kernel": platform.release(),
             "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
             "miller": version("mlr", "--version"),
             "gnuplot": version("gnuplot", "--version")}
    if stack:
        found.update(nginx=version("nginx", "-v"),
                     redis=version("redis-server", "--version"),
                     postgresql=stack.value("SHOW server_version").split()[0])
    return found
