"""How compilation scales: its time, and the size of what comes of it, against the size of regions.

Read off the regions that a code cache holds, of whatever programs filled it.
"""

from __future__ import annotations

import marshal
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from polyvm.engine import image
from polyvm.errors import PolyvmError
from polyvm.memory.codemap import SLOT_SCALE

EDGES = (1, 50, 100, 200, 400, 800, 1600, 1 << 30)
"""Guest instructions: where the rows of the table begin."""
KEPT_PER_GUEST_BYTE = SLOT_SCALE + 1
"""Bytes beside the native code: tier 0's decoded code, and a copy of the guest's, to compare it with later."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Region:
    """A compiled region. guest_bytes: of the code that it was made from. host_bytes: of native code, in whole pages."""

    insns: int
    guest_bytes: int
    host_bytes: int
    compile_s: float


def regions(folder: Path) -> list[Region]:
    """Those in a code cache, each once. What is damaged is passed over."""
    found: dict[int, Region] = {}
    for file in sorted(folder.glob("units/*/*.pvu")):
        inode = file.stat().st_ino  # a file has many names
        if inode in found:
            continue
        try:
            loaded = image.load(str(file))
        except (PolyvmError, OSError):
            continue
        meta = marshal.loads(loaded.meta)
        size = -(-loaded.size // image.PAGE) * image.PAGE
        loaded.unload()
        guest = sum(len(code) for _, code in meta["code"])
        found[inode] = Region(meta["insns"], guest, size, meta["compile_s"])
    return list(found.values())


def table(found: Sequence[Region]) -> Json | None:
    """The rows by size, the exponent of compile time over size (1 is linear), and bytes for each guest code byte."""
    if not found:
        return None
    rows = []
    for low, high in pairwise(EDGES):
        some = [region for region in found if low <= region.insns < high]
        if some:
            insns = sum(region.insns for region in some)
            rows.append(
                {
                    "insns": insns / len(some),
                    "regions": len(some),
                    "us_per_insn": sum(region.compile_s for region in some) / insns * 1e6,
                }
            )
    guest = sum(region.guest_bytes for region in found)
    return {
        "rows": rows,
        "exponent": exponent([(region.insns, region.compile_s) for region in found]),
        "bytes_per_guest_byte": sum(region.host_bytes for region in found) / guest + KEPT_PER_GUEST_BYTE,
    }


def exponent(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Of the power law that fits best: least squares over the logarithms."""
    points = [(math.log(x), math.log(y)) for x, y in pairs if x > 0 and y > 0]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else None
