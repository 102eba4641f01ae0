"""`polyvm.run`: a foreign program as a process of its own, shaped like `subprocess.run`.

The process is `polyvm run`, so the guest's directory, signals, descriptors and end never touch the caller. What
polyvm cannot do is raised as a PolyvmError; how the guest ended is a return code. It refuses to guess what a guest
did from its output: `report` is the polyvm.run/1 document that the process wrote.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Any

from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike
    from typing import TypeAlias

    Path: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]
    Bind: TypeAlias = str | tuple[Path, str] | tuple[Path, str, bool]
    File: TypeAlias = int | IO[Any] | None

__all__ = ["CalledProcessError", "CompletedProcess", "RunError", "TimeoutExpired", "run"]

GRACE = 5.0  # seconds that a process has to end by itself after its own --timeout


class CompletedProcess(subprocess.CompletedProcess[Any]):
    """A guest that ended. `returncode` is its exit status, or -N when it died of signal N.

    report: the polyvm.run/1 document of the run: tiers, caches, system calls, times; see docs/reference/json.md.
    """

    report: dict[str, Any]

    def __init__(self, args: Any, returncode: int, stdout: Any, stderr: Any, report: dict[str, Any]) -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.report = report

    def check_returncode(self) -> None:
        """Raise CalledProcessError unless the guest exited with 0."""
        if self.returncode:
            raise CalledProcessError(self.returncode, self.args, self.stdout, self.stderr, report=self.report)


class CalledProcessError(subprocess.CalledProcessError):
    """With check=True: the guest exited with another status than 0, or died of a signal."""

    report: dict[str, Any]

    def __init__(
        self,
        returncode: int,
        cmd: Any,
        output: Any = None,
        stderr: Any = None,
        report: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(returncode, cmd, output, stderr)
        self.report = report or {}


class TimeoutExpired(subprocess.TimeoutExpired):
    """The guest was ended because its time was up. Output until then is in `stdout` and `stderr`."""

    report: dict[str, Any]

    def __init__(
        self,
        cmd: Any,
        timeout: float,
        output: Any = None,
        stderr: Any = None,
        report: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(cmd, timeout, output, stderr)
        self.report = report or {}


class RunError(PolyvmError):
    """polyvm itself failed to run a program, or to run it to its end; `code` says how.

    report: the polyvm.run/1 document. stdout, stderr: what the guest wrote until then, where it was captured.
    """

    report: dict[str, Any]
    stdout: Any = None
    stderr: Any = None

    def __init__(self, code: str, message: str, /, *, hint: str | None = None, **context: object) -> None:
        super().__init__(code, message, hint=hint, **context)
        self.report = {}


def run(
    args: Path | Sequence[Path],
    *,
    stdin: File = None,
    input: str | bytes | None = None,
    stdout: File = None,
    stderr: File = None,
    capture_output: bool = False,
    text: bool | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
    timeout: float | None = None,
    check: bool = False,
    sysroot: Path | None = None,
    root: Path | None = None,
    binds: Iterable[Bind] = (),
    argv0: str | None = None,
    memory: int | str | None = None,
    tier: str = "auto",
    strace: bool = False,
    pass_fds: Sequence[int] = (),
    start_new_session: bool = False,
) -> CompletedProcess:
    """Run a program built for another processor and wait for its end. The arguments of subprocess.run mean the same.

    args: the program and its arguments. env: its whole environment; None: the caller's. cwd: where it starts, and
    from where a relative program is looked for.
    sysroot: take the dynamic linker and libraries from there, everything else from this system (default:
    $POLYVM_SYSROOT). root: show nothing but this folder, and what `binds` adds: "HOST[:GUEST][:ro]" or tuples
    (host, guest) or (host, guest, read-only).
    memory: at most so many bytes, as a number or as in "256M". tier: auto, golden, interpreter, baseline or region.

    Raises RunError (a PolyvmError) when polyvm cannot run it: PVM-FILE-MISSING, PVM-ELF-MACHINE and so on;
    TimeoutExpired when `timeout` seconds were not enough; CalledProcessError with check=True.
    """
    if input is not None and stdin is not None:
        raise ValueError("stdin and input arguments may not both be used.")
    if capture_output and (stdout is not None or stderr is not None):
        raise ValueError("stdout and stderr arguments may not be used with capture_output.")
    words = _words(args)
    options = _options(sysroot, root, binds, cwd, argv0, memory, tier, strace, timeout)
    with tempfile.TemporaryFile() as result, tempfile.TemporaryFile() as environment:
        # First: where it is told that another option cannot be understood.
        options[:0] = [b"--result-file", b"fd:%d" % result.fileno()]
        inherited = [result.fileno(), *pass_fds]
        if env is not None:
            environment.write(
                b"".join(os.fsencode(n) + b"=" + os.fsencode(v) + b"\0" for n, v in env.items())
            )
            environment.seek(0)
            options += [b"--environ", b"fd:%d" % environment.fileno()]
            inherited.append(environment.fileno())
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [*_command(), b"run", *options, b"--", *words],
            stdin=pipe if input is not None else stdin,
            stdout=pipe if capture_output else stdout,
            stderr=pipe if capture_output else stderr,
            text=text,
            encoding=encoding,
            errors=errors,
            pass_fds=inherited,
            start_new_session=start_new_session,
        ) as process:
            out, err = _communicate(process, input, timeout, args)
        result.seek(0)
        report = _read(result.read())
    return _judge(args, process.returncode, out, err, report, timeout, check)


def _words(args: Path | Sequence[Path]) -> list[bytes]:
    """The program and its arguments as bytes."""
    words = [args] if isinstance(args, str | bytes | os.PathLike) else list(args)
    if not words:
        raise ValueError("args is empty: there is no program to run")
    return [os.fsencode(word) for word in words]


def _command() -> list[str]:
    """This interpreter on our own package, by its path: no search for a module, and nothing of the caller's folder."""
    return [sys.executable, "-P", os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")]


def _options(
    sysroot: Path | None,
    root: Path | None,
    binds: Iterable[Bind],
    cwd: Path | None,
    argv0: str | None,
    memory: int | str | None,
    tier: str,
    strace: bool,
    timeout: float | None,
) -> list[bytes]:
    """The options of `polyvm run` that say the same."""
    options: list[bytes] = [b"--errors", b"result-file", b"--quiet"]

    def add(name: str, value: object) -> None:
        if value is not None:
            shown = value if isinstance(value, str | bytes | os.PathLike) else str(value)
            options.extend((name.encode(), os.fsencode(shown)))

    # Paths are the caller's: --cwd must not change what they mean.
    add("--sysroot", None if sysroot is None else os.path.abspath(os.fsencode(sysroot)))
    add("--root", None if root is None else os.path.abspath(os.fsencode(root)))
    for bind in binds:
        add("--bind", bind if isinstance(bind, str) else _bind(*bind))
    add("--cwd", cwd)
    add("--argv0", argv0)
    add("--memory", memory)
    add("--tier", tier)
    add("--timeout", None if timeout is None else f"{max(timeout, 1e-3):f}")
    if strace:
        options.append(b"--strace")
    return options


def _bind(host: Path, guest: str, readonly: bool = False) -> bytes:
    return os.path.abspath(os.fsencode(host)) + b":" + os.fsencode(guest) + (b":ro" if readonly else b"")


def _communicate(
    process: subprocess.Popen[Any], input: Any, timeout: float | None, args: Any
) -> tuple[Any, Any]:
    """Feed and read the process until it ends. It ends itself after `timeout`; one that cannot is killed."""
    try:
        return process.communicate(input, None if timeout is None else timeout + GRACE)
    except subprocess.TimeoutExpired as late:
        process.kill()
        process.wait()
        raise TimeoutExpired(args, timeout or 0.0, late.output, late.stderr) from None
    except BaseException:  # KeyboardInterrupt among them: subprocess.run leaves nothing running either
        process.kill()
        raise


def _read(data: bytes) -> dict[str, Any] | None:
    """The document, or None when the process ended before it could write one."""
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _judge(
    args: Any,
    returncode: int,
    out: Any,
    err: Any,
    report: dict[str, Any] | None,
    timeout: float | None,
    check: bool,
) -> CompletedProcess:
    if report is None:
        if returncode >= 0:
            raise _attach(
                RunError("PVM-INTERNAL", "polyvm run ended without telling how.", status=returncode),
                {},
                out,
                err,
            )
        report = {}  # killed from outside, by a signal that nothing can catch
    error = report.get("error")
    if error is not None:
        raise _attach(_error(error), report, out, err)
    if report.get("exit", {}).get("kind") == "timeout":
        raise TimeoutExpired(args, timeout or 0.0, out, err, report=report)
    done = CompletedProcess(args, returncode, out, err, report)
    if check:
        done.check_returncode()
    return done


def _attach(error: RunError, report: dict[str, Any], out: Any, err: Any) -> RunError:
    error.report, error.stdout, error.stderr = report, out, err
    return error


def _error(document: Mapping[str, Any]) -> RunError:
    """The exception that a polyvm.error/1 document describes, its causes chained."""
    made = RunError(
        document["code"] or "PVM-INTERNAL", document["message"], hint=document["hint"], **document["context"]
    )
    inner: BaseException = made
    for cause in document["causes"]:
        inner.__cause__ = _error(cause) if cause["code"] else RuntimeError(cause["message"])
        inner = inner.__cause__
    return made
