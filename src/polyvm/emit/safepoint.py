"""Getting a thread out of compiled code, as LLVM text: tables of host PCs, shadows, single-stepping, the call window.

Compiled code never looks whether somebody wants it to stop. Whoever does sends a signal, and the handler moves the
interrupted thread to a copy of its unit that has a breakpoint at every safepoint
(docs/decisions/0002-safepoints-in-a-shadow.md).
"""

from __future__ import annotations

# Which image, unit, window or table entry a host PC belongs to.
LOOKUP = r"""
; The process block of the image that contains a host PC, or null. %own: the first block of the chain.
define internal ptr @pv_image(ptr %own, i64 %rip) #900 {
entry:
  br label %next
next:
  %p = phi ptr [ %own, %entry ], [ %after, %miss ]
  %none = icmp eq ptr %p, null
  br i1 %none, label %out, label %look
look:
  %p.start = getelementptr i8, ptr %p, i64 «process.image_start»
  %start = load i64, ptr %p.start
  %p.end = getelementptr i8, ptr %p, i64 «process.image_end»
  %end = load i64, ptr %p.end
  %a = icmp uge i64 %rip, %start
  %b = icmp ult i64 %rip, %end
  %in = and i1 %a, %b
  br i1 %in, label %out, label %miss
miss:
  %p.next = getelementptr i8, ptr %p, i64 «process.next»
  %after = load ptr, ptr %p.next
  br label %next
out:
  ret ptr %p
}

; The recovery address of the fault window around a host PC, or 0.
define internal i64 @pv_window(ptr %p, i64 %rip) #900 {
entry:
  %base = load i64, ptr %p
  %off = sub i64 %rip, %base
  %p.table = getelementptr i8, ptr %p, i64 «process.windows»
  %table = load ptr, ptr %p.table
  %p.n = getelementptr i8, ptr %p, i64 «process.window_count»
  %n = load i64, ptr %p.n
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %look ]
  %more = icmp ult i64 %i, %n
  br i1 %more, label %look, label %none
look:
  %i1 = add i64 %i, 1
  %at = getelementptr [3 x i32], ptr %table, i64 %i
  %from = load i32, ptr %at
  %from.i = zext i32 %from to i64
  %p.end = getelementptr i8, ptr %at, i64 4
  %end = load i32, ptr %p.end
  %end.i = zext i32 %end to i64
  %a = icmp uge i64 %off, %from.i
  %b = icmp ult i64 %off, %end.i
  %in = and i1 %a, %b
  br i1 %in, label %found, label %next
found:
  %p.to = getelementptr i8, ptr %at, i64 8
  %to = load i32, ptr %p.to
  %to.i = zext i32 %to to i64
  %there = add i64 %base, %to.i
  ret i64 %there
none:
  ret i64 0
}

; Around every look into the table of ranges: an old one may be freed when nobody reads.
define internal void @pv_reading(ptr %p, i32 %n) #900 alwaysinline {
  %p.readers = getelementptr i8, ptr %p, i64 «process.readers»
  %old = atomicrmw add ptr %p.readers, i32 %n seq_cst
  ret void
}

; The range (of a compiled unit) that contains a host PC, or null. The table is replaced as a whole, never changed.
define internal ptr @pv_range(ptr %p, i64 %rip) #900 {
entry:
  %p.table = getelementptr i8, ptr %p, i64 «process.ranges»
  %table = load atomic ptr, ptr %p.table seq_cst, align 8
  %none = icmp eq ptr %table, null
  br i1 %none, label %miss, label %start
start:
  %n = load i64, ptr %table
  %first = getelementptr i8, ptr %table, i64 16
  br label %next
next:
  %lo = phi i64 [ 0, %start ], [ %lo1, %step ]
  %hi = phi i64 [ %n, %start ], [ %hi1, %step ]
  %more = icmp ult i64 %lo, %hi
  br i1 %more, label %step, label %done
step:
  %sum = add i64 %lo, %hi
  %mid = lshr i64 %sum, 1
  %mid.o = mul i64 %mid, «RANGE_SIZE»
  %mid.p = getelementptr i8, ptr %first, i64 %mid.o
  %mid.pe = getelementptr i8, ptr %mid.p, i64 «range.end»
  %mid.end = load i64, ptr %mid.pe
  %past = icmp ule i64 %mid.end, %rip
  %mid1 = add i64 %mid, 1
  %lo1 = select i1 %past, i64 %mid1, i64 %lo
  %hi1 = select i1 %past, i64 %hi, i64 %mid
  br label %next
done:
  %inside = icmp ult i64 %lo, %n
  br i1 %inside, label %check, label %miss
check:
  %off = mul i64 %lo, «RANGE_SIZE»
  %at = getelementptr i8, ptr %first, i64 %off
  %at.start = load i64, ptr %at
  %ok = icmp ule i64 %at.start, %rip
  br i1 %ok, label %found, label %miss
found:
  ret ptr %at
miss:
  ret ptr null
}

; The recovery address that a table of u32 pairs has for exactly this host PC, or 0.
define internal i64 @pv_pair(ptr %table, i32 %count, i64 %base, i64 %rip) #900 {
entry:
  %off = sub i64 %rip, %base
  %key = trunc i64 %off to i32
  br label %next
next:
  %lo = phi i32 [ 0, %entry ], [ %lo1, %step ]
  %hi = phi i32 [ %count, %entry ], [ %hi1, %step ]
  %more = icmp ult i32 %lo, %hi
  br i1 %more, label %step, label %done
step:
  %sum = add i32 %lo, %hi
  %mid = lshr i32 %sum, 1
  %mid.i = zext i32 %mid to i64
  %mid.p = getelementptr [2 x i32], ptr %table, i64 %mid.i
  %mid.key = load i32, ptr %mid.p
  %less = icmp ult i32 %mid.key, %key
  %mid1 = add i32 %mid, 1
  %lo1 = select i1 %less, i32 %mid1, i32 %lo
  %hi1 = select i1 %less, i32 %hi, i32 %mid
  br label %next
done:
  %inside = icmp ult i32 %lo, %count
  br i1 %inside, label %check, label %miss
check:
  %lo.i = zext i32 %lo to i64
  %at = getelementptr [2 x i32], ptr %table, i64 %lo.i
  %at.key = load i32, ptr %at
  %same = icmp eq i32 %at.key, %key
  br i1 %same, label %found, label %miss
found:
  %p.to = getelementptr i8, ptr %at, i64 4
  %to = load i32, ptr %p.to
  %to.i = zext i32 %to to i64
  %there = add i64 %base, %to.i
  ret i64 %there
miss:
  ret i64 0
}

; The guest PC of the last row at or before a host PC, of the first row when it is before all; 0 without rows.
define internal i64 @pv_place(ptr %table, i32 %count, i64 %base, i64 %rip) #900 {
entry:
  %off = sub i64 %rip, %base
  %key = trunc i64 %off to i32
  %none = icmp eq i32 %count, 0
  br i1 %none, label %miss, label %next
next:
  %lo = phi i32 [ 0, %entry ], [ %lo1, %step ]
  %hi = phi i32 [ %count, %entry ], [ %hi1, %step ]
  %more = icmp ult i32 %lo, %hi
  br i1 %more, label %step, label %found
step:
  %sum = add i32 %lo, %hi
  %mid = lshr i32 %sum, 1
  %mid.i = zext i32 %mid to i64
  %mid.p = getelementptr [3 x i32], ptr %table, i64 %mid.i
  %mid.key = load i32, ptr %mid.p
  %past = icmp ule i32 %mid.key, %key
  %mid1 = add i32 %mid, 1
  %lo1 = select i1 %past, i32 %mid1, i32 %lo
  %hi1 = select i1 %past, i32 %hi, i32 %mid
  br label %next
found:
  %first = icmp eq i32 %lo, 0
  %before = sub i32 %lo, 1
  %row = select i1 %first, i32 0, i32 %before
  %row.i = zext i32 %row to i64
  %at = getelementptr [3 x i32], ptr %table, i64 %row.i
  %p.pc = getelementptr i8, ptr %at, i64 4
  %pc = load i64, ptr %p.pc, align 4
  ret i64 %pc
miss:
  ret i64 0
}
"""

