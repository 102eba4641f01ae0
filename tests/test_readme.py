"""The README keeps its word: its Python runs, its instruction and its figures are the sources', its links lead on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests import toolchain
from tests.conftest import ROOT, script

README = (ROOT / "README.md").read_text()
SPECIFICATION = ROOT / "src/polyvm/isa/riscv64"


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_instruction_stands_in_the_file_that_it_names() -> None:
    (block,) = (block for block in blocks("python") if block.startswith("@insn"))
    (named,) = re.findall(r"\]\((src/polyvm/isa/[\w/]+\.py)\)", README)
    assert block in (ROOT / named).read_text()


def test_the_python_is_eight_lines_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = (block for block in blocks("python") if block.startswith("import polyvm"))
    assert len(code.splitlines()) == 8
    shutil.copy(toolchain.build("hello.c"), tmp_path / "hello-riscv64")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith(" 0x4000000000000000\n")


def test_the_files_that_it_links_to_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_its_commands_are_those_of_the_makefile() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"\bmake ([\w-]+)`|\$ make ([\w-]+)", README)
    assert named
    assert {one or other for one, other in named} <= set(targets)


def test_the_state_of_the_guest_is_the_specification() -> None:
    from polyvm.isa.riscv64 import everything

    (row,) = re.findall(r"^\| `riscv64` \|(.*)$", README, re.MULTILINE)
    names = [extension.name for extension in everything().extensions]
    assert "RV64GC" in row
    assert set("IMAFDCV") <= set(names)
    assert {name for name in names if len(name) > 1} == set(re.findall(r"\bZ\w+", row))


def test_the_figures_are_those_that_were_measured() -> None:
    figures = script(ROOT / "docs" / "figures.py")
    kept = json.loads(figures.KEPT.read_text())
    assert figures.fill(README, kept) == README, "run: python docs/figures.py"
    assert not kept["interrupted"]


def test_figures_are_taken_from_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = script(ROOT / "docs" / "figures.py")
    document = json.loads(figures.KEPT.read_text())
    del document["counts"]
    rows = [("int", False), ("int", True), ("fp", False)]
    document["workloads"] = [{"group": group, "apart": apart} for group, apart in rows]
    document["machine"]["load"] = [0.0, 0.0, 0.0]
    document["flags"].update(size="full", runs=3)
    (tmp_path / "bench.json").write_text(json.dumps(document))
    (tmp_path / "README.md").write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    monkeypatch.setattr(figures, "KEPT", tmp_path / "figures.json")
    monkeypatch.setattr(figures, "README", tmp_path / "README.md")
    figures.main([str(tmp_path / "bench.json")])
    kept = json.loads((tmp_path / "figures.json").read_text())
    assert kept["counts"] == {"int": 1, "apart": 1, "fp": 1, "c": 2}
    written = (tmp_path / "README.md").read_text()
    assert written.startswith(f"before\n{figures.BEGIN}\n\n| geometric mean")
    assert written.endswith(f"\n{figures.END}\nafter\n")
    assert "old" not in written
    assert "`polyvm bench --peers native,qemu --no-march` printed" in written
    assert "busy" not in written
