"""The GPU back end `host`: CUDA kernels on this machine's processor, through NVRTC's PTX and `compute.simt`.

It is there without any GPU. A device's memory is the process's own, so NumPy arrays go in and out without a copy;
every access of a kernel is checked against what was allocated. Streams run on one pool of native threads.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Any

from polyvm.compute import nvrtc
from polyvm.compute.backend import Code, Copy, DeviceInfo, Launch, Parameter, Source, failure
from polyvm.compute.ptxcode import parameters_of
from polyvm.compute.simt import layout
from polyvm.compute.simt import pool as pools
from polyvm.engine import cachedir, image
from polyvm.errors import PolyvmError
from polyvm.memory import host as memory

_J = layout.JOB
_ARGS = _J["args"]
PLANS = 256  # launches of a module that stay packed
GUARD = 256  # bytes between allocations that belong to nobody
PRINT = 1 << 20  # bytes that kernels may print until somebody synchronises


@dataclass(eq=False, slots=True)
class Memory:
    """An allocation."""

    start: int
    size: int
    owner: object
    kind: str


@dataclass(eq=False, slots=True)
class Stream:
    """A queue: where the pool keeps how far it is, and how far it is to come."""

    at: int
    keep: Any
    submitted: int = 0
    alive: bool = True
    kept: list[tuple[int, object]] = field(default_factory=list)  # what jobs still use


@dataclass(frozen=True, slots=True)
class Event:
    """A point in a stream; at: where the pool notes when it was reached."""

    stream: Stream
    number: int
    stamp: Any


@dataclass(eq=False)
class Module:
    """A loaded PTX module, and the images of its kernels, by kernel and shape of block."""

    parsed: Any
    digest: str
    globals: Memory
    images: dict[tuple[str, tuple[int, int, int]], tuple[int, dict[str, Any], image.Image]] = field(
        default_factory=dict
    )
    parameters: dict[str, tuple[Parameter, ...]] = field(default_factory=dict)
    plans: dict[tuple[str, Launch, int], Prepared] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of a module."""

    module: Module
    name: str


class HostBackend:
    """One device: the processor."""

    name = "host"

    def devices(self) -> list[DeviceInfo]:
        """The processor, as a device of compute capability 8.0."""
        return [_device()]

    def open(self, info: DeviceInfo) -> HostDriver:
        """A context of its own: its own memory, streams and faults; the pool of threads is shared."""
        return HostDriver(info)


def backend() -> HostBackend:
    """This back end."""
    return HostBackend()


@cache
def _processor() -> tuple[str, str]:
    """The processor's name, and everything that code generation depends on."""
    name, flags = platform.machine(), ""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                word, _, value = line.partition(":")
                if word.strip() == "model name" and name == platform.machine():
                    name = value.strip()
                if word.strip() in ("flags", "Features") and not flags:
                    flags = value.strip()
    except OSError:
        pass
    return name, f"{platform.machine()} {name} {flags}"


def _device() -> DeviceInfo:
    name, everything = _processor()
    digest = blake2b(f"{platform.node()} {everything}".encode(), digest_size=16).hexdigest()
    uuid = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
    pages = os.sysconf("SC_PAGE_SIZE")
    return DeviceInfo(
        uuid=uuid, name=name, backend="host", memory_bytes=pages * os.sysconf("SC_PHYS_PAGES"),
        memory_free=pages * os.sysconf("SC_AVPHYS_PAGES"), compute_units=len(os.sched_getaffinity(0)),
        capability="8.0", verified_on_hardware=True, max_shared=227 << 10,
    )  # fmt: skip


