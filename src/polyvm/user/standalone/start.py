"""The beginning of a standalone program: its memory, its first stack, and the loop around native code.

Written once for all guests: what a guest is like comes from its abi and its register table. What only polyvm serves
ends the program with a message that names it.
"""

from __future__ import annotations

from polyvm.emit.function import Function, Module, Word
from polyvm.engine import fpcontrol, layout
from polyvm.engine.guest import Guest
from polyvm.engine.layout import PR, ST
from polyvm.memory.codemap import SLOT_SCALE
from polyvm.user import stack
from polyvm.user.hostabi import numbers
from polyvm.user.signals import SIG_IGN, SIGBUS, SIGSEGV
from polyvm.user.standalone import places
from polyvm.user.standalone.places import CT, DATA, GUEST, STATE

FAILED = 125
"""The exit status of what is none of the guest's own failures."""
_SA_SIGINFO, _SA_RESTORER, _SA_ONSTACK = 4, 0x04000000, 0x08000000
SIG_UNBLOCK = 1
PRIVATE, ANONYMOUS, FIXED, NORESERVE, NOREPLACE = 2, 0x20, 0x10, 0x4000, 0x100000
NOHUGEPAGE = 15
READ_WRITE = 3


class Runtime(Module):
    """The functions of a guest's runtime, with what all of them use."""

    def __init__(self, guest: Guest) -> None:
        super().__init__()
        self.guest = guest
        self.numbers = numbers()

    def control(self, f: Function, name: str) -> Word:
        """A field of the control block."""
        return f.load(DATA + CT[name])

    def set_control(self, f: Function, name: str, value: Word | int) -> None:
        """Change one."""
        f.store(DATA + CT[name], value)

    def register(self, name: str) -> int:
        """Where a guest register is."""
        return STATE + self.guest.places.names[name][0]

    def system(self, f: Function, name: str, *arguments: Word | int) -> Word:
        """The host's system call of a name."""
        return f.host(self.numbers[name], *arguments)

    def open_flags(self, f: Function, value: Word, source: tuple[int, ...], target: tuple[int, ...]) -> Word:
        """Flags of open of one architecture in the form of another, as openflags.swap has them."""
        if source == target:
            return value
        result = value & ~sum(source)
        for ours, theirs in zip(source, target, strict=True):
            result = result | f.select((value & ours) != 0, theirs, 0)
        return result

    def say(self, f: Function, *parts: str | Word | tuple[Word, int]) -> None:
        """Write to standard error: text, and words in hexadecimal, or with a base."""
        for part in parts:
            if isinstance(part, str):
                data = part.encode()
                self.system(f, "write", 2, f.constant(data), len(data))
            else:
                f.call("say_number", *(part if isinstance(part, tuple) else (part, 16)))

    def end(self, f: Function) -> None:
        """End the program as a failure of its runtime, not of its own. It ends the block."""
        self.system(f, "exit_group", FAILED)
        f.ret(0)

    def refuse(self, f: Function, *parts: str | Word | tuple[Word, int]) -> None:
        """End the program with a message, because it needs what only polyvm has. It ends the block."""
        self.say(f, "polyvm: PVM-UNSUPPORTED: ", *parts)
        self.say(f, "; only `polyvm run` serves that, not a standalone program\n")
        self.end(f)


def add(m: Runtime) -> None:
    """All of it: `begin` is where pv_start goes."""
    _say_number(m)
    _length(m)
    _copy(m)
    _take(m)
    _prepare(m)
    _fill(m)
    _signals(m)
    _stack(m)
    _die(m)
    _caught(m)
    _run(m)
    f = m.function("begin", 1)
    (host_stack,) = f.arguments
    f.call("prepare")
    f.call("signals")
    f.store(STATE + ST["pc"], m.control(f, "entry"))
    f.store(m.register("sp"), f.call("stack", host_stack))
    f.call("run")
    f.ret(0)


def _say_number(m: Runtime) -> None:
    f = m.function("say_number", 2)
    value, base = f.arguments
    digits = f.constant(b"0123456789abcdef")
    at, left = f.local(places.SCRATCH + 64), f.local(value)
    more = f.local(1)
    with f.loop(lambda: more.value != 0):
        at.value = at.value - 1
        rest = left.value // base
        f.store(at.value, f.load(digits + (left.value - rest * base), 1), 1)
        left.value = rest
        more.value = rest
    with f.when(base == 16):
        m.system(f, "write", 2, f.constant(b"0x"), 2)
    m.system(f, "write", 2, at.value, f.word(places.SCRATCH + 64) - at.value)
    f.ret(0)


