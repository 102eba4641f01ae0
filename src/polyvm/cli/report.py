"""`polyvm report`: one page, complete in itself, that shows where a run's time went and the code that it went to."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from polyvm.cli import output, passed
from polyvm.cli.bench import count
from polyvm.cli.options import DEBUG, FILE, JSON, Command, Option, usage
from polyvm.errors import PolyvmError, from_oserror

if TYPE_CHECKING:
    from polyvm.cli.options import Values

_PASSED = passed.options(
    ("--sysroot", "--root", "--bind", "--cwd", "--argv0", "--env", "--unset-env", "--memory", "--timeout", "--tier",
     "--policy", "--code-cache", "--profile-in", "--exact-exclusives")
)  # fmt: skip

FAILED = (125, 126, 127)
"""Exit statuses with which polyvm run has told of an error of its own."""

COMMAND = Command(
    "report",
    usage=("[OPTIONS] PROGRAM [ARGUMENTS...]", "[OPTIONS] --from FILE"),
    about="""
Runs a program and writes a page about the run, for a browser: a flame graph of its functions, which tier ran when,
system calls and exits, and the hottest regions with their source lines (where the program was built with -g), guest
instructions, polyvm's ops, LLVM and host instructions side by side. The page is one file that loads nothing.

The program is looked at a hundred times a second, which costs some percent. Its standard input, output and
error are its own; the page goes to a file. With --from, the page is about a run that was recorded (polyvm run
--record), or, with counts alone, about a result file (polyvm run --result-file).
""",
    arguments=(("PROGRAM", "The program's file, and its arguments, as for polyvm run."),),
    options=(
        Option("--output", "FILE", "Where the page goes. When left out: PROGRAM-report.html, here.", short="-o",
               complete=FILE),
        Option("--from", "FILE", "Make the page of a recording or a result file.", complete=FILE),
        Option("--top", "N", "Show the code of the N hottest regions. Of a page of more than 5 MiB the code of the "
               "coldest is left out.", convert=count, default="20"),
        Option("--quiet", "", "Say nothing about how far it is."),
        *_PASSED,
        JSON,
        DEBUG,
    ),
    examples=(
        ("A program", "polyvm report ./program 100"),
        ("One from another system's files", "polyvm report -o lua.html --root ./rootfs /usr/bin/lua5.4 suite.lua"),
        ("Recorded before, by polyvm run --record run.polyvm ./program", "polyvm report --from run.polyvm"),
    ),
    stops=True,
    takes=(0, None),
    complete=FILE,
)  # fmt: skip


def execute(values: Values) -> int:
    """Run or read, and write the page or the document."""
    source = getattr(values, "from")
    if (source is None) == (not values.arguments):
        raise usage(COMMAND, "polyvm report needs either a PROGRAM or --from FILE.")
    if source is None and values.json:
        raise usage(
            COMMAND,
            "--json is for --from: of a program that is run, standard output is its own.",
            "polyvm run --record FILE PROGRAM, and then polyvm report --json --from FILE.",
        )
    if values.json and values.output is not None:
        raise usage(COMMAND, "--json prints the document, and --output names a file for the page.")
    for option in _PASSED if source is not None else ():
        if option.key in values.given:
            raise usage(
                COMMAND, f"{option.name} is for a program that is run, and --from names a run that was."
            )
    from polyvm.debug import report

    if source is None:
        name, status, data = "the run", *_record(values)
        if data is None:
            return status  # it has said why
        found = data
    else:
        name, found = source, _read(source)
    document = report.document(
        found, name, top=values.top, tell=_silent if values.quiet or values.json else _say
    )
    if values.json:
        output.document("report", {key: document[key] for key in document if key not in ("schema", "polyvm")})
        return 0
    _write(values, document)
    return 0


def _write(values: Values, document: dict[str, Any]) -> None:
    from polyvm.debug import page

    made, left = page.render(document)
    path = values.output or f"{os.path.basename(document['run']['program']) or 'program'}-report.html"
    try:
        with open(path, "wb") as file:
            file.write(made)
    except OSError as error:
        raise from_oserror(error, f"Cannot write the page {path}") from error
    if left and not values.quiet:
        _say(f"the code of {left} of the regions is left out: the page would be too large")
    if not values.quiet:
        _say(f"{path}: {output.size(len(made))}")


def _record(values: Values) -> tuple[int, dict[str, Any] | None]:
    """Run the program; its exit status, and what was recorded, if polyvm run could do so."""
    from polyvm.debug import recording

    with tempfile.TemporaryDirectory(prefix="polyvm-report-") as folder:
        path = os.path.join(folder, "recording")
        more = ["--quiet"] if values.quiet else []
        command = passed.command(values, _PASSED, "--record", path, *more)
        try:
            status = subprocess.run(command, check=False).returncode
        except KeyboardInterrupt:
            status = 130  # the program has heard of it as well, and what there is of the run is shown
        data = b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                data = file.read()
    if not data and status in FAILED:
        return status, None
    if not data:
        raise PolyvmError(
            "PVM-UNSUPPORTED",
            f"There is no run of {values.arguments[0]} to show: it ended without a recording.",
            hint="polyvm run says why; its message may stand above.",
            status=status,
        )
    return status, recording.load(data, "the run")


def _read(path: str) -> dict[str, Any]:
    """What a file holds: a recording, or a result file's document."""
    import json

    from polyvm.debug import recording

    try:
        with open(path, "rb") as file:
            data = file.read(recording.MAX_BYTES + 1)
    except OSError as error:
        raise from_oserror(error, f"Cannot read {path}") from error
    if b'"polyvm.run/' in data[:200]:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise recording.refused(path, "is a result file that is damaged") from error
        if isinstance(found, dict) and found.get("schema") == "polyvm.run/1":
            return found
    return recording.load(data, path)


def _say(text: str) -> None:
    sys.stderr.write(f"polyvm report: {text}\n")
    sys.stderr.flush()


def _silent(text: str) -> None:
    return None
