"""The documentation keeps its word: what it generates is whole, and what it names, shows and runs is there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from polyvm.cli import main, options, rundocument
from polyvm.errors import CODES
from tests import toolchain
from tests.conftest import ROOT, script

DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
HOOKS = script(DOCS / "hooks.py")
SOURCES = "".join(path.read_text() for path in sorted((ROOT / "src/polyvm").rglob("*.py")))

pages = pytest.mark.parametrize("page", PAGES)


def blocks(language: str, page: str) -> list[str]:
    """A page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "<!-- generated" in text])
def test_what_is_generated_is_whole(page: str) -> None:
    asked = len(HOOKS.MARK.findall(PAGES[page]))
    made = HOOKS.on_page_markdown(PAGES[page])
    assert asked
    assert "<!-- generated" not in made
    assert len(made) > len(PAGES[page])


def test_the_tables_have_every_row() -> None:
    assert [code for code in CODES if f"[{code}]({code}.md)" not in HOOKS.errors()] == []
    assert [name for name in main.COMMANDS if f"## polyvm {name}\n" not in HOOKS.cli()] == []
    assert "`add rd, rs1, rs2`" in HOOKS.riscv64().replace("<code>", "`").replace("</code>", "`")
    assert "## `polyvm.run`" in HOOKS.python()


@pages
def test_instructions_stand_in_the_specification(page: str) -> None:
    for block in blocks("python", page):
        assert not block.startswith("@insn") or block in SOURCES


@pages
def test_links_and_files_that_it_names_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page]):
        assert (DOCS / page).parent.joinpath(target).exists(), target
    for name in re.findall(r"`((?:\w+/)+[\w.-]+\.(?:py|md|c|h|toml|json))`", PAGES[page]):
        below = [ROOT / name, ROOT / "src/polyvm" / name, ROOT / "src/polyvm/isa/riscv64" / name]
        assert any(path.exists() for path in below), name


def commands(page: str) -> list[list[str]]:
    """The words of each command in a page's console blocks, without comments and redirections."""
    found = []
    for block in blocks("console", page):
        for line in block.splitlines():
            if line.startswith("$ "):
                words = shlex.split(line[2:], comments=True)
                found.append([word for word in words if not re.match(r"\d*[<>]", word)])
    return found


@pages
def test_the_commands_that_it_shows_are_taken(page: str) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(page):
        if words[0] == "make":
            assert words[1] in targets
        elif words[0] == "polyvm":
            command = main.load(words[1]).COMMAND
            values = options.parse(command, words[2:], {})
            assert values.arguments or command.takes[0] == 0, words


@pytest.mark.parametrize(
    "page", ["how-to/bare-code.md", "how-to/from-python.md", "tutorial/first-program.md"]
)
def test_its_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hello-riscv64", "program-riscv64"):
        shutil.copy(toolchain.build("hello.c"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for block in blocks("python", page):
        exec(compile(block, page, "exec"), {"polyvm": __import__("polyvm")})


def test_json_documents_have_the_keys_that_are_described() -> None:
    page = PAGES["reference/json.md"]
    sections = dict(re.findall(r"^## (polyvm\.\w+/1)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    document = rundocument.empty("program", ["program"])
    told = set(re.findall(r"\w+", sections["polyvm.run/1"]))
    assert set(document) - {"schema"} <= told | {"polyvm"}
    for inner in (
        document["exit"],
        document["tiers"]["golden"],
        document["cache"],
        document["cache"]["jump"],
    ):
        assert set(inner) <= told


def test_the_language_that_is_taught_is_there() -> None:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

    page = PAGES["explanation/add-an-instruction.md"]
    table = page[page.index("| to say |") : page.index("Widths must agree")]
    of_machine = {name for name in re.findall(r"\bm\.(\w+)", table) if name not in ("x",)}
    of_values = set(re.findall(r"[`\s(]\.(\w+)", table))
    assert len(of_machine) > 10
    assert len(of_values) > 10
    assert [name for name in of_machine if not hasattr(Tracer, name)] == []
    assert [name for name in of_values if not hasattr(Val, name)] == []
