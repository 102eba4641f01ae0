"""FEAT_AES and FEAT_PMULL: the manual's table "Cryptographic AES", and carry-less products of double words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, read_upper

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = aarch64.extension("FEAT_AES", "8.0", TITLE)


def _keyed(name: str, opcode: str, kind: str, doc: str) -> None:
    def body(m: Tracer, Vn: Val, Vd: Val) -> None:
        m.q[Vd] = m.aes(kind, m.q[Vd] ^ m.q[Vn])

    insn(f"{name} Vd.16b, Vn.16b", f"01001110 00 10100 {opcode} 10 Vn Vd")(described(body, doc))


def _mixed(name: str, opcode: str, kind: str, doc: str) -> None:
    def body(m: Tracer, Vn: Val, Vd: Val) -> None:
        m.q[Vd] = m.aes(kind, m.q[Vn])

    insn(f"{name} Vd.16b, Vn.16b", f"01001110 00 10100 {opcode} 10 Vn Vd")(described(body, doc))


_keyed("aese", "00100", "encrypt", "Add a key of AES, then shift rows and substitute bytes.")
_keyed("aesd", "00101", "decrypt", "Add a key of AES, then shift rows and substitute bytes back.")
_mixed("aesmc", "00110", "mix", "Mix the columns of AES.")
_mixed("aesimc", "00111", "unmix", "Mix the columns of AES back.")

insn = aarch64.extension("FEAT_PMULL", "8.0", TITLE)


def _product(upper: int) -> None:
    def body(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
        a, b = (read_upper(m, V, 64, upper=upper).whole for V in (Vn, Vm))
        m.q[Vd] = a.clmul(b)

    name, half = ("pmull2", "2d") if upper else ("pmull", "1d")
    insn(f"{name} Vd.1q, Vn.{half}, Vm.{half}", f"0 {upper} 0 01110 11 1 Vm 1110 00 Vn Vd")(
        described(body, f"Multiply {'upper' if upper else 'lower'} double words without carries.")
    )


_product(0)
_product(1)
