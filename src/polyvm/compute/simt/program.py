"""A kernel of a PTX module, for one shape of thread block, as an LLVM module and then as a native image.

The kernel and the device functions that it can reach become one text, with the native code that every kernel needs.
Images are position independent and hold no address of this process, so they are kept on disk. It refuses what a
kernel needs and cannot have: too much shared or local memory, functions that are nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from polyvm.compute.simt import control, layout, memory, support, warp
from polyvm.compute.simt.builder import Val
from polyvm.compute.simt.flow import Flow, Step, check
from polyvm.compute.simt.memory import Group
from polyvm.compute.simt.shape import UNIFORM, Gang, Shapes, gang_of
from polyvm.compute.simt.unit import Unit
from polyvm.errors import PolyvmError
from polyvm.isa.ptx import load as load_table
from polyvm.isa.ptx.syntax import Function, Insn, Module, Name, Variable, Vec

SHARED_LIMIT = 227 << 10  # bytes of a block, as on the largest GPUs of compute capability 9.0
CROWDED = 14
"""Vectors that live on from block to block, from which on gangs are halved: 32 lanes take two registers each."""
_WARP = frozenset(("shuffle", "vote", "active", "match", "reduce", "elect", "warp_barrier"))
_OF_WARPS = ("%lane", "%warpid", "%nwarpid")
STATIC_LIMIT = 48 << 10  # PTX allows no more without a launch that asks for it
BLOCK_LIMIT = 1024

_CTTZ = "declare i64 @llvm.cttz.i64(i64, i1)"  # the supporting text has it

Effect = Callable[..., None]


@cache
def version() -> str:
    """Of what is generated, part of every cache key: the sources that generate it."""
    import polyvm

    digest = blake2b(polyvm.__version__.encode(), digest_size=16)
    root = Path(polyvm.__file__).parent
    for folder in ("compute/simt", "isa/ptx"):
        for path in sorted((root / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


_EFFECTS: dict[str, Effect] = {
    "load": memory.load, "store": memory.store, "atomic": memory.atomic, "copy_async": memory.copy_async,
    "convert_address": memory.convert_address, "is_space": memory.is_space, "fence": memory.fence,
    "shuffle": warp.shuffle, "vote": warp.vote, "active": warp.active, "match": warp.match, "reduce": warp.reduce,
    "elect": warp.elect, "warp_barrier": warp.warp_barrier, "reach_barrier": warp.reach_barrier,
    "pass_barrier": warp.pass_barrier, "call": control.call, "load_param": control.load_param,
    "store_param": control.store_param,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """Where a fault can happen: the PTX line, the source's file and line, and the instruction."""

    line: int
    file: int
    source: int
    text: str


