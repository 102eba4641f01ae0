"""`polyvm.run`, compared with `subprocess.run` on the same source built for this machine."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import polyvm
from tests import toolchain

# copy FROM TO...: copies a descriptor to others; with no arguments 0 to 1. Ends with what $STATUS says.
COPY = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char data[4096];
    int from = argc > 1 ? atoi(argv[1]) : 0;
    for (ssize_t n; (n = read(from, data, sizeof data)) > 0;) {
        if (argc < 3 && write(1, data, n) != n) return 99;
        for (int i = 2; i < argc; i++)
            if (write(atoi(argv[i]), data, n) != n) return 99;
    }
    return getenv("STATUS") ? atoi(getenv("STATUS")) : 0;
}
"""


@pytest.fixture(scope="session")
def hello() -> Path:
    return toolchain.build("hello.c")


@pytest.fixture(scope="session")
def copy() -> Path:
    return toolchain.build(COPY, name="copy")


@pytest.fixture(scope="session")
def copy_native() -> Path:
    return toolchain.build(COPY, "x86_64", name="copy")


@pytest.fixture(scope="session")
def status() -> Path:
    return toolchain.build("status.c")


def test_output_is_captured(hello: Path) -> None:
    done = polyvm.run([hello], capture_output=True)
    assert done == done
    assert (done.args, done.returncode, done.stdout, done.stderr) == (
        [hello], 0, b"Hello from riscv64, 64 bits!\n", b"",
    )  # fmt: skip
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.report["schema"] == "polyvm.run/1"
    assert done.report["exit"]["kind"] == "exited"


@pytest.mark.parametrize("form", [str, os.fsencode, Path, lambda p: [str(p)], lambda p: (p,)])
def test_a_program_alone_or_a_sequence(hello: Path, form: Any) -> None:
    assert polyvm.run(form(hello), stdout=subprocess.DEVNULL).returncode == 0


