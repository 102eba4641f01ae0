"""Call frames from a program's unwind tables: DWARF call frame information, as the psABIs put it into .eh_frame, and as
debuggers have it in .debug_frame (DWARF 5, 6.4.1).

Tables are data of a program that may be hostile, so everything is bounded, and what is odd ends the walk (Damaged).
Rules that are DWARF expressions are refused: compilers write them for hand-made frames only.
"""

from __future__ import annotations

from _bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Load = Callable[[int], int]
    """The 64 bits at a guest address."""
    Find = Callable[[int], "tuple[Tables, int] | None"]
    """The tables of the file that is mapped at an address, and how far it was moved."""

MAX_ENTRIES, MAX_FRAMES, MAX_STEPS = 1 << 18, 64, 1 << 16
REGISTERS = 128  # that have DWARF numbers, in every guest: floating point and vectors too
WORD = (1 << 64) - 1

# Pointer encodings (Linux Standard Base, "DWARF Extensions"): low bits the format, high bits what it is relative to.
_FIXED = {0x00: (8, False), 0x02: (2, False), 0x03: (4, False), 0x04: (8, False),
          0x0A: (2, True), 0x0B: (4, True), 0x0C: (8, True)}  # fmt: skip
_ULEB, _SLEB, _PC_RELATIVE = 0x01, 0x09, 0x10


class Damaged(Exception):
    """The tables cannot be read, or use what is refused here."""


