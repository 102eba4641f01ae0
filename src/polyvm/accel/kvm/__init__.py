"""KVM, in pure Python: the accelerator for guests of the host's own kind (x86_64 for now).

A virtual machine in six steps:

    from polyvm.accel.kvm import Kvm
    from polyvm.memory.ram import Ram
    from polyvm.vcpu.exits import Halt, Pio

    vm = Kvm().create_vm()                                      # 1. a machine with nothing in it
    ram = Ram(1 << 20)                                          # 2. memory, which the guest sees at 0
    vm.add_memory(0, ram)
    ram.write(0x1000, bytes.fromhex("b041 e610 f4"))            # 3. code: mov al, 'A'; out 0x10, al; hlt
    cpu = vm.create_vcpu()                                      # 4. a processor, in real mode
    cpu.registers.update(cs_base=0, cs=0, rip=0x1000, rflags=2)
    while not isinstance(exit := cpu.run(), Halt):              # 5. run; serve what it asks for
        if isinstance(exit, Pio) and exit.data is not None:
            print(exit.port, exit.data)
    vm.close()                                                  # 6. the end of it

Everything that touches the kernel goes through `accel.kvm.handle`; its numbers are `accel.ffi.kvm`'s.
"""

from __future__ import annotations

from polyvm.accel.kvm.hypervisor import Kvm

__all__ = ["Kvm"]
