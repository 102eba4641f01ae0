"""Programs into memory: segments, dynamic linker, vDSO and first stack, laid out as Linux does it.

`prepare` reads and checks everything without touching the address space, so that a failing execve leaves
its caller alive; `load` is the point of no return. The layout is the same in every run unless asked
otherwise. Dynamic linking itself is the guest's own business.
"""

from __future__ import annotations

import os
from errno import EAGAIN, ENOMEM

from polyvm.errors import PolyvmError
from polyvm.memory.regions import EXEC, READ, WRITE
from polyvm.memory.space import MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_NORESERVE, GuestFault, MapError
from polyvm.user.elf import (
    ADDRESSES,
    PF_R,
    PF_W,
    PF_X,
    Elf,
    Segment,
    check_program,
    open_program,
    parse,
    read_symbols,
)
from polyvm.user.stack import build_stack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from typing import NoReturn, Protocol

    from polyvm.memory.space import AddressSpace
    from polyvm.user.elf import Symbol

    class Abi(Protocol):
        """The part of a guest's ABI that loading needs."""

        NAME: str
        MACHINE: int
        PLATFORM: str
        STACK_ALIGN: int
        FRAME_BYTES: int

        def hwcap(self, options: Container[str]) -> int:
            """AT_HWCAP of a processor that has these options of the guest's."""

        def vdso(self) -> tuple[bytes, dict[str, int]]:
            """The vDSO's image and the offsets of its functions."""

    # A dynamic linker's name -> an open descriptor; it raises OSError or PolyvmError.
    Resolve = Callable[[bytes], int]

STACK_BYTES = 8 << 20
MMAP_GAP = 128 << 20  # between the stack's top and the first mapping, at least
RANDOM_PAGES = 1 << 18  # what aslr moves by, 1 GiB of 4 KiB pages


