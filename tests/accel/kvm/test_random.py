"""A guest is not trusted: whatever it executes, the host sees exits and coded errors, and is not held beyond recall."""

from __future__ import annotations

import random
import threading

from polyvm.accel.kvm import Kvm
from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Exit, Halt, Mmio, Pio
from tests.accel import machines
from tests.accel.machines import ENTRY, Machine

ENDS = ("PVM-VCPU-FAILED", "PVM-ACCEL-REFUSED", "PVM-USAGE")
"""The last where a run ends between two parts of one access, which is no place to save."""


def test_random_code(seed: int, full: bool) -> None:
    chance = random.Random(seed)
    kinds: set[str] = set()
    ends: set[str] = set()
    with machines.opened("kvm x86_64") as hypervisor:
        assert isinstance(hypervisor, Kvm)
        for number in range(500 if full else 40):
            machine = Machine(hypervisor)
            machine.load("f4")
            if number % 3:
                machine.long_mode(0 if number % 3 == 1 else 3)
            machine.ram.write(ENTRY, chance.randbytes(0x400))
            timer = threading.Timer(0.05, machine.cpu.cancel)
            timer.start()
            try:
                for _ in range(20):
                    exit = machine.cpu.run()
                    assert isinstance(exit, Exit)
                    kinds.add(type(exit).__name__)
                    if isinstance(exit, Pio | Mmio) and exit.data is None:
                        machine.cpu.answer(chance.getrandbits(8))
                    elif not isinstance(exit, Pio | Mmio | Halt):
                        break
                machine.cpu.save()
            except PolyvmError as error:
                ends.add(error.code)
            timer.cancel()
            timer.join()
            machine.close()
    assert ends <= set(ENDS)
    assert len(kinds) > 2, kinds
