"""`polyvm aot --standalone`: compiled programs run without Python, and what cannot be written is refused."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests import standalone, toolchain
from tests.cli.test_aot import aot, program_for

WORKLOADS = Path(__file__).parents[2] / "benchmarks" / "workloads"
NOBODY = 65534


def make(program: Path, output: Path, *options: str | Path) -> dict[str, object]:
    """The document about a standalone executable that was made."""
    done = aot("--json", "--standalone", "-o", output, *options, program)
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, object] = json.loads(done.stdout)
    return document


@pytest.mark.timeout(300)
def test_compiled_code_is_inside(guest: str, compiles: Path, tmp_path: Path) -> None:
    """Loops, recursion, calls through tables and a switch: all compiled, none of it looked for in a cache."""
    program, output = program_for(guest), tmp_path / "program"
    document = make(program, output)
    about = document["standalone"]
    assert isinstance(about, dict)
    assert about["path"] == str(output)
    assert about["bytes"] == output.stat().st_size
    assert about["regions"] == document["regions"] >= 6  # type: ignore[operator]
    assert about["code_bytes"] > 500
    assert stat.S_IMODE(output.stat().st_mode) == 0o755
    assert sorted(os.listdir(tmp_path)) == ["cold-cache", "program"]
    native = standalone.run(program_for("x86_64"))
    for words in ([], ["one"]):
        done = standalone.run(output, *words, env={})
        assert (done.returncode, done.stderr) == (0, b"")
        assert words or done.stdout == native.stdout


@pytest.mark.timeout(300)
def test_five_programs_in_an_empty_place(compiles: Path, tmp_path: Path, full: bool) -> None:
    """As a user who has nothing but these files: no Python, no libraries, no /proc."""
    if os.geteuid() != 0:
        pytest.skip("only root may change its root folder")
    place = tmp_path / "root"
    place.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    (place / "bin").mkdir()
    programs = {
        "ahead": (program_for(), [], program_for("x86_64")),
        "hello": (toolchain.build("bare_hello.c", libc=None), ["there"], None),
        **{
            name: (
                toolchain.build(WORKLOADS / f"{name}.c"),
                [size],
                toolchain.build(WORKLOADS / f"{name}.c", "x86_64"),
            )
            for name, size in (("sieve", "2"), ("sha256", "5"), ("json", "2"))
        },
    }
    for name, (program, words, native) in programs.items():
        profile = tmp_path / f"{name}.profile"
        command = [
            sys.executable,
            "-m",
            "polyvm",
            "run",
            "--quiet",
            "--tier",
            "baseline",
            "--profile-out",
            profile,
        ]
        expected = subprocess.run([*command, program, *words], capture_output=True, check=True).stdout
        make(program, place / "bin" / name, *(() if full else ("--profile-in", profile)))
        if native is not None:
            assert standalone.run(native, *words).stdout == expected

        def enter() -> None:
            os.chroot(place)
            os.chdir("/")
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

        done = standalone.run(f"/bin/{name}", *words, env={}, preexec_fn=enter)
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, b""), name


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--standalone"], "PVM-USAGE"),
        (["-o", "x"], "PVM-USAGE"),
        (["--standalone", "-o", "x", "--handlers", "some"], "PVM-USAGE"),
        (["--standalone", "-o", "."], "PVM-FILE-DIRECTORY"),
        (["--standalone", "-o", "new/"], "PVM-FILE-DIRECTORY"),
        (["--standalone", "-o", "no/such/folder/x"], "PVM-FILE-MISSING"),
    ],
)
def test_refused_before_anything_is_done(words: list[str], code: str, tmp_path: Path) -> None:
    """Nothing is loaded, nothing is compiled, and nothing is left."""
    done = aot("--json", *words, "missing", cwd=tmp_path)
    assert json.loads(done.stdout)["code"] == code
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_an_output_that_cannot_be_written(compiles: Path, tmp_path: Path) -> None:
    """It is said, and a file that has the name stays what it was."""
    program = toolchain.build("bare_hello.c", libc=None)
    output = tmp_path / "program"
    output.write_text("before")
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    done = aot("--json", "--standalone", "-o", output, broken)
    assert done.returncode == 126
    assert output.read_text() == "before"
    make(program, output)  # one that can be run takes its place
    assert standalone.run(output, "a").stdout.startswith(b"Hello, bare world!")
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".new")]


def test_text_for_people(compiles: Path, tmp_path: Path) -> None:
    program = toolchain.build("bare_hello.c", libc=None)
    done = aot("--standalone", "-o", tmp_path / "hello", program)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("hello: ")
    assert "regions of" in lines[1]
    shutil.rmtree(compiles / "units")
