"""Flat images: what becomes one, what is refused by name, and that a damaged file is an error and never a crash."""

from __future__ import annotations

import ctypes
import os
import random
import time
from pathlib import Path

import pytest

from polyvm.engine import compile as compiler
from polyvm.engine import flatten, image, layout
from polyvm.errors import PolyvmError
from polyvm.memory import host
from tests.engine import toy

PURE = """
@table = internal constant [4 x i32] [i32 11, i32 22, i32 33, i32 44]
define i32 @pick(i64 %i) {
  %p = getelementptr [4 x i32], ptr @table, i64 0, i64 %i
  %v = load i32, ptr %p
  ret i32 %v
}
define i64 @twice(i64 %i) noinline {
  %r = shl i64 %i, 1
  ret i64 %r
}
define i64 @four(i64 %i) {
  %a = call i64 @twice(i64 %i)
  %b = call i64 @twice(i64 %a)
  ret i64 %b
}
"""


def pure() -> bytes:
    return compiler.build(PURE, ["pick", "four"], runtime=False, meta=b"anything")


def refusal(ir: str, exports: tuple[str, ...] = ()) -> PolyvmError:
    with pytest.raises(PolyvmError) as caught:
        compiler.build(ir, exports, runtime=False)
    assert caught.value.code == "PVM-COMPILE-FAILED"
    return caught.value


def test_code_and_constants_run_from_a_flat_image() -> None:
    loaded = image.load(pure())
    assert [host.native(loaded.address("pick"), 1)(i) & 0xFFFFFFFF for i in range(4)] == [11, 22, 33, 44]
    assert host.native(loaded.address("four"), 1)(5) == 20
    assert loaded.meta == b"anything"
    assert loaded.base % 4096 == 0
    with pytest.raises(PolyvmError, match="lacks an export"):
        loaded.address("nothing")
    loaded.unload()


def test_every_level_of_optimisation() -> None:
    for opt in (0, 1, 2, 3):
        loaded = image.load(compiler.build(PURE, ["four"], runtime=False, opt=opt))
        assert host.native(loaded.address("four"), 1)(7) == 28
        loaded.unload()


def assembled(text: str) -> str:
    quoted = text.strip().replace('"', r"\22").splitlines()
    return "".join(f'module asm "{line}"\n' for line in quoted)


def test_a_load_from_the_global_offset_table_becomes_an_address() -> None:
    text = """
.text
.globl f, here
here: .long 77
f: mov here@GOTPCREL(%rip), %rax
  mov (%rax), %eax
  call *g@GOTPCREL(%rip)
  jmp *h@GOTPCREL(%rip)
g: add $1, %eax
  ret
h: add $2, %eax
  ret
.globl g, h
"""
    loaded = image.load(compiler.build(assembled(text), ["f"], runtime=False))
    assert host.native(loaded.address("f"), 0)() & 0xFFFFFFFF == 80
    loaded.unload()


def test_the_global_offset_table_as_data_is_refused() -> None:
    error = refusal(assembled(".globl x, f\nx: .long 1\nf: cmp x@GOTPCREL(%rip), %rax\nret"), ("f",))
    assert "global offset table" in error.message
    assert error.context["symbol"] == "x"


def test_what_depends_on_the_address_is_refused_by_name() -> None:
    error = refusal("@here = global i8 0\n@p = constant ptr @f\ndefine void @f() { ret void }", ("f",))
    assert "writable data" in error.message or "R_X86_64_64" in error.message
    error = refusal("@p = constant ptr @f\ndefine void @f() { ret void }", ("f",))
    assert "R_X86_64_64" in error.message
    assert error.context["symbol"] == "f"
    error = refusal(assembled(".globl f\nf: mov $f, %eax\nret"), ("f",))
    assert "R_X86_64_32 " in error.message


def test_writable_data_is_refused_by_name() -> None:
    assert refusal("@counter = global i32 5", ()).context["section"] == ".data"
    assert refusal("@counter = global i32 0", ()).context["section"] == ".bss"


