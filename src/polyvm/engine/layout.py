"""Where everything lies that Python and generated code share: thread state, process block, fault ranges, slots.

Each block is one table of (name, offset, size, meaning); every other constant is derived from the tables, for Python
as `ST["pc"]` and for LLVM text through `names()`. The module refuses overlapping fields at import, and knows nothing
of any guest: the register files from REGISTERS on are laid out by the Isa.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    Table: TypeAlias = tuple[tuple[str, int, int, str], ...]

# Part of every cache key: raise it whenever an offset or a calling convention of this page changes.
LAYOUT_VERSION = 9

VECTORS = "+v"  # between a guest's name and the bits of its vector registers, where it has any

STATE_SIZE = 65536
STATE: Table = (
    ("pc", 0, 8, "guest PC; valid whenever native code is not running"),
    ("reason", 8, 4, "why native code was left: one of REASONS"),
    ("stop", 12, 4, "non-zero: leave at the next safepoint"),
    ("cause", 16, 8, "TRAP: the Isa's cause number; FAULT: the host signal"),
    ("value", 24, 8, "trap value; FAULT: the guest address"),
    ("host_sp", 32, 8, "host stack pointer while native code runs, else 0"),
    ("mem_base", 40, 8, "host address of guest address 0"),
    ("slot_base", 48, 8, "host address of the code slot of guest address 0"),
    ("xmap", 56, 8, "host address of the executable-page map"),
    ("limit", 64, 8, "first guest address past the space"),
    ("mxcsr_guest", 72, 4, "the guest's floating-point control word, live inside native code"),
    ("mxcsr_host", 76, 4, "Python's, saved meanwhile"),
    ("ip", 80, 8, "tier 0: slot address of the current instruction, stored before what may fault"),
    ("budget", 88, 8, "instructions left; below 0 native code leaves"),
    ("hbase", 96, 8, "host address that the handler offsets in slots are relative to"),
    ("process", 104, 8, "host address of the process block"),
    ("fp_mode", 120, 4, "IR's FP_MODE"),
    ("access", 124, 4, "FAULT: one of READ, WRITE, FETCH"),
    ("counters", 128, 8, "host address of this thread's hotness counters, 0 for none"),
    ("sig_head", 136, 4, "signal queue: next to read (free running)"),
    ("sig_tail", 140, 4, "signal queue: next to write (free running)"),
    ("fault_rip", 144, 8, "host PC of the last fault"),
    ("hot_pc", 152, 8, "HOT: the guest PC"),
    ("sigmask", 160, 8, "host signal mask to restore once a full queue is drained"),
    ("tid", 168, 4, "host thread that runs this state"),
    ("stepping", 172, 4, "non-zero while the trap flag is ours"),
    ("altstack", 176, 8, "base of that thread's alternate signal stack"),
    ("sig_lost", 184, 8, "signals (bit N-1) whose last instance found the queue full"),
    ("sig_dropped", 192, 4, "how many instances found it full"),
    ("sig_held", 196, 4, "non-zero: the queue is nearly full and the kernel keeps what comes (see sigmask)"),
    ("steps", 200, 8, "single steps taken towards safepoints, ever"),
    ("faults", 208, 8, "guest faults recovered, ever"),
    ("log_next", 216, 4, "dynamic jumps logged, ever"),
    ("tiered", 220, 4, "non-zero: tier 1 may be made of what is warm"),
    ("unit_insns", 224, 8, "instructions done in units, where they count them"),
    ("unit_ticks", 232, 8, "pv_ticks spent there"),
    ("sink", 240, 8, "tier 1: where a write to a hardwired register goes"),
    ("decoding", 248, 4, "non-zero: the decoder fills a slot and leaves, STOP"),
    ("block_insns", 256, 8, "instructions done in tier 1"),
    (
        "warm",
        264,
        8,
        "where tier 0 counts jumps that close loops: the counters, or with tier 1 those behind them",
    ),
    (
        "handlers_start",
        272,
        4,
        "where tier 0's handlers of instructions lie, from hbase on: section pvh of the image",
    ),
    ("handlers_size", 276, 4, ""),
    ("looking", 280, 4, "non-zero: a strip looks whether its pages are there; a fault is nobody's yet"),
    ("singly", 284, 4, "non-zero: no strips, because one met a page that was not there"),
    (
        "plain_limit",
        288,
        8,
        "tier 0: an access below is made at once; of others it looks whether they may be",
    ),
    ("watch_start", 296, 8, "and leaves, FAULT, before one that is in the space and begins here"),
    ("watch_size", 304, 8, ""),
    (
        "pause_start",
        312,
        8,
        "instructions that are decoded in this range have the handler `pause` before theirs",
    ),
    ("pause_size", 320, 8, ""),
    ("passing", 328, 4, "non-zero: the next pause is passed"),
    ("nested", 332, 4, "non-zero: a watched access is made, within the question whether it may be"),
    (
        "pause_hook",
        336,
        8,
        "a C function that a pause calls, 0 for none; unless it returns 0, native code is left",
    ),
    ("access_hook", 344, 8, "and one for a watched access: LET_BE, or leave: ASIDE, PAUSE, or REFUSE, FAULT"),
    ("outer_budget", 352, 8, "nested: instructions left, of which the one that is made is the first"),
    ("calls", 360, 8, "host address of the system calls that native code makes itself, 0 for none"),
    ("leave_syscall", 368, 8, "where a region goes for a system call: code of the interpreter's image"),
    (
        "given_at",
        376,
        8,
        "1 more than the address whose instruction is given, not in readable memory; 0 for none",
    ),
    ("given", 384, 16, "its bytes and what follows, as far as it may be executed"),
    ("given_size", 400, 8, ""),
    (
        "alone",
        408,
        4,
        "non-zero: from a load-exclusive to its store, this thread is to run alone; golden's to do",
    ),
    ("stop_rip", 416, 8, "host PC where the last signal that asks for a stop met this thread"),
    ("scratch", 432, 16, "regions: lanes on their way to or from memory"),
)
REGISTERS = 512  # the Isa's register files and special registers start here
LOG, LOG_ENTRIES = 4096, 256  # where dynamic jumps went: {u64 jump, u64 target}, the newest over the oldest
QUEUE, QUEUE_ENTRIES, QUEUE_ENTRY = 8192, 32, 256  # {u32 signo, pad, u8 siginfo[128] at +16}
QUEUE_INFO, SIGINFO_SIZE = 16, 128
BIG_STATE = 16384  # vector state and the like

COUNTERS = (
    4096  # hotness counters of a thread, u32 each, counted down; behind them as many for what is not hot yet
)
CELL_MASK = COUNTERS - 1
WARM_FIRST, HOT_FIRST = 16, 512
"""Jumps to a place in tier 0 before tier 1 is made of it, and in tier 1 before Python hears of it."""

PROCESS_SIZE = 8192
PROCESS: Table = (
    ("image_start", 0, 8, "the native image this block belongs to"),
    ("image_end", 8, 8, ""),
    ("ranges", 16, 8, "host ranges of compiled units: address of {u64 count, 0, RANGE entries by start}"),
    ("next", 32, 8, "process block of the image loaded before this one"),
    ("handler", 40, 8, "the installed signal handler"),
    ("gate_start", 48, 8, "code in which a stop must not be lost: section pvg of the image"),
    ("gate_end", 56, 8, ""),
    ("resume", 64, 8, "pv_resume"),
    ("sys_begin", 72, 8, "the restart window of pv_syscall"),
    ("sys_end", 80, 8, ""),
    ("sys_skip", 88, 8, "its way out before the kernel was entered"),
    ("sys_again", 96, 8, "its way out when the kernel asked for a restart"),
    ("windows", 104, 8, "fault windows (section pvx): u32 triples from, end, recovery"),
    ("window_count", 112, 8, ""),
    ("main_tid", 120, 4, "thread to which a signal goes that met a thread without state; 0 for none"),
    ("kick_signo", 124, 4, "the signal that means only: look at your stop flag"),
    ("watch", 128, 16, "signals whose handler pv_run re-checks, one byte each, 0 ends"),
    ("chain_tid", 144, 4, "thread that is inside an earlier handler"),
    ("chain_level", 148, 4, "how far down the chain it is"),
    ("raised_rip", 152, 8, "host PC at which an earlier handler left the signal pending again"),
    ("raised_tid", 160, 4, "and the thread"),
    ("readers", 164, 4, "threads that look into ranges just now"),
    ("chained", 168, 8, "signals handed to earlier handlers, ever"),
    ("decode_start", 176, 8, "code whose guest accesses are fetches: section pvdecode of the image"),
    ("decode_end", 184, 8, ""),
    ("policy", 192, 72, "one byte a signal: POLICY_* bits"),
    ("loop_rip", 264, 8, "host PC of the last fault handed on"),
    ("loop_count", 272, 4, "how often in a row"),
    ("stencils", 280, 8, "address of the table that engine.cut made"),
    ("arena", 296, 8, "tier 1's code, r-x; behind the image, so that a slot's distance reaches it"),
    ("arena_rw", 304, 8, "the same memory, writable"),
    ("arena_next", 312, 8, "bytes of it that are used"),
    ("arena_room", 320, 8, "a block may begin below this; 0 without an arena"),
    ("arena_lock", 328, 4, "non-zero: a thread is writing a block"),
    ("arena_full", 332, 4, "non-zero: a block found no room"),
    ("blocks", 336, 8, "blocks made, ever"),
    ("block_insns", 344, 8, "and instructions in them"),
    ("first", 512, 65 * 16, "a signal's action before ours: {handler, flags}"),
    ("later", 1552, 65 * 16, "an action installed after ours and then displaced; flags has LATER_VALID"),
)
PROCESS_FREE = 4096  # from here on the block is at the disposal of the layers above

RANGE_SIZE = 80
RANGE: Table = (
    ("start", 0, 8, "host address of the unit image; the tables are relative to it"),
    ("end", 8, 8, "the end of its shadow, or its own"),
    ("faults", 16, 8, "address of u32 pairs (host PC, recovery), sorted"),
    ("points", 24, 8, "address of u32 pairs (safepoint, recovery), sorted"),
    ("fault_count", 32, 4, ""),
    ("point_count", 36, 4, ""),
    ("size", 40, 8, "bytes of the image"),
    ("shadow", 48, 8, "distance from the image to its shadow, 0 for none"),
    ("cell", 56, 8, "address of a u32: one of SHADOW_*"),
    ("places", 64, 8, "address of rows (u32 host PC, u64 guest PC) of what may fault, sorted"),
    ("place_count", 72, 4, ""),
)
SHADOW_NONE, SHADOW_BUSY, SHADOW_READY, SHADOW_REFUSED = range(4)

# System calls that native code makes: a head, then a row for each of the guest's numbers.
CALL_ROWS, CALL_ROW, CALLS_HEAD = 512, 32, 64
CALLS: Table = (
    ("number", 0, 4, "where in the state the number of a call is"),
    ("arguments", 8, 24, "and its six arguments, u32 each"),
    ("result", 32, 4, "and where its result goes"),
    ("bytes", 36, 4, "of the instruction"),
    ("floor", 40, 4, "descriptors from this one on are Python's to look at"),
)
CALL: Table = (
    ("host", 0, 4, "the host's number"),
    ("pointers", 4, 1, "bit N: argument N is a guest pointer"),
    ("descriptors", 5, 1, "bit N: it is a descriptor"),
    ("known", 6, 2, "non-zero: native code makes it"),
    ("count", 8, 8, "how often it was made"),
    ("errors", 16, 8, "and failed"),
)

PRECISE, WHOLE, COUNTED, ROUNDED = "p", "w", "c", "r"
"""Letters of a unit's kind: a fault shows every register, and so does a stop; a stop does; instructions and time are
counted; the rounding mode need not be to nearest, ties to even."""


def option_letters(options: Iterable[str]) -> dict[str, str]:
    """Of a guest's options, in their order, the letters that stand in a unit's kind where the processor has them."""
    return {name: chr(ord("A") + place) for place, name in enumerate(options)}


SLOT_SIZE = 16  # of a code slot: i32 distance of its code from hbase, u32 for pauses, u64 decoded fields
UNITS_ROOM = 3 << 29  # bytes of address space for units, all within the reach of a slot's distance
SLOT_SHIFT = 3  # slot address = slot_base + (pc << 3): one slot per two bytes of guest code

# Why native code was left.
LOST, SYSCALL, TRAP, FAULT, STOP, BUDGET, GOLDEN, HOT, FLUSH, ILLEGAL, PAUSE, INTERRUPTED = range(12)
REASONS = (
    "LOST",
    "SYSCALL",
    "TRAP",
    "FAULT",
    "STOP",
    "BUDGET",
    "GOLDEN",
    "HOT",
    "FLUSH",
    "ILLEGAL",
    "PAUSE",
    "INTERRUPTED",
)
# Tier 1: a block's header {u64 pc, u32 bytes, u32 instructions}, its instructions at most, a stencil's bytes at most.
BLOCK_HEADER, MAX_BLOCK, MAX_STENCIL = 16, 64, 4096
RECORD_FLAGS, RECORD_SIZE, RECORD_LEFT = 7, 12, 13  # offsets in engine.cut's records
FLAG_ENDS, FLAG_WAYS = 1, 2  # control does not fall through; a second record follows, for jumps forward
# What a hole is: added to a base; a field of the slot; one with a sign.
BASE_NONE, BASE_WRITTEN, BASE_HERE, BASE_PC, BASE_BEFORE, BASE_UNDONE, BASE_IMAGE = range(7)
HOLE_LANE, HOLE_SIGNED = 64, 128
READ, WRITE, FETCH = range(3)  # the kinds of access in `access`
LET_BE, ASIDE, REFUSE = range(3)  # what hooks answer
# What a compiler is told of a place: executed or not, or that no region may go on there.
UNMET, MET, BARRED = range(3)

# What a signal does that is not a fault of the guest's code. With none of them it is swallowed.
POLICY_QUEUE, POLICY_STOP, POLICY_CHAIN, POLICY_FORWARD = 1, 2, 4, 8
LATER_VALID = 1 << 32

# pv_syscall: the kernel's own names for what it never returns to a program.
# ERESTARTSYS: entered and interrupted; restart it if the guest's handler says SA_RESTART.
RESTART_SYSCALL = -512
# ERESTARTNOINTR: never entered; run the same instruction again after the signal.
RESTART_ALWAYS = -513

ALT_SIZE = 17 * 4096  # an unusual size: the handler looks at a stack's base only when the size is this
ALT_MAGIC = 0x6B63617473766D70
ALT_STATE, ALT_TID = 8, 16  # {u64 magic, u64 st (0: none), u32 tid} at the base


def offsets(table: Table, limit: int) -> dict[str, int]:
    """Name -> offset, after checking that no two fields share a byte and all are aligned and inside."""
    taken = 0
    for name, offset, size, _ in table:
        if offset < taken or offset % min(size & -size, 8) or offset + size > limit:
            raise AssertionError(f"layout: field {name} at {offset} overlaps, is misaligned or is outside")
        taken = offset + size
    return {name: offset for name, offset, _, _ in table}


ST = offsets(STATE, REGISTERS)
SIZES = {name: size for name, _, size, _ in STATE}
PR = offsets(PROCESS, PROCESS_FREE)
RG = offsets(RANGE, RANGE_SIZE)
CS = offsets(CALLS, CALLS_HEAD)
CR = offsets(CALL, CALL_ROW)


def names() -> dict[str, int]:
    """Everything above by the name that LLVM text uses: st.pc, process.policy, range.start, reason.FAULT, QUEUE..."""
    table = {f"st.{name}": offset for name, offset in ST.items()}
    table |= {f"process.{name}": offset for name, offset in PR.items()}
    table |= {f"range.{name}": offset for name, offset in RG.items()}
    table |= {f"reason.{name}": number for number, name in enumerate(REASONS)}
    for name, value in globals().items():
        if name.isupper() and isinstance(value, int):
            table[name] = value
    return table
