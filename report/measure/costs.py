"""What a hit costs apart from time: instructions, system calls, memory."""
import concurrent.futures
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

from measure.tools import (ROOT, SBIN, cached_reads, end, output, render_nginx,
                           wrk)  # which finds lib
from lib.client import Client
from lib.stack import free_ports, scratch, until

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
    work, parts = tempfile.mkdtemp(prefix="callgrind-", dir=scratch()), []
    try:
        os.chmod(work, 0o755)
        port = start_beside(stack, work, parts)
        other = Beside(port)
        if not until(lambda: other.hit("/cart/user101"), 60):
            sys.exit("the program under callgrind makes no hits")
        wrk(port, seconds, connections, "read", 1000)
        before = other.hits()
        control("on", parts[0].pid)
        wrk(port, seconds, connections, "read", 1000)
        control("off", parts[0].pid)
        counted = other.hits() - before
        end(parts)
        with open(os.path.join(work, "counts")) as file:
            total = int(re.search(r"^totals: (\d+)", file.read(), re.MULTILINE).group(1))
    finally:
        end(parts)
        shutil.rmtree(work, ignore_errors=True)
    return total / counted


def start_beside(stack, work, parts):
    """The program under callgrind, and nginx before it; the port."""
    sock, port = os.path.join(work, "fcgi.sock"), free_ports()
    conf = render_nginx(work, sock, port)
    env = dict(environment(stack), METRICS_FILE=os.path.join(work, "metrics"), PATH=SBIN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sock)
        listener.listen(256)
        parts.append(subprocess.Popen(
            ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
             "--callgrind-out-file=" + os.path.join(work, "counts"),
             os.path.join(ROOT, "build", "release", "carrito-fcgi")],
            stdin=listener, env=env, cwd=stack.dir, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
    parts.append(subprocess.Popen(
        ["nginx", "-e", "stderr", "-p", conf, "-c", "nginx.conf"], env={"PATH": SBIN}))
    return port


def control(state, pid):
    output("callgrind_control", "--instr=" + state, str(pid), stderr=subprocess.STDOUT)


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
    words = [word for pid in stack.processes("app") for word in ("-p", str(pid))]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        load = pool.submit(wrk, stack.port, seconds + 2, connections, "read", 1000)
        time.sleep(1)
        trace = subprocess.Popen(["strace", "-c", "-f", "-U", "name,calls", *words],
                                 text=True, stderr=subprocess.PIPE)
        before = hits(stack)
        time.sleep(seconds)
        counted = hits(stack) - before
        trace.send_signal(signal.SIGINT)
        text = trace.communicate()[1]
        load.result()
    found = {name: int(calls) for name, calls
             in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE) if name != "total"}
    if not found or counted == 0:
        return None
    return {name: calls / counted for name, calls in found.items()}


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
        if hard < 2 * self.number:
            sys.exit("%d connections need as many files twice: ulimit -Hn is %d"
                     % (self.number, hard))
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
