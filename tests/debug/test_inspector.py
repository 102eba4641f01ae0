"""The terminal view, driven by textual's own test driver: what it shows, its keys, and a guest in a terminal in it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Label, Static, TabbedContent

from polyvm.debug.guestprocess import GuestProcess
from polyvm.debug.inspector import Inspector
from polyvm.debug.live import SCHEMA
from polyvm.debug.terminal import Terminal, encode
from tests import toolchain

WIDE, NARROW = (140, 40), (80, 30)


def picture(number: int, **changes: Any) -> dict[str, Any]:
    """A picture as debug.live writes it; calls grow with its number."""
    whole: dict[str, Any] = {
        "schema": SCHEMA, "polyvm": "0", "pid": 4711, "guest": "riscv64", "argv": ["/bin/odd[bold]name", "x"],
        "now_s": 0.5 * number, "recent_s": 2.0, "ended": None, "cpu_s": 0.25 * number, "resident": 20 << 20,
        "tiers": {"region": 3.0, "baseline": 1.0, "interpreter": 0.0, "golden": 0.0, "kernel": 0.5, "engine": 0.5},
        "tiers_recent": {"region": 1.5, "baseline": 0.5},
        "regions": [
            {"pc": "0x10624", "name": "[main]", "cpu_s": 2.5, "recent_s": 1.0, "insns": 383, "bytes": 15224,
             "entries": 2, "compiled": True, "compile_s": 0.25},
            {"pc": "0x10700", "name": "second", "cpu_s": 0.5, "recent_s": 0.5, "insns": 12, "bytes": 800, "entries": 1,
             "compiled": False, "compile_s": 0.01},
        ],
        "code": {"regions": 2, "region_bytes": 16024, "region_limit": 64 << 20, "compiled": 1, "compile_s": 0.25,
                 "waiting": 3, "hits": 1, "misses": 2, "written": 1, "evicted": 0, "dropped": 0, "baseline_bytes": 4096,
                 "baseline_limit": 64 << 20, "baseline_resets": 1},
        "calls": [["read", 100 * number, 1, 50], ["write", 5, 0, 5]],
        "exits": {"SYSCALL": 10, "HOT": 3},
        "threads": [{"tid": 4711, "cpu_s": 1.0, "state": "R", "native": True, "function": "[main]"},
                    {"tid": 4712, "cpu_s": 0.0, "state": "S", "native": False, "function": None}],
        "events": [{"when_s": 0.1, "pc": "0x10624", "name": "[main]", "compiled": True, "insns": 383,
                    "compile_s": 0.25}],
    }  # fmt: skip
    return whole | changes


class Shown:
    """Something to read: the picture that a test has put there."""

    def __init__(self) -> None:
        self.number = 0
        self.found: tuple[int, dict[str, Any]] | None = None

    def put(self, **changes: Any) -> None:
        self.number += 1
        self.found = self.number, picture(self.number, **changes)

    def read(self) -> tuple[int, dict[str, Any]] | None:
        return self.found


def drive(
    app: Inspector, steps: Callable[[Pilot[int]], Awaitable[None]], size: tuple[int, int] = WIDE
) -> None:
    """Run the view without a terminal, and what a user does."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(pilot)

    asyncio.run(run())


def cells(app: Inspector, name: str) -> list[list[str]]:
    table = app.query_one(f"#{name}", DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def text(app: Inspector, name: str) -> str:
    return str(app.query_one(f"#{name}", Label).render())


async def until(pilot: Pilot[int], what: Callable[[], object]) -> None:
    """Wait until something is so; a test that waits for ever is ended by its timeout."""
    while not what():
        await pilot.pause(0.02)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_picture_is_shown(size: tuple[int, int]) -> None:
    shown = Shown()
    app = Inspector(shown.read)

    async def steps(pilot: Pilot[int]) -> None:
        assert "waiting" in text(app, "head")
        shown.put()
        app.look()
        await pilot.pause()
        assert "odd[bold]name  riscv64  process 4711" in text(app, "head")
        assert "running" in text(app, "head")
        assert cells(app, "table-regions")[0][:5] == ["50%", "2.50 s", "[main]", "0x10624", "383"]
        assert cells(app, "table-regions")[1][-1] == "from disk"
        assert cells(app, "table-calls")[0] == ["read", "100", "1", "50", ""]
        assert [row[1] for row in cells(app, "table-threads")] == ["running", "waiting"]
        assert cells(app, "table-events")[0][:3] == ["100 ms", "compiled", "[main]"]
        shown.put()
        app.look()
        assert cells(app, "table-calls")[0][-1] == "200"  # a second
        assert "processor 50%" in text(app, "load-title")

    drive(app, steps, size)


def test_keys_go_to_views() -> None:
    shown = Shown()
    app = Inspector(shown.read)

    async def steps(pilot: Pilot[int]) -> None:
        shown.put()
        for key, view in zip("12345", ("regions", "calls", "threads", "events", "terminal"), strict=True):
            await pilot.press(key)
            assert app.query_one(TabbedContent).active == view
        assert "started elsewhere" in str(app.query_one("#elsewhere", Static).render())
        await pilot.press("i")
        assert "started elsewhere" in text(app, "note")

    drive(app, steps)


def test_a_held_view_stands_still() -> None:
    shown = Shown()
    app = Inspector(shown.read)

    async def steps(pilot: Pilot[int]) -> None:
        shown.put()
        app.look()
        await pilot.press("p")
        shown.put()
        app.look()
        assert app.number == 1
        assert "held" in text(app, "note")
        await pilot.press("p")
        assert app.number == 2

    drive(app, steps)


def test_the_chosen_row_stays_chosen() -> None:
    shown = Shown()
    app = Inspector(shown.read)

    async def steps(pilot: Pilot[int]) -> None:
        shown.put()
        app.look()
        table = app.query_one("#table-regions", DataTable)
        table.focus()
        await pilot.press("down")
        assert table.cursor_row == 1
        shown.put()
        app.look()
        assert table.cursor_row == 1
        shown.put(regions=[])
        app.look()
        assert table.row_count == 0

    drive(app, steps)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ({"kind": "exited", "status": 3, "signal": None}, "exited with 3"),
        ({"kind": "signaled", "status": None, "signal": 11}, "killed by signal 11"),
        ({"kind": "timeout", "status": None, "signal": None}, "timeout"),
    ],
)
def test_an_end_is_told(end: dict[str, Any], said: str) -> None:
    shown = Shown()
    app = Inspector(shown.read)

    async def steps(pilot: Pilot[int]) -> None:
        shown.put(ended=end)
        app.look()
        assert said in text(app, "head")
        await pilot.press("q")

    drive(app, steps)
    assert app.return_value == 0