def _length(m: Runtime) -> None:
    """Bytes of a string of the host's, its NUL among them."""
    f = m.function("length", 1)
    at = f.local(f.arguments[0])
    with f.loop(lambda: f.load(at.value, 1) != 0):
        at.value = at.value + 1
    f.ret(at.value + 1 - f.arguments[0])


def _copy(m: Runtime) -> None:
    """Copy bytes that can be read and written: copy(to, from, size)."""
    f = m.function("copy", 3)
    to, source, size = f.arguments
    done = f.local()
    with f.loop(lambda: done.value + 8 <= size):
        f.store(to + done.value, f.load(source + done.value))
        done.value = done.value + 8
    with f.loop(lambda: done.value < size):
        f.store(to + done.value, f.load(source + done.value, 1), 1)
        done.value = done.value + 1
    f.ret(0)


def _take(m: Runtime) -> None:
    """Map zeros at an address of the host's, or end: take(address, size, protection)."""
    f = m.function("take", 3)
    address, size, prot = f.arguments
    flags = PRIVATE | ANONYMOUS | NORESERVE | NOREPLACE
    found = m.system(f, "mmap", address, size, prot, flags, -1, 0)
    with f.when(found != address):
        m.say(
            f, "polyvm: PVM-RESOURCE: the host gives no memory at ", address, " for ", (size, 10), " bytes; "
        )
        m.say(f, "`ulimit -v unlimited` may help, or vm.overcommit_memory 0 or 1\n")
        m.end(f)
    f.ret(0)


def _prepare(m: Runtime) -> None:
    """The guest's memory and code slots. Its segments are there: the kernel mapped them."""
    f = m.function("prepare", 0)
    for start, size in (places.SLOTS_RANGE, places.XMAP_RANGE):
        f.call("take", start, size, READ_WRITE)
    # A few slots must not cost 2 MiB. A kernel without huge pages answers EINVAL, which is as good.
    m.system(f, "madvise", *places.SLOTS_RANGE, NOHUGEPAGE)
    row = f.local(m.control(f, "maps"))
    end = row.value + m.control(f, "map_count") * places.MAP.size
    with f.loop(lambda: row.value < end):
        f.call("take", f.load(row.value) + GUEST, f.load(row.value + 8), f.load(row.value + 16))
        row.value = row.value + places.MAP.size
    count = m.control(f, "span_count")
    f.call("copy", places.MAPPED, m.control(f, "spans"), count * places.SPAN.size)
    m.set_control(f, "mapped", count)
    row.value = m.control(f, "code")
    end = row.value + m.control(f, "code_count") * places.SPAN.size
    with f.loop(lambda: row.value < end):
        f.call("allow", f.load(row.value), f.load(row.value + 8))
        row.value = row.value + places.SPAN.size
    f.call("fill", m.control(f, "entries"), m.control(f, "entry_count"))
    f.ret(0)


def _fill(m: Runtime) -> None:
    """Have the slots of entries lead to their units: fill(address of rows, how many)."""
    f = m.function("fill", 2)
    row = f.local(f.arguments[0])
    end = row.value + f.arguments[1] * places.ENTRY.size
    with f.loop(lambda: row.value < end):
        f.store(f.load(row.value) * SLOT_SCALE + places.SLOTS, f.load(row.value + 8))
        row.value = row.value + places.ENTRY.size
    f.ret(0)


def _signals(m: Runtime) -> None:
    """The engine's handler of faults, on a stack of its own whose base says which state is this thread's."""
    f = m.function("signals", 0)
    tid = m.system(f, "gettid")
    m.set_control(f, "tid", tid)
    f.store(STATE + ST["tid"], tid, 4)
    f.store(places.ALTSTACK, layout.ALT_MAGIC)
    f.store(places.ALTSTACK + layout.ALT_STATE, STATE)
    f.store(places.ALTSTACK + layout.ALT_TID, tid, 4)
    for offset, value in ((0, places.ALTSTACK), (8, 0), (16, layout.ALT_SIZE)):
        f.store(places.SCRATCH + offset, value)
    m.system(f, "sigaltstack", places.SCRATCH, 0)
    f.store(places.SCRATCH, m.control(f, "handler"))
    f.store(places.SCRATCH + 8, _SA_SIGINFO | _SA_RESTORER | _SA_ONSTACK)
    f.store(places.SCRATCH + 16, f.address_of("pv_restorer"))
    f.store(places.SCRATCH + 24, -1)
    for signo in (SIGSEGV, SIGBUS):
        m.system(f, "rt_sigaction", signo, places.SCRATCH, 0, 8)
    f.ret(0)


