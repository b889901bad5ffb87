"""A private stack for a node program that drives a browser: starts both, does to the
stack what the program asks for, and leaves no browser behind."""
import json
import os
import secrets
import shutil
import signal
import subprocess

from lib.stack import Stack

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "CARRITO_BROWSER_RUN"
SECONDS_TO_END = 10


def marked(token):
    """The processes that this run has started, by what is in their environment."""
    word = ("%s=%s" % (MARK, token)).encode()
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/environ" % name, "rb") as file:
                if name.isdigit() and word in file.read().split(b"\0"):
                    yield int(name)
        except OSError:
            pass


def end_browsers(token):
    for pid in list(marked(token)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def obey(stack, command, args):
    """One of the requests of browser.mjs; the answer is a value that JSON can hold."""
    if command == "pid":
        return stack.pid(args[0])
    if command == "kill":
        return stack.kill(args[0])
    if command == "start":
        return stack.start(args[0])
    if command == "stop":
        return stack.stop(args[0])
    if command == "access":
        return stack.access()
    raise ValueError(command)


def converse(process, stack):
    """Hands results on; lines that begin with @ are requests."""
    for line in process.stdout:
        if not line.startswith("@"):
            print(line, end="", flush=True)
            continue
        command, *args = json.loads(line[1:])
        try:
            answer = {"value": obey(stack, command, args)}
        except Exception as error:  # the tests say what it means for them
            answer = {"error": str(error)}
        process.stdin.write(json.dumps(answer) + "\n")
        process.stdin.flush()


def run_in_browser(script, *args):
    """Runs a node program of this directory with a stack of its own beside it. Returns
    its exit code, and what sanitizers said."""
    token = secrets.token_hex(8)
    with Stack(SEED_CARTS=24, TOP_PRODUCTS_TTL_S=1, STATS_FOLD_MS=100) as stack:
        env = dict(os.environ, BASE_URL="http://localhost:%d" % stack.port,
                   REDIS_PORT=str(stack.redis_port), TMPDIR=stack.base,
                   CHROMIUM=shutil.which("chromium") or "", **{MARK: token})
        process = subprocess.Popen(["node", os.path.join(HERE, script), *args], env=env,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        try:
            converse(process, stack)
            code = process.wait(SECONDS_TO_END)
        finally:
            process.terminate()
            try:
                process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
            end_browsers(token)
    return code, stack.reports
