"""`polyvm cache`: what it shows, finds damaged, and removes; it touches nothing that is not polyvm's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.engine import cachedir, image
from tests.cli.conftest import Done

Cli = Callable[..., Done]


@pytest.fixture
def cache(cold_cache: Path) -> Path:
    """A cache with two sound entries, a leftover, a stranger's file and a program of the benchmark's."""
    folder = str(cold_cache)
    for name in ("tier0/riscv64-0.pvi", "units/k/1000-0.pvu"):
        assert cachedir.write(folder, name, image.pack(b"\xc3" * 64, {}, {}, b"meta"))
    (cold_cache / ".new-1-units-k-2000-0.pvu").write_bytes(b"half")
    (cold_cache / "notes.txt").write_bytes(b"mine")
    (cold_cache / "bench").mkdir()
    (cold_cache / "bench" / "program").write_bytes(b"x" * 100)
    return cold_cache


def test_info(cli: Cli, cache: Path) -> None:
    text = cli("cache", "info").out
    assert text.startswith(f"{cache}\n")
    assert "code: 2 entries" in text
    document = json.loads(cli("cache", "info", "--json").out)
    assert document["schema"] == "polyvm.cache/1"
    assert {name: kind["entries"] for name, kind in document["kinds"].items()} == {
        "code": 2, "leftover": 1, "unknown": 1, "bench": 1,
    }  # fmt: skip
    assert document["bytes"] == sum(kind["bytes"] for kind in document["kinds"].values())


def test_ls(cli: Cli, cache: Path) -> None:
    text = cli("cache", "ls").out
    assert len(text.splitlines()) == 6
    assert "tier0/riscv64-0.pvi" in text
    rows = json.loads(cli("cache", "ls", "--json").out)["entries"]
    assert {row["name"]: row["kind"] for row in rows}["notes.txt"] == "unknown"


def test_verify_a_sound_cache(cli: Cli, cache: Path) -> None:
    done = cli("cache", "verify")
    assert (done.status, done.out) == (
        0,
        f"{cache}: 2 entries, all sound; 1 unfinished, which prune removes\n",
    )
    document = json.loads(cli("cache", "verify", "--json").out)
    assert (document["checked"], document["damaged"]) == (2, [])


def damage_one(cache: Path, how: str) -> None:
    file = cache / "units/k/1000-0.pvu"
    data = bytearray(file.read_bytes())
    if how == "changed":
        data[-1] ^= 1
    elif how == "truncated":
        del data[len(data) // 2 :]
    elif how == "emptied":
        data.clear()
    elif how == "foreign":
        data[:] = b"\x7fELF" + bytes(9000)
    elif how == "of another version":
        data[8] += 1
    if how == "a link":
        target = cache / "elsewhere"
        target.write_bytes(data)
        file.unlink()
        file.symlink_to(target)
    elif how == "open to others":
        file.chmod(0o666)
    else:
        file.write_bytes(data)


DAMAGES = ["changed", "truncated", "emptied", "foreign", "of another version", "open to others"]


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_found_named_and_pruned(cli: Cli, cache: Path, how: str) -> None:
    damage_one(cache, how)
    done = cli("cache", "verify")
    assert (done.status, done.code(), done.out) == (125, "PVM-CACHE-DAMAGED", "")
    assert "units/k/1000-0.pvu" in done.err
    assert "1 of 2 entries" in done.err
    assert json.loads(cli("cache", "verify", "--json").out)["code"] == "PVM-CACHE-DAMAGED"
    assert "removed 1 entry" in cli("cache", "prune").out
    assert cli("cache", "verify").status == 0
    assert not (cache / "units").exists()  # a folder with nothing in it goes as well


def test_prune_removes_old_leftovers_and_the_least_used(cli: Cli, cache: Path) -> None:
    assert "removed 0 entries" in cli("cache", "prune").out  # its writer may be alive
    old = time.time() - 2 * cachedir.STALE
    os.utime(cache / ".new-1-units-k-2000-0.pvu", (old, old))
    os.utime(cache / "tier0/riscv64-0.pvi", (old, old))
    assert "removed 1 entry" in cli("cache", "prune").out
    size = (cache / "units/k/1000-0.pvu").stat().st_size
    document = json.loads(cli("cache", "prune", "--limit", str(size), "--json").out)
    assert (document["entries"], document["bytes"]) == (1, size)
    assert not (cache / "tier0").exists()
    assert (cache / "units/k/1000-0.pvu").exists()
    assert (cache / "notes.txt").read_bytes() == b"mine"


def test_clear_keeps_what_is_not_code(cli: Cli, cache: Path) -> None:
    assert cli("cache", "clear").status == 0
    assert sorted(p.name for p in cache.rglob("*") if p.is_file()) == ["notes.txt", "program"]
    assert cli("cache", "clear", "--all").status == 0
    assert [p.name for p in cache.rglob("*") if p.is_file()] == ["notes.txt"]


def test_a_cache_that_is_not_there_is_empty(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(tmp_path / "none"))
    assert "empty" in cli("cache", "info").out
    assert cli("cache", "verify").status == 0
    assert cli("cache", "clear").status == 0
    assert not (tmp_path / "none").exists()


def test_a_cache_that_cannot_be_trusted(cli: Cli, cache: Path) -> None:
    cache.chmod(0o755)
    done = cli("cache", "verify")
    assert (done.status, done.code()) == (125, "PVM-CACHE-UNTRUSTED")
    assert f"chmod 700 {cache}" in done.err
    assert "not trusted" in cli("cache", "info").out
    assert json.loads(cli("cache", "info", "--json").out)["trusted"] is False


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "needs ACTION"),
        (["purge"], "does not know 'purge'"),
        (["ls", "more"], "does not take the argument 'more'"),
        (["prune", "--limit", "much"], "is no size"),
    ],
)
def test_what_is_refused(cli: Cli, words: list[str], text: str) -> None:
    done = cli("cache", *words)
    assert (done.status, done.code()) == (125, "PVM-USAGE")
    assert text in done.err
