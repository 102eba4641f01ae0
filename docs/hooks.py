"""Fills the site with what the sources know, so that nothing is written twice: instructions, options, error codes.

A line "<!-- generated: NAME -->" of a page is replaced by the text of the function NAME. A navigation entry
that is a folder gets its pages. It writes no file.
"""

from __future__ import annotations

import html
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
MARK = re.compile(r"<!-- generated: (\w+)(?: (\S+))? -->")


def on_config(config: Any) -> Any:
    """Replace folders in the navigation by their pages, the index first."""
    config.nav = [_expand(entry) for entry in config.nav]
    return config


def _expand(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, target),) = entry.items()
    if isinstance(target, list):
        return {title: [_expand(item) for item in target]}
    if target.endswith("/"):
        pages = sorted(path for path in (DOCS / target).glob("*.md") if path.name != "index.md")
        return {title: [f"{target}index.md", *({_title(path): f"{target}{path.name}"} for path in pages)]}
    return entry


def _title(page: Path) -> str:
    return page.read_text().split("\n", 1)[0].removeprefix("# ")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put generated text where a page asks for it."""
    return MARK.sub(lambda found: GENERATORS[found[1]](*filter(None, [found[2]])), markdown)


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "&#124;")


def _code(text: str) -> str:
    return f"<code>{_cell(text)}</code>" if text else ""


# ---------------------------------------------------------------------------- errors
def errors() -> str:
    """The table of error codes."""
    from polyvm.errors import CODES

    rows = ["| code | exit status | meaning |", "|---|---|---|"]
    rows += [f"| [{code}]({code}.md) | {info.exit_status} | {info.summary} |" for code, info in CODES.items()]
    return "\n".join(rows)


def decisions() -> str:
    """The list of decisions."""
    pages = sorted(path for path in (DOCS / "decisions").glob("*.md") if path.name != "index.md")
    return "\n".join(f"- [{_title(page)}]({page.name})" for page in pages)


# ---------------------------------------------------------------------------- instructions
def riscv64() -> str:
    """Every instruction of the riscv64 specification, by extension."""
    from polyvm.isa.riscv64 import load

    return _instructions(load())


def aarch64() -> str:
    """Every instruction of the aarch64 specification, by the manual's tables."""
    from polyvm.isa.aarch64 import load

    return _instructions(load())


def _instructions(isa: Any) -> str:
    text = []
    for extension in isa.extensions:
        insns = [insn for insn in isa.insns if insn.extension is extension]
        text += ["", f"## {extension.name} {extension.version}: {extension.title}", ""]
        text += [f"{len(insns)} instructions.", "", "| instruction | encoding | meaning |", "|---|---|---|"]
        for insn in insns:
            meaning = " ".join(insn.doc.split())
            text.append(f"| {_code(insn.text)} | {_code(insn.encoding.text)} | {_cell(meaning)} |")
    text += ["", "## Registers", "", "| file | bits | registers |", "|---|---|---|"]
    for file in isa.files.values():
        names = ", ".join(f"{file.name}{number} = {name}" for number, name in enumerate(file.names))
        text.append(f"| {_code(file.name)} | {file.bits} | {_cell(names)} |")
    text += ["", "## Pseudo-instructions", "", "| written | stands for |", "|---|---|"]
    text += [f"| {_code(short)} | {_code(long)} |" for short, long in isa.aliases]
    text += [f"| {_code(alias.short)} | {_code(alias.long)} with other numbers |" for alias in isa.computed]
    return "\n".join(text)


def ops(name: str) -> str:
    """The trace of a riscv64 instruction that has one shape."""
    from polyvm.debug import optext
    from polyvm.isa.riscv64 import load

    isa = load()
    (insn,) = (insn for insn in isa.insns if insn.name == name)
    (shape,) = insn.shapes()
    return "\n".join(optext.lines(isa.trace(insn, shape)))


# ---------------------------------------------------------------------------- system calls
def syscalls() -> str:
    """Every system call that is declared, with its arguments and what becomes of it."""
    import errno

    from polyvm.user.syscalls.table import declarations

    found = list(declarations())
    states = {
        state: [call for call in found if call.state == state]
        for state in ("done", "passed to the host", "refused")
    }
    text = [", ".join(f"{len(calls)} {state}" for state, calls in states.items()) + ".", ""]
    text += ["| call | arguments | how |", "|---|---|---|"]
    for call in sorted(found, key=lambda call: call.name):
        how = f"refused: {errno.errorcode[call.errno]}" if call.errno else call.state
        arguments = ", ".join(f"{name}: {kind}" for name, kind in call.arguments)
        text.append(f"| {_code(call.name)} | {_cell(arguments)} | {how} |")
    return "\n".join(text)


