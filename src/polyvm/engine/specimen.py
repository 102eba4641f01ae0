"""One tier 0 handler by itself, as LLVM text and as host assembly: what a reader wants to see of an instruction.

For `polyvm explain` and documentation; nothing that runs is made here.
"""

from __future__ import annotations

import re

from polyvm.emit import llvm_float
from polyvm.emit.llvm import METADATA
from polyvm.engine import compile as compiler
from polyvm.engine import layout
from polyvm.engine.interpreter import SIGNATURE, Handler
from polyvm.errors import PolyvmError
from polyvm.isa.spec import Insn, Shape

_LEAVE = re.compile(r"@(leave_\w+|watched)\(")
_DEFINED = re.compile(r"^define .*?@([\w.]+)\(", re.MULTILINE)


def handler_text(insn: Insn, shape: Shape) -> tuple[str, str]:
    """The handler's LLVM text, and the whole module that it takes to compile it."""
    handler = Handler(insn, shape, insn.isa.state_layout(layout.REGISTERS))
    text = handler.text(symbol(insn)).replace("define hidden", "define", 1)
    support = llvm_float.RUNTIME.replace("FP_MODE", str(layout.ST["fp_mode"])) if "pv_" in text else ""
    defined = set(_DEFINED.findall(support))
    declared = sorted(d for d in handler.declarations if re.search(r"@([\w.]+)\(", d)[1] not in defined)  # type: ignore[index]  # all are declarations
    leaves = sorted(set(_LEAVE.findall(text)))
    module = [
        support,
        *declared,
        *(f"declare preserve_nonecc void @{name}{SIGNATURE}" for name in leaves),
        text,
        'attributes #0 = { nounwind strictfp "no-builtins" }',
        METADATA,
        "!2 = !{}",
    ]
    return text, "\n".join(module)


def symbol(insn: Insn) -> str:
    """The function's name."""
    return re.sub(r"\W", "_", insn.name)


def assembly(module: str, name: str) -> list[str]:
    """The host assembly of one function of a module, in Intel's syntax, optimised as tier 0 is."""
    from llvmlite import binding as llvm

    # The option is the process's, and a machine keeps what it was when it was made: all others read inline assembly
    # as it is written, and LLVM ends the process where that cannot be read.
    compiler.target_machine(2)
    llvm.set_option("polyvm", "--x86-asm-syntax=intel")
    try:
        machine = compiler.new_machine(2, *compiler.host_cpu())
    finally:
        llvm.set_option("polyvm", "--x86-asm-syntax=att")
    try:
        parsed = llvm.parse_assembly(module)
        parsed.verify()
    except RuntimeError as error:
        raise PolyvmError("PVM-COMPILE-FAILED", f"LLVM refuses the text: {str(error).strip()}") from error
    parsed.triple = llvm.get_process_triple()
    parsed.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    llvm.create_pass_builder(machine, options).getModulePassManager().run(
        parsed, llvm.create_pass_builder(machine, options)
    )
    return _function(machine.emit_assembly(parsed), name)


def _function(text: str, name: str) -> list[str]:
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        code = line.partition("#")[0].rstrip()
        if code.startswith(f"{name}:"):
            inside = True
        elif inside and code.startswith(".Lfunc_end"):
            break
        elif inside and code and (code.startswith(".LBB") or not code.lstrip().startswith(".")):
            lines.append(
                code.replace("\t", " ").strip() if code.startswith(".") else "  " + " ".join(code.split())
            )
    return lines
