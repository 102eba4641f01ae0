"""Programs in memory: every page, every right, and a first stack that a C library can start from."""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.space import AddressSpace, GuestFault
from polyvm.user import stack
from polyvm.user.loader import LoadedImage, load, prepare
from tests.user.elfs import (
    ET_DYN,
    PT_GNU_STACK,
    PT_INTERP,
    R,
    SmallAbi,
    W,
    X,
    descriptor,
    elf,
    phdr,
    pie,
    static,
    with_symbols,
    write,
)

ABI = SmallAbi()
PAGE = 4096


@pytest.fixture(scope="module")
def shared_space() -> Iterator[AddressSpace]:
    made = AddressSpace(bits=38)
    yield made
    made.close()


@pytest.fixture
def space(shared_space: AddressSpace) -> AddressSpace:
    shared_space.reset()
    shared_space.memory_limit = None
    shared_space.min_address = 0x10000
    return shared_space


def start(
    space: AddressSpace,
    data: bytes,
    argv: tuple[bytes, ...] = (b"prog",),
    env: tuple[bytes, ...] = (),
    interp: bytes | None = None,
    **options: object,
) -> LoadedImage:
    program = prepare(
        b"/the/program",
        ABI,
        fd=descriptor(data),
        resolve=(lambda name: descriptor(interp)) if interp is not None else None,
    )
    try:
        return load(space, ABI, program, argv, env, **options)
    finally:
        program.close()


def maps(space: AddressSpace) -> list[tuple[int, int, str, str]]:
    return [(r.start, r.end, r.permissions, r.name or (r.backing.path if r.backing else "")) for r in space]


class Stack:
    """The first stack, read as a C library reads it."""

    def __init__(self, space: AddressSpace, image: LoadedImage) -> None:
        at = image.stack_pointer
        self.argc = space.read_u64(at)
        at += 8
        pointers = []
        for _ in range(2):
            found = []
            while value := space.read_u64(at):
                found.append(value)
                at += 8
            at += 8
            pointers.append(found)
        self.argv_at, self.env_at = pointers
        self.argv = [space.read_cstr(p) for p in self.argv_at]
        self.env = [space.read_cstr(p) for p in self.env_at]
        self.auxv = {}
        while (key := space.read_u64(at)) != 0:
            assert key not in self.auxv
            self.auxv[key] = space.read_u64(at + 8)
            at += 16
        self.end = at + 16


def test_a_linker_where_the_program_is(space: AddressSpace) -> None:
    both = elf([phdr(), phdr(3, R, 0x600, 0, 4)], data={0x600: b"/ld\0"})
    with pytest.raises(PolyvmError, match="another program") as caught:
        start(space, both, interp=static())
    assert caught.value.code == "PVM-ELF-INVALID"
    space.reset()


# ---------------------------------------------------------------------------- segments
def test_static_program(space: AddressSpace) -> None:
    image = start(space, static())
    assert maps(space)[:4] == [
        (0x10000, 0x12000, "r-xp", "/the/program"),
        (0x12000, 0x14000, "rw-p", "/the/program"),
        (0x14000, 0x16000, "rw-p", ""),
        (0x3FF7FFE000, 0x3FF7FFF000, "r-xp", "[vdso]"),
    ]
    assert maps(space)[4:] == [(0x3FFF7FF000, 0x3FFFFFF000, "rw-p", "[stack]")]
    assert (image.pc, image.entry, image.base) == (0x10100, 0x10100, 0)
    assert (image.phdr, image.phnum, image.phent) == (0x10040, 3, 56)
    assert image.brk_start == space.brk_start == space.brk_end == 0x16000
    assert space.read(0x10000, 4) == b"\x7fELF"
    assert space.fetch(image.pc, 4) == b"\x13\x00\x00\x00"
    assert space.read(0x12800, 0x900) == b"D" * 0x900
    # What stands behind the data in the file is not in the bss.
    assert space.read(0x13100, 0x2700) == bytes(0x2700)
    assert host.peek(space.xmap + 0x10, 6) == b"\1\1\0\0\0\0"


def test_position_independent_program(space: AddressSpace) -> None:
    image = start(space, pie())
    assert image.base == 0x4000000000 // 3 * 2 // PAGE * PAGE
    assert image.pc == image.entry == image.base + 0x100
    assert image.phdr == image.base + 64
    assert image.brk_start == image.base + 0x4000
    assert space.lookup(image.base).permissions == "r-xp"
    assert space.lookup(image.base + 0x2E00).permissions == "rw-p"
    assert space.read(image.base + 0x3200, 0x100) == bytes(0x100)


