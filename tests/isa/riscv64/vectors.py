"""Random states for vector instructions, what the golden evaluator makes of them, and what qemu-riscv64 does.

Shared by the tests of the vector extension. A state has a vtype that is legal for VLEN, a vl, often a vstart, masks,
registers with corners in them, and for accesses to memory an address in or at the edges of one page.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from polyvm.ir import golden
from polyvm.ir.ops import FP_FLAGS, FP_MODE
from polyvm.isa.riscv64.vector.machine import longest, multiplier
from polyvm.isa.riscv64.vector.restart import by_elements
from polyvm.isa.riscv64.vector.spec import VectorIsa
from polyvm.isa.spec import Insn
from tests.isa.dictionaries import CORNERS, MASK, Memory, OutsideMemory, State
from tests.toolchain import build

QEMU = shutil.which("qemu-riscv64")
PAGE, SIZE = 0x5000_1000, 4096
HEAD = struct.Struct("<15Q8x")
X, F = (10, 11, 12), (10, 11, 12)
FLOATS = {
    16: (0, 0x8000, 0x3C00, 0xBC00, 0x7C00, 0xFC00, 0x7E00, 0x7D00, 1, 0x3FF, 0x400, 0x7BFF, 0xFFFF, 0x3555),
    32: (0, 1 << 31, 0x3F80_0000, 0xBF80_0000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F80_0001, 1, 0x7F_FFFF,
         0x80_0000, 0x7F7F_FFFF, 0xFFFF_FFFF, 0x4F00_0000, 0x3EAA_AAAB, 0x20_0000, 0x40_0000),
    64: (0, 1 << 63, 0x3FF0 << 48, 0xBFF0 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 0x7FF8 << 48, 0x7FF0 << 48 | 1, 1,
         (1 << 52) - 1, 1 << 52, (0x7FF0 << 48) - 1, MASK, 0x43E0 << 48, 0x3FD5_5555_5555_5555, 1 << 50, 1 << 51),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A state before or after an instruction. page: memory, empty where the instruction accesses none."""

    word: int
    vl: int
    vtype: int
    vstart: int
    vcsr: int
    fcsr: int
    signal: int
    address: int
    x: tuple[int, ...]
    f: tuple[int, ...]
    v: bytes
    page: bytes

    def pack(self) -> bytes:
        """As vector.c reads it."""
        numbers = (
            self.word,
            bool(self.page),
            self.vl,
            self.vtype,
            self.vstart,
            self.vcsr,
            self.fcsr,
            self.signal,
        )
        head = HEAD.pack(*numbers, self.address, *self.x, *self.f)
        return head + self.v.ljust(2048, b"\0") + self.page


def accesses(insn: Insn) -> bool:
    """Whether it accesses memory."""
    return insn.encoding.match & 0x7F in (0x07, 0x27)


def floating(insn: Insn) -> bool:
    """Whether it works on floating-point numbers."""
    return insn.name.startswith(("vf", "vmf"))


def element(rng: random.Random, bits: int, numbers: bool) -> int:
    """A random element, often a corner; of numbers, often one of moderate size."""
    kind = rng.random()
    if numbers and bits in FLOATS:
        if kind < 0.4:
            return rng.choice(FLOATS[bits])
        if kind < 0.8:
            one = {16: 0x3C00, 32: 0x3F80_0000, 64: 0x3FF0 << 48}[bits]
            spread = {16: 4 << 10, 32: 30 << 23, 64: 60 << 52}[bits]
            return one + rng.randrange(-spread, spread) | rng.getrandbits(1) << bits - 1
        return rng.getrandbits(bits)
    if kind < 0.3:
        return rng.choice(CORNERS) & (1 << bits) - 1
    return rng.getrandbits(bits) if kind < 0.8 else rng.getrandbits(4)


