"""What is told when a guest dies of a fault: registers, backtrace with symbols, mapping, and the code around pc.

Only memory and files are read; nothing is changed, and what cannot be read is left out. Where the program has no
unwind tables the backtrace is a guess: it shows return addresses that stand on the stack behind a call, and says so.
"""

from __future__ import annotations

from polyvm.debug import unwind
from polyvm.debug.names import Names
from polyvm.engine.layout import FAULT, PRECISE
from polyvm.errors import PolyvmError, printable
from polyvm.isa import disasm
from polyvm.memory.regions import EXEC
from polyvm.user import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.isa.spec import Decoded, Isa
    from polyvm.memory.space import AddressSpace
    from polyvm.user.thread import Thread

_OF_AN_ADDRESS = frozenset((4, 5, 7, 8, 11))
BUS_ADRALN = 1
SI_ADDRESS = 16  # offset in siginfo_t
MAX_FRAMES, STACK_WORDS = 32, 1024
BEFORE, AFTER = 16, 32  # bytes of code looked at around pc
SHOWN = 6  # instructions before pc, and from there on
GUESS = "return addresses on the stack, old ones may be among them"


def report(thread: Thread, signo: int, info: bytes, guest: str) -> str:
    """The text for standard error. guest: the guest's name."""
    cpu, space = thread.cpu, thread.space
    isa: Isa = cpu.engine.guest.isa
    names = Names(space)
    lines = [f"polyvm: the {guest} program was killed by {_what(thread, signo, info)}"]
    lines += [f"  pc = {cpu.pc:#x} {names.of(cpu.pc)}".rstrip(), ""]
    units = cpu.engine.units
    stale = units is not None and units.by_pc and PRECISE not in units.kind
    note = " (those that the program had no more use for may be out of date)" if stale else ""
    lines += [f"Registers{note}:", *_registers(thread, isa), ""]
    frames = _walk(thread, isa, names)
    lines.append("Backtrace:" if frames else f"Backtrace ({GUESS}):")
    for number, address in enumerate(frames or _scan(thread, isa)):
        lines.append(f"  #{number:<2} {address:#014x} {names.of(address)}".rstrip())
    lines += ["", "Code:", *_code(space, isa, cpu.pc, names), "", "Mapping:"]
    for region in space:
        where = printable(region.backing.path if region.backing is not None else region.name)
        lines.append(f"  {region.start:012x}-{region.end:012x} {region.permissions} {where}".rstrip())
    return "\n".join(lines) + "\n"


_ACCESS = ("a read of", "a write to", "a jump to")


def _what(thread: Thread, signo: int, info: bytes) -> str:
    """The signal, and what of the siginfo says why."""
    name = signals.name(signo)
    code = int.from_bytes(info[8:12], "little", signed=True)
    if code <= 0 or signo not in _OF_AN_ADDRESS:
        return f"{name}, which a process sent"
    address = int.from_bytes(info[SI_ADDRESS : SI_ADDRESS + 8], "little")
    region = thread.space.lookup(address) if address < thread.space.limit else None
    if signo == signals.SIGBUS and code == BUS_ADRALN:  # whose address is the instruction's
        return f"{name}: an access to {thread.cpu.value:#x}, which is misaligned"
    if signo == signals.SIGBUS:
        return f"{name}: {address:#x} is beyond the end of its file"
    if signo != signals.SIGSEGV:
        return f"{name} at {address:#x}"
    access = _ACCESS[thread.cpu.access] if thread.cpu.reason == FAULT else "an access to"
    mapped = "not mapped" if region is None else f"mapped {region.permissions[:3]}"
    return f"{name}: {access} {address:#x}, which is {mapped}"


def _registers(thread: Thread, isa: Isa) -> list[str]:
    """Every register of the files that has a value, 256 bits a line."""
    lines = []
    for file in isa.files.values():
        values = getattr(thread.cpu, file.name)
        digits, row = file.bits // 4, 256 // file.bits
        cells = [f"{name:>4} {values[n]:0{digits}x}" for n, name in enumerate(file.names) if n != file.zero]
        if file.zero is not None or any(values):
            lines += ["  " + "  ".join(cells[i : i + row]) for i in range(0, len(cells), row)]
    return lines


