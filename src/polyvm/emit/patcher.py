"""The native translator of tier 1, as LLVM text: it copies stencils one behind the other and fills their holes in.

Works from code slots alone: a slot's handler says which stencil, its fields say what goes into the holes. Nothing is
decoded, nobody is asked, and what it writes is entered like any other handler, by its distance in a slot. The tables
that it reads come from engine.cut.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NO_ROOM, ON_TWO_PAGES, IS_BLOCK = 2, 3, 4
"""What pv_block could not do, and that it was done before."""

PATCHER = r"""
; For whoever is not in native code: make the block at a guest address, whose instructions were decoded.
define i64 @pv_translate(ptr %st, i64 %pc) #2 {
  %p.slots = getelementptr i8, ptr %st, i64 «st.slot_base»
  %slots = load ptr, ptr %p.slots
  %off = shl i64 %pc, «SLOT_SHIFT»
  %ip = getelementptr i8, ptr %slots, i64 %off
  %got = call i64 @pv_block(ptr %st, ptr %ip)
  ret i64 %got
}

; Write a block and lead its slot to it. 0: done, 1: nothing to do, IS_BLOCK: it leads to one, NO_ROOM, or ON_TWO_PAGES:
; its first instruction is.
define internal i64 @pv_block(ptr %st, ptr %ip) #2 noinline {
entry:
  %p.pr = getelementptr i8, ptr %st, i64 «st.process»
  %pr = load ptr, ptr %p.pr
  %p.slots = getelementptr i8, ptr %st, i64 «st.slot_base»
  %slots = load i64, ptr %p.slots
  %p.hb = getelementptr i8, ptr %st, i64 «st.hbase»
  %hb = load ptr, ptr %p.hb
  %ip.i = ptrtoint ptr %ip to i64
  %ip.off = sub i64 %ip.i, %slots
  %pc = lshr i64 %ip.off, «SLOT_SHIFT»
  %page = lshr i64 %pc, 12
  %p.counters = getelementptr i8, ptr %st, i64 «st.counters»
  %counters = load ptr, ptr %p.counters
  %pc.half = lshr i64 %pc, 1
  %cell = and i64 %pc.half, «CELL_MASK»
  %p.hot = getelementptr i32, ptr %counters, i64 %cell
  %p.warm = getelementptr i32, ptr %p.hot, i64 «COUNTERS»
  store i32 «WARM_FIRST», ptr %p.warm ; others may have this cell, too
  %h0 = load i32, ptr %ip
  %p.first = getelementptr i8, ptr %st, i64 «st.handlers_start»
  %first = load i32, ptr %p.first
  %p.size = getelementptr i8, ptr %st, i64 «st.handlers_size»
  %size = load i32, ptr %p.size
  %rel0 = sub i32 %h0, %first
  %known0 = icmp ult i32 %rel0, %size
  br i1 %known0, label %lock, label %other
other: ; a block, or something that is no business of ours
  %o.h0.i = sext i32 %h0 to i64
  %o.hb.i = ptrtoint ptr %hb to i64
  %o.there = add i64 %o.hb.i, %o.h0.i
  %o.p.arena = getelementptr i8, ptr %pr, i64 «process.arena»
  %o.arena = load i64, ptr %o.p.arena
  %o.p.last = getelementptr i8, ptr %pr, i64 «process.image_end»
  %o.last = load i64, ptr %o.p.last
  %o.behind = icmp uge i64 %o.there, %o.arena
  %o.before = icmp ult i64 %o.there, %o.last
  %o.block = and i1 %o.behind, %o.before
  %o.what = select i1 %o.block, i64 «IS_BLOCK», i64 1
  ret i64 %o.what
lock:
  %p.lock = getelementptr i8, ptr %pr, i64 «process.arena_lock»
  %pair = cmpxchg ptr %p.lock, i32 0, i32 1 acquire monotonic
  %got = extractvalue { i32, i1 } %pair, 1
  br i1 %got, label %locked, label %busy
busy: ; there is nothing to do, or another thread is at it
  ret i64 1
locked:
  %p.next = getelementptr i8, ptr %pr, i64 «process.arena_next»
  %next = load i64, ptr %p.next
  %p.room = getelementptr i8, ptr %pr, i64 «process.arena_room»
  %room = load i64, ptr %p.room
  %fits = icmp ult i64 %next, %room
  br i1 %fits, label %begin, label %full
