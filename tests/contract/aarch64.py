"""What the suites must know of aarch64 beside its specification."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import strategies as st

from polyvm.ir.ops import ALTERNATIVE_HALF, DEFAULT_NAN, FLUSH, FLUSH_HALVES
from polyvm.isa.aarch64.exclusives import EXCLUSIVE, EXCLUSIVE_ADDRESS, EXCLUSIVE_HIGH, EXCLUSIVE_LOW
from polyvm.isa.aarch64.flags import C, N
from tests.contract import values
from tests.contract.guests import Guest, Slot, Values, integers
from tests.isa.aarch64.machine import ISA


class Aarch64(Guest):
    """Vector registers are lanes of every width; the monitor has an address, two values and a size."""

    call = "svc #0"
    nothing = "nop"
    none = (
        0x0200_0000.to_bytes(4, "little"),  # C4.1: unallocated, and in no table
        b"\xff\xff\xff\xff",
    )
    values = {"x": integers, "q": st.integers(0, 2**32 - 1).map(values.vector)}
    modes = (
        0,
        0,
        0,
        1,
        2,
        3,
        DEFAULT_NAN,
        FLUSH,
        DEFAULT_NAN | FLUSH | 2,
        FLUSH | ALTERNATIVE_HALF,
        FLUSH_HALVES,
    )
    beside = (0, 0, 0, 0, 1, 2, 3)  # between instructions

    def resting(self) -> dict[Slot, int]:
        return super().resting() | {EXCLUSIVE_ADDRESS: 0x2_0000_0008, N: 1, C: 1}

    def float_value(self, rng: random.Random) -> int:
        return values.vector(rng.getrandbits(32))

    def monitor(self, address: int, memory: Callable[[int, int], int]) -> dict[Slot, Values]:
        return {
            EXCLUSIVE_ADDRESS: st.just(address),
            EXCLUSIVE_LOW: st.just(memory(address, 8)),
            EXCLUSIVE_HIGH: st.just(memory(address + 8, 8)),
            EXCLUSIVE: st.sampled_from([1, 2, 4, 8, 16]),
        }


GUEST = Aarch64(ISA)
