"""What the floating-point extensions share: NaN boxing, the rounding field, and the computations of one format.

F, D and Zfh say the same of 32, 64 and 16 bits, so `computations` declares an instruction once for all three. It
knows nothing of loads, stores and moves, which differ, and leaves all arithmetic to the ops of the IR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from polyvm.ir.ops import ROUND_DYNAMIC

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.spec import Body

    Declare = Callable[[str, str], Callable[[Body], Body]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the letter in mnemonics, the fmt field of encodings, and how the bits are divided."""

    letter: str
    code: str
    bits: int
    fraction: int

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << (self.bits - 1)

    @property
    def infinity(self) -> int:
        """Plus infinity: all ones in the exponent."""
        return self.sign - (1 << self.fraction)

    @property
    def quiet(self) -> int:
        """The bit that tells quiet NaNs from signaling ones."""
        return 1 << (self.fraction - 1)

    @property
    def nan(self) -> int:
        """The canonical NaN (F, section "NaN Generation and Propagation")."""
        return self.infinity | self.quiet


S: Final = Format("s", "00", 32, 23)
D: Final = Format("d", "01", 64, 52)
H: Final = Format("h", "10", 16, 10)


# -- Registers (D, section "NaN Boxing of Narrower Values")
def read(m: Tracer, fs: Val, fmt: Format) -> Val:
    """An operand; what is not boxed properly counts as the canonical NaN."""
    value = m.f[fs]
    if fmt.bits == 64:
        return value
    boxed = value[63 : fmt.bits] == (1 << (64 - fmt.bits)) - 1
    return m.select(boxed, value.trunc(fmt.bits), fmt.nan, likely=True)


def write(m: Tracer, fd: Val, value: Val) -> None:
    """Write a result: ones in all the bits above it."""
    m.f[fd] = value if value.bits == 64 else value.zext(64) | -(1 << value.bits)


def check_rounding(m: Tracer, rm: int) -> None:
    """The dynamic rounding mode with a reserved value in frm is illegal (F, section "FCSR")."""
    if rm == ROUND_DYNAMIC:
        with m.when(m.fp_mode[2:0].uge(5)):
            m.trap("illegal")


# -- Pieces of bodies
def classify(m: Tracer, a: Val, fmt: Format) -> Val:
    """Which of ten classes a number is of, one bit each, 64 bits (F, table "Format of result of FCLASS")."""
    negative = a[fmt.bits - 1]
    magnitude = a & (fmt.sign - 1)
    zero = magnitude == 0
    infinite = magnitude == fmt.infinity
    nan = ~magnitude.ule(fmt.infinity)
    quiet = a[fmt.fraction - 1]
    subnormal = magnitude.ult(1 << fmt.fraction) & ~zero
    normal = ~(zero | infinite | nan | subnormal)
    classes = (
        infinite & negative, normal & negative, subnormal & negative, zero & negative,
        zero & ~negative, subnormal & ~negative, normal & ~negative, infinite & ~negative,
        nan & ~quiet, nan & quiet,
    )  # fmt: skip
    result = m.const(0, 64)
    for position, member in enumerate(classes):
        result |= member.zext(64) << position
    return result


def convert(m: Tracer, fd: Val, fs1: Val, rm: int, to: Format, source: Format) -> None:
    """From one format to another."""
    check_rounding(m, rm)
    write(m, fd, m.fcvt(read(m, fs1, source), to.bits, rm))


INTEGERS: Final = (
    ("w", "00000", 32, True),
    ("wu", "00001", 32, False),
    ("l", "00010", 64, True),
    ("lu", "00011", 64, False),
)
"""Mnemonic, rs2 field, width and signedness of the integers that conversions know."""


def computations(insn: Declare, fmt: Format) -> None:
    """Declare everything that computes in one format; its conversions to and from integers too."""
    _arithmetic(insn, fmt)
    _fused(insn, fmt)
    _selections(insn, fmt)
    _tests(insn, fmt)
    for integer in INTEGERS:
        _integer_conversions(insn, fmt, *integer)