full:
  %p.full = getelementptr i8, ptr %pr, i64 «process.arena_full»
  store i32 1, ptr %p.full
  store atomic i32 0, ptr %p.lock release, align 4
  ret i64 «NO_ROOM»
begin:
  %p.rx = getelementptr i8, ptr %pr, i64 «process.arena»
  %rx = load i64, ptr %p.rx
  %p.rw = getelementptr i8, ptr %pr, i64 «process.arena_rw»
  %rw = load ptr, ptr %p.rw
  %head = getelementptr i8, ptr %rw, i64 %next
  %w0 = getelementptr i8, ptr %head, i64 «BLOCK_HEADER»
  %next.x = add i64 %next, «BLOCK_HEADER»
  %x0 = add i64 %rx, %next.x
  %p.table = getelementptr i8, ptr %pr, i64 «process.stencils»
  %table = load ptr, ptr %p.table
  %p.image = getelementptr i8, ptr %pr, i64 «process.image_start»
  %image = load i64, ptr %p.image
  %bases = alloca [8 x i64]
  store [8 x i64] zeroinitializer, ptr %bases
  %b.here = getelementptr i64, ptr %bases, i64 «BASE_HERE»
  %b.pc = getelementptr i64, ptr %bases, i64 «BASE_PC»
  %b.before = getelementptr i64, ptr %bases, i64 «BASE_BEFORE»
  %b.undone = getelementptr i64, ptr %bases, i64 «BASE_UNDONE»
  %b.image = getelementptr i64, ptr %bases, i64 «BASE_IMAGE»
  %len0 = call i64 @pv_stamp(ptr %table, ptr %w0, i64 %image, ptr %ip, ptr %bases, ptr %table)
  br label %loop

loop:
  %n = phi i64 [ 0, %begin ], [ %n1, %on ]
  %slot = phi ptr [ %ip, %begin ], [ %slot1, %on ]
  %done = phi i64 [ %len0, %begin ], [ %done1, %on ]
  %w = getelementptr i8, ptr %w0, i64 %done
  %x = add i64 %x0, %done
  %slot.i = ptrtoint ptr %slot to i64
  %here = sub i64 %slot.i, %ip.i
  store i64 %here, ptr %b.here
  store i64 %n, ptr %b.before
  %n.minus = sub i64 0, %n
  store i64 %n.minus, ptr %b.undone
  %here.pc = lshr i64 %here, «SLOT_SHIFT»
  %pc.n = add i64 %pc, %here.pc
  store i64 %pc.n, ptr %b.pc
  %to.image = sub i64 %image, %x
  store i64 %to.image, ptr %b.image
  %page.n = lshr i64 %pc.n, 12
  %same = icmp eq i64 %page.n, %page
  %more = icmp ult i64 %n, «MAX_BLOCK»
  %on.1 = and i1 %same, %more
  br i1 %on.1, label %look, label %tail
look:
  %h = load atomic i32, ptr %slot acquire, align 4
  %rel = sub i32 %h, %first
  %known = icmp ult i32 %rel, %size
  br i1 %known, label %known.yes, label %tail
known.yes:
  %h.i = sext i32 %h to i64
  %handler = getelementptr i8, ptr %hb, i64 %h.i
  %p.number = getelementptr i8, ptr %handler, i64 -4
  %number = load i32, ptr %p.number
  %number.i = zext i32 %number to i64
  %rec0 = getelementptr [16 x i8], ptr %table, i64 %number.i
  %p.insn = getelementptr i8, ptr %rec0, i64 «RECORD_SIZE»
  %insn = load i8, ptr %p.insn
  %insn.i = zext i8 %insn to i64
  %pc.next = add i64 %pc.n, %insn.i
  %pc.last = sub i64 %pc.next, 1
  %page.last = lshr i64 %pc.last, 12
  %inside = icmp eq i64 %page.last, %page
  br i1 %inside, label %stamp, label %tail
