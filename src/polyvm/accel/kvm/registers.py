"""A vCPU's registers over KVM's structures, as the guest's table says. No register's name stands here.

KVM hands out whole structures, so that reading several registers of one costs one call. MSRs go by their indexes; those
that the table has no name for are `msr_<index>`.
"""

from __future__ import annotations

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.ffi.layout import Structure, structures
from polyvm.errors import PolyvmError
from polyvm.isa.x86_64 import registers as x86_64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from polyvm.accel.kvm.vcpu import KvmVcpu

CALLS = {
    "kvm_regs": ("KVM_GET_REGS", "KVM_SET_REGS"),
    "kvm_sregs": ("KVM_GET_SREGS", "KVM_SET_SREGS"),
    "kvm_xcrs": ("KVM_GET_XCRS", "KVM_SET_XCRS"),
    "kvm_debugregs": ("KVM_GET_DEBUGREGS", "KVM_SET_DEBUGREGS"),
    "kvm_fpu": ("KVM_GET_FPU", "KVM_SET_FPU"),
}
"""Structure -> how it is read and written."""
MSR = "msr"
_PREFIX = "msr_"


class Field:
    """A register in a structure: where its bytes are, or the parts that make it, lowest first."""

    __slots__ = ("name", "parts")

    def __init__(self, row: x86_64.Register, structure: Structure) -> None:
        field = row.kvm.partition(".")[2]
        self.name = row.name
        owner, _, last = field.rpartition(".")
        # A segment's access rights are one register to everybody else, and bytes of their own to KVM.
        if last == "access":
            self.parts = [
                (*structure.places[f"{owner}.{part}"], bits) if part else (0, 0, bits)
                for part, bits in x86_64.ACCESS
            ]
        else:
            offset, size = structure.places[field]
            self.parts = [(offset, row.bits + 7 >> 3, 8 * size)]

    def get(self, data: bytes | bytearray) -> int:
        """The register's value in its structure."""
        value = at = 0
        for offset, size, bits in self.parts:
            value |= int.from_bytes(data[offset : offset + size], "little") << at
            at += bits
        return value

    def put(self, data: bytearray, value: int) -> None:
        """Set it there."""
        for offset, size, bits in self.parts:
            data[offset : offset + size] = (value & (1 << bits) - 1).to_bytes(size, "little") if size else b""
            value >>= bits


class Bank:
    """The registers of one group in one structure."""

    def __init__(self, group: str, structure: Structure) -> None:
        self.group = group
        self.structure = structure
        self.fields: dict[str, Field] = {}

    def unpack(self, data: bytes | bytearray) -> dict[str, int]:
        """All of them by name."""
        return {name: field.get(data) for name, field in self.fields.items()}


BANKS: dict[str, Bank] = {}
"""Structure -> its registers."""
_HOMES: dict[str, str] = {}  # register -> structure, or "msr"
_INDEXES: dict[str, int] = {}
_WIDTHS: dict[str, int] = {}


def _load() -> None:
    for row in x86_64.table():
        home, _, field = row.kvm.partition(".")
        _WIDTHS[row.name] = row.bits
        _HOMES[row.name] = home
        if home == MSR:
            _INDEXES[row.name] = int(field, 16)
            continue
        structure = structures[home]
        if home not in BANKS:
            BANKS[home] = Bank(row.group, structure)
        BANKS[home].fields[row.name] = Field(row, structure)


_load()
_NAMED = {index: name for name, index in _INDEXES.items()}


def msr_name(index: int) -> str:
    """What an MSR is called."""
    return _NAMED.get(index) or f"{_PREFIX}{index:x}"


def msr_index(name: str) -> int:
    """The MSR of a name."""
    found = _INDEXES.get(name)
    return int(name.removeprefix(_PREFIX), 16) if found is None else found