# ---------------------------------------------------------------------------- accelerators
def contract() -> str:
    """The contract of vCPUs: protocols, exits, capabilities and groups of state, from the sources."""
    from polyvm.accel import choice
    from polyvm.memory.ram import Ram
    from polyvm.vcpu import capabilities, contract, exits, registers, state

    text = _document("polyvm.accel.choice.choose", choice.choose, "##")
    text += _document("polyvm.accel.choice.reasons", choice.reasons, "##")
    text += _document("polyvm.memory.ram.Ram", Ram, "##")
    for kind in (
        contract.Hypervisor,
        contract.Vm,
        contract.Vcpu,
        registers.Registers,
        contract.Latch,
        contract.Ring,
    ):
        text += ["", f"## `{kind.__name__}`", "", inspect.getdoc(kind) or ""]
        for member, inner in vars(kind).items():
            if not member.startswith("_") and inspect.isfunction(inner):
                text += _document(f"{kind.__name__}.{member}", inner, "###")
    text += [
        "",
        "## Exits",
        "",
        "Classes of `polyvm.vcpu.exits`.",
        "",
        "| exit | fields | meaning |",
        "|---|---|---|",
    ]
    for kind in vars(exits).values():
        if isinstance(kind, type) and issubclass(kind, exits.Exit) and kind is not exits.Exit:
            meaning = " ".join((inspect.getdoc(kind) or "").split())
            text.append(f"| {_code(kind.__name__)} | {_code(', '.join(kind._fields))} | {_cell(meaning)} |")
    text += ["", "## Capabilities", "", "| name | meaning |", "|---|---|"]
    text += [f"| {_code(name)} | {_cell(what)} |" for name, what in capabilities.CAPABILITIES.items()]
    text += ["", "## Groups of saved state", "", "| group | what it has |", "|---|---|"]
    text += [f"| {_code(name)} | {_cell(what)} |" for name, what in state.GROUPS.items()]
    return "\n".join(text)


def accelerators() -> str:
    """The pinned matrix of behaviours and back ends."""
    matrix = json.loads((DOCS / "accelerators.json").read_text())
    backends = list(dict.fromkeys(name for row in matrix.values() for name in row["over"]))
    text = [f"| behaviour | {' | '.join(backends)} |", "|---|" + "---|" * len(backends)]
    for behaviour, row in matrix.items():
        cells = [
            "passes" if row["over"].get(name) == "passes" else f"unsupported: no {_code(row['needs'])}"
            for name in backends
        ]
        text.append(f"| {behaviour.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(text)


def x86_64() -> str:
    """The table of x86_64's registers."""
    from polyvm.isa.x86_64 import registers

    text = [
        "| register | bits | group | GDB | DWARF | KVM | macOS | Windows |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in registers.table():
        numbers = ["" if number is None else str(number) for number in (row.gdb, row.dwarf, row.hvf)]
        text.append(
            f"| {_code(row.name)} | {row.bits} | {row.group} | {numbers[0]} | {numbers[1]} | {_code(row.kvm)} |"
            f" {numbers[2]} | {_code(row.whp)} |"
        )
    return "\n".join(text)


# ---------------------------------------------------------------------------- command line
def cli() -> str:
    """Every command, as its --help says it."""
    from polyvm.cli import main, options

    text = ["```text", main.help_text().rstrip(), "```"]
    for name in main.COMMANDS:
        text += [
            "",
            f"## polyvm {name}",
            "",
            "```text",
            options.help_text(main.load(name).COMMAND).rstrip(),
            "```",
        ]
    later = ", ".join(f"`polyvm {name}`" for name in main.LATER)
    text += [
        "",
        "## Not there yet",
        "",
        f"{later} are part of the design and are refused by name until they exist.",
    ]
    return "\n".join(text)


# ---------------------------------------------------------------------------- Python
def python() -> str:
    """Every public name of polyvm: signature, docstring, and the public members of its classes."""
    import polyvm

    text: list[str] = []
    for name in polyvm.__all__:
        if name != "__version__":
            text += _document(f"polyvm.{name}", getattr(polyvm, name), "##")
    return "\n".join(text)


def gpu() -> str:
    """Every public name of polyvm.gpu."""
    from polyvm import gpu as module

    text: list[str] = []
    for name in module.__all__:
        text += _document(f"gpu.{name}", getattr(module, name), "##")
    return "\n".join(text)


def _document(name: str, value: Any, heading: str) -> list[str]:
    text = ["", f"{heading} `{name}`", ""]
    doc = inspect.getdoc(value) or ""
    if isinstance(value, property):
        return [*text, "*property*", "", doc]
    if callable(value):
        text += ["```python", _signature(name.rpartition(".")[2], value), "```", ""]
    text.append(doc)
    if isinstance(value, type):
        for member, inner in vars(value).items():
            public = not member.startswith("_") and (isinstance(inner, property) or inspect.isfunction(inner))
            if public and inspect.getdoc(inner):
                text += _document(f"{name.rpartition('.')[2]}.{member}", inner, heading + "#")
    return text


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except ValueError:
        return f"{name}(...)"
    shown = str(signature).replace("'", "")
    if len(name + shown) <= 100:
        return name + shown
    parts = [str(parameter).replace("'", "") for parameter in signature.parameters.values()]
    for position, parameter in enumerate(signature.parameters.values()):
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            parts.insert(position, "*")
            break
    result = (
        "" if signature.return_annotation is inspect.Signature.empty else f" -> {signature.return_annotation}"
    )
    return f"{name}(\n    " + ",\n    ".join(parts) + f",\n){result.replace(chr(39), '')}"


GENERATORS: dict[str, Callable[..., str]] = {
    generator.__name__: generator
    for generator in (
        errors,
        decisions,
        riscv64,
        aarch64,
        ops,
        syscalls,
        contract,
        accelerators,
        x86_64,
        cli,
        python,
        gpu,
    )
}