def _up(value: int, align: int) -> int:
    return -(-value // align) * align


def parameters(function: Function) -> tuple[list[tuple[str, int, int]], int]:
    """(name, offset, size) of each parameter of a kernel, and their size in all."""
    found, at = [], 0
    for variable in function.params:
        at = _up(at, variable.align)
        found.append((variable.name, at, variable.size))
        at += variable.size
    return found, at


class Globals:
    """Where a module's .global and .const variables lie in its block of memory."""

    def __init__(self, module: Module) -> None:
        self.offsets: dict[str, int] = {}
        at = 0
        for variable in module.variables.values():
            if variable.space in ("global", "const"):
                at = _up(at, max(variable.align, 16))
                self.offsets[variable.name] = at
                at += variable.size
        self.size = _up(at, 16)

    def image(self, module: Module, base: int) -> bytes:
        """The block's first contents, at an address. Raises PVM-GPU-PTX for initialisers that name nothing."""
        data = bytearray(self.size)
        numbers = {name: n for n, name in enumerate(module.functions)}
        for variable in module.variables.values():
            if variable.name not in self.offsets or variable.data is None:
                continue
            at = self.offsets[variable.name]
            data[at : at + variable.size] = variable.data
            for offset, name in variable.addresses:
                if name.name in self.offsets:
                    value = base + self.offsets[name.name] + name.offset
                elif name.name in numbers:
                    value = layout.FUNCTIONS + numbers[name.name]
                else:
                    raise PolyvmError(
                        "PVM-GPU-PTX", f"This is not PTX: there is no {name.name}.", line=variable.line
                    )
                data[at + offset : at + offset + 8] = value.to_bytes(8, "little")
        return bytes(data)


class Program:
    """A kernel in the making."""

    def __init__(
        self, module: Module, kernel: str, block: tuple[int, int, int], *, exact: bool = False
    ) -> None:
        load_table()
        if kernel not in module.kernels:
            raise PolyvmError(
                "PVM-GPU-ARGUMENT",
                f"The module has no kernel {kernel!r}.",
                hint=f"It has: {', '.join(module.kernels) or 'none'}.",
            )
        self.module, self.name, self.exact = module, kernel, exact
        self.kernel = module.functions[kernel]
        self.functions = list(module.functions.values())
        self._numbers = {f.name: n for n, f in enumerate(self.functions)}
        self.globals = Globals(module)
        self._params, self.args_size = parameters(self.kernel)
        if self.args_size > layout.ARGS_LIMIT:
            raise PolyvmError(
                "PVM-UNSUPPORTED", f"{kernel} has more than {layout.ARGS_LIMIT} bytes of parameters."
            )
        self._reached = self._reach()
        self.gang: Gang = self._gang(block)
        self._shared = self._place_shared()
        self.sites: list[list[Site]] = []
        self._tables: list[str] = []
        self._slots = 0

    # -- What is reached
    def _reach(self) -> list[Function]:
        """The kernel and every function that it can call; an indirect call can reach all."""
        found = [self.kernel]
        for function in found:
            for insn in function.insns:
                if insn.name != "call" or len(insn.operands) != 3:
                    continue
                target = insn.operands[1]
                if isinstance(target, Name):
                    callee = self.module.functions.get(target.name)
                    named = [callee] if callee is not None and callee.defined else []
                else:
                    named = [f for f in self.functions if f.defined and not f.entry]
                found += [f for f in named if f not in found]
        return found

    def _gang(self, block: tuple[int, int, int]) -> Gang:
        """How threads become lanes: half a warp for kernels that need more vector registers than a processor has."""
        usual = gang_of(block)
        if len(self._reached) > 1 or usual.width < 16 or block[0] % 16:
            return usual
        flow = Flow(self.kernel)
        check(flow)
        steps = [step for b in flow.blocks for step in (*b.steps, *([b.last] if b.last else []))]
        for step in steps:
            if step.decoded.form.kind in _WARP or any(name.startswith(_OF_WARPS) for name in step.uses):
                return usual
        shapes = Shapes(flow, usual, masked=not usual.whole, exact=self.exact)
        vectors = {
            name for name, shape in shapes.of.items() if shape.kind == "V" and flow.types[name] != "pred"
        }
        most = max((len(live & vectors) for live in flow.live), default=0)
        return Gang(block, 16, 1) if most >= CROWDED else usual

    def _place_shared(self) -> dict[tuple[str, str], int]:
        places: dict[tuple[str, str], int] = {}
        used = self._names_used()
        at = 0
        dynamic: list[tuple[str, str]] = []
        for owner, variables in (
            ("", self.module.variables),
            *((f.name, f.variables) for f in self._reached),
        ):
            for variable in variables.values():
                if variable.space != "shared" or (not owner and variable.name not in used):
                    continue
                if not variable.size:
                    dynamic.append((owner, variable.name))
                    continue
                at = _up(at, max(variable.align, 16))
                places[owner, variable.name] = at
                at += variable.size
        self.shared_size = _up(at, 16)
        for key in dynamic:
            places[key] = self.shared_size
        if self.shared_size > STATIC_LIMIT:
            raise PolyvmError(
                "PVM-GPU-ARGUMENT",
                f"{self.name} has {self.shared_size} bytes of static shared memory; {STATIC_LIMIT} are possible.",
                hint="Dynamic shared memory may be larger.",
            )
        return places

    def _names_used(self) -> set[str]:
        used: set[str] = set()

        def look(operand: object) -> None:
            if isinstance(operand, Name):
                used.add(operand.name)
            elif isinstance(operand, Vec):
                for part in operand.parts:
                    look(part)
            elif hasattr(operand, "base"):
                look(operand.base)

        for function in self._reached:
            for insn in function.insns:
                for operand in insn.operands:
                    look(operand)
        return used

    # -- What units ask
    def locals_of(self, function: Function) -> tuple[dict[str, int], int]:
        """Where a function's local variables lie in a thread's memory, and how much that is."""
        places, at = {}, 0
        for variable in function.variables.values():
            if variable.space == "local":
                at = _up(at, max(variable.align, 1))
                places[variable.name] = at
                at += variable.size
        return places, _up(at, 16)

    def shared_offset(self, function: Function, name: str) -> int | None:
        """Where a shared variable lies."""
        return self._shared.get((function.name, name), self._shared.get(("", name)))

    def global_offset(self, name: str) -> int | None:
        """Where a global or constant variable lies."""
        return self.globals.offsets.get(name)

    def function_number(self, name: str) -> int | None:
        """A device function's number."""
        return self._numbers.get(name)

    def param_offset(self, function: Function, name: str) -> int:
        """Where a kernel's parameter lies."""
        return next(offset for known, offset, _ in self._params if known == name)

    def size_of(self, function: Function, name: str) -> int | None:
        """A variable's size, where it is known before the launch."""
        variable: Variable | None = function.variables.get(name) or self.module.variables.get(name)
        return variable.size if variable is not None and variable.size else None

    def effect(self, kind: str) -> Effect:
        """Who carries out an instruction."""
        return _EFFECTS[kind]

    def begin_block(self, unit: Unit, steps: list[Step]) -> None:
        """A block begins."""
        memory.begin(unit, steps)

    def slot(self) -> int:
        """A place to remember an allocation."""
        self._slots += 1
        return self._slots - 1

    def site(self, function: Function, entries: list[tuple[int, int, Insn]]) -> int:
        """The number of a place where faults can happen."""
        self.sites.append([Site(i.line, i.source[0], i.source[1], i.text) for _, _, i in entries])
        return len(self.sites) - 1

    def table(self, group: Group) -> str:
        """The accesses of a group, for native code."""
        words = [len(group.entries)]
        for offset, size, _ in group.entries:
            words += [offset, size]
        name = f"@pv_t{len(self._tables)}"
        listed = ", ".join(f"i32 {word}" for word in words)
        self._tables.append(f"{name} = internal constant [{len(words)} x i32] [{listed}]")
        return name

    def symbol(self, function: Function) -> str:
        """A device function's name in LLVM."""
        return f"f{self._numbers[function.name]}"

    # -- Text
    def text(self) -> str:
        """The LLVM module."""
        units = [self._unit(function) for function in self._reached]
        kernel = units[0]
        states = bool(kernel[0].resumes)
        declared: set[str] = {"declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"}
        for unit, _ in units:
            declared |= unit.declared
        attributes = '"no-builtins" nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512"'
        loop = support.grid(
            "kernel", self.gang, context=kernel[0].context, slots=self._slots, shared=self.shared_size,
            states=states, attributes=attributes,
        )  # fmt: skip
        lines = [*self._tables, support.text(self.gang)]
        lines += [body for _, body in units]
        lines += [
            loop,
            *sorted(declared - {_CTTZ}),
            "!0 = !{}",
            '!1 = !{!"branch_weights", i32 1, i32 10000}',
        ]
        return "\n".join(lines) + "\n"

    def _unit(self, function: Function) -> tuple[Unit, str]:
        flow = Flow(function)
        check(flow)
        entry = function is self.kernel
        if not entry and flow.barriers:
            raise PolyvmError(
                "PVM-UNSUPPORTED",
                f"Barriers of the block in functions that are not inlined ({function.name}) are not supported.",
                hint="Mark the function __forceinline__.",
            )
        unit = Unit(self, flow, self.gang, entry=entry)
        unit.lines = []
        prologue = self._prologue(unit)
        unit.body()
        body = unit.lines
        attributes = '"no-builtins" nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512"'
        if entry:
            inline = "" if unit.resumes else "alwaysinline "
            head = f"define internal i32 @kernel.gang(ptr %frame, ptr %context, i32 %state) {inline}{attributes} {{"
        else:
            count = len(function.params) + len(function.returns)
            listed = "".join(f", ptr %q{n}" for n in range(count))
            head = (
                f"define internal i32 @{self.symbol(function)}(ptr %frame, ptr %local, i32 %callers{listed})"
            )
            head += f" noinline {attributes} {{"
        lines = [head, "entry:", *unit.head, *control.param_slots(unit), *unit.stack_slots(), *prologue]
        if unit.resumes:
            states = " ".join(f"i32 {n + 1}, label %s{n + 1}" for n in range(len(unit.resumes)))
            lines.append(f"  switch i32 %state, label %b0 [ {states} ]")
        else:
            lines.append("  br label %b0")
        lines += body + [line for resume in unit.resumes for line in resume]
        lines += ["leave:", "  ret i32 0", "dead:", "  ret i32 -2", "}"]
        return unit, "\n".join(lines)

    def _prologue(self, unit: Unit) -> list[str]:
        """What every block may use: the frame's fields, the lanes' numbers, and who is here at the start."""
        unit.head += [
            f"  %lanes = alloca {unit.vector('i64')}, align 64",
            "  %scratch = alloca [64 x i8], align 64",
        ]
        fields = layout.FRAME
        job = unit.let("ptr", 0, "load ptr, ptr %frame")
        unit.emit(f"%stop = getelementptr i8, ptr {job.text}, i64 {layout.JOB['stop']}")
        unit.emit("call void @llvm.memset.p0.i64(ptr %scratch, i8 0, i64 64, i1 false)")

        def named(name: str, kind: str, field: str, more: int = 0) -> None:
            place = unit.at("%frame", fields[field] + more)
            unit.emit(f"%{name} = load {kind}, ptr {place}")

        for name, kind, field in (
            ("args", "ptr", "args"), ("globals", "ptr", "globals"), ("shared", "ptr", "shared"),
            ("shared.size", "i64", "shared_size"), ("slots", "ptr", "slots"), ("gang", "i32", "gang"),
        ):  # fmt: skip
            named(name, kind, field)
        for n, axis in enumerate("xyz"):
            named(f"ctaid{axis}", "i32", "cta", 4 * n)
            named(f"nctaid{axis}", "i32", "grid", 4 * n)
        if unit.entry:
            named("local", "ptr", "local")
        first = unit.let("i32", 0, f"mul nuw nsw i32 %gang, {self.gang.size}")
        unit.lin = [
            unit.let("i32", 0, f"add nuw nsw i32 {first.text}, {part * unit.W}") if part else first
            for part in range(unit.G)
        ]
        self._guard(unit)
        self._first_masks(unit)
        prologue, unit.lines = unit.lines, []
        return prologue

    def _guard(self, unit: Unit) -> None:
        """Leave where the host's stack, or the gang's local memory, ends."""
        if unit.entry and not unit.local_size:
            return
        start = unit.let("i64", 0, "ptrtoint ptr %local to i64")
        end = unit.frame("i64", "local_end")
        top = unit.add(start, unit.const(start, 32 * unit.local_size))
        bad = unit.icmp("ugt", top, end)
        if not unit.entry:
            here = unit.let("i64", 0, "ptrtoint ptr %lanes to i64")
            bad = unit.or_(bad, unit.icmp("ult", here, unit.frame("i64", "stack")))
        wrong, fine = unit.fresh("g"), unit.fresh("g")
        unit.emit(f"br i1 {bad.text}, label %{wrong}, label %{fine}, !prof !1")
        unit.label(wrong)
        insn = unit.flow.function.insns[0] if unit.flow.function.insns else Insn("ret", (), ())
        site = self.site(unit.flow.function, [(0, 0, insn)])
        unit.emit(
            f"call void @pv_fault(ptr %frame, i32 {layout.FAULTS['stack']}, i32 {site}, i64 {start.text}, i32 0, i32 0)"
        )
        unit.emit("br label %dead")
        unit.label(fine)

    def _first_masks(self, unit: Unit) -> None:
        if not unit.shapes.pending[0]:
            return
        masks = []
        for _ in unit.each("V"):
            if unit.entry:
                lin = unit.lin[unit.part]
                lanes = unit.add(unit.spread(lin, UNIFORM), unit.ramp("i32", 1))
                masks.append(unit.icmp("ult", lanes, unit.const(lanes, self.gang.threads)))
            else:
                shifted = unit.lshr(Val("%callers", "i32"), Val(str(unit.part * unit.W), "i32"))
                bits = unit.trunc(shifted, unit.W)
                masks.append(unit.let("i1", unit.W, f"bitcast {bits.typed} to {unit.vector('i1')}"))
        for part, mask in enumerate(masks):
            unit.emit(f"store {mask.typed}, ptr {unit.mask_slot(0, part)}")

    def meta(self) -> dict[str, Any]:
        """What whoever runs the image must know; after text()."""
        return {
            "args": self.args_size, "shared": self.shared_size, "local": self.locals_of(self.kernel)[1],
            "block": list(self.gang.block), "lanes": self.gang.width,
            "sites": [[[s.line, s.file, s.source, s.text] for s in site] for site in self.sites],
            "files": {str(k): v for k, v in self.module.files.items()},
        }  # fmt: skip

    def build(self) -> bytes:
        """The native image. Raises PVM-UNSUPPORTED, PVM-GPU-PTX and PVM-COMPILE-FAILED."""
        from polyvm.engine import compile as compiler

        text = self.text()
        return compiler.build(text, ["kernel"], opt=2, meta=json.dumps(self.meta()).encode(), runtime=False)
