"""Where everything lies in the memory of a standalone program, and what its runtime is told.

The runtime is the same for all programs of a guest: what differs stands in the control block and in the tables that it
points to. All of it lies at fixed addresses, far below where the host's kernel puts stacks and mappings of its own, so
most of what `engine` computes at every start is written down once, when the file is made.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.engine import layout
from polyvm.engine.layout import offsets
from polyvm.memory.codemap import SLOT_MARGIN, SLOT_SCALE, XMAP_MARGIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.engine.layout import Table

BITS = 38
"""Of guest addresses, as many as `polyvm run` gives."""
LIMIT = 1 << BITS

RUNTIME = 0x2000_0000  # the runtime's code
TABLES = 0x3000_0000  # what is only read
DATA = 0x5000_0000  # what is written: the control block first
NATIVE = 0x1_0000_0000  # the interpreter's image, its process block, and behind both the units
GUEST = 1 << 44  # guest address 0; nothing of ours is near
SLOTS = 1 << 45  # the code slot of guest address 0
XMAP = 3 << 43  # the executable byte of guest page 0

SLOTS_RANGE = SLOTS - SLOT_MARGIN, LIMIT * SLOT_SCALE + 2 * SLOT_MARGIN
XMAP_RANGE = XMAP - XMAP_MARGIN, (LIMIT >> 12) + 2 * XMAP_MARGIN

CONTROL_SIZE = 4096
CONTROL: Table = (
    ("enter", 0, 8, "address of pv_enter"),
    ("handler", 8, 8, "address of pv_signal"),
    ("entry", 16, 8, "guest address where the program begins"),
    ("stack_bottom", 24, 8, "the program's first stack, guest addresses"),
    ("stack_top", 32, 8, ""),
    ("brk_start", 40, 8, "where the heap begins, and where it ends now"),
    ("brk_end", 48, 8, ""),
    ("mmap_top", 56, 8, "where the search for free addresses begins, downwards"),
    ("maps", 64, 8, "address and number of what is mapped as zeros at the start: rows of MAP"),
    ("map_count", 72, 8, ""),
    ("spans", 80, 8, "address and number of the ranges that are mapped at the start: rows of SPAN"),
    ("span_count", 88, 8, ""),
    ("code", 96, 8, "address and number of the ranges that may be executed at the start: rows of SPAN"),
    ("code_count", 104, 8, ""),
    ("entries", 112, 8, "address and number of entries of units: rows of ENTRY"),
    ("entry_count", 120, 8, ""),
    ("auxv", 128, 8, "address and number of rows of AUXV, the last of which is AT_NULL's"),
    ("auxv_count", 136, 8, ""),
    ("platform", 144, 8, "address of AT_PLATFORM's string"),
    ("mapped", 152, 8, "how many ranges are in the table of what is mapped"),
    ("code_low", 160, 8, "no page below was ever executable, nor one from code_high on"),
    ("code_high", 168, 8, ""),
    ("tid", 176, 8, "the thread's"),
    ("clear_tid", 184, 8, "of set_tid_address"),
    ("hidden", 192, 8, "signals that the guest blocks, and the host must not"),
    ("persona", 200, 8, "what personality was told"),
    ("dumpable", 208, 8, "what prctl was told"),
    ("altstack", 216, 24, "what sigaltstack was told"),
    ("actions", 256, 65 * 32, "by signals, what rt_sigaction was told: handler, flags, restorer, mask"),
    ("copy", 2344, 8, "address of pv_copy"),
    ("files", 2352, 8, "address and number of files that are inside: rows of FILE"),
    ("file_count", 2360, 8, ""),
    ("libraries", 2368, 8, "address and number of code that is mapped from them: rows of LIBRARY"),
    ("library_count", 2376, 8, ""),
    ("limits", 2560, 16 * 24, "by resources, what prlimit64 was told: whether it was, soft, hard"),
)
CT = offsets(CONTROL, CONTROL_SIZE)

MAP = Struct("<QQQ")  # guest address, bytes, the host's protection
SPAN = Struct("<QQ")  # from, to
ENTRY = Struct("<QQ")  # guest address, distance of its code from the decoder
FILE = Struct(
    "<QQQQ"
)  # address and bytes of its name, NUL included; of its content; no address where there is none
LIBRARY = Struct("<QQQQQQ")  # number of the file, place in it, from, to; address and number of its entries
AUXV = Struct("<QQQ")  # type, value, one of the following
GIVEN, HOSTS, RANDOM, EXECFN, PLATFORM = range(5)
"""An entry's value is as it stands there; the host's; the address of what is named."""

# In DATA, one behind the other. What has no bytes of its own in the file is zero at the start.
CALLS = DATA + CONTROL_SIZE
STATE = CALLS + (layout.CALLS_HEAD + layout.CALL_ROW * layout.CALL_ROWS + 4095 & -4096)
ALTSTACK = STATE + layout.STATE_SIZE
COUNTERS = ALTSTACK + layout.ALT_SIZE
SCRATCH_SIZE = 1 << 16
SCRATCH = COUNTERS + 8 * layout.COUNTERS
MAX_SPANS = 1 << 16  # Linux allows a process some 65,530 mappings
MAPPED = SCRATCH + SCRATCH_SIZE
MAX_FILES = 1024
INODES = MAPPED + SPAN.size * (
    MAX_SPANS + 1
)  # by files that are inside, of the memory file that was made of it last
INSTALLED = (
    INODES + 8 * MAX_FILES
)  # by rows of LIBRARY, whether its entries lead to compiled code, a byte each
DATA_END = INSTALLED + MAX_FILES
