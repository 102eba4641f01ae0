"""Standalone programs do what native ones do, or end with a message that says what they need polyvm for."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import standalone, toolchain
from tests.conftest import require_c
from tests.user.running import PROGRAMS

MAKES_CODE = """
static char code[4096];
int main(void) {
    __builtin___clear_cache(code, code + sizeof code);
    return 0;
}
"""
Maker = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """made(source, guest): a standalone executable, made once."""
    folder = tmp_path_factory.mktemp("standalone")

    def make(source: str | Path, guest: str, **options: object) -> Path:
        name = "inline" if source == MAKES_CODE else Path(source).stem
        output = folder / f"{name}-{guest}"
        if not output.exists():
            standalone.make(toolchain.build(source, guest, **options), output)  # type: ignore[arg-type]
        return output

    return make


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("files.c", ["FOLDER"]), ("mapping.c", ["FOLDER/file"]), ("fork.c", []), ("status.c", ["7"]),
        ("status.c", ["trap"]), ("status.c", ["abort"]), ("status.c", ["signal", "15"]), ("status.c", ["signal", "11"]),
        ("fault.c", ["null"]), ("fault.c", ["wild"]), ("fault.c", ["negative"]), ("fault.c", ["stack"]),
        ("fault.c", ["text"]), ("fault.c", ["illegal"]),
    ],
)  # fmt: skip
def test_as_native(source: str, words: list[str], guest: str, made: Maker, tmp_path: Path) -> None:
    """Output and status, signals among them."""
    found = []
    for program in (made(source, guest), toolchain.build(source, "x86_64")):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        done = standalone.run(program, *(word.replace("FOLDER", str(folder)) for word in words), cwd=folder)
        found.append((done.returncode, done.stdout.replace(bytes(folder), b""), done.stderr))
    if words == ["illegal"]:  # four zero bytes are an instruction of x86
        found[1] = (-signal.SIGILL, b"before\n", b"")
    if words == ["trap"] and guest == "aarch64":  # brk, where x86 and RISC-V have an instruction that is none
        found[1] = (-signal.SIGTRAP, b"", b"")
    assert found[0] == found[1]


def test_arguments_and_environment(guest: str, made: Maker, tmp_path: Path) -> None:
    """Strings, and what the auxiliary vector says."""
    long = "x" * 100000
    environment = {"A": "1", "B": long, "C": ""}
    done = standalone.run(made("args.c", guest), "one", "", long, cwd=tmp_path, env=environment)
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "argc 4"
    assert lines[1:5] == [f"argv[0] {made('args.c', guest)}", "argv[1] one", "argv[2] ", f"argv[3] {long}"]
    for line in ("env A=1", f"env B={long}", "env C=", f"cwd {tmp_path}", "pagesz 4096", "secure 0", "ids 1",
                 f"platform {guest}", f"execfn {made('args.c', guest)}", "random 1"):  # fmt: skip
        assert line in lines
    assert done.returncode == 0
    bare = standalone.run(made("args.c", guest), env={})
    assert bare.returncode == 0
    # As many as the kernel takes, where it is told that stacks may be large.
    shell = f"ulimit -s 65536; exec {made('args.c', guest)} " + " ".join(["$A"] * 60)
    many = standalone.run("sh", "-c", shell, env={"A": long})
    assert many.returncode == 0
    assert many.stdout.startswith(b"argc 61\n")


@pytest.mark.parametrize(
    ("source", "words", "said"),
    [
        ("threads.c", [], "the program starts a thread"),
        (PROGRAMS / "natively.c", [], "signal 14 came, for which the program has a handler"),
        (MAKES_CODE, [], "the program makes code of its own"),
        (PROGRAMS / "names.c", [], "the program made the system call openat2"),
    ],
)
def test_what_needs_polyvm_is_said(
    source: str | Path, words: list[str], said: str, guest: str, made: Maker, tmp_path: Path
) -> None:
    done = standalone.run(made(source, guest), *words, cwd=tmp_path)
    assert done.returncode == 125
    expected = f"polyvm: PVM-UNSUPPORTED: {said}"
    assert done.stderr.decode().startswith(expected)
    assert done.stderr.endswith(b"; only `polyvm run` serves that, not a standalone program\n")


@pytest.mark.parametrize(
    ("guest", "instruction", "word"),
    [("riscv64", "rdtime %0", r"0xc01025\w3"), ("aarch64", "mrs %0, cntvct_el0", r"0xd53be04\w")],
)
def test_an_instruction_that_needs_python_is_named(
    guest: str, instruction: str, word: str, tmp_path: Path
) -> None:
    """The time in nanoseconds is golden's to know."""
    require_c(guest)
    source = (
        f'int main(void) {{ long now; __asm__ volatile("{instruction}" : "=r"(now)); return now != 0; }}\n'
    )
    made = standalone.make(toolchain.build(source, guest, name="clock"), tmp_path / "made")
    done = standalone.run(made)
    assert done.returncode == 125
    said = "polyvm: PVM-UNSUPPORTED: only the golden evaluator carries out the instruction "
    assert re.match(rf"{said}{word} at 0x\w+; ", done.stderr.decode())


def test_no_room_for_the_guests_addresses(made: Maker) -> None:
    done = standalone.run("sh", "-c", f"ulimit -v 4000000; exec {made('status.c', 'riscv64')}")
    assert done.returncode == 125
    assert b"PVM-RESOURCE: the host gives no memory" in done.stderr
    assert b"ulimit -v unlimited" in done.stderr


def test_descriptors_are_the_programs(made: Maker, guest: str) -> None:
    """Nothing of ours is open in it."""
    reading, writing = os.pipe()
    done = standalone.run(made("args.c", guest), pass_fds=[writing])
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)
    assert done.returncode == 0
