"""`polyvm report`: a page of a program, of a recording and of a result file; and what is refused, by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polyvm.cli import passed
from polyvm.cli.options import parse
from polyvm.cli.report import COMMAND
from tests import toolchain


@pytest.fixture(scope="session")
def bare() -> Path:
    return toolchain.build("bare_hello.c", libc=None)


def polyvm(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "polyvm", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=cwd)


def test_a_program_has_a_page_here(tmp_path: Path, bare: Path) -> None:
    done = polyvm("report", bare, "one", cwd=tmp_path)
    assert (done.returncode, done.stdout.count("\n")) == (0, polyvm("run", bare, "one").stdout.count("\n"))
    (made,) = tmp_path.iterdir()
    assert made.name == f"{bare.name}-report.html"
    assert made.read_text().startswith("<!doctype html>")
    assert made.name in done.stderr


def test_a_program_that_dies_has_a_page_too(tmp_path: Path) -> None:
    program = toolchain.build("int main(void) { *(volatile int *)16 = 1; return 0; }\n", name="dies")
    done = polyvm("report", "--quiet", "-o", tmp_path / "page.html", program)
    assert done.returncode == 0
    assert (tmp_path / "page.html").exists()


def test_recordings_and_result_files_have_pages_and_documents(tmp_path: Path, bare: Path) -> None:
    done = polyvm(
        "run", "--quiet", "--record", tmp_path / "run", "--result-file", tmp_path / "result.json", bare
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, recorded in (("run", True), ("result.json", False)):
        page = tmp_path / f"{name}.html"
        assert polyvm("report", "--from", tmp_path / name, "-o", page).returncode == 0
        assert page.read_text().startswith("<!doctype html>")
        shown = json.loads(polyvm("report", "--json", "--from", tmp_path / name).stdout)
        assert (shown["schema"], shown["recorded"]) == ("polyvm.report/1", recorded)
        assert shown["run"]["guest"] == "riscv64"


def test_a_recording_goes_to_a_descriptor(bare: Path) -> None:
    done = polyvm("run", "--quiet", "--record", "fd:2", bare)
    assert json.loads(done.stderr)["schema"] == "polyvm.recording/1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "either a PROGRAM or --from"),
        (["--from", "x", "program"], "either a PROGRAM or --from"),
        (["--json", "program"], "--json is for --from"),
        (["--json", "--output", "x", "--from", "y"], "--output names a file for the page"),
        (["--from", "x", "--tier", "baseline"], "--tier is for a program that is run"),
        (["--top", "0", "program"], "--top '0'"),
        (["--timeout", "soon", "program"], "--timeout 'soon'"),
    ],
)
def test_what_contradicts_itself_is_refused(words: list[str], said: str) -> None:
    done = polyvm("report", *words)
    assert (done.returncode, done.stdout if "--json" not in words else "") == (125, "")
    assert said in done.stderr + done.stdout
    assert "PVM-USAGE" in done.stderr + done.stdout


def test_files_that_are_none_are_refused(tmp_path: Path, bare: Path) -> None:
    (tmp_path / "other").write_text("no recording")
    (tmp_path / "half").write_text('{"schema": "polyvm.run/1", ')
    for name in ("other", "half"):
        done = polyvm("report", "--from", tmp_path / name)
        assert (done.returncode, "PVM-RECORDING-REFUSED" in done.stderr) == (125, True)
    assert polyvm("report", "--from", tmp_path / "gone").returncode == 127
    assert polyvm("report", tmp_path / "gone").returncode == 127
    assert "PVM-FILE-MISSING" in polyvm("report", "-o", tmp_path / "no/page.html", bare).stderr


def test_options_are_passed_on_as_they_were_given() -> None:
    options = passed.options(("--env", "--timeout", "--root", "--exact-exclusives"))
    values = parse(
        COMMAND,
        ["--env", "A=1", "--env=B=2", "--timeout", "1.5", "--exact-exclusives", "--root=/r", "x", "--y"],
    )
    assert passed.words(values, options) == [
        option
        for name in [option.name for option in options]
        for option in {
            "--env": ["--env=A=1", "--env=B=2"], "--timeout": ["--timeout=1.5"], "--root": ["--root=/r"],
            "--exact-exclusives": ["--exact-exclusives"],
        }[name]
    ]  # fmt: skip
    assert passed.command(values, options, "--quiet")[-4:][1:] == ["--", "x", "--y"]