def test_alignment_of_a_position_independent_program(space: AddressSpace) -> None:
    image = start(space, elf([phdr(address=0x1000, align=1 << 24)], type=ET_DYN, entry=0x1100))
    assert image.base % (1 << 24) == 0
    assert space.lookup(image.base + 0x1000) is not None


def test_dynamic_program_starts_in_its_linker(space: AddressSpace) -> None:
    image = start(space, pie(b"/lib/ld.so"), interp=pie())
    assert image.interp_base % PAGE == 0
    assert image.pc == image.interp_base + 0x100
    assert image.entry == image.base + 0x100 != image.pc
    assert image.brk_start == image.base + 0x4000
    assert space.lookup(image.pc).backing.path == "/lib/ld.so"
    assert image.base < image.interp_base < image.stack_bottom
    auxv = Stack(space, image).auxv
    assert (auxv[stack.AT_BASE], auxv[stack.AT_ENTRY]) == (image.interp_base, image.entry)
    assert auxv[stack.AT_PHDR] == image.base + 64


def test_a_linker_may_have_a_fixed_address(space: AddressSpace) -> None:
    image = start(space, pie(b"/lib/ld.so"), interp=static())
    assert (image.interp_base, image.pc) == (0, 0x10100)


def test_a_program_and_a_linker_with_high_addresses(space: AddressSpace) -> None:
    high = elf([phdr(address=1 << 57)], type=ET_DYN, entry=(1 << 57) + 0x100)
    program = elf(
        [phdr(PT_INTERP, R, 0x600, 0x600, 4, align=1), phdr(address=1 << 57)],
        data={0x600: b"/ld\0"},
        type=ET_DYN,
        entry=(1 << 57) + 0x100,
    )
    image = start(space, program, interp=high)
    assert image.base < image.interp_base < 0
    assert image.pc == (1 << 57) + 0x100 + image.interp_base < space.limit
    auxv = Stack(space, image).auxv
    assert auxv[stack.AT_BASE] == 2**64 + image.interp_base
    assert auxv[stack.AT_ENTRY] == (1 << 57) + image.base + 0x100
    assert auxv[stack.AT_PHDR] == (1 << 57) + image.base + 64


def test_a_linker_with_a_large_alignment(space: AddressSpace) -> None:
    image = start(space, pie(b"/ld"), interp=elf([phdr(address=0, align=1 << 21)], type=ET_DYN, entry=0))
    assert image.interp_base % (1 << 21) == 0


@pytest.mark.parametrize(
    ("flags", "permissions"),
    [
        (R, "r--p"),
        (W, "-w-p"),
        (X, "--xp"),
        (R | W, "rw-p"),
        (R | X, "r-xp"),
        (R | W | X, "rwxp"),
        (0, "---p"),
    ],
)
def test_rights_are_the_file_s(space: AddressSpace, flags: int, permissions: str) -> None:
    start(space, elf([phdr(), phdr(flags=flags, offset=0x1000, address=0x20000, filesz=0x100, memsz=0x2000)]))
    assert space.lookup(0x20000).permissions == permissions
    assert space.lookup(0x21000).permissions == permissions


def test_zeros_behind_read_only_data(space: AddressSpace) -> None:
    start(space, elf([phdr(flags=R, filesz=0x800, memsz=0x1800)], data={0x800: b"\xff" * 0x800}))
    assert space.read(0x10800, 0x1000) == bytes(0x1000)
    with pytest.raises(GuestFault):
        space.write(0x10800, b"x")


def test_zeros_go_to_the_end_of_their_page(space: AddressSpace) -> None:
    """Not to the end of the segment, which lies before: the dynamic linker of Debian 12 relies on it."""
    segment = phdr(flags=R | W, filesz=0x800, memsz=0x900)
    start(space, elf([segment], data={0x800: b"\xff" * 0x800}))
    assert space.read(0x10800, 0x800) == bytes(0x800)


def test_a_segment_of_zeros_alone(space: AddressSpace) -> None:
    start(space, elf([phdr(), phdr(flags=R | W, offset=0x123, address=0x20010, filesz=0, memsz=0x2000)]))
    assert space.lookup(0x20000).size == 0x3000
    assert space.lookup(0x20000).backing is None


