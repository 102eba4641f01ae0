"""What an accelerator costs: an exit by a loop in C, the native loop, and in Python; a machine made, saved, restored.

    python benchmarks/accel.py [--exits N] [--rounds N]

prints one line for each, in CPU time of the thread, which other work on the machine leaves alone: guest, kernel and
Python are all in it. The loop in C makes the same ioctls (benchmarks/accel.c, built by zig), and the ways are measured
in turn, round by round. Needs a KVM that is usable here.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from polyvm.accel.choice import choose
from polyvm.accel.kvm.vcpu import KvmVcpu
from polyvm.memory import host
from polyvm.memory.ram import Ram
from polyvm.vcpu.exits import Halt, Mmio, Pio
from tests import toolchain
from tests.accel.machines import ENTRY, Machine

PORT, LAST, ADDRESS = 0x10, 0x11, 0x20_0000
PORTS = "{:08x} e6 10 ff c9 75 fa e6 11"  # mov ecx, N; again: out 0x10, al; dec ecx; jnz again; out 0x11, al
MEMORY = "{:08x} 88 03 ff c9 75 fa e6 11"  # mov [rbx], al
SIZE = 256 << 20
FIRST_EXIT = """
import time; started = time.thread_time()
from polyvm.accel.kvm import Kvm
from polyvm.memory.ram import Ram
vm = Kvm().create_vm()
ram = Ram(256 << 20)
vm.add_memory(0, ram)
ram.write(0x1000, bytes.fromhex("e610"))
cpu = vm.create_vcpu()
cpu.registers.update(cs=0, cs_base=0, rip=0x1000, rflags=2)
cpu.run()
print(time.thread_time() - started)
"""


def guest(code: str, exits: int) -> Machine:
    """A machine whose guest makes so many exits in ring 3, and then another one."""
    machine = Machine(choose("x86_64", "kvm"))
    count = int.from_bytes(exits.to_bytes(4, "little"), "big")
    machine.load("b9" + code.format(count))
    machine.long_mode(3)
    machine.cpu.registers.update(rax=0x41, rbx=ADDRESS)
    return machine


def c_loop() -> Callable[[Machine], int]:
    """The loop in C."""
    source = Path(__file__).with_suffix(".c")
    library = ctypes.CDLL(
        str(
            toolchain.build(
                source, "x86_64", static=False, libc="glibc", flags=("-shared", "-fPIC"), name="accel-peer"
            )
        )
    )
    library.run_loop.restype = ctypes.c_int64
    library.run_loop.argtypes = [
        ctypes.c_int,
        *[ctypes.c_void_p] * 2,
        ctypes.c_uint64,
        ctypes.c_uint16,
        ctypes.c_uint64,
    ]
    ring = ctypes.create_string_buffer(65536)

    def run(machine: Machine) -> int:
        cpu = machine.cpu
        assert isinstance(cpu, KvmVcpu)
        cpu._adopt()
        return int(library.run_loop(cpu.fd, cpu.page_address, ctypes.addressof(ring), 65535, PORT, ADDRESS))

    return run


def native(machine: Machine) -> int:
    """The native loop, with the same two registers."""
    rings = [machine.cpu.serve_ring(PORT, 1, port=True, capacity=1 << 20),
             machine.cpu.serve_ring(ADDRESS, 1, capacity=1 << 20)]  # fmt: skip
    while machine.cpu.run() != Pio(LAST, 1, 1, b"\x41"):
        pass
    return sum(ring.count for ring in rings)


def typed(machine: Machine) -> int:
    """Typed exits, matched in Python."""
    run, ring = machine.cpu.run, bytearray()
    while True:
        match run():
            case Pio(port=0x10, data=bytes() as data):
                ring += data
            case Mmio(address=0x20_0000, data=bytes() as data):
                ring += data
            case _:
                return len(ring)


def exits(count: int, rounds: int) -> None:
    """Microseconds of an exit, by each way."""
    ways = {"C": c_loop(), "the native loop": native, "typed in Python": typed}
    for kind, code in (("a port", PORTS), ("memory", MEMORY)):
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                machine = guest(code, count)
                started = time.thread_time()
                served = way(machine)
                found[name].append((time.thread_time() - started) / count * 1e6)
                assert served == count, (name, served)
                machine.close()
        medians = {name: statistics.median(values) for name, values in found.items()}
        for name, value in medians.items():
            print(
                f"an exit for {kind} by {name}: {value:.2f} us, {value / medians['C']:.2f} of C, "
                f"{value - medians['C']:+.2f} us"
            )


def jit_exits(count: int) -> None:
    """Microseconds of a write to a device by a guest of the JIT, typed in Python."""
    machine = Machine(choose("riscv64", "jit"))
    machine.load("again: sb x1, 0(x12)\naddi x11, x11, -1\nbne x11, x0, again\necall")
    machine.cpu.registers.update(x11=count, x12=ADDRESS)
    machine.cpu.run()  # the specification is imported
    started = time.thread_time()
    served = typed(machine) + 1
    each = (time.thread_time() - started) / count * 1e6
    assert served == count
    print(f"an exit for memory by the JIT, typed in Python: {each:.0f} us")
    machine.close()


def doorbells(count: int) -> None:
    """Returns to Python for doorbells through an eventfd."""
    machine = guest(PORTS, count)
    event = os.eventfd(0)
    machine.vm.add_ioeventfd(PORT, event, size=1, port=True)
    returns = 1
    while machine.cpu.run() != Pio(LAST, 1, 1, b"\x41"):
        returns += 1
    print(f"{os.eventfd_read(event)} doorbells through ioeventfd: {returns} returns to Python")
    os.close(event)
    machine.close()


def first_exit(rounds: int) -> None:
    """From an interpreter that has started to the first exit of a machine with 256 MiB, imports and all."""
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(Path(host.__file__).parents[1])], check=True
    )
    found = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", FIRST_EXIT], capture_output=True, text=True, check=True)
        found.append(float(done.stdout) * 1e3)
    print(f"a machine with 256 MiB from nothing to its first exit: {statistics.median(found):.2f} ms")


def state(rounds: int) -> None:
    """Saving a vCPU, and a machine restored from a file of its memory to its first exit."""
    saved_ms, restored_ms = [], []
    hypervisor = choose("x86_64", "kvm")
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        os.pwrite(file.fileno(), b"\xf4\xf4", ENTRY)
        machine = Machine(hypervisor)
        machine.load("f4 f4")
        machine.cpu.run()
        for _ in range(rounds):
            started = time.thread_time()
            saved = machine.cpu.save()
            saved_ms.append((time.thread_time() - started) * 1e3)
            started = time.thread_time()
            vm = hypervisor.create_vm()
            ram = Ram(SIZE, file=file.fileno())
            vm.add_memory(0, ram)
            cpu = vm.create_vcpu()
            cpu.restore(saved)
            assert cpu.run() == Halt()
            restored_ms.append((time.thread_time() - started) * 1e3)
            vm.close()
            ram.close()
        machine.close()
    print(f"a vCPU saved: {statistics.median(saved_ms):.2f} ms")
    print(
        f"a machine with 256 MiB restored from a file, to its first exit: {statistics.median(restored_ms):.2f} ms"
    )


def main() -> None:
    """Print everything."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--exits", type=int, default=20_000, help="exits a round")
    options.add_argument("--rounds", type=int, default=7, help="rounds")
    asked = options.parse_args()
    hypervisor = choose("x86_64", "kvm")
    print(
        f"{hypervisor.kind or 'KVM'} on {len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}"
    )
    hypervisor.close()
    exits(asked.exits, asked.rounds)
    jit_exits(asked.exits)
    doorbells(asked.exits)
    first_exit(asked.rounds)
    state(3 * asked.rounds)


if __name__ == "__main__":
    main()
