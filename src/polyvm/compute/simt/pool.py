"""The native pool of host threads that runs kernels, as LLVM text and as an object: no Python on the launch path.

Jobs wait in one queue. A job is ready when those before it in its stream are done, and the stream that it names has
come far enough; workers take its blocks in chunks. Copies, fills and markers are jobs as well, so that streams order
them. A worker that finds nothing spins for some microseconds, then sleeps.
"""

from __future__ import annotations

import ctypes
import os
from _thread import allocate_lock

from polyvm.compute.simt import layout, support
from polyvm.engine import cachedir, image
from polyvm.errors import PolyvmError
from polyvm.memory import host

_P, _J, _S, _C, _W = layout.POOL, layout.JOB, layout.STREAM, layout.CONTEXT, layout.WORKER
JOBS = 1024  # that may wait at once
STACK = 64 << 20
SHARED = 256 << 10
SPIN = 4000  # turns, of some nanoseconds each


def _text() -> str:
    """The pool's code."""

    def field(base: str, offset: int, name: str) -> str:
        return f"  %{name} = getelementptr i8, ptr %{base}, i64 {offset}\n"

    count = 0

    def call(what: str, *args: str, result: str = "") -> str:
        nonlocal count
        n = field("pool", _P[what], f"f{count}") + f"  %g{count} = load ptr, ptr %f{count}\n"
        n += f"  {result}call i32 %g{count}({', '.join(args)})\n"
        count += 1
        return n

    def lock() -> str:
        return call("lock", "ptr %pool")

    def unlock() -> str:
        return call("unlock", "ptr %pool")

    return (
        f"""
define internal i64 @now(ptr %pool) "no-builtins" nounwind {{
  %ts = alloca [2 x i64]
{call("clock", "i32 1", "ptr %ts")}  %s = load i64, ptr %ts
  %p.n = getelementptr i8, ptr %ts, i64 8
  %n = load i64, ptr %p.n
  %s9 = mul i64 %s, 1000000000
  %t = add i64 %s9, %n
  ret i64 %t
}}

; With the lock: something may have become ready.
define internal void @stir(ptr %pool) "no-builtins" nounwind {{
{field("pool", _P["epoch"], "e")}  %old = atomicrmw add ptr %e, i64 1 seq_cst
{field("pool", _P["rouse"], "r")}  store i32 1, ptr %r
  ret void
}}

; Give the lock back, and wake whom there is something for: afterwards, or they would wake only to wait for the lock.
define internal void @release(ptr %pool) "no-builtins" nounwind {{
{field("pool", _P["rouse"], "pr")}  %rouse = load i32, ptr %pr
  store i32 0, ptr %pr
{field("pool", _P["sleepers"], "ps")}  %sleepers = load i32, ptr %ps
{field("pool", _P["tell"], "pt")}  %tell = load i32, ptr %pt
  store i32 0, ptr %pt
{field("pool", _P["waiters"], "pw")}  %waiters = load i32, ptr %pw
{unlock()}  %s = icmp ne i32 %sleepers, 0
  %r = icmp ne i32 %rouse, 0
  %sr = and i1 %s, %r
  br i1 %sr, label %wake, label %told
wake:
{field("pool", _P["work"], "c")}{call("broadcast", "ptr %c")}  br label %told
told:
  %w = icmp ne i32 %waiters, 0
  %t = icmp ne i32 %tell, 0
  %wt = and i1 %w, %t
  br i1 %wt, label %speak, label %out
speak:
{field("pool", _P["over"], "o")}{call("broadcast", "ptr %o")}  br label %out
out:
  ret void
}}

; With the lock: a job is done. Out of the queue, and back among the free ones unless it failed.
define internal void @complete(ptr %pool, ptr %job) "no-builtins" nounwind {{
entry:
{field("pool", _P["head"], "p.head")}{field("pool", _P["tail"], "p.tail")}  br label %walk
walk:
  %at = phi ptr [ %p.head, %entry ], [ %this, %next ]
  %before = phi ptr [ null, %entry ], [ %this, %next ]
  %this = load ptr, ptr %at
  %found = icmp eq ptr %this, %job
  br i1 %found, label %unlink, label %next
next:
  br label %walk
unlink:
  %after = load ptr, ptr %job
  store ptr %after, ptr %at
  %last = icmp eq ptr %after, null
  br i1 %last, label %shorten, label %off
shorten:
  store ptr %before, ptr %p.tail
  br label %off
off:
  %t = call i64 @now(ptr %pool)
{field("job", _J["ended"], "p.ended")}  store i64 %t, ptr %p.ended
{field("job", _J["begun"], "p.begun")}  %b0 = load i64, ptr %p.begun
  %never = icmp eq i64 %b0, 0
  %b1 = select i1 %never, i64 %t, i64 %b0
  store i64 %b1, ptr %p.begun
{field("job", _J["stamp"], "p.stamp")}  %stamp = load ptr, ptr %p.stamp
  %wanted = icmp ne ptr %stamp, null
  br i1 %wanted, label %note, label %ended
note: ; an event keeps when it was reached
  store i64 %t, ptr %stamp
  br label %ended
ended:
{field("job", _J["fault"], "p.fault")}  %fault = load i32, ptr %p.fault
{field("job", _J["context"], "p.context")}  %context = load ptr, ptr %p.context
  %ill = icmp ne i32 %fault, 0
  br i1 %ill, label %failed, label %free
failed:
  %old = load i32, ptr %context
  %first = icmp eq i32 %old, 0
  br i1 %first, label %keep, label %free
keep:
{field("context", _C["job"], "p.job")}  store ptr %job, ptr %p.job
  store atomic i32 1, ptr %context seq_cst, align 4
  br label %publish
free:
{field("pool", _P["free"], "p.free")}  %rest = load ptr, ptr %p.free
  store ptr %rest, ptr %job
  store ptr %job, ptr %p.free
  br label %publish
publish:
{field("job", _J["stream"], "p.stream")}  %stream = load ptr, ptr %p.stream
{field("job", _J["number"], "p.number")}  %number = load i64, ptr %p.number
  store atomic i64 %number, ptr %stream seq_cst, align 8
  call void @stir(ptr %pool)
{field("pool", _P["tell"], "p.tell")}  store i32 1, ptr %p.tell
  br label %out
out:
  ret void
}}

define ptr @worker(ptr %worker) "no-builtins" nounwind {{
entry:
{field("worker", _W["pool"], "p.pool")}  %pool = load ptr, ptr %p.pool
{field("pool", _P["head"], "p.head")}{field("pool", _P["epoch"], "p.epoch")}{field("pool", _P["quit"], "p.quit")}{field("pool", _P["sleepers"], "p.sleepers")}{field("pool", _P["work"], "p.work")}{field("pool", _P["spin"], "p.spin")}{lock()}  br label %scan
scan: ; with the lock
  %first = load ptr, ptr %p.head
  br label %look
look:
  %job = phi ptr [ %first, %scan ], [ %job.next, %skip ]
  %none = icmp eq ptr %job, null
  br i1 %none, label %idle, label %ready?
ready?:
{field("job", _J["stream"], "p.stream")}  %stream = load ptr, ptr %p.stream
{field("job", _J["number"], "p.number")}  %number = load i64, ptr %p.number
  %done = load i64, ptr %stream
  %before = sub i64 %number, 1
  %turn = icmp eq i64 %done, %before
  br i1 %turn, label %other?, label %skip
other?:
{field("job", _J["other"], "p.other")}  %other = load ptr, ptr %p.other
  %free = icmp eq ptr %other, null
  br i1 %free, label %blocks?, label %reached?
reached?:
{field("job", _J["wanted"], "p.wanted")}  %wanted = load i64, ptr %p.wanted
  %other.done = load atomic i64, ptr %other acquire, align 8
  %reached = icmp uge i64 %other.done, %wanted
  br i1 %reached, label %blocks?, label %skip
blocks?:
{field("job", _J["blocks"], "p.blocks")}  %blocks = load i64, ptr %p.blocks
{field("job", _J["taken"], "p.taken")}  %taken = load atomic i64, ptr %p.taken monotonic, align 8
  %marker = icmp eq i64 %blocks, 0
  br i1 %marker, label %mark, label %left?
mark:
  call void @complete(ptr %pool, ptr %job)
  br label %scan
left?:
  %left = icmp ult i64 %taken, %blocks
  br i1 %left, label %take, label %skip
skip:
  %job.next = load ptr, ptr %job
  br label %look

take:
{field("job", _J["begun"], "p.begun")}  %begun = load i64, ptr %p.begun
  %fresh = icmp eq i64 %begun, 0
  br i1 %fresh, label %begin, label %enter
begin:
  %t = call i64 @now(ptr %pool)
  store i64 %t, ptr %p.begun
  br label %enter
enter:
{field("job", _J["users"], "p.users")}  %users = load i32, ptr %p.users
  %users1 = add i32 %users, 1
  store i32 %users1, ptr %p.users
  call void @release(ptr %pool)
{field("job", _J["function"], "p.function")}  %function = load ptr, ptr %p.function
{field("job", _J["chunk"], "p.chunk")}  %chunk = load i64, ptr %p.chunk
{field("job", _J["done"], "p.done")}{field("job", _J["stop"], "p.stop")}{field("job", _J["context"], "p.context")}  %context = load ptr, ptr %p.context
  br label %more
more:
  %from = atomicrmw add ptr %p.taken, i64 %chunk seq_cst
  %over = icmp uge i64 %from, %blocks
  br i1 %over, label %finish, label %part
part:
  %to0 = add i64 %from, %chunk
  %past = icmp ugt i64 %to0, %blocks
  %to = select i1 %past, i64 %blocks, i64 %to0
  %sick = load atomic i32, ptr %context monotonic, align 4
  %stop = load atomic i32, ptr %p.stop monotonic, align 4
  %bad = or i32 %sick, %stop
  %good = icmp eq i32 %bad, 0
  br i1 %good, label %run, label %count
run:
  %made = call i32 %function(ptr %job, ptr %worker, i64 %from, i64 %to)
  br label %count
count:
  %size = sub i64 %to, %from
  %sum = atomicrmw add ptr %p.done, i64 %size seq_cst
  br label %more
finish:
{lock()}  %users2 = load i32, ptr %p.users
  %users3 = sub i32 %users2, 1
  store i32 %users3, ptr %p.users
  %sum2 = load atomic i64, ptr %p.done acquire, align 8
  %all = icmp eq i64 %sum2, %blocks
  %alone = icmp eq i32 %users3, 0
  %end = and i1 %all, %alone
  br i1 %end, label %ended, label %scan
ended:
  call void @complete(ptr %pool, ptr %job)
  br label %scan

idle: ; with the lock
  %quit = load i32, ptr %p.quit
  %leave = icmp ne i32 %quit, 0
  br i1 %leave, label %out, label %spin
spin:
  %epoch = load atomic i64, ptr %p.epoch acquire, align 8
  %turns = load i64, ptr %p.spin
  call void @release(ptr %pool)
  br label %turn.next
turn.next:
  %i = phi i64 [ 0, %spin ], [ %i1, %go.on ]
  %now = load atomic i64, ptr %p.epoch acquire, align 8
  %same = icmp eq i64 %now, %epoch
  br i1 %same, label %still, label %changed
still:
  call void asm sideeffect "pause", "~{{memory}}"()
  %i1 = add i64 %i, 1
  %often = and i64 %i1, 127
  %give = icmp eq i64 %often, 0
  br i1 %give, label %give.way, label %go.on
give.way: ; somebody may be waiting for this very processor
{call("yield")}  br label %go.on
go.on:
  %enough = icmp uge i64 %i1, %turns
  br i1 %enough, label %sleep?, label %turn.next
changed:
{lock()}  br label %scan
sleep?:
{lock()}  %now2 = load atomic i64, ptr %p.epoch acquire, align 8
  %same2 = icmp eq i64 %now2, %epoch
  br i1 %same2, label %sleep, label %scan
sleep:
  %n = load i32, ptr %p.sleepers
  %n1 = add i32 %n, 1
  store i32 %n1, ptr %p.sleepers
{call("wait", "ptr %p.work", "ptr %pool")}  %n2 = load i32, ptr %p.sleepers
  %n3 = sub i32 %n2, 1
  store i32 %n3, ptr %p.sleepers
  br label %scan
out:
  call void @release(ptr %pool)
  ret ptr null
}}

; Put a job into the queue: its number in its stream, or 0 when as many wait as may. size: of what the template has.
define i64 @submit(ptr %pool, ptr %template, i64 %size) "no-builtins" nounwind {{
entry:
{lock()}{field("pool", _P["free"], "p.free")}  %job = load ptr, ptr %p.free
  %none = icmp eq ptr %job, null
  br i1 %none, label %full, label %take
full:
{unlock()}  ret i64 0
take:
  %rest = load ptr, ptr %job
  store ptr %rest, ptr %p.free
{field("pool", _P["move"], "p.move")}  %move = load ptr, ptr %p.move
  %moved = call ptr %move(ptr %job, ptr %template, i64 %size)
{field("job", _J["stream"], "p.stream")}  %stream = load ptr, ptr %p.stream
{field("stream", _S["submitted"], "p.sub")}  %old = load i64, ptr %p.sub
  %number = add i64 %old, 1
  store i64 %number, ptr %p.sub
{field("job", _J["number"], "p.number")}  store i64 %number, ptr %p.number
  store ptr null, ptr %job
{field("pool", _P["tail"], "p.tail")}{field("pool", _P["head"], "p.head")}  %tail = load ptr, ptr %p.tail
  %empty = icmp eq ptr %tail, null
  %place = select i1 %empty, ptr %p.head, ptr %tail
  store ptr %job, ptr %place
  store ptr %job, ptr %p.tail
  call void @stir(ptr %pool)
  call void @release(ptr %pool)
  ret i64 %number
}}

; Wait for a stream to come so far: 1 when it has, 0 when the time is up.
define i32 @wait(ptr %pool, ptr %stream, i64 %number, i64 %turns, i64 %nanoseconds) "no-builtins" nounwind {{
entry:
  %ts = alloca [2 x i64]
  br label %turn
turn:
  %i = phi i64 [ 0, %entry ], [ %i1, %go.on ]
  %done = load atomic i64, ptr %stream acquire, align 8
  %there = icmp uge i64 %done, %number
  br i1 %there, label %yes, label %still
still:
  call void asm sideeffect "pause", "~{{memory}}"()
  %i1 = add i64 %i, 1
  %often = and i64 %i1, 127
  %give = icmp eq i64 %often, 0
  br i1 %give, label %give.way, label %go.on
give.way:
{call("yield")}  br label %go.on
go.on:
  %enough = icmp uge i64 %i1, %turns
  br i1 %enough, label %sleep, label %turn
yes:
  ret i32 1
sleep:
{call("clock", "i32 0", "ptr %ts")}  %s = load i64, ptr %ts
  %p.n = getelementptr i8, ptr %ts, i64 8
  %n = load i64, ptr %p.n
  %sum = add i64 %n, %nanoseconds
  %carry = udiv i64 %sum, 1000000000
  %n1 = urem i64 %sum, 1000000000
  %s1 = add i64 %s, %carry
  store i64 %s1, ptr %ts
  store i64 %n1, ptr %p.n
{lock()}{field("pool", _P["waiters"], "p.waiters")}{field("pool", _P["over"], "p.over")}  br label %check
check:
  %done2 = load atomic i64, ptr %stream acquire, align 8
  %there2 = icmp uge i64 %done2, %number
  br i1 %there2, label %good, label %doze
doze:
  %w = load i32, ptr %p.waiters
  %w1 = add i32 %w, 1
  store i32 %w1, ptr %p.waiters
{call("timedwait", "ptr %p.over", "ptr %pool", "ptr %ts", result="%rc = ")}  %w2 = load i32, ptr %p.waiters
  %w3 = sub i32 %w2, 1
  store i32 %w3, ptr %p.waiters
  %fine = icmp eq i32 %rc, 0
  br i1 %fine, label %check, label %late
good:
{unlock()}  ret i32 1
late:
  %done3 = load atomic i64, ptr %stream acquire, align 8
  %there3 = icmp uge i64 %done3, %number
  %made = zext i1 %there3 to i32
{unlock()}  ret i32 %made
}}

; Jobs that are no kernels. A block is a piece of 64 KiB of each row; args: to, from, bytes of a row, rows of a plane,
; distances of rows, distances of planes, and for a fill the pattern's bytes.
define i32 @copy(ptr %job, ptr %worker, i64 %from, i64 %to) "no-builtins" nounwind {{
entry:
{field("job", _J["args"], "a")}  %dst = load ptr, ptr %a
{field("a", 8, "a1")}  %src = load ptr, ptr %a1
{field("a", 16, "a2")}  %row = load i64, ptr %a2
{field("a", 24, "a3")}  %rows = load i64, ptr %a3
{field("a", 32, "a4")}  %dst.row = load i64, ptr %a4
{field("a", 40, "a5")}  %src.row = load i64, ptr %a5
{field("a", 48, "a6")}  %dst.plane = load i64, ptr %a6
{field("a", 56, "a7")}  %src.plane = load i64, ptr %a7
{field("a", 64, "a8")}  %pieces = load i64, ptr %a8
{field("a", 72, "a9")}  %unit = load i64, ptr %a9
{field("a", 80, "a10")}  %move = load ptr, ptr %a10
  br label %piece
piece:
  %b = phi i64 [ %from, %entry ], [ %b1, %next ]
  %p = urem i64 %b, %pieces
  %line = udiv i64 %b, %pieces
  %y = urem i64 %line, %rows
  %z = udiv i64 %line, %rows
  %off = mul i64 %p, 1048576
  %left = sub i64 %row, %off
  %big = icmp ugt i64 %left, 1048576
  %size = select i1 %big, i64 1048576, i64 %left
  %dy = mul i64 %y, %dst.row
  %dz = mul i64 %z, %dst.plane
  %d1 = add i64 %dy, %dz
  %d2 = add i64 %d1, %off
  %d = getelementptr i8, ptr %dst, i64 %d2
  %filling = icmp ne i64 %unit, 0
  br i1 %filling, label %fill, label %plain
plain:
  %sy = mul i64 %y, %src.row
  %sz = mul i64 %z, %src.plane
  %s1 = add i64 %sy, %sz
  %s2 = add i64 %s1, %off
  %s = getelementptr i8, ptr %src, i64 %s2
  %r = call ptr %move(ptr %d, ptr %s, i64 %size)
  br label %next
fill: ; src is the pattern, `unit` bytes
  br label %byte
byte:
  %k = phi i64 [ 0, %fill ], [ %k1, %put ]
  %end = icmp uge i64 %k, %size
  br i1 %end, label %next, label %put
put:
  %m = urem i64 %k, %unit
  %s.p = getelementptr i8, ptr %a, i64 128
  %s.m = getelementptr i8, ptr %s.p, i64 %m
  %c = load i8, ptr %s.m
  %d.k = getelementptr i8, ptr %d, i64 %k
  store i8 %c, ptr %d.k
  %k1 = add i64 %k, 1
  br label %byte
next:
  %b1 = add i64 %b, 1
  %more = icmp ult i64 %b1, %to
  br i1 %more, label %piece, label %out
out:
  ret i32 0
}}
""".replace("?:", ".q:")
        .replace("?,", ".q,")
        .replace("? ", ".q ")
        .replace("?\n", ".q\n")
    )


