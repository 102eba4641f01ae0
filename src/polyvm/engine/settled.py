"""What the fields of an instruction and its processor already answer: its trace without the conditions they decide.

A body may ask for a register by its number ("is the base the stack pointer?"), or for an option of the processor. Where
both are known the answer is, and what is left is the trace that one would have written for it. Each is made once, and
shared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from polyvm.ir.golden import fold_numbers
from polyvm.ir.ops import OPS
from polyvm.ir.trace import Trace, walk
from polyvm.ir.values import Val
from polyvm.ir.verify import leaves_always
from polyvm.isa.spec import Decoded, Insn, Shape

_asked: dict[tuple[Insn, Shape, bool], tuple[Val, ...]] = {}
_made: dict[tuple[Insn, Shape, tuple[int, ...]], Trace] = {}


def trace(decoded: Decoded, options: Mapping[str, int]) -> Trace:
    """The trace of an instruction whose fields are known, and of a processor whose options are, unless there are none
    given."""
    insn, shape = decoded.insn, decoded.shape
    whole = insn.isa.trace(insn, shape)
    asked = _asked.get((insn, shape, bool(options)))
    if asked is None:
        asked = _asked[insn, shape, bool(options)] = tuple(
            op.args[0] for op in whole.ops if op.op == "if" and _answered(op.args[0], options)
        )
    if not asked:
        return whole
    answers = tuple(_value(condition, decoded.fields, options) for condition in asked)
    key = insn, shape, answers
    if key not in _made:
        _made[key] = dataclasses.replace(
            whole, ops=_without(whole.ops, dict(zip(asked, answers, strict=True)))
        )
    return _made[key]


def _answered(value: Val, options: Mapping[str, int]) -> bool:
    """Whether a value is made of fields, options and constants alone."""
    if value.op == "get":
        return _option(value) in options
    return value.op in ("const", "field") or (
        OPS[value.op].pure and value.op != "pc" and all(_answered(arg, options) for arg in value.args)
    )


def _option(get: Val) -> str:
    """The register outside files that is read, which may be an option."""
    slot: tuple[str, int] = get.attr  # type: ignore[assignment]  # a get's attr is its slot
    return slot[0]


def _value(value: Val, fields: dict[str, int], options: Mapping[str, int]) -> int:
    if value.op == "const":
        return value.attr  # type: ignore[return-value]  # a const's attr is its number
    if value.op == "field":
        return fields[value.attr]  # type: ignore[index]  # a field's attr is its name
    if value.op == "get":
        return options[_option(value)]
    return fold_numbers(value, [_value(arg, fields, options) for arg in value.args])


def _without(ops: tuple[Val, ...], answers: dict[Val, int]) -> tuple[Val, ...]:
    """Ops with what is surely done in the place of the condition, and without what never is."""
    found: list[Val] = []
    for op in ops:
        if op.op != "if" or op.args[0] not in answers:
            found.append(op)
        elif answers[op.args[0]]:
            found += op.attr  # type: ignore[arg-type]  # an if's attr is its body
            if leaves_always(op.attr):  # type: ignore[arg-type]  # as above
                break
    return _used(found)


def _used(ops: list[Val]) -> tuple[Val, ...]:
    """Ops without values that nobody asks for any more."""
    found: list[Val] = []
    used: set[Val] = set()
    for op in reversed(ops):
        if op in used or not op.bits or not (OPS[op.op].pure or op.op == "get"):
            found.append(op)
            used.update(arg for inner in walk([op]) for arg in inner.args)
    return tuple(reversed(found))
