"""Compilers that are wrong on purpose, each in one point: lock-step must say so, and name the place."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from polyvm.engine.layout import PRECISE, WHOLE
from polyvm.engine.region import RegionEmitter
from polyvm.errors import PolyvmError
from polyvm.ir.ops import FP_MODE
from polyvm.ir.values import Val
from tests.engine.judged import Judged, judged
from tests.engine.lockstep_runner import NAMES
from tests.engine.random_program import DATA, DATA_SIZE

Base = RegionEmitter  # at run time engine.lockstep's own
Wrong = Callable[[type[Base]], type[Base]]

A0 = ("x", 10)
MIDDLE = DATA + DATA_SIZE // 2  # where gp points to
WILD = MIDDLE + (1 << 40)  # where the faulting program comes to

LOOP = """
        li s2, 60
    loop: csrrwi zero, fflags, 0
        add a0, a0, s2
        xor a1, a0, a2
        sd a1, 0(gp)
        fadd.d fa0, fa1, fa2
        fdiv.d fa3, fa0, fa4
        fmul.d fa7, fa2, fa2, rne
        fsub.d fa5, fa6, fa6
        fsd fa5, 8(gp)
        andi a3, s2, 1
        beqz a3, even
        addi a4, a4, 3
    even: addi s2, s2, -1
        bnez s2, loop
        li a7, 93
        ecall
"""
FAULTING = """
        li s2, 60
    loop: add a0, a0, s2
        sltiu a3, s2, 20
        slli a3, a3, 40
        add a5, gp, a3
        ld a1, 0(a5)
        addi s2, s2, -1
        bnez s2, loop
        li a7, 93
        ecall
"""


def an_op(base: type[Base]) -> type[Base]:
    """Or instead of exclusive or."""

    class Emitter(base):  # type: ignore[misc,valid-type]  # made of a class that is given
        def simple(self, op: Val, args: list[str]) -> str:
            text = f"or i{op.bits} {args[0]}, {args[1]}" if args and op.op == "xor" else ""
            return self.ins(text) if text else str(super().simple(op, args))

    return Emitter


def a_store(base: type[Base]) -> type[Base]:
    """One store is not made."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def op_store(self, op: Val, args: list[str]) -> None:
            if self.placed.decoded.insn.name != "sd":
                super().op_store(op, args)

    return Emitter


def a_stray_store(base: type[Base]) -> type[Base]:
    """One more store is made, beside what is meant."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def op_store(self, op: Val, args: list[str]) -> None:
            super().op_store(op, args)
            beside = self.ins(f"add i64 {args[0]}, 4000")
            self.do(f"store volatile i8 1, ptr {self.ins(f'getelementptr i8, ptr %mem, i64 {beside}')}")

    return Emitter


def a_flag(base: type[Base]) -> type[Base]:
    """What divisions raise is forgotten."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def emit(self, ops: tuple[Val, ...]) -> None:
            division = self.placed.decoded.insn.name == "fdiv.d" and not self.nested
            flags = self.call("i5", "pv_read_flags") if division else ""
            super().emit(ops)
            if division:
                self.call("void", "pv_write_flags", f"i5 {flags}")

    return Emitter


def a_register(base: type[Base]) -> type[Base]:
    """A register is not stored on the way out."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def sync(self, live_at: int | None = None) -> None:
            self.stale.discard(A0)
            super().sync(live_at)

    return Emitter


def a_dead_register(base: type[Base]) -> type[Base]:
    """A register that is not read any more is not stored at a stop, which a signal's handler sees."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def sync(self, live_at: int | None = None) -> None:
            self.whole = False
            super().sync(live_at)
            self.whole = True

    return Emitter


def a_branch(base: type[Base]) -> type[Base]:
    """A branch goes the other way."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def op_if(self, op: Val, args: list[str]) -> None:
            turned = self.placed.decoded.insn.name == "beq"
            super().op_if(op, [self.ins(f"xor i1 {args[0]}, true")] if turned else args)

    return Emitter


def a_count(base: type[Base]) -> type[Base]:
    """It says that it did one instruction more than it did."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def account(self, undone: int) -> None:
            super().account(undone - 1)

    return Emitter


def a_live_register(base: type[Base]) -> type[Base]:
    """A register is taken for dead where it is still read."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def text(self, name: str) -> str:
            self.know.live = {pc: slots - {A0} for pc, slots in self.know.live.items()}
            return str(super().text(name))

    return Emitter


def a_nan(base: type[Base]) -> type[Base]:
    """Results are taken for canonical."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def settle(self, values: list[str], *, leaving: bool = False) -> list[str]:
            return list(values)

    return Emitter


