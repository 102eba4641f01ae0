"""Vector instructions as text, and what a trace asks of the state."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.isa.disasm import assemble, disassemble
from polyvm.isa.riscv64 import vector
from polyvm.isa.riscv64.vector.machine import VILL, longest, pack

ISA = vector.load(256)


@pytest.mark.parametrize(
    ("text", "code"),
    [  # as GNU's assembler has them
        ("vsetvli a0, a1, e32, m4, ta, ma", 0x0D25F557),
        ("vsetivli zero, 7, e8, mf2, tu, mu", 0xC073F057),
        ("vadd.vv v1, v2, v3, v0.t", 0x002180D7),
        ("vadd.vi v4, v8, -3", 0x028EB257),
        ("vle32.v v8, (a0)", 0x02056407),
        ("vmerge.vim v2, v3, 1, v0", 0x5C30B157),
        ("vfmacc.vf v8, fa0, v16", 0xB3055457),
        ("vluxseg3ei16.v v4, (a1), v12, v0.t", 0x44C5D207),
    ],
)
def test_text_and_code(text: str, code: int) -> None:
    assert int.from_bytes(assemble(ISA, text), "little") == code
    decoded = ISA.decode(code)
    assert decoded is not None
    assert disassemble(decoded, 0) == text


@pytest.mark.parametrize(
    "text", ["vadd.vv v1, v2, v32", "vadd.vv v1, v2, v3, v1.t", "vsetvli a0, a1, e7, m1, ta, ma"]
)
def test_what_is_no_operand_is_refused(text: str) -> None:
    with pytest.raises(PolyvmError, match="PVM-ASM-SYNTAX"):
        assemble(ISA, text)


def test_a_vlen_that_is_not_offered_is_refused() -> None:
    with pytest.raises(PolyvmError, match="PVM-USAGE"):
        vector.load(64)


def test_vlmax_is_that_of_the_manual() -> None:
    assert [longest(vtype, 256) for vtype in (0b000_000, 0b010_011, 0b011_000, 0b000_101)] == [32, 64, 4, 4]
    assert [longest(vtype, 256) for vtype in (0b000_100, 0b011_111, 0b100_000, 0x100)] == [0, 0, 0, 0]


def test_a_context_follows_what_sets_it() -> None:
    code = int.from_bytes(assemble(ISA, "vsetvli a0, a1, e32, m4, ta, ma"), "little")
    add = ISA.decode(int.from_bytes(assemble(ISA, "vadd.vv v4, v8, v12"), "little"))
    setting = ISA.decode(code)
    assert setting is not None
    assert add is not None
    context = ISA.context_behind(setting, None)
    assert context == pack(0xD2, 256)
    assert ISA.context_behind(add, context) == context
    memory = code.to_bytes(4, "little") + b"\x13\0\0\0" * 3
    assert ISA.context_before(lambda at, size: memory[at : at + size] if at >= 0 else b"", 16) == context
    assert ISA.in_context(setting, context) is setting
    known, unknown = (ISA.in_context(add, one) for one in (context, None))
    assert [op.op for op in ISA.trace(unknown.insn, unknown.shape).ops][-1] == "reshape"
    assert ISA.trace(known.insn, known.shape).ops[-1].op == "set"
    assert ISA.state_context(lambda slot: {"vtype": VILL}.get(slot[0], 0)) == pack(VILL, 256, golden=True)
