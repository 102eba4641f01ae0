"""The GPU back end `opencl`, on pyopencl: whatever OpenCL devices the host has; PoCL from pip is a processor anywhere.

Programs are OpenCL C. Memory has no address here: a Buffer is an argument as it is. Lengths of kernels cannot be
limited, and faults inside kernels are the driver's business: OpenCL has no means for either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from polyvm.compute.backend import Code, Copy, DeviceInfo, Launch, Parameter, Source, failure
from polyvm.errors import PolyvmError


def _binding() -> Any:
    try:
        import pyopencl
    except ImportError as error:
        raise PolyvmError(
            "PVM-EXTRA-MISSING",
            "The back end opencl needs pyopencl, which is not installed.",
            hint="pip install 'polyvm[opencl]'",
            extra="opencl",
        ) from error
    return pyopencl


def backend() -> OpenClBackend:
    """This back end. Raises PVM-EXTRA-MISSING."""
    return OpenClBackend(_binding())


class OpenClBackend:
    """Every device of every platform."""

    name = "opencl"

    def __init__(self, cl: Any) -> None:
        self.cl = cl

    def _found(self) -> list[tuple[DeviceInfo, Any]]:
        try:
            platforms = self.cl.get_platforms()
        except self.cl.LogicError:
            return []  # there is a loader and nothing that it loads
        found = []
        for platform in platforms:
            for number, device in enumerate(platform.get_devices()):
                found.append((_info(self.cl, platform, device, number), device))
        return found

    def devices(self) -> list[DeviceInfo]:
        """Those that are there."""
        return [info for info, _ in self._found()]

    def open(self, info: DeviceInfo) -> OpenClDriver:
        """A context on one of them."""
        for found, device in self._found():
            if found.uuid == info.uuid:
                return OpenClDriver(self.cl, found, device)
        raise failure("lost", f"The device {info.name} is not there any more.", uuid=info.uuid)


def _info(cl: Any, platform: Any, device: Any, number: int) -> DeviceInfo:
    digest = blake2b(
        f"{platform.name} {device.name} {device.version} {number}".encode(), digest_size=16
    ).hexdigest()
    uuid = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
    sizes = [*device.max_work_item_sizes, 1, 1]
    pci = None
    try:
        bus = device.pci_bus_info_khr
        pci = f"{bus.pci_domain:04x}:{bus.pci_bus:02x}:{bus.pci_device:02x}.{bus.pci_function}"
    except Exception:  # a device without an address, and drivers say so in many ways
        pass
    most = (1 << 31) - 1
    return DeviceInfo(
        uuid=uuid,
        name=device.name.strip(),
        backend="opencl",
        pci=pci,
        memory_bytes=device.global_mem_size,
        compute_units=device.max_compute_units,
        capability=device.version.strip(),
        verified_on_hardware="pthread" in device.name or "cpu" in device.name.lower(),
        max_threads=device.max_work_group_size,
        max_block=(sizes[0], sizes[1], sizes[2]),
        max_grid=(most, most, most),
        max_shared=device.local_mem_size,
    )


class OpenClDriver:
    """A context on one device."""

    languages: tuple[str, ...] = ("opencl",)

    def __init__(self, cl: Any, info: DeviceInfo, device: Any) -> None:
        self.cl, self.info, self.device = cl, info, device
        self._last: dict[int, Any] = {}  # what was queued last, by queue
        self.context = cl.Context([device])

    def _did(self, call: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named)
        except self.cl.MemoryError as error:
            raise failure("memory", f"OpenCL is out of memory: {error}.") from error
        except self.cl.Error as error:
            raise PolyvmError(
                "PVM-GPU-API",
                f"OpenCL refused a call: {str(error).strip().splitlines()[0]}.",
                api_error={"opencl": str(getattr(error, "code", ""))},
            ) from error

    def allocate(self, size: int, kind: str) -> Any:
        """A buffer; pinned and mapped ones in host memory."""
        flags = self.cl.mem_flags.READ_WRITE
        if kind != "device":
            flags |= self.cl.mem_flags.ALLOC_HOST_PTR
        if size > self.device.max_mem_alloc_size:
            raise failure(
                "memory",
                f"The device allocates at most {self.device.max_mem_alloc_size} bytes at once.",
                size=size,
            )
        return self._did(self.cl.Buffer, self.context, flags, size)

    def limit(self, memory: Any, size: int) -> None:
        """The driver does not check."""

    def release(self, memory: Any) -> None:
        """Give it back."""
        memory.release()

    def address(self, memory: Any) -> None:
        """OpenCL's buffers have none."""
        return None

    def register(self, address: int, size: int, owner: object) -> Any:
        """The host's memory, used where it is if the device can."""
        flags = self.cl.mem_flags.READ_WRITE | self.cl.mem_flags.USE_HOST_PTR
        return self._did(self.cl.Buffer, self.context, flags, hostbuf=owner)

    def view(self, memory: Any) -> None:
        """Only copies come out."""
        return None

    def write(self, to: Any, offset: int, data: memoryview, stream: Any) -> None:
        """From the host."""
        if data.nbytes:
            self._queue(self.cl.enqueue_copy, stream, to, _array(data), dst_offset=offset, is_blocking=False)

    def read(self, data: memoryview, source: Any, offset: int, stream: Any) -> None:
        """To the host."""
        if data.nbytes:
            self._queue(
                self.cl.enqueue_copy, stream, _array(data), source, src_offset=offset, is_blocking=False
            )

    def copy(self, to: Any, to_offset: int, source: Any, offset: int, shape: Copy, stream: Any) -> None:
        """On the device."""
        if not (shape.size and shape.rows and shape.planes):
            return
        if shape.rows == shape.planes == 1:
            self._queue(
                self.cl.enqueue_copy,
                stream,
                to,
                source,
                byte_count=shape.size,
                src_offset=offset,
                dst_offset=to_offset,
            )
            return
        self._queue(
            self.cl.enqueue_copy,
            stream,
            to,
            source,
            src_origin=(offset, 0, 0),
            dst_origin=(to_offset, 0, 0),
            region=(shape.size, shape.rows, shape.planes),
            src_pitches=(shape.from_row, shape.from_plane or shape.from_row * shape.rows),
            dst_pitches=(shape.to_row, shape.to_plane or shape.to_row * shape.rows),
        )

    def fill(self, to: Any, offset: int, pattern: bytes, size: int, stream: Any) -> None:
        """A pattern, over and over."""
        if size:
            self._queue(self.cl.enqueue_fill_buffer, stream, to, bytearray(pattern), offset, size)

    def stream(self) -> Any:
        """A command queue."""
        properties = self.cl.command_queue_properties.PROFILING_ENABLE
        return self._did(self.cl.CommandQueue, self.context, properties=properties)

    def drop_stream(self, stream: Any) -> None:
        """Forget it, when it is done."""
        self._did(stream.finish)

    def synchronize(self, stream: Any) -> None:
        """Wait."""
        self._did(stream.finish)
        self._last.pop(stream.int_ptr, None)

    def query(self, stream: Any) -> bool:
        """Whether what was queued last is done: queues are in order."""
        last = self._last.get(stream.int_ptr)
        return last is None or self.reached(last)

    def _queue(self, call: Any, stream: Any, *arguments: Any, **named: Any) -> Any:
        """Queue something."""
        made = self._last[stream.int_ptr] = self._did(call, stream, *arguments, **named)
        return made

    def record(self, stream: Any) -> Any:
        """A marker."""
        return self._queue(self.cl.enqueue_marker, stream)

    def wait(self, stream: Any, event: Any) -> None:
        """A barrier that waits for it."""
        self._queue(self.cl.enqueue_barrier, stream, wait_for=[event])

    def reached(self, event: Any) -> bool:
        """Whether it was."""
        return bool(event.command_execution_status == self.cl.command_execution_status.COMPLETE)

    def elapsed(self, begin: Any, end: Any) -> float:
        """Seconds between two markers."""
        return float(end.profile.end - begin.profile.end) / 1e9

    def compile(self, source: Source) -> Code:
        """OpenCL C; the driver's own compiler."""
        text = source.text
        for name, header in source.headers:
            text = re.sub(
                rf'^\s*#\s*include\s*[<"]{re.escape(name)}[>"].*$', _constant(header), text, flags=re.M
            )
        program = self.cl.Program(self.context, text)
        try:
            built = program.build(["-cl-kernel-arg-info", *source.options], cache_dir=False)
        except self.cl.RuntimeError as error:
            log = str(error)
            found = re.search(r"^(\S*?):(\d+):\d+: error: (.*)$", log, re.M)
            first = found[3] if found else "the compiler gives no reason"
            raise failure(
                "source",
                f"The source does not compile: {first}.",
                file=source.name,
                line=int(found[2]) if found else None,
                log=log[:4000],
            ) from error
        log = built.get_build_info(self.device, self.cl.program_build_info.LOG)
        self._built: Any = built
        return Code("opencl", text.encode(), log)

    def load(self, code: Code) -> Any:
        """What compile() made last, or the text built again."""
        if code.kind != "opencl":
            raise failure("ptx", f"OpenCL loads its own programs, not {code.kind}.")
        built, self._built = getattr(self, "_built", None), None
        return built or self._did(
            self.cl.Program(self.context, code.data.decode()).build, ["-cl-kernel-arg-info"]
        )

    def unload(self, module: Any) -> None:
        """The binding does it."""

    def kernels(self, module: Any) -> list[str]:
        """Their names."""
        return [k.function_name for k in module.all_kernels()]

    def kernel(self, module: Any, name: str) -> tuple[Any, tuple[Parameter, ...] | None]:
        """A kernel, with the types of its arguments."""
        if name not in self.kernels(module):
            raise failure(
                "name",
                f"The program has no kernel {name!r}.",
                hint=f"It has: {', '.join(self.kernels(module))}.",
            )
        made = self.cl.Kernel(module, name)
        info = self.cl.kernel_arg_info
        types = [made.get_arg_info(n, info.TYPE_NAME) for n in range(made.num_args)]
        spaces = [made.get_arg_info(n, info.ADDRESS_QUALIFIER) for n in range(made.num_args)]
        local = self.cl.kernel_arg_address_qualifier.LOCAL
        return (made, types, [space == local for space in spaces]), None

    def launch(self, kernel: Any, how: Launch, arguments: Sequence[Any], stream: Any) -> None:
        """Start a kernel. OpenCL counts work items, not blocks; its argument in local memory has `shared` bytes."""
        import numpy

        made, types, local = kernel
        given = list(arguments)
        if len(given) + sum(local) != made.num_args:
            raise failure(
                "value",
                f"The kernel has {made.num_args - sum(local)} parameters; {len(given)} arguments were given.",
            )
        values: list[Any] = []
        for number, (kind, is_local) in enumerate(zip(types, local, strict=True)):
            if is_local:
                values.append(self.cl.LocalMemory(max(1, how.shared)))
                continue
            value = given.pop(0)
            # A null pointer, or a number that a driver takes for one, would end this process.
            if kind.endswith("*") != isinstance(value, self.cl.MemoryObjectHolder):
                raise failure(
                    "value",
                    f"Argument {number} is a {type(value).__name__}, and the parameter {kind}.",
                    argument=number,
                )
            if isinstance(value, str):
                raise failure("value", f"Argument {number} is text.", argument=number)
            if isinstance(value, bool | int | float) and not hasattr(value, "dtype"):
                form = _TYPES.get(kind)
                if form is None:
                    raise failure(
                        "value", f"Argument {number} is a number, and the parameter {kind}.", argument=number
                    )
                if isinstance(value, float) and form[0] != "f":
                    raise failure(
                        "value", f"Argument {number} is a float, and the parameter {kind}.", argument=number
                    )
                try:
                    value = numpy.dtype(form).type(value)
                except OverflowError:
                    raise failure(
                        "value", f"Argument {number} is {value}, which {kind} does not hold.", argument=number
                    ) from None
            elif getattr(value, "ndim", 0):
                raise failure(
                    "value",
                    f"Argument {number} is an array; register it, or copy it into a buffer.",
                    argument=number,
                )
            values.append(value)
        whole = tuple(g * b for g, b in zip(how.grid, how.block, strict=True))
        self._did(made.set_args, *values)
        self._queue(self.cl.enqueue_nd_range_kernel, stream, made, whole, how.block)

    def close(self) -> None:
        """The binding does it."""


def _constant(text: str) -> Callable[[re.Match[str]], str]:
    return lambda _: text


def _array(data: memoryview) -> Any:
    import numpy

    return numpy.frombuffer(data, numpy.uint8)


_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "long": "i8",
    "ulong": "u8",
    "float": "f4",
    "double": "f8",
    "half": "f2",
    "size_t": "u8",
    "unsigned int": "u4",
    "unsigned char": "u1",
    "unsigned long": "u8",
    "unsigned short": "u2",
}
