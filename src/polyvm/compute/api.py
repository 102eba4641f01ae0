"""The GPU API: devices, contexts, streams, events, programs, kernels and buffers, over every back end.

The shape is that of cuda.core: a Program is compiled to a Module, a Kernel of it is started with launch(). Everything
checks what it is given before the back end sees it, so that a wrong handle, size or type is an error of the API
(PVM-GPU-ARGUMENT) and never the driver's. Sizes are in bytes, times in seconds. Limits are each device's own.
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from polyvm.compute import backend as backends
from polyvm.compute.backend import Copy, DeviceInfo, Driver, Launch, Parameter, Source, Statistics, failure
from polyvm.errors import PolyvmError

KINDS = ("device", "pinned", "managed", "mapped")
LANGUAGES = ("cuda", "hip", "opencl", "ptx")
MAX_BYTES = 1 << 47


def devices(backend: str | None = None) -> list[Device]:
    """The devices of this machine, of every back end that is installed or of one.

    Raises PVM-EXTRA-MISSING for a back end that was named and is not installed.
    """
    from polyvm.compute import registry

    found = []
    for name in (backend,) if backend else backends.BACKENDS:
        try:
            found += [Device(info) for info in backends.load(name).devices()]
        except PolyvmError:
            if backend:
                raise
    return [device for device in found if registry.policy().allows(device.info)]


def device(name: str | None = None) -> Device:
    """One device: by UUID, PCI address, back end or a part of its name; the first one without a name.

    Raises PVM-GPU-DEVICE where there is none, or several.
    """
    found = devices(name if name in backends.BACKENDS else None)
    if name and name not in backends.BACKENDS:
        exact = [d for d in found if name in (d.uuid, d.info.pci)]
        found = exact or [d for d in found if name.lower() in d.name.lower() or d.uuid.startswith(name)]
        if len(found) > 1:
            raise failure(
                "device", f"{len(found)} devices are called {name!r}.", hint="Name one by its UUID."
            )
    if not found:
        raise failure(
            "device",
            f"There is no GPU device {name!r}." if name else "There is no GPU device.",
            hint="polyvm gpu list shows the devices.",
        )
    return found[0]


class Device:
    """A device. `uuid` names it for ever."""

    def __init__(self, info: DeviceInfo) -> None:
        self.info = info

    @property
    def uuid(self) -> str:
        """Its UUID."""
        return self.info.uuid

    @property
    def name(self) -> str:
        """What it is called."""
        return self.info.name

    @property
    def backend(self) -> str:
        """The back end that drives it."""
        return self.info.backend

    def context(self, **options: Any) -> Context:
        """A context on it: see Context."""
        return Context(self, **options)

    def __repr__(self) -> str:
        return f"Device({self.backend}, {self.name!r}, {self.uuid})"


class _Owned:
    """Something that belongs to a context."""

    context: Context
    _open: bool

    def _use(self, context: Context | None = None) -> None:
        if not self._open:
            raise failure("handle", f"This {type(self).__name__} is closed.")
        if context is not None and context is not self.context:
            raise failure("handle", f"This {type(self).__name__} belongs to another context.")
        self.context._check()


class Context:
    """Work on one device: its memory, streams and programs. Use it with `with`, or close it.

    memory_limit: bytes that it may allocate. timeout: seconds that a kernel may run (host: always kept; opencl and cuda
    cannot stop a kernel, and refuse it). exact: host only, never make vectors of indexes that could wrap.
    """

    def __init__(
        self,
        device: Device,
        *,
        memory_limit: int | None = None,
        timeout: float | None = None,
        exact: bool = False,
        threads: int | None = None,
    ) -> None:
        from polyvm.compute import registry

        self.device = device
        rules = registry.policy().limits(device.info)
        self.memory_limit = min((n for n in (memory_limit, rules.memory) if n is not None), default=None)
        limit = min((t for t in (timeout, rules.kernel_seconds) if t is not None), default=None)
        registry.check_present(device.info)
        self._driver: Driver = _open(device, threads)
        if limit is not None or exact:
            if device.backend not in ("host", "simulated"):
                self._driver.close()
                raise PolyvmError(
                    "PVM-UNSUPPORTED",
                    f"The back end {device.backend} cannot stop a kernel that runs.",
                    hint="The back end host can.",
                )
            self._driver.timeout = limit  # type: ignore[attr-defined]
            self._driver.exact = exact  # type: ignore[attr-defined]
        self.statistics = Statistics()
        self._buffers: weakref.WeakSet[Buffer] = weakref.WeakSet()
        self._pool: dict[tuple[int, str], list[Any]] = {}
        self._open = True
        self._error: PolyvmError | None = None
        self.stream = Stream(self)
        self._lost = registry.subscribe(self._changed)

    # -- Life
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for everything and give everything back."""
        if not self._open:
            return
        from polyvm.compute import registry

        self._open = False
        registry.unsubscribe(self._lost)
        self._driver.close()
        self._pool.clear()

    def _changed(self, what: str, info: DeviceInfo) -> None:
        """The device vanished: all further work is refused."""
        if what in ("removed", "failed") and info.uuid == self.device.uuid:
            self._error = failure(
                "lost", f"The device {self.device.name} is not there any more.", uuid=info.uuid
            )

    def _check(self) -> None:
        if not self._open:
            raise failure("handle", "This context is closed.")
        if self._error is not None:
            raise self._error

    # -- Memory
    def allocate(self, size: int, kind: str = "device") -> Buffer:
        """Memory of the device. kind: "device", "pinned" (host memory that copies fast), "managed" or "mapped" (seen by
        both). Raises PVM-GPU-MEMORY with what is allocated by whom, and PVM-GPU-ARGUMENT."""
        self._check()
        if kind not in KINDS:
            raise failure(
                "value", f"There is no memory of the kind {kind!r}.", hint=f"There is: {', '.join(KINDS)}."
            )
        _whole(size, "size", 1, MAX_BYTES)
        bucket = _bucket(size)
        kept = self._pool.get((bucket, kind))
        if kept:
            handle = kept.pop()
            self.statistics.reused += 1
            self.statistics.cached -= bucket
        else:
            if (
                self.memory_limit is not None
                and self.statistics.bytes + self.statistics.cached + bucket > self.memory_limit
            ):
                self.trim()
                if self.statistics.bytes + bucket > self.memory_limit:
                    raise self._full(size)
            try:
                handle = self._driver.allocate(bucket, kind)
            except PolyvmError as error:
                if error.code != "PVM-GPU-MEMORY" or not self.statistics.cached:
                    raise error.add_context(
                        allocated=self.statistics.bytes, buffers=self._largest()
                    ) from None
                self.trim()
                handle = self._driver.allocate(bucket, kind)
        self._driver.limit(handle, size)
        made = Buffer(self, handle, size, kind, bucket)
        self._count(kind, bucket, 1)
        self._buffers.add(made)
        return made

    def _full(self, size: int) -> PolyvmError:
        return failure(
            "memory",
            f"{size} bytes more are beyond the limit of {self.memory_limit}.",
            size=size,
            allocated=self.statistics.bytes,
            buffers=self._largest(),
        )

    def _largest(self) -> list[str]:
        """Who has the most."""
        found = sorted(self._buffers, key=lambda b: -b.size)[:5]
        return [f"{b.size} bytes {b.kind} {b.label}".rstrip() for b in found if b._open]

    def _count(self, kind: str, size: int, step: int) -> None:
        s = self.statistics
        s.bytes += step * size
        s.allocations += step
        s.peak = max(s.peak, s.bytes)
        s.by_kind[kind] = s.by_kind.get(kind, 0) + step * size

    def trim(self) -> int:
        """Give back to the device what the pool keeps for later; how many bytes."""
        self._check()
        given = 0
        for (size, _), kept in self._pool.items():
            for handle in kept:
                self._driver.release(handle)
                given += size
        self._pool.clear()
        self.statistics.cached = 0
        return given

    def register(self, array: Any) -> Buffer:
        """A NumPy array, or whatever has the buffer interface, as memory of the device; not copied where that can be.
        The array must stay as it is until the buffer is closed."""
        self._check()
        view = _bytes_of(array, writable=True)
        address = _address_of(view)
        made = Buffer(self, self._driver.register(address, view.nbytes, array), view.nbytes, "registered", 0)
        made._keep = array
        self._count("registered", view.nbytes, 1)
        self._buffers.add(made)
        return made

    def array(self, source: Any) -> Buffer:
        """Memory with a copy of an array's contents, be it NumPy's or of another library that speaks DLPack."""
        view = _bytes_of(_imported(source), writable=False)
        made = self.allocate(max(1, view.nbytes))
        if view.nbytes:
            made.write(view)
        return made

    def leaks(self) -> list[str]:
        """Buffers that nobody closed, as lines."""
        return [f"{b.size} bytes of {b.kind} memory {b.label}".rstrip() for b in self._buffers if b._open]

    # -- The rest
    def new_stream(self) -> Stream:
        """A queue whose work may overlap others'."""
        return Stream(self)

    def program(
        self,
        text: str,
        language: str | None = None,
        *,
        name: str = "kernel.cu",
        options: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        defines: Mapping[str, object] | None = None,
    ) -> Program:
        """A program of this context: see Program."""
        return Program(self, text, language, name=name, options=options, headers=headers, defines=defines)

    def synchronize(self) -> None:
        """Wait for the context's own stream; raises what a kernel did wrong, again and again."""
        self.stream.synchronize()

    def _sticky(self, error: PolyvmError) -> PolyvmError:
        if error.code in ("PVM-GPU-FAULT", "PVM-GPU-TIMEOUT"):
            self._error = error
        return error


