"""Identities of ops that hold for every value, applied while a trace is recorded.

What is written here is proven: by z3 over all inputs, at small widths and at 64 bits, and sampled with the golden
evaluator at every width that a trace may have (tests/ir/test_rewrite.py). An identity that z3 cannot decide in a minute
has no place here, nor has one that no specification has a use for. Constants are folded before (`ir.golden.fold`), and
what the compilers do is theirs.
"""

from __future__ import annotations

from typing import Final

from polyvm.ir.values import Val

NEUTRAL: Final = {"add": 0, "shl": 0}
"""Ops that give back their first argument where the second is this number."""


def simplified(op: str, args: tuple[Val, ...]) -> Val | None:
    """The argument that a pure op is equal to whatever the values are, or None. Of constants alone nothing is asked."""
    if op == "select":
        if args[0].op == "const":
            return args[1] if args[0].attr else args[2]
        return args[1] if args[1] is args[2] else None
    neutral = NEUTRAL.get(op)
    if neutral is not None and args[-1].op == "const" and args[-1].attr == neutral:
        return args[0]
    return None