def test_the_later_of_two_segments_has_the_page_they_share(space: AddressSpace) -> None:
    start(
        space,
        elf(
            [
                phdr(filesz=0x1800),
                phdr(flags=R | W, offset=0x1800, address=0x11800, filesz=0x400),
            ],
            data={0x1000: b"text", 0x1800: b"data"},
        ),
    )
    assert maps(space)[:2] == [
        (0x10000, 0x11000, "r-xp", "/the/program"),
        (0x11000, 0x12000, "rw-p", "/the/program"),
    ]
    assert (space.read(0x11000, 4), space.read(0x11800, 4)) == (b"text", b"data")


@pytest.mark.parametrize(
    "data",
    [
        elf([phdr(address=0)], entry=0x100),
        elf([phdr(address=1 << 38)]),
        elf([phdr(address=(1 << 38) - 0x1000, memsz=0x2000)]),
        elf([phdr(memsz=1 << 40)]),
        elf([phdr(memsz=1 << 62)], type=ET_DYN),
        elf([phdr(align=1 << 62)], type=ET_DYN),
        elf([phdr(), phdr(address=2**64 - 0x1000)], type=ET_DYN),
        elf([phdr(address=0x3FFFFFE000)]),  # the stack
        elf([phdr()], entry=1 << 38),
        elf([phdr()], entry=2**64 - 2),
        elf([phdr(address=1 << 57)], type=ET_DYN, entry=0x100),
        elf([phdr(address=0x10800)]),
        elf([phdr(offset=0x10)]),
    ],
)
def test_programs_that_fit_nowhere(space: AddressSpace, data: bytes) -> None:
    with pytest.raises(PolyvmError) as caught:
        start(space, data)
    assert caught.value.code == "PVM-ELF-INVALID"
    assert caught.value.context["path"] == "/the/program"
    assert caught.value.context["guest"] == "riscv64"
    space.reset()


def test_a_linker_that_fits_nowhere(space: AddressSpace) -> None:
    for bad in (elf([phdr(memsz=1 << 62)], type=ET_DYN), static(entry=2**63), elf([phdr(offset=16)])):
        with pytest.raises(PolyvmError) as caught:
            start(space, pie(b"/ld"), interp=bad)
        assert caught.value.code == "PVM-ELF-INVALID"
        space.reset()


def test_memory_that_is_not_there(space: AddressSpace) -> None:
    space.memory_limit = 16 << 20
    with pytest.raises(PolyvmError) as caught:
        start(space, elf([phdr(flags=R | W, memsz=64 << 20)]))
    assert caught.value.code == "PVM-RESOURCE"
    assert caught.value.__cause__ is not None
    space.reset()


