"""The table of scenarios, and playing one."""
import sys
import time
import traceback

import crashes
import epochs
import fills
import leases
from bench import NotMade

TRIES = 3  # a busy machine can let a moment pass


class Scenario:
    """`function` leads a Scene (bench.py) there; its docstring is the title."""

    def __init__(self, function):
        self.function = function
        self.name = function.__name__.replace("_", "-")
        self.title = "%s: %s" % (self.name, " ".join(function.__doc__.split()))


ALL = [Scenario(function) for module in (fills, leases, epochs, crashes)
       for function in module.SCENARIOS]


def chosen(names):
    """The scenarios of these names; all, if there are none."""
    known = {scenario.name: scenario for scenario in ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit("no such scenario: %s; there are: %s" % (", ".join(unknown),
                                                          ", ".join(known)))
    return [known[name] for name in names] or ALL


class Outcome:
    """made: the scenario came to its point; rules: {the checker's rule: how often};
    violations: in words; seconds: until it was judged."""

    def __init__(self):
        self.made = False
        self.rules = {}
        self.violations = []
        self.seconds = 0
        self.problems = []

    def told(self):
        return [*self.violations, *self.problems]


def play(bench, programs, scenario):
    """One scenario with the programs in that directory; again if it could not be made."""
    outcome, begin = Outcome(), time.monotonic()
    for _ in range(TRIES):
        try:
            with bench.scene(programs, scenario.name) as scene:
                try:
                    scenario.function(scene)
                    outcome.made = True
                finally:
                    verdict = scene.judge()
        except NotMade as e:
            outcome.problems.append("not made: %s" % e)
        except Exception:
            outcome.problems += traceback.format_exc().splitlines()
            break
        if verdict.status == 2:
            outcome.problems.append(verdict.output)
            break
        outcome.rules, outcome.violations = verdict.rules, verdict.violations
        if outcome.made or outcome.violations:
            break
    outcome.seconds = time.monotonic() - begin
    return outcome