# What a set stop flag does to an interrupted thread.
STOP = r"""
; Stop single-stepping.
define internal void @pv_calm(ptr %st, ptr %uc) #900 {
  %p.stepping = getelementptr i8, ptr %st, i64 «st.stepping»
  %stepping = load i32, ptr %p.stepping
  %no = icmp eq i32 %stepping, 0
  br i1 %no, label %out, label %clear
clear:
  store i32 0, ptr %p.stepping
  call void @pv_trace(ptr %uc, i1 false)
  br label %out
out:
  ret void
}

; The host PC in a unit's image that a PC in its shadow stands for.
define internal i64 @pv_plain(ptr %range, i64 %rip) #900 alwaysinline {
  %base = load i64, ptr %range
  %p.shadow = getelementptr i8, ptr %range, i64 «range.shadow»
  %shadow = load i64, ptr %p.shadow
  %off = sub i64 %rip, %base
  %has = icmp ne i64 %shadow, 0
  %behind = icmp uge i64 %off, %shadow
  %in = and i1 %has, %behind
  %back = select i1 %in, i64 %shadow, i64 0
  %plain = sub i64 %rip, %back
  ret i64 %plain
}

; If the PC, less what a breakpoint moved it, is at a safepoint of a unit: leave there.
define internal i1 @pv_leave(ptr %st, ptr %pr, ptr %uc, i64 %moved) #900 {
  call void @pv_reading(ptr %pr, i32 1)
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip.now = load i64, ptr %p.rip
  %rip = sub i64 %rip.now, %moved
  %range = call ptr @pv_range(ptr %pr, i64 %rip)
  %in = icmp ne ptr %range, null
  br i1 %in, label %unit, label %miss
unit:
  %base = load i64, ptr %range
  %plain = call i64 @pv_plain(ptr %range, i64 %rip)
  %p.points = getelementptr i8, ptr %range, i64 «range.points»
  %points = load ptr, ptr %p.points
  %p.count = getelementptr i8, ptr %range, i64 «range.point_count»
  %count = load i32, ptr %p.count
  %to = call i64 @pv_pair(ptr %points, i32 %count, i64 %base, i64 %plain)
  %point = icmp ne i64 %to, 0
  br i1 %point, label %leave, label %miss
leave:
  call void @pv_reading(ptr %pr, i32 -1)
  store i64 %to, ptr %p.rip
  %p.reason = getelementptr i8, ptr %st, i64 «st.reason»
  store i32 «reason.STOP», ptr %p.reason
  call void @pv_calm(ptr %st, ptr %uc)
  ret i1 true
miss:
  call void @pv_reading(ptr %pr, i32 -1)
  ret i1 false
}

; Make a unit's shadow, the first time that it is stopped: a copy behind it with int3 at every safepoint. Nobody runs
; in it before it is ready. False when the host refuses.
define internal i1 @pv_shadow(ptr %range) #900 {
entry:
  %p.cell = getelementptr i8, ptr %range, i64 «range.cell»
  %cell = load ptr, ptr %p.cell
  br label %try
try:
  %swap = cmpxchg ptr %cell, i32 «SHADOW_NONE», i32 «SHADOW_BUSY» seq_cst seq_cst
  %state = extractvalue { i32, i1 } %swap, 0
  switch i32 %state, label %refused [ i32 «SHADOW_NONE», label %make i32 «SHADOW_BUSY», label %wait
                                      i32 «SHADOW_READY», label %ready ]
wait:
  %y = call i64 @pv_raw(i64 «nr.sched_yield», i64 0, i64 0, i64 0, i64 0)
  br label %try
make:
  %base = load i64, ptr %range
  %p.size = getelementptr i8, ptr %range, i64 «range.size»
  %size = load i64, ptr %p.size
  %p.shadow = getelementptr i8, ptr %range, i64 «range.shadow»
  %shadow = load i64, ptr %p.shadow
  %at = add i64 %base, %shadow
  %w = call i64 @pv_raw(i64 «nr.mprotect», i64 %at, i64 %size, i64 3, i64 0)
  %w.ok = icmp eq i64 %w, 0
  br i1 %w.ok, label %copy, label %fail
copy:
  call void @pv_bytes(i64 %at, i64 %base, i64 %size)
  %p.points = getelementptr i8, ptr %range, i64 «range.points»
  %points = load ptr, ptr %p.points
  %p.count = getelementptr i8, ptr %range, i64 «range.point_count»
  %count = load i32, ptr %p.count
  %count.i = zext i32 %count to i64
  br label %next
next:
  %i = phi i64 [ 0, %copy ], [ %i1, %put ]
  %more = icmp ult i64 %i, %count.i
  br i1 %more, label %put, label %done
put:
  %i1 = add i64 %i, 1
  %p.point = getelementptr [2 x i32], ptr %points, i64 %i
  %point = load i32, ptr %p.point
  %point.i = zext i32 %point to i64
  %there = add i64 %at, %point.i
  call void @pv_breakpoint(i64 %there)
  br label %next
done:
  %x = call i64 @pv_raw(i64 «nr.mprotect», i64 %at, i64 %size, i64 5, i64 0)
  %x.ok = icmp eq i64 %x, 0
  br i1 %x.ok, label %finish, label %fail
finish:
  store atomic i32 «SHADOW_READY», ptr %cell seq_cst, align 4
  br label %ready
ready:
  ret i1 true
fail:
  store atomic i32 «SHADOW_REFUSED», ptr %cell seq_cst, align 4
  br label %refused
refused:
  ret i1 false
}

; With the stop flag set: at a safepoint of a unit leave; elsewhere in a unit go on in its shadow, which has a
; breakpoint at every safepoint (without a shadow: single-step); in the gate single-step. Everything else looks at the
; flag by itself.
define internal void @pv_step(ptr %st, ptr %pr, ptr %uc) #900 {
  %left = call i1 @pv_leave(ptr %st, ptr %pr, ptr %uc, i64 0)
  br i1 %left, label %out, label %look
look:
  call void @pv_reading(ptr %pr, i32 1)
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip = load i64, ptr %p.rip
  %range = call ptr @pv_range(ptr %pr, i64 %rip)
  %in = icmp ne ptr %range, null
  br i1 %in, label %unit, label %gate
unit:
  %p.shadow = getelementptr i8, ptr %range, i64 «range.shadow»
  %shadow = load i64, ptr %p.shadow
  %has.shadow = icmp ne i64 %shadow, 0
  br i1 %has.shadow, label %make, label %unit.step
unit.step:
  call void @pv_reading(ptr %pr, i32 -1)
  br label %on
make:
  %plain = call i64 @pv_plain(ptr %range, i64 %rip)
  %ok = call i1 @pv_shadow(ptr %range)
  call void @pv_reading(ptr %pr, i32 -1)
  br i1 %ok, label %move, label %on
move:
  %moved = add i64 %plain, %shadow
  store i64 %moved, ptr %p.rip
  br label %calm
gate:
  call void @pv_reading(ptr %pr, i32 -1)
  %p.gs = getelementptr i8, ptr %pr, i64 «process.gate_start»
  %gs = load i64, ptr %p.gs
  %p.ge = getelementptr i8, ptr %pr, i64 «process.gate_end»
  %ge = load i64, ptr %p.ge
  %a = icmp uge i64 %rip, %gs
  %b = icmp ult i64 %rip, %ge
  %ab = and i1 %a, %b
  br i1 %ab, label %on, label %calm
on:
  %p.stepping = getelementptr i8, ptr %st, i64 «st.stepping»
  store i32 1, ptr %p.stepping
  call void @pv_trace(ptr %uc, i1 true)
  ret void
calm:
  call void @pv_calm(ptr %st, ptr %uc)
  br label %out
out:
  ret void
}

; In the window of pv_syscall: do not enter the kernel, or (entered before: r11 is no longer st) do not restart.
define internal void @pv_rewind(ptr %st, ptr %pr, ptr %uc) #900 {
  %p.rip = getelementptr i8, ptr %uc, i64 «uc.rip»
  %rip = load i64, ptr %p.rip
  %p.begin = getelementptr i8, ptr %pr, i64 «process.sys_begin»
  %begin = load i64, ptr %p.begin
  %p.end = getelementptr i8, ptr %pr, i64 «process.sys_end»
  %end = load i64, ptr %p.end
  %a = icmp uge i64 %rip, %begin
  %b = icmp ult i64 %rip, %end
  %ab = and i1 %a, %b
  br i1 %ab, label %in, label %out
in:
  %p.r11 = getelementptr i8, ptr %uc, i64 «uc.r11»
  %r11 = load ptr, ptr %p.r11
  %fresh = icmp eq ptr %r11, %st
  %p.skip = getelementptr i8, ptr %pr, i64 «process.sys_skip»
  %skip = load i64, ptr %p.skip
  %p.again = getelementptr i8, ptr %pr, i64 «process.sys_again»
  %again = load i64, ptr %p.again
  %to = select i1 %fresh, i64 %skip, i64 %again
  store i64 %to, ptr %p.rip
  br label %out
out:
  ret void
}
"""
