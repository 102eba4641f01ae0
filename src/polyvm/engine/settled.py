"""What the fields of an instruction already answer: its trace without the conditions that they decide.

A body may ask for a register by its number ("is the base the stack pointer?"). Where the instruction is known the
answer is, and what is left is the trace that one would have written for it. Each is made once, and shared.
"""

from __future__ import annotations

import dataclasses

from polyvm.ir.golden import fold_numbers
from polyvm.ir.ops import OPS
from polyvm.ir.trace import Trace
from polyvm.ir.values import Val
from polyvm.isa.spec import Decoded, Insn, Shape

_asked: dict[tuple[Insn, Shape], tuple[Val, ...]] = {}
_made: dict[tuple[Insn, Shape, tuple[int, ...]], Trace] = {}


def trace(decoded: Decoded) -> Trace:
    """The trace of an instruction whose fields are known."""
    insn, shape = decoded.insn, decoded.shape
    whole = insn.isa.trace(insn, shape)
    asked = _asked.get((insn, shape))
    if asked is None:
        asked = _asked[insn, shape] = tuple(
            op.args[0] for op in whole.ops if op.op == "if" and _by_fields(op.args[0])
        )
    if not asked:
        return whole
    answers = tuple(_value(condition, decoded.fields) for condition in asked)
    key = insn, shape, answers
    if key not in _made:
        _made[key] = dataclasses.replace(
            whole, ops=_without(whole.ops, dict(zip(asked, answers, strict=True)))
        )
    return _made[key]


def _by_fields(value: Val) -> bool:
    """Whether a value is made of fields and constants alone."""
    return value.op in ("const", "field") or (
        OPS[value.op].pure and value.op != "pc" and all(map(_by_fields, value.args))
    )


def _value(value: Val, fields: dict[str, int]) -> int:
    if value.op == "const":
        return value.attr  # type: ignore[return-value]  # a const's attr is its number
    if value.op == "field":
        return fields[value.attr]  # type: ignore[index]  # a field's attr is its name
    return fold_numbers(value, [_value(arg, fields) for arg in value.args])


def _without(ops: tuple[Val, ...], answers: dict[Val, int]) -> tuple[Val, ...]:
    """Ops with what is surely done in the place of the condition, and without what never is."""
    found: list[Val] = []
    for op in ops:
        if op.op != "if" or op.args[0] not in answers:
            found.append(op)
        elif answers[op.args[0]]:
            found += op.attr  # type: ignore[arg-type]  # an if's attr is its body
    return tuple(found)
