"""A toy guest for the engine's tests: four instructions by hand instead of an interpreter, and units in assembly.

The low bits of x31 choose what the one handler does. Registers x0..x31 lie at layout.REGISTERS, as in a real guest.
"""

from __future__ import annotations

import functools

from polyvm.engine import image, layout, native
from polyvm.engine.cpu import Cpu, Places
from polyvm.memory import host

LOAD, SPIN, UNIT, STORE, WILD, DIVIDE, FETCH = range(7)

HANDLERS = r"""
define hidden preserve_nonecc void @decode(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget) #0 {
  %p.ip = getelementptr i8, ptr %st, i64 «st.ip»
  store volatile ptr %ip, ptr %p.ip
  %x31 = getelementptr i8, ptr %st, i64 760
  %what = load i64, ptr %x31
  %x0 = getelementptr i8, ptr %st, i64 512
  %x1 = getelementptr i8, ptr %st, i64 520
  %a = load i64, ptr %x0
  %p = getelementptr i8, ptr %mem, i64 %a
  switch i64 %what, label %leave [ i64 0, label %load i64 1, label %spin i64 2, label %unit i64 3, label %store
                                   i64 4, label %wild i64 5, label %divide i64 6, label %fetch ]
load:
  %v = load volatile i64, ptr %p
  store i64 %v, ptr %x1
  br label %leave
store:
  %w = load i64, ptr %x1
  store volatile i64 %w, ptr %p
  br label %leave
wild:
  %n = inttoptr i64 %a to ptr
  %z = load volatile i64, ptr %n
  br label %leave
divide: ; then load, so that a fault can be made after the flags have changed
  %x2 = getelementptr i8, ptr %st, i64 528
  %x3 = getelementptr i8, ptr %st, i64 536
  %num = load double, ptr %x2
  %den = load double, ptr %x3
  %quo = call double asm sideeffect "divsd $2, $0", "=x,0,x"(double %num, double %den)
  store double %quo, ptr %x2
  br label %load
spin:
  %p.stop = getelementptr i8, ptr %st, i64 «st.stop»
  %stop = load volatile i32, ptr %p.stop
  %go = icmp eq i32 %stop, 0
  %c = load volatile i64, ptr %x1
  %c1 = add i64 %c, 1
  store volatile i64 %c1, ptr %x1
  br i1 %go, label %spin, label %stopped
stopped:
  %p.reason.s = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.STOP», ptr %p.reason.s
  ret void
fetch:
  musttail call preserve_nonecc void @fetch(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget)
  ret void
unit:
  musttail call preserve_nonecc void @to_unit(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget)
  ret void
leave:
  %p.reason = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.GOLDEN», ptr %p.reason
  ret void
}

define internal preserve_nonecc void @fetch(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget)
    #0 noinline section "pvdecode" {
  %x0 = getelementptr i8, ptr %st, i64 512
  %a = load i64, ptr %x0
  %p = getelementptr i8, ptr %mem, i64 %a
  %v = load volatile i16, ptr %p
  ret void
}

define internal preserve_nonecc void @to_unit(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget) #0 section "pvg" {
  %p.stop = getelementptr i8, ptr %st, i64 «st.stop»
  %stop = load volatile i32, ptr %p.stop
  %go = icmp eq i32 %stop, 0
  br i1 %go, label %in, label %out
in:
  %p.units = getelementptr i8, ptr %st, i64 «BIG_STATE»
  %unit = load ptr, ptr %p.units
  musttail call preserve_nonecc void %unit(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget)
  ret void
out:
  %p.reason = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.STOP», ptr %p.reason
  ret void
}
attributes #0 = { nounwind "no-builtins" }
"""

# A loop as tier 2 would make it: x1 in a register (rbx), one safepoint at its head, `body` other instructions, and one
# access that may fault (r13 is the memory base, r12 the state: LLVM's preserve_none). pc counts nothing here.
UNIT_TEXT = """
.text
.globl unit
unit:
  mov 520(%r12), %rbx
  mov 512(%r12), %rcx
.Lhead:
  inc %rbx
.rept {body}
  lea 1(%rdx), %rdx
.endr
.Laccess:
  mov (%r13,%rcx), %rax
  jmp .Lhead
.Lstop:
  mov %rbx, 520(%r12)
  movq $0x2000, (%r12)
  ret
.Lfault:
  mov %rbx, 520(%r12)
  movq $0x3000, (%r12)
  ret
.section pvf,"a",@progbits
.p2align 2
.long .Laccess - ., .Lfault - .
.section pvp,"a",@progbits
.p2align 2
.long .Lhead - ., .Lstop - .
"""


class Space:
    """Guest memory as the engine sees it: 16 MiB between guards, every page forbidden until it is opened."""

    limit = 1 << 24

    def __init__(self) -> None:
        guard = 1 << 32
        flags = host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE
        self._start = host.mmap(0, self.limit + 2 * guard, host.PROT_NONE, flags)
        assert self._start > 0
        self._size = self.limit + 2 * guard
        self.base = self._start + guard
        self.slots = host.mmap(0, self.limit * 8, host.PROT_READ, flags)
        self.xmap = self.slots

    def open(self, address: int, prot: int = host.PROT_READ | host.PROT_WRITE, size: int = 4096) -> None:
        """Give guest pages a host protection."""
        assert host.mprotect(self.base + address, size, prot) == 0

    def close(self) -> None:
        """Unmap it."""
        host.munmap(self._start, self._size)
        host.munmap(self.slots, self.limit * 8)


def fill(text: str) -> str:
    """Put the layout's numbers into a text."""
    for name, value in layout.names().items():
        text = text.replace(f"«{name}»", str(value))
    return text


@functools.cache
def toy_image() -> bytes:
    """The toy interpreter's flat image."""
    return image.build(fill(HANDLERS), ["decode"])


@functools.cache
def toy() -> native.Native:
    """The toy interpreter, loaded once."""
    return native.load(toy_image())


def make_cpu(space: Space) -> Cpu:
    """A toy Cpu."""
    names = {f"x{i}": (512 + 8 * i, 8) for i in range(32)} | {"a0": (512 + 80, 8), "b": (768, 1)}
    composed = {"fcsr": (("fp.flags", 5), ("fp.mode", 3)), "pair": (("x2", 64), ("x3", 64))}
    return Cpu(toy(), space, Places(names, {"x": (512, 8, 32)}, composed))


@functools.cache
def unit(body: int, shadow: bool = True) -> image.Image:
    """A loaded unit whose loop has so many instructions more, known to the signal handler."""
    from llvmlite import binding as llvm

    from polyvm.engine import compile as compiler

    lines = UNIT_TEXT.format(body=body).replace('"', r"\22").strip().splitlines()
    ir = "".join(f'module asm "{line}"\n' for line in lines)
    assert llvm
    loaded = image.load(compiler.build(ir, ["unit"], runtime=False), shadow=shadow)
    toy().add_ranges([native.Range.of(loaded)])
    return loaded


def enter_unit(cpu: Cpu, body: int, shadow: bool = True) -> None:
    """Make the Cpu's next run go into a unit."""
    cpu.x[31] = UNIT
    at = layout.BIG_STATE
    host.poke(cpu.st + at, unit(body, shadow).address("unit").to_bytes(8, "little"))
