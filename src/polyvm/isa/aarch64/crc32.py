"""FEAT_CRC32: the checksum instructions of the manual's table "Data-processing (2 source)".

A remainder is two carry-less products with bits in the order of memory, lowest first: the first finds the multiple of
the polynomial that cancels the low bits, the second makes it (Barrett's reduction).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import UNITS, aarch64, described, read, write

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = aarch64.extension("FEAT_CRC32", "8.0", "Checksums")

# Without x^32, which is bit 32 of the polynomial the other way round: x^0 is bit 31 here.
CRC32: Final = 0xEDB8_8320
CRC32C: Final = 0x82F6_3B78


def _reversed(polynomial: int) -> int:
    """All 33 coefficients, that of x^32 lowest."""
    return polynomial << 1 | 1


def _inverse(polynomial: int, bits: int) -> int:
    """What times the polynomial is 1, carry-less and modulo 2^bits."""
    result, rest = 0, 1
    for place in range(bits):
        if rest >> place & 1:
            result |= 1 << place
            rest ^= polynomial << place
    return result


def _checksum(m: Tracer, value: Val, data: Val, polynomial: int) -> Val:
    """The checksum `value`, continued by `data`."""
    whole = _reversed(polynomial)
    mixed = value.zext(64) ^ data.zext(64)
    factor = mixed.clmul(m.const(_inverse(whole, data.bits), 64)).trunc(data.bits)
    cancelled = mixed.zext(128) ^ factor.zext(64).clmul(m.const(whole, 64))
    return (cancelled >> data.bits).trunc(32)


def _row(name: str, opcode: str, polynomial: int, bits: int) -> None:
    def body(m: Tracer, Rm: Val, Rn: Val, Rd: Val) -> None:
        write(m, Rd, _checksum(m, read(m, Rn, 32), read(m, Rm, bits), polynomial))

    wide = bits == 64
    insn(f"{name} Wd, Wn, {'X' if wide else 'W'}m", f"{int(wide)} 0 0 11010110 Rm {opcode} Rn Rd")(
        described(
            body,
            f"Continue a checksum by a {UNITS[bits]}: {'CRC-32C' if polynomial == CRC32C else 'CRC-32'}.",
        )
    )


for place, letter in enumerate("bhwx"):
    _row(f"crc32{letter}", f"0100{place:02b}", CRC32, 8 << place)
for place, letter in enumerate("bhwx"):
    _row(f"crc32c{letter}", f"0101{place:02b}", CRC32C, 8 << place)
