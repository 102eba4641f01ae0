"""How much of its manual a guest's specification covers, as a polyvm.coverage/1 document.

Compares the specification's mnemonics with the manual's; whether a body is right is for the tests to say.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypedDict

from polyvm import __version__
from polyvm.errors import PolyvmError
from polyvm.isa import SPECIFIED

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.isa.spec import Isa


class ExtensionCoverage(TypedDict):
    """One extension: state is "done", "partial" or "refused"; insns counts the manual's instructions."""

    name: str
    state: str
    insns: int
    missing: list[str]


class EncodingCoverage(TypedDict):
    """The manual's instructions, each counted once; what is not done is refused by name when it is met."""

    total: int
    done: int
    refused: int


class Coverage(TypedDict):
    """polyvm.coverage/1."""

    schema: str
    polyvm: str
    guest: str
    revision: str
    extensions: list[ExtensionCoverage]
    encodings: EncodingCoverage


def document(guest: str) -> Coverage:
    """The coverage of a guest. Raises PVM-USAGE for a guest that has no specification."""
    if guest == "ptx":
        return _ptx()
    if guest not in SPECIFIED:
        raise PolyvmError(
            "PVM-USAGE", f"There is no specification of {guest!r}.", hint=f"There is: {', '.join(SPECIFIED)}."
        )
    package = import_module(f"polyvm.isa.{guest}")
    isa: Isa = getattr(package, "everything", package.load)()
    manual = import_module(f"polyvm.isa.{guest}.manual")
    # What has a name of its own and is another instruction's special case, as hints are, is done with that one.
    listed: Callable[[str], str] = getattr(manual, "listed", str)
    known = {listed(insn.name) for insn in isa.insns} | {short.split()[0] for short, _ in isa.aliases}
    extensions = [_extension(name, text.split(), known) for name, text in manual.EXTENSIONS.items()]
    everything = {name for text in manual.EXTENSIONS.values() for name in text.split()}
    done = len(everything & known)
    return {
        "schema": "polyvm.coverage/1",
        "polyvm": __version__,
        "guest": guest,
        "revision": manual.REVISION,
        "extensions": extensions,
        "encodings": {"total": len(everything), "done": done, "refused": len(everything) - done},
    }


def _ptx() -> Coverage:
    """PTX has no encodings: its instructions are done, done in part, or refused by name when they are met."""
    from polyvm.isa.ptx import manual

    extensions: list[ExtensionCoverage] = []
    counts = {"done": 0, "partial": 0, "refused": 0}
    for name, text in manual.EXTENSIONS.items():
        states = {insn: manual.state(insn) for insn in text.split()}
        for state in states.values():
            counts[state] += 1
        kinds = set(states.values())
        missing = [insn for insn, state in states.items() if state == "refused"]
        missing += [
            f"{insn} ({manual.PARTIAL[insn]})" for insn, state in states.items() if state == "partial"
        ]
        kind = kinds.pop() if len(kinds) == 1 else "partial"
        extensions.append({"name": name, "state": kind, "insns": len(states), "missing": missing})
    return {
        "schema": "polyvm.coverage/1",
        "polyvm": __version__,
        "guest": "ptx",
        "revision": manual.REVISION,
        "extensions": extensions,
        "encodings": {
            "total": sum(counts.values()),
            "done": counts["done"] + counts["partial"],
            "refused": counts["refused"],
        },
    }


def _extension(name: str, insns: list[str], known: set[str]) -> ExtensionCoverage:
    missing = [insn for insn in insns if insn not in known]
    state = "done" if not missing else "refused" if len(missing) == len(insns) else "partial"
    return {"name": name, "state": state, "insns": len(insns), "missing": missing}