class HostDriver:
    """A context on the processor."""

    languages: tuple[str, ...] = ("cuda", "hip", "ptx")

    def __init__(self, info: DeviceInfo, threads: int | None = None) -> None:
        self.info = info
        self.pool = pools.shared(threads)
        self.timeout: float | None = None  # seconds that a kernel may run
        self.exact = False
        self._state = ctypes.create_string_buffer(layout.CONTEXT_SIZE)
        self._context = ctypes.addressof(self._state)
        self._print = ctypes.create_string_buffer(PRINT)
        self._memory: dict[int, Memory] = {}
        self._ranges: Any = None
        self._range_count = 0
        self._retired: list[Any] = []
        self._streams: list[Stream] = []
        self._modules: list[Module] = []
        self._lock = threading.Lock()
        self._failure: PolyvmError | None = None
        self._closed = False

    # -- Memory
    def allocate(self, size: int, kind: str) -> Memory:
        """Memory of the process; all kinds are the same."""
        whole = size + 3 * GUARD
        try:
            owner = (ctypes.c_char * whole)() if whole < 1 << 20 else _Mapping(whole)
        except (MemoryError, OverflowError, PolyvmError) as error:
            raise failure("memory", f"The host has no {size} bytes left.", size=size) from error
        start = owner.start if isinstance(owner, _Mapping) else ctypes.addressof(owner)
        made = Memory((start + 2 * GUARD - 1) & -GUARD, size, owner, kind)
        return self._enter(made)

    def _enter(self, made: Memory) -> Memory:
        with self._lock:
            self._memory[id(made)] = made
            self._ranges = None
        return made

    def limit(self, memory: Memory, size: int) -> None:
        """What is behind so many bytes belongs to nobody."""
        if memory.size != size:
            memory.size = size
            self._ranges = None

    def release(self, memory: Memory) -> None:
        """Give it back, when nothing runs that may use it."""
        with self._lock:
            if self._memory.pop(id(memory), None) is None:
                raise failure("handle", "This memory is not of this context, or was freed.")
            self._ranges = None
        memory.owner = None

    def address(self, memory: Memory) -> int:
        """Where it is."""
        return memory.start

    def register(self, address: int, size: int, owner: object) -> Memory:
        """Host memory as it is: nothing is copied."""
        return self._enter(Memory(address, size, owner, "registered"))

    def view(self, memory: Memory) -> memoryview:
        """The memory itself."""
        return memoryview((ctypes.c_char * memory.size).from_address(memory.start)).cast("B")

    def _table(self) -> tuple[int, int]:
        """The sorted ranges that kernels may touch."""
        with self._lock:
            if self._ranges is None:
                spans = sorted((m.start, m.start + m.size) for m in self._memory.values() if m.size)
                flat = [edge for span in spans for edge in span]
                self._ranges = (ctypes.c_uint64 * max(1, len(flat)))(*flat)
                self._range_count = len(spans)
                self._retired.append(self._ranges)  # jobs that wait still point to the earlier ones
            return ctypes.addressof(self._ranges), self._range_count

    # -- Copies
    def write(self, to: Memory, offset: int, data: memoryview, stream: Stream) -> None:
        """From the host."""
        self._move(to.start + offset, _address(data), Copy(data.nbytes), stream, data)

    def read(self, data: memoryview, source: Memory, offset: int, stream: Stream) -> None:
        """To the host."""
        self._move(_address(data), source.start + offset, Copy(data.nbytes), stream, data)

    def copy(
        self, to: Memory, to_offset: int, source: Memory, offset: int, shape: Copy, stream: Stream
    ) -> None:
        """From one place to another."""
        self._move(to.start + to_offset, source.start + offset, shape, stream, None)

    def _move(
        self, to: int, source: int, shape: Copy, stream: Stream, keep: object, pattern: bytes = b""
    ) -> None:
        if shape.size == 0 or shape.rows == 0 or shape.planes == 0:
            return
        pieces = -(-shape.size // pools.PIECE)
        args = struct.pack(
            "<11Q", to, source, shape.size, shape.rows, shape.to_row, shape.from_row, shape.to_plane, shape.from_plane,
            pieces, len(pattern), self.pool.move,
        )  # fmt: skip
        args = args.ljust(128, b"\0") + pattern
        job = self._job(self.pool.copy, pieces * shape.rows * shape.planes, 1, args)
        self._submit(job, stream, keep)

    def fill(self, to: Memory, offset: int, pattern: bytes, size: int, stream: Stream) -> None:
        """A pattern, over and over."""
        self._move(to.start + offset, 0, Copy(size), stream, None, pattern)

    # -- Streams
    def stream(self) -> Stream:
        """A queue."""
        keep = ctypes.create_string_buffer(layout.STREAM_SIZE + 64)
        made = Stream((ctypes.addressof(keep) + 63) & ~63, keep)
        self._streams.append(made)
        return made

    def drop_stream(self, stream: Stream) -> None:
        """Forget it, when it is done."""
        self._drain(stream)
        stream.alive = False
        self._streams.remove(stream)

    def _job(self, function: int, blocks: int, chunk: int, args: bytes, **fields: int) -> bytearray:
        job = bytearray(_J["args"]) + args
        for name, value in (
            ("function", function),
            ("blocks", blocks),
            ("chunk", chunk),
            ("context", self._context),
        ):
            struct.pack_into("<Q", job, _J[name], value)
        for name, value in fields.items():
            struct.pack_into("<Q", job, _J[name], value)
        return job

    def _submit(self, job: bytearray, stream: Stream, keep: object = None) -> int:
        """Put a job into the queue."""
        if self._failure is not None:
            raise self._failure
        struct.pack_into("<Q", job, _J["stream"], stream.at)
        whole = (ctypes.c_char * len(job)).from_buffer(job)
        return self._enqueue(ctypes.addressof(whole), len(job), stream, keep)

    def _enqueue(self, at: int, size: int, stream: Stream, keep: object = None) -> int:
        number = self.pool.submit(self.pool.at, at, size)
        while not number:  # as many wait as may
            self._turn(stream, max(1, stream.submitted - pools.JOBS // 2))
            number = self.pool.submit(self.pool.at, at, size)
        stream.submitted = number
        if keep is not None:
            stream.kept.append((number, keep))
        if self.timeout is not None:
            _watchdog.watch(self)
        return int(number)

    def _turn(self, stream: Stream, number: int) -> bool:
        return self.pool.wait(stream.at, number)

    def _drain(self, stream: Stream) -> None:
        number = stream.submitted
        try:
            while not self._turn(stream, number):
                pass
        except KeyboardInterrupt:
            self._stop_all()
            while not self._turn(stream, number):
                pass
            raise
        if stream.kept:
            stream.kept = [(n, keep) for n, keep in stream.kept if n > number]

    def _stop_all(self) -> None:
        """Stop what runs: every job of this context in the queue."""
        for at in self._queued():
            memory.poke(at + _J["stop"], (1).to_bytes(4, "little"))

    def _queued(self) -> list[int]:
        """Job slots that belong to this context."""
        first = self.pool.at + layout.POOL_SIZE
        mine = self._context.to_bytes(8, "little")
        slots = (first + n * layout.JOB_SIZE for n in range(pools.JOBS))
        return [at for at in slots if memory.peek(at + _J["context"], 8) == mine]

    def synchronize(self, stream: Stream) -> None:
        """Wait, print what kernels printed, and raise what went wrong."""
        self._drain(stream)
        if len(self._retired) > 1 and all(self.query(s) for s in self._streams):
            self._retired = self._retired[-1:]
        self.flush_prints()
        self.check()

    def check(self) -> None:
        """Raise what went wrong; it stays wrong."""
        if self._failure is None and self._state.raw[0]:
            self._failure = self._fault()
        if self._failure is not None:
            raise self._failure

    def query(self, stream: Stream) -> bool:
        """Whether everything is done."""
        return int.from_bytes(memory.peek(stream.at, 8), "little") >= stream.submitted

    def record(self, stream: Stream) -> Event:
        """A marker in the queue."""
        stamp = ctypes.c_uint64()
        job = self._job(0, 0, 1, b"", stamp=ctypes.addressof(stamp))
        return Event(stream, self._submit(job, stream, stamp), stamp)

    def wait(self, stream: Stream, event: Event) -> None:
        """A marker that waits for another stream."""
        job = self._job(0, 0, 1, b"", other=event.stream.at, wanted=event.number)
        self._submit(job, stream, event.stream.keep)

    def reached(self, event: Event) -> bool:
        """Whether it was."""
        return int.from_bytes(memory.peek(event.stream.at, 8), "little") >= event.number

    def elapsed(self, begin: Event, end: Event) -> float:
        """Seconds between two events."""
        return float(end.stamp.value - begin.stamp.value) / 1e9

    # -- Programs
    def compile(self, source: Source) -> Code:
        """CUDA C and the common subset of HIP through NVRTC; PTX as it is."""
        if source.language == "ptx":
            return Code("ptx", source.text.encode())
        return nvrtc.compile(source)

    def load(self, code: Code) -> Module:
        """Parse a module and give its variables memory."""
        if code.kind != "ptx":
            raise failure("ptx", f"The processor loads PTX, not {code.kind}.")
        from polyvm.compute.simt.program import Globals
        from polyvm.isa.ptx import syntax

        parsed = syntax.parse(code.data.decode("utf-8", "replace"))
        variables = Globals(parsed)
        block = self.allocate(max(16, variables.size), "module")
        memory.poke(block.start, variables.image(parsed, block.start))
        made = Module(parsed, blake2b(code.data, digest_size=20).hexdigest(), block)
        self._modules.append(made)
        return made

    def unload(self, module: Module) -> None:
        """Forget it; its kernels must be done."""
        for stream in self._streams:
            self._drain(stream)
        self._modules.remove(module)
        self.release(module.globals)
        for _, _, native in module.images.values():
            native.unload()
        module.images.clear()
        module.plans.clear()

    def kernels(self, module: Module) -> list[str]:
        """Their names."""
        return list(module.parsed.kernels)

    def kernel(self, module: Module, name: str) -> tuple[Kernel, tuple[Parameter, ...]]:
        """A kernel and its parameters."""
        function = module.parsed.kernels.get(name)
        if function is None:
            raise failure(
                "name",
                f"The module has no kernel {name!r}.",
                hint=f"It has: {', '.join(module.parsed.kernels) or 'none'}.",
            )
        if name not in module.parameters:
            module.parameters[name] = parameters_of(function)
        return Kernel(module, name), module.parameters[name]

    def native(self, kernel: Kernel, block: tuple[int, int, int]) -> tuple[int, dict[str, Any]]:
        """The kernel's code for a shape of block, from memory, from disk, or made now: its address and what it says."""
        key = kernel.name, block
        found = kernel.module.images.get(key)
        if found is None:
            data = self._built(kernel, block)
            native = image.load(data)
            import json

            found = native.address("kernel"), json.loads(native.meta), native
            kernel.module.images[key] = found
        return found[0], found[1]

    def _built(self, kernel: Kernel, block: tuple[int, int, int]) -> bytes:
        from polyvm.compute.simt import program

        digest = blake2b(digest_size=20)
        for part in (
            kernel.module.digest,
            kernel.name,
            str(block),
            str(self.exact),
            program.version(),
            _processor()[1],
        ):
            digest.update(part.encode() + b"\0")
        name = f"gpu/{digest.hexdigest()}.pvi"
        folder = cachedir.prepare()
        data = cachedir.read(folder, name) if folder else None
        if data:
            try:
                image.load(data).unload()
            except PolyvmError:
                data = None
        if not data:
            data = program.Program(kernel.module.parsed, kernel.name, block, exact=self.exact).build()
            if folder:
                cachedir.write(folder, name, data)
        return data

    def prepare(self, kernel: Kernel, how: Launch, packed: bytes, stream: Stream) -> Prepared:
        """A launch with everything looked up and packed, to be started again and again."""
        function, meta = self.native(kernel, how.block)
        if meta["shared"] + how.shared > self.info.max_shared:
            raise failure(
                "value",
                f"{meta['shared'] + how.shared} bytes of shared memory; {self.info.max_shared} are possible.",
            )
        blocks = how.grid[0] * how.grid[1] * how.grid[2]
        chunk = max(1, min(1024, blocks // (4 * self.pool.threads)))
        ranges, count = self._table()
        job = self._job(
            function, blocks, chunk, packed, globals=kernel.module.globals.start,
            ranges=ranges, range_count=count, print=ctypes.addressof(self._print), print_size=PRINT - 64,
        )  # fmt: skip
        struct.pack_into("<3II", job, _J["grid"], *how.grid, how.shared)
        struct.pack_into("<Q", job, _J["stream"], stream.at)
        _names[function] = weakref.ref(kernel.module), kernel.name, meta
        return Prepared(self, job, stream, self._ranges)

    def launch(self, kernel: Kernel, how: Launch, arguments: Sequence[Any], stream: Stream) -> None:
        """Start a kernel. What is looked up and packed is kept for the next launch of the same shape."""
        key = kernel.name, how, stream.at
        plans = kernel.module.plans
        plan = plans.get(key)
        if plan is None:
            if len(plans) >= PLANS:
                plans.clear()
            plan = plans[key] = self.prepare(kernel, how, arguments[0], stream)
        plan.submit(arguments[0])

    # -- What kernels said, and what went wrong
    def flush_prints(self) -> None:
        """Print what kernels printed."""
        used = struct.unpack_from("<Q", self._print, 0)[0]
        if used:
            from polyvm.compute.printf import show

            show(self._print.raw[64 : 64 + min(used, PRINT - 64)], used > PRINT - 64, self._inside)
            ctypes.memset(self._print, 0, 8)

    def _inside(self, address: int, size: int) -> bool:
        return any(m.start <= address and address + size <= m.start + m.size for m in self._memory.values())

    def text_at(self, address: int, limit: int = 1024) -> str:
        """The string at an address of the device."""
        made = bytearray()
        while len(made) < limit and self._inside(address + len(made), 1):
            byte = memory.peek(address + len(made), 1)
            if byte == b"\0":
                break
            made += byte
        return made.decode("utf-8", "replace")

    def _fault(self) -> PolyvmError:
        at = struct.unpack_from("<Q", self._state, layout.CONTEXT["job"])[0]
        raw = memory.peek(at, layout.JOB["args"])

        def number(name: str, form: str) -> int:
            return int(struct.unpack_from(form, raw, _J[name])[0])

        kind = next((word for word, n in layout.FAULTS.items() if n == number("kind", "<I")), "stopped")
        _, name, meta = _names.get(number("function", "<Q"), (None, "?", {}))
        if kind == "stopped":
            return failure("timeout", f"The kernel {name} was stopped.", kernel=name)
        site = number("site", "<I")
        entries = meta["sites"][site & 0xFFFFFF]
        line, file, source, text = entries[min(site >> 24, len(entries) - 1)]
        grid = struct.unpack_from("<3I", raw, _J["grid"])
        where = {
            "kernel": name, "instruction": text, "ptx_line": line, "address": number("address", "<Q"),
            "thread": _place(number("thread", "<I"), meta["block"]), "block": _place(number("block", "<Q"), grid),
        }  # fmt: skip
        if source:
            where["source"] = f"{meta['files'].get(str(file), '?')}:{source}"
        return self._told(kind, name, where)

    def _told(self, kind: str, name: str, where: dict[str, Any]) -> PolyvmError:
        texts = {
            "memory": ("address", f"The kernel {name} accessed memory that is not allocated."),
            "shared": ("address", f"The kernel {name} accessed shared memory beyond its end."),
            "local": ("address", f"The kernel {name} accessed local memory beyond its end."),
            "trap": ("instruction", f"The kernel {name} executed trap."),
            "stack": ("launch", f"The kernel {name} called functions too deeply."),
            "call": ("launch", f"The kernel {name} called what is no function."),
            "jump": ("launch", f"The kernel {name} jumped past the end of a table."),
            "waits": ("launch", f"The kernel {name} names lanes in a warp operation that wait elsewhere."),
            "wrap": ("launch", f"An index of the kernel {name} wraps between lanes of a warp."),
        }
        hints = {"wrap": "Open the context with exact=True.", "waits": "Name only lanes that take part."}
        if kind == "assert":
            text = self.text_at(where.pop("address"))
            return failure("assert", f"An assertion of the kernel {name} failed: {text}", **where)
        what, message = texts[kind]
        if kind not in ("memory", "shared", "local", "call", "wrap"):
            where.pop("address")
        return failure(what, message, hint=hints.get(kind), **where)

    def close(self) -> None:
        """Wait for everything and end the context."""
        if self._closed:
            return
        self._closed = True
        for stream in list(self._streams):
            self._drain(stream)
        for module in self._modules:
            for _, _, native in module.images.values():
                native.unload()
        at = struct.unpack_from("<Q", self._state, layout.CONTEXT["job"])[0]
        if at:
            self.pool.give_back(at)
        self._memory.clear()


class Prepared:
    """A launch that is packed. Memory that was allocated later is looked up again."""

    __slots__ = ("_at", "_driver", "_job", "_keep", "_ranges", "_size", "stream")

    def __init__(self, driver: HostDriver, job: bytearray, stream: Stream, ranges: object) -> None:
        self._driver, self._job, self.stream, self._ranges = driver, job, stream, ranges
        self._keep = (ctypes.c_char * len(job)).from_buffer(job)
        self._at, self._size = ctypes.addressof(self._keep), len(job)

    def submit(self, packed: bytes = b"") -> None:
        """Start it; with other packed parameters, if given."""
        driver = self._driver
        if driver._failure is not None:
            raise driver._failure
        if packed:
            self._job[_ARGS : _ARGS + len(packed)] = packed
        if driver._ranges is not self._ranges:
            ranges, count = driver._table()
            struct.pack_into("<2Q", self._job, _J["ranges"], ranges, count)
            self._ranges = driver._ranges
        number = driver.pool.submit(driver.pool.at, self._at, self._size)
        if not number:
            number = driver._enqueue(self._at, self._size, self.stream)
        self.stream.submitted = number
        if driver.timeout is not None:
            _watchdog.watch(driver)


class _Mapping:
    """A large allocation: pages of its own."""

    def __init__(self, size: int) -> None:
        self.start = memory.mmap(
            0, size, memory.PROT_READ | memory.PROT_WRITE, memory.MAP_PRIVATE | memory.MAP_ANONYMOUS
        )
        if self.start < 0:
            self.start = 0
            raise failure("memory", f"The host has no {size} bytes left.", size=size)
        self.size = size

    def __del__(self) -> None:
        if self.start:
            memory.munmap(self.start, self.size)


class _Watchdog:
    """Stops kernels that run longer than their context allows: a thread that is there while one is watched."""

    def __init__(self) -> None:
        self.drivers: weakref.WeakSet[HostDriver] = weakref.WeakSet()
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()

    def watch(self, driver: HostDriver) -> None:
        if driver in self.drivers and self.thread is not None:
            return
        with self.lock:
            self.drivers.add(driver)
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="polyvm-gpu-watchdog", daemon=True)
                self.thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(0.05)
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            with self.lock:
                busy = [
                    d for d in self.drivers if not d._closed and not all(d.query(s) for s in list(d._streams))
                ]
                self.drivers = weakref.WeakSet(busy)
                if not busy:
                    self.thread = None
                    return
            for driver in busy:
                self._look(driver, now)

    def _look(self, driver: HostDriver, now: int) -> None:
        limit = driver.timeout
        if limit is None:
            return
        for at in driver._queued():
            begun, ended = struct.unpack("<2Q", memory.peek(at + _J["begun"], 16))
            if begun and not ended and now - begun > limit * 1e9:
                memory.poke(at + _J["kind"], (0).to_bytes(4, "little"))
                memory.poke(at + _J["fault"], (2).to_bytes(4, "little"))
                memory.poke(at + _J["stop"], (1).to_bytes(4, "little"))


_watchdog = _Watchdog()
_names: dict[int, tuple[Any, str, dict[str, Any]]] = {}


def _address(data: memoryview) -> int:
    if data.nbytes == 0:
        return 0
    if data.readonly:
        import numpy

        return int(numpy.frombuffer(data, numpy.uint8).ctypes.data)
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def _place(number: int, shape: Sequence[int]) -> str:
    x, y = max(1, shape[0]), max(1, shape[1])
    return f"({number % x}, {number // x % y}, {number // (x * y)})"
