"""LLVM text to flat images: the only place of the engine that imports llvmlite, and only when called.

The text of the host's runtime comes from here too, with the layout filled in. Failures of the compiler become
PVM-COMPILE-FAILED; it refuses hosts that polyvm has no runtime for.
"""

from __future__ import annotations

import platform
from contextlib import contextmanager
from functools import cache

from polyvm.engine import flatten as flat
from polyvm.engine import layout
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType
    from typing import Any

OPTIONS = ("-cgpp-huge-func=1", "-grow-region-complexity-budget=500", "-disable-constant-hoisting")
"""Where LLVM's effort grows faster than a function: CodeGenPrepare begins anew after every change in what it does not
take for huge, and the register allocator weighs where to split. Together 40% of code generation for a large region.
And constants are made where they are wanted: most are guest addresses on ways out that are hardly ever taken."""

STRAIGHT = (
    "always_inliner",
    "simplify_cfg",
    "instruction_combine",
    "new_gvn",
    "simplify_cfg",
    "aggressive_dce",
)
"""The passes for thousands of small functions without loops, an interpreter's handlers: of a level's many passes these
do all that there is to do, in a quarter of the time (aarch64: 5.8 s for 19.0, 1% more code)."""

_machines: dict[tuple[int, str, str], Any] = {}


def host_module() -> ModuleType:
    """The module emit.host_* of this machine."""
    machine = platform.machine()
    if machine != "x86_64":
        raise PolyvmError(
            "PVM-HOST-UNSUPPORTED", f"There is no native runtime for {machine} yet.", host=machine
        )
    from polyvm.emit import host_x86_64

    return host_x86_64


def runtime_ir() -> str:
    """The LLVM text of this host's runtime, to be put before a guest's interpreter."""
    text: str = host_module().runtime_ir(layout.names())
    return text


def host_cpu() -> tuple[str, str]:
    """The host CPU's name and features, as LLVM writes them: part of every cache key."""
    from llvmlite import binding as llvm

    _initialise()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def _initialise() -> None:
    from llvmlite import binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # without it inline assembly ends the process
    for option in OPTIONS:
        llvm.set_option("polyvm", option)


def target_machine(opt: int, cpu: str | None = None, features: str | None = None) -> Any:
    """An LLVM target machine for small position-independent code; kept, because making one costs milliseconds."""
    _initialise()
    host_name, host_features = host_cpu()
    key = (opt, cpu or host_name, host_features if features is None else features)
    if key not in _machines:
        _machines[key] = new_machine(*key)
    return _machines[key]


def new_machine(opt: int, cpu: str, features: str) -> Any:
    """A target machine of one's own."""
    from llvmlite import binding as llvm

    return llvm.Target.from_default_triple().create_target_machine(
        cpu=cpu, features=features, opt=opt, codemodel="small", reloc="pic"
    )


def compile_object(
    ir: str,
    *,
    opt: int = 2,
    passes: int | tuple[str, ...] | None = None,
    cpu: str | None = None,
    features: str | None = None,
    vectorise: bool = True,
) -> bytes:
    """The relocatable object of LLVM text. Raises PVM-COMPILE-FAILED.

    opt: the level of code generation, and of what goes before it unless `passes` names another, or passes by name.
    """
    machine = target_machine(opt, cpu, features)
    made = optimised(machine, ir, opt if passes is None else passes, loops=vectorise, straight=vectorise)
    del ir  # an interpreter's is long, and LLVM has it in its own form soon
    with made as module:
        return emit(machine, module)


@contextmanager
def optimised(
    machine: Any, ir: str, passes: int | tuple[str, ...], *, loops: bool, straight: bool
) -> Iterator[Any]:
    """The module that LLVM's passes of a level, or those named, make of its text; of level 0, nothing is done to it.

    loops, straight: whether loops, and straight code, may be made to work on vectors.

    Raises PVM-COMPILE-FAILED.
    """
    from llvmlite import binding as llvm

    # A context of its own: types and constants of one compilation do not pile up in the next. Both are closed here, in
    # this order: Python's garbage collector, should they ever be part of a cycle, might begin with the context.
    with llvm.create_context() as context:
        try:
            parsed = llvm.parse_assembly(ir, context)
        except RuntimeError as error:
            raise _refused(error) from error
        del ir
        with parsed as module:
            module.triple = llvm.get_process_triple()
            module.data_layout = str(machine.target_data)
            try:
                module.verify()
            except RuntimeError as error:
                raise _refused(error) from error
            _optimise(machine, module, passes, loops=loops, straight=straight)
            yield module


def _refused(error: RuntimeError) -> PolyvmError:
    return PolyvmError("PVM-COMPILE-FAILED", f"LLVM refuses the text: {str(error).strip()}")


def _optimise(
    machine: Any, module: Any, passes: int | tuple[str, ...], *, loops: bool, straight: bool
) -> None:
    from llvmlite import binding as llvm

    for function in module.functions:
        if not function.is_declaration and function.linkage == llvm.Linkage.external:
            function.visibility = "hidden"  # else its address would come from a global offset table
    if isinstance(passes, tuple):
        manager = llvm.create_new_module_pass_manager()
        for name in passes:
            getattr(manager, f"add_{name}_pass")()
        manager.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    elif passes:
        options = llvm.create_pipeline_tuning_options(speed_level=passes)
        options.loop_vectorization, options.slp_vectorization = loops, straight
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)


def emit(machine: Any, module: Any) -> bytes:
    """The relocatable object of a module."""
    result: bytes = machine.emit_object(module)
    return result


def build(
    ir: str,
    exports: Iterable[str],
    *,
    opt: int = 2,
    meta: bytes = b"",
    runtime: bool = True,
    cpu: str | None = None,
    features: str | None = None,
) -> bytes:
    """The flat image file of LLVM text, with the host's runtime in it (and its exports) unless told otherwise."""
    names = list(exports)
    if runtime:
        ir = runtime_ir() + ir
        names += host_module().EXPORTS
    return flat.flatten(compile_object(ir, opt=opt, cpu=cpu, features=features), names, meta)
