"""Loads and stores of structures: the manual's tables "Advanced SIMD load/store multiple structures" and "single".

Memory holds structures of one to four elements; register number i of a list holds the elements number i. All bytes are
loaded before a register changes, and all may be written before one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.model import aarch64, base, described
from polyvm.isa.aarch64.simd import arranged, element, put
from polyvm.isa.aarch64.simd_text import LISTED

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

TITLE = "Loads and Stores"
COUNTS: Final = ("", "two ", "three ", "four ")


@dataclass(frozen=True, slots=True)
class After:
    """How the base moves. text: behind the address. code: bits 23 to 16, where $R is bit 21."""

    text: str
    code: str


def _moves(size: str) -> tuple[tuple[After, ...], ...]:
    """The tables without and with a new base; `size` names the bytes of the access."""
    return (
        (After("", "0 $R 00000"),),
        (After(f", #{size}", "1 $R 11111"), After(", Xm", "1 $R Rm!=31")),
    )


def _moved(m: Tracer, Rn_sp: Val, fields: dict[str, Any], after: After, size: int) -> None:
    if after.text:
        step = m.x[fields["Rm"]] if "Rm" in fields else m.const(size, 64)
        m.x[Rn_sp] = m.x[Rn_sp] + step


def _list(count: int, suffix: str) -> str:
    return "\\{" + ", ".join(f"Vt{which}.{suffix}" for which in LISTED[:count]) + "\\}"


# -- Structures and registers
def _gathered(words: list[Lanes], places: list[int]) -> Lanes:
    """Lanes by number out of words put behind each other."""
    result = None
    for first in range(0, len(words), 2):
        pair = words[first : first + 2]
        below, count = first * words[0].count, words[0].count * len(pair)
        own = [place - below if below <= place < below + count else -1 for place in places]
        if set(own) != {-1}:
            part = pair[0].pick(own, pair[1] if len(pair) > 1 else None)
            result = part if result is None else result | part
    assert result is not None
    return result


def _apart(words: list[Lanes]) -> list[Lanes]:
    """Registers of the structures that words hold, as many of these as of those."""
    n = len(words)
    return [_gathered(words, [lane * n + which for lane in range(words[0].count)]) for which in range(n)]


def _together(registers: list[Lanes]) -> list[Lanes]:
    """Words of the structures whose elements registers hold."""
    n, count = len(registers), registers[0].count
    return [
        _gathered(
            registers, [place % n * count + place // n for place in range(word * count, (word + 1) * count)]
        )
        for word in range(n)
    ]


# -- Multiple structures
MULTIPLE: Final = (
    # elements of a structure, registers, opcode, arrangements
    (4, 4, "0000", "T"),
    (1, 4, "0010", "T_any"),
    (3, 3, "0100", "T"),
    (1, 3, "0110", "T_any"),
    (1, 1, "0111", "T_any"),
    (2, 2, "1000", "T"),
    (1, 2, "1010", "T_any"),
)


def _multiple(store: bool, elements: int, count: int, opcode: str, T: str, after: After) -> None:
    def body(m: Tracer, Rn_sp: Val, Vt: Val, **fields: Any) -> None:
        bits, lanes = arranged(fields[T])
        address, width = base(m, Rn_sp), bits * lanes
        places = [address + width // 8 * which if which else address for which in range(count)]
        if store:
            values = [m.q[Vt + which if which else Vt].trunc(width).lanes(bits) for which in range(count)]
            if count > 1:
                m.probe(address, width // 8 * count, write=True)
            for place, word in zip(places, _together(values) if elements > 1 else values, strict=True):
                m.store(place, word.whole)
        else:
            words = [m.load(place, width).lanes(bits) for place in places]
            for which, value in enumerate(_apart(words) if elements > 1 else words):
                m.q[Vt + which if which else Vt] = value.whole.zext(128)
        _moved(m, Rn_sp, fields, after, width // 8 * count)

    name = f"{'st' if store else 'ld'}{elements}"
    code = after.code.replace("$R", "0")
    registers = "a register" if count == 1 else f"{COUNTS[count - 1]}registers"
    what = f", whose lanes are structures of {COUNTS[elements - 1].strip()}" if elements > 1 else ""
    insn(
        f"{name} {_list(count, T)}, [Xn_sp]{after.text}",
        f"0 {T}[0] 001100 {code[0]} {int(not store)} {code[2:]} {opcode} {T}[2:1] Rn_sp Vt",
    )(described(body, f"{'Store' if store else 'Load'} {registers}{what}{_then(after)}."))


def _then(after: After) -> str:
    return (
        ", and move the base behind"
        if after.text[:3] == ", #"
        else ", and add to the base"
        if after.text
        else ""
    )


for post in (0, 1):
    insn = aarch64.extension(
        f"Advanced SIMD load/store multiple structures{' (post-indexed)' if post else ''}", "8.0", TITLE
    )
    for store in (True, False):
        for elements, count, opcode, T in MULTIPLE:
            for after in _moves(f"bytes{count}.{T}")[post]:
                _multiple(store, elements, count, opcode, T, after)

# -- A single structure: the letter and width of its elements, and where the lane's number lies beside opcode and size
LANES: Final = (
    ("b", 8, "lane[3]", "00", "lane[2] lane[1:0]"),
    ("h", 16, "lane[2]", "01", "lane[1] lane[0] 0"),
    ("s", 32, "lane[1]", "10", "lane[0] 00"),
    ("d", 64, "lane[0]", "10", "0 01"),
)


def _single(store: bool, count: int, row: tuple[str, int, str, str, str], after: After) -> None:
    letter, bits, top, opcode, low = row

    def body(m: Tracer, lane: Val, Rn_sp: Val, Vt: Val, **fields: Any) -> None:
        address = base(m, Rn_sp)
        places = [address + bits // 8 * which if which else address for which in range(count)]
        registers = [Vt + which if which else Vt for which in range(count)]
        if store:
            values = [element(m, register, bits, lane) for register in registers]
            if count > 1:
                m.probe(address, bits // 8 * count, write=True)
            for place, value in zip(places, values, strict=True):
                m.store(place, value)
        else:
            loaded = [m.load(place, bits) for place in places]
            for register, value in zip(registers, loaded, strict=True):
                put(m, register, lane, value)
        _moved(m, Rn_sp, fields, after, bits // 8 * count)

    name = f"{'st' if store else 'ld'}{count}"
    code = after.code.replace("$R", str((count - 1) & 1))
    insn(
        f"{name} {_list(count, letter)}[lane], [Xn_sp]{after.text}",
        f"0 {top} 001101 {code[0]} {int(not store)} {code[2:]} {opcode}{(count - 1) >> 1} {low} Rn_sp Vt",
    )(described(body, f"{'Store' if store else 'Load'} one lane of {_registers(count)}{_then(after)}."))


def _registers(count: int) -> str:
    return "a register" if count == 1 else f"{COUNTS[count - 1]}registers"


def _replicate(count: int, after: After) -> None:
    def body(m: Tracer, T_any: int, Rn_sp: Val, Vt: Val, **fields: Any) -> None:
        bits, lanes = arranged(T_any)
        address = base(m, Rn_sp)
        places = [address + bits // 8 * which if which else address for which in range(count)]
        loaded = [m.load(place, bits) for place in places]
        for which, value in enumerate(loaded):
            m.q[Vt + which if which else Vt] = Lanes.splat(value, lanes).whole.zext(128)
        _moved(m, Rn_sp, fields, after, bits // 8 * count)

    code = after.code.replace("$R", str((count - 1) & 1))
    insn(
        f"ld{count}r {_list(count, 'T_any')}, [Xn_sp]{after.text}",
        f"0 T_any[0] 001101 {code[0]} 1 {code[2:]} 11{(count - 1) >> 1} 0 T_any[2:1] Rn_sp Vt",
    )(
        described(
            body, f"Load a structure, each element into every lane of {_registers(count)}{_then(after)}."
        )
    )


for post in (0, 1):
    insn = aarch64.extension(
        f"Advanced SIMD load/store single structure{' (post-indexed)' if post else ''}", "8.0", TITLE
    )
    for count in range(1, 5):
        for row in LANES:
            for after in _moves(str(row[1] // 8 * count))[post]:
                _single(True, count, row, after)
                _single(False, count, row, after)
        for after in _moves(f"element{count}.T_any")[post]:
            _replicate(count, after)
