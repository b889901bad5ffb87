"""Runs build/tests/consistency/check and reads what it prints."""
import collections
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.path.join(ROOT, "build", "tests", "consistency")

VIOLATION = re.compile(r"violation: ([a-z-]+): cart (\S+): .+")


class Verdict:
    """What the checker said: `windows`, {name: {column: number}}; `rules`, {rule: how
    often}; `violations`, its first ones in words."""

    def __init__(self, status, output):
        self.status = status
        self.output = output
        self.windows = {}
        self.rules = collections.Counter()
        self.violations = []
        columns = None
        for line in output.splitlines():
            if line.startswith("violation: "):
                self.violations.append(line)
            elif line.startswith("violations:"):
                words = line.split()[1:]
                for rule, n in zip(words[::2], words[1::2]):
                    self.rules[rule] = int(n)
            elif columns is None:
                columns = line.split("\t")
            else:
                values = line.split("\t")
                self.windows[values[0]] = {
                    name: float(value) if "." in value else int(value)
                    for name, value in zip(columns[1:], values[1:])}

    def carts(self):
        """The carts that the violations told in words are about."""
        return {VIOLATION.fullmatch(line)[2] for line in self.violations}


def check(history, final, windows=None, limit=20):
    """Judges a run by its files."""
    command = [os.path.join(PROGRAMS, "check"), "--history", history, "--final", final,
               "--limit", str(limit)]
    if windows:
        command += ["--windows", windows]
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return Verdict(done.returncode, done.stdout)
