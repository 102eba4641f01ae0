"""FEAT_SHA1, FEAT_SHA256, FEAT_SHA512 and FEAT_SHA3: the tables of C4.1 that begin with "Cryptographic", AES apart.

SHA-1 and SHA-256 do four rounds at a time, as ops of the IR; SHA-512 two, in pieces, as no host has more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.ir.crypto import choose, majority
from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, read, write

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

# -- Cryptographic three-register SHA, and two-register SHA
insn = aarch64.extension("FEAT_SHA1", "8.0", TITLE)


def _sha1(name: str, opcode: str, kind: str) -> None:
    def body(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
        m.q[Vd] = m.sha1(kind, m.q[Vd], m.q[Vn].trunc(32), m.q[Vm])

    insn(f"{name} Qd, Sn, Vm.4s", f"01011110 000 Vm 0 {opcode} 00 Vn Vd")(
        described(body, f"Four rounds of SHA-1, those of its function {kind!r}.")
    )


_sha1("sha1c", "000", "choose")
_sha1("sha1p", "001", "parity")
_sha1("sha1m", "010", "majority")


@insn("sha1su0 Vd.4s, Vn.4s, Vm.4s", "01011110 000 Vm 0 011 00 Vn Vd")
def sha1su0(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The first half of four words of SHA-1's schedule."""
    d = read(m, Vd, 64, 2)
    write(m, Vd, d.high().join(read(m, Vn, 64, 1)) ^ d ^ read(m, Vm, 64, 2))


@insn("sha1h Sd, Sn", "01011110 00 10100 00000 10 Vn Vd")
def sha1h(m: Tracer, Vn: Val, Vd: Val) -> None:
    """What e of SHA-1 is after four rounds that began with this a."""
    m.q[Vd] = m.q[Vn].trunc(32).rotl(30).zext(128)


@insn("sha1su1 Vd.4s, Vn.4s", "01011110 00 10100 00001 10 Vn Vd")
def sha1su1(m: Tracer, Vn: Val, Vd: Val) -> None:
    """The second half of four words of SHA-1's schedule."""
    words = read(m, Vd, 32, 4) ^ read(m, Vn, 32, 4).pick([1, 2, 3, -1])
    # The last of them needs the first, which has been rotated already.
    write(m, Vd, words.rotl(1) ^ words.rotl(2).pick([-1, -1, -1, 0]))


insn = aarch64.extension("FEAT_SHA256", "8.0", TITLE)