stamp:
  %p.flags = getelementptr i8, ptr %rec0, i64 «RECORD_FLAGS»
  %flags = load i8, ptr %p.flags
  %f.way = and i8 %flags, «FLAG_WAYS»
  %ways = icmp ne i8 %f.way, 0
  %p.fields = getelementptr i8, ptr %slot, i64 8
  %fields = load i64, ptr %p.fields
  %p.left = getelementptr i8, ptr %rec0, i64 «RECORD_LEFT»
  %left = load i8, ptr %p.left
  %left.i = zext i8 %left to i64
  %way = shl i64 %fields, %left.i
  %ahead = icmp sgt i64 %way, 0
  %second = and i1 %ways, %ahead
  %skip = select i1 %second, i64 16, i64 0
  %rec = getelementptr i8, ptr %rec0, i64 %skip
  %len = call i64 @pv_stamp(ptr %rec, ptr %w, i64 %image, ptr %slot, ptr %bases, ptr %table)
  %done1 = add i64 %done, %len
  %n1 = add i64 %n, 1
  %step = shl i64 %insn.i, «SLOT_SHIFT»
  %slot1 = getelementptr i8, ptr %slot, i64 %step
  %f.end = and i8 %flags, «FLAG_ENDS»
  %ends = icmp ne i8 %f.end, 0
  br i1 %ends, label %finish, label %on
on:
  br label %loop

tail: ; go on through a slot: what is there is no instruction of tier 0, or another page's
  %nothing = icmp eq i64 %n, 0
  br i1 %nothing, label %none, label %tail.end
none:
  store atomic i32 0, ptr %p.lock release, align 4
  ret i64 «ON_TWO_PAGES»
tail.end:
  %p.end = getelementptr i8, ptr %table, i64 16
  %len.end = call i64 @pv_stamp(ptr %p.end, ptr %w, i64 %image, ptr %slot, ptr %bases, ptr %table)
  %done.end = add i64 %done, %len.end
  br label %finish
finish:
  %insns = phi i64 [ %n1, %stamp ], [ %n, %tail.end ]
  %bytes = phi i64 [ %done1, %stamp ], [ %done.end, %tail.end ]
  store i64 %pc, ptr %head
  %p.bytes = getelementptr i8, ptr %head, i64 8
  %bytes.32 = trunc i64 %bytes to i32
  store i32 %bytes.32, ptr %p.bytes
  %p.insns = getelementptr i8, ptr %head, i64 12
  %insns.32 = trunc i64 %insns to i32
  store i32 %insns.32, ptr %p.insns
  %hb.i = ptrtoint ptr %hb to i64
  %distance = sub i64 %x0, %hb.i
  %word = and i64 %distance, 4294967295
  store atomic i64 %word, ptr %ip release, align 8
  %end = add i64 %next.x, %bytes
  %end.15 = add i64 %end, 15
  %end.16 = and i64 %end.15, -16
  store i64 %end.16, ptr %p.next
  %p.blocks = getelementptr i8, ptr %pr, i64 «process.blocks»
  %blocks = load i64, ptr %p.blocks
  %blocks1 = add i64 %blocks, 1
  store i64 %blocks1, ptr %p.blocks
  %p.total = getelementptr i8, ptr %pr, i64 «process.block_insns»
  %total = load i64, ptr %p.total
  %total1 = add i64 %total, %insns
  store i64 %total1, ptr %p.total
  store atomic i32 0, ptr %p.lock release, align 4
  ret i64 0
}

; Copy one stencil to %w and fill its holes; its length. Up to 15 bytes behind it are overwritten.
define internal i64 @pv_stamp(ptr %rec, ptr %w, i64 %image, ptr %slot, ptr %bases, ptr %table) #2 noinline {
entry:
  %code = load i32, ptr %rec
  %code.i = zext i32 %code to i64
  %from.i = add i64 %image, %code.i
  %from = inttoptr i64 %from.i to ptr
  %p.len = getelementptr i8, ptr %rec, i64 4
  %len = load i16, ptr %p.len
  %len.i = zext i16 %len to i64
  br label %copy
copy:
  %c = phi i64 [ 0, %entry ], [ %c1, %copy ]
  %p.from = getelementptr i8, ptr %from, i64 %c
  %p.to = getelementptr i8, ptr %w, i64 %c
  %part = load <16 x i8>, ptr %p.from, align 1
  store <16 x i8> %part, ptr %p.to, align 1
  %c1 = add i64 %c, 16
  %c.more = icmp ult i64 %c1, %len.i
  br i1 %c.more, label %copy, label %copied