PIECE = 1 << 20
"""Bytes of a row that a block of a copy moves."""


def _image() -> image.Image:
    """The pool's native code, compiled once and kept on disk."""
    from hashlib import blake2b

    text = _text()
    name = f"gpu/pool-{blake2b(text.encode(), digest_size=16).hexdigest()}.pvi"
    folder = cachedir.prepare()
    if folder is not None:
        data = cachedir.read(folder, name)
        if data:
            try:
                return image.load(data)
            except PolyvmError:
                pass  # damaged: made again
    from polyvm.engine import compile as compiler

    data = compiler.build(
        text, ["worker", "submit", "wait", "copy"], opt=2, runtime=False, cpu="x86-64", features=""
    )
    if folder is not None:
        cachedir.write(folder, name, data)
    return image.load(data)


def _libc(name: str) -> int:
    return host.symbol(name)


def _map(size: int) -> int:
    at = host.mmap(0, size, host.PROT_READ | host.PROT_WRITE,
                   host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE)  # fmt: skip
    if at < 0:
        raise PolyvmError("PVM-RESOURCE", "The host has no memory for the pool of threads.", size=size)
    return at


class Pool:
    """Worker threads and their queue. Raises PVM-RESOURCE when the host gives no threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.image = _image()
        call = ctypes.CFUNCTYPE
        # With the interpreter's lock held: it takes a moment, and the job must not change meanwhile.
        self.submit = ctypes.PYFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(
            self.image.address("submit")
        )
        self._wait = call(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64
        )(self.image.address("wait"))
        self.copy = self.image.address("copy")
        self.move = _libc("memmove")
        self.size = layout.POOL_SIZE + JOBS * layout.JOB_SIZE
        self.at = _map(self.size)
        functions = {
            "lock": "pthread_mutex_lock", "unlock": "pthread_mutex_unlock", "wait": "pthread_cond_wait",
            "broadcast": "pthread_cond_broadcast", "timedwait": "pthread_cond_timedwait",
            "yield": "sched_yield", "clock": "clock_gettime",
        }  # fmt: skip
        for field, name in functions.items():
            host.poke(self.at + _P[field], _libc(name).to_bytes(8, "little"))
        host.poke(self.at + _P["move"], self.move.to_bytes(8, "little"))
        host.poke(self.at + _P["spin"], (SPIN if (os.cpu_count() or 1) > 1 else 0).to_bytes(8, "little"))
        first = 0
        for n in reversed(range(JOBS)):
            job = self.at + layout.POOL_SIZE + n * layout.JOB_SIZE
            host.poke(job, first.to_bytes(8, "little"))
            first = job
        host.poke(self.at + _P["free"], first.to_bytes(8, "little"))
        self._threads: list[int] = []
        self._maps: list[tuple[int, int]] = []
        for n in range(threads):
            self._start(n)

    def _start(self, number: int) -> None:
        size = 4096 + SHARED + support.LOCAL + STACK
        at = _map(size)
        self._maps.append((at, size))
        shared, local, stack = at + 4096, at + 4096 + SHARED, at + 4096 + SHARED + support.LOCAL
        for field, value in (
            ("shared", shared), ("stack", stack + (1 << 20)), ("pool", self.at), ("number", number), ("locals", local)
        ):  # fmt: skip
            host.poke(at + _W[field], value.to_bytes(8, "little"))
        libc = ctypes.CDLL(None)
        attributes = ctypes.create_string_buffer(256)
        libc.pthread_attr_init(attributes)
        libc.pthread_attr_setstack(attributes, ctypes.c_void_p(stack), ctypes.c_size_t(STACK))
        thread = ctypes.c_ulong()
        old = _block_signals(True)
        failed = libc.pthread_create(
            ctypes.byref(thread),
            attributes,
            ctypes.c_void_p(self.image.address("worker")),
            ctypes.c_void_p(at),
        )
        _block_signals(False, old)
        if failed:
            raise PolyvmError("PVM-RESOURCE", "The host gives no thread to the pool.", errno=failed)
        self._threads.append(thread.value)

    def wait(self, stream: int, number: int, turns: int = SPIN, nanoseconds: int = 50_000_000) -> bool:
        """Wait for a stream to come so far; whether it has. Returns now and then, so that Python sees its signals."""
        return bool(self._wait(self.at, stream, number, turns, nanoseconds))

    def give_back(self, job: int) -> None:
        """A failed job that somebody kept to read: free again."""
        libc = ctypes.CDLL(None)
        libc.pthread_mutex_lock(ctypes.c_void_p(self.at))
        host.poke(job, host.peek(self.at + _P["free"], 8))
        host.poke(self.at + _P["free"], job.to_bytes(8, "little"))
        libc.pthread_mutex_unlock(ctypes.c_void_p(self.at))

    def close(self) -> None:
        """End the threads; nothing may be waiting."""
        if not self._threads:
            return
        host.poke(self.at + _P["quit"], (1).to_bytes(4, "little"))
        libc = ctypes.CDLL(None)
        libc.pthread_mutex_lock(ctypes.c_void_p(self.at))
        epoch = self.at + _P["epoch"]
        host.poke(epoch, (int.from_bytes(host.peek(epoch, 8), "little") + 1).to_bytes(8, "little"))
        libc.pthread_cond_broadcast(ctypes.c_void_p(self.at + _P["work"]))
        libc.pthread_mutex_unlock(ctypes.c_void_p(self.at))
        for thread in self._threads:
            libc.pthread_join(ctypes.c_ulong(thread), None)
        self._threads.clear()
        for at, size in self._maps:
            host.munmap(at, size)
        self._maps.clear()
        host.munmap(self.at, self.size)


def _block_signals(block: bool, old: object = None) -> object:
    """Signals are the interpreter's: the pool's threads start with all of them blocked."""
    import signal

    if block:
        return signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - _OWN)
    return signal.pthread_sigmask(signal.SIG_SETMASK, old)  # type: ignore[arg-type]


def _own() -> frozenset[int]:
    import signal

    return frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP))


_OWN = _own()
_lock = allocate_lock()
_pools: dict[int, Pool] = {}
os.register_at_fork(after_in_child=_pools.clear)  # their threads are not there


def shared(threads: int | None = None) -> Pool:
    """The process's pool of so many threads; as many as this process may use cores, by default."""
    count = threads or len(os.sched_getaffinity(0))
    with _lock:
        if count not in _pools:
            _pools[count] = Pool(count)
        return _pools[count]
