"""Input for the real programs: text of words, as common and as rare as in a language, the same on every machine.

Only files called text-<N>k are made; another name is refused.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

from polyvm.errors import PolyvmError

_NAME = re.compile(r"text-(\d+)k")
_SYLLABLES = ("ka", "to", "mi", "re", "sun", "der", "hal", "be", "qui", "lo", "ran", "tes", "ig", "or", "pel", "un",
              "va", "stra", "dim", "en")  # fmt: skip


def make(path: Path) -> None:
    """Make the file if it is not there: text-64k holds 64 KiB."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise PolyvmError("PVM-BENCH-BUILD", f"there is no rule to make {path.name}", path=str(path))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(text(int(match[1]) * 1024))
        new.rename(path)


def text(size: int) -> bytes:
    """`size` bytes of lines: a number, then words; word k is about 1/k as frequent as the first."""
    chosen = random.Random(20)
    words = ["".join(chosen.choices(_SYLLABLES, k=chosen.randint(1, 4))) for _ in range(3000)]
    weights = [1 / (k + 1) for k in range(len(words))]
    lines: list[str] = []
    length = 0
    while length < size:
        for count in chosen.choices(range(3, 12), k=200):
            line = f"{chosen.randrange(100000)} {' '.join(chosen.choices(words, weights, k=count))}\n"
            lines.append(line)
            length += len(line)
    return "".join(lines).encode()[: size - 1] + b"\n"