def _open(device: Device, threads: int | None) -> Driver:
    if device.backend == "simulated":
        from polyvm.compute import registry

        return registry.open_simulated(device.info)
    if threads is not None:
        if device.backend != "host":
            raise failure("value", "Only the back end host has threads.")
        from polyvm.compute.host import HostDriver

        return HostDriver(device.info, _whole(threads, "threads", 1, 1024))
    return backends.load(device.backend).open(device.info)


class Buffer(_Owned):
    """Memory of a context. It converts to an int, its address, where the device has addresses."""

    def __init__(self, context: Context, handle: Any, size: int, kind: str, bucket: int) -> None:
        self.context, self.handle, self.size, self.kind, self._bucket = context, handle, size, kind, bucket
        self.label = ""
        self._open = True
        self._keep: Any = None
        self._address: int | None = context._driver.address(handle)

    def __int__(self) -> int:
        self._use()
        found = self._address
        if found is None:
            raise failure("value", f"Memory of the back end {self.context.device.backend} has no address.")
        return found

    def write(self, source: Any, offset: int = 0, *, stream: Stream | None = None) -> None:
        """Copy an array into it and wait; with a stream it is only queued, and the array must stay as it is."""
        self._use()
        view = _bytes_of(source, writable=False)
        self._inside(offset, view.nbytes)
        queue = _queue(self.context, stream)
        self.context._driver.write(self.handle, offset, view, queue.handle)
        if stream is None:
            queue.synchronize()

    def read(self, target: Any, offset: int = 0, *, stream: Stream | None = None) -> Any:
        """Copy it into an array and wait; with a stream it is only queued. Gives the array back."""
        self._use()
        view = _bytes_of(target, writable=True)
        self._inside(offset, view.nbytes)
        queue = _queue(self.context, stream)
        self.context._driver.read(view, self.handle, offset, queue.handle)
        if stream is None:
            queue.synchronize()
        return target

    def numpy(self, dtype: Any, shape: Any = -1) -> Any:
        """The memory as a NumPy array: itself where the host sees it, else a copy."""
        import numpy

        self._use()
        view = self.context._driver.view(self.handle)
        if view is None:
            count = self.size // numpy.dtype(dtype).itemsize
            return self.read(numpy.empty(count, dtype)).reshape(shape)
        made = numpy.frombuffer(view[: self.size], dtype).reshape(shape)
        self.context.synchronize()
        return made

    def copy_from(
        self,
        source: Buffer,
        size: int | None = None,
        *,
        offset: int = 0,
        source_offset: int = 0,
        stream: Stream | None = None,
    ) -> None:
        """Copy from another buffer of the context, in order with a stream's work."""
        self._use()
        source._use(self.context)
        size = min(self.size - offset, source.size - source_offset) if size is None else size
        self._inside(offset, size)
        source._inside(source_offset, size)
        queue = _queue(self.context, stream)
        self.context._driver.copy(self.handle, offset, source.handle, source_offset, Copy(size), queue.handle)

    def copy_rows_from(
        self,
        source: Buffer,
        size: int,
        rows: int,
        planes: int = 1,
        *,
        pitch: int,
        source_pitch: int,
        plane: int = 0,
        source_plane: int = 0,
        stream: Stream | None = None,
    ) -> None:
        """Copy `planes` times `rows` times `size` bytes; pitches and planes are the distances between their starts."""
        self._use()
        source._use(self.context)
        for value, word in (
            (size, "size"),
            (rows, "rows"),
            (planes, "planes"),
            (pitch, "pitch"),
            (source_pitch, "pitch"),
            (plane, "plane"),
            (source_plane, "plane"),
        ):
            _whole(value, word, 0, MAX_BYTES)
        if size and rows and planes:
            self._inside(0, plane * (planes - 1) + pitch * (rows - 1) + size)
            source._inside(0, source_plane * (planes - 1) + source_pitch * (rows - 1) + size)
        shape = Copy(size, rows, planes, pitch, source_pitch, plane, source_plane)
        self.context._driver.copy(
            self.handle, 0, source.handle, 0, shape, _queue(self.context, stream).handle
        )

    def fill(
        self,
        value: int,
        *,
        width: int = 1,
        offset: int = 0,
        size: int | None = None,
        stream: Stream | None = None,
    ) -> None:
        """Fill it with a number of 1, 2, 4 or 8 bytes."""
        self._use()
        if width not in (1, 2, 4, 8):
            raise failure("value", f"A pattern of {width} bytes.")
        size = self.size - offset if size is None else size
        self._inside(offset, size)
        if size % width:
            raise failure("value", f"{size} bytes are no multiple of {width}.")
        pattern = (
            _whole(value, "value", -(1 << (8 * width - 1)), (1 << 8 * width) - 1) & ((1 << 8 * width) - 1)
        ).to_bytes(width, "little")
        self.context._driver.fill(self.handle, offset, pattern, size, _queue(self.context, stream).handle)

    def _inside(self, offset: int, size: int) -> None:
        if (
            not (isinstance(offset, int) and isinstance(size, int))
            or offset < 0
            or size < 0
            or offset + size > self.size
        ):
            raise failure("value", f"Bytes {offset} to {offset + size} of a buffer of {self.size}.")

    def close(self) -> None:
        """Give it back, to the context's pool: later work of the same stream may have it again."""
        if not self._open:
            raise failure("handle", "This Buffer was closed before.")
        self._open = False
        context = self.context
        if not context._open:
            return
        context.stream._drain()
        context._count(self.kind, self._bucket or self.size, -1)
        if self._bucket:
            context._pool.setdefault((self._bucket, self.kind), []).append(self.handle)
            context.statistics.cached += self._bucket
        else:
            context._driver.release(self.handle)
            self._keep = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self.close()

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack: the host's memory, where the host sees it."""
        return 1, 0


