"""The manifest of this repository, and manifests that contradict themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyvm.bench import manifest
from polyvm.bench.options import SIZES
from polyvm.errors import PolyvmError

FOLDER = Path(__file__).parents[2] / "benchmarks"

ENTRY = """
[[workload]]
name = "one"
group = "int"
simd = ""
size = { full = "3", quick = "2", small = "1" }
output.full = "c"
output.quick = "b"
output.small = "a"
"""


def written(folder: Path, text: str) -> Path:
    (folder / "workloads").mkdir()
    (folder / "workloads" / "one.c").write_text("int main(void) { return 0; }\n")
    (folder / "manifest.toml").write_text(text)
    return folder


def test_this_repository_has_what_it_promises() -> None:
    found = manifest.load(FOLDER)
    in_c = [one for one in found if one.source is not None]
    assert len(in_c) >= 15
    assert {one.group for one in in_c} == {"int", "fp", "string"}
    assert {one.package for one in found if one.group == "real"} >= {"lua5.4", "sqlite3", "busybox-static"}
    sources = {path.stem for path in (FOLDER / "workloads").glob("*.c")} - {"hello"}
    assert sources == {one.name for one in in_c}
    assert all(one.size["small"] != one.size["full"] for one in found)


def test_it_is_found_from_a_checkout() -> None:
    assert manifest.locate().samefile(FOLDER)


def test_a_folder_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(PolyvmError, match=r"no manifest\.toml") as caught:
        manifest.locate(tmp_path)
    assert caught.value.code == "PVM-FILE-MISSING"


def test_selection_is_by_name_or_group_in_the_manifests_order() -> None:
    found = manifest.load(FOLDER)
    chosen = manifest.select(found, ("nbody", "string", "sieve"))
    assert next(one.name for one in chosen) == "sieve"
    assert {one.name for one in chosen} == {"sieve", "nbody", "lz", "json", "strings", "copying"}
    assert manifest.select(found, ()) == found
    with pytest.raises(PolyvmError, match="no workload or group is called 'seive'") as caught:
        manifest.select(found, ("seive",))
    assert "sieve" in (caught.value.hint or "")


def test_an_entry(tmp_path: Path) -> None:
    (one,) = manifest.load(written(tmp_path, ENTRY))
    assert (one.name, one.apart("riscv64"), one.size["full"], one.output["small"]) == ("one", False, "3", "a")


@pytest.mark.parametrize("mark", ["loop", "libc"])
def test_marks_of_what_is_reported_apart(tmp_path: Path, mark: str) -> None:
    (one,) = manifest.load(written(tmp_path, ENTRY.replace('simd = ""', f'simd = "{mark}"')))
    assert one.apart("riscv64")
    assert not one.apart("aarch64")  # it has vectors


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('group = "int"', 'group = "odd"', "has no group of"),
        ('group = "int"', 'group = "real"', "not be in group real"),
        ('simd = ""', 'simd = "some"', "unknown simd mark"),
        ('full = "3", ', "", f"needs the sizes {', '.join(SIZES)}"),
        ('output.small = "a"', "", "output for each size"),
        ('output.small = "a"', 'output.tiny = "a"', "output of an unknown size"),
        ('name = "one"', 'name = "two"', "has no source"),
        ("[[workload]]", "[[workload]", "is not TOML"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    folder = written(tmp_path, ENTRY.replace(old, new))
    with pytest.raises(PolyvmError, match=why) as caught:
        manifest.load(folder)
    assert caught.value.code == "PVM-BENCH-BUILD"


def test_twice(tmp_path: Path) -> None:
    folder = written(tmp_path, ENTRY + ENTRY)
    with pytest.raises(PolyvmError, match="is there twice"):
        manifest.load(folder)


@pytest.mark.parametrize("left_out", ["program", "package"])
def test_a_real_program_says_what_and_from_where(tmp_path: Path, left_out: str) -> None:
    folder = written(tmp_path, ENTRY)
    (folder / "real").mkdir()
    lines = {"program": 'program = "usr/bin/x"', "package": 'package = "x"'}
    lines.pop(left_out)
    sizes = 'size = { full = "3", quick = "2", small = "1" }'
    text = "\n".join(['[[workload]]\nname = "x"\ngroup = "real"', *lines.values(), sizes])
    (folder / "real" / "manifest.toml").write_text(text)
    with pytest.raises(PolyvmError, match="with a program and its package"):
        manifest.load(folder)