class _Reader:
    """Reads numbers one after the other from `data`, which stands at `address` in the program."""

    __slots__ = ("address", "at", "data", "end")

    def __init__(self, data: memoryview, address: int, at: int, end: int) -> None:
        self.data = data
        self.address = address
        self.at = at
        self.end = end

    def number(self, size: int, signed: bool = False) -> int:
        if self.at + size > self.end:
            raise Damaged("an entry ends too early")
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "little", signed=signed)

    def uleb(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
        raise Damaged("a number is too long")

    def sleb(self) -> int:
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> bits - 1 & 1 else value

    def text(self) -> bytes:
        start = self.at
        while self.number(1):
            pass
        return bytes(self.data[start : self.at - 1])

    def pointer(self, encoding: int) -> int:
        here = self.address + self.at
        if encoding & 0x0F == _ULEB:
            value = self.uleb()
        elif encoding & 0x0F == _SLEB:
            value = self.sleb()
        elif encoding & 0x0F in _FIXED:
            value = self.number(*_FIXED[encoding & 0x0F])
        else:
            raise Damaged(f"pointer encoding {encoding:#x}")
        if encoding & 0x70 not in (0, _PC_RELATIVE):
            raise Damaged(f"pointer encoding {encoding:#x}")
        return (value + here if encoding & 0x70 else value) & WORD


class _Common:
    """A common information entry: what several functions share."""

    __slots__ = ("augmented", "code_align", "data_align", "encoding", "program", "return_column")

    def __init__(self, reader: _Reader) -> None:
        version = reader.number(1)
        if version not in (1, 3, 4):
            raise Damaged(f"version {version}")
        augmentation = reader.text()
        if version == 4 and (reader.number(1), reader.number(1)) != (8, 0):
            raise Damaged("addresses are no 64 bits, or have segments")
        if augmentation and augmentation[:1] != b"z":
            raise Damaged(f"augmentation {augmentation!r}")
        self.code_align = reader.uleb()
        self.data_align = reader.sleb()
        self.return_column = reader.number(1) if version == 1 else reader.uleb()
        self.encoding = 0
        self.augmented = bool(augmentation)
        if augmentation:
            size = reader.uleb()
            after = reader.at + size
            for letter in augmentation[1:]:
                if letter == ord("R"):
                    self.encoding = reader.number(1)
                elif letter == ord("P"):
                    reader.pointer(reader.number(1))
                elif letter == ord("L"):
                    reader.number(1)
                elif letter != ord("S"):
                    raise Damaged(f"augmentation {augmentation!r}")
            reader.at = after
        self.program = (reader.at, reader.end)


class Rules:
    """Where the caller's registers are: the frame's address is `register + offset`, `saved` are distances from it.

    A register that is None in `saved` is lost; one that is not there is as it was.
    """

    __slots__ = ("offset", "register", "return_column", "saved")

    def __init__(self, return_column: int) -> None:
        self.return_column = return_column
        self.register = self.offset = 0
        self.saved: dict[int, int | None] = {}


class Tables:
    """The unwind tables of one file: .eh_frame's bytes, and the address where the file wants them; or .debug_frame's,
    which have none, and whose entries count from their beginning.
    """

    def __init__(self, address: int, data: memoryview, *, debug: bool = False) -> None:
        self.debug = debug
        self.address = address
        self.data = data
        found = sorted(self._entries(), key=lambda entry: entry[0])
        self.starts = [start for start, *_ in found]
        self._found = found

    def _entries(self) -> Iterator[tuple[int, int, _Common, tuple[int, int]]]:
        """Every function: start, end, what it shares, and its program."""
        shared: dict[int, _Common] = {}
        at = 0
        for _ in range(MAX_ENTRIES):
            if at + 4 > len(self.data):
                return
            head = _Reader(self.data, self.address, at, len(self.data))
            size = head.number(4)
            if size == 0 or size == 0xFFFF_FFFF or head.at + size > len(self.data):
                return  # the end, or a 64-bit entry, which no linker writes
            begin, at = head.at, head.at + size
            reader = _Reader(self.data, self.address, begin, at)
            try:
                back = reader.number(4)
                if back == (0xFFFF_FFFF if self.debug else 0):
                    shared[begin - 4] = _Common(reader)
                    continue
                common = shared.get(back if self.debug else begin - back)
                if common is None:
                    continue
                start = reader.pointer(common.encoding)
                end = start + reader.pointer(common.encoding & 0x0F)
                if common.augmented:
                    skipped = reader.uleb()
                    reader.at += skipped
            except Damaged:
                continue  # this entry only: the others have their own sizes
            yield start, end, common, (reader.at, at)

    def rules(self, address: int) -> Rules | None:
        """The rules at an address, or None where no function is described. Raises Damaged."""
        index = bisect_right(self.starts, address) - 1
        if index < 0 or address >= self._found[index][1]:
            return None
        start, _, common, program = self._found[index]
        rules = Rules(common.return_column)
        self._run(common.program, common, rules, None, 0, WORD)
        initial = dict(rules.saved)
        self._run(program, common, rules, initial, start, address)
        return rules

    def _run(
        self,
        program: tuple[int, int],
        common: _Common,
        rules: Rules,
        initial: dict[int, int | None] | None,
        here: int,
        until: int,
    ) -> None:
        """Run a table's program up to an address (DWARF 5, 6.4.2)."""
        reader = _Reader(self.data, self.address, *program)
        stack: list[tuple[int, int, dict[int, int | None]]] = []
        saved = rules.saved
        for _ in range(MAX_STEPS):
            if reader.at >= reader.end:
                break
            code = reader.number(1)
            high, low = code & 0xC0, code & 0x3F
            if high == 0x40 or code in (0x01, 0x02, 0x03, 0x04):  # advance_loc, set_loc, advance_loc1, 2, 4
                if code == 0x01:
                    here = reader.pointer(common.encoding)
                else:
                    here += common.code_align * (low if high else reader.number(1 << low - 2))
                if here > until:
                    break
            elif high == 0x80:  # offset
                saved[low] = reader.uleb() * common.data_align
            elif high == 0xC0 or code == 0x06:  # restore, restore_extended
                self._restore(saved, low if high else reader.uleb(), initial)
            elif code in (0x05, 0x11):  # offset_extended, offset_extended_sf
                register = reader.uleb()
                saved[register] = (reader.uleb() if code == 0x05 else reader.sleb()) * common.data_align
            elif code == 0x07:  # undefined
                saved[reader.uleb()] = None
            elif code == 0x08:  # same_value
                saved.pop(reader.uleb(), None)
            elif code == 0x0A:  # remember_state
                stack.append((rules.register, rules.offset, dict(saved)))
            elif code == 0x0B:  # restore_state
                if not stack:
                    raise Damaged("a state is restored that was not remembered")
                rules.register, rules.offset, kept = stack.pop()
                saved.clear()
                saved.update(kept)
            elif code in (0x0C, 0x12):  # def_cfa, def_cfa_sf
                rules.register = reader.uleb()
                rules.offset = reader.uleb() if code == 0x0C else reader.sleb() * common.data_align
            elif code == 0x0D:  # def_cfa_register
                rules.register = reader.uleb()
            elif code in (0x0E, 0x13):  # def_cfa_offset, def_cfa_offset_sf
                rules.offset = reader.uleb() if code == 0x0E else reader.sleb() * common.data_align
            elif code == 0x2E:  # GNU_args_size
                reader.uleb()
            elif code == 0x2D:  # AARCH64_negate_ra_state: walk() takes codes off all return addresses
                pass
            elif code != 0x00:
                raise Damaged(f"instruction {code:#x}")

    @staticmethod
    def _restore(saved: dict[int, int | None], register: int, initial: dict[int, int | None] | None) -> None:
        if initial is not None and register in initial:
            saved[register] = initial[register]
        else:
            saved.pop(register, None)


class Joined(Tables):
    """Several tables of one file; what is in none of the first is looked for in the next."""

    def __init__(self, *tables: Tables) -> None:
        self.tables = tables
        self.starts = sorted({start for each in tables for start in each.starts})

    def rules(self, address: int) -> Rules | None:
        """The rules at an address, or None where no function is described. Raises Damaged."""
        for each in self.tables:
            found = each.rules(address)
            if found is not None:
                return found
        return None


def walk(
    registers: Sequence[int], pc: int, stack: int, find: Find, load: Load, mask: int = WORD
) -> Iterator[tuple[int, int]]:
    """The callers of the function at pc, as (return address, stack pointer), as far as the tables lead.

    registers: by their DWARF numbers. stack: the stack pointer's number. mask: the bits of a return address. load
    raises Damaged where nothing is mapped.
    """
    values: list[int | None] = list(registers)
    inside = pc
    for depth in range(MAX_FRAMES):
        found = find(inside)
        rules = None if found is None else found[0].rules(inside - found[1] & WORD)
        if rules is None or max(rules.register, rules.return_column, stack) >= len(values):
            return
        if max(rules.saved, default=0) >= REGISTERS:
            return
        base = values[rules.register]
        if base is None:
            return
        frame = base + rules.offset & WORD
        before = values[stack]
        values[stack] = frame
        for register, place in rules.saved.items():
            if register < len(values):  # others, of floating point, help nobody find the way
                values[register] = None if place is None else load(frame + place & WORD)
        address = values[rules.return_column]
        address = None if address is None else address & mask
        # Frames lie one above the other, and only the innermost may be empty: else this goes in circles.
        if not address or before is None or frame < before + (depth > 0):
            return
        yield address, frame
        inside = address - 1  # the call, not what follows it