def _arithmetic(insn: Declare, fmt: Format) -> None:
    letter, code = fmt.letter, fmt.code

    @insn(f"fadd.{letter} fd, fs1, fs2, rm", f"00000{code} fs2 fs1 rm fd 1010011")
    def fadd(m: Tracer, fd: Val, fs1: Val, fs2: Val, rm: int) -> None:
        """Add."""
        check_rounding(m, rm)
        write(m, fd, m.fadd(read(m, fs1, fmt), read(m, fs2, fmt), rm))

    @insn(f"fsub.{letter} fd, fs1, fs2, rm", f"00001{code} fs2 fs1 rm fd 1010011")
    def fsub(m: Tracer, fd: Val, fs1: Val, fs2: Val, rm: int) -> None:
        """Subtract."""
        check_rounding(m, rm)
        write(m, fd, m.fsub(read(m, fs1, fmt), read(m, fs2, fmt), rm))

    @insn(f"fmul.{letter} fd, fs1, fs2, rm", f"00010{code} fs2 fs1 rm fd 1010011")
    def fmul(m: Tracer, fd: Val, fs1: Val, fs2: Val, rm: int) -> None:
        """Multiply."""
        check_rounding(m, rm)
        write(m, fd, m.fmul(read(m, fs1, fmt), read(m, fs2, fmt), rm))

    @insn(f"fdiv.{letter} fd, fs1, fs2, rm", f"00011{code} fs2 fs1 rm fd 1010011")
    def fdiv(m: Tracer, fd: Val, fs1: Val, fs2: Val, rm: int) -> None:
        """Divide."""
        check_rounding(m, rm)
        write(m, fd, m.fdiv(read(m, fs1, fmt), read(m, fs2, fmt), rm))

    @insn(f"fsqrt.{letter} fd, fs1, rm", f"01011{code} 00000 fs1 rm fd 1010011")
    def fsqrt(m: Tracer, fd: Val, fs1: Val, rm: int) -> None:
        """Square root."""
        check_rounding(m, rm)
        write(m, fd, m.fsqrt(read(m, fs1, fmt), rm))


def _fused(insn: Declare, fmt: Format) -> None:
    letter, code = fmt.letter, fmt.code

    def fused(
        m: Tracer, operands: tuple[Val, Val, Val, Val], rm: int, *, product: bool, addend: bool
    ) -> None:
        # Changing the sign of an operand is exact, and what it does to a NaN is lost in the canonical one.
        fd, fs1, fs2, fs3 = operands
        check_rounding(m, rm)
        a, b, c = read(m, fs1, fmt), read(m, fs2, fmt), read(m, fs3, fmt)
        write(m, fd, m.fma(a ^ fmt.sign if product else a, b, c ^ fmt.sign if addend else c, rm))

    @insn(f"fmadd.{letter} fd, fs1, fs2, fs3, rm", f"fs3 {code} fs2 fs1 rm fd 1000011")
    def fmadd(m: Tracer, fd: Val, fs1: Val, fs2: Val, fs3: Val, rm: int) -> None:
        """Multiply and add, rounded once: fs1 * fs2 + fs3."""
        fused(m, (fd, fs1, fs2, fs3), rm, product=False, addend=False)

    @insn(f"fmsub.{letter} fd, fs1, fs2, fs3, rm", f"fs3 {code} fs2 fs1 rm fd 1000111")
    def fmsub(m: Tracer, fd: Val, fs1: Val, fs2: Val, fs3: Val, rm: int) -> None:
        """Multiply and subtract, rounded once: fs1 * fs2 - fs3."""
        fused(m, (fd, fs1, fs2, fs3), rm, product=False, addend=True)

    @insn(f"fnmsub.{letter} fd, fs1, fs2, fs3, rm", f"fs3 {code} fs2 fs1 rm fd 1001011")
    def fnmsub(m: Tracer, fd: Val, fs1: Val, fs2: Val, fs3: Val, rm: int) -> None:
        """Multiply, negate and add, rounded once: -(fs1 * fs2) + fs3."""
        fused(m, (fd, fs1, fs2, fs3), rm, product=True, addend=False)

    @insn(f"fnmadd.{letter} fd, fs1, fs2, fs3, rm", f"fs3 {code} fs2 fs1 rm fd 1001111")
    def fnmadd(m: Tracer, fd: Val, fs1: Val, fs2: Val, fs3: Val, rm: int) -> None:
        """Multiply, negate and subtract, rounded once: -(fs1 * fs2) - fs3."""
        fused(m, (fd, fs1, fs2, fs3), rm, product=True, addend=True)


