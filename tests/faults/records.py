"""What tests/faults/faults.c writes, as text: one paragraph a scenario, with every register of every fault.

A record is a header {"FLT", kind, u32 size} and its data. Registers that still hold the mark they were loaded with are
printed as a dot; addresses are printed as places of the program's arena and code, so that the text is the same under
any loader. It refuses streams that are cut short.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from polyvm.isa.riscv64.registers import X_NAMES

HEAD = struct.Struct("<3scI")
STATE = struct.Struct("<32Q32QQ")
FAULT = struct.Struct("<iiiiQ")
PAGE = 4096
ARENA = 0x10_0000_0000
PAGES = {
    0: "rw", 2: "hole", 3: "ro", 4: "none", 5: "code", 6: "after", 7: "half", 8: "behind half", 9: "file", 10: "past",
    11: "behind past", 12: "xonly", 13: "wonly", 14: "before high", 15: "high", 16: "behind high", 18: "flag",
}  # fmt: skip
NAMES = ("pc", *X_NAMES[1:])
SIGNALS = {4: "SIGILL", 5: "SIGTRAP", 7: "SIGBUS", 11: "SIGSEGV"}
CODES = {
    (4, 1): "ILL_ILLOPC", (4, 2): "ILL_ILLOPN", (5, 1): "TRAP_BRKPT", (7, 1): "BUS_ADRALN", (7, 2): "BUS_ADRERR",
    (11, 1): "SEGV_MAPERR", (11, 2): "SEGV_ACCERR", (11, 128): "SI_KERNEL",
}  # fmt: skip


@dataclass
class Fault:
    """One call of the handler; depth counts the scenario's."""

    signo: int
    error: int
    code: int
    depth: int
    address: int
    state: tuple[int, ...]


@dataclass
class Scenario:
    """Everything that was written for one scenario, in order."""

    fragment: str
    where: str
    events: list[Fault | tuple[int, ...] | int] = field(default_factory=list)
    memory: bytes = b""

    @property
    def name(self) -> str:
        """The scenario's heading."""
        return f"{self.fragment}: {self.where}"


@dataclass
class Output:
    """A run's records: places of code by address, the scenarios, and values outside of them."""

    labels: dict[int, str]
    scenarios: list[Scenario]
    values: list[int]
    probed: int | None = None