class Stream(_Owned):
    """A queue of work: in order within, beside all others."""

    def __init__(self, context: Context) -> None:
        context._check()
        self.context = context
        self.handle = context._driver.stream()
        self._open = True

    def synchronize(self) -> None:
        """Wait for what was queued. Raises PVM-GPU-FAULT and PVM-GPU-TIMEOUT for kernels that failed."""
        self._use()
        try:
            self.context._driver.synchronize(self.handle)
        except PolyvmError as error:
            raise self.context._sticky(error) from None

    def _drain(self) -> None:
        try:
            self.context._driver.synchronize(self.handle)
        except PolyvmError as error:
            self.context._sticky(error)

    @property
    def done(self) -> bool:
        """Whether everything that was queued is done."""
        self._use()
        return self.context._driver.query(self.handle)

    def record(self) -> Event:
        """An event at this point of the queue."""
        self._use()
        return Event(self, self.context._driver.record(self.handle))

    def wait(self, event: Event) -> None:
        """What is queued from now on waits for an event."""
        self._use()
        event._use(self.context)
        self.context._driver.wait(self.handle, event.handle)

    def close(self) -> None:
        """Wait, and forget it."""
        if self._open and self.context._open:
            self._open = False
            self.context._driver.drop_stream(self.handle)


class Event(_Owned):
    """A point in a stream."""

    def __init__(self, stream: Stream, handle: Any) -> None:
        self.context, self.stream, self.handle, self._open = stream.context, stream, handle, True

    @property
    def reached(self) -> bool:
        """Whether everything before it is done."""
        self._use()
        return self.context._driver.reached(self.handle)

    def synchronize(self) -> None:
        """Wait for it."""
        self._use()
        while not self.reached:
            self.stream.synchronize()

    def elapsed_since(self, begin: Event) -> float:
        """Seconds since another event; both must be reached."""
        self._use()
        begin._use(self.context)
        if not (self.reached and begin.reached):
            raise failure("value", "An event that was not reached has no time.")
        return self.context._driver.elapsed(begin.handle, self.handle)


