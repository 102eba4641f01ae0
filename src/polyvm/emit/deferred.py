"""Puts off making NaN results canonical until somebody looks at their bits, for compilers of more than one instruction.

Floating-point ops do not tell one quiet NaN from another, so a result that only they use stays as the host made it.
What is made so is *loose*. `settle` makes values canonical, two by one comparison: where an op looks at bits, and
where the emitter that inherits from Deferred puts registers away. It never touches what is not a result: the NaN that
a guest loaded keeps its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from polyvm.emit.llvm import Emitter
from polyvm.emit.llvm_float import LOWERINGS
from polyvm.emit.llvm_float_env import COLD, NAN, TYPE, to_pattern
from polyvm.ir.values import Val


class Loose(NamedTuple):
    """A value that may show a NaN which is not canonical.

    number: the operation's result, of `bits` bits. derive: appends what makes the value out of that result's pattern.
    """

    number: str
    bits: int
    derive: Callable[[str], str]


class Deferred(Emitter):
    """An emitter whose floating-point results are canonical only when they are settled."""

    tolerant: frozenset[str] = frozenset()
    """Ops that the subclass emits itself and that take loose values; it settles what they keep."""

    def __init__(self) -> None:
        super().__init__()
        self.loose: dict[str, Loose] = {}
        self._settled: dict[str, str] = {}  # number -> its canonical pattern, where that is known

    def result(self, value: str, bits: int) -> str:
        """The pattern of an operation's result: loose."""
        pattern = to_pattern(self, value, bits)
        self.loose[pattern] = Loose(value, bits, lambda canonical: canonical)
        return pattern

    # -- Around each op: args = take(op, args), then emit it, then give(op, args, value)
    def take(self, op: Val, args: list[str]) -> list[str]:
        """What an op is emitted on: settled, unless it does not look at bits."""
        if not self.loose or op.op in self.tolerant or self._placed(op, args) is not None:
            return args
        if op.op in LOWERINGS and op.op != "itof":
            same = (
                arg not in self.loose or self.loose[arg].bits == v.bits
                for v, arg in zip(op.args, args, strict=True)
            )
            if all(same):
                return args
        return self.settle(args)

    def give(self, op: Val, args: list[str], value: str) -> None:
        """A loose value among constant bits is loose: boxes of narrow numbers."""
        place = self._placed(op, args) if self.loose else None
        if place is None or op.op == "lshr":
            return
        source, t = self.loose[args[place]], f"i{op.bits}"

        def derive(canonical: str) -> str:
            inner = source.derive(canonical)
            if op.op == "or":
                return self.ins(f"or {t} {inner}, {args[1]}")
            if op.op == "select":
                return self.ins(f"select i1 {args[0]}, {t} {inner}, {t} {args[2]}")
            return self.ins(f"{op.op} i{op.args[0].bits} {inner} to {t}")

        self.loose[value] = Loose(source.number, source.bits, derive)

    def _placed(self, op: Val, args: list[str]) -> int | None:
        """Which argument is the loose one, of an op that keeps the bits of the result where they are; else None."""
        if op.op not in ("zext", "trunc", "or", "lshr", "select"):
            return None
        place = 1 if op.op == "select" else 0
        if [arg in self.loose for arg in args].count(True) != 1 or args[place] not in self.loose:
            return None
        bits = self.loose[args[place]].bits
        if op.op == "trunc" and op.bits < bits:
            return None
        if op.op in ("or", "lshr"):
            if not args[1].lstrip("-").isdigit():
                return None
            constant = int(args[1])
            # The bits above a narrow result say nothing about it, and ones there leave it as it is.
            return (
                place if (constant & ((1 << bits) - 1) == 0 if op.op == "or" else constant >= bits) else None
            )
        return place

    def each(self, ops: tuple[Val, ...]) -> None:
        """Emit ops one by one."""
        for op in ops:
            args = self.take(op, [self.values[arg] for arg in op.args])
            own = getattr(self, "op_" + op.op, None)
            if op.op == "if":
                with self.aside():
                    self.op_if(op, args)
                continue
            value = own(op, args) if own is not None else self.simple(op, args)
            if op.bits:
                self.values[op] = value
                self.give(op, args, value)

    # -- Settling
    def settle(self, values: Sequence[str], *, leaving: bool = False) -> list[str]:
        """Canonical patterns of values; those that are not loose are handed back as they are.

        leaving: this block is cold and ends soon, so that short code is better than a branch; nothing comes behind it,
        so what it settles is not known anywhere else.
        """
        if leaving:
            with self.aside():
                return self._settle(values, leaving=True)
        return self._settle(values, leaving=False)

    def _settle(self, values: Sequence[str], *, leaving: bool) -> list[str]:
        waiting: dict[str, int] = {}
        for value in values:
            loose = self.loose.get(value)
            if loose is not None and loose.number not in self._settled:
                waiting[loose.number] = loose.bits
        for bits in (32, 64):
            numbers = [number for number, width in waiting.items() if width == bits]
            if len(numbers) % 2 and not leaving:
                numbers += self._companion(bits, waiting)
            for i in range(0, len(numbers), 2):
                (self._select if leaving else self._branch)(numbers[i : i + 2], bits)
        return [
            loose.derive(self._settled[loose.number])
            if (loose := self.loose.get(value)) is not None
            else value
            for value in values
        ]

    def companions(self) -> Iterable[str]:
        """Values that may be settled later in this block, the likeliest first: one may share a comparison now."""
        return ()

    def _companion(self, bits: int, waiting: dict[str, int]) -> list[str]:
        for value in self.companions():
            loose = self.loose.get(value)
            if (
                loose is None
                or loose.bits != bits
                or loose.number in waiting
                or loose.number in self._settled
            ):
                continue
            return [loose.number]
        return []

    def _select(self, numbers: list[str], bits: int) -> list[str]:
        t, chosen = TYPE[bits], []
        for number in numbers:
            nan = self.ins(f"fcmp uno {t} {number}, {number}")
            value = self.ins(f"select i1 {nan}, {t} {NAN[bits]}, {t} {number}")
            self._settled[number] = to_pattern(self, value, bits)
            chosen.append(value)
        return chosen

    def _branch(self, numbers: list[str], bits: int) -> None:
        """One comparison for one or two results: unordered is what has a NaN in it."""
        t = TYPE[bits]
        cold, join = self.fresh_label("cold"), self.fresh_label("join")
        unordered = self.ins(f"fcmp uno {t} {numbers[0]}, {numbers[-1]}")
        origin = self.label
        self.do(f"br i1 {unordered}, label %{cold}, label %{join}, {COLD}")
        self.start(cold)
        chosen = self._select(numbers, bits)
        self.do(f"br label %{join}")
        self.start(join)
        joined = [
            self.ins(f"phi {t} [ {number}, %{origin} ], [ {other}, %{cold} ]")
            for number, other in zip(numbers, chosen, strict=True)
        ]
        for number, value in zip(numbers, joined, strict=True):
            self._settled[number] = to_pattern(self, value, bits)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Emit a block that is not always run: what it settles is not settled behind it."""
        settled = dict(self._settled)
        yield
        self._settled = settled

    def unlikely(self, condition: str, cold: Callable[[], None]) -> None:
        """Run `cold`, which must end its block by leaving, when the condition holds."""

        def apart() -> None:
            with self.aside():
                cold()

        super().unlikely(condition, apart)

    def forget(self) -> None:
        """A block begins that is reached from elsewhere too: nothing that was made before is known."""
        self.loose.clear()
        self._settled.clear()
