"""What a debugger costs: seconds of a loop by itself, under --gdb, beside a breakpoint, and watched; and of each stop.

    python benchmarks/gdb.py

prints one line for each. The program is tests/guests/debugged.c, and the debugger the tests' client, which asks for
nothing but what is measured.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import toolchain
from tests.debug.remote import Debuggee, debugged, stop

TURNS, FEW = 400_000_000, 20_000_000
STOPS = 2000


def timed(body: Callable[[], object]) -> float:
    """Seconds of wall time."""
    started = time.perf_counter()
    body()
    return time.perf_counter() - started


def loop(guest: str, turns: int, prepare: Callable[[Debuggee], object]) -> float:
    """Nanoseconds of a turn of the loop in spin()."""
    with tempfile.TemporaryDirectory() as folder, debugged(guest, Path(folder), "spin", str(turns)) as it:
        it.client.start()
        it.client.ask(f"Z0,{it.symbols['spin']:x},4")
        stop(it.client.ask("vCont;c"))
        it.client.ask(f"z0,{it.symbols['spin']:x},4")
        it.client.ask(f"Z0,{it.symbols['inner']:x},4")  # where it is over
        prepare(it)
        return timed(lambda: stop(it.client.ask("vCont;c"))) / turns * 1e9


def stops(guest: str, packet: str, prepare: Callable[[Debuggee], object]) -> float:
    """Microseconds from going on to the next stop."""
    with tempfile.TemporaryDirectory() as folder, debugged(guest, Path(folder), "loop") as it:
        it.client.start()
        it.client.ask(f"Z0,{it.symbols['forever']:x},4")
        stop(it.client.ask("vCont;c"))
        it.client.ask(f"z0,{it.symbols['forever']:x},4")
        prepare(it)
        return timed(lambda: [it.client.ask(packet) for _ in range(STOPS)]) / STOPS * 1e6


def measure(guest: str) -> None:
    """Print one guest's rows."""
    program = toolchain.build("debugged.c", guest)
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", program, "spin"]
    subprocess.run([*command, "1000"], stdout=subprocess.DEVNULL, check=False)  # compiles the interpreter
    alone = timed(lambda: subprocess.run([*command, str(TURNS)], stdout=subprocess.DEVNULL, check=False))
    last = 2 if guest == "riscv64" else 4  # bytes of the return that ends spin()
    rows = {
        "without --gdb, start and all": alone / TURNS * 1e9,
        "under --gdb": loop(guest, TURNS, lambda it: None),
        "with a breakpoint where the function ends": loop(
            guest, TURNS, lambda it: it.client.ask(f"Z0,{it.symbols['forever'] - last:x},2")
        ),
        "while memory that it does not touch is watched": loop(
            guest, FEW, lambda it: it.client.ask(f"Z2,{it.symbols['counter']:x},8")
        ),
        "while its neighbour in memory is watched": loop(
            guest, FEW // 100, lambda it: it.client.ask(f"Z2,{it.symbols['wide'] + 8:x},8")
        ),
    }
    for name, value in rows.items():
        print(f"{guest}: a turn of a loop {name}: {value:.2f} ns")
    print(f"{guest}: a step: {stops(guest, 'vCont;s', lambda it: None):.0f} us")


def main() -> None:
    for guest in ("riscv64", "aarch64"):
        measure(guest)


if __name__ == "__main__":
    main()
