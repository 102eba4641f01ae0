"""The documentation keeps its word: what it generates is whole, and what it names, shows and runs is there."""

from __future__ import annotations

import json
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
    "page",
    ["how-to/bare-code.md", "how-to/from-python.md", "how-to/write-a-vmm.md", "tutorial/first-program.md"],
)
def test_its_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hello-riscv64", "program-riscv64"):
        shutil.copy(toolchain.build("hello.c"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names = {"polyvm": __import__("polyvm")}  # a page is read from its beginning
    for block in blocks("python", page):
        exec(compile(block, page, "exec"), names)


# Keys whose values have keys of their own choosing: names of signals, peers, fields...
MAPS = {"exits", "syscalls", "unknown_syscalls", "faults", "tiers", "peers", "kinds", "shape", "accels", "guests",
        "context", "geomean", "geomean_wall", "worst_of", "vs_native", "counts", "tier_mips"}  # fmt: skip


def keys(value: object) -> set[str]:
    """Every key in a document that the schema chose."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found.add(key)
            if key not in MAPS:
                found |= keys(inner)
            elif isinstance(inner, dict):
                for one in inner.values():
                    found |= keys(one)
    elif isinstance(value, list):
        for inner in value:
            found |= keys(inner)
    return found


@pytest.mark.parametrize(
    "words",
    [
        ["isa", "list"],
        ["isa", "list", "riscv64"],
        ["isa", "coverage"],
        ["explain", "addi"],
        ["disasm", "--bytes", "33a5b520"],
        ["doctor"],
        ["cache", "info"],
        ["cache", "ls"],
        ["cache", "verify"],
        ["cache", "prune"],
        ["cache", "clear"],
        ["explain", "no-such-instruction"],
    ],
    ids=" ".join,
)
def test_json_documents_are_described(
    words: list[str], cold_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main.main([*words, "--json"])
    _described(json.loads(capsys.readouterr().out))


def test_the_documents_of_runs_and_benchmarks_are_described() -> None:
    _described(rundocument.empty("program", ["program"]))
    kept = json.loads((DOCS / "figures.json").read_text())
    _described({key: value for key, value in kept.items() if key != "counts"})


def _described(document: dict[str, object]) -> None:
    """Every key of a document stands in the page, in a section that names the document."""
    schema = document["schema"]
    sections = re.split(r"^(?=## )", PAGES["reference/json.md"], flags=re.MULTILINE)
    kin = str(schema).split("-")[0].removesuffix("/1")
    told = "".join(text for text in sections if f"{kin}/1" in text.split("\n", 1)[0])
    assert str(schema) in told
    known = set(re.findall(r"[\w-]+", told)) | {"schema", "polyvm"}
    for names in re.findall(r"[\w-]+(?:\|[\w-]+)+", told):
        known |= set(names.split("|"))
    assert sorted(keys(document) - known) == []


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
