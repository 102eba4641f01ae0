"""Advanced SIMD, three scalars: the manual's table "Advanced SIMD scalar three same", with vectors' operations."""

from __future__ import annotations

from typing import Final

from polyvm.isa.aarch64 import simd_same
from polyvm.isa.aarch64.model import aarch64
from polyvm.isa.aarch64.simd import TITLE

insn = aarch64.extension("Advanced SIMD scalar three same", "8.0", TITLE)

# Mnemonics by the sizes that there are.
SIZES: Final = {
    "size": "sqadd sqsub sqshl sqrshl uqadd uqsub uqshl uqrshl",
    "size_hs": "sqdmulh sqrdmulh",
    "size_d": "cmgt cmge sshl srshl add cmtst cmhi cmhs ushl urshl sub cmeq",
}
for row in simd_same.ROWS:
    for field, names in SIZES.items():
        if row.name in names.split():
            row.on(field).declare(insn, "Ed.$T, En.$T, Em.$T", "01 $U 11110 $size 1 Vm $opcode 1 Vn Vd")
