"""A terminal view of a running program: its tiers, hottest regions, code, system calls and threads.

Shows what debug.live keeps, four times a second; asks the guest for nothing. A guest that it started has a terminal of
its own in one of the views, with its output and its keyboard.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Label, Sparkline, Static, TabbedContent, TabPane

from polyvm.debug.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.debug.guestprocess import GuestProcess

    Json = dict[str, Any]

REFRESH_S = 0.25
HISTORY = 120
TIERS = {
    "region": ("Regions", "blue", "█"),
    "baseline": ("Stencils", "green", "▓"),
    "interpreter": ("Interpreter", "yellow", "▒"),
    "golden": ("Golden", "magenta", "◆"),
    "kernel": ("Kernel", "bright_black", "░"),
    "engine": ("Engine", "red", "▚"),
}
STATES = {
    "R": "running",
    "S": "waiting",
    "D": "in the disk",
    "T": "stopped",
    "t": "traced",
    "Z": "over",
    "": "over",
}
VIEWS = ("regions", "calls", "threads", "events", "terminal")


class Inspector(App[int]):
    """The view. read: the picture that holds now (debug.live), or None. guest: what was started for it, if it was."""

    TITLE = "polyvm inspect"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #top { height: auto; padding: 0 1; }
    #tiers { width: 60; height: auto; } #facts { width: 2fr; height: auto; padding-left: 1; }
    #load { width: 1fr; height: 7; padding-left: 2; } #load Sparkline { height: 5; }
    #head { width: 1fr; height: 1; background: $panel; padding: 0 1; }
    #note { height: 1; padding: 0 1; color: $text-muted; }
    TabbedContent { height: 1fr; } TabPane { padding: 0; } DataTable { height: 1fr; }
    .narrow #load { display: none; } .narrow #top { layout: vertical; } .narrow #facts { padding-left: 0; width: 1fr; }
    .narrow #tiers { width: 1fr; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("1", "view('regions')", "Regions"),
        Binding("2", "view('calls')", "Calls"),
        Binding("3", "view('threads')", "Threads"),
        Binding("4", "view('events')", "Events"),
        Binding("5", "view('terminal')", "Terminal"),
        Binding("i", "type", "Type into it"),
        Binding("p", "pause", "Hold the view"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+c", "leave", "Quit", show=False, priority=False),
    ]

    def __init__(
        self, read: Callable[[], tuple[int, Json] | None], guest: GuestProcess | None = None
    ) -> None:
        super().__init__()
        self.read = read
        self.guest = guest
        self.number = 0
        self.picture: Json | None = None
        self.held = False
        self.load: list[float] = []
        self.before: tuple[float, float] | None = None

    def compose(self) -> ComposeResult:
        """The widgets."""
        yield Label("waiting for the program ...", id="head", markup=False)
        with Horizontal(id="top"):
            yield Static(id="tiers")
            yield Static(id="facts")
            with Vertical(id="load"):
                yield Label("processor", id="load-title", markup=False)
                yield Sparkline([0.0], summary_function=max)
        with TabbedContent(initial="regions"):
            with TabPane("Regions", id="regions"):
                yield _table(
                    "table-regions",
                    "now",
                    "total",
                    "function",
                    "at",
                    "insns",
                    "host code",
                    "entries",
                    "compiling",
                    "came",
                )
            with TabPane("System calls", id="calls"):
                yield _table("table-calls", "call", "count", "failed", "native", "a second")
            with TabPane("Threads", id="threads"):
                yield _table("table-threads", "thread", "state", "processor", "in", "last seen in")
            with TabPane("Events", id="events"):
                yield _table("table-events", "at", "what", "function", "address", "insns", "compiling")
            with TabPane("Terminal", id="terminal"):
                if self.guest is None:
                    yield Static(
                        "The program has a terminal of its own: it was started elsewhere.", id="elsewhere"
                    )
                else:
                    yield Terminal(self.guest.send, self.guest.resize, id="screen")
        yield Label("", id="note", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin."""
        self.set_interval(REFRESH_S, self.look)
        if self.guest is not None:
            asyncio.get_running_loop().add_reader(self.guest.fd, self._output)
        self.look()

    def on_resize(self) -> None:
        """What has no room beside each other goes below each other."""
        self.set_class(self.size.width < 110, "narrow")

    # -- the guest's terminal
    def _output(self) -> None:
        assert self.guest is not None
        data = self.guest.receive()
        if data:
            self.query_one(Terminal).feed(data)
        elif data is None:
            asyncio.get_running_loop().remove_reader(self.guest.fd)
            self.look()

    # -- keys
    def action_view(self, name: str) -> None:
        """Show one of the views."""
        self.query_one(TabbedContent).active = name

    def action_type(self) -> None:
        """Give the keyboard to the guest."""
        if self.guest is None:
            self._tell("The program was started elsewhere, and so was its keyboard.")
            return
        self.action_view("terminal")
        self.query_one(Terminal).focus()

    def action_pause(self) -> None:
        """Hold the view, or let it go on. The program does not stop."""
        self.held = not self.held
        self._tell("The view is held, the program is not; p goes on." if self.held else "")
        self.look()

    def action_leave(self) -> None:
        """Quit, and end the program that was started."""
        self.exit(0 if self.guest is None else self.guest.end())

    async def action_quit(self) -> None:
        """As q."""
        self.action_leave()

    def on_descendant_focus(self) -> None:
        """Say how the keyboard comes back."""
        typing = isinstance(self.focused, Terminal)
        self._tell("Keys go to the program; Ctrl-] gives the keyboard back." if typing else "")

    def on_descendant_blur(self) -> None:
        """The keyboard is ours again."""
        self._tell("")

    def _tell(self, text: str) -> None:
        self.query_one("#note", Label).update(text)

    # -- pictures
    def look(self) -> None:
        """Show the picture that holds now."""
        found = self.read()
        if found is not None and found[0] != self.number and not self.held:
            self.number, self.picture = found
            self.show(self.picture)
        elif self.guest is not None and self.guest.status is not None and self.picture is None:
            self.query_one("#head", Label).update(
                f"It has ended with {self.guest.status}, before there was anything to see."
            )
            self.action_view("terminal")

    def show(self, picture: Json) -> None:
        """Fill in everything."""
        self._head(picture)
        self.query_one("#tiers", Static).update(_tiers(picture))
        self.query_one("#facts", Static).update(_facts(picture))
        spent = max(picture["recent_s"], 1e-3)
        regions: list[tuple[str, ...]] = [
            (f"{100 * r['recent_s'] / spent:.0f}%", _seconds(r["cpu_s"]), r["name"], r["pc"], f"{r['insns']:,}",
             _size(r["bytes"]), str(r["entries"]), _seconds(r["compile_s"]),
             "compiled" if r["compiled"] else "from disk")
            for r in picture["regions"]
        ]  # fmt: skip
        self._fill("table-regions", regions)
        rate = self._rates(picture)
        self._fill(
            "table-calls",
            [
                (name, f"{count:,}", f"{errors:,}", f"{native:,}", rate.get(name, ""))
                for name, count, errors, native in picture["calls"]
            ],
        )
        self._fill(
            "table-threads",
            [
                (str(t["tid"]), STATES.get(t["state"], t["state"]), _seconds(t["cpu_s"]),
                 "native code" if t["native"] else "Python",
                 t["function"] or "")
                for t in picture["threads"]
            ],
        )  # fmt: skip
        self._fill(
            "table-events",
            [
                (_seconds(e["when_s"]), "compiled" if e["compiled"] else "from disk", e["name"], e["pc"],
                 f"{e['insns']:,}",
                 _seconds(e["compile_s"]))
                for e in picture["events"]
            ],
        )  # fmt: skip

    def _rates(self, picture: Json) -> dict[str, str]:
        before, self.calls_before = (
            getattr(self, "calls_before", None),
            (
                picture["now_s"],
                {call[0]: call[1] for call in picture["calls"]},
            ),
        )
        if before is None or picture["now_s"] <= before[0]:
            return {}
        passed = picture["now_s"] - before[0]
        return {
            name: f"{(count - before[1].get(name, 0)) / passed:,.0f}"
            for name, count in self.calls_before[1].items()
            if count > before[1].get(name, 0)
        }

    def _head(self, picture: Json) -> None:
        now, cpu = picture["now_s"], picture["cpu_s"]
        load = 0.0
        if self.before is not None and now > self.before[0]:
            load = max(0.0, (cpu - self.before[1]) / (now - self.before[0]))
            self.load = [*self.load[-HISTORY + 1 :], load]
            self.query_one(Sparkline).data = self.load
        self.before = now, cpu
        end = picture["ended"]
        state = "running" if end is None else _ending(end)
        if self.guest is not None and self.guest.status is not None and end is None:
            state = f"ended with {self.guest.status}"
        self.query_one("#head", Label).update(
            f"{os.path.basename([*picture['argv'], '?'][0])}  {picture['guest']}  process {picture['pid']}  "
            f"{'●' if end is None else '■'} {state}  {_seconds(now)}"
        )
        self.query_one("#load-title", Label).update(f"processor {100 * load:.0f}%")

    def _fill(self, name: str, rows: list[tuple[str, ...]]) -> None:
        table = self.query_one(f"#{name}", DataTable)
        place, offset = table.cursor_row, table.scroll_offset
        table.clear()
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        if rows:
            table.move_cursor(row=min(place, len(rows) - 1), animate=False, scroll=False)
            table.scroll_to(offset.x, offset.y, animate=False)


