"""What a hit costs apart from time: instructions, system calls, memory."""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from measure.tools import ROOT, SBIN, cached_reads, output, wrk  # first: finds lib
from lib.client import Client
from lib.stack import until

NGINX_IDLE = 10000  # connections


def hits(stack):
    return cached_reads(stack).get("hit", 0)


def environment(stack):
    """That of the stack's program."""
    with open("/proc/%d/environ" % stack.processes("app")[0], "rb") as file:
        pairs = [pair.decode().split("=", 1) for pair in file.read().split(b"\0") if pair]
    return dict(pairs)


def instructions_per_hit(stack, connections, seconds):
    """Counted by callgrind in a process of the program beside the stack's, behind an
    nginx of its own. The count includes all that a turn of the loop does: the more hits
    come at once, the less each one costs."""
    work = tempfile.mkdtemp(prefix="callgrind-")
    os.chmod(work, 0o755)
    sock, counts = os.path.join(work, "fcgi.sock"), os.path.join(work, "counts")
    port = free_port()
    conf = os.path.join(work, "conf")
    output(os.path.join(ROOT, "nginx", "render"), os.path.join(ROOT, "nginx"), conf,
           env={"PATH": SBIN, "FCGI_SOCKET": sock, "TEMP_DIR": work, "LOG_DIR": work,
                "PORT": str(port)})
    if os.geteuid() == 0:
        path = os.path.join(conf, "nginx.conf")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write("user root;\n" + text)
    env = dict(environment(stack), METRICS_FILE=os.path.join(work, "metrics"), PATH=SBIN)
    program = os.path.join(ROOT, "build", "release", "carrito-fcgi")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sock)
    listener.listen(256)
    parts = [
        subprocess.Popen(["valgrind", "-q", "--tool=callgrind",
                          "--callgrind-out-file=" + counts, "--instr-atstart=no",
                          program], stdin=listener, env=env, cwd=stack.dir,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
        subprocess.Popen(["nginx", "-e", "stderr", "-p", conf, "-c", "nginx.conf"],
                         env={"PATH": SBIN})]
    listener.close()
    other = Beside(port)
    try:
        if not until(lambda: other.hit("/cart/user101"), 60):
            sys.exit("the program under callgrind makes no hits")
        wrk(port, seconds, connections, "read", 1000)
        control("on", parts[0].pid)
        before = other.hits()
        wrk(port, seconds, connections, "read", 1000)
        counted = other.hits() - before
        control("off", parts[0].pid)
    finally:
        for part in reversed(parts):
            part.send_signal(signal.SIGTERM)
            part.wait(30)
    with open(counts) as file:
        total = int(re.search(r"^totals: (\d+)", file.read(),
                              re.MULTILINE).group(1))
    shutil.rmtree(work, ignore_errors=True)
    return total / counted


def control(state, pid):
    output("callgrind_control", "--instr=" + state, str(pid), stderr=subprocess.STDOUT)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Beside:
    """A second nginx of a stack, asked like the stack itself."""

    def __init__(self, port):
        self.address = ("127.0.0.1", port)

    def client(self):
        return Client(self.address, 10)

    def hit(self, path):
        try:
            return self.client().get(path).header("X-Cache") == "HIT"
        except OSError:
            return False

    def hits(self):
        return hits(self)


def system_calls_per_hit(stack, connections, seconds):
    """Of the program, by strace -c: {call: per hit}. strace slows the program, so that
    more hits come at once than would without it."""
    pids = stack.processes("app")
    load = subprocess.Popen([sys.executable, "-c", LOAD, str(stack.port),
                             str(seconds + 2), str(connections)],
                            cwd=os.path.join(ROOT, "report"))
    time.sleep(1)
    words = [word for pid in pids for word in ("-p", str(pid))]
    trace = subprocess.Popen(["strace", "-c", "-f", "-U", "name,calls", *words],
                             text=True, stderr=subprocess.PIPE)
    before = hits(stack)
    time.sleep(seconds)
    counted = hits(stack) - before
    trace.send_signal(signal.SIGINT)
    text = trace.communicate()[1]
    load.wait()
    found = {name: int(calls) for name, calls
             in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE) if name != "total"}
    if not found or counted == 0:
        return None
    return {name: calls / counted for name, calls in found.items()}


LOAD = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, ".")
from measure.tools import wrk
port, seconds, connections = (int(word) for word in sys.argv[1:4])
wrk(port, seconds, connections, "read", 1000)
"""


def memory(pids):
    """Bytes that are these processes' own: the sum of Pss."""
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as file:
            total += int(re.search(r"^Pss: +(\d+) kB", file.read(),
                                   re.MULTILINE).group(1)) * 1024
    return total


class IdleConnections:
    """So many keep-alive connections at nginx that have had one answer and rest."""

    def __init__(self, port, number):
        self.port, self.number = port, number

    def __enter__(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.sockets = []
        for _ in range(self.number):
            sock = socket.create_connection(("127.0.0.1", self.port), 10)
            sock.sendall(b"GET /cart/user101 HTTP/1.1\r\nHost: idle\r\n\r\n")
            self.sockets.append(sock)
            if not sock.recv(65536).startswith(b"HTTP/1.1 200"):
                sys.exit("an idle connection got no answer")
            sock.setblocking(False)
        return self

    def alive(self):
        """How many nginx has not closed."""
        return sum(not closed(sock) for sock in self.sockets)

    def __exit__(self, *unused):
        for sock in self.sockets:
            sock.close()


def closed(sock):
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