CASES: list[tuple[list[str], dict[str, Any]]] = [
    ([], {"input": b"one\ntwo\n", "capture_output": True}),
    ([], {"input": "drei\n", "capture_output": True, "text": True}),
    ([], {"input": "vier\n", "stdout": subprocess.PIPE, "encoding": "utf-16"}),
    (["0", "2"], {"input": b"err", "capture_output": True}),
    (["0", "1", "2"], {"input": b"both ", "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}),
    ([], {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}),
    ([], {"input": b"", "env": {"STATUS": "7"}, "capture_output": True}),
    ([], {"input": b"", "env": {b"STATUS": b"9"}, "capture_output": True}),
    ([], {"input": b"x" * 300_000, "capture_output": True}),
]


@pytest.mark.parametrize(("words", "options"), CASES)
def test_it_does_what_subprocess_does(
    copy: Path, copy_native: Path, words: list[str], options: dict[str, Any]
) -> None:
    expected = subprocess.run([copy_native, *words], check=False, **options)
    done = polyvm.run([copy, *words], **options)
    assert (done.returncode, done.stdout, done.stderr) == (
        expected.returncode,
        expected.stdout,
        expected.stderr,
    )


def test_descriptors_are_handed_on(copy: Path) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"through a pipe")
        os.close(writing)
        done = polyvm.run([copy, str(reading)], stdout=subprocess.PIPE, pass_fds=[reading])
        assert done.stdout == b"through a pipe"
        done = polyvm.run([copy, str(reading)], stdout=subprocess.PIPE)  # not handed on: EBADF
        assert (done.returncode, done.stdout) == (0, b"")
    finally:
        os.close(reading)


def test_files_as_input_and_output(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"data")
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as target:
        assert polyvm.run(copy, stdin=source, stdout=target).returncode == 0
    assert (tmp_path / "out").read_bytes() == b"data"


def test_the_working_directory_and_a_relative_program(hello: Path, tmp_path: Path) -> None:
    (tmp_path / "program").symlink_to(hello)
    done = polyvm.run(["./program"], cwd=tmp_path, capture_output=True)
    assert done.stdout == b"Hello from riscv64, 64 bits!\n"
    args = toolchain.build("args.c")
    assert f"cwd {tmp_path}\n" in polyvm.run(args, cwd=tmp_path, capture_output=True, text=True).stdout


def test_the_name_that_the_program_is_told(tmp_path: Path) -> None:
    done = polyvm.run([toolchain.build("args.c"), "x"], argv0="me", capture_output=True, text=True)
    assert "argv[0] me\nargv[1] x\n" in done.stdout


@pytest.mark.parametrize("number", [1, 125, 127])
def test_exit_statuses(status: Path, number: int) -> None:
    done = polyvm.run([status, str(number)])
    assert done.returncode == number
    with pytest.raises(polyvm.CalledProcessError) as caught:
        polyvm.run([status, str(number)], check=True)
    assert caught.value.returncode == number
    assert caught.value.report["exit"] == {"kind": "exited", "status": number, "signal": None}
    assert isinstance(caught.value, subprocess.CalledProcessError)


def test_death_by_a_signal(status: Path) -> None:
    done = polyvm.run([status, "signal", "15"])
    assert done.returncode == -signal.SIGTERM
    assert done.report["exit"] == {"kind": "signaled", "status": None, "signal": 15}
    with pytest.raises(polyvm.CalledProcessError, match="SIGTERM"):
        done.check_returncode()


def test_a_timeout() -> None:
    with pytest.raises(polyvm.TimeoutExpired) as caught:
        polyvm.run(toolchain.build("loop.c"), timeout=0.3)
    assert caught.value.timeout == 0.3
    assert caught.value.report["exit"]["kind"] == "timeout"
    assert isinstance(caught.value, subprocess.TimeoutExpired)


def test_output_until_the_timeout(copy: Path) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"early")
        with pytest.raises(polyvm.TimeoutExpired) as caught:
            polyvm.run([copy], stdin=reading, stdout=subprocess.PIPE, timeout=0.3)
        assert caught.value.stdout == b"early"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("/nonexistent", "PVM-FILE-MISSING"),
        ("/etc", "PVM-FILE-DIRECTORY"),
        (os.path.realpath(sys.executable), "PVM-ELF-MACHINE"),
    ],
)
def test_what_cannot_be_run_is_an_exception(
    program: str, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(polyvm.RunError) as caught:
        polyvm.run([program], capture_output=True)
    error = caught.value
    assert (error.code, error.context["path"]) == (code, program)
    assert error.report["exit"]["kind"] == "failed"
    assert (error.stdout, error.stderr) == (b"", b"")
    assert isinstance(error, polyvm.PolyvmError)
    assert pickle.loads(pickle.dumps(error)).code == code
    assert capfd.readouterr() == ("", "")  # it is told once


def test_causes_are_chained() -> None:
    with pytest.raises(polyvm.RunError) as caught:
        polyvm.run("/nonexistent")
    assert "FileNotFoundError" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"capture_output": True, "stdout": subprocess.PIPE}, ValueError),
        ({"input": b"", "stdin": subprocess.PIPE}, ValueError),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_contradictions(hello: Path, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        polyvm.run([hello], **options)


def test_nothing_to_run() -> None:
    with pytest.raises(ValueError, match="no program"):
        polyvm.run([])


def test_bad_values_are_the_command_lines() -> None:
    with pytest.raises(polyvm.RunError) as caught:
        polyvm.run("x", tier="quick")
    assert caught.value.code == "PVM-USAGE"
    with pytest.raises(polyvm.RunError) as caught:
        polyvm.run("x", memory="lots")
    assert caught.value.code == "PVM-USAGE"


def test_memory_tier_and_strace(hello: Path) -> None:
    done = polyvm.run([hello], capture_output=True, text=True, memory="64M", tier="interpreter", strace=True)
    assert done.stdout == "Hello from riscv64, 64 bits!\n"
    assert "exit_group(0)" in done.stderr
    assert done.report["tier"] == "interpreter"
    assert polyvm.run([hello], stdout=subprocess.DEVNULL, memory=1 << 26).returncode == 0


def test_many_threads_run_at_once(hello: Path) -> None:
    found: list[bytes] = []

    def work() -> None:
        found.append(polyvm.run([hello], capture_output=True).stdout)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"Hello from riscv64, 64 bits!\n"] * 4


def test_a_root_and_binds(hello: Path, tmp_path: Path) -> None:
    root, extra = tmp_path / "root", tmp_path / "extra"
    root.mkdir()
    extra.mkdir()
    (extra / "program").write_bytes(hello.read_bytes())
    (extra / "program").chmod(0o755)
    done = polyvm.run(["/more/program"], root=root, binds=[(extra, "/more")], cwd="/", capture_output=True)
    assert done.stdout == b"Hello from riscv64, 64 bits!\n"
    with pytest.raises(polyvm.RunError) as caught:
        polyvm.run([str(hello)], root=root, cwd="/")
    assert caught.value.code == "PVM-FILE-MISSING"
    done = polyvm.run(["/x/program"], root=str(root), binds=[f"{extra}:/x:ro"], cwd="/", capture_output=True)
    assert done.returncode == 0


def test_a_process_killed_from_outside_has_no_report(tmp_path: Path) -> None:
    status = toolchain.build("status.c")
    done = polyvm.run([status, "signal", "9"])
    assert done.returncode == -signal.SIGKILL


def test_ctrl_c_leaves_nothing_running() -> None:
    loop = toolchain.build("loop.c")
    code = (
        "import polyvm, sys\n"
        "try: polyvm.run([sys.argv[1]], strace=True)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    command = [sys.executable, "-c", code, str(loop)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    while b"set_tid_address" not in process.stderr.readline():
        pass
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out == b"interrupted\n"
