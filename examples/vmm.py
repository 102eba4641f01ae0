"""A virtual machine monitor: runs a guest that prints through a device, on hardware or by translation.

python examples/vmm.py [--accel auto|kvm|jit] [--guest x86_64|riscv64|aarch64]
"""

import argparse

from polyvm.accel.choice import choose
from polyvm.memory.ram import Ram
from polyvm.vcpu.exits import Mmio

CONSOLE, POWER, ENTRY, TEXT = 0x10_0000, 0x10_0008, 0x1000, 0x2000
CODE = {  # the bytes from TEXT on to CONSOLE, and the zero behind them to POWER
    "x86_64": "be0020b8ffff8ec0ac84c0740626a21000ebf526a21800f4",
    "riscv64": "37250000b705100003460500630806002380c500130515006ff01fff2384c500",
    "aarch64": "000084d20102a0d202004039820000342200003900040091fcffff1722200039",
}
START = {"x86_64": {"cs": 0, "cs_base": 0, "rip": ENTRY}}

options = argparse.ArgumentParser()
options.add_argument("--accel", default="auto")
options.add_argument("--guest", default="x86_64")
asked = options.parse_args()

hypervisor = choose(asked.guest, asked.accel)  # 1. who executes
vm = hypervisor.create_vm()  # 2. a machine with nothing in it
ram = Ram(0x10_0000)  # 3. a MiB of memory, which the guest sees at 0
vm.add_memory(0, ram)
ram.write(ENTRY, bytes.fromhex(CODE[asked.guest]))  # 4. code, and what it prints
ram.write(TEXT, f"hello from {asked.guest}, executed by {vm.accel}\n\0".encode())
cpu = vm.create_vcpu()  # 5. a processor, about to run it
cpu.registers.update(START.get(asked.guest, {"pc": ENTRY}))
while True:  # 6. run, and serve what it asks for
    match cpu.run():
        case Mmio(address=0x10_0000, data=bytes() as data):
            print(data.decode(), end="")
        case Mmio(address=0x10_0008):
            break
        case other:
            raise other.error()
vm.close()  # 7. the end of it
