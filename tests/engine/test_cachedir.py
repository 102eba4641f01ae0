"""The cache folder: who may be trusted, files that appear whole or not at all, and a size that stays bounded."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from polyvm.engine import cachedir
from polyvm.errors import PolyvmError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cache"
    made.mkdir(mode=0o700)
    return made


# ------------------------------------------------------------------------------------------------- where
def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYVM_CACHE_DIR", "/named")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/me")
    assert cachedir.path() == "/named"
    monkeypatch.delenv("POLYVM_CACHE_DIR")
    assert cachedir.path() == "/xdg/polyvm"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cachedir.path() == "/home/me/.cache/polyvm"
    monkeypatch.setenv("POLYVM_CACHE_DIR", "relative")
    assert cachedir.path() == os.path.join(os.getcwd(), "relative")


def test_it_is_made_for_us_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = cachedir.prepare(str(tmp_path / "a" / "b"))
    finally:
        os.umask(old)
    assert made == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert cachedir.prepare(made) == made


def test_a_named_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(PolyvmError, match="cannot be made") as caught:
        cachedir.prepare()
    assert caught.value.code == "PVM-USAGE"


def test_without_a_home_it_is_below_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("POLYVM_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert cachedir.prepare() == str(tmp_path / f"polyvm-{os.geteuid()}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    assert cachedir.prepare() is None


# ------------------------------------------------------------------------------------------------- trust
@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o777, 0o1777])
def test_others_must_be_shut_out(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(PolyvmError) as caught:
        cachedir.prepare(str(folder))
    assert caught.value.code == "PVM-CACHE-UNTRUSTED"
    assert caught.value.hint == f"chmod 700 {folder}"
    assert folder.stat().st_mode & 0o7777 == mode  # not ours to mend


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    with pytest.raises(PolyvmError, match="is not a folder"):
        cachedir.check(str(tmp_path / "file"))


def test_our_own_link_may_lead_there(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    cachedir.check(str(tmp_path / "link"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    os.chown(tmp_path / "link", 12345, -1, follow_symlinks=False)
    with pytest.raises(PolyvmError, match="a link that user 12345 made"):
        cachedir.check(str(tmp_path / "link"))
    assert cachedir.write(str(folder), "name", b"data")
    os.chown(folder / "name", 12345, -1)
    assert cachedir.open_file(str(folder), "name") == cachedir.REFUSED
    os.chown(folder, 12345, -1)
    with pytest.raises(PolyvmError, match="belongs to user 12345"):
        cachedir.check(str(folder))


# ------------------------------------------------------------------------------------------------- files
def test_what_is_written_is_read(folder: Path) -> None:
    assert cachedir.read(str(folder), "a/b/name") is None
    assert cachedir.write(str(folder), "a/b/name", b"one")
    assert cachedir.read(str(folder), "a/b/name") == b"one"
    assert cachedir.write(str(folder), "a/b/name", b"another")
    assert cachedir.read(str(folder), "a/b/name") == b"another"
    assert (folder / "a/b/name").stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in cachedir.entries(str(folder))] == ["a/b/name"]


def test_what_cannot_be_trusted_is_told_from_what_is_not_there(folder: Path) -> None:
    path = str(folder)
    assert cachedir.open_file(path, "none") == cachedir.MISSING
    assert cachedir.open_file(path, "none/none") == cachedir.MISSING
    (folder / "link").symlink_to("target")
    (folder / "target").write_bytes(b"data")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "open").write_bytes(b"data")
    (folder / "open").chmod(0o660)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "sock"))
    server.close()
    for name in ("link", "folder", "pipe", "open", "sock"):
        assert cachedir.open_file(path, name) == cachedir.REFUSED, name
        assert cachedir.read(path, name) == b"", name
    assert [entry.name for entry in cachedir.entries(path)] == ["open", "target"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    folder.chmod(0o500)
    assert not cachedir.write(str(folder), "name", b"data")


def test_a_full_disk_costs_only_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not cachedir.write(str(folder), "name", b"data")
    assert list(folder.iterdir()) == []


def test_a_folder_stands_where_the_file_should(folder: Path) -> None:
    (folder / "name").mkdir()
    assert not cachedir.write(str(folder), "name", b"data")
    assert [path.name for path in folder.iterdir()] == ["name"]


def test_a_leftover_of_the_same_process_number_does_not_last(folder: Path) -> None:
    (folder / f"{cachedir.TEMPORARY}{os.getpid()}-a-name").write_bytes(b"half")
    assert not cachedir.write(str(folder), "a/name", b"data")  # perhaps its writer lives in another container
    assert cachedir.write(str(folder), "a/name", b"data")


def test_short_writes_are_continued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    assert cachedir.write(str(folder), "name", b"more than seven bytes")
    assert (folder / "name").read_bytes() == b"more than seven bytes"


# ------------------------------------------------------------------------------------------------- size
def test_trim_keeps_what_was_used_last(folder: Path) -> None:
    now = time.time()
    for number in range(10):
        assert cachedir.write(str(folder), f"units/k/{number}.pvu", bytes(100))
        os.utime(folder / f"units/k/{number}.pvu", (now - number, now - number))
    assert cachedir.trim(str(folder)) == []
    assert len(cachedir.trim(str(folder), 350)) == 7
    assert [entry.name for entry in cachedir.entries(str(folder))] == [f"units/k/{n}.pvu" for n in range(3)]


def test_looking_is_no_use(folder: Path) -> None:
    assert cachedir.write(str(folder), "name", b"data")
    os.utime(folder / "name", (1, 1))
    assert cachedir.read(str(folder), "name", look=True) == b"data"
    (entry,) = cachedir.entries(str(folder))
    assert entry.used == 1


def test_trim_leaves_writers_and_strangers_alone(folder: Path) -> None:
    (folder / f"{cachedir.TEMPORARY}1-new").write_bytes(b"half")
    (folder / f"{cachedir.TEMPORARY}1-old").write_bytes(b"half")
    os.utime(folder / f"{cachedir.TEMPORARY}1-old", (1, 1))
    (folder / "notes.txt").write_bytes(bytes(1000))
    assert [entry.name for entry in cachedir.trim(str(folder), 0)] == [f"{cachedir.TEMPORARY}1-old"]
    assert len(list(folder.iterdir())) == 2


def test_tidy_removes_empty_folders(folder: Path) -> None:
    (folder / "units/old").mkdir(parents=True)
    (folder / "units/new").mkdir()
    (folder / "units/new/x.pvu").touch()
    (folder / "tier0").mkdir()
    cachedir.tidy(str(folder))
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "units",
        "units/new",
        "units/new/x.pvu",
    ]
    (folder / "units/new/x.pvu").unlink()
    cachedir.tidy(str(folder))
    assert list(folder.iterdir()) == []
    cachedir.tidy(str(folder))


def test_a_cache_that_is_gone_has_no_entries(tmp_path: Path) -> None:
    assert list(cachedir.entries(str(tmp_path / "none"))) == []
    assert cachedir.trim(str(tmp_path / "none")) == []