def test_a_file_that_the_host_cannot_map(space: AddressSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = host.mmap

    def mmap(address: int, size: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
        return -errno.ENODEV if fd >= 0 else real(address, size, prot, flags, fd, offset)

    monkeypatch.setattr(host, "mmap", mmap)
    with pytest.raises(PolyvmError, match="No such device") as caught:
        start(space, static())
    assert caught.value.code == "PVM-FILE-IO"
    space.reset()


def test_a_file_that_shrinks_meanwhile(space: AddressSpace) -> None:
    fd = descriptor(static())
    program = prepare(b"/the/program", ABI, fd=fd)
    os.ftruncate(fd, 0x800)
    with pytest.raises(PolyvmError) as caught:
        load(space, ABI, program, [], [])
    assert caught.value.code == "PVM-ELF-TRUNCATED"
    program.close()
    space.reset()


def test_as_many_segments_as_there_can_be(space: AddressSpace) -> None:
    phdrs = [phdr(offset=i % 16 * 0x1000, address=0x10000 + i * 0x2000, memsz=0x1800) for i in range(1170)]
    began = time.perf_counter()
    start(space, elf(phdrs, size=0x20000))
    assert time.perf_counter() - began < 2
    assert len(space.regions) == 2 * 1170 + 2
    with pytest.raises(PolyvmError, match="too many"):
        start(space, elf([*phdrs, phdr()], size=0x20000))


# ---------------------------------------------------------------------------- the stack
words = st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\0", b"_")), max_size=12).map(tuple)


@given(argv=words, env=words)
def test_the_stack_holds_what_was_handed_over(
    shared_space: AddressSpace, argv: tuple[bytes, ...], env: tuple[bytes, ...]
) -> None:
    shared_space.reset()
    shared_space.memory_limit = None
    image = start(shared_space, static(), argv, env, random=bytes(range(16)))
    first = Stack(shared_space, image)
    assert image.stack_pointer % 16 == 0
    assert first.argc == len(argv)
    assert first.argv == list(argv)
    assert first.env == list(env)
    auxv = first.auxv
    assert auxv[stack.AT_RANDOM] % 16 == 0
    assert shared_space.read(auxv[stack.AT_RANDOM], 16) == bytes(range(16))
    assert shared_space.read_cstr(auxv[stack.AT_PLATFORM]) == b"riscv64"
    assert shared_space.read_cstr(auxv[stack.AT_EXECFN]) == b"/the/program"
    # Nothing overlaps: vectors, random bytes, platform, then the strings in one piece, argv first.
    order = [first.end, auxv[stack.AT_RANDOM], auxv[stack.AT_PLATFORM], image.arg_start, image.env_start]
    assert order == sorted(order)
    assert first.end <= auxv[stack.AT_RANDOM]
    joined = shared_space.read(image.arg_start, image.env_end - image.arg_start)
    assert joined == b"".join(text + b"\0" for text in (*argv, *env))
    assert image.env_start - image.arg_start == sum(len(text) + 1 for text in argv)
    assert image.env_end + len(b"/the/program\0") == image.stack_top - 8


def test_the_auxiliary_vector(space: AddressSpace) -> None:
    image = start(space, static(), execfn=b"./prog", secure=True)
    first = Stack(space, image)
    auxv = first.auxv
    assert auxv[stack.AT_PHDR] == 0x10040
    assert auxv[stack.AT_PHENT] == 56
    assert auxv[stack.AT_PHNUM] == 3
    assert auxv[stack.AT_PAGESZ] == PAGE
    assert auxv[stack.AT_BASE] == 0
    assert auxv[stack.AT_ENTRY] == 0x10100
    assert auxv[stack.AT_UID] == os.getuid()
    assert auxv[stack.AT_EGID] == os.getegid()
    assert auxv[stack.AT_HWCAP] == 0x112D
    assert auxv[stack.AT_CLKTCK] == 100
    assert auxv[stack.AT_SECURE] == 1
    assert auxv[stack.AT_MINSIGSTKSZ] == 1088
    assert auxv[stack.AT_SYSINFO_EHDR] == image.vdso
    assert stack.AT_HWCAP2 not in auxv
    assert space.read_cstr(auxv[stack.AT_EXECFN]) == b"./prog"
    assert dict(image.auxv[:-1]) == auxv
    assert image.auxv[-1] == (stack.AT_NULL, 0)
    assert image.vdso_symbols == {"__vdso_rt_sigreturn": image.vdso + 8}
    assert space.fetch(image.vdso, 4) == b"\x73\x00\x00\x00"
    assert any(space.read(auxv[stack.AT_RANDOM], 16))


def test_an_abi_with_a_second_hwcap_and_without_a_vdso(
    space: AddressSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallAbi, "vdso", lambda self: (b"", {}))
    monkeypatch.setattr(SmallAbi, "hwcap2", lambda self, options: 77, raising=False)
    image = start(space, static())
    auxv = Stack(space, image).auxv
    assert auxv[stack.AT_HWCAP2] == 77
    assert stack.AT_SYSINFO_EHDR not in auxv
    assert image.vdso == 0


def test_the_layout_is_the_same_in_every_run_unless_asked(space: AddressSpace) -> None:
    seen = []
    for aslr in (False, False, True, True):
        space.reset()
        image = start(space, pie(b"/ld"), interp=pie(), aslr=aslr)
        seen.append(
            (image.base, image.interp_base, image.stack_pointer, image.brk_start, image.vdso, space.mmap_top)
        )
        assert Stack(space, image).argv == [b"prog"]
        assert space.set_brk(image.brk_start + 100000) == image.brk_start + 100000
    assert seen[0] == seen[1]
    assert all(len(set(column)) == 3 for column in zip(*seen, strict=True))
    assert all(value % PAGE == 0 for row in seen[2:] for value in (row[0], row[1], row[3], row[4]))


def test_an_executable_stack_only_where_asked(space: AddressSpace) -> None:
    image = start(space, elf([phdr(), phdr(PT_GNU_STACK, R | W | X, filesz=0)]))
    assert space.lookup(image.stack_pointer).permissions == "rwxp"


def test_the_size_of_the_stack(space: AddressSpace) -> None:
    image = start(space, static(), stack_bytes=64 << 20)
    assert image.stack_top - image.stack_bottom == 64 << 20
    assert space.mmap_top <= image.stack_bottom - (1 << 20)
    space.reset()
    image = start(space, static(), stack_bytes=1 << 60)  # RLIM_INFINITY
    assert image.stack_top - image.stack_bottom <= space.limit // 6 + PAGE


@pytest.mark.parametrize("argv", [(b"x" * (128 << 10),), (b"x" * 100_000,) * 80, (b"",) * 900_000])
def test_too_many_arguments(space: AddressSpace, argv: tuple[bytes, ...]) -> None:
    with pytest.raises(PolyvmError) as caught:
        start(space, static(), argv)
    assert caught.value.code == "PVM-RESOURCE"
    assert caught.value.context["errno"] == "E2BIG"
    space.reset()


def test_many_arguments(space: AddressSpace) -> None:
    argv = tuple(b"argument %d" % i for i in range(50_000))
    assert Stack(space, start(space, static(), argv)).argv == list(argv)


# ---------------------------------------------------------------------------- preparing
def test_by_path_with_the_host_s_linker(tmp_path: Path, space: AddressSpace) -> None:
    linker = write(tmp_path, pie(), "ld.so")
    path = write(tmp_path, pie(bytes(linker)))
    program = prepare(str(path), ABI)
    assert program.interp is not None
    image = load(space, ABI, program, [b"x"], [])
    program.close()
    program.close()
    assert image.path == bytes(path)
    assert space.lookup(image.base).backing.inode == path.stat().st_ino


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: folder / "missing", "No such file"),
        (lambda folder: folder, "directory"),
        (lambda folder: write(folder, pie(), "ld.so", 0o644), "executable"),
        (lambda folder: write(folder, static(machine=62), "ld.so"), "x86_64"),
        (lambda folder: write(folder, b"text", "ld.so"), "no ELF"),
        (lambda folder: write(folder, pie()[:3000], "ld.so"), "ends before"),
    ],
)
def test_a_linker_that_cannot_be_used(tmp_path: Path, make: object, why: str) -> None:
    before = os.listdir("/proc/self/fd")
    path = write(tmp_path, pie(os.fsencode(make(tmp_path))))
    for resolve in (None, lambda name: os.open(name, os.O_RDONLY)):
        with pytest.raises(PolyvmError, match=why) as caught:
            prepare(bytes(path), ABI, resolve=resolve)
        assert caught.value.code == "PVM-ELF-INTERP"
        assert caught.value.exit_status == 126
        assert "--sysroot" in caught.value.hint
        assert caught.value.__cause__ is not None
    assert os.listdir("/proc/self/fd") == before


