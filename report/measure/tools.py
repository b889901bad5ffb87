"""The tools that measure, and what they measure against: wrk, the load of an open loop,
pgbench, nginx before the floor. Each call is one run and gives plain numbers."""
import functools
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from lib.stack import free_ports, scratch, until  # noqa: E402

READS = re.compile(r'^carrito_cache_reads_total\{.*result="(\w+)"\} (\d+)', re.MULTILINE)
MEDIAN = re.compile(r"^\s+50%\s+([\d.]+)(us|ms|s)$", re.MULTILINE)
MS = {"us": 0.001, "ms": 1, "s": 1000}
# Where spawn-fcgi and nginx are, for who is not root.
SBIN = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"


def output(*command, **options):
    return subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE,
                          **options).stdout


def machine():
    """What a figure was measured on, in one line."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return "%d processors (%s), Linux %s, load average %.2f before" % (
        os.cpu_count(), model.group(1).strip() if model else platform.machine(),
        platform.release(), os.getloadavg()[0])


def commit():
    try:
        return output("git", "-C", ROOT, "describe", "--always", "--dirty",
                      stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def whole(seconds):
    """For how long wrk runs that is told so many: it takes whole ones."""
    return max(1, round(seconds))


def run_wrk(port, script, seconds, connections, *words):
    """(requests per second, the median latency in ms). Any failed request is an end."""
    out = output("wrk", "--latency", "--timeout", "10s", "-t%d" % min(2, connections),
                 "-c%d" % connections, "-d%ds" % seconds, "-s",
                 os.path.join(ROOT, "report", script), "http://127.0.0.1:%d" % port,
                 "--", *words)
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit("some requests failed:\n" + out)
    value, unit = MEDIAN.search(out).groups()
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            float(value) * MS[unit])


def wrk(port, seconds, connections, mode, carts=1, seed=0):
    return run_wrk(port, "bench.lua", whole(seconds), connections, mode, str(carts),
                   str(seed))


def cached_reads(stack):
    """Reads of the cache so far, by result."""
    client, found = stack.client(), {}
    for name, number in READS.findall(client.get("/metrics").body.decode()):
        found[name] = found.get(name, 0) + int(number)
    client.close()
    return found


def share(before, after, result):
    """Of the reads between two calls of cached_reads()."""
    found = {name: after[name] - before.get(name, 0) for name in after}
    return found.get(result, 0) / max(1, sum(found.values()))


def open_loop(port, rate, seconds, carts, seed=1):
    """What build/report/load found: a dict, with latencies in ms."""
    return json.loads(output(
        os.path.join(ROOT, "build", "report", "load"), "--quiet", "--port", str(port),
        "--rate", "%g" % rate, "--seconds", str(seconds), "--connections", "256",
        "--carts", str(carts), "--seed", str(seed)))


def render_nginx(directory, fcgi_socket, port, location=""):
    """The service's configuration for another nginx, with one location more; its path."""
    conf = os.path.join(directory, "conf")
    output(os.path.join(ROOT, "nginx", "render"), os.path.join(ROOT, "nginx"), conf,
           env={"PATH": SBIN, "FCGI_SOCKET": fcgi_socket, "TEMP_DIR": directory,
                "LOG_DIR": directory, "PORT": str(port)})
    path = os.path.join(conf, "nginx.conf")
    with open(path) as file:
        text = file.read()
    # As root nginx would let its workers run as nobody, who may not enter here.
    user = "user root;\n" if os.geteuid() == 0 else ""
    with open(path, "w") as file:
        file.write(user + text.replace("location / {", location + "\nlocation / {", 1))
    return conf


class Floor:
    """build/report/floor behind an nginx of its own, with the service's configuration and
    as many processes as the service has; and /return, which nginx answers by itself."""

    def __init__(self, processes, body_bytes):
        self.processes, self.bytes = processes, body_bytes

    def __enter__(self):
        self.dir, self.parts = tempfile.mkdtemp(prefix="floor-", dir=scratch()), []
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        self.port = free_ports()
        self.socket = os.path.join(self.dir, "fcgi.sock")
        conf = render_nginx(self.dir, self.socket, self.port,
                            'location = /return {'
                            ' default_type application/json; return 200 "%s"; }'
                            % ("x" * self.bytes))
        program = os.path.join(ROOT, "build", "report", "floor")
        for words in (("spawn-fcgi", "-n", "-s", self.socket, "-M", "0600", "--",
                       shutil.which("multiwatch"), "-f", str(self.processes), "-t", "0",
                       "-s", "TERM", "--", program, str(self.bytes)),
                      ("nginx", "-e", "stderr", "-p", conf, "-c", "nginx.conf")):
            self.parts.append(subprocess.Popen(words, env={"PATH": SBIN},
                                               start_new_session=True,
                                               stdout=subprocess.DEVNULL))
        if not until(self.answers, 10) or any(part.poll() is not None
                                              for part in self.parts):
            sys.exit("the floor does not answer")

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.sendall(b"GET /cart/x HTTP/1.0\r\n\r\n")
                return sock.recv(12).endswith(b"200")
        except OSError:
            return False

    def __exit__(self, *unused):
        end(self.parts)
        shutil.rmtree(self.dir, ignore_errors=True)


