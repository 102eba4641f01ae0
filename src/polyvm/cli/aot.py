"""`polyvm aot`: a program is compiled before it is run, so that its first run is as fast as any other.

It is loaded by a process of its own, up to where its own code would begin; what is found in memory there is compiled.
"""

from __future__ import annotations

import os
import sys
import time

from polyvm.cli import output
from polyvm.cli.bench import INTERRUPTED, count
from polyvm.cli.options import DEBUG, FILE, JSON, Command, Option
from polyvm.cli.runoptions import COMMAND as RUN
from polyvm.cli.runoptions import check_world
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from polyvm.cli.options import Values
    from polyvm.engine.aot import Program, Progress
    from polyvm.engine.profile import Profile
    from polyvm.user.process import Process
    from polyvm.user.standalone.build import Made
    from polyvm.user.thread import Thread

    class Teller(Protocol):
        """Who tells how far it is."""

        def tell(self, progress: Progress) -> None: ...
        def end(self) -> None: ...


_SHARED = ("--sysroot", "--root", "--bind", "--env", "--unset-env", "--environ", "--profile-in")
TELL_S = 2.0
"""Between two lines about how far it is, where there is no terminal."""

COMMAND = Command(
    "aot",
    usage=("[OPTIONS] PROGRAM",),
    about="""
Compiles a program ahead of time: every function that can be found in it, and those of its libraries that something
points to. What is made is kept in the code cache (see polyvm cache), where polyvm run finds it: the program's first run
compiles nothing of that. What is in the cache already stays, since it was made by what a run had seen.

Give the options that the program will be run with: where it finds its libraries decides which they are.
""",
    arguments=(("PROGRAM", "The program's file, as for polyvm run."),),
    options=(
        *(option for option in RUN.options if option.name in _SHARED),
        Option("--jobs", "N", "Compile in N processes; as many as there are processors when left out.", convert=count),
        Option("--handlers", "WHAT", "Which signals the program has handlers for: none, some, or faults too, as bash "
               "and what is written in Go or Rust. Each runs code of its own kind. When left out: what a profile says, "
               "or whether the program knows sigaction or signal.", choices=("none", "some", "faults")),
        Option("--quiet", "", "Say nothing about how far it is."),
        JSON,
        DEBUG,
        Option("--standalone", "", "Write an executable of this host that needs neither Python nor polyvm: see -o."),
        Option("--output", "FILE", "The executable that --standalone writes.", short="-o", complete=FILE),
    ),
    examples=(
        ("A static program", "polyvm aot ./program"),
        ("A dynamic one, with a cross toolchain's libraries", "polyvm aot --sysroot /usr/riscv64-linux-gnu ./program"),
        ("One from another system's files", "polyvm aot --root ./rootfs /usr/bin/sqlite3"),
        ("An executable of this host", "polyvm aot --standalone -o program-native ./program"),
    ),
    takes=(1, 1),
    complete=FILE,
)  # fmt: skip


def execute(values: Values) -> int:
    """Load, compile, and tell what was done."""
    from polyvm.cli import profiles, standalone
    from polyvm.engine import aot, cachedir, profile

    check_world(COMMAND, values)
    standalone.check(values)
    began = time.monotonic()
    folder = cachedir.prepare()
    if folder is None:
        raise PolyvmError("PVM-RESOURCE", "There is no folder for the code cache that could be written.",
                          hint="Name one with POLYVM_CACHE_DIR.")  # fmt: skip
    read = profiles.read(values.profile_in, _warn)
    program, beginning = _load(values, folder)
    known = profile.merged(_fitting(read, program))
    jobs = values.jobs or len(os.sched_getaffinity(0))
    teller = _Silent() if values.quiet or values.json else _teller()
    found, interrupted = aot.Progress(), False

    def tell(progress: Progress) -> None:
        nonlocal found
        found = progress
        teller.tell(progress)

    try:
        found = aot.compile_ahead(
            program,
            folder,
            kind=_kind(values, program, known),
            jobs=jobs,
            profile=known,
            progress=tell,
        )
    except KeyboardInterrupt:
        interrupted = True
    finally:
        teller.end()
    made = None
    if beginning is not None and not interrupted:
        made = standalone.write(values, folder, program, beginning, found)
    _tell(values, program, found, jobs, time.monotonic() - began, interrupted, made)
    return INTERRUPTED if interrupted else 0


def _kind(values: Values, program: Program, known: Profile | None) -> str:
    """The letter of the regions that the program will use."""
    from polyvm.engine import layout

    if values.standalone:
        return ""  # no handler of the program's ever runs
    letters = {"none": "", "some": layout.WHOLE, "faults": layout.PRECISE}
    if values.handlers is not None:
        return letters[values.handlers]
    if known is not None:
        return known.exact
    return letters["some" if program.handles else "none"]


