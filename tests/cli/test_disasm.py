"""`polyvm disasm`: programs with their symbols, bare code, bytes; what is no code is refused as what it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done

Cli = Callable[..., Done]


def test_bytes(cli: Cli, golden: Callable[[str, str], None]) -> None:
    done = cli("disasm", "--bytes", "13 05 a5 00 82 80 63 04 05 fe ff ff ff ff", "--address", "0x1000")
    assert done.status == 0
    golden("disasm-bytes.txt", done.out)


def test_a_program_has_sections_and_symbols(cli: Cli, hello: Path) -> None:
    done = cli("disasm", str(hello))
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "Section .text:"
    assert any(line.endswith(" <main>:") for line in lines)
    assert len(lines) > 1000


def test_one_function_is_a_part_of_the_whole(cli: Cli, hello: Path) -> None:
    part = cli("disasm", str(hello), "--symbol", "main").out
    assert "<main>:" in part
    assert part.count(">:") == 1
    whole = cli("disasm", str(hello)).out
    assert part.split("<main>:\n")[1].strip() in whole


def test_start_and_stop(cli: Cli) -> None:
    done = cli("disasm", "--bytes", "0505" * 8, "--address", "0x100", "--start", "0x104", "--stop", "0x108")
    assert [line.split(":")[0].strip() for line in done.out.splitlines()] == ["104", "106"]


def test_bare_code_and_real_instructions_only(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "code.bin"
    file.write_bytes(bytes.fromhex("13050500"))
    assert cli("disasm", "--raw", str(file)).out.strip().endswith("mv a0, a0")
    assert cli("disasm", "--raw", str(file), "--no-aliases").out.strip().endswith("addi a0, a0, 0")


def test_a_guest_that_is_specified_and_does_not_run(cli: Cli) -> None:
    done = cli("disasm", "--guest", "aarch64", "--bytes", "fd7bbfa9e0031faaff030ceb01000094c0035fd6ffffffff")
    assert [line.split("  ")[-1] for line in done.out.splitlines()] == [
        "stp x29, x30, [sp, #-16]!", "mov x0, xzr", "cmp xzr, x12", "bl 0x10", "ret", ".4byte 0xffffffff",
    ]  # fmt: skip


def test_as_json(cli: Cli, hello: Path) -> None:
    document = json.loads(cli("disasm", "--json", str(hello), "--symbol", "main").out)
    assert document["schema"] == "polyvm.disasm/1"
    assert (document["guest"], document["path"]) == ("riscv64", str(hello))
    first = document["insns"][0]
    assert first["symbol"] == "main"
    assert int(first["address"], 16) > 0
    assert set(first) == {"address", "bytes", "text", "symbol"}


@pytest.mark.parametrize(
    ("words", "status", "code", "text"),
    [
        ([], 125, "PVM-USAGE", "needs a FILE, or --bytes"),
        (["--bytes", "1305", "file"], 125, "PVM-USAGE", "two things"),
        (["--bytes", "xyz"], 125, "PVM-USAGE", "is not hexadecimal"),
        (["--bytes", "1305", "--address", "here"], 125, "PVM-USAGE", "addresses look like"),
        (["--bytes", "1305", "--address", "-1"], 125, "PVM-USAGE", "is no 64-bit address"),
        (["--guest", "x86_64", "--bytes", "00"], 125, "PVM-UNSUPPORTED", "x86_64 does not exist yet"),
        (["--guest", "riscv46", "--bytes", "00"], 125, "PVM-USAGE", "Did you mean riscv64?"),
        (["/nonexistent"], 127, "PVM-FILE-MISSING", "/nonexistent"),
        (["--raw", "/nonexistent"], 127, "PVM-FILE-MISSING", "/nonexistent"),
        (["/"], 126, "PVM-FILE-DIRECTORY", "Is a directory"),
        ([__file__], 126, "PVM-ELF-INVALID", "--raw"),
        (["/proc/self/exe"], 126, "PVM-ELF-MACHINE", "x86_64"),
    ],
)
def test_what_cannot_be_disassembled(cli: Cli, words: list[str], status: int, code: str, text: str) -> None:
    done = cli("disasm", *words)
    assert (done.status, done.code(), done.out) == (status, code, "")
    assert text in done.err


def test_a_function_that_is_not_there(cli: Cli, hello: Path) -> None:
    done = cli("disasm", str(hello), "--symbol", "mian")
    assert (done.status, done.code()) == (125, "PVM-USAGE")
    assert "Did you mean main?" in done.err


def test_a_truncated_program(cli: Cli, hello: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(hello.read_bytes()[:5000])
    assert cli("disasm", str(cut)).code() == "PVM-ELF-TRUNCATED"
