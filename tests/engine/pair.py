"""A program run by a compiled region and by the golden evaluator, from the same registers and memory."""

from __future__ import annotations

from pathlib import Path

from polyvm.engine.layout import COUNTED, REGISTERS
from tests.engine.assembly import ISA, Program
from tests.engine.guest import DATA, DATA_SIZE, Guest

ALL = slice(REGISTERS, REGISTERS + 8 * len(ISA.state_layout(REGISTERS)))
PATTERN = bytes((i * 37 + (i >> 5) * 11) & 0xFF for i in range(DATA_SIZE))


class Pair:
    """A program as one region that begins at `loop`, and in the golden evaluator."""

    def __init__(self, program: Program, folder: Path, kind: str = "") -> None:
        self.golden = Guest(program, folder, tier="golden")
        self.fast = Guest(program, folder, counted=COUNTED in kind)
        units = self.fast.engine.units
        assert units is not None
        units.kind = kind
        self.fast.install(self.fast.compile("loop"))
        for guest in (self.golden, self.fast):
            guest.space.write(DATA, PATTERN)

    def close(self) -> None:
        """Give everything back."""
        self.golden.close()
        self.fast.close()

    def run(self, **registers: int) -> tuple[str, str]:
        """Run both from the same registers."""
        for guest in (self.golden, self.fast):
            guest.set(**registers)
        return self.golden.run("loop"), self.fast.run("loop")

    def seen(self, guest: Guest) -> tuple[bytes, int, bytes]:
        """What there is of a guest in the end."""
        return bytes(guest.cpu._bytes[ALL]), guest.cpu.fp_flags, guest.space.read(DATA, DATA_SIZE)