def _walk(thread: Thread, isa: Isa, names: Names) -> list[int]:
    """pc and the return addresses above it, by the unwind tables; nothing where there are none."""
    cpu, space, abi = thread.cpu, thread.space, thread.process.abi

    def load(address: int) -> int:
        try:
            return int.from_bytes(space.read(address, 8), "little")
        except PolyvmError as error:
            raise unwind.Damaged(str(error)) from error

    registers = abi.dwarf_registers(cpu)
    back = registers[abi.LINK[1]] & abi.RETURN
    frames = [cpu.pc]
    start = cpu.pc
    if names.tables(start) is None and _follows_call(space, isa, back, abi.LINK):
        # A jump to nowhere, or code that was made at run time: its caller is where the link register points.
        frames.append(back)
        start = back - 1
    try:
        for address, _ in unwind.walk(registers, start, abi.DWARF_STACK, names.tables, load, abi.RETURN):
            if len(frames) == MAX_FRAMES:
                break
            frames.append(address)
    except unwind.Damaged:
        pass  # as far as it led
    return frames if len(frames) > 1 else []


def _scan(thread: Thread, isa: Isa) -> list[int]:
    """pc, the link register, and what stands on the stack and follows a call."""
    cpu, space, abi = thread.cpu, thread.space, thread.process.abi
    frames = [cpu.pc]
    link = getattr(cpu, abi.LINK[0])[abi.LINK[1]]
    if _follows_call(space, isa, link, abi.LINK):
        frames.append(link)
    at = abi.stack_pointer(cpu) & -8
    region = space.lookup(at) if at < space.limit else None
    end = min(region.end, at + 8 * STACK_WORDS) if region is not None else at
    while at < end and len(frames) < MAX_FRAMES:
        try:
            value = int.from_bytes(space.read(at, 8), "little")
        except PolyvmError:
            break
        if value != frames[-1] and _follows_call(space, isa, value, abi.LINK):
            frames.append(value)
        at += 8
    return frames


def _follows_call(space: AddressSpace, isa: Isa, address: int, link: tuple[str, int]) -> bool:
    """Whether the instruction before an address is one that calls."""
    for size in isa.sizes:
        decoded = _decode(space, isa, address - size)
        if decoded is not None and decoded.insn.size == size and _calls(isa, decoded, link):
            return True
    return False


def _decode(space: AddressSpace, isa: Isa, address: int) -> Decoded | None:
    region = space.lookup(address) if 0 <= address < space.limit else None
    if region is None or not region.prot & EXEC:
        return None
    try:
        code = space.fetch(address, max(isa.sizes))
    except PolyvmError:
        return None
    return isa.decode(int.from_bytes(code, "little"))


def _calls(isa: Isa, decoded: Decoded, link: tuple[str, int]) -> bool:
    """Whether it jumps and writes the link register."""
    jumps = writes = False
    for op in isa.trace(decoded.insn, decoded.shape).walk():
        if op.op == "jump":
            jumps = True
        elif op.op == "set" and op.attr == link:
            writes = True
        elif op.op == "setx" and op.attr == link[0] and op.args[0].op == "field":
            writes |= decoded.fields.get(str(op.args[0].attr)) == link[1]
    return jumps and writes


def _code(space: AddressSpace, isa: Isa, pc: int, names: Names) -> list[str]:
    """Some instructions before pc and after it, pc marked."""
    region = space.lookup(pc) if pc < space.limit else None
    if region is None or not region.prot & EXEC:
        return [f"  {pc:#x} is not executable"]
    # Instructions have several sizes: begin at the function's start, else where a listing meets pc.
    begin = names.start(pc)
    low = max(region.start, pc - BEFORE)
    for start in [begin] if begin is not None else range(low, pc + 1, min(isa.sizes)):
        try:
            code = space.fetch(start, min(region.end, pc + AFTER) - start)
        except PolyvmError:
            continue
        rows = list(disasm.listing(isa, code, start, names.label, aliases=True))
        at = next((i for i, row in enumerate(rows) if row[0] == pc), None)
        if at is not None:
            return [
                f"{'->' if address == pc else '  '} {address:#014x}  {piece[::-1].hex():<8}  {text}"
                for address, piece, text in rows[max(at - SHOWN, 0) : at + SHOWN]
            ]
    return [f"  {pc:#x} cannot be read"]
