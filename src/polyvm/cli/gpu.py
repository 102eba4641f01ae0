"""`polyvm gpu`: the GPU devices, one kernel run from its source, and the back ends compared.

Every machine has a device: the processor, which runs CUDA kernels without a GPU. It refuses arguments of `run` that
are none, and devices that are not there.
"""

from __future__ import annotations

import sys

from polyvm.cli import output
from polyvm.cli.options import DEBUG, JSON, Command, Option, usage
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from polyvm.cli.options import Values
    from polyvm.gpu import Context, Device

ACTIONS = ("list", "info", "run", "bench")

# What becomes an argument of a kernel, besides numbers: name -> NumPy's type.
TYPES = {"f32": "f4", "f64": "f8", "f16": "f2", "i32": "i4", "i64": "i8", "u32": "u4", "u8": "u1", "i8": "i1"}


def _shape(text: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in text.split(","))
    if not 1 <= len(parts) <= 3 or min(parts) < 1:
        raise ValueError("wants one to three positive numbers, as in 16,16")
    return parts


COMMAND = Command(
    "gpu",
    usage=("list [OPTIONS]", "info [OPTIONS] [DEVICE]", "run [OPTIONS] FILE [ARGUMENT...]", "bench [OPTIONS]"),
    about="""
Shows the GPU devices of this machine and runs kernels on them. The device `host` is there on every machine: it runs
CUDA kernels on the processor, without any GPU.
""",
    arguments=(
        (
            "ACTION",
            (
                "list: the devices. info: everything about one. run: compile FILE (CUDA C, HIP, OpenCL C, PTX), start "
                "a kernel and show what it left in its arrays. bench: the device host beside OpenCL, same work."
            ),
        ),
        (
            "ARGUMENT",
            (
                "Of the kernel, in order: a number (5, 2.5), or an array TYPE:COUNT[:random|range|VALUE], zeros by "
                f"default. TYPE is one of {', '.join(TYPES)}."
            ),
        ),
    ),
    options=(
        Option("--device", "DEVICE", "A UUID, PCI address, back end or part of a name.", default="host"),
        Option("--kernel", "NAME", "With run: which kernel; the only one by default."),
        Option("--grid", "N[,N[,N]]", "With run: blocks.", convert=_shape, default="1"),
        Option("--block", "N[,N[,N]]", "With run: threads of a block.", convert=_shape, default="32"),
        Option("--shared", "BYTES", "With run: dynamic shared memory.", convert=int, default="0"),
        Option("--timeout", "SECONDS", "With run: end a kernel that takes longer.", convert=float),
        Option("--threads", "N", "With bench: threads of the host that are used.", convert=int, default="1"),
        JSON,
        DEBUG,
    ),
    examples=(
        ("The devices", "polyvm gpu list"),
        ("A kernel over 1000 numbers", "polyvm gpu run saxpy.cu --grid 4 --block 256 2.0 f32:1000:range f32:1000 1000"),
        ("The processor beside PoCL", "polyvm gpu bench"),
    ),
    takes=(1, None),
    complete=ACTIONS,
)  # fmt: skip


def execute(values: Values) -> int:
    """Do what was asked for."""
    action, *rest = values.arguments
    if action not in ACTIONS:
        raise usage(
            COMMAND, f"polyvm gpu does not know {action!r}.", f"The actions are {', '.join(ACTIONS)}."
        )
    if action == "run":
        if not rest:
            raise usage(COMMAND, "polyvm gpu run wants a file.", "polyvm gpu --help has an example.")
        return _run(rest[0], rest[1:], values)
    if len(rest) > (action == "info"):
        raise usage(
            COMMAND, f"polyvm gpu {action} takes no {rest[-1]!r}.", "polyvm gpu --help shows what it takes."
        )
    if action == "bench":
        from polyvm.bench import gpu as bench

        if values.threads < 1:
            raise usage(COMMAND, f"{values.threads} threads do nothing.", "Give --threads 1 or more.")
        measured = bench.measure(values.threads)
        output.document("gpu-bench", measured) if values.json else sys.stdout.write(bench.text(measured))
        return 0
    from polyvm import gpu

    found = [gpu.device(rest[0] if rest else values.device)] if action == "info" else gpu.devices()
    _devices(found, values.json, details=action == "info")
    return 0