def split(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Kind and data of each record."""
    at = 0
    while at < len(data):
        magic, kind, size = HEAD.unpack_from(data, at)
        assert magic == b"FLT", f"no record at {at}: {data[at : at + 80]!r}"
        at += HEAD.size
        assert at + size <= len(data), "the last record is cut short"
        yield kind.decode(), data[at : at + size]
        at += size


def parse(data: bytes) -> Output:
    """Take a program's output apart."""
    output = Output({}, [], [])
    table: list[tuple[int, int]] = []
    for kind, body in split(data):
        if kind == "T":
            table = list(struct.iter_unpack("<QQ", body))
        elif kind == "S":
            for address, name in table:
                output.labels[address] = body[name - table[0][1] :].partition(b"\0")[0].decode()
        elif kind == "V":
            (number,) = struct.unpack("<Q", body)
            (output.scenarios[-1].events if output.scenarios else output.values).append(number)
        elif kind == "B":
            output.scenarios.append(Scenario(body.decode(), ""))
        elif kind == "W":
            output.scenarios[-1].where = body.decode()
        elif kind == "F":
            fault = Fault(*FAULT.unpack_from(body), STATE.unpack_from(body, FAULT.size))
            if not output.scenarios:
                output.scenarios.append(Scenario("", ""))
            output.scenarios[-1].events.append(fault)
        elif kind == "A":
            output.scenarios[-1].events.append(STATE.unpack(body))
        elif kind == "M":
            output.scenarios[-1].memory = body
        elif kind == "P":
            (output.probed,) = struct.unpack("<Q", body)
        else:
            assert kind == "R", f"the program says {kind}: {body.decode()}"
    return output


class Writer:
    """Text for scenarios of one run."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.starts = sorted(output.labels)

    def place(self, number: int) -> str:
        """An address of the program by its name, else the number: hexadecimal, or decimal where it is small."""
        page = (number - ARENA) // PAGE
        if 0 <= page < 20:
            while page not in PAGES:
                page -= 1
            return f"{PAGES[page]}+{number - ARENA - page * PAGE:#x}"
        at = bisect.bisect_right(self.starts, number) - 1
        if at >= 0 and (name := self.output.labels[self.starts[at]]) and number - self.starts[at] < PAGE:
            return f"<{name}>+{number - self.starts[at]:#x}"
        if number >= 1 << 63 and number >= (1 << 64) - (1 << 20):
            return str(number - (1 << 64))
        return str(number) if number < 1 << 12 else f"{number:#x}"

    def known(self, pc: int) -> bool:
        """Whether an address is in a fragment, in the arena or nowhere: not in what a compiler made."""
        return "+" in self.place(pc) or pc >= 1 << 32 or pc < PAGE

    def code(self, pc: int) -> str:
        """The place of an instruction."""
        return self.place(pc) if self.known(pc) else "the handler"

    def registers(self, state: tuple[int, ...], *, after: bool = False) -> str:
        """All registers: those that changed, and how many others still hold the mark that they were loaded with."""
        words = []
        for i in range(1, 31 if after else 32):  # x31 has been used to come back
            if state[i] != 0x0101010101010101 * i:
                words.append(f"{NAMES[i]}={self.place(state[i])}")
        for i in range(32):
            if state[32 + i] != 0x4000000000000000 + (i << 48):
                words.append(f"f{i}={state[32 + i]:#x}")
        if state[64]:
            words.append(f"fcsr={state[64]:#x}")
        others = 64 - after - len(words)
        return " ".join([*words, f"and {others} as loaded"])

    def event(self, event: Fault | tuple[int, ...] | int) -> list[str]:
        """The lines of one event."""
        if isinstance(event, int):
            return [f"value {event}"]
        if isinstance(event, tuple):
            return [f"at the end {self.registers(event, after=True)}"]
        signal = SIGNALS.get(event.signo, str(event.signo))
        code = CODES.get((event.signo, event.code), str(event.code))
        pc = event.state[0]
        place = self.code(pc)
        address = place if event.address == pc else self.place(event.address)
        first = f"{signal} {code} at {address}, pc {place}" + (
            f", errno {event.error}" if event.error else ""
        )
        return [first, f"  {self.registers(event.state)}"] if self.known(pc) else [first]

    def memory(self, data: bytes) -> list[str]:
        """What differs in the writable pages from what every scenario starts with."""
        if not data:
            return []
        words = struct.unpack(f"<{len(data) // 8}Q", data)
        fresh = [0x3FF0000000000000 + (i << 32) + i for i in range(len(words))]
        fresh[0x900 // 8 : 0x920 // 8] = [0x10_0000_0800, 8, 0x10_0000_2010, 8]
        changed = [
            f"{8 * i:#x}={self.place(w)}" for i, (w, f) in enumerate(zip(words, fresh, strict=True)) if w != f
        ]
        if len(changed) > 6:
            changed = [*changed[:3], f"and {len(changed) - 6} more", *changed[-3:]]
        return [f"written: {' '.join(changed)}"] if changed else []

    def scenario(self, scenario: Scenario) -> str:
        """A paragraph."""
        lines = [scenario.name]
        for event in scenario.events:
            lines += [f"  {line}" for line in self.event(event)]
        lines += [f"  {line}" for line in self.memory(scenario.memory)]
        return "\n".join(lines) + "\n"

    def text(self) -> str:
        """Everything."""
        return "\n".join(self.scenario(scenario) for scenario in self.output.scenarios)
