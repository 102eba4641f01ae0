"""`polyvm inspect`: a program watched while it runs, in a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from polyvm.cli import passed
from polyvm.cli.options import DEBUG, FILE, Command, Option, usage
from polyvm.errors import from_oserror

if TYPE_CHECKING:
    from polyvm.cli.options import Values

_PASSED = passed.options(
    ("--sysroot", "--root", "--bind", "--cwd", "--argv0", "--env", "--unset-env", "--memory", "--timeout", "--tier",
     "--policy", "--code-cache", "--profile-in", "--exact-exclusives")
)  # fmt: skip

COMMAND = Command(
    "inspect",
    usage=("[OPTIONS] PROGRAM [ARGUMENTS...]", "[OPTIONS] --watch FILE"),
    about="""
Runs a program and shows, four times a second, what it does: which tiers run now, its hottest regions, the code cache,
system calls, threads, and regions as they come. It costs the program hardly anything.

The program has a terminal of its own, which is one of the views: 5 shows what it writes, i gives it the keyboard, and
Ctrl-] gives the keyboard back. 1 to 4 show regions, system calls, threads and events; p holds the view; q quits at
once and ends the program. With --watch, a program is watched that runs elsewhere, in its own terminal, as
polyvm run --live FILE.

The exit status is the program's, where it had ended before q; 0 otherwise.
""",
    arguments=(("PROGRAM", "The program's file, and its arguments, as for polyvm run."),),
    options=(
        Option("--watch", "FILE", "Watch the program that keeps FILE: polyvm run --live FILE PROGRAM.", complete=FILE),
        *_PASSED,
        DEBUG,
    ),
    examples=(
        ("A program", "polyvm inspect ./program 100"),
        ("One that runs elsewhere, by polyvm run --live /tmp/live ./program", "polyvm inspect --watch /tmp/live"),
    ),
    stops=True,
    takes=(0, None),
    complete=FILE,
)  # fmt: skip


def execute(values: Values) -> int:
    """Watch until somebody quits."""
    from polyvm.debug.extras import wanted

    if (values.watch is None) == (not values.arguments):
        raise usage(COMMAND, "polyvm inspect needs either a PROGRAM or --watch FILE.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise usage(
            COMMAND,
            "polyvm inspect draws on a terminal, and standard input or output is none.",
            "polyvm report, or polyvm run --stats, tell about a run afterwards.",
        )
    for module in ("textual", "pyte"):
        wanted(module, module, "polyvm inspect")
    from polyvm.debug.inspector import Inspector
    from polyvm.debug.live import Board

    if values.watch is not None:
        try:
            board = Board.open(values.watch)
        except OSError as error:
            raise from_oserror(error, f"Cannot watch {values.watch}") from error
        return Inspector(board.read).run() or 0
    from polyvm.debug.guestprocess import GuestProcess

    if not os.path.exists(values.arguments[0]) and values.root is None:
        from polyvm.errors import PolyvmError

        raise PolyvmError(
            "PVM-FILE-MISSING", f"There is no program {values.arguments[0]}.", path=values.arguments[0]
        )
    guest = GuestProcess(lambda where: passed.command(values, _PASSED, "--quiet", "--live", where))
    try:
        return Inspector(guest.read, guest).run() or 0
    finally:
        guest.end()