def random_case(
    insn: Insn, isa: VectorIsa, rng: random.Random, *, edges: bool = False, like: Case | None = None
) -> Case:
    """A state for an instruction. edges: its accesses often go over an edge of the page. like: with the same word and
    the same vtype.
    """
    vlen = isa.vlen
    while True:
        vtype = rng.randrange(256) if like is None else like.vtype
        if not longest(vtype, vlen):
            continue
        sew = 8 << (vtype >> 3 & 7)
        if floating(insn) and rng.random() < 0.8:
            narrow = "w" in insn.name.split(".")[0] or "ncvt" in insn.name
            if like is None and sew not in ((32,) if narrow else (32, 64)):
                continue
        break
    most = longest(vtype, vlen)
    vl = rng.choice((most, most, rng.randint(0, most), rng.randint(0, most), 1, 0))
    vl = min(vl, most)
    vstart = rng.randint(0, min(most, vlen - 1)) if rng.random() < 0.1 else 0
    fields = {name: rng.getrandbits(insn.encoding.width(name)) for name in insn.encoding.fields}
    mul = {5: 1, 6: 1, 7: 1, 0: 1, 1: 2, 2: 4, 3: 8}[vtype & 7]
    for name in fields:
        if name in ("rd", "rs1", "rs2"):
            fields[name] = rng.choice(X)
        elif name in ("fd", "fs1"):
            fields[name] = rng.choice(F)
        elif name in ("vd", "vs1", "vs2", "vs3") and rng.random() < 0.9:
            fields[name] = (
                rng.randrange(32) // (2 * mul) * 2 * mul % 32
                if rng.random() < 0.5
                else fields[name] // mul * mul
            )
        elif name == "csr":
            fields[name] = 0xC20
    if accesses(insn) and "rs1" in fields:
        fields["rs1"], fields["rs2"] = (10, 11) if "rs2" in fields else (10, 0)
        fields = {name: value for name, value in fields.items() if name in insn.encoding.fields}
    if like is not None:
        fields = insn.fields(like.word)
    numbers = floating(insn)
    width = rng.choice((sew, sew, 2 * sew if sew < 64 else sew, max(8, sew // 2)))
    total = 32 * vlen // width
    pool = [element(rng, width, numbers).to_bytes(width // 8, "little") for _ in range(48)]
    registers = b"".join(rng.choices(pool, k=total))
    kinds = (lambda: rng.choice(CORNERS), lambda: rng.getrandbits(64), lambda: rng.randrange(2 * most))
    x = [rng.choice(kinds)() for _ in X]
    f = []
    for _ in F:
        bits = sew if sew in (16, 32, 64) else 64
        value = element(rng, bits, True)
        f.append(value | (MASK << bits & MASK) if rng.random() < 0.9 else value)
    page = b""
    if accesses(insn):
        page = rng.randbytes(SIZE)
        most_apart = (1500 if edges else 2500) // most + 1
        x[1] = max(
            -most_apart,
            min(most_apart, rng.choice((0, 1, 2, 4, 8, -1, -4, -8, 16, 24, rng.randrange(-99, 99)))),
        )
        down = "rs2" in fields and x[1] < 0
        x[0] = PAGE + (SIZE - 600 - rng.randrange(16) if down else rng.randrange(64))
        if edges:
            x[0] = PAGE + rng.choice((rng.randrange(64), SIZE - rng.randrange(1, 300), rng.randrange(SIZE)))
        x[1] &= MASK
        if (
            "vs2" in fields and insn.name[1:].startswith(("lux", "lox", "sux", "sox"))
        ) or "xseg" in insn.name:
            # Indexes of moderate size, whatever their width.
            index = int(insn.name.split("ei")[1].split(".")[0])
            at = fields["vs2"] * vlen // 8
            numbers_of = [
                rng.randrange(0, 120 if index == 8 else 1000)
                for _ in range(min(8 * vlen, len(registers) * 8 - at * 8) // index)
            ]
            raw = b"".join(n.to_bytes(index // 8, "little") for n in numbers_of)
            registers = (registers[:at] + raw)[: len(registers)] + registers[at + len(raw) :]
    fcsr = rng.choice((0, 0, 1, 2, 3, 4)) << 5 | (rng.getrandbits(5) if rng.random() < 0.3 else 0)
    return Case(insn.encode(fields), vl, vtype, vstart, rng.getrandbits(3), fcsr, 0, 0, tuple(x), tuple(f),
                registers, page)  # fmt: skip


def on_qemu(cases: list[Case], vlen: int, emulator: tuple[str, ...] = ()) -> list[Case]:
    """What qemu-riscv64, or another emulator, makes of states."""
    assert QEMU is not None
    program = build(Path(__file__).with_name("vector.c"), name="vector")
    command = emulator or (QEMU, "-cpu", f"rv64,v=true,vlen={vlen},vext_spec=v1.0")
    data = b"".join(_stand_in(case).pack() for case in cases)
    done = subprocess.run([*command, str(program)], input=data, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return list(unpacked(done.stdout, cases))


def _stand_in(case: Case) -> Case:
    """Conversions towards zero end QEMU 7.2 with an assertion: those with a dynamic rounding mode do the same."""
    if case.word >> 26 == 0b010010 and case.word >> 12 & 7 == 1 and case.word >> 16 & 3 == 3:
        return replace(case, word=case.word & ~(3 << 16), fcsr=case.fcsr & 31 | 1 << 5)
    return case


def unpacked(data: bytes, cases: list[Case]) -> list[Case]:
    """Records as vector.c writes them."""
    found, at = [], 0
    for case in cases:
        word, page, vl, vtype, vstart, vcsr, fcsr, signal, address, *rest = HEAD.unpack_from(data, at)
        at += HEAD.size
        registers = data[at : at + len(case.v)]
        at += 2048
        memory = data[at : at + SIZE] if page else b""
        at += len(memory)
        if word != case.word:
            word, fcsr = case.word, fcsr & 31 | case.fcsr & 0xE0
        x, f = tuple(rest[:3]), tuple(rest[3:])
        found.append(Case(word, vl, vtype, vstart, vcsr, fcsr, signal, address, x, f, registers, memory))
    assert at == len(data)
    return found


class Page(Memory):
    """The page, telling where an access went wrong."""

    def _at(self, address: int, size: int) -> int:
        try:
            return super()._at(address, size)
        except OutsideMemory:
            end = self.start + len(self.data)
            raise Outside(end if self.start <= address < end else address) from None


class Outside(OutsideMemory):
    """The address of the first byte outside."""


def state_of(case: Case, isa: VectorIsa) -> State:
    """The registers of a case."""
    state = State(isa)
    for name, value in (("vl", case.vl), ("vtype", case.vtype), ("vstart", case.vstart), ("vxrm", case.vcsr >> 1),
                        ("vxsat", case.vcsr & 1)):  # fmt: skip
        state.write((name, 0), value)
    state.write(FP_MODE, case.fcsr >> 5)
    state.write(FP_FLAGS, case.fcsr & 31)
    for number, value in zip(X, case.x, strict=True):
        state.write(("x", number), value)
    for number, value in zip(F, case.f, strict=True):
        state.write(("f", number), value)
    size = len(case.v) // 32
    for number in range(32):
        state.write(("v", number), int.from_bytes(case.v[size * number : size * number + size], "little"))
    return state


def after(case: Case, state: State, page: bytes, signal: int = 0, address: int = 0) -> Case:
    """The case that a state is."""
    size = len(case.v) // 32
    return replace(
        case, vl=state.read(("vl", 0)), vtype=state.read(("vtype", 0)), vstart=state.read(("vstart", 0)),
        vcsr=state.read(("vxrm", 0)) << 1 | state.read(("vxsat", 0)),
        fcsr=state.read(FP_MODE) << 5 | state.read(FP_FLAGS), signal=signal, address=address,
        x=tuple(state.read(("x", n)) for n in X), f=tuple(state.read(("f", n)) for n in F),
        v=b"".join(state.read(("v", n)).to_bytes(size, "little") for n in range(32)), page=page,
    )  # fmt: skip


def on_golden(case: Case, isa: VectorIsa) -> Case:
    """What the golden evaluator makes of a state."""
    state, memory = state_of(case, isa), Page(PAGE, case.page)
    decoded = isa.decode(case.word)
    assert decoded is not None, hex(case.word)
    signal = address = 0
    placed = isa.in_context(decoded, isa.state_context(state.read))
    try:
        golden.execute(isa.trace(placed.insn, placed.shape), placed.fields, 0, state, memory)
    except golden.Trap:
        signal = 4
    except OutsideMemory:
        try:
            by_elements(isa, decoded, 0, state, memory, OutsideMemory)
        except Outside as fault:
            signal, address = 11, fault.args[0]
    return after(case, state, bytes(memory.data), signal, address)


def _without_segment(insn: Insn, case: Case, ours: Case, theirs: Case) -> Case:
    """Of the segment that faults a part may have been accessed: which is for the implementation to say (7.8)."""
    sew, size = 8 << (case.vtype >> 3 & 7), len(case.v) // 32
    indexed = "ei" in insn.name
    bits = sew if indexed else int(insn.name.split("e")[2].split("ff")[0].split(".")[0])
    eighths = multiplier(case.vtype) * bits // sew
    registers, page = bytearray(theirs.v), bytearray(theirs.page)
    fields, first = int(insn.name.split("seg")[1][0]), case.word >> 7 & 31
    for field in range(fields):
        at = (first + field * max(eighths // 8, 1)) * size + theirs.vstart * bits // 8
        registers[at : at + bits // 8] = ours.v[at : at + bits // 8]
    for at, (before, mine) in enumerate(zip(case.page, ours.page, strict=True)):
        if before == mine:
            page[at] = mine
    return replace(theirs, v=bytes(registers), page=bytes(page))


def difference(insn: Insn, case: Case, ours: Case, theirs: Case) -> str:
    """In what two outcomes differ, as text; empty where they agree. An illegal instruction has no address."""
    if ours.signal == theirs.signal == 4:
        return ""
    if ours.vstart == 0 and theirs.vstart == case.vstart and not theirs.signal:
        # QEMU 7.2 leaves it where nothing is to be done; every vector instruction ends with vstart = 0 (3.7).
        theirs = replace(theirs, vstart=0)
    if ours.signal == theirs.signal == 11 and "seg" in insn.name:
        theirs = _without_segment(insn, case, ours, theirs)
    names = [name for name in Case.__dataclass_fields__ if getattr(ours, name) != getattr(theirs, name)]
    if not names:
        return ""
    x, f = [hex(value) for value in case.x], [hex(value) for value in case.f]
    about = f"vl={case.vl} vtype={case.vtype:#x} vstart={case.vstart} fcsr={case.fcsr:#x} vcsr={case.vcsr} x={x} f={f}"
    lines = [f"{insn.text}: {case.word:#x} {about}"]
    for name in names:
        a, b = getattr(ours, name), getattr(theirs, name)
        if name == "v":
            size = len(a) // 32
            for n in range(32):
                x, y = a[size * n : size * n + size], b[size * n : size * n + size]
                if x != y:
                    lines.append(f"  v{n}: was {case.v[size * n : size * n + size][::-1].hex()}\n"
                                 f"      {x[::-1].hex()} here\n      {y[::-1].hex()} there")  # fmt: skip
        elif name == "page":
            where = [i for i in range(SIZE) if a[i] != b[i]][:8]
            texts = [bytes(page[i] for i in where).hex() for page in (a, b)]
            lines.append(f"  memory at {where}: {texts[0]} here, {texts[1]} there")
        else:
            lines.append(f"  {name}: {a} here, {b} there")
    return "\n".join(lines)