def test_thread_local_storage_is_refused() -> None:
    assert "thread-local" in refusal("@counter = thread_local global i32 5", ()).message


def test_a_symbol_from_outside_is_refused_by_name() -> None:
    error = refusal("declare void @memset()\ndefine void @f() { call void @memset() ret void }", ("f",))
    assert error.context["symbol"] == "memset"


def test_a_missing_export_is_refused_by_name() -> None:
    assert refusal(PURE, ("pick", "pock")).context["symbols"] == ["pock"]


def test_text_that_llvm_refuses() -> None:
    assert "expected" in refusal("define nonsense").message
    assert "LLVM refuses" in refusal("define i32 @f() { ret i64 0 }").message


def test_what_is_no_object_is_refused() -> None:
    obj = compiler.compile_object(PURE)
    for bad in (
        b"",
        b"MZ" + obj[2:],
        obj[:64],
        obj[:58] + b"\1\0" + obj[60:],
        obj[:18] + b"\xb7\0" + obj[20:],
    ):
        with pytest.raises(PolyvmError, match="flat image"):
            flatten.flatten(bad)


ONE = """
@table = internal constant [2 x i32] [i32 5, i32 6]
declare hidden i32 @other(i32)
define internal i32 @own() noinline { ret i32 1000 }
define i32 @f(i32 %a) { %b = call i32 @own() %c = call i32 @other(i32 %a) %d = add i32 %b, %c ret i32 %d }
define i32 @pick(i32 %i) { %p = getelementptr i32, ptr @table, i32 %i %v = load i32, ptr %p ret i32 %v }
"""
OTHER = """
declare hidden i32 @pick(i32)
define internal i32 @own() noinline { ret i32 70 }
define i32 @other(i32 %a) { %b = call i32 @pick(i32 %a) %c = call i32 @own() %d = add i32 %b, %c ret i32 %d }
"""


def test_objects_refer_to_each_other() -> None:
    """By their global symbols; what is internal to two objects under one name is two."""
    objects = [compiler.compile_object(text, passes=0) for text in (ONE, OTHER)]
    for these in (objects, objects[::-1]):
        loaded = image.load(flatten.Flat(*these).pack(["f", "other"]))
        f = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(loaded.address("f"))
        assert (f(0), f(1)) == (1075, 1076)
        loaded.unload()
    with pytest.raises(PolyvmError, match="defined twice") as caught:
        flatten.Flat(objects[0], objects[1], objects[1])
    assert caught.value.context["symbol"] == "other"


def test_tables_come_out_sorted_and_relative_to_the_image() -> None:
    text = """
.text
.globl f
f: nop
.La: nop
.Lb: nop
.Lc: ret
.section pvf,"a",@progbits
.long .Lb - ., .Lc - .
.long .La - ., .Lc - .
.long .Lb - ., .Lc - .
.section note,"a",@progbits
.byte 1, 2, 3
"""
    loaded = image.load(compiler.build(assembled(text), ["f"], runtime=False))
    at, rows = loaded.table("pvf")
    base = loaded.exports["f"]
    numbers = memoryview(host.peek(at, 8 * rows)).cast("I").tolist()
    assert numbers == [base + 1, base + 3, base + 2, base + 3]
    offset, size = loaded.sections["note"]
    assert host.peek(loaded.base + offset, size) == b"\1\2\3"
    assert loaded.table("pvp") == (0, 0)
    loaded.unload()


def test_an_incomplete_table_is_refused() -> None:
    error = refusal(assembled('.section pvf,"a",@progbits\n.long 1'), ())
    assert error.context["section"] == "pvf"


def protections(address: int) -> str:
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= address < end:
            return rights
    return ""