class Program(_Owned):
    """A source, to be compiled for its context's device.

    language: "cuda", "hip", "opencl" or "ptx"; without one it is guessed: PTX by its first directive, else what the
    device's compiler reads. headers: name -> text of what it includes. defines: macros.
    """

    def __init__(
        self,
        context: Context,
        text: str,
        language: str | None = None,
        *,
        name: str = "kernel.cu",
        options: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        defines: Mapping[str, object] | None = None,
    ) -> None:
        context._check()
        self.context, self._open = context, True
        language = language or (
            "ptx"
            if text.lstrip().startswith(("//", ".version")) and ".version" in text
            else context._driver.languages[0]
        )
        if language not in LANGUAGES:
            raise failure(
                "value", f"There is no language {language!r}.", hint=f"There is: {', '.join(LANGUAGES)}."
            )
        if language not in context._driver.languages:
            raise PolyvmError(
                "PVM-UNSUPPORTED",
                f"The back end {context.device.backend} does not compile {language}.",
                hint=f"It compiles: {', '.join(context._driver.languages)}.",
            )
        flags = [*options, *(f"-D{word}={value}" for word, value in (defines or {}).items())]
        self.source = Source(text, language, name, tuple(flags), tuple((headers or {}).items()))

    def compile(self) -> Module:
        """Compile and load it. Raises PVM-GPU-COMPILE with file, line and log, PVM-GPU-PTX and PVM-UNSUPPORTED."""
        self._use()
        code = self.context._driver.compile(self.source)
        return Module(self.context, self.context._driver.load(code), code.log, code.data)


