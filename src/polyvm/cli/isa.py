"""`polyvm isa`: the guests, their instructions, and how much of the manual is covered."""

from __future__ import annotations

import sys

from polyvm.cli import guests, output
from polyvm.cli.options import DEBUG, JSON, Command, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.cli.options import Values
    from polyvm.isa.spec import Isa

COMMAND = Command(
    "isa",
    usage=("list [OPTIONS] [GUEST]", "coverage [OPTIONS] [GUEST]"),
    about="""
Lists what the specifications know. `list` names the guests, or every instruction of one. `coverage` compares a guest
with its manual, extension by extension, and names what is missing.
""",
    arguments=(
        ("ACTION", "list or coverage."),
        ("GUEST", f"A guest; for coverage also ptx, and {guests.GUESTS[0]} when it is left out."),
    ),
    options=(JSON, DEBUG),
    examples=(
        ("The guests", "polyvm isa list"),
        ("Every instruction of one", "polyvm isa list riscv64"),
        ("What of the manual is done", "polyvm isa coverage riscv64"),
        ("What of PTX, which kernels of GPUs are made of", "polyvm isa coverage ptx"),
    ),
    takes=(1, 2),
    complete=("list", "coverage"),
)


def execute(values: Values) -> int:
    """List guests or instructions, or show the coverage."""
    action, *rest = values.arguments
    if action == "list":
        _instructions(guests.load(rest[0]), values.json) if rest else _guests(values.json)
    elif action == "coverage":
        guest = rest[0] if rest else guests.GUESTS[0]
        _coverage(guest if guest == "ptx" else guests.check(guest), values.json)
    else:
        raise usage(COMMAND, f"polyvm isa does not know {action!r}.", "The actions are list and coverage.")
    return 0


def _guests(json: bool) -> None:
    names = (*guests.GUESTS, *guests.PLANNED)
    if json:
        known = [
            {"name": name, "exists": name in guests.GUESTS, "specified": name in guests.SPECIFIED}
            for name in names
        ]
        output.document("isa-guests", {"guests": known})
        return
    for name in names:
        specified = "  (does not run programs yet)" if name in guests.SPECIFIED else "  (not there yet)"
        sys.stdout.write(f"{name}{'' if name in guests.GUESTS else specified}\n")


def _instructions(isa: Isa, json: bool) -> None:
    if json:
        rows = [
            {
                "name": insn.name,
                "text": insn.text,
                "encoding": insn.encoding.text,
                "bytes": insn.size,
                "extension": insn.extension.name,
                "summary": _summary(insn.doc),
            }
            for insn in isa.insns
        ]
        output.document("isa", {"guest": isa.name, "insns": rows})
        return
    for extension in isa.extensions:
        sys.stdout.write(f"{extension.name} {extension.version}: {extension.title}\n")
        found = [insn for insn in isa.insns if insn.extension is extension]
        sys.stdout.write(output.table([(insn.text, _summary(insn.doc)) for insn in found], indent="  "))
        sys.stdout.write("\n")


def _summary(doc: str) -> str:
    return doc.strip().partition("\n")[0]


def _coverage(guest: str, json: bool) -> None:
    from polyvm.isa import coverage

    found = coverage.document(guest)
    if json:
        output.document(
            "coverage", {key: value for key, value in found.items() if key not in ("schema", "polyvm")}
        )
        return
    counts = found["encodings"]
    share = 100 * counts["done"] / counts["total"]
    sys.stdout.write(f"{found['guest']}, against {found['revision']}\n")
    sys.stdout.write(f"{counts['done']} of {counts['total']} instructions ({share:.0f}%)\n\n")
    rows = [("extension", "state", "done", "of", "missing")]
    for part in found["extensions"]:
        missing = part["missing"]
        shown = "" if part["state"] != "partial" and found["guest"] != "ptx" else " ".join(missing)
        rows.append(
            (part["name"], part["state"], str(part["insns"] - _refused(missing)), str(part["insns"]), shown)
        )
    sys.stdout.write(output.table(rows, right="..rr"))


def _refused(missing: list[str]) -> int:
    """How many are not done at all; what is in brackets is done in part."""
    return sum("(" not in name for name in missing)
