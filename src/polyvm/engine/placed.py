"""Emitting instructions whose address and fields are known: what these make constant is folded, not computed."""

from __future__ import annotations

from polyvm.emit.deferred import Deferred
from polyvm.engine.discover import Placed, Slot, slot_of
from polyvm.engine.looseness import copied
from polyvm.ir.golden import fold_numbers
from polyvm.ir.ops import OPS
from polyvm.ir.values import Val
from polyvm.isa.spec import Isa


def literal(text: str) -> int | None:
    """The number that an operand is, or None when it is a value's name."""
    return int(text) if text[0] in "-0123456789" else None


class PlacedEmitter(Deferred):
    """Emits the ops of `placed`. Subclasses say what registers and memory are."""

    tolerant = frozenset({"set", "setx"})

    def __init__(self, isa: Isa) -> None:
        super().__init__()
        self.isa = isa
        self.floats = isa.floats
        self.placed: Placed | None = None

    def each(self, ops: tuple[Val, ...]) -> None:
        """Emit ops one by one, folding what the fields made constant."""
        for op in ops:
            args = self.take(op, [self.values[a] for a in op.args])
            if args and OPS[op.op].pure:
                numbers = [literal(a) for a in args]
                if None not in numbers:
                    masked = [n & ((1 << a.bits) - 1) for n, a in zip(numbers, op.args, strict=True)]  # type: ignore[operator]  # no None here
                    self.values[op] = str(fold_numbers(op, masked))
                    continue
            source = copied(op) if op.op == "or" else None
            if source is not None and self._copy(op):
                self.values[op] = self.values[source]
                continue
            own = getattr(self, "op_" + op.op, None)
            value = own(op, args) if own is not None else self.simple(op, args)
            if op.bits:
                self.values[op] = value
                self.give(op, args, value)

    def _copy(self, op: Val) -> bool:
        """Whether both halves of a copy are of the same value: a loose one stays loose."""
        return self.values[op.args[0].args[0]] == self.values[op.args[1].args[0]]

    def op_field(self, op: Val, args: list[str]) -> str:
        """A data field: known here."""
        assert self.placed is not None
        return str(self.placed.decoded.fields[str(op.attr)])

    def op_pc(self, op: Val, args: list[str]) -> str:
        """The address: known here."""
        assert self.placed is not None
        return str(self.placed.pc)

    def _slot(self, op: Val) -> Slot:
        assert self.placed is not None
        slot = slot_of(op, self.placed.decoded.fields)
        assert slot is not None
        return slot
