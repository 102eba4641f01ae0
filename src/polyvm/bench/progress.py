"""Says what is being measured, on standard error: a live line with rich on a terminal, plain lines elsewhere.

rich is imported only for a terminal, and is not needed: without it the lines are plain.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Protocol, Self

from polyvm.bench import stats
from polyvm.bench.document import measured

Json = dict[str, Any]


class Progress(Protocol):
    """What the runner tells."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def start(self, name: str, index: int, total: int) -> None: ...
    def doing(self, what: str) -> None: ...
    def note(self, text: str) -> None: ...
    def done(self, row: Json) -> None: ...


def make_progress() -> Progress:
    """The live one on a terminal that has rich, the plain one otherwise."""
    if sys.stderr.isatty():
        try:
            return Live()
        except ImportError:
            pass  # rich is optional; plain lines say the same
    return Plain()


def summary(row: Json) -> str:
    """One finished workload in a line."""
    parts = []
    for peer, runs in measured(row).items():
        cpu = stats.median(runs["cpu_s"])
        parts.append(f"{peer} {cpu:.2f} s" if cpu is not None else f"{peer} failed ({runs['failed']})")
    return f"{row['name']}: {', '.join(parts)}"


class Plain:
    """A line for each finished workload."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def start(self, name: str, index: int, total: int) -> None:
        self.place = f"[{min(index + 1, total)}/{total}]"

    def doing(self, what: str) -> None:
        return None

    def note(self, text: str) -> None:
        print(f"{self.place} {text}", file=sys.stderr, flush=True)

    def done(self, row: Json) -> None:
        self.note(summary(row))


class Silent(Plain):
    """Says nothing: for tests, and for who reads only the document."""

    def note(self, text: str) -> None:
        return None


class Live(Plain):
    """One line that changes, the finished ones above it."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)
        self.status = self.console.status("starting")

    def __enter__(self) -> Self:
        self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.status.stop()

    def doing(self, what: str) -> None:
        self.status.update(f"{self.place} {what}".replace("[", "\\["))

    def note(self, text: str) -> None:
        self.console.print(f"{self.place} {text}", markup=False, highlight=False)
