"""Every family of the aarch64 specification, imported in the order of the manual's C4.1."""

from __future__ import annotations

# The manual's order is that of the reference pages.
# isort: off
from polyvm.isa.aarch64 import (
    dp_immediate,
    branches,
    system,
    simd_structures,
    exclusives,
    atomics,
    loads,
    dp_register,
    crc32,
    flag_manipulation,
    pauth,
    tags,
    crypto_aes,
    crypto_sha,
    simd_scalar_same,
    simd_permute,
    simd_copy,
    simd_misc,
    simd_across,
    simd_different,
    simd_same,
    simd_fp_same,
    simd_fp_misc,
    simd_immediate,
    simd_shift,
    simd_element,
    simd_extra,
    simd_half,
    bfloat16,
    fp_convert,
    fp,
    fp_later,
)
from polyvm.isa.aarch64.model import aarch64
# isort: on

__all__ = [
    "aarch64", "atomics", "bfloat16", "branches", "crc32", "crypto_aes", "crypto_sha", "dp_immediate", "dp_register",
    "exclusives", "flag_manipulation", "fp", "fp_convert", "fp_later", "loads", "pauth", "simd_across", "simd_copy",
    "simd_different", "simd_element", "simd_extra", "simd_fp_misc", "simd_fp_same", "simd_half", "simd_immediate",
    "simd_misc", "simd_permute", "simd_same", "simd_scalar_same", "simd_shift", "simd_structures", "system", "tags",
]  # fmt: skip
