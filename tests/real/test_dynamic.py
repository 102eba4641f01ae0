"""Dynamically linked programs with Debian's C library: --sysroot, --root, threads, Lua, SQLite."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.running import PROGRAMS, TIERS, polyvm

REAL = Path(__file__).parents[2] / "benchmarks/real"


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ["hello", "signals", "threads", "floats", "fork"])
def test_programs_for_glibc(
    name: str, tier: str, machine: str, sysroot: Path, request: pytest.FixtureRequest
) -> None:
    """Built for glibc, they print what they print with musl, but for one text of strerror."""
    program = build(f"{name}.c", machine, static=False, libc="glibc")
    arguments = ["500"] if name == "threads" else []
    done = polyvm("--tier", tier, "--sysroot", sysroot, program, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    golden = request.path.parents[1] / "conformance/golden" / f"{name}.txt"
    expected = golden.read_text().replace("No child process\n", "No child processes\n")
    assert done.stdout == expected.replace("riscv64", machine)


LINKERS = {"riscv64": "/lib/ld-linux-riscv64-lp64d.so.1", "aarch64": "/lib/ld-linux-aarch64.so.1"}


def test_without_a_sysroot_the_linker_is_missing(machine: str) -> None:
    linker = LINKERS[machine]
    if Path(linker).exists():
        pytest.skip(f"this machine has a dynamic linker for {machine}")
    done = polyvm(build("hello.c", machine, static=False, libc="glibc"))
    assert done.returncode == 126
    assert "PVM-ELF-INTERP" in done.stderr
    assert linker in done.stderr
    assert "--sysroot" in done.stderr


@pytest.mark.parametrize("tier", TIERS)
def test_signals_and_threads_of_glibc(tier: str, machine: str, sysroot: Path) -> None:
    program = build(
        PROGRAMS / "signals.c", machine, static=False, libc="glibc", flags=("-Wno-unused-result",)
    )
    done = polyvm("--tier", tier, "--sysroot", sysroot, program)
    assert (done.returncode, done.stderr) == (0, "")
    expected = (PROGRAMS.parent / "golden/signals.txt").read_text()
    assert done.stdout == expected


@pytest.mark.parametrize("tier", TIERS)
def test_lua_runs_a_suite(tier: str, sysroot: Path, golden: Callable[[str, str], None]) -> None:
    """The text is what Lua 5.4 prints on x86-64."""
    done = polyvm("--tier", tier, "--sysroot", sysroot, sysroot / "usr/bin/lua5.4", REAL / "suite.lua", "1")
    assert (done.returncode, done.stderr) == (0, "")
    golden("lua.txt", done.stdout)


def test_the_interactive_parts_of_lua(sysroot: Path) -> None:
    lua = sysroot / "usr/bin/lua5.4"
    done = polyvm(
        "--sysroot", sysroot, lua, "-", "one", stdin="print(arg[1], _VERSION, io.read and 1 << 62)\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"one\tLua 5.4\t{1 << 62}\n", "")
    done = polyvm("--sysroot", sysroot, lua, "-e", "error('wrong')")
    assert done.returncode == 1
    assert "wrong" in done.stderr
    done = polyvm("--sysroot", sysroot, lua, "-e", "print(io.popen('echo piped; exit 3', 'r'):read('a'))")
    assert done.stdout == "piped\n\n"


INDEX = """
PRAGMA journal_mode = {journal};
CREATE TABLE event (id INTEGER PRIMARY KEY, account INTEGER, amount INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i, x) AS (
  SELECT 1, 12345 UNION ALL SELECT i + 1, (x * 1103515245 + 12345) & 2147483647 FROM n WHERE i < {rows}
)
INSERT INTO event SELECT i, (x >> 10) % 5000, (x >> 4) % 100000 - 50000, printf('note %d of %x', i, x) FROM n;
COMMIT;
CREATE INDEX by_account ON event (account, amount);
CREATE INDEX by_note ON event (note);
"""
QUESTIONS = (
    "SELECT count(*), sum(amount), min(note), max(note) FROM event",
    "SELECT account, count(*), sum(amount) AS total FROM event GROUP BY account ORDER BY total DESC, account LIMIT 5",
    "SELECT count(*) FROM event AS a JOIN event AS b ON a.account = b.account AND a.amount = b.amount AND a.id < b.id",
    "SELECT id FROM event WHERE note >= 'note 5' AND note < 'note 6' ORDER BY note LIMIT 3",
    "PRAGMA integrity_check",
)


@pytest.mark.parametrize(
    ("tier", "rows", "journal"), [("interpreter", 5_000, "WAL"), ("auto", 100_000, "DELETE")]
)
def test_sqlite_builds_an_index(tier: str, rows: int, journal: str, sysroot: Path, tmp_path: Path) -> None:
    """Its file, read by this machine's SQLite, gives the same answers as its own and as one made here."""
    file = tmp_path / "guest.db"
    script = INDEX.format(rows=rows, journal=journal)
    ask = ";\n".join(QUESTIONS) + ";\n"
    program = sysroot / "usr/bin/sqlite3"
    done = polyvm("--tier", tier, "--sysroot", sysroot, program, "-batch", file, stdin=script + ask)
    assert (done.returncode, done.stderr) == (0, "")

    def answers(path: Path) -> list[str]:
        base = sqlite3.connect(path)
        try:
            return ["|".join(map(str, row)) for question in QUESTIONS for row in base.execute(question)]
        finally:
            base.close()

    ours = tmp_path / "host.db"
    base = sqlite3.connect(ours)
    base.executescript(script)
    base.close()
    assert done.stdout.splitlines() == [journal.lower(), *answers(file)]
    assert answers(file) == answers(ours)


def test_a_whole_root_with_libraries(sysroot: Path) -> None:
    """--root: the program, its linker and its libraries come from below it, and no host file is seen."""
    done = polyvm("--root", sysroot, "--cwd", "/", "/usr/bin/lua5.4", "-e", "print(io.open('/etc/hostname'))")
    assert done.returncode == 0
    assert done.stdout.startswith("nil\t/etc/hostname: No such file or directory")
    done = polyvm("--root", sysroot, "--cwd", "/", "/usr/bin/busybox", "sha256sum", "/usr/bin/lua5.4")
    digest = hashlib.sha256((sysroot / "usr/bin/lua5.4").read_bytes()).hexdigest()
    assert done.stdout == f"{digest}  /usr/bin/lua5.4\n"