def test_an_image_is_never_writable_and_what_is_behind_it_never_executable() -> None:
    loaded = image.load(toy.toy_image(), tail=layout.PROCESS_SIZE, shadow=True)
    assert protections(loaded.base) == "r-xp"
    behind = loaded.base + (loaded.size + 4095 & -4096)
    assert protections(behind) == "rw-p"
    assert protections(loaded.base + loaded.shadow) == "---p"
    assert host.peek(behind, layout.PROCESS_SIZE) == bytes(layout.PROCESS_SIZE)
    loaded.unload()


def test_from_a_path_and_a_descriptor_and_not_through_a_link(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(pure())
    fd = os.open(path, os.O_RDONLY)
    for source in (str(path), fd):
        loaded = image.load(source)
        assert host.native(loaded.address("four"), 1)(1) == 4
        loaded.unload()
    os.close(fd)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic"):
        image.load(str(tmp_path / "link"))
    with pytest.raises(FileNotFoundError):
        image.load(str(tmp_path / "absent"))


def test_writing_to_the_file_afterwards_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(pure())
    loaded = image.load(str(path))
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    os.truncate(path, 0)
    assert host.native(loaded.address("four"), 1)(3) == 12
    loaded.unload()


def test_a_damaged_file_is_an_error_and_never_a_crash(seed: int, full: bool) -> None:
    whole = toy.toy_image()
    rng = random.Random(seed)
    flips = 20_000 if full else 1_000
    for _ in range(flips):
        bad = bytearray(whole)
        for _ in range(rng.choice((1, 1, 1, 2, 8))):
            bad[rng.choice((rng.randrange(len(bad)), rng.randrange(80)))] ^= 1 << rng.randrange(8)
        if bad == whole:
            continue
        with pytest.raises(PolyvmError) as caught:
            image.load(bytes(bad))
        assert caught.value.code == "PVM-CACHE-DAMAGED"
    cuts = [*range(200), *(rng.randrange(len(whole)) for _ in range(300))]
    for cut in cuts:
        with pytest.raises(PolyvmError, match="cannot be used"):
            image.load(whole[:cut])
    with pytest.raises(PolyvmError, match="its size is wrong"):
        image.load(whole + bytes(4096))
    print(f"images: {flips} with flipped bits and {len(cuts)} cut short, all refused")


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pure()
    monkeypatch.setattr(layout, "LAYOUT_VERSION", layout.LAYOUT_VERSION + 1)
    with pytest.raises(PolyvmError, match="another version"):
        image.load(whole)


@pytest.mark.alone
def test_loading_takes_less_than_a_millisecond(tmp_path: Path) -> None:
    code = bytes(600_000)
    path = tmp_path / "image"
    path.write_bytes(image.pack(code, {f"h{i}": i for i in range(500)}, {}, b"meta" * 1000))
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        loaded = image.load(str(path))
        best = min(best, time.perf_counter() - start)
        loaded.unload()
    print(f"loading a 600 kB image with 500 exports: {best * 1e3:.3f} ms")
    assert best < 0.001


def test_room_for_images_behind_another() -> None:
    size = 8 * image.PAGE
    first = image.load(pure(), room=size)
    room = first.room
    assert room is not None
    start = first.base + first.mapped - size
    made = [image.load(pure(), shadow=True, within=room) for _ in range(2)]
    for loaded in made:
        assert start <= loaded.base <= start + size - loaded.mapped
        assert host.native(loaded.address("four"), 1)(5) == 20
    assert made[0].base != made[1].base
    # Full: refused, and nothing is lost.
    pages = list(iter(lambda: room.take(image.PAGE), 0))
    with pytest.raises(PolyvmError) as caught:
        image.load(pure(), shadow=True, within=room)
    assert caught.value.code == "PVM-RESOURCE"
    made.pop().unload()
    with pytest.raises(PolyvmError, match="checksum"):
        image.load(pure()[:-1] + b"?", within=room)
    # What is given back is joined and given out again, and holds nothing of what was there.
    made.pop().unload()
    for page in pages[::-1]:
        room.give(page, image.PAGE)
    assert room.take(size) == start
    assert protections(start) == "---p"
    room.give(start, size)
    first.unload()
    assert protections(start) == ""