def _stack(m: Runtime) -> None:
    """The guest's first stack, as user.stack builds it, from the host's; the guest's stack pointer."""
    f = m.function("stack", 1)
    (host_stack,) = f.arguments
    count = f.load(host_stack)
    first = host_stack + 8  # argv, a null pointer, envp, a null pointer, the auxiliary vector
    top = m.control(f, "stack_top") + GUEST
    total, at = f.local(), f.local(first)
    last = f.local()
    # The strings are counted, those of argv and of envp.
    with f.loop(lambda: (at.value < first + count * 8) | (f.load(at.value) != 0) | (last.value == 0)):
        string = f.load(at.value)
        with f.when(string != 0):
            total.value = total.value + f.call("length", string)
        with f.otherwise():
            last.value = 1
        at.value = at.value + 8
    strings_end = at.value  # the null pointer behind envp
    host_auxv = strings_end + 8
    name = f.call("host_auxv", host_auxv, stack.AT_EXECFN)
    total.value = total.value + f.call("length", name)
    room = m.control(f, "stack_top") - m.control(f, "stack_bottom")
    words = (strings_end - first >> 3) + m.control(f, "auxv_count") * 2 + 4
    with f.when(total.value + words * 8 > (room >> 2) * 3):
        m.say(f, "polyvm: PVM-RESOURCE: the program's arguments and environment are too long\n")
        m.end(f)
    text = f.local(top - 8 - total.value)
    platform = text.value - f.call("length", m.control(f, "platform"))
    f.call("copy", platform, m.control(f, "platform"), text.value - platform)
    random = platform - 16 & -16
    f.call("copy", random, f.call("host_auxv", host_auxv, stack.AT_RANDOM), 16)
    align = m.guest.abi.STACK_ALIGN
    pointer = random - words * 8 & -align
    place = f.local(pointer + 8)
    f.store(pointer, count)
    at.value = first
    with f.loop(lambda: at.value <= strings_end):
        string = f.load(at.value)
        with f.when(string == 0):
            f.store(place.value, 0)
        with f.otherwise():
            size = f.call("length", string)
            f.call("copy", text.value, string, size)
            f.store(place.value, text.value - GUEST)
            text.value = text.value + size
        place.value = place.value + 8
        at.value = at.value + 8
    f.call("copy", text.value, name, f.call("length", name))
    row = f.local(m.control(f, "auxv"))
    end = row.value + m.control(f, "auxv_count") * places.AUXV.size
    with f.loop(lambda: row.value < end):
        kind, how = f.load(row.value), f.load(row.value + 16)
        value = f.local(f.load(row.value + 8))
        with f.when(how == places.HOSTS):
            value.value = f.call("host_auxv", host_auxv, kind)
        for number, address in (
            (places.RANDOM, random), (places.EXECFN, text.value), (places.PLATFORM, platform),
        ):  # fmt: skip
            value.value = f.select(how == number, address - GUEST, value.value)
        f.store(place.value, kind)
        f.store(place.value + 8, value.value)
        place.value = place.value + 16
        row.value = row.value + places.AUXV.size
    f.ret(pointer - GUEST)
    _host_auxv(m)


def _host_auxv(m: Runtime) -> None:
    """A value of an auxiliary vector, 0 where there is none: host_auxv(address, type)."""
    f = m.function("host_auxv", 2)
    at = f.local(f.arguments[0])
    with f.loop(lambda: f.load(at.value) != stack.AT_NULL):
        with f.when(f.load(at.value) == f.arguments[1]):
            f.ret(f.load(at.value + 8))
        at.value = at.value + 16
    f.ret(0)


def _die(m: Runtime) -> None:
    """The guest dies of a signal that its own instruction raised: die(signal)."""
    f = m.function("die", 1)
    (signo,) = f.arguments
    with f.when(f.load(signo * 32 + (DATA + CT["actions"])) > SIG_IGN):
        f.call("caught", signo)
    for offset in range(0, 32, 8):
        f.store(places.SCRATCH + offset, 0)
    m.system(f, "rt_sigaction", signo, places.SCRATCH, 0, 8)
    f.store(places.SCRATCH, f.word(1) << (signo - 1))
    m.system(f, "rt_sigprocmask", SIG_UNBLOCK, places.SCRATCH, 0, 8)
    m.system(f, "kill", m.system(f, "getpid"), signo)
    m.system(f, "exit_group", signo + 128)
    f.ret(0)


