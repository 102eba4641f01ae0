"""`polyvm.Emulator`: bare guest code from Python. Map memory, write code, set registers, run, look.

There is no operating system: what the guest's code asks of one (a system call, an exception) goes to a handler that
was handed in, or ends the run as an error with the exact state. It refuses to be shared: one emulator runs in one
thread at a time, and from other threads only `stop()` may be called.
"""

from __future__ import annotations

from polyvm.emulator.exits import Context, Exit, GuestTrap, Hook
from polyvm.emulator.memory import Memory
from polyvm.emulator.processor import Emulator
from polyvm.emulator.registers import Registers

__all__ = ["Emulator", "Exit", "GuestTrap", "Context", "Hook", "Memory", "Registers"]
