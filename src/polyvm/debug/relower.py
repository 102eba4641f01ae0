"""A compiled region made again, with a line table: which host instruction stands for which guest instruction.

Compilers are deterministic, and line tables do not change code: what comes out is compared with what the engine ran,
byte for byte. Where it differs nothing is claimed, and only LLVM's own list of accesses says where code comes from.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from polyvm.debug.extras import wanted
from polyvm.engine import flatten
from polyvm.engine.discover import Block, Placed, Region, discover, placed_at
from polyvm.engine.layout import MET, UNMET
from polyvm.engine.region import RegionEmitter
from polyvm.engine.worker import lowered
from polyvm.errors import PolyvmError
from polyvm.ir.values import SpecError

if TYPE_CHECKING:
    from polyvm.isa.spec import Isa

NODE = 1 << 20
"""The first of our metadata nodes: regions have a few of their own, from 0 on."""
_MARK = re.compile(r" ;@([0-9a-f]+)")
_LOCATION = re.compile(r",? !dbg !(\d+)")


class _Lines(list[str]):
    """The text of a function, each line with the guest address that it is made for, as a comment."""

    def __init__(self, emitter: LinedEmitter) -> None:
        super().__init__(emitter.lines)
        self.emitter = emitter

    def append(self, line: str) -> None:
        super().append(self._marked(line))

    def __setitem__(self, place: Any, value: Any) -> None:
        super().__setitem__(
            place, self._marked(value) if isinstance(value, str) else [self._marked(line) for line in value]
        )

    def _marked(self, line: str) -> str:
        found = _MARK.search(line)
        at = int(found[1], 16) if found else self.emitter.at
        line = _MARK.sub("", line)
        return line if at is None else f"{line} ;@{at:x}"


class LinedEmitter(RegionEmitter):
    """Makes a region's text with a location for each of LLVM's instructions: its line is the guest instruction's number
    in the order of addresses, from 1 on.
    """

    def __init__(self, isa: Isa, region: Region, *, kind: str = "") -> None:
        self.at: int | None = None
        super().__init__(isa, region, kind=kind)
        self.lines = _Lines(self)
        self.numbers = {
            pc: number
            for number, pc in enumerate(
                sorted(placed.pc for block in region.blocks.values() for placed in block.insns), 1
            )
        }

    @property
    def placed(self) -> Placed | None:
        """The instruction that is being emitted."""
        return self._insn

    @placed.setter
    def placed(self, placed: Placed | None) -> None:
        self._insn = placed
        if placed is not None:
            self.at = placed.pc

    def _block(self, block: Block) -> None:
        self.at = block.start  # for the safepoint, and what a loop begins with
        super()._block(block)
        self.at = None

    def text(self, name: str) -> str:
        """The module's text."""
        lines, used = [], set()
        for line in super().text(name).split("\n"):
            found = _MARK.search(line)
            if found is not None:
                line = _MARK.sub("", line)
                number = self.numbers.get(int(found[1], 16))
                if number is not None and line.startswith("  ") and line.strip():
                    used.add(number)
                    line += f", !dbg !{NODE + 8 + number}"
            lines.append(line)
        head = f"define preserve_nonecc void @{name}("
        at = next(i for i, line in enumerate(lines) if line.startswith(head))
        lines[at] = lines[at].removesuffix("{") + f"!dbg !{NODE + 2} {{"
        unit, file, function, types, flag = (f"!{NODE + i}" for i in range(5))
        where = f"file: {file}, line: 1, scopeLine: 1, type: {types}, spFlags: DISPFlagDefinition"
        lines += [
            f"!llvm.dbg.cu = !{{{unit}}}",
            f"!llvm.module.flags = !{{{flag}}}",
            f"{unit} = distinct !DICompileUnit(language: DW_LANG_C, file: {file}, emissionKind: LineTablesOnly)",
            f'{file} = !DIFile(filename: "guest", directory: "")',
            f'{function} = distinct !DISubprogram(name: "{name}", scope: {file}, {where}, unit: {unit})',
            f"{types} = !DISubroutineType(types: !{{null}})",
            f'{flag} = !{{i32 2, !"Debug Info Version", i32 3}}',
        ]
        lines += [
            f"!{NODE + 8 + number} = !DILocation(line: {number}, scope: {function})"
            for number in sorted(used)
        ]
        return "\n".join([*lines, ""])