class Module(_Owned):
    """A compiled program. `log` is what the compiler said, `code` what it made."""

    def __init__(self, context: Context, handle: Any, log: str, code: bytes) -> None:
        self.context, self.handle, self.log, self.code, self._open = context, handle, log, code, True

    @property
    def names(self) -> list[str]:
        """Its kernels."""
        self._use()
        return self.context._driver.kernels(self.handle)

    def kernel(self, name: str) -> Kernel:
        """A kernel by name. Raises PVM-GPU-ARGUMENT where there is none."""
        self._use()
        handle, parameters = self.context._driver.kernel(self.handle, name)
        return Kernel(self, name, handle, parameters)

    def close(self) -> None:
        """Forget it, when its kernels are done."""
        if self._open and self.context._open:
            self._open = False
            self.context._driver.unload(self.handle)


class Kernel(_Owned):
    """A kernel. `parameters` are None where only the driver knows them."""

    def __init__(
        self, module: Module, name: str, handle: Any, parameters: tuple[Parameter, ...] | None
    ) -> None:
        self.context, self.module, self.name, self.handle, self.parameters = (
            module.context,
            module,
            name,
            handle,
            parameters,
        )
        self._open = True
        self._shapes: dict[LaunchConfig, Launch] = {}
        self._format = _format(parameters)

    def _use(self, context: Context | None = None) -> None:
        self.module._use(context)

    def _quick(self, arguments: tuple[Any, ...]) -> bytes | None:
        """Buffers and numbers, packed at once; None for whatever wants a closer look."""
        form = self._format
        if form is None:
            return None
        values = []
        for argument in arguments:
            kind = type(argument)
            if kind is Buffer:
                if argument.context is not self.context or not argument._open or argument._address is None:
                    return None
                values.append(argument._address)
            elif kind is int or kind is float:
                values.append(argument)
            else:
                return None
        try:
            return form.pack(*values)
        except (struct.error, OverflowError):
            return None

    def pack(self, arguments: tuple[Any, ...]) -> list[Any]:
        """Arguments as the back end wants them. Raises PVM-GPU-ARGUMENT where they do not fit."""
        if self.parameters is None:
            return [self._loose(argument) for argument in arguments]
        if len(arguments) != len(self.parameters):
            raise failure(
                "value",
                f"{self.name} has {len(self.parameters)} parameters; {len(arguments)} arguments were given.",
            )
        total = max((p.offset + p.size for p in self.parameters), default=0)
        packed = bytearray(total)
        for number, (parameter, argument) in enumerate(zip(self.parameters, arguments, strict=True)):
            data = self._packed(number, parameter, argument)
            packed[parameter.offset : parameter.offset + parameter.size] = data
        return [bytes(packed)]

    def _loose(self, argument: Any) -> Any:
        if isinstance(argument, Buffer):
            argument._use(self.context)
            return argument.handle
        return argument

    def _packed(self, number: int, parameter: Parameter, argument: Any) -> bytes:
        size = parameter.size

        def wrong(why: str) -> PolyvmError:
            return failure("value", f"Argument {number} of {self.name} {why}.", argument=number)

        if isinstance(argument, Buffer):
            argument._use(self.context)
            if size != 8:
                raise wrong(f"is a buffer, and the parameter has {size} bytes")
            return int(argument).to_bytes(8, "little")
        if isinstance(argument, bool | int) and not hasattr(argument, "dtype"):
            if parameter.kind == "float":
                return struct.pack("<f" if size == 4 else "<d", float(argument))
            if parameter.kind == "struct":
                raise wrong(f"is a number, and the parameter a structure of {size} bytes")
            if not -(1 << (8 * size - 1)) <= argument < 1 << 8 * size:
                raise wrong(f"is {argument}, which {size} bytes do not hold")
            return (int(argument) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        if isinstance(argument, float) and not hasattr(argument, "dtype"):
            if parameter.kind != "float":
                raise wrong("is a float, and the parameter none")
            try:
                return struct.pack("<f" if size == 4 else "<d", argument)
            except OverflowError:
                raise wrong(f"is {argument}, which a float of {size} bytes does not hold") from None
        if getattr(argument, "ndim", 0):
            raise wrong("is an array; register it, or copy it into a buffer")
        raw: bytes | None = None
        if isinstance(argument, bytes | bytearray | memoryview):
            raw = bytes(argument)
        elif hasattr(argument, "tobytes") and hasattr(argument, "dtype"):
            if (
                (argument.dtype.kind == "f") != (parameter.kind == "float")
                and parameter.kind != "struct"
                and size != 2
            ):
                raise wrong(f"is {argument.dtype}, and the parameter {parameter.kind}")
            raw = argument.tobytes()
        else:
            try:
                raw = bytes(memoryview(argument))
            except TypeError:
                raise wrong(f"is a {type(argument).__name__}, which is no argument") from None
        if len(raw) != size:
            raise wrong(f"has {len(raw)} bytes, and the parameter {size}")
        return raw

    def prepare(self, config: LaunchConfig, *arguments: Any) -> Any:
        """A launch that is looked up and packed once, for the back end host: submit() starts it, again and again."""
        self._use()
        stream = _queue(self.context, config.stream)
        prepare = getattr(self.context._driver, "prepare", None)
        if prepare is None:
            raise PolyvmError("PVM-UNSUPPORTED", "Only the back end host prepares launches.")
        return prepare(
            self.handle, config.checked(self.context.device.info), self.pack(arguments)[0], stream.handle
        )


@dataclass(frozen=True, slots=True)
class LaunchConfig:
    """How a kernel is started: blocks and threads of a block as numbers or up to three of them, bytes of dynamic shared
    memory, and the stream (the context's own by default)."""

    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    shared: int = 0
    stream: Stream | None = None

    def checked(self, info: DeviceInfo) -> Launch:
        """The same in three dimensions, within the device's limits. Raises PVM-GPU-ARGUMENT."""
        grid, block = _three(self.grid, "grid"), _three(self.block, "block")
        for have, most, word in ((grid, info.max_grid, "grid"), (block, info.max_block, "block")):
            for axis, value, limit in zip("xyz", have, most, strict=True):
                if value > limit:
                    raise failure("value", f"{word}.{axis} is {value}; at most {limit} is possible.")
        if block[0] * block[1] * block[2] > info.max_threads:
            raise failure(
                "value",
                f"A block of {block[0] * block[1] * block[2]} threads; {info.max_threads} are possible.",
            )
        _whole(self.shared, "shared", 0, info.max_shared)
        return Launch(grid, block, self.shared)


def launch(config: LaunchConfig, kernel: Kernel, *arguments: Any) -> None:
    """Start a kernel. It is queued: errors of its own come when somebody waits.

    Raises PVM-GPU-ARGUMENT for what does not fit, and for the first launch of a block shape PVM-UNSUPPORTED,
    PVM-GPU-PTX and PVM-COMPILE-FAILED, where code is made then (host).
    """
    context = kernel.context
    kernel._use()
    stream = config.stream
    if stream is None:
        stream = context.stream
    else:
        stream._use(context)
    how = kernel._shapes.get(config)
    if how is None:
        how = kernel._shapes[config] = config.checked(context.device.info)
    packed = kernel._quick(arguments)
    try:
        context._driver.launch(
            kernel.handle, how, kernel.pack(arguments) if packed is None else (packed,), stream.handle
        )
    except PolyvmError as error:
        raise context._sticky(error) from None


# -- Checks
def _format(parameters: tuple[Parameter, ...] | None) -> struct.Struct | None:
    """How parameters that are all numbers and addresses are packed."""
    if parameters is None:
        return None
    text, at = "<", 0
    for p in parameters:
        letter = {
            ("int", 1): "b",
            ("int", 2): "h",
            ("int", 4): "i",
            ("int", 8): "Q",
            ("float", 4): "f",
            ("float", 8): "d",
        }
        if (p.kind, p.size) not in letter:
            return None
        text += f"{p.offset - at}x" * (p.offset > at) + letter[p.kind, p.size]
        at = p.offset + p.size
    return struct.Struct(text)


def _whole(value: Any, word: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise failure("value", f"{word} is {value!r}, which is no whole number.")
    number = int(value.__index__())
    if not low <= number <= high:
        raise failure("value", f"{word} is {number}; {low} to {high} is possible.")
    return number


def _three(value: Any, word: str) -> tuple[int, int, int]:
    parts = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not 1 <= len(parts) <= 3:
        raise failure("value", f"{word} has {len(parts)} dimensions.")
    whole = [_whole(part, word, 1, (1 << 31) - 1) for part in parts]
    x, y, z = (*whole, 1, 1)[:3]
    return x, y, z


def _queue(context: Context, stream: Stream | None) -> Stream:
    if stream is None:
        return context.stream
    stream._use(context)
    return stream


def _bucket(size: int) -> int:
    """Sizes that are kept for reuse: 512 bytes, then eight steps for each power of two."""
    if size <= 512:
        return 512
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step


def _imported(source: Any) -> Any:
    """A host array of what speaks DLPack."""
    if not hasattr(source, "__array_interface__") and hasattr(source, "__dlpack__"):
        import numpy

        return numpy.from_dlpack(source)
    return source


def _bytes_of(source: Any, *, writable: bool) -> memoryview:
    try:
        view = memoryview(source)
        if not view.c_contiguous:
            raise failure("value", "The array's elements do not stand behind each other in memory.")
        if view.nbytes == 0:
            return memoryview(bytearray() if writable else b"")
        view = view.cast("B") if view.format != "B" or view.ndim != 1 else view
    except (TypeError, ValueError, BufferError):
        try:
            view = memoryview(
                source.view("u1").reshape(-1)
            )  # types that the buffer interface has no word for
        except Exception:
            raise failure("value", f"A {type(source).__name__} is no array.") from None
    if writable and view.readonly:
        raise failure("value", "The array is read-only.")
    return view


def _address_of(view: memoryview) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(view)) if view.nbytes else 0
