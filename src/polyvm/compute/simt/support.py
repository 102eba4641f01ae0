"""The native code beside a kernel's, as LLVM text: looking up addresses, writing down faults, printf, and the grid loop."""

from __future__ import annotations

from polyvm.compute.simt import layout
from polyvm.compute.simt.shape import Gang

_J, _F, _W = layout.JOB, layout.FRAME, layout.WORKER

SUPPORT = f"""
declare i64 @llvm.cttz.i64(i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; Write down the first fault of a job, and stop it.
define internal void @pv_fault(ptr %frame, i32 %kind, i32 %site, i64 %address, i32 %lane, i32 %first) cold noinline nounwind {{
  %job = load ptr, ptr %frame
  %p.stop = getelementptr i8, ptr %job, i64 {_J["stop"]}
  store atomic i32 1, ptr %p.stop seq_cst, align 4
  %p.fault = getelementptr i8, ptr %job, i64 {_J["fault"]}
  %claim = cmpxchg ptr %p.fault, i32 0, i32 1 seq_cst seq_cst
  %mine = extractvalue {{i32, i1}} %claim, 1
  br i1 %mine, label %write, label %out
write:
  %p.kind = getelementptr i8, ptr %job, i64 {_J["kind"]}
  store i32 %kind, ptr %p.kind
  %p.address = getelementptr i8, ptr %job, i64 {_J["address"]}
  store i64 %address, ptr %p.address
  %p.site = getelementptr i8, ptr %job, i64 {_J["site"]}
  store i32 %site, ptr %p.site
  %p.gang = getelementptr i8, ptr %frame, i64 {_F["gang"]}
  %gang = load i32, ptr %p.gang
  %warp = mul i32 %gang, GANG_SIZE
  %in = add i32 %lane, %first
  %thread = add i32 %warp, %in
  %p.thread = getelementptr i8, ptr %job, i64 {_J["thread"]}
  store i32 %thread, ptr %p.thread
  %p.b = getelementptr i8, ptr %frame, i64 {_F["block"]}
  %b = load i64, ptr %p.b
  %p.block = getelementptr i8, ptr %job, i64 {_J["block"]}
  store i64 %b, ptr %p.block
  store atomic i32 2, ptr %p.fault release, align 4
  br label %out
out:
  ret void
}}

; The allocation that holds [address, address + size): its start and length, 0 and 0 where none does.
define internal {{i64, i64}} @pv_find(ptr %frame, i64 %address, i64 %size) noinline nounwind {{
entry:
  %job = load ptr, ptr %frame
  %p.ranges = getelementptr i8, ptr %job, i64 {_J["ranges"]}
  %ranges = load ptr, ptr %p.ranges
  %p.count = getelementptr i8, ptr %job, i64 {_J["range_count"]}
  %count = load i64, ptr %p.count
  br label %search
search: ; the last range that begins at or before the address
  %low = phi i64 [ 0, %entry ], [ %low1, %halve ]
  %high = phi i64 [ %count, %entry ], [ %high1, %halve ]
  %more = icmp ult i64 %low, %high
  br i1 %more, label %halve, label %found
halve:
  %sum = add i64 %low, %high
  %mid = lshr i64 %sum, 1
  %m16 = mul i64 %mid, 16
  %p.mid = getelementptr i8, ptr %ranges, i64 %m16
  %begin = load i64, ptr %p.mid
  %after = icmp ugt i64 %begin, %address
  %mid1 = add i64 %mid, 1
  %low1 = select i1 %after, i64 %low, i64 %mid1
  %high1 = select i1 %after, i64 %mid, i64 %high
  br label %search
found:
  %any = icmp ne i64 %low, 0
  br i1 %any, label %look, label %window
look:
  %n = sub i64 %low, 1
  %n16 = mul i64 %n, 16
  %p.r = getelementptr i8, ptr %ranges, i64 %n16
  %r.start = load i64, ptr %p.r
  %p.end = getelementptr i8, ptr %p.r, i64 8
  %r.end = load i64, ptr %p.end
  %r.size = sub i64 %r.end, %r.start
  %r.in = call i1 @pv_inside(i64 %address, i64 %size, i64 %r.start, i64 %r.size)
  br i1 %r.in, label %range, label %window
range:
  %g0 = insertvalue {{i64, i64}} poison, i64 %r.start, 0
  %g1 = insertvalue {{i64, i64}} %g0, i64 %r.size, 1
  ret {{i64, i64}} %g1
window: ; generic addresses of shared and of local memory
  %p.sh = getelementptr i8, ptr %frame, i64 {_F["shared"]}
  %sh = load i64, ptr %p.sh
  %p.shs = getelementptr i8, ptr %frame, i64 {_F["shared_size"]}
  %shs = load i64, ptr %p.shs
  %s.in = call i1 @pv_inside(i64 %address, i64 %size, i64 %sh, i64 %shs)
  %p.lo = getelementptr i8, ptr %frame, i64 {_F["local"]}
  %lo = load i64, ptr %p.lo
  %p.le = getelementptr i8, ptr %frame, i64 {_F["local_end"]}
  %le = load i64, ptr %p.le
  %ls = sub i64 %le, %lo
  %l.in = call i1 @pv_inside(i64 %address, i64 %size, i64 %lo, i64 %ls)
  %w.start = select i1 %s.in, i64 %sh, i64 %lo
  %w.size = select i1 %s.in, i64 %shs, i64 %ls
  %w.in = or i1 %s.in, %l.in
  %o.start = select i1 %w.in, i64 %w.start, i64 0
  %o.size = select i1 %w.in, i64 %w.size, i64 0
  %h0 = insertvalue {{i64, i64}} poison, i64 %o.start, 0
  %h1 = insertvalue {{i64, i64}} %h0, i64 %o.size, 1
  ret {{i64, i64}} %h1
}}

define internal i1 @pv_inside(i64 %address, i64 %size, i64 %start, i64 %length) nounwind {{
  %away = sub i64 %address, %start
  %fits = icmp ule i64 %size, %length
  %room = sub i64 %length, %size
  %near = icmp ule i64 %away, %room
  %in = and i1 %fits, %near
  ret i1 %in
}}

; Are all accesses of a group good, of every lane of the mask? slot: where to remember the allocation, null for windows
; of `size` bytes. A table is a count, then offsets and sizes, i32 each.
define internal i1 @pv_check(ptr %frame, ptr %slot, ptr %lanes, i64 %mask, i64 %need, i32 %kind, i32 %site, ptr %table, i64 %cut, i64 %size, i32 %first) cold noinline nounwind {{
entry:
  %count = load i32, ptr %table
  %memory = icmp ne ptr %slot, null
  br label %next
next:
  %left = phi i64 [ %mask, %entry ], [ %rest, %lane.ok ]
  %done = icmp eq i64 %left, 0
  br i1 %done, label %good, label %lane
lane:
  %n = call i64 @llvm.cttz.i64(i64 %left, i1 true)
  %less = sub i64 %left, 1
  %rest = and i64 %left, %less
  %p.base = getelementptr i64, ptr %lanes, i64 %n
  %base = load i64, ptr %p.base
  br label %entries
entries:
  %i = phi i32 [ 0, %lane ], [ %i1, %entry.ok ]
  %all = icmp eq i32 %i, %count
  br i1 %all, label %lane.ok, label %one
one:
  %i2 = mul i32 %i, 8
  %i3 = add i32 %i2, 4
  %p.off = getelementptr i8, ptr %table, i32 %i3
  %off32 = load i32, ptr %p.off
  %off = sext i32 %off32 to i64
  %p.bytes = getelementptr i8, ptr %p.off, i64 4
  %bytes32 = load i32, ptr %p.bytes
  %bytes = zext i32 %bytes32 to i64
  %sum = add i64 %base, %off
  %address = and i64 %sum, %cut
  br i1 %memory, label %look, label %window
look:
  %range = call {{i64, i64}} @pv_find(ptr %frame, i64 %address, i64 %bytes)
  %r.start = extractvalue {{i64, i64}} %range, 0
  %r.size = extractvalue {{i64, i64}} %range, 1
  %r.in = icmp ne i64 %r.size, 0
  br i1 %r.in, label %remember?, label %bad
remember?: ; only an allocation that the fast check can use
  %large = icmp uge i64 %r.size, %need
  br i1 %large, label %remember, label %entry.ok
remember:
  store i64 %r.start, ptr %slot
  %p.size = getelementptr i8, ptr %slot, i64 8
  store i64 %r.size, ptr %p.size
  br label %entry.ok
window:
  %w.in = call i1 @pv_inside(i64 %address, i64 %bytes, i64 0, i64 %size)
  br i1 %w.in, label %entry.ok, label %bad
entry.ok:
  %i1 = add i32 %i, 1
  br label %entries
lane.ok:
  br label %next
bad:
  %which = shl i32 %i, 24
  %n32 = trunc i64 %n to i32
  %tagged = or i32 %which, %site
  call void @pv_fault(ptr %frame, i32 %kind, i32 %tagged, i64 %address, i32 %n32, i32 %first)
  ret i1 false
good:
  ret i1 true
}}

; One record for each lane: the format's address, the block, the thread, how many bytes follow, and these.
define internal void @pv_print(ptr %frame, ptr %formats, ptr %arguments, i32 %mask, ptr %local, i64 %stride) cold noinline nounwind {{
entry:
  %job = load ptr, ptr %frame
  %p.print = getelementptr i8, ptr %job, i64 {_J["print"]}
  %print = load ptr, ptr %p.print
  %p.limit = getelementptr i8, ptr %job, i64 {_J["print_size"]}
  %limit = load i64, ptr %p.limit
  %p.gang = getelementptr i8, ptr %frame, i64 {_F["gang"]}
  %gang = load i32, ptr %p.gang
  %warp = mul i32 %gang, GANG_SIZE
  %p.b = getelementptr i8, ptr %frame, i64 {_F["block"]}
  %b = load i64, ptr %p.b
  %mask64 = zext i32 %mask to i64
  %start = ptrtoint ptr %local to i64
  br label %next
next:
  %left = phi i64 [ %mask64, %entry ], [ %rest, %more ]
  %done = icmp eq i64 %left, 0
  br i1 %done, label %out, label %lane
lane:
  %n = call i64 @llvm.cttz.i64(i64 %left, i1 true)
  %less = sub i64 %left, 1
  %rest = and i64 %left, %less
  %at = atomicrmw add ptr %print, i64 {layout.RECORD} monotonic
  %end = add i64 %at, {layout.RECORD}
  %fits = icmp ule i64 %end, %limit
  br i1 %fits, label %write, label %more
write:
  %off = add i64 %at, 64
  %record = getelementptr i8, ptr %print, i64 %off
  %p.f = getelementptr i64, ptr %formats, i64 %n
  %f = load i64, ptr %p.f
  store i64 %f, ptr %record
  %p.rb = getelementptr i8, ptr %record, i64 8
  store i64 %b, ptr %p.rb
  %n32 = trunc i64 %n to i32
  %thread = add i32 %warp, %n32
  %p.rt = getelementptr i8, ptr %record, i64 16
  store i32 %thread, ptr %p.rt
  %p.a = getelementptr i64, ptr %arguments, i64 %n
  %a = load i64, ptr %p.a
  %mine = mul i64 %n, %stride
  %own = add i64 %start, %mine
  %used = sub i64 %a, %own
  %inside = icmp ult i64 %used, %stride
  %room = sub i64 %stride, %used
  %some = select i1 %inside, i64 %room, i64 0
  %big = icmp ugt i64 %some, 256
  %bytes = select i1 %big, i64 256, i64 %some
  %bytes32 = trunc i64 %bytes to i32
  %p.rn = getelementptr i8, ptr %record, i64 20
  store i32 %bytes32, ptr %p.rn
  %p.rd = getelementptr i8, ptr %record, i64 24
  %source = inttoptr i64 %a to ptr
  br label %copy
copy:
  %k = phi i64 [ 0, %write ], [ %k1, %byte ]
  %end? = icmp eq i64 %k, %bytes
  br i1 %end?, label %more, label %byte
byte:
  %p.s = getelementptr i8, ptr %source, i64 %k
  %c = load i8, ptr %p.s
  %p.d = getelementptr i8, ptr %p.rd, i64 %k
  store i8 %c, ptr %p.d
  %k1 = add i64 %k, 1
  br label %copy
more:
  br label %next
out:
  ret void
}}
""".replace("end?", "ended").replace("remember?", "remember.ask")


