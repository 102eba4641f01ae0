"""`polyvm run`: a foreign program in this process, from its options to our exit status.

On the warm path, so heavy things are imported where they are needed. Standard input, output and error belong to the
guest; what is told about it goes to standard error only as long as that is still the one we were given.
"""

from __future__ import annotations

import os
import sys
import time

from polyvm.cli import options
from polyvm.cli.runoptions import COMMAND, check
from polyvm.errors import PolyvmError, from_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from logging import Logger
    from typing import Any

    from polyvm.cli.options import Values
    from polyvm.debug.gdbserver import Server
    from polyvm.debug.live import Live
    from polyvm.debug.perf import Perf
    from polyvm.debug.recorder import Recorder
    from polyvm.engine.executor import Engine
    from polyvm.engine.profile import Profile
    from polyvm.memory.space import AddressSpace
    from polyvm.user.process import Process
    from polyvm.user.result import Result
    from polyvm.user.thread import Thread

TIMEOUT_STATUS = 124


def main(words: Sequence[str], *, leave: bool) -> int:
    """Run one command line; the exit status. With `leave`, this process is ours to end: at once, or by a signal."""
    # What the interpreter needed before it came to us was processor time, nearly all of it.
    began = time.monotonic() - (time.process_time() if leave else 0.0)
    try:
        status, signal = _main(words, began)
    except KeyboardInterrupt:
        if not leave:
            raise
        status, signal = 130, 2
    if not leave:
        return status
    if signal is not None:
        from polyvm.user.process import die

        die(signal)
    # Not sys.exit: there is nothing to tear down that the kernel does not take back faster.
    os._exit(status)


def _main(words: Sequence[str], began: float) -> tuple[int, int | None]:
    """The exit status, and the signal that ended the guest where one did."""
    values = options.Values()
    run = None
    try:
        options.parse(COMMAND, words, dict(os.environ), values)
        if values.help:
            return _help(), None
        run = Run(values, began)
        run.start()
    except PolyvmError as error:
        if run is None:
            values.json = options.wants_json(COMMAND, words)
            run = Run(values, began)
            run.argv = list(words)
        return run.finish(None, error)
    return run.go()


def _help() -> int:
    """Print the help; the exit status."""
    try:
        if sys.stdout is not None:  # it may be closed
            sys.stdout.write(options.help_text(COMMAND))
            sys.stdout.flush()
    except OSError as error:
        return _tell(from_oserror(error, "Cannot write the help"), False, False)
    return 0


def _tell(error: BaseException, json: bool, debug: bool) -> int:
    from polyvm.cli.failure import report

    return report(error, json=json, debug=debug, run=True)


