"""The way in: finds the command, hands it its arguments, and turns what it raises into text and an exit status.

Each command is a module, imported when it is called, with `COMMAND` (its options) and `execute(values)`. The designed
commands that do not exist yet are refused by name; it refuses to guess a command from half of its name.
"""

from __future__ import annotations

import sys

from polyvm.cli import options
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS = {
    "run": "Run a program built for another processor.",
    "aot": "Compile a program before it is run.",
    "report": "Show on a page where a run's time went.",
    "inspect": "Watch a program while it runs.",
    "bench": "Compare speed with native code, QEMU and Unicorn.",
    "cache": "Look after the compiled code kept on disk.",
    "doctor": "Explain what this machine and installation can do.",
    "explain": "Show one instruction from the manual to host code.",
    "disasm": "Disassemble a program, or bytes.",
    "gpu": "Show the GPU devices, and run kernels on them.",
    "isa": "List the guests, and what is covered of each.",
    "completion": "Print a completion script for bash, zsh or fish.",
}

# Commands of the design that do not exist yet, and what to do meanwhile.
LATER = {
    "boot": "Single programs run with polyvm run; whole systems, meanwhile, with qemu-system.",
    "snapshot": "There is nothing to save yet; Emulator.save() and restore() keep registers from Python.",
    "fleet": "Start several polyvm run at once: they share one code cache.",
}

ABOUT = """\
Usage: polyvm COMMAND [OPTIONS] [ARGUMENTS]

Runs programs built for another processor at close to the speed of native code.

Examples:
  Run a riscv64 program:
    polyvm run ./hello-riscv64
  The same, with the libraries that it needs and a summary at the end:
    polyvm run --sysroot /usr/riscv64-linux-gnu --stats ./program
  One instruction, from its encoding to host code:
    polyvm explain addi
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit status. Without argv, sys.argv's, and `run` may end the process itself."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    if name == "run":  # the hot path: as little as possible
        from polyvm.cli import run

        return run.main(words[1:], leave=argv is None)
    import _signal

    if argv is None:
        # `polyvm isa list | head` ends as every tool does.
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    try:
        _open_streams()
        status = _other(name, words)
        sys.stdout.flush()
        return status
    except OSError as error:  # a full disk is told as any other failure, not by the interpreter at its end
        from polyvm.cli.failure import report
        from polyvm.errors import from_oserror

        _abandon_output()
        return report(from_oserror(error, "Cannot write the output"), json=False, debug="--debug" in words)
    except KeyboardInterrupt:
        if argv is not None:
            raise
        import os

        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)
        return 130


def _other(name: str, words: list[str]) -> int:
    """Every command but run."""
    if name in ("--version", "-V"):
        from polyvm import __version__

        sys.stdout.write(f"polyvm {__version__}\n")
        return 0
    if name in ("--help", "-h") or (name == "help" and len(words) == 1):
        sys.stdout.write(help_text())
        return 0
    if not words:
        sys.stderr.write(help_text())
        return _usage_status()
    if name == "help":
        name, words = words[1], [words[1], "--help"]
        if name == "run":
            from polyvm.cli import run

            return run.main(words[1:], leave=False)
    if name not in COMMANDS:
        from polyvm.cli.failure import report

        return report(_unknown(name), json="--json" in words[1:], debug=False)
    module = load(name)
    command: options.Command = module.COMMAND
    json = options.wants_json(command, words[1:])
    debug = False
    try:
        values = options.parse(command, words[1:], _environ())
        if values.help:
            sys.stdout.write(options.help_text(command))
            return 0
        debug = values.debug
        status: int = module.execute(values)
        return status
    except Exception as error:
        from polyvm.cli.failure import report

        return report(error, json=json, debug=debug)


def _open_streams() -> None:
    """A stream that the caller closed (`>&-`) takes what is written, as /dev/null does."""
    if sys.stdout is None or sys.stderr is None:
        import os

        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # open as long as we are
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115  # likewise


def _abandon_output() -> None:
    """Send what could not be written to /dev/null, so that nobody tries again."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def load(name: str) -> ModuleType:
    """A command's module."""
    return __import__(f"polyvm.cli.{name}", fromlist=["COMMAND"])


def help_text() -> str:
    """What polyvm --help prints."""
    lines = [ABOUT, "Commands:"]
    for name, summary in COMMANDS.items():
        lines += options.entry(name, summary)
    lines += ["", "polyvm COMMAND --help explains a command; polyvm --version tells the version."]
    return "\n".join(lines) + "\n"


def _unknown(name: str) -> PolyvmError:
    """The error for a word that is no command."""
    if name in LATER:
        return options.not_yet(f"polyvm {name}", LATER[name])
    if name.startswith("-"):
        meant = options.nearest(name.lstrip("-"), ("help", "version"))
        hint = f"Did you mean --{meant}? " if meant else ""
        return PolyvmError(
            "PVM-USAGE", f"polyvm has no option {name}.", hint=hint + "Options go behind a command."
        )
    import os

    if os.path.isfile(name):
        hint = f"To run a program: polyvm run {name}"
    else:
        meant = options.nearest(name, COMMANDS)
        hint = (f"Did you mean polyvm {meant}? " if meant else "") + "polyvm --help lists the commands."
    return PolyvmError("PVM-USAGE", f"polyvm has no command {name!r}.", hint=hint)


def _usage_status() -> int:
    from polyvm.errors import CODES

    return CODES["PVM-USAGE"].exit_status


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)
