"""What hooks cost from Python, beside Unicorn.

A loop of five instructions, with a load and a store, runs without hooks, with a code hook on each instruction, with a
memory hook on each access, and with a memory hook on an address that nothing touches: `hook_peer.py`, in a process for
each emulator, which alternate.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polyvm.bench import stats
from polyvm.bench.hook_peer import CODE

Json = dict[str, Any]

PEER = Path(__file__).with_name("hook_peer.py")
GUEST = "riscv64"
LOOP = ("addi a1, a1, -1", "ld a3, 0(a2)", "sd a3, 8(a2)", "add a0, a0, a3", "bne a1, zero, .-16")
FIGURES = ("plain_ns", "code_us", "memory_us", "unwatched_ns")
ROUNDS = 3


def compare(peers: list[str], say: Callable[[str], None]) -> Json:
    """Medians of each of `peers` that is measured here, "polyvm" and "unicorn"; null where one cannot run."""
    code = loop().hex()
    found: dict[str, list[Json]] = {peer: [] for peer in ("polyvm", "unicorn") if peer in peers}
    for number in range(ROUNDS):
        for peer, runs in found.items():
            say(f"hooks: {peer}, {number + 1} of {ROUNDS}")
            ran = subprocess.run(
                [sys.executable, str(PEER), peer, code], capture_output=True, text=True, check=False
            )
            if ran.returncode == 0:
                runs.append(json.loads(ran.stdout))
    return {
        peer: {name: stats.median(run[name] for run in runs) for name in FIGURES} if runs else None
        for peer, runs in found.items()
    }


def loop() -> bytes:
    """The program."""
    from polyvm.isa.disasm import assemble
    from polyvm.isa.riscv64 import load

    isa, code = load(), b""
    for line in LOOP:
        code += assemble(isa, line, CODE + len(code))
    return code
