"""Binary floating-point formats, the one rounding step, and the choice of NaNs, all in plain integers.

A finite number is taken apart into ``(-1)**sign * significand * 2**exponent`` with an unbounded integer
significand, so every operation is exact until `round_pack` rounds it once. It refuses widths, rounding
modes and policies that it does not know; it never touches the host's own floating point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# Rounding modes, numbered as in RISC-V's `frm` (1 to 4) and in SoftFloat (6, which RISC-V reserves).
RNE: Final = 0  # to nearest, ties to even
RTZ: Final = 1  # toward zero
RDN: Final = 2  # down, toward minus infinity
RUP: Final = 3  # up, toward plus infinity
RMM: Final = 4  # to nearest, ties away from zero
ODD: Final = 6  # to odd (jamming): what a second rounding can start from without harm
ROUNDINGS: Final = frozenset({RNE, RTZ, RDN, RUP, RMM, ODD})

# Exception flags, as in RISC-V's `fflags`.
NX: Final = 1  # inexact
UF: Final = 2  # underflow
OF: Final = 4  # overflow
DZ: Final = 8  # divide by zero
NV: Final = 16  # invalid operation

IDC: Final = (
    32  # a denormal operand was taken for zero: Arm's cumulative bit of that name, and no flag of the IR's
)

# What a NaN result is: RISC-V's canonical NaN; Arm's first signaling operand, else first quiet one, or with FPCR.DN
# the same NaN as RISC-V's where Arm has one; SSE's first NaN operand. What is handed on is made quiet.
NAN_POLICIES: Final = ("canonical", "arm", "arm-default", "x86")
# Found after rounding or before; or before, and what is tiny becomes zero (Arm's FPRound with FPCR.FZ).
TININESS: Final = ("after", "before", "flush")

Result = tuple[int, int]
"""Bits of the result, and the exception flags that the operation raises."""


@dataclass(frozen=True, slots=True)
class Format:
    """An IEEE 754 binary interchange format; every mask below is on the bit pattern."""

    exponent_bits: int
    fraction_bits: int
    width: int = field(init=False)
    sign_bit: int = field(init=False)
    magnitude: int = field(init=False)  # everything but the sign
    infinity: int = field(init=False)
    quiet_bit: int = field(init=False)
    quantum: int = field(init=False)  # exponent of the last bit of a subnormal number

    def __post_init__(self) -> None:
        width = 1 + self.exponent_bits + self.fraction_bits
        bias = (1 << (self.exponent_bits - 1)) - 1
        put = object.__setattr__
        put(self, "width", width)
        put(self, "sign_bit", 1 << (width - 1))
        put(self, "magnitude", (1 << (width - 1)) - 1)
        put(self, "infinity", ((1 << self.exponent_bits) - 1) << self.fraction_bits)
        put(self, "quiet_bit", 1 << (self.fraction_bits - 1))
        put(self, "quantum", 1 - bias - self.fraction_bits)

    def is_nan(self, bits: int) -> bool:
        return bits & self.magnitude > self.infinity

    def is_signaling(self, bits: int) -> bool:
        return self.is_nan(bits) and not bits & self.quiet_bit

    def is_inf(self, bits: int) -> bool:
        return bits & self.magnitude == self.infinity

    def is_zero(self, bits: int) -> bool:
        return bits & self.magnitude == 0

    def is_denormal(self, bits: int) -> bool:
        return 0 < bits & self.magnitude < 1 << self.fraction_bits

    def sign(self, bits: int) -> int:
        return bits >> (self.width - 1)

    def signed(self, sign: int, magnitude: int) -> int:
        return magnitude | self.sign_bit if sign else magnitude

    def default_nan(self, nan: str) -> int:
        """The NaN of an invalid operation: positive, but on x86, where it is the "real indefinite"."""
        return self.signed(nan == "x86", self.infinity | self.quiet_bit)

    def unpack(self, bits: int) -> tuple[int, int]:
        """(significand, exponent) of a finite number's magnitude: its value is significand * 2**exponent."""
        biased = (bits & self.infinity) >> self.fraction_bits
        fraction = bits & ((1 << self.fraction_bits) - 1)
        if not biased:
            return fraction, self.quantum
        return fraction | 1 << self.fraction_bits, self.quantum + biased - 1