# ------------------------------------------------------------------------------------------------ a guest in it
ASKS = r"""
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(void) {
    char line[100];
    printf("\033[1;31mterminal %d\033[0m\nname? ", isatty(0) + isatty(1));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        struct winsize size;
        ioctl(1, TIOCGWINSZ, &size);
        line[strcspn(line, "\n")] = 0;
        printf("<%s> %d\n", line, size.ws_col > 20);
        if (!strcmp(line, "end")) return 7;
    }
    return 1;
}
"""


@pytest.fixture
def guest() -> Iterator[GuestProcess]:
    """A program that asks at its terminal."""
    program = toolchain.build(ASKS, name="asks")
    made = GuestProcess(
        lambda where: [sys.executable, "-m", "polyvm", "run", "--quiet", "--live", where, str(program)]
    )
    yield made
    made.end()
    os.close(made.fd)


@pytest.mark.timeout(200)
def test_a_guest_reads_and_writes_its_terminal(guest: GuestProcess) -> None:
    app = Inspector(guest.read, guest)

    async def steps(pilot: Pilot[int]) -> None:
        screen = app.query_one(Terminal)
        await until(pilot, lambda: "name?" in screen.text)
        assert "terminal 2" in screen.text
        await pilot.press("i")
        await until(pilot, lambda: screen.has_focus)
        assert "Ctrl-]" in text(app, "note")
        await pilot.press(*"q2", "enter")  # keys of ours, were it not for the guest
        await until(pilot, lambda: "<q2> 1" in screen.text)
        assert app.query_one(TabbedContent).active == "terminal"
        await pilot.press("ctrl+right_square_bracket")
        await until(pilot, lambda: not screen.has_focus)
        await pilot.press("1")
        assert app.query_one(TabbedContent).active == "regions"
        await until(pilot, lambda: "process" in text(app, "head"))
        guest.send(b"end\r")
        await until(pilot, lambda: guest.status is not None)
        await until(pilot, lambda: "exited with 7" in text(app, "head"))
        assert "<end>" in screen.text
        await pilot.press("q")

    drive(app, steps)
    assert app.return_value == 7


@pytest.mark.timeout(200)
def test_quitting_ends_the_guest(guest: GuestProcess) -> None:
    app = Inspector(guest.read, guest)

    async def steps(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "name?" in app.query_one(Terminal).text)
        await pilot.press("q")

    drive(app, steps)
    assert app.return_value == 0
    assert guest.status is not None
    assert not Path(f"/proc/{guest.pid}").exists()


def test_a_command_that_cannot_be_started_is_told() -> None:
    guest = GuestProcess(lambda where: ["/nowhere/python"])
    app = Inspector(guest.read, guest)

    async def steps(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: guest.status is not None)
        await until(pilot, lambda: "before there was anything" in text(app, "head"))
        assert "/nowhere/python" in app.query_one(Terminal).text
        await pilot.press("q")

    drive(app, steps)
    assert app.return_value == 125
    os.close(guest.fd)


# ------------------------------------------------------------------------------------------------ keys and screens
@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", b"a"), ("A", "A", b"A"), ("ä", "ä", "ä".encode()), ("space", " ", b" "), ("enter", "\r", b"\r"),
        ("ctrl+c", "\x03", b"\x03"), ("ctrl+z", "\x1a", b"\x1a"), ("up", None, b"\x1b[A"), ("end", None, b"\x1b[F"),
        ("backspace", "\x7f", b"\x7f"), ("f5", None, b"\x1b[15~"), ("shift+tab", None, b"\x1b[Z"), ("f35", None, b""),
    ],
)  # fmt: skip
def test_keys_as_terminals_send_them(key: str, character: str | None, sent: bytes) -> None:
    assert encode(key, character) == sent


def test_cursor_keys_of_an_application() -> None:
    assert encode("left", None, application=True) == b"\x1bOD"


def test_odd_output_is_a_screen_all_the_same() -> None:
    sent: list[bytes] = []
    screen = Terminal(sent.append, lambda rows, columns: None)
    screen.feed(
        b"\x1b[38;2;1;2;3mred\x1b[0m \x1b[93myellow\x1b[10;5H\xff\xfe\x1b]0;title\x07 \x1b[?1049h\x1b[5"
    )
    screen.feed(b"nend")
    assert "red yellow" in screen.text
    assert screen.render_line(0).cell_length > 0