def end(parts):
    """Ends processes of ours, those that do not go by themselves too."""
    for part in parts:
        if part.poll() is None:
            part.send_signal(signal.SIGTERM)
    for part in parts:
        try:
            part.wait(20)
        except subprocess.TimeoutExpired:
            part.kill()
            part.wait()


@functools.lru_cache
def texts():
    """The texts in the program as it was built."""
    with open(os.path.join(ROOT, "build", "release", "carrito-fcgi"), "rb") as file:
        return [text.decode() for text in re.findall(rb"[\x20-\x7e]{40,}", file.read())]


def one_text(*parts):
    found = [text for text in texts() if all(part in text for part in parts)]
    if len(found) != 1:
        sys.exit("%d texts of the program have %s" % (len(found), parts))
    return found[0]


PG_TIMEOUT_MS = 2000  # by default


def session_options():
    """What the program's sessions are told."""
    limits = iter((PG_TIMEOUT_MS, PG_TIMEOUT_MS * 3 // 4, PG_TIMEOUT_MS * 2))
    return re.sub("%lld", lambda _: str(next(limits)), one_text("carrito.service=on"))


def statements():
    """The program's own SQL: lock, load, insert, set."""
    return {"lock": one_text("SELECT pg_advisory_xact_lock(hashtextextended($1"),
            "load": one_text("cache_state", "ORDER BY i.added_in"),
            "insert": one_text("WITH touched", "INSERT INTO cart_item"),
            "set": one_text("WITH touched", "UPDATE cart_item AS i SET name")}


# The cart, its next version, now, the product, its name, price, quantity; the last three
# not under the names of the columns that \aset sets.
PARAMETERS = {"$1": "('user' || :number::text)", "$2": ":next", "$3": ":now",
              "$4": ":product", "$5": ":new_name", "$6": ":new_price",
              "$7": ":new_quantity"}


# pgbench would take :MI in it for a variable.
FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


def pgbench_script(change, carts):
    sql = statements()

    def bound(name):
        text = re.sub(r"\$\d", lambda match: PARAMETERS[match.group()], sql[name])
        return text.replace("'%s'" % FORMAT, ":format")

    product = "random(3000000, 2000000000)" if change == "insert" else "2000000"
    return "\n".join([
        r"\set number random(101, %d)" % (100 + carts), r"\set product " + product,
        r"\set new_quantity " + ("random(1, 100)" if change == "set" else "1"),
        "BEGIN;", bound("lock") + ";", bound("load") + r" \aset",
        r"\set next :version + 1", bound(change) + ";", "COMMIT;"]) + "\n"


def pgbench(stack, seconds, clients, change, carts):
    """Transactions per second of the same statements, one after another, once its
    sessions are warm, as the program's are: without the first second."""
    def versions():
        return int(stack.value("SELECT sum(version) FROM cart"))
    time.sleep(0.5)  # for what the load before has still in work
    before = versions()
    path = os.path.join(stack.base, change + ".pgbench")
    with open(path, "w") as file:
        file.write(pgbench_script(change, carts))
    out = output("pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j2", "-T",
                 str(seconds + 2), "-P1", "-D", "new_name=Load", "-D", "new_price=9.99",
                 "-D", "format=" + FORMAT,
                 "-f", path, stack.database, stderr=subprocess.STDOUT,
                 env=dict(os.environ, PGOPTIONS=session_options()))
    failed = re.search(r"failed transactions: (\d+)", out)
    if failed and failed.group(1) != "0":
        sys.exit("some transactions failed:\n" + out)
    done = int(re.search(r"actually processed: (\d+)", out).group(1))
    if versions() - before != done:
        sys.exit("%d carts got a new version:\n%s" % (versions() - before, out))
    rates = [float(rate) for rate in re.findall(r"^progress: .* s, ([\d.]+) tps", out,
                                                re.MULTILINE)]
    return statistics.mean(rates[1:1 + seconds])
