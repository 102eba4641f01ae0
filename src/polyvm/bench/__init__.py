"""Benchmarks beside native code and other emulators: `run(options)` measures, `render(document)` prints.

`run` gives a polyvm.bench/1 document. A time counts only after the program's output was found right; a peer that was
named and is not installed is refused, never left out in silence.
"""

from __future__ import annotations

from polyvm.bench.options import PEERS, Options
from polyvm.bench.render import render
from polyvm.bench.runner import failure, run

__all__ = ["run", "render", "failure", "Options", "PEERS"]
