"""A small guest of the tests' own: four registers of 16 bits, instructions of two bytes, every kind of operand."""

from __future__ import annotations

from collections.abc import Mapping

from polyvm.ir.trace import Tracer
from polyvm.ir.values import Val
from polyvm.isa.spec import Computed, Field, Isa, Operand, RegisterFile, Syntax

COLOURS = ("red", "green", "blue", "any")
NAMES = ("zero", "one", "two", "three", "top")


def _pair(text: str, values: Mapping[str, int]) -> dict[str, int]:
    d, s = text.split(":")
    if values.get("u") == 1 and d == s:  # known the second time only
        raise ValueError("a pair with u has two registers")
    return {"d": NAMES.index(d), "s": NAMES.index(s)}


PAIR = Operand(
    ("d", "s"),
    lambda values: f"{NAMES[values['d']]}:{NAMES[values['s']]}",
    _pair,
    lambda values: None if values["u"] else {"d": 1, "s": 2},
)


def empty() -> Isa:
    """The guest before it has instructions."""
    return Isa(
        name="toy",
        files={"r": RegisterFile("r", 16, 5, NAMES, zero=0)},
        specials={"mode": 1},
        causes=("bad",),
        fields={
            "d": Field("register", 2, "r"),
            "s": Field("register", 2, "r"),
            "t": Field("register", 2, "r"),
            "h'": Field("register", 1, "r", bias=2),
            "e": Field("register", 2, "r", last=4),
            "n": Field("signed", 8),
            "p": Field("unsigned", 8),
            "to": Field("offset"),
            "w": Field("width", 2, shape=(0, 1, 3)),
            "u": Field("flag", 1),
            "v": Field("flag", 1),
            "c": Field("colour", 2),
            "z": Field("reserved", 2),
        },
        sizes=(2,),
        links=(),
        syntax={
            "width": Syntax(
                lambda value, bits: str(8 << value), lambda text, bits: int(text).bit_length() - 4
            ),
            "flag": Syntax(suffix=True),
            "colour": Syntax(
                lambda value, bits: COLOURS[value],
                lambda text, bits: COLOURS.index(text),
                default=lambda name: 3,
            ),
        },
        aliases=(("clear d", "add d, zero, 0"), ("move d, s", "add d, s, 0"), ("twice d, s", "mix d, s, s")),
        spellings=(("shift n, s, d", "add d, s, n"), ("drop pair{, p}", "swap p{, pair}")),
        operands={"pair": PAIR},
        computed=(
            Computed(
                "back",
                "jump",
                lambda operands: ["3"] if operands == ["0xfa"] else None,
                lambda operands: [f".-{2 * int(operands[0])}"] if operands[0] else None,
            ),
        ),
        length=lambda word: 2,
    )


def toy() -> Isa:
    """The guest."""
    isa = empty()
    insn = isa.extension("Base", "1", "Everything")

    @insn("add d, s, n", "0000 n s d")
    def _add(m: Tracer, d: Val, s: Val, n: Val) -> None:
        """Add a number."""
        m.r[d] = m.r[s] + n.sext(16)

    @insn("set h', w", "0001 00000000 u w h'")
    def _set(m: Tracer, u: Val, w: int, h_: Val) -> None:
        """Set to a shape."""
        m.r[h_] = m.const(w, 16)

    @insn("jump to", "0010 to[12:1]")
    def _jump(m: Tracer, to: Val) -> None:
        """Jump."""
        m.jump(m.pc + to.sext(64))

    @insn("paint d, c", "0011 z 000 u v 0 c d")
    def _paint(m: Tracer, d: Val, c: Val, z: Val, u: Val, v: Val) -> None:
        """Paint."""
        m.r[d] = c.zext(16)

    @insn("mix d, s, t", "0100 000000 t s d")
    def _mix(m: Tracer, d: Val, s: Val, t: Val) -> None:
        """Mix."""
        m.r[d] = m.r[s] ^ m.r[t]

    @insn("peek d, p(s)", "0101 p s d")
    def _peek(m: Tracer, d: Val, s: Val, p: Val) -> None:
        """Load."""
        m.r[d] = m.load(m.r[s].zext(64) + p.zext(64), 16)

    @insn("lift e, [s{, #p}]!", "1000 p s e")
    def _lift(m: Tracer, e: Val, s: Val, p: Val) -> None:
        """Load into any register but the third."""
        m.r[e] = m.load(m.r[s].zext(64) + p.zext(64), 16)

    @insn("grow.w d", "1001 00000000 w d")
    def _grow(m: Tracer, w: int, d: Val) -> None:
        """Double, so many times."""
        m.r[d] = m.r[d] << w

    @insn("swap p{, pair}", "101 u p s d")
    def _swap(m: Tracer, p: Val, u: Val, s: Val, d: Val) -> None:
        """Swap."""
        a, b = m.r[d], m.r[s]
        m.r[d] = b
        m.r[s] = a

    @insn("join \\{d, s\\}, t", "0111 000000 t s d")
    def _join(m: Tracer, t: Val, s: Val, d: Val) -> None:
        """Add a register to a list of two."""
        m.r[d] = m.r[d] + m.r[t]
        m.r[s] = m.r[s] + m.r[t]

    @insn("halt", "0110 000000000000")
    def _halt(m: Tracer) -> None:
        """Stop."""
        m.trap("bad")

    return isa
