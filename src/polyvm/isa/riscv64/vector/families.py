"""The vector instructions, in the order of the manual."""

from __future__ import annotations

from polyvm.isa.riscv64.vector import (
    config,
    estimate,
    fixed,
    floating,
    integer,
    mask,
    memory,
    permutation,
    reduction,
)

FAMILIES = (config, memory, integer, fixed, floating, estimate, reduction, mask, permutation)
