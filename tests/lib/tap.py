"""Results as TAP lines on stdout, one per thing tested; detail follows as `# ` lines."""
import sys
import threading
import traceback


class Tap:
    """Counts and prints. Safe to use from several threads."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.Lock()

    def ok(self, good, name, detail=""):
        """One result; `detail` (text or a list of lines) is shown when it is not good."""
        with self.lock:
            if good:
                self.passed += 1
            else:
                self.failed += 1
            self._print(("ok - " if good else "not ok - ") + clean(name))
            if not good:
                self._note(detail)
        return bool(good)

    def none(self, faults, name):
        """Good when the list of faults is empty."""
        return self.ok(not faults, name, list(faults))

    def equal(self, got, want, name):
        return self.ok(got == want, name, ["got  %r" % (got,), "want %r" % (want,)])

    def skip(self, name, why):
        with self.lock:
            self.skipped += 1
            self._print("ok - %s # SKIP %s" % (clean(name), why))

    def note(self, text):
        with self.lock:
            self._note(text)

    def group(self, name, function, *args):
        """Runs a part of a suite; an exception in it is a failure, not the end."""
        try:
            function(*args)
        except Exception:
            self.ok(False, name + ": broke off", traceback.format_exc())

    def _note(self, detail):
        lines = detail.splitlines() if isinstance(detail, str) else detail
        for line in lines[:40]:
            for part in str(line).splitlines() or [""]:
                self._print("# " + part[:600])

    def _print(self, line):
        self.out.write(line.encode("utf-8", "replace").decode("utf-8") + "\n")
        self.out.flush()


def clean(name):
    """A test's name on one line; `#` would start a directive."""
    return " ".join(name.replace("#", "No.").split())
