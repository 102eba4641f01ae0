"""The native run loop of a vCPU as LLVM text, for x86-64 Linux: KVM_RUN, a look into a table, and again.

i64 loop(context): 0 for an exit that is Python's, RING_FULL, or -errno. `accel.kvm.loop` loads it and fills the table;
the names in «» are its offsets and the kernel's numbers.
"""

from __future__ import annotations

from polyvm.accel.ffi import kvm as ffi

NAME = "pv_vcpu_loop"
CONTEXT = {"fd": 0, "run": 8, "table": 16, "end": 24, "resume": 32, "full": 40}
"""What the loop is given: field -> offset, of eight bytes each."""
ENTRY = {"key": 0, "size": 8, "action": 12, "cell": 16, "mask": 24, "head": 32, "tail": 40, "capacity": 48, "ring": 56,
         "count": 64, "bytes": 72}  # fmt: skip
"""An entry of its table: field -> offset; `bytes` is how many it has. Size and action have four bytes."""
LATCH, COLLECT = 1, 2
PORT = 1 << 63
"""Of a key: an address of the port space."""
RING_FULL = 1
SYS_IOCTL = 16  # on x86-64

TEXT = r"""
define i64 @«name»(ptr %c) nounwind {
  %p.fd = getelementptr i8, ptr %c, i64 «context.fd»
  %fd = load i64, ptr %p.fd
  %p.run = getelementptr i8, ptr %c, i64 «context.run»
  %run = load ptr, ptr %p.run
  %p.table = getelementptr i8, ptr %c, i64 «context.table»
  %table = load ptr, ptr %p.table
  %p.end = getelementptr i8, ptr %c, i64 «context.end»
  %end = load ptr, ptr %p.end
  %p.resume = getelementptr i8, ptr %c, i64 «context.resume»
  %resume = load i64, ptr %p.resume
  store i64 0, ptr %p.resume
  %again = icmp ne i64 %resume, 0
  br i1 %again, label %look, label %enter
enter: ; the kernel; 0 or -errno
  %r = call i64 asm sideeffect "syscall", "={rax},{rax},{rdi},{rsi},{rdx},~{rcx},~{r11},~{memory}"(
    i64 «ioctl», i64 %fd, i64 «KVM_RUN», i64 0)
  %bad = icmp ne i64 %r, 0
  br i1 %bad, label %fail, label %look
look: ; what it came back for, or what was left when a ring was full
  %p.reason = getelementptr i8, ptr %run, i64 «exit_reason»
  %reason = load i32, ptr %p.reason
  switch i32 %reason, label %python [ i32 «KVM_EXIT_IO», label %io  i32 «KVM_EXIT_MMIO», label %mmio ]
io: ; a port: one item only
  %p.direction = getelementptr i8, ptr %run, i64 «io.direction»
  %direction = load i8, ptr %p.direction
  %p.iosize = getelementptr i8, ptr %run, i64 «io.size»
  %iosize = load i8, ptr %p.iosize
  %p.port = getelementptr i8, ptr %run, i64 «io.port»
  %port = load i16, ptr %p.port
  %p.items = getelementptr i8, ptr %run, i64 «io.count»
  %items = load i32, ptr %p.items
  %p.place = getelementptr i8, ptr %run, i64 «io.data_offset»
  %place = load i64, ptr %p.place
  %iodata = getelementptr i8, ptr %run, i64 %place
  %out = icmp eq i8 %direction, «KVM_EXIT_IO_OUT»
  %iosize.w = zext i8 %iosize to i32
  %port.w = zext i16 %port to i64
  %iokey = or i64 %port.w, «port»
  %single = icmp eq i32 %items, 1
  br i1 %single, label %find, label %python
mmio: ; memory
  %p.address = getelementptr i8, ptr %run, i64 «mmio.phys_addr»
  %address = load i64, ptr %p.address
  %p.length = getelementptr i8, ptr %run, i64 «mmio.len»
  %length = load i32, ptr %p.length
  %p.written = getelementptr i8, ptr %run, i64 «mmio.is_write»
  %written = load i8, ptr %p.written
  %data.m = getelementptr i8, ptr %run, i64 «mmio.data»
  %store = icmp ne i8 %written, 0
  br label %find
find: ; what is accessed, whatever it is
  %key = phi i64 [ %iokey, %io ], [ %address, %mmio ]
  %size = phi i32 [ %iosize.w, %io ], [ %length, %mmio ]
  %write = phi i1 [ %out, %io ], [ %store, %mmio ]
  %data = phi ptr [ %iodata, %io ], [ %data.m, %mmio ]
  br label %next
next: ; entry by entry
  %e = phi ptr [ %table, %find ], [ %e.next, %other ]
  %none = icmp eq ptr %e, %end
  br i1 %none, label %python, label %compare
compare:
  %p.e.key = getelementptr i8, ptr %e, i64 «entry.key»
  %e.key = load i64, ptr %p.e.key
  %p.e.size = getelementptr i8, ptr %e, i64 «entry.size»
  %e.size = load i32, ptr %p.e.size
  %same.key = icmp eq i64 %e.key, %key
  %same.size = icmp eq i32 %e.size, %size
  %same = and i1 %same.key, %same.size
  br i1 %same, label %hit, label %other
other:
  %e.next = getelementptr i8, ptr %e, i64 «entry.bytes»
  br label %next
hit:
  %p.action = getelementptr i8, ptr %e, i64 «entry.action»
  %action = load i32, ptr %p.action
  %collect = icmp eq i32 %action, «collect»
  br i1 %collect, label %ring, label %latch
latch:
  %cell = getelementptr i8, ptr %e, i64 «entry.cell»
  br i1 %write, label %latch.write, label %latch.read
latch.read: ; the whole cell: the accelerator takes the bytes that it wants
  %now = load atomic i64, ptr %cell acquire, align 8
  store i64 %now, ptr %data, align 1
  br label %served
latch.write:
  %p.mask = getelementptr i8, ptr %e, i64 «entry.mask»
  %mask = load i64, ptr %p.mask
  %given = load i64, ptr %data, align 1
  %kept = and i64 %given, %mask
  store atomic i64 %kept, ptr %cell release, align 8
  br label %served
ring: ; only writes are collected
  %p.head = getelementptr i8, ptr %e, i64 «entry.head»
  %head = load i64, ptr %p.head
  %p.tail = getelementptr i8, ptr %e, i64 «entry.tail»
  %tail = load atomic i64, ptr %p.tail acquire, align 8
  %p.capacity = getelementptr i8, ptr %e, i64 «entry.capacity»
  %capacity = load i64, ptr %p.capacity
  %p.base = getelementptr i8, ptr %e, i64 «entry.ring»
  %base = load ptr, ptr %p.base
  %size.w = zext i32 %size to i64
  %used = sub i64 %head, %tail
  %wanted = add i64 %used, %size.w
  %room = icmp ule i64 %wanted, %capacity
  br i1 %write, label %ring.room, label %python
ring.room:
  br i1 %room, label %ring.put, label %full
ring.put:
  %wrap = sub i64 %capacity, 1
  %where = and i64 %head, %wrap
  %slot = getelementptr i8, ptr %base, i64 %where
  switch i32 %size, label %put8 [ i32 1, label %put1  i32 2, label %put2  i32 4, label %put4 ]
put1:
  %v1 = load i8, ptr %data, align 1
  store i8 %v1, ptr %slot, align 1
  br label %ring.done
put2:
  %v2 = load i16, ptr %data, align 1
  store i16 %v2, ptr %slot, align 1
  br label %ring.done
put4:
  %v4 = load i32, ptr %data, align 1
  store i32 %v4, ptr %slot, align 1
  br label %ring.done
put8:
  %v8 = load i64, ptr %data, align 1
  store i64 %v8, ptr %slot, align 1
  br label %ring.done
ring.done:
  %head.next = add i64 %head, %size.w
  store atomic i64 %head.next, ptr %p.head release, align 8
  br label %served
served:
  %p.count = getelementptr i8, ptr %e, i64 «entry.count»
  %count = load i64, ptr %p.count
  %count.next = add i64 %count, 1
  store i64 %count.next, ptr %p.count
  br label %enter
full: ; the same exit is looked at again when it is run next
  %p.full = getelementptr i8, ptr %c, i64 «context.full»
  store i64 1, ptr %p.resume
  store ptr %e, ptr %p.full
  ret i64 «ring_full»
python: ; whatever else
  ret i64 0
fail:
  ret i64 %r
}
"""


def text() -> str:
    """The loop, with its names filled in."""
    names: dict[str, int | str] = {
        "name": NAME,
        "ioctl": SYS_IOCTL,
        "port": PORT - (1 << 64),
        "collect": COLLECT,
        "ring_full": RING_FULL,
        "exit_reason": ffi.RUN.offset("exit_reason"),
        **ffi.NUMBERS,
        **ffi.EXITS,
        **ffi.CONSTANTS,
    }
    names |= {f"context.{field}": offset for field, offset in CONTEXT.items()}
    names |= {f"entry.{field}": offset for field, offset in ENTRY.items()}
    for arm in (ffi.EXIT_IO, ffi.EXIT_MMIO):
        names |= {f"{arm.name}.{field}": ffi.RUN_UNION + place[0] for field, place in arm.places.items()}
    filled = TEXT
    for name, value in names.items():
        filled = filled.replace(f"«{name}»", str(value))
    return filled
