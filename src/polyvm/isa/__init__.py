"""What polyvm knows of guests: one folder each, in one specification language."""

SPECIFIED = ("riscv64", "aarch64")
"""Guests whose instructions are described here; which of them run programs is for the engine to say."""