@insn("sha256h Qd, Qn, Vm.4s", "01011110 000 Vm 0 100 00 Vn Vd")
def sha256h(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Four rounds of SHA-256: a to d."""
    m.q[Vd] = m.sha256("low", m.q[Vd], m.q[Vn], m.q[Vm])


@insn("sha256h2 Qd, Qn, Vm.4s", "01011110 000 Vm 0 101 00 Vn Vd")
def sha256h2(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Four rounds of SHA-256: e to h."""
    m.q[Vd] = m.sha256("high", m.q[Vn], m.q[Vd], m.q[Vm])


@insn("sha256su1 Vd.4s, Vn.4s, Vm.4s", "01011110 000 Vm 0 110 00 Vn Vd")
def sha256su1(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The second half of four words of SHA-256's schedule."""
    later = read(m, Vn, 32, 4).pick([1, 2, 3, 4], read(m, Vm, 32, 4))
    m.q[Vd] = m.sha256_words("second", (read(m, Vd, 32, 4) + later).whole, m.q[Vm])


@insn("sha256su0 Vd.4s, Vn.4s", "01011110 00 10100 00010 10 Vn Vd")
def sha256su0(m: Tracer, Vn: Val, Vd: Val) -> None:
    """The first half of four words of SHA-256's schedule."""
    m.q[Vd] = m.sha256_words("first", m.q[Vd], m.q[Vn])


# -- Cryptographic three-register SHA 512, and two-register SHA 512
insn = aarch64.extension("FEAT_SHA512", "8.2", TITLE)


def _sigma(x: Val, first: int, second: int, third: int) -> Val:
    return x.rotr(first) ^ x.rotr(second) ^ x.rotr(third)


@insn("sha512h Qd, Qn, Vm.2d", "11001110 011 Vm 1 0 00 00 Vn Vd")
def sha512h(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The first half of two rounds of SHA-512."""
    fg, de, sums = (m.q[V].lanes(64) for V in (Vn, Vm, Vd))
    d, e, f, g = de[0], de[1], fg[0], fg[1]
    first = sums[1] + _sigma(e, 14, 18, 41) + choose(e, f, g)
    above = first + d
    second = sums[0] + _sigma(above, 14, 18, 41) + choose(above, e, f)
    write(m, Vd, Lanes.of([second, first]))


@insn("sha512h2 Qd, Qn, Vm.2d", "11001110 011 Vm 1 0 00 01 Vn Vd")
def sha512h2(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The second half of two rounds of SHA-512."""
    ba, sums = m.q[Vm].lanes(64), m.q[Vd].lanes(64)
    a, b, c = ba[0], ba[1], m.q[Vn].trunc(64)
    first = sums[1] + _sigma(a, 28, 34, 39) + majority(a, b, c)
    second = sums[0] + _sigma(first, 28, 34, 39) + majority(first, a, b)
    write(m, Vd, Lanes.of([second, first]))


@insn("sha512su1 Vd.2d, Vn.2d, Vm.2d", "11001110 011 Vm 1 0 00 10 Vn Vd")
def sha512su1(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The second half of two words of SHA-512's schedule."""
    x = read(m, Vn, 64, 2)
    write(m, Vd, read(m, Vd, 64, 2) + (x.rotr(19) ^ x.rotr(61) ^ x >> 6) + read(m, Vm, 64, 2))


@insn("sha512su0 Vd.2d, Vn.2d", "11001110 110 00000 1000 00 Vn Vd")
def sha512su0(m: Tracer, Vn: Val, Vd: Val) -> None:
    """The first half of two words of SHA-512's schedule."""
    words = read(m, Vd, 64, 2)
    x = words.pick([1, 2], read(m, Vn, 64, 2))
    write(m, Vd, words + (x.rotr(1) ^ x.rotr(8) ^ x >> 7))


# -- Cryptographic four-register, XAR, and RAX1 of three-register SHA 512
insn = aarch64.extension("FEAT_SHA3", "8.2", TITLE)


@insn("eor3 Vd.16b, Vn.16b, Vm.16b, Va.16b", "11001110 000 Vm 0 Va Vn Vd")
def eor3(m: Tracer, Vm: Val, Va: Val, Vn: Val, Vd: Val) -> None:
    """Exclusive or of three vectors."""
    m.q[Vd] = m.q[Vn] ^ m.q[Vm] ^ m.q[Va]


@insn("bcax Vd.16b, Vn.16b, Vm.16b, Va.16b", "11001110 001 Vm 0 Va Vn Vd")
def bcax(m: Tracer, Vm: Val, Va: Val, Vn: Val, Vd: Val) -> None:
    """Exclusive or with those bits of a vector that another has not."""
    m.q[Vd] = m.q[Vn] ^ m.q[Vm] & ~m.q[Va]


@insn("rax1 Vd.2d, Vn.2d, Vm.2d", "11001110 011 Vm 1 0 00 11 Vn Vd")
def rax1(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Exclusive or with double words that are rotated left by one."""
    write(m, Vd, read(m, Vn, 64, 2) ^ read(m, Vm, 64, 2).rotl(1))


@insn("xar Vd.2d, Vn.2d, Vm.2d, #imm6", "11001110 100 Vm imm6 Vn Vd")
def xar(m: Tracer, Vm: Val, imm6: Val, Vn: Val, Vd: Val) -> None:
    """Exclusive or, then double words are rotated right."""
    both = read(m, Vn, 64, 2) ^ read(m, Vm, 64, 2)
    write(m, Vd, both.rotr(Lanes.splat(imm6.zext(64), 2)))
