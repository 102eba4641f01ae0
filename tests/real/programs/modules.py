"""Runs modules of Python's own test suite, and says of each test how it ended: modules.py [--brief] MODULE..."""

import importlib
import sys
import unittest

from test import support


class Outcomes(unittest.TestResult):
    """Keeps (test, outcome); what failed is told on standard error."""

    def __init__(self):
        super().__init__()
        self.found = []

    def addSuccess(self, test):
        self.found.append((test.id(), "ok"))

    def addSkip(self, test, reason):
        self.found.append((test.id(), f"skipped: {reason}"))

    def addExpectedFailure(self, test, error):
        self.found.append((test.id(), "expected failure"))

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.found.append((test.id(), "FAILED"))
        print(test.id(), self.failures[-1][1], file=sys.stderr)

    def addError(self, test, error):
        super().addError(test, error)
        self.found.append((test.id(), "ERROR"))
        print(test.id(), self.errors[-1][1], file=sys.stderr)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.found.append((subtest.id(), "FAILED"))
            print(subtest.id(), error, file=sys.stderr)


LEFT_OUT = {
    "test_math": ("MathTests", "test_sumprod_stress"),  # minutes of arithmetic
    "test_threading": ("ThreadTests", "test_start_new_thread_failed"),  # another outcome for root
}


def main(words):
    support.verbose = 0
    support.use_resources = []  # neither the network nor what takes very long
    brief = "--brief" in words
    for name in words:
        if name.startswith("--"):
            continue
        outcomes = Outcomes()
        if name in LEFT_OUT:
            group, method = LEFT_OUT[name]
            delattr(getattr(importlib.import_module(f"test.{name}"), group), method)
        unittest.defaultTestLoader.loadTestsFromName(f"test.{name}").run(outcomes)
        bad = sum(outcome in ("FAILED", "ERROR") for _, outcome in outcomes.found)
        print(
            name,
            outcomes.testsRun,
            "tests,",
            sum(outcome.startswith("skipped") for _, outcome in outcomes.found),
            "skipped,",
            bad,
            "bad",
        )
        if not brief:
            for test, outcome in sorted(outcomes.found):
                print(" ", test.removeprefix(f"test.{name}."), outcome)
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
