"""README and documentation keep their word: instructions are the specification's, links lead somewhere."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


PAGES = {path.name: path.read_text() for path in (ROOT / "docs").rglob("*.md")}
SPECIFICATION = "".join(path.read_text() for path in (ROOT / "src/polyvm/isa").rglob("*.py"))


def blocks(language: str, text: str = README) -> list[str]:
    """A page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", [README, *PAGES.values()], ids=["README.md", *PAGES])
def test_instructions_stand_in_the_specification(text: str) -> None:
    for block in blocks("python", text):
        assert not block.startswith("@insn") or block in SPECIFICATION


def test_the_readme_shows_an_instruction() -> None:
    assert [block for block in blocks("python") if block.startswith("@insn")]


def test_the_python_is_eight_lines() -> None:
    (code,) = (block for block in blocks("python") if block.startswith("import polyvm"))
    assert len(code.splitlines()) == 8


def test_the_files_that_it_links_to_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