def _table(name: str, *columns: str) -> DataTable[Text]:
    table: DataTable[Text] = DataTable(id=name, cursor_type="row", zebra_stripes=True)
    table.add_columns(*columns)
    return table


def _tiers(picture: Json) -> Table:
    """What runs now, as bars, each with a letter of its own, and what ran so far."""
    table = Table.grid(padding=(0, 1))
    recent, total = sum(picture["tiers_recent"].values()), sum(picture["tiers"].values())
    for tier, (name, colour, block) in TIERS.items():
        now, ever = picture["tiers_recent"].get(tier, 0.0), picture["tiers"].get(tier, 0.0)
        if not ever and tier in ("golden", "kernel"):
            continue
        share = now / recent if recent else 0.0
        bar = Text(block * round(16 * share), style=colour, no_wrap=True)
        table.add_row(
            name, bar + Text("·" * (16 - round(16 * share)), style="dim"),
            f"{100 * share:3.0f}% now", f"{100 * ever / total if total else 0:3.0f}% of all", _seconds(ever),
        )  # fmt: skip
    return table


def _facts(picture: Json) -> Table:
    """The code cache and the exits."""
    code = picture["code"]
    table = Table.grid(padding=(0, 1))
    looked = code["hits"] + code["misses"]
    table.add_row(
        "Regions", f"{code['regions']:,}, {_size(code['region_bytes'])} of {_size(code['region_limit'])}"
    )
    table.add_row(
        "Compiled", f"{code['compiled']:,} in {_seconds(code['compile_s'])}, {code['waiting']} waiting"
    )
    table.add_row(
        "Stencils",
        f"{_size(code['baseline_bytes'])}"
        + (f", given up {code['baseline_resets']}x" if code["baseline_resets"] else ""),
    )
    table.add_row("Disk", f"{code['hits']:,} of {looked:,} found, {code['written']:,} written")
    table.add_row("Given up", f"{code['evicted']:,} for room, {code['dropped']:,} with their code")
    table.add_row("Memory", f"{_size(picture['resident'])} resident")
    exits = sorted(picture["exits"].items(), key=lambda item: -item[1])
    table.add_row("Exits", ", ".join(f"{name} {count:,}" for name, count in exits[:4]))
    return table


def _ending(end: Json) -> str:
    if end["kind"] == "exited":
        return f"exited with {end['status']}"
    return f"killed by signal {end['signal']}" if end["kind"] == "signaled" else str(end["kind"])


def _seconds(value: float) -> str:
    if value >= 60:
        return f"{int(value // 60)} min {value % 60:02.0f} s"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.0f} ms"


def _size(value: float | None) -> str:
    if value is None:
        return "?"
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            break
        value, unit = value / 1024, {"B": "KiB", "KiB": "MiB", "MiB": "GiB"}[unit]
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
