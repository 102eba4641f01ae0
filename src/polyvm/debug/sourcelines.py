"""Which line of which source file a guest instruction comes from, where the program's file has DWARF that says so.

Read with pyelftools. Programs may be hostile: what cannot be read gives no lines, and of files that a program names
only such are opened that look like sources, because a page with their text may be handed on.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from typing import Any

from polyvm.debug.extras import wanted

SUFFIXES = (".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".inc", ".rs", ".go", ".s", ".S", ".d", ".f90", ".f",
            ".nim", ".zig", ".adb", ".ads", ".pas", ".swift", ".m", ".mm")  # fmt: skip
MAX_SOURCE = 16 << 20
AROUND = 3
"""Lines before the first and after the last that is shown."""

Line = tuple[str, int]


class Program:
    """The line tables of one file. Files that have none, or damaged ones, answer nothing."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.data = b""
        self._segments: list[tuple[int, int, int]] = []
        self._dwarf: Any = None
        elffile = wanted("elftools.elf.elffile", "pyelftools", "polyvm report")
        try:
            with open(path, "rb") as file:
                self.data = file.read()
            elf = elffile.ELFFile(io.BytesIO(self.data))
            self._segments = [
                (s["p_vaddr"], s["p_offset"], s["p_filesz"])
                for s in elf.iter_segments()
                if s["p_type"] == "PT_LOAD"
            ]
            if elf.has_dwarf_info(strict=True):
                self._dwarf = elf.get_dwarf_info()
        except Exception:  # the library raises what it happens to meet in a damaged file
            self._dwarf = None

    def holds(self, address: int, code: bytes) -> bool:
        """Whether the file has this very code at one of its own addresses."""
        for start, offset, size in self._segments:
            if start <= address and address + len(code) <= start + size:
                at = offset + address - start
                return self.data[at : at + len(code)] == code
        return False

    def lines(self, addresses: list[int]) -> dict[int, Line]:
        """The (file, line) of each address that has one."""
        if self._dwarf is None or not addresses:
            return {}
        found: dict[int, Line] = {}
        try:
            for unit in self._dwarf.iter_CUs():
                if len(found) == len(addresses):
                    break
                self._unit(unit, sorted(addresses), found)
        except Exception:  # the library raises what it happens to meet in damaged tables
            return found
        return found

    def _unit(self, unit: Any, addresses: list[int], found: dict[int, Line]) -> None:
        top = unit.get_top_DIE()
        if not _touches(self._dwarf, unit, top, addresses):
            return
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return
        folder = _text(top, "DW_AT_comp_dir")
        names: dict[int, str] = {}
        before: Any = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if before is not None and not before.end_sequence and before.line:
                index = bisect_right(addresses, before.address - 1)
                while index < len(addresses) and addresses[index] < state.address:
                    if before.file not in names:
                        names[before.file] = _name(program, before.file, folder)
                    found[addresses[index]] = names[before.file], before.line
                    index += 1
            before = state


def _touches(dwarf: Any, unit: Any, top: Any, addresses: list[int]) -> bool:
    """Whether some of the addresses may be in a compilation unit: where it does not say, it is taken to be so."""
    low, high = top.attributes.get("DW_AT_low_pc"), top.attributes.get("DW_AT_high_pc")
    if low is None or high is None:
        return True
    end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
    index = bisect_right(addresses, low.value - 1)
    return index < len(addresses) and addresses[index] < end


def _text(die: Any, name: str) -> str:
    attribute = die.attributes.get(name)
    return "" if attribute is None else attribute.value.decode("utf-8", "replace")


def _name(program: Any, number: int, folder: str) -> str:
    """A file's name: DWARF 5 counts files and folders from 0, those before it from 1 (6.2.4)."""
    header = program.header
    five = header.version >= 5
    entry = header.file_entry[number if five else number - 1]
    folders = [part.decode("utf-8", "replace") for part in header.include_directory]
    place = entry.dir_index if five else entry.dir_index - 1
    below = folders[place] if 0 <= place < len(folders) else ""
    return os.path.normpath(os.path.join(folder, below, entry.name.decode("utf-8", "replace")))


def text_of(path: str, first: int, last: int) -> list[tuple[int, str]]:
    """Lines of a source file, with some around, numbered; none where the file is not there, or is none."""
    if not path.endswith(SUFFIXES):
        return []
    try:
        if os.path.getsize(path) > MAX_SOURCE or not os.path.isfile(path):
            return []
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    begin, end = max(1, first - AROUND), min(len(lines), last + AROUND)
    return [(number, lines[number - 1]) for number in range(begin, end + 1)]
