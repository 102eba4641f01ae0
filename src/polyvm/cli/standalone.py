"""`polyvm aot --standalone`: what was compiled, written as an executable of the host."""

from __future__ import annotations

import os

from polyvm.cli import output
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from polyvm.cli.options import Values
    from polyvm.engine.aot import Program, Progress
    from polyvm.user.standalone.build import Made


def check(values: Values) -> None:
    """Refuse what cannot be written, before anything is compiled. Raises PVM-USAGE, PVM-FILE-DIRECTORY."""
    if values.standalone != bool(values.output):
        absent, given = ("-o FILE", "--standalone") if values.standalone else ("--standalone", "-o")
        raise PolyvmError(
            "PVM-USAGE", f"{given} wants {absent}, too.", hint="polyvm aot --standalone -o FILE PROGRAM"
        )
    if values.standalone and values.handlers not in (None, "none"):
        raise PolyvmError(
            "PVM-USAGE", "A standalone program never runs a handler: --handlers says nothing of it."
        )
    if values.standalone:
        from polyvm.user.standalone import build

        build.check_output(values.output)


def write(values: Values, folder: str, program: Program, beginning: dict[str, Any], found: Progress) -> Made:
    """Write the executable; what it is made of. Raises PVM-FILE-*, PVM-RESOURCE, PVM-CACHE-DAMAGED."""
    from polyvm.engine import cachedir
    from polyvm.user.standalone import build

    interpreter = cachedir.read(folder, f"tier0/{program.guest}-{program.key}.pvi")
    units = (cachedir.read(folder, name) for name in found.files)
    made = build.build(
        build.Beginning(**beginning),
        interpreter or b"",
        [unit for unit in units if unit],
        program.code,
        build.runtime(program.guest, folder),
    )
    build.write(values.output, made.data)
    return made


def document(values: Values, made: Made) -> dict[str, Any]:
    """A part of a polyvm.aot/1 document."""
    return {
        "path": values.output,
        "bytes": len(made.data),
        "regions": made.units,
        "code_bytes": made.code_bytes,
        "native_bytes": made.unit_bytes,
    }


def told(values: Values, made: Made) -> str:
    """A line about it."""
    return (
        f"{os.path.basename(values.output)}: {output.size(len(made.data))}, with {made.units} regions "
        f"of {output.size(made.code_bytes)} of code\n"
    )
