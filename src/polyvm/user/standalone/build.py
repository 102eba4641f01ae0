"""A standalone program put together: the runtime, the engine's code, the guest's memory, in one executable.

`Beginning` is a program as it is in memory before its first instruction; what is compiled of it comes from the code
cache. The file's segments, by address (`places`):

    RUNTIME      r-x  the runtime: user.standalone.{start, memory, files, calls, own}, compiled
    TABLES       r--  ranges of units for the signal handler, entries, spans, auxiliary vector, files that are inside
    DATA         rw-  control block, table of system calls, thread state; then, zero at the start: signal stack,
                      counters, scratch, the table of what is mapped
    NATIVE       r-x  the guest's interpreter (engine.interpreter), with the signal handler
    behind it    rw-  its process block (layout.PROCESS), and r-x the units
    GUEST + n    ...  the guest's memory at address n, as far as it has bytes

What else there is, is mapped by the runtime: the guest's zeros and stack, code slots, the map of executable pages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from polyvm.engine import cachedir, layout, unitfiles
from polyvm.engine import compile as compiler
from polyvm.engine import image as images
from polyvm.engine import native as natives
from polyvm.engine.guest import Guest
from polyvm.engine.layout import ST
from polyvm.errors import PolyvmError, from_oserror
from polyvm.memory.regions import EXEC
from polyvm.memory.space import HOST_PROT
from polyvm.user import stack
from polyvm.user.hostabi import numbers
from polyvm.user.natively import Natively
from polyvm.user.standalone import calls, executable, files, memory, places, start
from polyvm.user.standalone.executable import READ, WRITE, Segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from polyvm.engine.image import Image

PAGE = 4096
_UNIT_ALIGN = 64
_HOSTS = (stack.AT_UID, stack.AT_EUID, stack.AT_GID, stack.AT_EGID, stack.AT_SECURE)
_MADE = {stack.AT_RANDOM: places.RANDOM, stack.AT_EXECFN: places.EXECFN, stack.AT_PLATFORM: places.PLATFORM}


@dataclass(frozen=True)
class Beginning:
    """A program before its first instruction.

    regions: (from, to, protection, bytes) of its memory but for the stack; bytes that are missing at the end are 0.
    state: registers and the like, (offset in the thread's state, bytes). auxv: (type, value). files: what its dynamic
    linker opens, by name, None for what it must not find. code: (from, to, place in its file) of what is mapped as code
    when the program itself begins.
    """

    guest: str
    pc: int
    regions: list[tuple[int, int, int, bytes]]
    state: list[tuple[int, bytes]]
    stack: tuple[int, int]
    brk: int
    mmap_top: int
    auxv: list[tuple[int, int]]
    files: dict[bytes, bytes | None] = field(default_factory=dict)
    code: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass
class Made:
    """A standalone program: its bytes, and what is in it."""

    data: bytes
    units: int
    code_bytes: int
    unit_bytes: int


def runtime(guest: str, folder: str | None = None) -> bytes:
    """The image of a guest's runtime, the same for all programs: kept in the code cache, where there is one."""
    import hashlib

    m = start.Runtime(Guest(guest))
    memory.add(m)
    files.add(m)
    calls.add(m)
    start.add(m)
    text = compiler.host_module().start_ir() + m.text()
    identity = hashlib.sha256("\0".join([*compiler.host_cpu(), text]).encode()).digest()
    name = f"tier0/standalone-{guest}-{identity.hex()[:16]}.pvi"
    kept = cachedir.read(folder, name) if folder is not None else None
    if kept:
        try:
            image, _ = images.placed(kept, places.RUNTIME)
            if image.meta == identity:
                return kept
        except PolyvmError:
            pass  # it is damaged: it is made again
    made = compiler.build(text, ["pv_start"], runtime=False, meta=identity)
    if folder is not None:
        cachedir.write(folder, name, made)
    return made


def build(
    beginning: Beginning,
    interpreter: bytes,
    units: Iterable[bytes],
    code: dict[int, bytes],
    started: bytes = b"",
) -> Made:
    """The executable of a program. interpreter: its guest's image. units: images of compiled regions. code: what is
    executable of it, by pages. started: the runtime's image, made now when left out.

    Raises PVM-CACHE-DAMAGED for what is no image.
    """
    return _Builder(beginning, interpreter, code).made(units, started or runtime(beginning.guest))


class Library(NamedTuple):
    """Code that is mapped from a file: its number, the place in it, and the guest addresses; in order of mapping."""

    file: int
    offset: int
    low: int
    high: int


def _which(libraries: Iterable[Library], place: int) -> Library | None:
    """The library that an address is in."""
    return next((one for one in libraries if one.low <= place < one.high), None)


class _Builder:
    """Lays one program out."""

    def __init__(self, beginning: Beginning, interpreter: bytes, code: dict[int, bytes]) -> None:
        self.beginning = beginning
        self.guest = Guest(beginning.guest)
        self.code = code
        self.image, self.native = images.placed(interpreter, places.NATIVE)
        self.decode = self.image.address("decode")
        self.process = self.image.base + (self.image.size + PAGE - 1 & -PAGE)
        self.units_at = self.process + layout.PROCESS_SIZE
        self.tables = bytearray()
        self.units: list[Image] = []
        self.text = bytearray()
        self.entries: dict[int, int] = {}
        self.code_bytes = 0
        self.files = list(beginning.files.items())[: places.MAX_FILES]
        self.libraries = self._libraries()
        self.grouped: dict[Library | None, list[tuple[int, int]]] = {}  # entries, by what they come with

    def made(self, units: Iterable[bytes], started: bytes) -> Made:
        self._take_units(units)
        beginning = self.beginning
        ranges = self._table(natives.range_table([natives.Range.of(unit) for unit in self.units]))
        begin, begin_code = images.placed(started, places.RUNTIME)
        control = self._control()
        fields = natives.process_fields(self.image)
        block = start.block_fields(fields, ranges, self.image.address("pv_signal"))
        segments = [
            Segment(places.RUNTIME, READ | executable.EXEC, begin_code),
            Segment(self.image.base, READ | executable.EXEC, self.native),
            Segment(self.process, READ | WRITE, block),
            Segment(self.units_at, READ | executable.EXEC, bytes(self.text)),
            Segment(places.DATA, READ | WRITE, self._data(control), places.DATA_END - places.DATA),
            Segment(places.TABLES, READ, bytes(self.tables)),
        ]
        for low, high, prot, data in beginning.regions:
            whole = min(len(data) + PAGE - 1 & -PAGE, high - low)
            if whole:
                segments.append(Segment(places.GUEST + low, host_prot(prot), data.ljust(whole, b"\0")))
        data = executable.write(segments, begin.address("pv_start"))
        return Made(data, len(self.units), self.code_bytes, len(self.text))

    # -- compiled code
    def _take_units(self, units: Iterable[bytes]) -> None:
        """Units that were made of just this code, each where it will lie, and the entries that lead to them."""
        own: dict[int, int] = {}
        covered: dict[int, int] = {}
        libraries = self.libraries
        groups: dict[tuple[int, int], Library | None] = {}
        for data in units:
            at = self.units_at + len(self.text)
            image, code = images.placed(data, at)
            unit = described(image)
            if not self._fits(unit):
                continue
            self.text += code + bytes(-len(code) % _UNIT_ALIGN)
            self.units.append(image)
            distance = image.address("unit") - self.decode
            # With the last that is mapped of what it was made from, the others are there.
            among = [found for at, _ in unit["code"] if (found := _which(libraries, at)) is not None]
            group = max(among, default=None)
            for place in unit["entries"]:
                groups[place, distance] = group
                (own if unitfiles.covers(unit["own"], place) else self.entries).setdefault(place, distance)
            for low, size in unit["own"]:
                covered[low] = max(covered.get(low, 0), size)
        if self.units_at + len(self.text) - self.decode >= 1 << 31:
            raise PolyvmError(
                "PVM-RESOURCE", "The program's compiled code is too large.", bytes=len(self.text)
            )
        self.entries |= own  # a function has a unit of its own besides those that took it along
        self.code_bytes = sum(covered.values())
        for entry in self.entries.items():
            self.grouped.setdefault(groups[entry], []).append(entry)

    def _libraries(self) -> list[Library]:
        """The code that is mapped from files that are inside, once the program runs."""
        present = [(low, high) for low, high, _, _ in self.beginning.regions]
        found = []
        for low, high, offset in self.beginning.code:
            if any(start < high and end > low for start, end in present):
                continue
            code = self._fetch(low, high - low)
            for number, (_, data) in enumerate(self.files):
                if data is not None and data[offset : offset + len(code)].ljust(len(code), b"\0") == code:
                    found.append(Library(number, offset, low, high))
                    break
        return sorted(found)[: places.MAX_FILES]

    def _fits(self, unit: dict[str, Any]) -> bool:
        return unit["reach"] <= places.LIMIT and all(
            self._fetch(at, len(code)) == code for at, code in unit["code"]
        )

    def _fetch(self, at: int, size: int) -> bytes:
        parts = b"".join(
            self.code.get(page, b"").ljust(PAGE, b"\0") for page in range(at & -PAGE, at + size, PAGE)
        )
        return parts[at & PAGE - 1 : (at & PAGE - 1) + size]

    # -- tables
    def _table(self, data: bytes) -> int:
        """Put a table among those that are only read; its address."""
        at = places.TABLES + len(self.tables)
        self.tables += data + bytes(-len(data) % 16)
        return at

    def _rows(self, rows: Iterable[bytes]) -> tuple[int, int]:
        found = list(rows)
        return self._table(b"".join(found)), len(found)

    def _control(self) -> bytes:
        beginning = self.beginning
        bottom, top = beginning.stack
        zeros = [(bottom, top, 3)]
        for low, high, prot, data in beginning.regions:
            filled = low + (len(data) + PAGE - 1 & -PAGE)
            if filled < high:
                zeros.append((filled, high, prot))
        spans = joined([(bottom, top), *((low, high) for low, high, _, _ in beginning.regions)])
        code = joined([(low, high) for low, high, prot, _ in beginning.regions if prot & EXEC])
        platform = self.guest.abi.PLATFORM.encode() + b"\0"
        fields = {
            "enter": self.image.address("pv_enter"), "handler": self.image.address("pv_signal"),
            "copy": self.image.address("pv_copy"), "entry": beginning.pc, "stack_bottom": bottom, "stack_top": top,
            "brk_start": beginning.brk, "brk_end": beginning.brk, "mmap_top": beginning.mmap_top,
            "platform": self._table(platform), "code_low": places.LIMIT,
        }  # fmt: skip
        for name, count, rows in (
            ("maps", "map_count", [places.MAP.pack(low, high - low, host_prot(prot)) for low, high, prot in zeros]),
            ("spans", "span_count", [places.SPAN.pack(*span) for span in spans]),
            ("code", "code_count", [places.SPAN.pack(*span) for span in code]),
            ("entries", "entry_count", self._entries(None)),
            ("files", "file_count", [self._file(name, data) for name, data in self.files]),
            ("libraries", "library_count", [
                places.LIBRARY.pack(*library, *self._rows(self._entries(library)))
                for library in self.libraries
            ]),
            ("auxv", "auxv_count", [places.AUXV.pack(kind, value, how(kind)) for kind, value in beginning.auxv]),
        ):  # fmt: skip
            fields[name], fields[count] = self._rows(rows)
        block = bytearray(places.CONTROL_SIZE)
        for name, value in fields.items():
            block[places.CT[name] : places.CT[name] + 8] = value.to_bytes(8, "little")
        return bytes(block)

    def _entries(self, library: Library | None) -> list[bytes]:
        """The entries that come with a library, or with the program."""
        found = sorted(self.grouped.get(library, ()))
        return [places.ENTRY.pack(pc, distance & 0xFFFF_FFFF) for pc, distance in found]

    def _file(self, name: bytes, data: bytes | None) -> bytes:
        name += b"\0"
        content = (0, 0) if data is None else (self._table(data or b"\0"), len(data))
        return places.FILE.pack(self._table(name), len(name), *content)

    def _data(self, control: bytes) -> bytes:
        """The control block, the table of calls that native code makes, and the thread's state, as they begin."""
        natively = Natively(self.guest.abi, self.guest.places)
        hosts = numbers()
        for number, _, found in calls.declared(self.guest.abi):
            sees = bool(self.files) and found is not None and found.name in files.CALLS
            if found is not None and calls.natively(found) and found.name in hosts and not sees:
                natively.add(number, hosts[found.name], found, found.moved)
        state = bytearray(layout.STATE_SIZE)
        for offset, data in self.beginning.state:
            state[offset : offset + len(data)] = data
        fields = start.state_fields(natives.state_fields(self.image, self.decode, self.process))
        fields["leave_syscall"] = self.image.address("leave_SYSCALL")
        for name, value in fields.items():
            state[ST[name] : ST[name] + layout.SIZES[name]] = value.to_bytes(layout.SIZES[name], "little")
        whole = control + bytes(natively.bytes)
        return whole.ljust(places.STATE - places.DATA, b"\0") + bytes(state).rstrip(b"\0")


def host_prot(prot: int) -> int:
    """The host's protection for a guest's: what may be executed can be read."""
    return HOST_PROT[prot] | (READ if prot & EXEC else 0)


def how(kind: int) -> int:
    """Where the value of an entry of the auxiliary vector comes from."""
    return places.HOSTS if kind in _HOSTS else _MADE.get(kind, places.GIVEN)


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and found[-1][1] == low:
            found[-1] = found[-1][0], high
        else:
            found.append((low, high))
    return found


def described(image: Image) -> dict[str, Any]:
    """What a unit says of itself. Raises PVM-CACHE-DAMAGED."""
    import marshal

    try:
        found: dict[str, Any] = marshal.loads(image.meta)
    except (ValueError, EOFError, TypeError) as error:
        raise PolyvmError(
            "PVM-CACHE-DAMAGED", "A unit's description cannot be read.", unit="memory"
        ) from error
    return found


def check_output(path: str) -> None:
    """See that a file of this name could be made, before much is done for it. Raises PVM-FILE-*."""
    if os.path.isdir(path) or path.endswith("/"):
        raise PolyvmError(
            "PVM-FILE-DIRECTORY", "The output is a directory.", hint="Name a file by -o.", path=path
        )
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise PolyvmError("PVM-FILE-MISSING", "The output's folder does not exist.", path=path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PolyvmError("PVM-FILE-DENIED", "No file can be made in the output's folder.", path=path)


def write(path: str, data: bytes) -> None:
    """Have a file of this name, executable, whole or not at all. Raises PVM-FILE-*."""
    check_output(path)
    beside = f"{path}.{os.getpid()}.new"
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, 0o755)
        finally:
            os.close(fd)
        os.rename(beside, path)
    except BaseException as error:
        try:
            os.unlink(beside)
        except OSError:
            pass  # it was not made, or has its name
        if isinstance(error, OSError):
            raise from_oserror(error, "The executable cannot be written") from error
        raise