class Program:
    """A program and its dynamic linker, checked and open, until it is closed."""

    __slots__ = ("elf", "fd", "interp", "interp_fd", "path")

    def __init__(self, path: bytes, fd: int, elf: Elf, interp_fd: int, interp: Elf | None) -> None:
        self.path = path
        self.fd = fd
        self.elf = elf
        self.interp_fd = interp_fd
        self.interp = interp

    def close(self) -> None:
        """Close both descriptors."""
        for fd in (self.fd, self.interp_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.interp_fd = -1


class LoadedImage:
    """Where everything is once a program has been loaded. It starts with `pc` and `stack_pointer`."""

    __slots__ = (
        "arg_end",
        "arg_start",
        "auxv",
        "base",
        "brk_start",
        "elf",
        "entry",
        "env_end",
        "env_start",
        "identity",
        "interp_base",
        "path",
        "pc",
        "phdr",
        "phent",
        "phnum",
        "stack_bottom",
        "stack_pointer",
        "stack_top",
        "vdso",
        "vdso_symbols",
    )

    pc: int  # the first instruction: the dynamic linker's entry, or the program's
    stack_pointer: int
    stack_bottom: int
    stack_top: int
    arg_start: int  # the strings of argv, for /proc/self/cmdline
    arg_end: int
    env_start: int
    env_end: int

    def __init__(self, path: bytes, elf: Elf, base: int) -> None:
        self.path = path
        self.elf = elf
        # What is added to the file's addresses, below 0 where those are high; 0 unless position independent.
        self.base = base
        self.entry = (elf.entry + base) % ADDRESSES  # the program's own entry, AT_ENTRY
        self.phdr = (elf.phdr + base) % ADDRESSES if elf.phdr else 0
        self.phent = elf.phent
        self.phnum = elf.phnum
        self.interp_base = 0
        self.brk_start = 0
        self.vdso = 0
        self.vdso_symbols: dict[str, int] = {}  # name -> guest address
        self.auxv: list[tuple[int, int]] = []
        self.identity = (0, 0)

    def symbols(self) -> list[Symbol]:
        """(address, size, name) in order of address, read from the file now; [] if it is another by now."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return []
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != self.identity:
                return []
            return [(address + self.base, size, name) for address, size, name in read_symbols(fd)]
        finally:
            os.close(fd)


def prepare(path: bytes | str, abi: Abi, *, fd: int = -1, resolve: Resolve | None = None) -> Program:
    """Open and check a program and its dynamic linker.

    fd: the program, where it is open already; it then belongs to the result. resolve: opens the dynamic
    linker by the name in the program; without it that name is the host's. Raises PVM-FILE-* and PVM-ELF-*.
    """
    path = os.fsencode(path)
    interp_fd = -1
    try:
        if fd < 0:
            fd = open_program(path)
        else:
            check_program(fd, path)
        elf = parse(fd, path, abi.MACHINE)
        interp = None
        if elf.interp is not None:
            interp_fd, interp = _open_interp(elf.interp, path, abi, resolve or open_program)
        return Program(path, fd, elf, interp_fd, interp)
    except PolyvmError as error:
        for opened in (fd, interp_fd):
            if opened >= 0:
                os.close(opened)
        error.add_context(guest=abi.NAME)
        raise


def _open_interp(name: bytes, path: bytes, abi: Abi, resolve: Resolve) -> tuple[int, Elf]:
    fd = -1
    try:
        fd = resolve(name)
        check_program(fd, name)
        return fd, parse(fd, name, abi.MACHINE)
    except (OSError, PolyvmError) as error:
        if fd >= 0:
            os.close(fd)
        reason = error.message if isinstance(error, PolyvmError) else f"{error.strerror}."
        raise PolyvmError(
            "PVM-ELF-INTERP",
            f"The program's dynamic linker cannot be used: {reason}",
            hint="Name the guest's libraries by --sysroot DIR, or link the program statically.",
            path=os.fsdecode(path),
            interp=os.fsdecode(name),
        ) from error


def load(
    space: AddressSpace,
    abi: Abi,
    program: Program,
    argv: Sequence[bytes],
    env: Sequence[bytes],
    *,
    execfn: bytes | None = None,
    stack_bytes: int = STACK_BYTES,
    random: bytes | None = None,
    aslr: bool = False,
    secure: bool = False,
    options: Container[str] = (),
) -> LoadedImage:
    """Map a program into an empty space, build its stack, and set the space's brk_start and mmap_top.

    execfn: what AT_EXECFN names, the program's path by default. random: the 16 bytes of AT_RANDOM. options: what the
    processor has of the guest's. Raises PVM-ELF-INVALID, or PVM-RESOURCE where memory or room is lacking; the space is
    then good for reset() only.
    """
    try:
        slide = _Slide(aslr, space.page_size)
        stack = _map_stack(space, program.elf, stack_bytes, slide)
        base = _load_bias(space, program.elf, slide)
        image = LoadedImage(program.path, program.elf, base)
        status = os.fstat(program.fd)
        image.identity = (status.st_dev, status.st_ino)
        _map_segments(space, program.elf, program.fd, base)
        image.pc = image.entry
        page = space.page_size
        image.brk_start = -(-(program.elf.end + base) // page) * page + slide.pages() * (page if aslr else 0)
        space.brk_start = space.brk_end = image.brk_start
        if program.interp is not None:
            image.interp_base = _interp_bias(space, program.interp)
            _map_segments(space, program.interp, program.interp_fd, image.interp_base)
            image.pc = (program.interp.entry + image.interp_base) % ADDRESSES
        _map_vdso(space, abi, image)
        image.stack_bottom, image.stack_top = stack
        if random is None:
            random = os.urandom(16)
        build_stack(space, abi, image, argv, env, execfn or program.path, random, secure, options)
    except MapError as error:
        if error.errno not in (ENOMEM, EAGAIN):
            raise PolyvmError(
                "PVM-FILE-IO",
                f"The host cannot map the program: {os.strerror(error.errno)}.",
                path=os.fsdecode(program.path),
                guest=abi.NAME,
            ) from error
        raise PolyvmError(
            "PVM-RESOURCE",
            "There is not enough memory, or address space, to load the program.",
            hint="Its headers may ask for more than it needs: see `readelf -lW`.",
            path=os.fsdecode(program.path),
            guest=abi.NAME,
        ) from error
    except GuestFault as error:
        raise PolyvmError(
            "PVM-ELF-TRUNCATED",
            "The program's file became shorter while it was loaded.",
            path=os.fsdecode(program.path),
            guest=abi.NAME,
        ) from error
    except PolyvmError as error:
        error.add_context(guest=abi.NAME, path=os.fsdecode(program.path))
        raise
    return image


class _Slide:
    """By how much aslr moves things; nothing without it."""

    __slots__ = ("aslr", "page")

    def __init__(self, aslr: bool, page: int) -> None:
        self.aslr = aslr
        self.page = page

    def pages(self) -> int:
        return int.from_bytes(os.urandom(4), "little") % RANDOM_PAGES if self.aslr else 0

    def bytes(self) -> int:
        return self.pages() * self.page


def _map_stack(space: AddressSpace, elf: Elf, size: int, slide: _Slide) -> tuple[int, int]:
    """The first stack, at the top of the space: (bottom, top). What is mapped later goes below its gap."""
    page = space.page_size
    top = space.limit - page - slide.bytes()
    size = -(-min(size, space.limit // 6) // page) * page
    prot = READ | WRITE | (EXEC if elf.stack_flags & PF_X else 0)
    space.map(top - size, size, prot, flags=MAP_FIXED_NOREPLACE | MAP_NORESERVE, name="[stack]")
    gap = min(max(size + (1 << 20), MMAP_GAP), space.limit // 6 * 5)
    space.mmap_top = (top - gap - slide.bytes()) // page * page
    return top - size, top


def _load_bias(space: AddressSpace, elf: Elf, slide: _Slide) -> int:
    """What is added to the addresses of the program: two thirds up the space, as Linux's ELF_ET_DYN_BASE."""
    if not elf.position_independent:
        return 0
    align = max(elf.align, space.page_size)
    place = space.limit // 3 * 2 + slide.bytes()
    if elf.end - elf.start + align > space.limit:
        _refuse(elf, "its segments span more than the guest's address space", elf.end - elf.start)
    return (place - elf.start) // align * align


def _interp_bias(space: AddressSpace, elf: Elf) -> int:
    """What is added to the addresses of the dynamic linker: anywhere below the stack."""
    if not elf.position_independent:
        return 0
    page = space.page_size
    align = max(elf.align, page)
    start = elf.start // page * page
    if elf.end - start + align > space.limit:
        _refuse(elf, "its segments span more than the guest's address space", elf.end - start)
    free = space.find_free(elf.end - start + align - page)
    return -(-(free - start) // align) * align


def _map_segments(space: AddressSpace, elf: Elf, fd: int, bias: int) -> None:
    page = space.page_size
    start, end = (elf.start + bias) // page * page, -(-(elf.end + bias) // page) * page
    if start < space.min_address or start < 0 or end > space.limit:
        _refuse(elf, "a segment is outside of the guest's address space", elf.start + bias)
    if space.regions.overlapping(start, end):
        _refuse(elf, "a segment lies where the stack or another program is", elf.start + bias)
    if (bias + elf.entry) % ADDRESSES >= space.limit:
        _refuse(elf, "its entry is outside of the guest's address space", elf.entry)
    for segment in elf.segments:
        if segment.filesz and (segment.address - segment.offset) % page:
            _refuse(elf, "a segment's place in the file does not fit its address", segment.address)
        _map_segment(space, segment, fd, bias, os.fsdecode(elf.path))


def _map_segment(space: AddressSpace, segment: Segment, fd: int, bias: int, name: str) -> None:
    """The file's pages, then zeros to the end of the last of them, then pages of zeros."""
    page = space.page_size
    flags = segment.flags
    prot = (READ if flags & PF_R else 0) | (WRITE if flags & PF_W else 0) | (EXEC if flags & PF_X else 0)
    address, end = segment.address + bias, segment.end + bias
    start, file_end = address // page * page, address + segment.filesz
    zeros = start
    if segment.filesz:
        zeros = -(-file_end // page) * page
        # Segments may share a page; as with Linux, the later one has it.
        offset = segment.offset - (address - start)
        space.map(start, zeros - start, prot, flags=MAP_FIXED, fd=fd, offset=offset, name=name)
        if segment.memsz > segment.filesz:  # to the end of the page, wherever the segment ends: padzero()
            space.poke(file_end, bytes(zeros - file_end))
    if end > zeros:
        space.map(zeros, end - zeros, prot, flags=MAP_FIXED)


def _map_vdso(space: AddressSpace, abi: Abi, image: LoadedImage) -> None:
    data, symbols = abi.vdso()
    if data:
        image.vdso = space.map(None, len(data), READ | EXEC, flags=0, name="[vdso]")
        space.poke(image.vdso, data)
        image.vdso_symbols = {name: image.vdso + offset for name, offset in symbols.items()}


def _refuse(elf: Elf, what: str, value: int) -> NoReturn:
    raise PolyvmError(
        "PVM-ELF-INVALID",
        f"The program cannot be placed in memory: {what}.",
        hint="`readelf -lW` shows its segments.",
        path=os.fsdecode(elf.path),
        found=hex(value),
    )