def a_rounding_mode(base: type[Base]) -> type[Base]:
    """The guest's rounding mode is taken for the usual one by what has a mode of its own."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def op_get(self, op: Val, args: list[str]) -> str:
            value = str(super().op_get(op, args))
            return "0" if op.attr == FP_MODE else value

    return Emitter


def a_saved_register(base: type[Base]) -> type[Base]:
    """A register is not stored before an access, which a fault shows to the guest."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def save(self) -> None:
            self.stale.discard(A0)
            super().save()

    return Emitter


def an_address(base: type[Base]) -> type[Base]:
    """The address of a fault is not that of the access."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def _outside(self, outside: str, base: str, distance: int, *, write: bool) -> None:
            super()._outside(outside, base, distance + 1, write=write)

    return Emitter


def a_write(base: type[Base]) -> type[Base]:
    """A fault of a read is told as one of a write."""

    class Emitter(base):  # type: ignore[misc,valid-type]
        def _outside(self, outside: str, base: str, distance: int, *, write: bool) -> None:
            super()._outside(outside, base, distance, write=not write)

    return Emitter


@dataclass(frozen=True)
class Control:
    """wrong: the compiler. says: in the error's message. text: the program. mode: the guest's rounding mode."""

    wrong: Wrong
    says: str
    text: str = LOOP
    kind: str = ""
    turns: int = 3
    mode: int = 0

    def __str__(self) -> str:
        name = getattr(self.wrong, "__name__", "")
        return f"{name}-{NAMES[self.kind]}-{self.turns}"


CONTROLS = [
    Control(an_op, "a1 is 0x"),
    Control(an_op, "a1 is 0x", kind=PRECISE),
    Control(an_op, "a1 is 0x", turns=0),
    Control(a_store, f"memory at {MIDDLE:#x} differs"),
    Control(a_store, f"memory at {MIDDLE:#x} differs", kind=PRECISE),
    Control(a_stray_store, f"memory at {MIDDLE + 4000:#x} differs"),
    Control(a_flag, "fp.flags is 0x11, and 0x19"),
    Control(a_register, "a0 is 0x"),
    Control(a_dead_register, "a1 is 0x", kind=WHOLE),
    Control(a_branch, "the golden evaluator is at 0x"),
    Control(a_branch, "the golden evaluator is at 0x", turns=1),
    Control(a_count, "the golden evaluator is at 0x"),
    Control(a_live_register, "the golden evaluator reads a register that was lost"),
    Control(a_nan, "fa5 is 0xfff8000000000000, and 0x7ff8000000000000"),
    Control(a_rounding_mode, "fa7 is 0x", mode=2),
    Control(a_saved_register, "a0 is 0x", FAULTING, kind=PRECISE),
    Control(an_address, f"came to FAULT (0, {WILD:#x}) and not to FAULT (0, {WILD + 1:#x})", FAULTING),
    Control(a_write, f"came to FAULT (0, {WILD:#x}) and not to FAULT (1, {WILD:#x})", FAULTING),
]


def prepare(made: Judged, mode: int) -> None:
    """Numbers that are rounded, divide by zero and make a NaN."""
    for number, value in ((11, 1.25), (12, 0.1), (14, 0.0), (16, float("inf"))):
        made.cpu.f[number] = struct.unpack("<Q", struct.pack("<d", value))[0]
    made.cpu.x[12] = 0x1234_5678_9ABC_DEF0
    made.cpu.fp_mode = mode


@pytest.mark.parametrize("control", CONTROLS, ids=str)
def test_it_is_noticed(control: Control) -> None:
    options = {"kind": control.kind, "turns": control.turns}
    with judged(control.text, wrong=control.wrong, **options) as made:
        prepare(made, control.mode)
        with pytest.raises(PolyvmError) as caught:
            made.run()
        error, program = caught.value, made.program
        assert error.code == "PVM-LOCKSTEP-DIFFERS"
        assert control.says in error.message
        # Between the last place where all agreed and this one it happened.
        for place in ("pc", "since"):
            assert program.start <= error.context[place] < program.end
        assert error.context["insns"] == made.engine.compared > 0
        assert error.context["insn"]


@pytest.mark.parametrize("mode", [0, 2])
@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("text", [LOOP, FAULTING], ids=["loop", "faulting"])
def test_nothing_is_noticed_where_nothing_is_wrong(text: str, kind: str, mode: int) -> None:
    with judged(text, kind=kind) as made:
        prepare(made, mode)
        assert made.run() == ("FAULT" if text is FAULTING and kind != PRECISE else "exit")
        assert made.engine.stats()["tiers"]["region"]["insns"] > 100
