"""What a Vm can be asked whether it can do: `vm.can(NAME)`. Never asked by platform, always by question.

A capability that is missing is refused by name where it is used, PVM-ACCEL-CAPABILITY.
"""

from __future__ import annotations

from polyvm.errors import PolyvmError

CAPABILITIES = {
    "port_io": "accesses to x86 ports are exits",
    "mmio": "accesses to physical addresses without memory are exits",
    "readonly_memory": "memory that the guest cannot write, whose writes are exits",
    "dirty_log": "which pages of a region were written",
    "dirty_ring": "written pages in a ring for each vCPU",
    "irqchip": "interrupt controllers inside the accelerator",
    "split_irqchip": "local interrupt controllers inside, the I/O one outside",
    "pit": "the x86 interval timer inside the accelerator",
    "interrupt": "interrupts handed to a vCPU by vector, and the window for them",
    "nmi": "non-maskable interrupts",
    "msi": "message-signalled interrupts",
    "routes": "where each interrupt line leads, to a controller's pin or a message, is the machine owner's",
    "ioeventfd": "doorbells that signal an eventfd without an exit",
    "irqfd": "eventfds that raise an interrupt without a call",
    "coalesced": "writes that are collected in a ring without an exit",
    "native_loop": "registers that generated native code serves without Python",
    "single_step": "an exit after each instruction",
    "breakpoints": "exits before instructions at given addresses",
    "watchpoints": "exits for accesses to given addresses",
    "translate": "guest virtual to guest physical addresses, by the guest's tables",
    "cpuid": "CPUID answers are the machine owner's",
    "msr": "model-specific registers can be read and written",
    "msr_exits": "accesses to model-specific registers that the accelerator does not know are exits",
    "clock": "the guest's clock can be read, set and told of a pause",
    "cancel": "run() can be ended from another thread",
    "smp": "more than one vCPU",
    "save": "a vCPU's state can be saved and restored",
    "nested": "guests of the guest, whose state is part of the saved state",
}
"""Name -> what it means."""


def missing(accel: str, name: str, *, hint: str | None = None) -> PolyvmError:
    """The error for a capability that an accelerator has not got here."""
    return PolyvmError(
        "PVM-ACCEL-CAPABILITY",
        f"{accel} cannot do this here: {CAPABILITIES[name]}.",
        hint=hint or f'vm.can("{name}") tells beforehand; another accelerator may have it.',
        accel=accel,
        capability=name,
    )
