"""The way in: help as text that is looked at, commands that do not exist, exit statuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import polyvm
from polyvm.cli import main
from tests.cli.conftest import Done

Cli = Callable[..., Done]


def test_help_of_polyvm(cli: Cli, golden: Callable[[str, str], None]) -> None:
    done = cli("--help")
    assert (done.status, done.err) == (0, "")
    golden("help.txt", done.out)
    assert cli("-h").out == done.out
    assert cli("help").out == done.out


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_of_each_command(cli: Cli, golden: Callable[[str, str], None], name: str) -> None:
    done = cli(name, "--help")
    assert (done.status, done.err) == (0, "")
    golden(f"help-{name}.txt", done.out)
    assert cli("help", name).out == done.out
    assert "Examples:" in done.out  # help teaches
    assert max(map(len, done.out.splitlines())) <= 80 + 20  # an example is never broken


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_command_refuses_unknown_options(cli: Cli, name: str) -> None:
    done = cli(name, "--nonsense", "x")
    assert (done.status, done.code(), done.out) == (125, "PVM-USAGE", "")


@pytest.mark.parametrize("name", [name for name in main.COMMANDS if name not in ("run", "completion")])
def test_errors_as_json_are_alone_on_standard_output(cli: Cli, name: str) -> None:
    done = cli(name, "--json", "--nonsense")
    assert (done.status, done.err) == (125, "")
    document = json.loads(done.out)
    assert document["schema"] == "polyvm.error/1"
    assert document["code"] == "PVM-USAGE"
    assert set(document) >= {"message", "context", "hint", "docs", "causes", "errors", "polyvm"}


def test_without_a_command_help_goes_to_standard_error(cli: Cli) -> None:
    done = cli()
    assert (done.status, done.out) == (125, "")
    assert "Usage: polyvm COMMAND" in done.err


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == f"polyvm {polyvm.__version__}\n"


@pytest.mark.parametrize("name", main.LATER)
def test_commands_that_do_not_exist_yet_are_refused_by_name(cli: Cli, name: str) -> None:
    done = cli(name)
    assert (done.status, done.code()) == (125, "PVM-UNSUPPORTED")
    assert f"polyvm {name} does not exist yet." in done.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["rnu"], "Did you mean polyvm run?"),
        (["zzzzzz"], "polyvm --help lists the commands."),
        (["--verison"], "Did you mean --version?"),
        (["-x"], "Options go behind a command."),
        (["help", "nope"], "polyvm has no command 'nope'"),
    ],
)
def test_other_words_are_usage(cli: Cli, words: list[str], text: str) -> None:
    done = cli(*words)
    assert (done.status, done.code()) == (125, "PVM-USAGE")
    assert text in done.err


def test_a_program_without_run_gets_the_hint(cli: Cli, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"x")
    assert f"polyvm run {program}" in cli(str(program)).err


def test_debug_shows_the_traceback(cli: Cli) -> None:
    assert "Traceback" not in cli("disasm", "/nonexistent").err
    done = cli("disasm", "/nonexistent", "--debug")
    assert done.status == 127
    assert "Traceback (most recent call last)" in done.err


def test_a_mistake_of_our_own_is_internal_and_no_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from polyvm import doctor

    def fail() -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(doctor, "examine", fail)
    done = cli("doctor")
    assert (done.status, done.code()) == (125, "PVM-INTERNAL")
    assert "ZeroDivisionError" in done.err
    assert "Traceback" not in done.err


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m polyvm isa list riscv64 | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert done.returncode in (0, 128 + signal.SIGPIPE)


@pytest.mark.parametrize("words", ["isa list", "--help", "explain addi --json"])
def test_output_that_cannot_be_written(words: str) -> None:
    command = f"{sys.executable} -m polyvm {words}"
    done = subprocess.run(f"{command} > /dev/full", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert "PVM-RESOURCE" in done.stderr
    assert "Traceback" not in done.stderr
    closed = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_ctrl_c_ends_a_command_by_the_signal() -> None:
    code = (
        "import polyvm.cli.main as m, os, signal\n"
        "m._other = lambda *a: os.kill(os.getpid(), signal.SIGINT) or __import__('time').sleep(9)\n"
        "import sys; sys.argv = ['polyvm', 'doctor']\n"
        "sys.exit(m.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_the_module_runs_by_name_and_by_path() -> None:
    where = os.path.join(os.path.dirname(polyvm.__file__), "__main__.py")
    for words in (["-m", "polyvm"], ["-P", where]):
        done = subprocess.run(
            [sys.executable, *words, "--version"], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"polyvm {polyvm.__version__}\n"
