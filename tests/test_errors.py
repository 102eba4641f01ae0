"""The error family: table and pages agree, errors cross processes, and both ways of showing them are whole."""

from __future__ import annotations

import errno
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import polyvm
from polyvm import errors
from polyvm.errors import CODES, PolyvmError
from tests.conftest import ROOT

PAGES = ROOT / "docs" / "errors"

# The codes that the design promises to programs, with the exit status of each.
PROMISED = {
    "PVM-FILE-MISSING": 127,
    "PVM-FILE-DENIED": 126,
    "PVM-FILE-DIRECTORY": 126,
    "PVM-ELF-TRUNCATED": 126,
    "PVM-ELF-INVALID": 126,
    "PVM-ELF-CLASS": 126,
    "PVM-ELF-ENDIAN": 126,
    "PVM-ELF-MACHINE": 126,
    "PVM-ELF-INTERP": 126,
    "PVM-USAGE": 125,
    "PVM-RESOURCE": 125,
    "PVM-CACHE-UNTRUSTED": 125,
    "PVM-INTERNAL": 125,
}


class Odd(Exception):
    """An exception that cannot be unpickled: its constructor wants two arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_the_promised_codes_have_their_exit_statuses() -> None:
    assert {code: CODES[code].exit_status for code in PROMISED} == PROMISED


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {page.stem for page in PAGES.glob("PVM-*.md")} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_what_why_and_what_to_do(code: str) -> None:
    assert re.fullmatch(r"PVM(-[A-Z]+)+", code)
    text = (PAGES / f"{code}.md").read_text()
    info = CODES[code]
    assert info.summary.endswith(".")
    assert text.startswith(f"# {code}\n\n{info.summary} Exit status {info.exit_status}.\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Why", "What to do"]
    assert repr(info) == f"CodeInfo({info.summary!r}, {info.exit_status})"


def test_every_code_that_the_sources_name_is_in_the_table() -> None:
    named = {
        (match, path.name)
        for path in (ROOT / "src").rglob("*.py")
        for match in re.findall(r"[\"'](PVM-[A-Z-]+[A-Z])[\"']", path.read_text())
    }
    assert not [(code, file) for code, file in named if code not in CODES]


def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(KeyError):
        PolyvmError("PVM-NO-SUCH-THING", "Never.")


def test_context_keeps_what_the_innermost_layer_knew() -> None:
    error = PolyvmError(
        "PVM-MEMORY-FAULT", "No.", hint="map it", pc=0x1000, symbol=None, code="c", message="m"
    )
    assert error.add_context(pc=0x2000, symbol="main", guest="riscv64") is error
    assert error.context == {"pc": 0x1000, "symbol": "main", "guest": "riscv64", "code": "c", "message": "m"}
    assert error.code == "PVM-MEMORY-FAULT"
    assert error.exit_status == 125
    assert str(error) == "PVM-MEMORY-FAULT: No. (pc=0x1000, symbol=main, code=c, message=m, guest=riscv64)"
    assert str(PolyvmError("PVM-INTERNAL", "Oh.")) == "PVM-INTERNAL: Oh."


def test_pickling_keeps_everything_and_never_fails() -> None:
    error = PolyvmError(
        "PVM-ELF-INVALID",
        "No.",
        hint="look",
        path=Path("/x"),
        data=b"\x01",
        parts=[1, (2, Odd(1, 2))],
        more={1: "a"},
    )
    error.__cause__ = Odd(3, 4)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is PolyvmError
    assert (again.code, again.message, again.hint, again.exit_status) == (
        "PVM-ELF-INVALID",
        "No.",
        "look",
        126,
    )
    assert again.context == {"path": "/x", "data": b"\x01", "parts": [1, [2, "1 and 2"]], "more": {"1": "a"}}
    assert repr(again.__cause__) == "RuntimeError('Odd: 3 and 4')"


@pytest.mark.parametrize(
    "cause",
    [
        None,
        FileNotFoundError(2, "No such file", "/x"),
        MemoryError(),
        PolyvmError("PVM-INTERNAL", "Inner.", pc=1),
        ExceptionGroup("two", [Odd(1, 2), PolyvmError("PVM-USAGE", "One.")]),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_pickling_keeps_causes(cause: BaseException | None) -> None:
    error = PolyvmError("PVM-WORKER-DIED", "It died.")
    error.__cause__ = cause
    again = pickle.loads(pickle.dumps(error)).__cause__
    assert type(again) is type(cause)
    if isinstance(again, PolyvmError):
        assert again.context == {"pc": 1}
    if isinstance(again, OSError):
        assert (again.errno, again.filename) == (2, "/x")
    if isinstance(again, ExceptionGroup):
        assert [str(member) for member in again.exceptions] == ["Odd: 1 and 2", "PVM-USAGE: One."]


def test_a_subclass_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(Special("here")))
    assert type(again) is Special
    assert again.message == "It went wrong here."


class Special(PolyvmError):
    """A subclass with another constructor."""

    def __init__(self, where: str) -> None:
        super().__init__("PVM-INTERNAL", f"It went wrong {where}.")


def test_the_document_has_every_key_and_is_json() -> None:
    error = PolyvmError(
        "PVM-DECODE-UNKNOWN",
        "No such instruction.",
        pc=0x10AB4,
        size=4,
        bytes=b"\x00\xff",
        path=Path("/p"),
        ok=True,
        cycles=1.5,
        addresses=[1, 2],
        start=(16, 32),
        by_name={"pc": 255},
        nothing=None,
    )
    error.__cause__ = FileNotFoundError(errno.ENOENT, "No such file or directory", "/p")
    made = json.loads(json.dumps(error.to_json()))
    assert made == {
        "schema": "polyvm.error/1",
        "polyvm": polyvm.__version__,
        "code": "PVM-DECODE-UNKNOWN",
        "message": "No such instruction.",
        "context": {
            "pc": "0x10ab4",
            "size": 4,
            "bytes": "00 ff",
            "path": "/p",
            "ok": True,
            "cycles": 1.5,
            "addresses": [1, 2],
            "start": ["0x10", "0x20"],
            "by_name": {"pc": "0xff"},
            "nothing": None,
        },
        "hint": None,
        "docs": "docs/errors/PVM-DECODE-UNKNOWN.md",
        "causes": [
            {
                "code": None,
                "message": "FileNotFoundError: [Errno 2] No such file or directory: '/p'",
                "context": {},
                "hint": None,
                "docs": None,
                "causes": [],
                "errors": [],
            }
        ],
        "errors": [],
    }


def test_a_group_is_one_document_with_members() -> None:
    group = ExceptionGroup("2 files failed", [PolyvmError("PVM-FILE-MISSING", "A."), ValueError()])
    made = errors.document(group)
    assert made["code"] == "PVM-SEVERAL"
    assert made["message"] == "2 files failed"
    assert [(member["code"], member["message"]) for member in made["errors"]] == [
        ("PVM-FILE-MISSING", "A."),
        (None, "ValueError"),
    ]


def test_rendering_is_for_a_person_and_escapes_what_the_guest_chose() -> None:
    error = PolyvmError(
        "PVM-ELF-INTERP", "No linker.", hint="use --sysroot", path="/a\x1b[31m\udc80\nb", pc=4096
    )
    error.__cause__ = OSError("why")
    assert error.render() == (
        "PVM-ELF-INTERP: No linker.\n"
        "  path: /a\\x1b[31m\\udc80\\nb\n"
        "  pc: 0x1000\n"
        "  cause: OSError: why\n"
        "  hint: use --sysroot\n"
        "  page: docs/errors/PVM-ELF-INTERP.md"
    )


def test_rendering_groups_and_their_causes() -> None:
    group = ExceptionGroup("two", [PolyvmError("PVM-USAGE", "One.", names=["a", "b"]), ValueError("x")])
    outer = PolyvmError("PVM-INTERNAL", "Outer.")
    outer.__cause__ = group
    assert errors.render(group).splitlines() == [
        "PVM-SEVERAL: two",
        "  PVM-USAGE: One.",
        "    names: a, b",
        "    page: docs/errors/PVM-USAGE.md",
        "  ValueError: x",
    ]
    assert "    ValueError: x" in outer.render().splitlines()


def test_a_circle_of_causes_ends() -> None:
    first, second = PolyvmError("PVM-INTERNAL", "1."), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert errors.causes(first) == [second]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, "PVM-FILE-MISSING"),
        (errno.ENOTDIR, "PVM-FILE-MISSING"),
        (errno.EACCES, "PVM-FILE-DENIED"),
        (errno.EISDIR, "PVM-FILE-DIRECTORY"),
        (errno.ENOMEM, "PVM-RESOURCE"),
        (errno.EIO, "PVM-FILE-IO"),
    ],
)
def test_an_oserror_becomes_ours_in_one_place(number: int, code: str) -> None:
    error = errors.from_oserror(OSError(number, "Reason", b"/p\xff"), "Cannot open the program", size=3)
    assert error.code == code
    assert error.message == "Cannot open the program: Reason."
    assert error.context == {"size": 3, "path": "/p\udcff", "errno": errno.errorcode[number]}


def test_an_oserror_without_a_number() -> None:
    error = errors.from_oserror(OSError("odd"))
    assert (error.code, error.message, error.context) == ("PVM-FILE-IO", "odd.", {"errno": None})


def test_anything_becomes_something_with_a_code() -> None:
    own = PolyvmError("PVM-USAGE", "No.")
    group = ExceptionGroup("g", [own])
    assert errors.from_exception(own) is own
    assert errors.from_exception(group) is group
    made = [
        errors.from_exception(error)
        for error in (PermissionError(13, "No"), MemoryError(), ZeroDivisionError("x"))
    ]
    assert [error.code for error in made if isinstance(error, PolyvmError)] == [
        "PVM-FILE-DENIED",
        "PVM-RESOURCE",
        "PVM-INTERNAL",
    ]
    assert isinstance(made[2].__cause__, ZeroDivisionError)


def test_exit_statuses() -> None:
    missing, usage = PolyvmError("PVM-FILE-MISSING", "A."), PolyvmError("PVM-USAGE", "B.")
    assert errors.exit_status(missing) == 127
    assert errors.exit_status(ExceptionGroup("g", [missing, missing])) == 127
    assert errors.exit_status(ExceptionGroup("g", [missing, usage])) == 125
    assert errors.exit_status(ValueError()) == 125


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys; old = set(sys.modules); import polyvm.errors; print(*sorted(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"__future__", "polyvm", "polyvm.errors"}
