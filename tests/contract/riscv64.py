"""What the suites must know of riscv64 beside its specification."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import strategies as st

from polyvm.isa.riscv64.a import RESERVED, RESERVED_ADDRESS, RESERVED_VALUE
from tests.contract.guests import Guest, Slot, Values, integers
from tests.isa.riscv64.floats import register
from tests.isa.riscv64.machine import ISA, MASK


class Riscv64(Guest):
    """Registers hold boxed floats; the reservation has an address, a value and a size."""

    call = "ecall"
    nothing = "c.nop"
    none = (bytes(4), bytes(2), b"\xff\xff", b"\xff\xff\xff\xff")
    values = {"x": integers, "f": st.randoms(use_true_random=False).map(register)}
    modes = (0, 0, 0, *range(1, 8))  # those that are none, too
    beside = (0, 1)  # jalr clears the lowest bit of its target

    def resting(self) -> dict[Slot, int]:
        floats = {("f", number): MASK << 32 & MASK | 0x4000_0000 + number for number in range(32)}
        return super().resting() | floats | {RESERVED_ADDRESS: 0x2_0000_0008}

    def float_value(self, rng: random.Random) -> int:
        return register(rng)

    def monitor(self, address: int, memory: Callable[[int, int], int]) -> dict[Slot, Values]:
        return {
            RESERVED_ADDRESS: st.just(address),
            RESERVED_VALUE: st.just(memory(address, 8)),
            RESERVED: st.sampled_from([4, 8]),
        }


GUEST = Riscv64(ISA)