def described(device: Device) -> dict[str, Any]:
    """A device as polyvm.gpu-list/1 has it."""
    keys = ("uuid", "name", "backend", "pci", "memory_bytes", "memory_free", "compute_units", "capability",
            "verified_on_hardware")  # fmt: skip
    return {key: getattr(device.info, key) for key in keys}


def _devices(found: list[Device], json: bool, details: bool) -> None:
    if json:
        output.document("gpu-list", {"devices": [described(device) for device in found]})
    elif details:
        info = found[0].info
        rows = [(key, str(value)) for key, value in described(found[0]).items()]
        rows += [("max_threads", str(info.max_threads)), ("max_block", str(info.max_block)),
                 ("max_grid", str(info.max_grid)), ("max_shared", str(info.max_shared))]  # fmt: skip
        sys.stdout.write(output.table(rows))
    else:
        table: list[tuple[str, ...]] = [("backend", "name", "memory", "units", "capability", "uuid")]
        for device in found:
            i = device.info
            memory = "" if i.memory_bytes is None else output.size(i.memory_bytes)
            table.append((i.backend, i.name, memory, str(i.compute_units or ""), i.capability or "", i.uuid))
        sys.stdout.write(output.table(table, right="..rr"))


def _run(path: str, words: list[str], values: Values) -> int:
    from polyvm import gpu

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        from polyvm.errors import from_oserror

        raise from_oserror(error, "Cannot read the source") from error
    except UnicodeDecodeError as error:
        raise PolyvmError("PVM-GPU-COMPILE", "The source is no text.", path=path) from error
    language = {"cu": "cuda", "ptx": "ptx", "cl": "opencl", "hip": "hip"}.get(path.rpartition(".")[2])
    with gpu.device(values.device).context(timeout=values.timeout) as context:
        module = context.program(text, language, name=path).compile()
        name = values.kernel or (module.names[0] if len(module.names) == 1 else "")
        if not name:
            raise usage(
                COMMAND,
                f"{path} has the kernels {', '.join(module.names) or 'none'}.",
                "Name one with --kernel.",
            )
        arguments, arrays = _arguments(context, words)
        config = gpu.LaunchConfig(values.grid, values.block, values.shared)
        kernel = module.kernel(name)
        if context.device.backend == "host":
            kernel.prepare(config, *arguments)  # code is made before the time is taken
        begin = context.stream.record()
        gpu.launch(config, kernel, *arguments)
        end = context.stream.record()
        context.synchronize()
        seconds = end.elapsed_since(begin)
        after = [(word, buffer.read(array)) for word, array, buffer in arrays]
    if values.json:
        shown = [
            {"argument": word, "values": array[:1000].tolist(), "count": len(array)} for word, array in after
        ]
        output.document(
            "gpu-run", {"kernel": name, "device": values.device, "seconds": seconds, "arrays": shown}
        )
        return 0
    sys.stdout.write(f"{name}: {output.seconds(seconds)}\n")
    import numpy

    for word, array in after:
        sys.stdout.write(f"{word} {numpy.array2string(array, threshold=16)}\n")
    return 0


def _arguments(context: Context, words: list[str]) -> tuple[list[Any], list[tuple[str, Any, Any]]]:
    """Arguments from their words: numbers, and arrays with their buffers."""
    import numpy

    made: list[Any] = []
    arrays = []
    for word in words:
        kind, colon, rest = word.partition(":")
        try:
            if not colon:
                made.append(
                    float(word)
                    if any(c in word for c in ".einf") and not word.startswith("0x")
                    else int(word, 0)
                )
                continue
            count, _, how = rest.partition(":")
            if kind not in TYPES:
                raise ValueError(f"the types are {', '.join(TYPES)}")
            if how == "random":
                array = (
                    numpy.random.default_rng(0).random(int(count)) * (1 if kind[0] == "f" else 100)
                ).astype(TYPES[kind])
            elif how == "range":
                array = numpy.arange(int(count)).astype(TYPES[kind])
            else:
                array = numpy.full(int(count), float(how or 0)).astype(TYPES[kind])
        except (ValueError, OverflowError, MemoryError) as error:
            raise usage(
                COMMAND,
                f"{word!r} is no argument of a kernel: {error}.",
                "An array is TYPE:COUNT, as f32:1000.",
            ) from None
        buffer = context.array(array)
        made.append(buffer)
        arrays.append((word, array, buffer))
    return made, arrays
