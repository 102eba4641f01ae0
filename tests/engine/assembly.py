"""Small guest programs for the engine's tests: assembly with labels, fetched as a region's discovery fetches it.

One instruction a line, any number of `label:` before one; a label stands where an address can, and `%hi(label)` and
`%lo(label)` for the halves of its distance from the line before (auipc and what goes with it). Nothing is chosen for
the writer, as in isa.disasm.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from polyvm.engine.discover import Observed, Placed, Ran, Region, discover
from polyvm.ir.trace import Tracer
from polyvm.ir.values import Val
from polyvm.isa.disasm import assemble
from polyvm.isa.riscv64 import load
from polyvm.isa.spec import Isa
from tests.isa import toy

ISA = load()
START = 0x10000

_LABEL = re.compile(r"([A-Za-z_]\w*):\s*")


class Program:
    """Machine code at an address, and its labels."""

    def __init__(self, text: str, start: int = START, isa: Isa = ISA) -> None:
        self.start = start
        self.labels: dict[str, int] = {}
        lines: list[tuple[list[str], str]] = []
        names: list[str] = []
        for line in text.splitlines():
            line = re.split(r"#(?=\s|$)", line)[0].strip()  # a comment; "#1" is a number of A64's
            while found := _LABEL.match(line):
                names.append(found[1])
                line = line[found.end() :]
            if line:
                lines.append((names, line))
                names = []
        every = [name for group, _ in lines for name in group] + names
        # Twice: the first time each label stands for the line's own address, which everything can reach.
        for last in (False, True):
            code = b""
            for group, line in lines:
                here = start + len(code)
                known = self.labels if last else dict.fromkeys(every, here)
                code += assemble(isa, _filled(line, known, here), here)
                self.labels |= dict.fromkeys(group, here) if not last else {}
            self.labels |= dict.fromkeys(names, start + len(code))
        self.code = code

    def __getitem__(self, label: str) -> int:
        return self.labels[label]

    def distances(self, *labels: str, base: str = "", size: int = 4, shift: int = 0) -> bytes:
        """A table of how far labels are from another, or of their addresses."""
        low = self.labels[base] if base else 0
        words = [self.labels[label] - low >> shift & (1 << 8 * size) - 1 for label in labels]
        return b"".join(word.to_bytes(size, "little") for word in words)

    @property
    def end(self) -> int:
        """The address behind the last instruction."""
        return self.start + len(self.code)

    def fetch(self, address: int, length: int) -> bytes:
        """Code at an address; there is nothing but the program."""
        at = address - self.start
        return self.code[at : at + length] if 0 <= at <= len(self.code) else b""

    def page(self, address: int) -> bytes:
        """The page at an address, as compile workers ask for it; the program begins at the start of one."""
        at = address - self.start
        return self.code[at : at + 4096] if at >= 0 else b""

    def region(
        self,
        entry: str | int | None = None,
        *,
        entries: Iterable[str | int] = (),
        observed: Observed | None = None,
        ran: Ran | None = None,
        **options: int,
    ) -> Region:
        """The region of a label; the program's start if none is given."""
        found = discover(
            ISA,
            self.fetch,
            self.start if entry is None else self._at(entry),
            observed,
            entries=[self._at(place) for place in entries],
            ran=ran,
            **options,
        )
        assert found is not None
        return found

    def _at(self, place: str | int) -> int:
        return place if isinstance(place, int) else self.labels[place]

    def name(self, address: int) -> str:
        """The label at an address, or the address."""
        return next((name for name, at in self.labels.items() if at == address), hex(address))

    def graph(self, region: Region) -> dict[str, list[str]]:
        """A region's blocks and their successors, by label."""
        return {
            self.name(start): [self.name(place) for place in block.successors]
            for start, block in sorted(region.blocks.items())
        }


def _filled(line: str, labels: dict[str, int], here: int) -> str:
    def low(found: re.Match[str]) -> str:
        distance = labels[found[1]] - (here - 4)
        return str((distance + 0x800 & 0xFFF) - 0x800)

    def high(found: re.Match[str]) -> str:
        return hex(labels[found[1]] - here + 0x800 >> 12 & 0xF_FFFF)

    line = re.sub(r"%lo\((\w+)\)", low, re.sub(r"%hi\((\w+)\)", high, line))
    mnemonic, space, operands = line.partition(" ")
    return mnemonic + space + re.sub(
        r"[A-Za-z_]\w*", lambda word: hex(labels[word[0]]) if word[0] in labels else word[0], operands
    )  # fmt: skip


def placed(text: str, pc: int = START, isa: Isa = ISA) -> Placed:
    """One instruction at an address."""
    decoded = isa.decode(int.from_bytes(assemble(isa, text, pc), "little"))
    assert decoded is not None
    return Placed(pc, decoded, isa.trace(decoded.insn, decoded.shape))


def odd_guest() -> Isa:
    """A guest with instructions such as riscv64 has none of: a write on one way only, a difference, a load far off."""
    isa = toy.empty()
    insn = isa.extension("Base", "1", "Everything")

    @insn("maybe d, s", "0000 00000000 s d")
    def _maybe(m: Tracer, d: Val, s: Val) -> None:
        """Set to a number if another register is not zero."""
        with m.when(m.r[s] != 0):
            m.r[d] = m.const(5, 16)

    @insn("surely d", "0001 0000000000 d")
    def _surely(m: Tracer, d: Val) -> None:
        """Set to a number."""
        m.r[d] = m.const(5, 16)

    return isa


SUM = Program("""
    start: addi a2, zero, 0
    loop:  ld a3, 0(a0)
           add a2, a2, a3
           addi a0, a0, 8
           bne a0, a1, loop
    after: c.jr ra
""")
"""Adds up numbers in memory: a loop in which one comparison with the limit does for all turns."""
