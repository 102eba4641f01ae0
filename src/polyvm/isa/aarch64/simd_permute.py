"""Advanced SIMD, lanes in other places: the manual's tables "Advanced SIMD table lookup", "permute" and "extract"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, Row, read, write
from polyvm.isa.aarch64.simd_text import LISTED

if TYPE_CHECKING:
    from polyvm.ir.lanes import Lanes
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

# -- Advanced SIMD table lookup
insn = aarch64.extension("Advanced SIMD table lookup", "8.0", TITLE)


def _look_up(m: Tracer, Vn: Val, indexes: Lanes, count: int) -> Lanes:
    """Bytes of so many registers by number, zero past the last."""
    # A number that is past one register, or before it and so a large one, finds zero there.
    wide = indexes.whole.zext(128).lanes(8)
    found = m.q[Vn].permute(wide.whole, 8)
    for place in range(1, count):
        found = found | m.q[Vn + place].permute((wide - 16 * place).whole, 8)
    return found.trunc(indexes.whole.bits).lanes(8)


def _tables(count: int) -> None:
    def tbl(m: Tracer, Q: int, Vm: Val, Vn: Val, Vd: Val) -> None:
        write(m, Vd, _look_up(m, Vn, read(m, Vm, 8, 8 << Q), count))

    def tbx(m: Tracer, Q: int, Vm: Val, Vn: Val, Vd: Val) -> None:
        indexes, old = (read(m, V, 8, 8 << Q) for V in (Vm, Vd))
        write(m, Vd, indexes.ult(16 * count).select(_look_up(m, Vn, indexes, count), old))

    table = ", ".join(f"Vn{which}.16b" for which in LISTED[:count])
    registers = "a register" if count == 1 else f"{count} registers"
    for name, op, body, doc in (
        ("tbl", "0", tbl, f"Look bytes up in {registers}; zero past the end."),
        ("tbx", "1", tbx, f"Look bytes up in {registers}; past the end they stay."),
    ):
        insn(f"{name} Vd.B, \\{{{table}\\}}, Vm.B", f"0 Q 001110 000 Vm 0 {count - 1:02b} {op} 00 Vn Vd")(
            described(body, doc)
        )


for count in range(1, 5):
    _tables(count)

# -- Advanced SIMD permute
insn = aarch64.extension("Advanced SIMD permute", "8.0", TITLE)


def _picked(places: Callable[[int], Iterable[int]]) -> Callable[[Tracer, Lanes, Lanes], Lanes]:
    """Lanes by number, from how many a vector has; those of the second vector come behind the first's."""
    return lambda m, a, b: a.pick([*places(a.count)], b)


def _zipped(first: Iterable[int], n: int) -> list[int]:
    return [place for lane in first for place in (lane, n + lane)]


ROWS: Final = (
    Row("uzp1", 0, "001", "T", _picked(lambda n: range(0, 2 * n, 2)), "The even lanes of two vectors."),
    Row("trn1", 0, "010", "T", _picked(lambda n: _zipped(range(0, n, 2), n)), "The even lanes, in turn."),
    Row("zip1", 0, "011", "T", _picked(lambda n: _zipped(range(n // 2), n)), "The lower lanes, in turn."),
    Row("uzp2", 0, "101", "T", _picked(lambda n: range(1, 2 * n, 2)), "The odd lanes of two vectors."),
    Row("trn2", 0, "110", "T", _picked(lambda n: _zipped(range(1, n, 2), n)), "The odd lanes, in turn."),
    Row("zip2", 0, "111", "T", _picked(lambda n: _zipped(range(n // 2, n), n)), "The upper lanes, in turn."),
)
for row in ROWS:
    row.declare(insn, "Vd.$T, Vn.$T, Vm.$T", "0 $Q $U 01110 $size 0 Vm 0 $opcode 10 Vn Vd")

# -- Advanced SIMD extract
insn = aarch64.extension("Advanced SIMD extract", "8.0", TITLE)


def _extract(Q: int, imm4: str) -> None:
    count = 8 << Q
    first = f"offset{count}"

    def ext(m: Tracer, Vm: Val, Vn: Val, Vd: Val, **offset: int) -> None:
        low, high = (read(m, V, 8, count) for V in (Vn, Vm))
        write(m, Vd, low.pick(range(offset[first], offset[first] + count), high))

    insn(f"ext Vd.{count}b, Vn.{count}b, Vm.{count}b, #{first}", f"0 {Q} 101110 00 0 Vm 0 {imm4} 0 Vn Vd")(
        described(ext, f"{count} bytes out of two vectors put behind each other, from a number on.")
    )


_extract(0, "0 offset8")
_extract(1, "offset16")
