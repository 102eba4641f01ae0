"""Linux's own headers say the same: numbers of calls, flags of open, capabilities, and the layout of a signal frame."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

from polyvm.isa.aarch64 import features
from polyvm.user import openflags
from polyvm.user.hostabi import numbers
from polyvm.user.syscalls.numbers_generic import NAMES
from polyvm.user.syscalls.numbers_x86_64 import NUMBERS
from polyvm.user.syscalls.table import Declaration, declaration
from tests.toolchain import build, macros

GUESTS = ("riscv64", "aarch64")
NOT_CALLS = {"arch_specific_syscall", "syscalls"}


def abi(machine: str) -> ModuleType:
    return import_module(f"polyvm.isa.{machine}.abi")


@pytest.mark.parametrize("machine", GUESTS)
def test_every_call_has_its_number(machine: str) -> None:
    told = {name[5:]: n for name, n in macros("asm/unistd.h", machine).items() if name.startswith("__NR_")}
    ours = {name: number for number, name in {**NAMES, **abi(machine).SYSCALLS}.items()}
    for name, number in told.items():
        if name not in NOT_CALLS:
            assert ours.get(name) == number, name
    newest = max(number for name, number in told.items() if name not in NOT_CALLS)
    assert [name for name, number in ours.items() if name not in told and number <= newest] == []


def test_the_host_has_its_numbers() -> None:
    told = {name[5:]: n for name, n in macros("asm/unistd.h", "x86_64").items() if name.startswith("__NR_")}
    assert {name: number for name, number in NUMBERS.items() if name in told and told[name] != number} == {}


@pytest.mark.parametrize("machine", GUESTS)
def test_every_call_is_declared_and_what_the_host_does_is_there(machine: str) -> None:
    module = abi(machine)
    for name in {**NAMES, **module.SYSCALLS}.values():
        line = module.DECLARATIONS.get(name)
        found = Declaration(line) if line else declaration(name)
        if found is not None and found.how == "pass":
            assert name in numbers()


@pytest.mark.parametrize("machine", GUESTS)
def test_flags_of_open(machine: str) -> None:
    told = macros("asm/fcntl.h", machine)
    flags = tuple(told[f"O_{name}"] for name in ("DIRECTORY", "NOFOLLOW", "DIRECT", "LARGEFILE"))
    assert flags == abi(machine).OPEN_FLAGS
    generic = openflags.from_guest(abi(machine), sum(flags) | told["O_CREAT"] | told["O_CLOEXEC"])
    assert generic == sum(openflags.GENERIC) | 0o100 | 0o2000000
    for flag, other in zip(flags, openflags.GENERIC, strict=True):
        assert openflags.from_guest(abi(machine), flag) == other
        assert openflags.to_guest(abi(machine), other) == flag


def test_capabilities() -> None:
    """Names in /proc/cpuinfo are those of the macros, small."""
    told = macros("asm/hwcap.h", "aarch64")
    names = [name.upper() for name in features.names().split()]
    hwcap, hwcap2 = (sum(told.get(f"{head}_{name}", 0) for name in names) for head in ("HWCAP", "HWCAP2"))
    assert (abi("aarch64").hwcap(), abi("aarch64").hwcap2()) == (hwcap, hwcap2)


FRAME = """
#include <stddef.h>
#include <asm/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
struct frame { char info[128]; struct ucontext uc; };
_Static_assert(offsetof(struct frame, uc) == UC, "ucontext");
_Static_assert(offsetof(struct frame, uc.uc_mcontext) == MCONTEXT, "sigcontext");
#if defined(__aarch64__)
_Static_assert(sizeof(struct frame) + 32 == BYTES, "frame");
_Static_assert(offsetof(struct sigcontext, __reserved) == RESERVED - MCONTEXT, "records");
_Static_assert(sizeof(struct fpsimd_context) == 528 && FPSIMD_MAGIC == 0x46508001, "vectors");
_Static_assert(sizeof(struct esr_context) == 16 && ESR_MAGIC == 0x45535201, "syndrome");
#else
_Static_assert(sizeof(struct frame) == BYTES, "frame");
#endif
_Static_assert(MINSIGSTKSZ == MINIMUM, "smallest stack");
int main(void) { return 0; }
"""


@pytest.mark.parametrize("machine", GUESTS)
def test_the_frame_of_a_signal(machine: str) -> None:
    module = abi(machine)
    values = {
        "UC": module.UC_OFFSET, "MCONTEXT": module.MCONTEXT_OFFSET, "BYTES": module.FRAME_BYTES,
        "RESERVED": getattr(module, "RESERVED_OFFSET", 0), "MINIMUM": module.MINSIGSTKSZ,
    }  # fmt: skip
    flags = [f"-D{name}={value}" for name, value in values.items()]
    build(FRAME, machine, flags=[*flags, "-Wno-unused"], name="frame")
