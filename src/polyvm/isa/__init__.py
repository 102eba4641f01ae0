"""What polyvm knows of guests: one folder each, in one specification language."""

SPECIFIED = ("riscv64", "aarch64")
"""Guests whose instructions are described here; which of them run programs is for the engine to say."""
MACHINES = {243: "riscv64", 183: "aarch64"}
"""By the number that the header of a program has (e_machine)."""
