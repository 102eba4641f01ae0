"""A guest's registers as a debugger sees them: numbered, typed, and described in XML (GDB manual, appendix G).

All of it is made of the guest's own register table (isa/<guest>/registers.py): what there is, how wide it is, and
under which of GDB's standard features it stands. It refuses nothing and holds no state: registers are read and
written where the processor keeps them.
"""

from __future__ import annotations

from polyvm.engine import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from polyvm.engine.guest import Guest

SMALLEST = 32  # bits of a register that only some bits of exist of
_CODE, _DATA = {"pc", "ra", "lr"}, {"sp", "fp", "gp", "tp", "s0"}
_FLOATS = {64: "ieee_double", 32: "ieee_single", 16: "ieee_half"}
_LANES = ((64, "d"), (32, "s"), (16, "h"), (8, "b"), (128, "q"))


class Register:
    """One register: its name and number in the debugger, its size in bits, and how to get at it."""

    __slots__ = ("_name", "_own", "bits", "name", "number", "setting", "type")

    def __init__(
        self, name: str, number: int, bits: int, type: str, own: Any, inside: str, setting: bool
    ) -> None:
        self.name = name
        self.number = number
        self.bits = bits
        self.type = type
        self.setting = setting
        self._own = own  # the module that has functions for it, None where the Cpu knows it by name
        self._name = inside

    def read(self, cpu: Any) -> bytes:
        """Its value, little-endian."""
        value = cpu.read(self._name) if self._own is None else getattr(self._own, self._name)(cpu)
        return int(value).to_bytes(self.bits // 8, "little")

    def write(self, cpu: Any, data: bytes) -> None:
        """Set it, to as many bytes as read() gives."""
        value = int.from_bytes(data, "little")
        if self._own is None:
            cpu.write(self._name, value)
        else:
            getattr(self._own, f"set_{self._name}")(cpu, value)


class Target:
    """The registers of a guest in the debugger's order, and the document that describes them."""

    __slots__ = ("features", "name", "registers", "zero")

    def __init__(self, guest: Guest) -> None:
        table = __import__(f"polyvm.isa.{guest.name}.registers", fromlist=["DEBUGGER"])
        self.name: str
        self.features: list[tuple[str, list[Register]]] = []
        self.registers: list[Register] = []
        self.name, features, others = table.DEBUGGER
        # What is hardwired takes any value and keeps its own.
        self.zero = {names[zero] for _, _, names, zero in table.FILES if zero is not None}
        for feature, names, settings in features:
            found = []
            for name in (*names, *settings):
                inside = dict(others).get(name, name)
                bits, own = _size(guest, inside)
                setting = name in settings
                type = "int" if setting else _type(name, bits, feature.endswith(".fpu"))
                found.append(Register(name, len(self.registers), bits, type, own, inside, setting))
                self.registers.append(found[-1])
            self.features.append((feature, found))

    def read(self, cpu: Any, number: int) -> bytes:
        """A register by number. Raises IndexError."""
        return self.registers[number].read(cpu)

    def write(self, cpu: Any, number: int, data: bytes) -> None:
        """Set a register by number. Raises IndexError, and ValueError for another number of bytes than it has."""
        register = self.registers[number]
        if len(data) != register.bits // 8:
            raise ValueError(f"{register.name} has {register.bits // 8} bytes")
        if register.name not in self.zero:
            register.write(cpu, data)

    def read_all(self, cpu: Any) -> bytes:
        """Every register, in order."""
        return b"".join(register.read(cpu) for register in self.registers)

    def write_all(self, cpu: Any, data: bytes) -> None:
        """Set every register. Raises ValueError for another number of bytes than they have."""
        if len(data) != sum(register.bits // 8 for register in self.registers):
            raise ValueError("these are not all registers")
        at = 0
        for register in self.registers:
            self.write(cpu, register.number, data[at : at + register.bits // 8])
            at += register.bits // 8

    def xml(self) -> str:
        """The target description."""
        lines = [
            '<?xml version="1.0"?>',
            '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
            '<target version="1.0">',
            f"  <architecture>{self.name}</architecture>",
            "  <osabi>GNU/Linux</osabi>",
        ]
        for feature, registers in self.features:
            lines.append(f'  <feature name="{feature}">')
            for bits in sorted({r.bits for r in registers if r.type.startswith("fp")}):
                lines += _union(bits)
            for r in registers:
                group = "" if not r.type.startswith("fp") else ' group="float"'
                lines.append(
                    f'    <reg name="{r.name}" bitsize="{r.bits}" type="{r.type}" regnum="{r.number}"{group}/>'
                )
            lines.append("  </feature>")
        return "\n".join([*lines, "</target>"]) + "\n"


def _size(guest: Guest, name: str) -> tuple[int, Any]:
    """Bits of a register, and the guest's ABI where that is what can read it, with functions of its name."""
    places = guest.places
    if name == "pc":
        return 8 * (layout.ST["reason"] - layout.ST["pc"]), None
    if name in places.names:
        return 8 * places.names[name][1], None
    if name in places.composed:
        return max(SMALLEST, sum(bits for _, bits in places.composed[name])), None
    return SMALLEST, guest.abi


def _type(name: str, bits: int, floats: bool) -> str:
    if floats:
        return f"fp{bits}"
    return "code_ptr" if name in _CODE else "data_ptr" if name in _DATA else "int"


def _union(bits: int) -> list[str]:
    """The types of what floating-point registers hold: of wide ones vectors of every lane, else the formats."""
    if bits <= 64:
        fields = [
            (name, type) for name, type in (("float", "ieee_single"), ("double", "ieee_double"))
            if bits >= 32 * (1 + (name == "double"))
        ]  # fmt: skip
        return [f'    <union id="fp{bits}">', *_fields(fields), "    </union>"]
    lines, fields = [], []
    for lane, letter in _LANES:
        kinds = [("u", f"uint{lane}"), ("s", f"int{lane}")]
        if lane in _FLOATS:
            kinds.insert(0, ("f", _FLOATS[lane]))
        inner = []
        for kind, type in kinds:
            lines.append(f'    <vector id="v{letter}{kind}" type="{type}" count="{bits // lane}"/>')
            inner.append((kind, f"v{letter}{kind}"))
        lines += [f'    <union id="vn{letter}">', *_fields(inner), "    </union>"]
        fields.append((letter, f"vn{letter}"))
    return [*lines, f'    <union id="fp{bits}">', *_fields(fields), "    </union>"]


def _fields(fields: list[tuple[str, str]]) -> list[str]:
    return [f'      <field name="{name}" type="{type}"/>' for name, type in fields]