class Run:
    """One run: what was asked for, and what is to be told about it."""

    def __init__(self, values: Values, began: float) -> None:
        self.values = values
        self.began = began
        self.argv = list(values.arguments)
        self.program: str = self.argv[0] if self.argv else ""
        self.result_fd = self.profile_fd = self.record_fd = -1
        self.recorder: Recorder | None = None
        self.live: Live | None = None
        self.profiles: list[Profile] = []
        self.environment: list[bytes] = []
        self.pid = os.getpid()
        self.errors_at = _identity(2)
        self.engine: Any = None
        self.folder: str | None = None  # the code cache's, where it was named
        self.perf: Perf | None = None
        self.gdb: Server | None = None
        self.log: Logger | None = None
        self.space: AddressSpace | None = None  # of the process that was started

    def start(self) -> None:
        """Check and open what the options name, the result file first. Raises PVM-USAGE."""
        values = self.values
        if values.result_file is not None:
            self.result_fd = _open_output(values.result_file, "result file")
        check(values)
        if values.profile_out is not None:
            self.profile_fd = _open_output(values.profile_out, "profile")
        if values.record is not None:
            self.record_fd = _open_output(values.record, "recording")
        if values.live is not None:
            from polyvm.debug.live import Board

            self.live_board = Board.make(_open_output(values.live, "live file", os.O_RDWR))
        if values.profile_in:
            from polyvm.cli import profiles

            self.profiles = profiles.read(values.profile_in, self._warn)
        if "POLYVM_LOG" in os.environ:
            from polyvm import log

            self.log = log.configure(lambda: _identity(2) == self.errors_at)
        self.environment = environment(values)
        if values.argv0 is not None:
            self.argv[0] = values.argv0

    def go(self) -> tuple[int, int | None]:
        """Run; the exit status and the signal that ended the guest, where one did."""
        result: Result | None = None
        error: BaseException | None = None
        try:
            result = self._run()
        except KeyboardInterrupt:
            raise
        except BaseException as raised:
            error = raised
        return self.finish(result, error)

    def finish(self, result: Result | None, error: BaseException | None) -> tuple[int, int | None]:
        """Tell what is to be told; the exit status and the signal."""
        values = self.values
        status, signal = 0, None
        if self.perf is not None:
            self.perf.close()
        self._end_observers()
        if error is not None:
            from polyvm import errors

            error = errors.from_exception(error)
            status = errors.exit_status(error)
        elif result is not None and result.kind == "signaled":
            signal = result.signal or 0
            status = 128 + signal
        elif result is not None:
            status = TIMEOUT_STATUS if result.kind == "timeout" else (result.status or 0) & 0xFF
        if self.profile_fd >= 0 and result is not None:
            self._write_profile()
        if self.gdb is not None:
            self.gdb.ended("exited" if signal is None else "signaled", status, signal)
        if values.result_file is not None and self.result_fd < 0 and error is not None:
            try:  # the options could not be taken apart: the document says so as well
                self.result_fd = _open_output(values.result_file, "result file")
            except PolyvmError:
                pass  # that it cannot be written may be the very error
        if self.result_fd >= 0 or values.stats or self.recorder is not None:
            self._report(result, error)
        elif values.lockstep and error is None and not values.quiet and _identity(2) == self.errors_at:
            from polyvm.cli import rundocument

            rundocument.tell(rundocument.compared(self.engine.stats()["lockstep"]))
        if error is not None and (values.errors == "stderr" or self.result_fd < 0):
            _tell(error, values.json, values.debug)
        return status, signal

    def _run(self) -> Result:
        from polyvm.user import process

        values = self.values
        # A relative one is below the folder that we were started in; --root and --cwd leave that.
        named = os.environ.get("POLYVM_CACHE_DIR")
        self.folder = os.path.abspath(named) if named else None
        return process.run(
            os.fsencode(self.program),
            [os.fsencode(word) for word in self.argv],
            self.environment,
            engines=self._engine,
            **places(values),
            cwd=_bytes(values.cwd),
            timeout=values.timeout,
            strace=values.strace,
            report=(
                self.result_fd >= 0
                or values.stats
                or values.lockstep
                or values.perf is not None
                or values.gdb is not None
                or self.profile_fd >= 0
                or self.record_fd >= 0
                or values.live is not None
            ),
            prepare=self._prepare,
        )

    def _engine(self, guest: str) -> Engine:
        """The engine of a guest, when the first program for it is met."""
        from polyvm.engine.executor import Engine
        from polyvm.engine.guest import Guest

        values, folder = self.values, self.folder
        options = values.feature
        if self.engine is not None:  # what the first program's processor has, others may not
            options = [name for name in options if name in Guest(guest).options]
        engine: Engine
        if values.lockstep:
            from polyvm.engine.lockstep import LockstepEngine

            engine = LockstepEngine(
                guest, tier=values.tier, progress=self._progress(), folder=folder, options=options
            )
        else:
            engine = Engine(
                guest, tier=values.tier, progress=self._progress(), counted=bool(values.stats), folder=folder,
                code_limit=values.code_cache, policy=values.policy, exact_exclusives=bool(values.exact_exclusives),
                options=options,
                vlen=int(values.vlen or 0) if guest == "riscv64" else 0,
            )  # fmt: skip
        for profile in self.profiles:
            try:
                engine.take_profile(profile)
            except PolyvmError as refused:
                self._warn(refused)
        engine.log = self.log
        self.engine = engine  # what is told of in the end is the last
        return engine

    def _progress(self) -> Callable[[str], None] | None:
        """What is told when the user has to wait. It is not kept from logs: a pause of seconds wants its reason."""
        if self.values.quiet or self.errors_at is None:
            return None

        def say(text: str) -> None:
            os.write(2, text.encode() + b"\n")

        return say

    def _prepare(self, process: Process) -> None:
        """Called before the program starts."""
        if self.result_fd >= 0:
            self.result_fd = process.hide(self.result_fd)
        if self.profile_fd >= 0:
            self.profile_fd = process.hide(self.profile_fd)
        if self.record_fd >= 0:
            self.record_fd = process.hide(self.record_fd)
        if self.values.memory is not None:
            process.space.memory_limit = self.values.memory
        process.on_crash = self._crashed
        if self.values.perf is not None:
            from polyvm.debug.perf import Perf

            self.perf = Perf(self.values.perf, self.engine, process.space, process.hide)
        if self.record_fd >= 0:
            from polyvm.debug.recorder import Recorder

            self.recorder = Recorder(process)
        if self.values.live is not None:
            from polyvm.debug.live import Live

            self.live = Live(process, self.live_board, self.argv)
        if self.values.gdb is not None:
            self._prepare_gdb(process)
        self.space = process.space
        if self.log is not None:
            self._prepare_log(self.log, process)

    def _prepare_gdb(self, process: Process) -> None:
        """Have the program wait for a debugger, and say where."""
        from shlex import quote

        from polyvm.debug.gdbserver import Server

        self.gdb = Server(process, self.values.gdb)
        name = self.gdb.name
        text = (
            f"polyvm: {self.program} waits for a debugger at {name}: "
            f"gdb-multiarch -ex {quote(f'target remote {name}')} {quote(self.program)}\n"
        )
        if self.errors_at is not None:
            os.write(2, text.encode(errors="surrogateescape"))

    def _prepare_log(self, log: Logger, process: Process) -> None:
        """Names for the engine's log, whose file the guest must not meet."""
        from polyvm.debug.names import Names

        names = Names(process.space)
        self.engine.describe = lambda pc: f"{pc:#x} {names.of(pc)}".rstrip()
        for handler in log.handlers:
            file = getattr(handler, "file", None)
            if file is not None:
                file.hide(process.hide)
        log.info("%s, tier %s, code cache %s", self.program, self.values.tier, self.engine.folder)

    def _crashed(self, thread: Thread, signo: int, info: bytes) -> None:
        """The guest is about to die of a signal; only its first process tells how it was."""
        if os.getpid() != self.pid or _identity(2) != self.errors_at:
            return
        from polyvm.user import signals

        if signo in signals.CRASHES:
            from polyvm.cli.rundocument import tell
            from polyvm.debug import crash

            tell(crash.report(thread, signo, info, self.engine.name))

    def _write_profile(self) -> None:
        """What the program has shown; of several that it became, the last."""
        from polyvm.engine import profile

        assert self.space is not None
        data = profile.dump(profile.collect(self.engine, self.space))
        try:
            with open(self.profile_fd, "wb") as file:
                file.write(data)
        except OSError as trouble:
            _tell(from_oserror(trouble, "Cannot write the profile"), self.values.json, False)

    def _end_observers(self) -> None:
        """End what looks at the guest. That something was wrong with it is told, and changes nothing else."""
        for observer in (self.recorder, self.live):
            try:
                if observer is not None:
                    observer.close()
            except Exception as trouble:
                from polyvm import errors

                _tell(errors.from_exception(trouble), self.values.json, self.values.debug)

    def _write_recording(self, recorder: Recorder, document: dict[str, Any]) -> None:
        from polyvm.debug import recording

        try:
            with open(self.record_fd, "wb") as file:
                file.write(recording.dump(recorder.body(document)))
        except OSError as trouble:
            _tell(from_oserror(trouble, "Cannot write the recording"), self.values.json, False)

    def _warn(self, refused: PolyvmError) -> None:
        """Something is not used that the run can do without."""
        if not self.values.quiet and _identity(2) == self.errors_at:
            from polyvm.cli.profiles import warning

            os.write(2, warning(refused).encode(errors="surrogateescape"))

    def _report(self, result: Result | None, error: BaseException | None) -> None:
        """The result file and --stats."""
        from polyvm.cli import rundocument

        document = rundocument.empty(self.program, self.argv)
        document["tier"] = self.values.tier
        document["backend"], document["accel"] = self.values.backend, self.values.accel
        if self.engine is not None:
            document["guest"] = self.engine.name
            rundocument.merge_engine(document, self.engine.stats())
        if document["hot"] and self.space is not None:
            from polyvm.debug.names import Names

            names = Names(self.space)
            for place in document["hot"]:
                place["name"] = names.label(place["pc"])
        if result is not None:
            rundocument.merge(document, result.to_json())
        document["wall_s"] = time.monotonic() - self.began
        document["cpu_s"] = time.process_time()
        document["max_rss"] = rundocument.peak()
        if error is not None:
            rundocument.failed(document, error)
        if self.result_fd >= 0:
            try:
                rundocument.write(self.result_fd, document)
            except OSError as trouble:
                _tell(from_oserror(trouble, "Cannot write the result file"), self.values.json, False)
        if self.recorder is not None:
            self._write_recording(self.recorder, document)
        if self.values.stats and _identity(2) == self.errors_at:
            rundocument.tell(rundocument.stats(document))