def text(gang: Gang) -> str:
    """The same for a size of gang."""
    return SUPPORT.replace("nounwind {", '"no-builtins" nounwind {').replace("GANG_SIZE", str(gang.size))


LOCAL = 64 << 20
"""Bytes of local memory of a worker, shared out among the gangs of a block."""


def grid(
    name: str, gang: Gang, *, context: int, slots: int, shared: int, states: bool, attributes: str
) -> str:
    """The loop over blocks: i32 @<name>(job, worker, first block, behind the last); not 0 where it was stopped.

    context: bytes that a gang needs while it waits at a barrier; states: whether there are barriers.
    """
    warps = gang.gangs
    context = -(-max(context, 64) // 64) * 64
    room = LOCAL // warps // 4096 * 4096
    lines = [
        f"define i32 @{name}(ptr %job, ptr %worker, i64 %from, i64 %to) {attributes} {{",
        "entry:",
        f"  %frame = alloca [{layout.FRAME_SIZE} x i8], align 64",
        f"  %slots = alloca [{max(1, slots)} x [2 x i64]], align 64",
    ]
    if states:
        lines += [
            f"  %contexts = alloca [{context * warps} x i8], align 64",
            f"  %states = alloca [{warps} x i32]",
        ]
    put = []

    def field(source: str, kind: str, target: str) -> None:
        put.append(f"  %f.{target} = getelementptr i8, ptr %frame, i64 {_F[target]}")
        put.append(f"  store {kind} {source}, ptr %f.{target}")

    def fetch(what: str, kind: str, base: str, offset: int) -> None:
        put.append(f"  %p.{what} = getelementptr i8, ptr %{base}, i64 {offset}")
        put.append(f"  %{what} = load {kind}, ptr %p.{what}")

    field("%job", "ptr", "job")
    put.append(f"  %args = getelementptr i8, ptr %job, i64 {_J['args']}")
    field("%args", "ptr", "args")
    fetch("globals", "ptr", "job", _J["globals"])
    field("%globals", "ptr", "globals")
    fetch("shared", "ptr", "worker", _W["shared"])
    field("%shared", "ptr", "shared")
    fetch("dynamic", "i32", "job", _J["dynamic"])
    put += ["  %dynamic64 = zext i32 %dynamic to i64", f"  %shared.size = add i64 %dynamic64, {shared}"]
    field("%shared.size", "i64", "shared_size")
    field("%dynamic64", "i64", "dynamic")
    fetch("stack", "i64", "worker", _W["stack"])
    field("%stack", "i64", "stack")
    field("%slots", "ptr", "slots")
    for axis, n in (("x", 0), ("y", 4), ("z", 8)):
        fetch(f"n{axis}", "i32", "job", _J["grid"] + n)
        put.append(f"  %f.n{axis} = getelementptr i8, ptr %frame, i64 {_F['grid'] + n}")
        put.append(f"  store i32 %n{axis}, ptr %f.n{axis}")
    fetch("locals", "i64", "worker", _W["locals"])
    lines += put
    lines += [
        f"  %p.stop = getelementptr i8, ptr %job, i64 {_J['stop']}",
        "  %w.nx = zext i32 %nx to i64",
        "  %w.ny = zext i32 %ny to i64",
        "  br label %slot",
        "slot:",
        "  %s = phi i64 [ 0, %entry ], [ %s1, %slot ]",
        "  %p.s = getelementptr [2 x i64], ptr %slots, i64 %s",
        f"  store i64 {-(1 << 63)}, ptr %p.s",
        "  %p.s8 = getelementptr i8, ptr %p.s, i64 8",
        f"  store i64 {1 << 40}, ptr %p.s8",
        "  %s1 = add i64 %s, 1",
        f"  %s.end = icmp uge i64 %s1, {max(1, slots)}",
        "  br i1 %s.end, label %blocks, label %slot",
        "blocks:",
        "  %some = icmp ult i64 %from, %to",
        "  br i1 %some, label %block, label %good",
        "block:",
        "  %b = phi i64 [ %from, %blocks ], [ %b1, %block.next ]",
        "  %stop = load atomic i32, ptr %p.stop monotonic, align 4",
        "  %stopped = icmp ne i32 %stop, 0",
        "  br i1 %stopped, label %bad, label %go",
        "go:",
        "  %cx64 = urem i64 %b, %w.nx",
        "  %row = udiv i64 %b, %w.nx",
        "  %cy64 = urem i64 %row, %w.ny",
        "  %cz64 = udiv i64 %row, %w.ny",
    ]
    lines += [f"  %f.block = getelementptr i8, ptr %frame, i64 {_F['block']}", "  store i64 %b, ptr %f.block"]
    for axis, n in (("x", 0), ("y", 4), ("z", 8)):
        lines += [f"  %c{axis} = trunc i64 %c{axis}64 to i32",
                  f"  %f.c{axis} = getelementptr i8, ptr %frame, i64 {_F['cta'] + n}",
                  f"  store i32 %c{axis}, ptr %f.c{axis}"]  # fmt: skip
    if states:
        lines += [f"  call void @llvm.memset.p0.i64(ptr %states, i8 0, i64 {4 * warps}, i1 false)", "  br label %phase",
                  "phase:"]  # fmt: skip
        for last, now, start in (("and", "and", 1), ("or", "or", 0), ("count", "count", 0)):
            lines += [f"  %n.{now} = getelementptr i8, ptr %frame, i64 {_F['now_' + now]}",
                      f"  %v.{now} = load i32, ptr %n.{now}",
                      f"  %l.{now} = getelementptr i8, ptr %frame, i64 {_F['last_' + last]}",
                      f"  store i32 %v.{now}, ptr %l.{now}", f"  store i32 {start}, ptr %n.{now}"]  # fmt: skip
        before, again = "phase", "gang.next"
    else:
        before, again = "go", "gang.next"
    lines += [
        "  br label %gang",
        "gang:",
        f"  %g = phi i32 [ 0, %{before} ], [ %g1, %{again} ]",
    ]
    if states:
        lines += [
            "  %waiting = phi i32 [ 0, %phase ], [ %waiting1, %gang.next ]",
            "  %p.state = getelementptr i32, ptr %states, i32 %g",
            "  %state = load i32, ptr %p.state",
            "  %over = icmp eq i32 %state, -1",
            "  br i1 %over, label %gang.over, label %gang.go",
            "gang.over:",
            "  br label %gang.next",
            "gang.go:",
        ]
    lines += [
        f"  %f.gang = getelementptr i8, ptr %frame, i64 {_F['gang']}",
        "  store i32 %g, ptr %f.gang",
        "  %g64 = zext i32 %g to i64",
        f"  %l.off = mul i64 %g64, {room}",
        "  %l.start = add i64 %locals, %l.off",
        f"  %l.end = add i64 %l.start, {room}",
        f"  %f.l0 = getelementptr i8, ptr %frame, i64 {_F['local']}",
        "  store i64 %l.start, ptr %f.l0",
        f"  %f.l1 = getelementptr i8, ptr %frame, i64 {_F['local_end']}",
        "  store i64 %l.end, ptr %f.l1",
    ]
    if states:
        lines += [
            f"  %c.off = mul i64 %g64, {context}",
            "  %context = getelementptr i8, ptr %contexts, i64 %c.off",
            f"  %made = call i32 @{name}.gang(ptr %frame, ptr %context, i32 %state)",
        ]
    else:
        lines.append(f"  %made = call i32 @{name}.gang(ptr %frame, ptr null, i32 0)")
    lines += ["  %dead = icmp eq i32 %made, -2", "  br i1 %dead, label %bad, label %alive", "alive:"]
    if states:
        lines += [
            "  %ended = icmp eq i32 %made, 0",
            "  %state1 = select i1 %ended, i32 -1, i32 %made",
            "  store i32 %state1, ptr %p.state",
            "  br label %gang.next",
            "gang.next:",
            "  %kept = phi i32 [ 0, %gang.over ], [ %made, %alive ]",
            "  %waiting1 = or i32 %waiting, %kept",
        ]
    else:
        lines += ["  br label %gang.next", "gang.next:"]
    lines += [
        "  %g1 = add nuw nsw i32 %g, 1",
        f"  %g.end = icmp eq i32 %g1, {warps}",
        f"  br i1 %g.end, label %{'phase.end' if states else 'block.next'}, label %gang",
    ]
    if states:
        lines += [
            "phase.end:",
            "  %p.stop2 = load atomic i32, ptr %p.stop monotonic, align 4",
            "  %halt = icmp ne i32 %p.stop2, 0",
            "  br i1 %halt, label %bad, label %phase.on",
            "phase.on:",
            "  %quiet = icmp eq i32 %waiting1, 0",
            "  br i1 %quiet, label %block.next, label %phase",
        ]
    lines += [
        "block.next:",
        "  %b1 = add nuw nsw i64 %b, 1",
        "  %b.end = icmp eq i64 %b1, %to",
        "  br i1 %b.end, label %good, label %block",
        "good:",
        "  ret i32 0",
        "bad:",
        "  ret i32 1",
        "}",
    ]
    return "\n".join(lines) + "\n"
