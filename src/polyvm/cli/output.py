"""Text and documents on standard output: tables in columns, sizes and times for a person, JSON for a program."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def document(name: str, body: Mapping[str, object]) -> None:
    """Print the document polyvm.<name>/1."""
    import json

    from polyvm import __version__

    whole = {"schema": f"polyvm.{name}/1", "polyvm": __version__, **body}
    sys.stdout.write(json.dumps(whole, indent=2) + "\n")


def table(rows: Sequence[Sequence[str]], right: str = "", indent: str = "") -> str:
    """Rows as aligned columns. right: for each column "r" where numbers stand, anything else for text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if right[i : i + 1] == "r" else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(cells)).rstrip() + "\n")
    return "".join(lines)


def size(count: float) -> str:
    """Bytes for a person, in powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def seconds(value: float) -> str:
    """A time for a person."""
    if value >= 60:
        return f"{int(value // 60)} min {value % 60:04.1f} s"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.1f} ms"