def test_a_program_that_is_refused_costs_no_descriptor(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for data, mode in ((static()[:99], 0o755), (static(), 0o644), (static(machine=62), 0o755)):
        path = write(tmp_path, data, mode=mode)
        with pytest.raises(PolyvmError) as caught:
            prepare(bytes(path), ABI)
        assert caught.value.context["guest"] == "riscv64"
        with pytest.raises(PolyvmError):
            prepare(bytes(path), ABI, fd=os.open(path, os.O_RDONLY))
    assert os.listdir("/proc/self/fd") == before


# ---------------------------------------------------------------------------- symbols
def test_symbols_are_read_late_and_only_from_the_same_file(tmp_path: Path, space: AddressSpace) -> None:
    path = write(tmp_path, with_symbols([("main", 0x12, 1, 0x10200, 64)]))
    program = prepare(bytes(path), ABI)
    image = load(space, ABI, program, [], [])
    program.close()
    assert image.symbols() == [(0x10200, 64, "main")]
    path.rename(tmp_path / "other")
    assert image.symbols() == []
    write(tmp_path, with_symbols([("other", 0x12, 1, 0x10200, 64)]))
    assert image.symbols() == []


# ---------------------------------------------------------------------------- real programs
def test_real_programs(riscv_tests_dir: Path, space: AddressSpace) -> None:
    programs = sorted(p for p in riscv_tests_dir.iterdir() if p.name.startswith("rv64"))
    assert len(programs) >= 170
    for path in programs:
        space.reset()
        program = prepare(bytes(path), ABI)
        image = load(space, ABI, program, [bytes(path)], [])
        program.close()
        assert "_start" in [name for _, _, name in image.symbols()]
        assert len(space.fetch(image.pc, 4)) == 4
        data = path.read_bytes()
        for segment in image.elf.segments:
            expected = data[segment.offset : segment.offset + segment.filesz]
            assert space.read(segment.address, segment.filesz) == expected
            assert not any(space.read(segment.address + segment.filesz, segment.memsz - segment.filesz))
    assert struct.calcsize("P") == 8
