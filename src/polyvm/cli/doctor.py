"""`polyvm doctor`: what this machine and installation can do, and what to do about the rest."""

from __future__ import annotations

import sys

from polyvm.cli import output
from polyvm.cli.options import COLUMN, DEBUG, JSON, Command, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from polyvm.cli.options import Values

FAILED = 1

COMMAND = Command(
    "doctor",
    usage=("[OPTIONS]",),
    about="""
Explains this machine and this installation: what polyvm needs, what it found, and what to do about the rest. The exit
status is 0 when programs can be run, else 1.
""",
    options=(JSON, DEBUG),
    examples=(("Everything", "polyvm doctor"), ("For a bug report", "polyvm doctor --json")),
)


def execute(values: Values) -> int:
    """Examine and tell."""
    from polyvm import doctor

    found = doctor.examine()
    if values.json:
        output.document("doctor", found)
    else:
        sys.stdout.write(_render(found))
    return 0 if found["ok"] else FAILED


def _render(found: dict[str, Any]) -> str:
    width = COLUMN
    lines = []
    for check in found["checks"]:
        left = f"{check['status']:<5} {check['id']}"
        text = wrap(check["summary"] + ".", " " * width)
        lines.append(left.ljust(width) + text[0][width:])
        lines += text[1:]
        if check["hint"] and check["status"] != "ok":
            lines += wrap("-> " + check["hint"], " " * width)
    lines += ["", "Who can execute guests:"]
    for name, accel in found["accels"].items():
        lines.append(f"  {name:<4} {'yes' if accel['usable'] else 'no '}  {accel['reason']}")
    lines += ["", "Guests:"]
    for name, guest in found["guests"].items():
        can = [
            what
            for what, there in (("Linux programs", guest["user"]), ("whole systems", guest["system"]))
            if there
        ]
        lines.append(f"  {name:<8} {', '.join(can) or 'not there yet'}")
    lines += [
        "",
        "polyvm can run programs here."
        if found["ok"]
        else "polyvm cannot run programs here; see what failed above.",
    ]
    return "\n".join(lines) + "\n"