def _selections(insn: Declare, fmt: Format) -> None:
    letter, code = fmt.letter, fmt.code

    def inject(m: Tracer, fd: Val, magnitude: Val, sign: Val) -> None:
        write(m, fd, (magnitude & (fmt.sign - 1)) | (sign & fmt.sign))

    @insn(f"fsgnj.{letter} fd, fs1, fs2", f"00100{code} fs2 fs1 000 fd 1010011")
    def fsgnj(m: Tracer, fd: Val, fs1: Val, fs2: Val) -> None:
        """fs1 with the sign of fs2; the same register twice copies it."""
        inject(m, fd, read(m, fs1, fmt), read(m, fs2, fmt))

    @insn(f"fsgnjn.{letter} fd, fs1, fs2", f"00100{code} fs2 fs1 001 fd 1010011")
    def fsgnjn(m: Tracer, fd: Val, fs1: Val, fs2: Val) -> None:
        """fs1 with the opposite of the sign of fs2; the same register twice negates it."""
        inject(m, fd, read(m, fs1, fmt), ~read(m, fs2, fmt))

    @insn(f"fsgnjx.{letter} fd, fs1, fs2", f"00100{code} fs2 fs1 010 fd 1010011")
    def fsgnjx(m: Tracer, fd: Val, fs1: Val, fs2: Val) -> None:
        """fs1 with the exclusive or of both signs; the same register twice is the absolute value."""
        a = read(m, fs1, fmt)
        inject(m, fd, a, a ^ read(m, fs2, fmt))

    @insn(f"fmin.{letter} fd, fs1, fs2", f"00101{code} fs2 fs1 000 fd 1010011")
    def fmin(m: Tracer, fd: Val, fs1: Val, fs2: Val) -> None:
        """The smaller; a number wins over a NaN, and -0 is below +0."""
        write(m, fd, m.fmin(read(m, fs1, fmt), read(m, fs2, fmt)))

    @insn(f"fmax.{letter} fd, fs1, fs2", f"00101{code} fs2 fs1 001 fd 1010011")
    def fmax(m: Tracer, fd: Val, fs1: Val, fs2: Val) -> None:
        """The larger; a number wins over a NaN, and +0 is above -0."""
        write(m, fd, m.fmax(read(m, fs1, fmt), read(m, fs2, fmt)))


def _tests(insn: Declare, fmt: Format) -> None:
    letter, code = fmt.letter, fmt.code

    @insn(f"fle.{letter} rd, fs1, fs2", f"10100{code} fs2 fs1 000 rd 1010011")
    def fle(m: Tracer, rd: Val, fs1: Val, fs2: Val) -> None:
        """Set to 1 if less or equal; any NaN is invalid."""
        m.x[rd] = m.fle(read(m, fs1, fmt), read(m, fs2, fmt)).zext(64)

    @insn(f"flt.{letter} rd, fs1, fs2", f"10100{code} fs2 fs1 001 rd 1010011")
    def flt(m: Tracer, rd: Val, fs1: Val, fs2: Val) -> None:
        """Set to 1 if less; any NaN is invalid."""
        m.x[rd] = m.flt(read(m, fs1, fmt), read(m, fs2, fmt)).zext(64)

    @insn(f"feq.{letter} rd, fs1, fs2", f"10100{code} fs2 fs1 010 rd 1010011")
    def feq(m: Tracer, rd: Val, fs1: Val, fs2: Val) -> None:
        """Set to 1 if equal; only a signaling NaN is invalid."""
        m.x[rd] = m.feq(read(m, fs1, fmt), read(m, fs2, fmt)).zext(64)

    @insn(f"fclass.{letter} rd, fs1", f"11100{code} 00000 fs1 001 rd 1010011")
    def fclass(m: Tracer, rd: Val, fs1: Val) -> None:
        """Set the one bit that says which of ten classes the number is of."""
        m.x[rd] = classify(m, read(m, fs1, fmt), fmt)


def _integer_conversions(insn: Declare, fmt: Format, name: str, code: str, bits: int, signed: bool) -> None:
    letter = fmt.letter
    kind = f"{'a signed' if signed else 'an unsigned'} {'word' if bits == 32 else 'double word'}"

    def to_integer(m: Tracer, rd: Val, fs1: Val, rm: int) -> None:
        check_rounding(m, rm)
        value = m.ftoi(read(m, fs1, fmt), bits, signed=signed, rounding=rm)
        # Unsigned words are sign-extended too, as all words are.
        m.x[rd] = value.sext(64)

    def from_integer(m: Tracer, fd: Val, rs1: Val, rm: int) -> None:
        check_rounding(m, rm)
        write(m, fd, m.itof(m.x[rs1].trunc(bits), fmt.bits, signed=signed, rounding=rm))

    to_integer.__doc__ = f"To {kind}; what is out of range gives the nearest one, a NaN the largest."
    from_integer.__doc__ = f"From {kind}."
    insn(f"fcvt.{name}.{letter} rd, fs1, rm", f"11000{fmt.code} {code} fs1 rm rd 1010011")(to_integer)
    insn(f"fcvt.{letter}.{name} fd, rs1, rm", f"11010{fmt.code} {code} rs1 rm fd 1010011")(from_integer)
