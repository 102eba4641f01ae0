"""`polyvm run`: how the guest's end becomes ours, what is told where, and options that hand the guest its world."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import polyvm
from polyvm.cli import run as module
from polyvm.cli import runoptions
from polyvm.cli.options import Option, parse
from polyvm.errors import PolyvmError
from tests import toolchain
from tests.cli.conftest import Done

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Cli = Callable[..., Done]

DOCUMENT = {
    "schema", "polyvm", "guest", "host", "program", "argv", "accel", "backend", "tier", "exit", "error", "wall_s",
    "cpu_s", "workers_cpu_s", "max_rss", "guest_insns", "tiers", "cache", "exits", "syscalls", "unknown_syscalls",
    "faults", "lockstep", "hot",
}  # fmt: skip


@pytest.fixture(scope="session")
def status() -> Path:
    return toolchain.build("status.c")


@pytest.fixture(scope="session")
def args() -> Path:
    return toolchain.build("args.c")


@pytest.fixture(scope="session")
def loop() -> Path:
    return toolchain.build("loop.c")


@pytest.fixture(scope="session")
def fault() -> Path:
    return toolchain.build("fault.c")


# ------------------------------------------------------------------------------------------------- the end
def test_hello(run: Run, hello: Path) -> None:
    done = run("--quiet", hello)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello from riscv64, 64 bits!\n", "")


@pytest.mark.parametrize("number", [0, 1, 42, 125, 255])
def test_the_guests_exit_status_is_ours(run: Run, status: Path, number: int) -> None:
    assert run(status, str(number)).returncode == number


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT", "SIGUSR1", "SIGPIPE"])
def test_a_guest_that_dies_of_a_signal_takes_us_along(run: Run, status: Path, name: str) -> None:
    number = signal.Signals[name]
    assert run(status, "signal", str(int(number))).returncode == -number


def test_no_host_core_is_left(run: Run, status: Path, tmp_path: Path) -> None:
    main = os.path.join(os.path.dirname(polyvm.__file__), "__main__.py")
    command = f"ulimit -c unlimited; cd {tmp_path}; {sys.executable} -P {main} run {status} abort; echo $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1] == str(128 + signal.SIGABRT)
    assert list(tmp_path.iterdir()) == []
    assert "core dumped" not in done.stderr


def test_a_crash_is_explained(run: Run, fault: Path) -> None:
    done = run("--quiet", fault, "null")
    assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "before\n")
    first, second = done.stderr.splitlines()[:2]
    assert first == "polyvm: the riscv64 program was killed by SIGSEGV: a write to 0x0, which is not mapped"
    assert "main+" in second
    for part in ("Registers", "Backtrace", "Code:", "->", "Mapping:", "[stack]"):
        assert part in done.stderr


def test_a_timeout(run: Run, loop: Path) -> None:
    began = time.monotonic()
    done = run("--timeout", "300ms", loop)
    assert done.returncode == 124
    assert time.monotonic() - began < 60


def test_ctrl_c_reaches_the_guest_and_ends_us_by_it(loop: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "polyvm", "run", "--strace", str(loop)], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    while b"set_tid_address" not in process.stderr.readline():  # the guest runs
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
    process.stderr.close()


@pytest.mark.parametrize(
    ("program", "status", "code"),
    [
        ("/nonexistent/program", 127, "PVM-FILE-MISSING"),
        ("/etc", 126, "PVM-FILE-DIRECTORY"),
        (__file__, 126, "PVM-FILE-DENIED"),
        (sys.executable, 126, "PVM-ELF-MACHINE"),
    ],
)
def test_what_cannot_be_run(run: Run, program: str, status: int, code: str) -> None:
    done = run("--quiet", program)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"polyvm: {code}: ")
    assert "Traceback" not in done.stderr
    done = run("--json", "--quiet", program)
    assert done.returncode == status
    document = json.loads(done.stderr)
    assert (document["schema"], document["code"]) == ("polyvm.error/1", code)
    assert done.stdout == ""


# ------------------------------------------------------------------------------------------------- what is told
def test_the_result_file(run: Run, hello: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert run("--result-file", file, hello, "more").returncode == 0
    document = json.loads(file.read_text())
    assert document["schema"] == "polyvm.run/1"
    assert set(document) == DOCUMENT
    assert document["exit"] == {"kind": "exited", "status": 0, "signal": None}
    assert (document["guest"], document["program"], document["argv"]) == (
        "riscv64",
        str(hello),
        [str(hello), "more"],
    )
    assert document["error"] is None
    assert document["syscalls"]["exit_group"] == {"count": 1, "errors": 0, "native": 0}
    assert set(document["tiers"]) == {"golden", "interpreter", "baseline", "region"}
    for tier in document["tiers"].values():
        assert set(tier) >= {"insns", "seconds", "units", "compile_s", "code_bytes"}
    assert set(document["cache"]) == {"jump", "map", "disk", "disk_written", "disk_rejected"}
    assert 0 < document["wall_s"] < 100
    assert 0 < document["cpu_s"] < 100
    assert document["max_rss"] > 1 << 20


def test_the_result_is_written_when_the_guest_dies_and_when_we_fail(
    run: Run, status: Path, loop: Path, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"

    def told(*words: str | Path) -> dict[str, Any]:
        run("--result-file", file, *words)
        document = json.loads(file.read_text())
        assert set(document) == DOCUMENT
        return document

    assert told(status, "signal", "15")["exit"] == {"kind": "signaled", "status": None, "signal": 15}
    assert told("--timeout", "0.3", loop)["exit"] == {"kind": "timeout", "status": None, "signal": None}
    document = told("/nonexistent")
    assert document["exit"] == {"kind": "failed", "status": 127, "signal": None}
    assert document["error"]["code"] == "PVM-FILE-MISSING"
    document = told("--nonsense", "x")
    assert document["error"]["code"] == "PVM-USAGE"


def test_the_result_goes_to_a_descriptor_that_the_guest_does_not_see(run: Run, hello: Path) -> None:
    reading, writing = os.pipe()
    try:
        done = run("--result-file", f"fd:{writing}", hello, pass_fds=[writing])
        assert done.returncode == 0
        os.close(writing)
        writing = -1
        with open(reading, "rb", closefd=False) as file:
            assert json.loads(file.read())["exit"]["kind"] == "exited"
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def test_errors_only_in_the_result_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    done = run("--errors", "result-file", "--result-file", file, "/nonexistent")
    assert (done.returncode, done.stderr) == (127, "")
    assert json.loads(file.read_text())["error"]["code"] == "PVM-FILE-MISSING"


def test_stats_and_strace_go_to_standard_error(run: Run, hello: Path) -> None:
    done = run("--quiet", "--stats", hello)
    assert done.stdout == "Hello from riscv64, 64 bits!\n"
    assert done.stderr.startswith(f"polyvm: riscv64 program {hello.name}, exited with 0\n")
    for part in ("in all", "code cache:", "left native code: SYSCALL", "system calls: ", "writev 1"):
        assert part in done.stderr
    done = run("--quiet", "--strace", hello)
    assert "writev(1, " in done.stderr
    assert "exit_group(0)" in done.stderr


HOT = """
#include <stdio.h>
__attribute__((noinline)) unsigned spin(unsigned turns) {
    unsigned sum = 0;
    for (unsigned i = 0; i < turns; i++) { sum = sum * 31 + i; __asm__ volatile(""); }
    return sum;
}
int main(void) { printf("%u\\n", spin(100000000)); }
"""


@pytest.mark.parametrize("tier", ["interpreter", "baseline", "auto"])
def test_stats_tell_what_was_hot(run: Run, tmp_path: Path, cold_cache: Path, tier: str) -> None:
    program, file = toolchain.build(HOT, name="hot"), tmp_path / "result.json"
    done = run("--quiet", "--stats", "--policy", "eager", "--tier", tier, "--result-file", file, program)
    document = json.loads(file.read_text())
    if tier != "auto":  # nobody compiles, so nobody counts
        assert document["hot"] == []
        assert "hottest places" not in done.stderr
        return
    assert "hottest places" in done.stderr
    place = document["hot"][0]
    assert place["name"].startswith("spin")
    assert place["tier"] == "region" or place["waiting"]  # on a busy machine the region may come too late
    assert place["jumps"] > 10_000
    assert place["heat"] > 10_000


# ------------------------------------------------------------------------------------------------- the guest's world
def test_arguments_and_environment(run: Run, args: Path) -> None:
    done = run(
        "--argv0", "me", "--env", "A=1", "--env", "B=x=y", "--unset-env", "HOME", args, "--stats", "", "ä"
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("argv[")] == [
        "argv[0] me", "argv[1] --stats", "argv[2] ", "argv[3] ä",
    ]  # fmt: skip
    assert {"env A=1", "env B=x=y"} <= set(lines)
    assert not any(line.startswith("env HOME=") for line in lines)


def test_the_whole_environment_from_a_file(run: Run, args: Path, tmp_path: Path) -> None:
    file = tmp_path / "environ"
    file.write_bytes(b"ONE=1\0TWO=two words\0EMPTY=\0")
    done = run("--environ", file, args)
    found = [line for line in done.stdout.splitlines() if line.startswith("env ")]
    assert found == ["env ONE=1", "env TWO=two words", "env EMPTY="]
    file.write_bytes(b"ONE=1\0nonsense\0")
    done = run("--environ", file, args)
    assert done.returncode == 125
    assert "has an entry without '='" in done.stderr


def test_the_working_directory(run: Run, args: Path, tmp_path: Path) -> None:
    assert f"cwd {tmp_path}" in run("--cwd", tmp_path, args).stdout
    done = run("--cwd", tmp_path / "none", args)
    assert (done.returncode, done.stdout) == (125, "")
    assert "PVM-USAGE: --cwd" in done.stderr


# Prints how many MiB it got before malloc said no, 1000 at most.
MEMORY = r"""
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    int n = 0;
    for (volatile char *p; n < 1000 && (p = malloc(1 << 20)); n++) *p = 1;
    printf("%d\n", n);
    return 0;
}
"""


def test_a_limit_of_memory(run: Run) -> None:
    program = toolchain.build(MEMORY, name="memory")
    assert run(program).stdout == "1000\n"
    assert 8 < int(run("--memory", "32M", program).stdout) < 32


@pytest.mark.parametrize("tier", runoptions.TIERS)
def test_each_tier(run: Run, hello: Path, tier: str) -> None:
    done = run("--tier", tier, hello)
    assert (done.returncode, done.stdout) == (0, "Hello from riscv64, 64 bits!\n")


@pytest.mark.parametrize("tier", [tier for tier in runoptions.TIERS if tier != "golden"])
def test_lockstep(run: Run, hello: Path, tmp_path: Path, tier: str) -> None:
    done = run("--lockstep", "--tier", tier, hello)
    assert (done.returncode, done.stdout) == (0, "Hello from riscv64, 64 bits!\n")
    assert re.fullmatch(
        r"lock-step: [\d,]+ instructions are the golden evaluator's, in [\d,]+ comparisons\n", done.stderr
    )
    done = run("--lockstep", "--quiet", "--tier", tier, "--result-file", tmp_path / "result", hello)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads((tmp_path / "result").read_text())
    assert document["lockstep"]["insns"] > 1000
    assert document["lockstep"]["comparisons"] > 3


def test_a_small_code_cache(run: Run, tmp_path: Path) -> None:
    """Blocks are given up all the time, and regions before long; the program does not notice."""
    folder = Path(__file__).parents[2] / "benchmarks/workloads"
    program = toolchain.build(folder / "regex.c", flags=("-lm",))
    outputs = set()
    for limit in ("64M", "16K", "1K", "1K"):
        done = run("--code-cache", limit, "--stats", "--result-file", tmp_path / "result", program, "60")
        assert done.returncode == 0
        outputs.add(done.stdout)
        document = json.loads((tmp_path / "result").read_text())
        assert document["tiers"]["region"]["evicted"] >= 0
        assert document["tiers"]["baseline"]["code_bytes"] < (1 << 20 if limit == "64M" else 128 << 10)
    assert len(outputs) == 1


def test_lockstep_of_a_program_that_dies_and_of_one_with_threads(run: Run, fault: Path) -> None:
    done = run("--lockstep", fault, "null")
    assert done.returncode == -signal.SIGSEGV
    assert "killed by SIGSEGV" in done.stderr
    done = run("--lockstep", toolchain.build("threads.c"))
    assert done.returncode == 125
    assert "PVM-UNSUPPORTED" in done.stderr
    assert "one thread" in done.stderr


# ------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "polyvm run needs PROGRAM"),
        (["--nonsense", "x"], "has no option --nonsense"),
        (["--stat", "x"], "Did you mean --stats?"),
        (["--tier", "quick", "x"], "is not one of auto, golden, interpreter, baseline, region"),
        (["--timeout", "0", "x"], "is no length of time that can be waited for"),
        (["--timeout", "soon", "x"], "is no length of time; times look like"),
        (["--timeout", "nan", "x"], "is no length of time"),
        (["--memory", "1Q", "x"], "is no size"),
        (["--code-cache", "0", "x"], "is no size that memory can have"),
        (["--memory", "0", "x"], "is no size that memory can have"),
        (["--env", "A", "x"], "is not NAME=VALUE"),
        (["--env", "=1", "x"], "is not NAME=VALUE"),
        (["--bind", "/tmp", "x"], "there is no --root"),
        (["--root", "/", "--bind", "a:b:c:d", "x"], "is not HOST, HOST:GUEST or HOST:GUEST:ro"),
        (["--root", "/", "--bind", "tmp", "x"], "must begin with /"),
        (["--root", "/", "--sysroot", "/", "x"], "two ways to find files"),
        (["--result-file", "fd:x", "x"], "is no descriptor"),
        (["--result-file", "fd:99", "x"], "Cannot write the result file fd:99"),
        (["--result-file", "/nonexistent/file", "x"], "Cannot write the result file /nonexistent/file"),
        (["--result-file", "", "x"], "is neither a path nor fd:N"),
        (["--errors", "result-file", "x"], "needs a --result-file"),
        (["--environ", "/nonexistent", "x"], "Cannot read the environment from /nonexistent"),
        (["--lockstep", "--tier", "golden", "x"], "compares a tier with the golden evaluator"),
        (["--gdb", "x", "y"], "is neither a port nor HOST:PORT nor unix:PATH"),
        (["--gdb", "65536", "x"], "is neither a port nor HOST:PORT nor unix:PATH"),
        (["--gdb", "unix:", "x"], "names no path that a socket can have"),
        (["--gdb", "0", "--lockstep", "x"], "--gdb works with every --tier"),
        (["--environ", "fd:0", "--env", "A=1", "x"], "--environ gives the whole environment"),
    ],
)
def test_usage(cli: Cli, words: list[str], text: str) -> None:
    done = cli("run", *words)
    assert (done.status, done.code(), done.out) == (125, "PVM-USAGE", "")
    assert text in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["--backend", "cranelift"],
        ["--accel", "kvm"],
        ["--core", "f"],
        ["--aslr"],
    ],
)
def test_what_does_not_exist_yet(cli: Cli, words: list[str]) -> None:
    done = cli("run", *words, "x")
    assert (done.status, done.code()) == (125, "PVM-UNSUPPORTED")


def test_values_of_options() -> None:
    assert [runoptions.seconds(text) for text in ("1", "1.5s", "250ms", "2m", "1h")] == [
        1,
        1.5,
        0.25,
        120,
        3600,
    ]
    assert [runoptions.size(text) for text in ("1", "4k", "1KiB", "2MB", "1g")] == [
        1,
        4096,
        1024,
        2 << 20,
        1 << 30,
    ]
    assert runoptions.listening("1234") == runoptions.listening(":1234") == ("127.0.0.1", 1234)
    assert runoptions.listening("0.0.0.0:0") == ("0.0.0.0", 0)
    assert runoptions.listening("[::1]:5") == ("::1", 5)
    assert runoptions.listening("unix:/a/b") == "/a/b"
    assert runoptions.bind("/a") == ("/a", "/a", False)
    assert runoptions.bind("a:/b:ro") == ("a", "/b", True)
    assert runoptions.bind("/a:ro") == ("/a", "/a", True)
    assert runoptions.destination("fd:7") == 7
    assert runoptions.destination("file") == "file"


def test_every_option_is_in_the_help(cli: Cli) -> None:
    text = cli("run", "--help").out
    for option in runoptions.COMMAND.options:
        assert isinstance(option, Option)
        assert (option.name in text) is not bool(option.later)


def test_a_mistake_of_ours_is_told_and_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: module.Run) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(module.Run, "_run", fail)
    file = tmp_path / "result.json"
    assert module.main(["--result-file", str(file), "x"], leave=False) == 125
    assert json.loads(file.read_text())["error"]["code"] == "PVM-INTERNAL"


def test_polyvm_sysroot_is_a_default_only(monkeypatch: pytest.MonkeyPatch) -> None:
    values = parse(runoptions.COMMAND, ["--root", "/r", "x"], {"POLYVM_SYSROOT": "/s"})
    runoptions.check(values)
    assert (values.root, values.sysroot) == ("/r", None)
    with pytest.raises(PolyvmError):
        runoptions.check(parse(runoptions.COMMAND, ["--root", "/r", "--sysroot", "/s", "x"], {}))