@dataclass
class Relowered:
    """A region, as the compiler sees it. insns: its guest instructions in the order of addresses; lines of text come
    with the number of the one that they are made for, from 1 on, 0 for none.

    same: whether the code is what was run. lines: host addresses, from the image's beginning on, and such numbers: each
    holds up to the next.
    """

    insns: list[Placed]
    emitted: list[tuple[str, int]]
    optimised: list[tuple[str, int]]
    same: bool
    entries: list[int] = field(default_factory=list)
    blocks: frozenset[int] = frozenset()  # where they begin
    lines: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0  # of the code, behind which tables and constants are

    def number(self, offset: int) -> int:
        """Of the guest instruction that a host address belongs to."""
        index = bisect_right(self.lines, (offset, 1 << 30)) - 1
        return self.lines[index][1] if index >= 0 else 0


def relower(isa: Isa, meta: dict[str, Any], code: bytes) -> Relowered:
    """Make a region again from its description (engine.worker), and compare with its code. When that fails, there is no
    more than the guest's code.
    """
    spans = [(at, bytes(piece)) for at, piece in meta["code"]]

    def fetch(address: int, size: int) -> bytes:
        for at, piece in spans:
            if at <= address < at + len(piece):
                return piece[address - at : address - at + size]
        return b""

    unmet = frozenset(meta["unmet"])

    def ran(address: int) -> int:
        return UNMET if address in unmet else MET

    try:
        found = discover(
            isa, fetch, meta["pc"], {site: list(targets) for site, targets in meta["seen"]},
            limit=1 << 20, callees=1 << 20, cold=1 << 20,
            entries=[entry for entry in meta["asked"] if entry != meta["pc"]], ran=ran, hot=meta["hot"],
        )  # fmt: skip
        if found is not None:
            return _compare(isa, found, meta["kind"], code)
    except (PolyvmError, SpecError, RecursionError, AssertionError, LookupError, ValueError):
        pass  # a recording may say anything
    insns, end = [], 0
    for at, piece in spans:
        end = max(at, end)
        while end < at + len(piece):
            placed = placed_at(isa, fetch, end)
            if placed is not None:
                insns.append(placed)
            end += min(isa.sizes) if placed is None else placed.decoded.insn.size
    return Relowered(insns, [], [], same=False)


def _compare(isa: Isa, found: Region, kind: str, code: bytes) -> Relowered:
    texts: list[str] = []

    def look(source: str, module: Any) -> None:
        texts[:] = [source, str(module)]

    _, image = lowered(isa, found, LinedEmitter, kind=kind, look=look)
    flat = flatten.Flat(image)
    flat.pack(["unit"])
    insns = sorted((placed for block in found.blocks.values() for placed in block.insns), key=lambda p: p.pc)
    made = Relowered(
        insns, _numbered(texts[0], "@unit("), _numbered(texts[1], "@unit("), bytes(flat.code) == code[: len(flat.code)],
        entries=list(found.entries), blocks=frozenset(found.blocks),
    )  # fmt: skip
    if made.same:
        made.lines, made.end = _table(image, flat)
    return made


def _numbered(text: str, name: str) -> list[tuple[str, int]]:
    """The lines of the function, each with its number; metadata that says nothing to a reader is left out."""
    lines = text.split("\n")
    nodes: dict[int, int] = {}
    for line in lines:
        found = re.match(r"!(\d+) = !DILocation\(line: (\d+)", line)
        if found:
            nodes[int(found[1])] = int(found[2])
    result: list[tuple[str, int]] = []
    inside = False
    for line in lines:
        if line.startswith("define ") and name in line:
            inside = True
        if inside:
            found = _LOCATION.search(line)
            number = nodes.get(int(found[1]), 0) if found else 0
            result.append((_LOCATION.sub("", line), 0 if line.startswith("define") else number))
        if inside and line == "}":
            break
    return result


def _table(image: bytes, flat: flatten.Flat) -> tuple[list[tuple[int, int]], int]:
    """The object's line table, as addresses in the image, and where the function ends."""
    elffile = wanted("elftools.elf.elffile", "pyelftools", "polyvm report")
    elf = elffile.ELFFile(io.BytesIO(image))
    unit = next(s for s in elf.get_section_by_name(".symtab").iter_symbols() if s.name == "unit")
    place = flat.defined["unit"].place or 0
    moved = place - unit["st_value"]
    dwarf = elf.get_dwarf_info()
    rows: list[tuple[int, int]] = []
    for compile_unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(compile_unit)
        for entry in program.get_entries() if program is not None else ():
            state = entry.state
            if state is not None:
                rows.append((state.address + moved, 0 if state.end_sequence else state.line))
    rows.sort(key=lambda row: row[0])  # stable: of several at an address, the last holds
    return rows, place + unit["st_size"]