def _tell(
    values: Values,
    program: Program,
    found: Progress,
    jobs: int,
    wall_s: float,
    interrupted: bool,
    made: Made | None,
) -> None:
    from polyvm.cli import standalone

    if values.json:
        output.document(
            "aot",
            {
                "program": values.arguments[0],
                "guest": program.guest,
                "regions": found.regions,
                "kept": found.kept,
                "refused": [{"why": why, "count": n} for why, n in sorted(found.refused.items())],
                "deaths": found.deaths,
                "insns": found.insns,
                "code_bytes": found.code_bytes,
                "written_bytes": found.host_bytes,
                "jobs": jobs,
                "wall_s": wall_s,
                "cpu_s": found.cpu_s,
                "code_kb_per_s": found.code_bytes / 1024 / wall_s,
                "interrupted": interrupted,
                "standalone": None if made is None else standalone.document(values, made),
            },
        )
        return
    name = os.path.basename(values.arguments[0])
    parts = [f"{found.regions} regions of {output.size(found.code_bytes)} of {program.guest} code"]
    if found.kept:
        parts.append(f"{found.kept} were there already")
    if found.deaths:
        parts.append(f"{found.deaths} were lost with their compilers")
    speed = found.code_bytes / 1024 / wall_s
    sys.stdout.write(
        f"{name}: {', '.join(parts)}; {output.seconds(wall_s)} with {jobs} "
        f"{'process' if jobs == 1 else 'processes'}, {speed:.1f} KB a second, {output.size(found.host_bytes)} written\n"
    )
    if made is not None:
        sys.stdout.write(standalone.told(values, made))
    if interrupted:
        sys.stderr.write(
            f"polyvm: interrupted with {found.found - found.done} places left; run it again to go on\n"
        )


def _load(values: Values, folder: str) -> tuple[Program, dict[str, Any] | None]:
    """The program in memory, and for --standalone how it begins, from a process that loaded it.

    Raises what loading raises.
    """
    import marshal

    from polyvm.engine.aot import Program

    sys.stdout.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.close(reading)
            status = _child(values, folder, writing)
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as file:
        data = file.read()
    _, status = os.waitpid(pid, 0)
    if not data:
        raise PolyvmError(
            "PVM-UNSUPPORTED",
            f"{values.arguments[0]} ended before its own code began, so that nothing could be compiled.",
            hint="polyvm run shows it doing the same; with --strace, each system call before that.",
            status=os.waitstatus_to_exitcode(status),
        )
    found: Any = marshal.loads(data)
    if isinstance(found, tuple):
        code, message, hint, context = found
        raise PolyvmError(code, message, hint=hint, **context)
    return Program(**found["program"]), found["beginning"]


def _child(values: Values, folder: str, writing: int) -> int:
    """In the process that loads: write the program, or why it could not be loaded."""
    import marshal

    from polyvm import errors
    from polyvm.cli import run
    from polyvm.debug import loaded
    from polyvm.engine.executor import Engine
    from polyvm.user import process

    found: Any = b""
    beginning: dict[str, Any] | None = None
    opened = loaded.Opened()
    engines: list[Engine] = []

    def engine(guest: str) -> Engine:
        engines.append(Engine(guest, tier="baseline", progress=None if values.quiet else _say, folder=folder))
        return engines[-1]

    def take(made: Process) -> None:
        nonlocal found
        program = {"guest": engines[-1].name, "key": engines[-1].key, **loaded.contents(made)}
        if beginning is not None:
            beginning.update(files=opened.files, code=loaded.mapped_code(made))
            program["roots"].append(made.image.pc)  # its dynamic linker runs at every start
        found = {"program": program, "beginning": beginning}

    def first(made: Process, thread: Thread) -> None:
        nonlocal beginning
        beginning = loaded.beginning(made, thread)

    def prepare(made: Process) -> None:
        made.tracer = (
            loaded.AtEntry(made, take, first, opened) if values.standalone else loaded.AtEntry(made, take)
        )

    try:
        # All that is lazy is done at the beginning, so that every address of a function is where it will be.
        environment = [*run.environment(values), b"LD_BIND_NOW=1"]
        process.run(
            os.fsencode(values.arguments[0]), [os.fsencode(word) for word in values.arguments], environment,
            engines=engine, prepare=prepare, **run.places(values),
        )  # fmt: skip
    except BaseException as error:
        made = errors.from_exception(error)
        if not isinstance(made, PolyvmError):  # several at once
            raise
        found = made.code, made.message, made.hint, {name: str(value) for name, value in made.context.items()}
    if not found:
        return 1
    with open(writing, "wb") as file:
        file.write(marshal.dumps(found))
    return 0


def _fitting(read: list[Profile], program: Program) -> list[Profile]:
    """The profiles of this very program; the others are told of."""
    from polyvm.engine.profile import refused

    found = []
    for one in read:
        try:
            one.check_guest(program.guest)
            if not one.fits(program.page):
                raise refused(one.name, "is one of another program, or of this one before it was built anew")
            found.append(one)
        except PolyvmError as error:
            _warn(error)
    return found


def _warn(refused: PolyvmError) -> None:
    from polyvm.cli.profiles import warning

    sys.stderr.write(warning(refused))


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


class _Silent:
    """Says nothing."""

    def tell(self, progress: Progress) -> None:
        return None

    def end(self) -> None:
        return None


class _Lines(_Silent):
    """Says now and then how far it is."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def tell(self, progress: Progress) -> None:
        if time.monotonic() - self.told > TELL_S:
            self.told = time.monotonic()
            _say(f"{progress.done} of {progress.found} places, {output.size(progress.code_bytes)} of code")


class _Bar(_Silent):
    """A bar, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.bars = Bars(
            TextColumn("compiling"), BarColumn(), TextColumn("{task.completed}/{task.total} places"),
            TextColumn("{task.fields[size]}"), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
            auto_refresh=False,  # a thread of its own would be forked with us
        )  # fmt: skip
        self.task = self.bars.add_task("", total=None, size="")
        self.told = 0.0

    def tell(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.told > 0.1:
            self.told = now
            self.bars.update(
                self.task,
                completed=progress.done,
                total=progress.found,
                size=output.size(progress.code_bytes),
            )
            self.bars.refresh()

    def end(self) -> None:
        self.bars.stop()


def _teller() -> Teller:
    if sys.stderr.isatty():
        try:
            return _Bar()
        except ImportError:
            pass  # rich is optional; lines say the same
    return _Lines()