class _Widths(dict[str, int]):
    """Widths by name; every msr_<index> has one."""

    def __missing__(self, name: str) -> int:
        if name.startswith(_PREFIX):
            try:
                if 0 <= int(name.removeprefix(_PREFIX), 16) < 1 << 32:
                    return 64
            except ValueError:
                pass
        raise KeyError(name)


class KvmAccess:
    """The way to one vCPU's registers (vcpu.registers.Access)."""

    widths = _Widths(_WIDTHS)
    names = tuple(_WIDTHS)

    def __init__(self, vcpu: KvmVcpu) -> None:
        self.vcpu = vcpu

    def read(self, names: Iterable[str]) -> dict[str, int]:
        """Values by name; those before a read that was not answered yet."""
        self.vcpu.finish(unanswered=False)
        found: dict[str, int] = {}
        asked = tuple(names)
        for home, wanted in _by_home(asked):
            if home == MSR:
                values = read_msrs(self.vcpu, [msr_index(name) for name in wanted])
                missing = [name for name in wanted if msr_index(name) not in values]
                # Asked for by name, a register that this host's KVM has not got is an error; listing skips it.
                if missing and len(asked) < len(self.names):
                    raise _no_msr(missing[0])
                found |= {name: values[msr_index(name)] for name in wanted if name not in missing}
            else:
                bank = BANKS[home]
                data = self.vcpu.fill(CALLS[home][0], bank.structure.size)
                found |= {name: bank.fields[name].get(data) for name in wanted}
        return {name: found[name] for name in asked if name in found}

    def write(self, values: Mapping[str, int]) -> None:
        """Set them, structure by structure."""
        self.vcpu.finish()
        for home, names in _by_home(values):
            if home == MSR:
                wanted = {msr_index(name): values[name] for name in names}
                for index in write_msrs(self.vcpu, wanted):
                    raise _no_msr(msr_name(index))
            else:
                bank = BANKS[home]
                get, put = CALLS[home]
                data = self.vcpu.fill(get, bank.structure.size)
                for name in names:
                    bank.fields[name].put(data, values[name])
                self.vcpu.call(put, data)


def _by_home(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    homes: dict[str, list[str]] = {}
    for name in names:
        homes.setdefault(_HOMES.get(name, MSR), []).append(name)
    yield from homes.items()


def _no_msr(name: str) -> PolyvmError:
    return PolyvmError(
        "PVM-ACCEL-REFUSED",
        f"KVM does not let this host's user read or write {name} so.",
        hint="The processor lacks it, the value is not valid for it, or the guest's CPUID does not offer it.",
        register=name,
    )


# ---------------------------------------------------------------------------------------------- MSRs
def _entries(values: Iterable[tuple[int, int]]) -> bytearray:
    rows = [ffi.MSR_ENTRY.codec.pack(index, 0, value) for index, value in values]
    return bytearray(ffi.MSRS.codec.pack(len(rows), 0) + b"".join(rows))


def read_msrs(vcpu: KvmVcpu, indexes: Iterable[int]) -> dict[int, int]:
    """The values of MSRs by index; those that this vCPU has not got are left out."""
    left, found = list(indexes), {}
    head, each = ffi.MSRS.size, ffi.MSR_ENTRY.size
    while left:
        data = _entries((index, 0) for index in left)
        done = vcpu.call("KVM_GET_MSRS", data)
        for number in range(done):
            index, _, value = ffi.MSR_ENTRY.codec.unpack_from(data, head + each * number)
            found[index] = value
        left = left[done + 1 :]  # the kernel stops at the one that it refuses
    return found


def write_msrs(vcpu: KvmVcpu, values: Mapping[int, int]) -> list[int]:
    """Set MSRs in this order; the indexes of those that were refused."""
    left, refused = list(values.items()), []
    while left:
        done = vcpu.call("KVM_SET_MSRS", _entries(left))
        refused += [index for index, _ in left[done : done + 1]]
        left = left[done + 1 :]
    return refused
