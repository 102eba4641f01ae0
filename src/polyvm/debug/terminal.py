"""A guest's terminal inside of ours: what it writes as a screen, and the keys that are meant for it.

pyte understands what terminals are told; this draws its screen as a widget of textual. Nothing of the guest's output
reaches the real terminal as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyte
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events

RELEASE = "ctrl+right_square_bracket"
"""The key that gives the keyboard back, as telnet has it."""
CURSOR_KEYS = 1 << 5  # pyte's number of DECCKM
_ARROWS = {"up": b"A", "down": b"B", "right": b"C", "left": b"D", "home": b"H", "end": b"F"}
_KEYS = {
    "enter": b"\r", "tab": b"\t", "shift+tab": b"\x1b[Z", "backspace": b"\x7f", "escape": b"\x1b", "delete": b"\x1b[3~",
    "insert": b"\x1b[2~", "pageup": b"\x1b[5~", "pagedown": b"\x1b[6~", "ctrl+@": b"\0", "ctrl+backslash": b"\x1c",
    "ctrl+underscore": b"\x1f", "f1": b"\x1bOP", "f2": b"\x1bOQ", "f3": b"\x1bOR", "f4": b"\x1bOS", "f5": b"\x1b[15~",
    "f6": b"\x1b[17~", "f7": b"\x1b[18~", "f8": b"\x1b[19~", "f9": b"\x1b[20~", "f10": b"\x1b[21~", "f11": b"\x1b[23~",
    "f12": b"\x1b[24~",
}  # fmt: skip


def encode(key: str, character: str | None, application: bool = False) -> bytes:
    """What a terminal sends for a key, by textual's name of it; nothing for one that terminals do not know.

    application: whether the cursor keys are those of an application (DECCKM).
    """
    if key in _KEYS:
        return _KEYS[key]
    if key in _ARROWS:
        return (b"\x1bO" if application else b"\x1b[") + _ARROWS[key]
    letter = key.removeprefix("ctrl+")
    if letter != key and len(letter) == 1 and "a" <= letter <= "z":
        return bytes([ord(letter) - ord("a") + 1])
    return character.encode() if character else b""


class Terminal(Widget, can_focus=True):
    """The screen of a guest. send: given what is typed. sized: told (rows, columns)."""

    DEFAULT_CSS = "Terminal { height: 1fr; border: round $panel; } Terminal:focus { border: heavy $accent; }"

    def __init__(
        self, send: Callable[[bytes], object], sized: Callable[[int, int], object], **options: Any
    ) -> None:
        super().__init__(**options)
        self.send = send
        self.sized = sized
        self.screen_ = pyte.HistoryScreen(80, 24, history=2000, ratio=0.5)
        self.stream = pyte.ByteStream(self.screen_)
        self.ended = ""

    def feed(self, data: bytes) -> None:
        """The guest has written something."""
        try:
            self.stream.feed(data)
        except Exception:  # the library raises what odd sequences lead to; the next ones are understood again
            self.stream = pyte.ByteStream(self.screen_)
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """The widget has another size: so has the guest's terminal."""
        rows, columns = max(2, self.size.height), max(2, self.size.width)
        if (rows, columns) != (self.screen_.lines, self.screen_.columns):
            self.screen_.resize(rows, columns)
            self.sized(rows, columns)

    def render_line(self, y: int) -> Strip:
        """A line of the screen."""
        screen = self.screen_
        if y >= screen.lines:
            return Strip.blank(self.size.width)
        line = screen.buffer[y]
        segments: list[Segment] = []
        text, last = "", None
        for x in range(screen.columns):
            char = line[x]
            cursor = self.has_focus and y == screen.cursor.y and x == screen.cursor.x
            style = _style(char, cursor)
            if style != last and text:
                segments.append(Segment(text, last))
                text = ""
            text, last = text + (char.data or ""), style
        segments.append(Segment(text, last))
        return Strip(segments)

    async def on_key(self, event: events.Key) -> None:
        """A key goes to the guest, but for the one that gives the keyboard back."""
        if event.key == RELEASE:
            self.blur()
        else:
            data = encode(event.key, event.character, CURSOR_KEYS in self.screen_.mode)
            if data:
                self.send(data)
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Text that is put in goes to the guest."""
        self.send(event.text.encode())
        event.stop()

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        return "\n".join(line.rstrip() for line in self.screen_.display).rstrip()


def _style(char: Any, cursor: bool) -> Style:
    return Style(
        color=_colour(char.fg), bgcolor=_colour(char.bg), bold=char.bold, italic=char.italics,
        underline=char.underscore,
        reverse=char.reverse != cursor,
    )  # fmt: skip


_NAMES = {"brown": "yellow", "brightbrown": "bright_yellow"}


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdefABCDEF" for digit in name):
        return f"#{name}"
    name = _NAMES.get(name, name)
    return name.replace("bright", "bright_") if name.startswith("bright") and "_" not in name else name