FORMATS: Final[dict[int, Format]] = {
    16: Format(5, 10),
    32: Format(8, 23),
    64: Format(11, 52),
    128: Format(15, 112),
}


def format_of(width: int, *operands: int) -> Format:
    """The format of `width`; ValueError for an unknown one, or an operand that is no bit pattern of it."""
    fmt = FORMATS.get(width)
    if fmt is None:
        raise ValueError(f"no floating-point format of {width} bits; supported: {sorted(FORMATS)}")
    for bits in operands:
        if bits >> width:
            raise ValueError(f"{bits:#x} is not a {width}-bit pattern")
    return fmt


def check_rounding(rm: int) -> None:
    if rm not in ROUNDINGS:
        raise ValueError(f"no rounding mode {rm}; supported: {sorted(ROUNDINGS)}")


def check_policy(nan: str, tininess: str = "after") -> None:
    if nan not in NAN_POLICIES:
        raise ValueError(f"no NaN policy {nan!r}; supported: {', '.join(NAN_POLICIES)}")
    if tininess not in TININESS:
        raise ValueError(f"no tininess rule {tininess!r}; supported: {', '.join(TININESS)}")


def choose_nan(fmt: Format, nan: str, *operands: int) -> Result:
    """The result of an operation with a NaN among its operands; invalid if one of them is signaling."""
    flags = NV if any(map(fmt.is_signaling, operands)) else 0
    if nan in ("canonical", "arm-default"):
        return fmt.default_nan(nan), flags
    nans = [bits for bits in operands if fmt.is_nan(bits)]
    if nan == "arm":
        nans.sort(key=fmt.is_signaling, reverse=True)  # stable: first signaling, else first quiet
    return nans[0] | fmt.quiet_bit, flags


def increments(rm: int, sign: int, kept: int, rest: int, half: int) -> bool:
    """Whether `kept` goes up by one when the part `rest` below it, of weight 2 * half, is rounded away."""
    if rm == RNE:
        return rest > half or (rest == half and kept & 1 == 1)
    if rm == RMM:
        return rest >= half
    if rm == RDN:
        return rest != 0 and sign == 1
    if rm == RUP:
        return rest != 0 and sign == 0
    if rm == ODD:
        return rest != 0 and kept & 1 == 0
    return False  # RTZ


def shift_round(rm: int, sign: int, significand: int, shift: int) -> tuple[int, bool]:
    """significand / 2**shift rounded to an integer, and whether that was inexact."""
    if shift <= 0:
        return significand << -shift, False
    kept = significand >> shift
    rest = significand - (kept << shift)
    return kept + increments(rm, sign, kept, rest, 1 << (shift - 1)), rest != 0


def round_pack(fmt: Format, rm: int, tininess: str, sign: int, significand: int, exponent: int) -> Result:
    """Round (-1)**sign * significand * 2**exponent, which is not zero, to the format.

    A caller with an infinite expansion hands in at least two bits more than the precision, and ORs a one into
    the lowest bit for everything below it.
    """
    top = exponent + significand.bit_length() - 1  # significand * 2**exponent is in [2**top, 2**(top + 1))
    normal = top - fmt.fraction_bits  # where the last bit of the result lies if exponents had no lower bound
    if tininess == "flush" and normal < fmt.quantum:
        return fmt.signed(sign, 0), UF
    last = max(normal, fmt.quantum)
    kept, inexact = shift_round(rm, sign, significand, last - exponent)
    flags = NX if inexact else 0
    if inexact and normal < fmt.quantum:
        tiny = True
        if tininess == "after" and normal == fmt.quantum - 1:
            # IEEE 754-2019 7.5: tiny after rounding unless the unbounded result reaches the smallest normal
            tiny = shift_round(rm, sign, significand, normal - exponent)[0] < 1 << (fmt.fraction_bits + 1)
        if tiny:
            flags |= UF
    # The hidden bit of a normal number adds the missing one to the exponent field, and so does a carry.
    magnitude = ((last - fmt.quantum) << fmt.fraction_bits) + kept
    if magnitude >= fmt.infinity:
        away = rm in (RNE, RMM) or rm == (RDN if sign else RUP)
        return fmt.signed(sign, fmt.infinity if away else fmt.infinity - 1), flags | OF | NX
    return fmt.signed(sign, magnitude), flags