def _caught(m: Runtime) -> None:
    """A signal for which the guest has a handler: caught(signal). It is a handler of the host's, too."""
    f = m.function("caught", 1)
    signo = f.arguments[0] & 0xFF
    m.refuse(f, "signal ", (signo, 10), " came, for which the program has a handler")


def _run(m: Runtime) -> None:
    """Native code runs, and what it leaves for is carried out, until the program ends."""
    f = m.function("run", 0)
    causes, traps = m.guest.causes, m.guest.abi.TRAPS
    with f.loop(lambda: f.word(1) != 0):
        reason = f.call_at(m.control(f, "enter"), STATE) & 0xFFFF_FFFF
        with f.when(reason == layout.SYSCALL):
            f.call("serve")
        for left, function in ((layout.FAULT, "fault"), (layout.INTERRUPTED, "interrupted")):
            with f.when(reason == left):
                f.call(function)
        with f.when(reason == layout.TRAP):
            cause = f.load(STATE + ST["cause"])
            for number, name in enumerate(causes):
                if name in traps:
                    with f.when(cause == number):
                        f.call("die", traps[name][0])
        with f.when(reason == layout.ILLEGAL):
            f.call("die", traps["illegal"][0])
        with f.when(reason == layout.BUDGET):
            f.store(STATE + ST["budget"], (1 << 63) - 1)
        with f.when(reason == layout.STOP):
            f.store(STATE + ST["stop"], 0, 4)
        pc = f.load(STATE + ST["pc"])
        with f.when(reason == layout.GOLDEN):
            f.store(places.SCRATCH, 0)
            f.call("fetch", places.SCRATCH, f.call("pointer", pc), max(m.guest.isa.sizes))
            word = f.load(places.SCRATCH)
            m.refuse(f, "only the golden evaluator carries out the instruction ", word, " at ", pc)
        with f.when(reason == layout.FLUSH):
            m.refuse(f, "the program makes code of its own, says an instruction before ", pc)
    f.ret(0)
    _fault(m)
    _interrupted(m)


def _fault(m: Runtime) -> None:
    """A page that is not there. Where a strip only looked, the guest's own access will find out."""
    f = m.function("fault", 0)
    with f.when(f.load(STATE + ST["looking"], 4) != 0):
        f.store(STATE + ST["looking"], 0, 4)
        f.store(STATE + ST["singly"], 1, 4)
        f.ret(0)
    f.call("die", f.load(STATE + ST["cause"]))
    f.ret(0)


def _interrupted(m: Runtime) -> None:
    """A call of native code's that a signal interrupted; no guest handler ran, but the kernel does not start it again.

    It is as with a debugger, or after SIGCONT: EINTR.
    """
    f = m.function("interrupted", 0)
    f.call("answer", -4)
    f.ret(0)


def block_fields(image_fields: dict[str, int], ranges: int, handler: int) -> bytes:
    """The process block: what the signal handler reads of the interpreter's image and of units."""
    block = bytearray(layout.PROCESS_SIZE)

    def put(at: int, value: int, size: int = 8) -> None:
        block[at : at + size] = value.to_bytes(size, "little")

    for name, value in {**image_fields, "ranges": ranges, "handler": handler}.items():
        put(PR[name], value)
    for signo in (SIGSEGV, SIGBUS):
        block[PR["policy"] + signo] = layout.POLICY_CHAIN
        put(PR["first"] + 16 * signo + 8, layout.LATER_VALID)
    return bytes(block)


def state_fields(fields: dict[str, int]) -> dict[str, int]:
    """What a thread state begins with, with what the image says of it."""
    return fields | {
        "mem_base": GUEST, "limit": places.LIMIT, "plain_limit": places.LIMIT, "xmap": places.XMAP,
        "slot_base": places.SLOTS, "mxcsr_guest": fpcontrol.RESET, "budget": (1 << 63) - 1,
        "counters": places.COUNTERS, "warm": places.COUNTERS, "altstack": places.ALTSTACK, "calls": places.CALLS,
    }  # fmt: skip