copied:
  %p.count = getelementptr i8, ptr %rec, i64 6
  %count = load i8, ptr %p.count
  %p.first = getelementptr i8, ptr %rec, i64 8
  %first = load i32, ptr %p.first
  %first.i = zext i32 %first to i64
  %holes = getelementptr i8, ptr %table, i64 %first.i
  %p.fields = getelementptr i8, ptr %slot, i64 8
  %fields = load i64, ptr %p.fields
  %none = icmp eq i8 %count, 0
  br i1 %none, label %out, label %hole
hole:
  %k = phi i8 [ 0, %copied ], [ %k1, %written ]
  %k.i = zext i8 %k to i64
  %p.hole = getelementptr [16 x i8], ptr %holes, i64 %k.i
  %at = load i16, ptr %p.hole
  %at.i = zext i16 %at to i64
  %p.width = getelementptr i8, ptr %p.hole, i64 2
  %width = load i8, ptr %p.width
  %p.kind = getelementptr i8, ptr %p.hole, i64 3
  %kind = load i8, ptr %p.kind
  %p.left = getelementptr i8, ptr %p.hole, i64 4
  %left = load i8, ptr %p.left
  %left.i = zext i8 %left to i64
  %p.right = getelementptr i8, ptr %p.hole, i64 5
  %right = load i8, ptr %p.right
  %right.i = zext i8 %right to i64
  %p.shift = getelementptr i8, ptr %p.hole, i64 6
  %shift = load i8, ptr %p.shift
  %shift.i = zext i8 %shift to i64
  %p.zero = getelementptr i8, ptr %p.hole, i64 7
  %zero = load i8, ptr %p.zero
  %zero.i = zext i8 %zero to i64
  %p.add = getelementptr i8, ptr %p.hole, i64 8
  %add = load i64, ptr %p.add
  %up = shl i64 %fields, %left.i
  %down.s = ashr i64 %up, %right.i
  %down.u = lshr i64 %up, %right.i
  %k.signed = and i8 %kind, «HOLE_SIGNED»
  %is.signed = icmp ne i8 %k.signed, 0
  %down = select i1 %is.signed, i64 %down.s, i64 %down.u
  %k.lane = and i8 %kind, «HOLE_LANE»
  %has.lane = icmp ne i8 %k.lane, 0
  %raw = select i1 %has.lane, i64 %down, i64 0
  %base.k = and i8 %kind, 7
  %base.i = zext i8 %base.k to i64
  %p.base = getelementptr i64, ptr %bases, i64 %base.i
  %base = load i64, ptr %p.base
  %scaled = shl i64 %raw, %shift.i
  %sum = add i64 %base, %scaled
  %plain = add i64 %sum, %add
  %is.zero.1 = icmp eq i64 %raw, %zero.i
  %is.written = icmp eq i8 %base.k, «BASE_WRITTEN»
  %is.zero = and i1 %is.zero.1, %is.written
  %value = select i1 %is.zero, i64 «st.sink», i64 %plain
  %place = getelementptr i8, ptr %w, i64 %at.i
  %w8 = icmp eq i8 %width, 8
  br i1 %w8, label %write8, label %narrow
write8:
  store i64 %value, ptr %place, align 1
  br label %written
narrow:
  %w4 = icmp eq i8 %width, 4
  br i1 %w4, label %write4, label %write1
write4:
  %v4 = trunc i64 %value to i32
  store i32 %v4, ptr %place, align 1
  br label %written
write1:
  %v1 = trunc i64 %value to i8
  store i8 %v1, ptr %place
  br label %written
written:
  %k1 = add i8 %k, 1
  %k.more = icmp ult i8 %k1, %count
  br i1 %k.more, label %hole, label %out
out:
  ret i64 %len.i
}
attributes #2 = { nounwind "no-builtins" "no-jump-tables"="true" }
"""


def text(layout: Mapping[str, int]) -> str:
    """The functions as LLVM text; layout gives the offsets and constants by name (engine.layout.names())."""
    made = PATCHER
    answers = {"NO_ROOM": NO_ROOM, "ON_TWO_PAGES": ON_TWO_PAGES, "IS_BLOCK": IS_BLOCK}
    for name, value in {**layout, **answers}.items():
        made = made.replace(f"«{name}»", str(value))
    if "«" in made:
        raise KeyError(made[made.index("«") + 1 : made.index("»")])
    return made