def places(values: Values) -> dict[str, Any]:
    """Where the guest finds files, as arguments of process.run()."""
    return {
        "sysroot": _bytes(values.sysroot),
        "root": _bytes(values.root),
        "binds": [
            (os.fsencode(host), os.fsencode(inside), readonly) for host, inside, readonly in values.bind
        ],
    }


def _bytes(path: str | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Which file a descriptor is, to notice when a guest has put another in its place."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open_output(where: int | str, what: str, access: int = os.O_WRONLY) -> int:
    """A descriptor for a file of ours, now: a path that cannot be written is better known before than after."""
    try:
        if isinstance(where, int):
            os.fstat(where)
            if where <= 2:
                return os.dup(where)
            os.set_inheritable(where, False)
            return where
        return os.open(where, access | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        name = f"fd:{where}" if isinstance(where, int) else where
        raise _usage(error, f"Cannot write the {what} {name}") from error


def environment(values: Values) -> list[bytes]:
    """The guest's environment, as NAME=VALUE."""
    if values.environ is not None:
        return _read_environment(values.environ)
    removed = [os.fsencode(name) for name in values.unset_env]
    changed = {os.fsencode(name): os.fsencode(value) for name, value in values.env}
    kept = {name: value for name, value in os.environb.items() if name not in removed}
    kept.update(changed)
    return [name + b"=" + value for name, value in kept.items()]


def _read_environment(where: int | str) -> list[bytes]:
    """The variables of --environ: each ended by a zero byte, as in /proc/PID/environ."""
    name = f"fd:{where}" if isinstance(where, int) else where
    try:
        with open(where, "rb") as file:
            data = file.read()
    except OSError as error:
        raise _usage(error, f"Cannot read the environment from {name}") from error
    found = [entry for entry in data.split(b"\0") if entry]
    for entry in found:
        if b"=" not in entry:
            raise options.usage(
                COMMAND, f"--environ {name} has an entry without '=': {os.fsdecode(entry[:40])!r}."
            )
    return found


def _usage(error: OSError, what: str) -> PolyvmError:
    """A file that polyvm's own options name: that it cannot be used is no statement about the program (126, 127)."""
    found = from_oserror(error, what)
    made = PolyvmError("PVM-USAGE", found.message).add_context(**found.context)
    made.__cause__ = error
    return made
