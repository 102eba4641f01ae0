"""Memory, other threads and the flow of control: PTX ISA 9.7.9, 9.7.12, 9.7.13 and 9.7.19, as data without a meaning.

Who carries these out is `compute.simt`: their kind names the function. What a modifier says about caches is accepted
and has no effect; what it says about order and scope is kept at least as strong as asked.
"""

from __future__ import annotations

from polyvm.isa.ptx.table import effect

_SPACES = "global shared shared::cta local const param param::entry param::func"
_ORDERS = "weak relaxed acquire release acq_rel volatile"
_SCOPES = "cta cluster gpu sys"
_CACHES = (
    "ca cg cs lu cv wb wt nc L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate "
    "L2::evict_normal L2::evict_first L2::evict_last L2::64B L2::128B L2::256B L2::cache_hint unified"
)
_VECTORS = "v2 v4 v8"
_MEMORY = "b8 u8 s8 b16 u16 s16 b32 u32 s32 b64 u64 s64 f16 bf16 f32 f64"
_ALL = f"{_SPACES} {_ORDERS} {_SCOPES} {_CACHES} {_VECTORS}"

# -- 9.7.9 Data movement
effect("ld", "load", _MEMORY, "d mem", "Load one to eight values.", mods=_ALL)
effect(
    "ldu", "load", _MEMORY, "d mem", "Load what is the same for all threads of a warp.", mods="global v2 v4"
)
effect("st", "store", _MEMORY, "mem a", "Store one to eight values.", mods=_ALL)
effect("cvta", "convert_address", "u64", "d a", "An address of a space as a generic one, and back.",
       mods="global shared shared::cta local const param to")  # fmt: skip
effect("isspacep", "is_space", "", "d:pred a:u64", "Whether a generic address is in a space.",
       mods="global shared shared::cta local const param")  # fmt: skip
effect(
    "prefetch",
    "nothing",
    "",
    "mem",
    "A hint.",
    mods="global local L1 L2 L2::evict_last L2::evict_normal tensormap",
)
effect("prefetchu", "nothing", "", "mem", "A hint.", mods="L1")
effect("applypriority", "nothing", "", "mem a?", "A hint.", mods="global L2::evict_normal")
effect("discard", "nothing", "", "mem a?", "A hint: what stands there may stay.", mods="global L2")
_COPY = "ca cg shared shared::cta global L2::cache_hint L2::64B L2::128B L2::256B"
effect("cp", "copy_async", "", "mem mem a:imm b:u32?", "Copy 4, 8 or 16 bytes to shared memory; done at once.",
       mods=_COPY + " async", needs="async ; ca cg")  # fmt: skip
effect(
    "cp",
    "nothing",
    "",
    "",
    "Everything copied so far is one group.",
    mods="async commit_group",
    needs="commit_group",
)
effect("cp", "nothing", "", "a:imm?", "Wait for copies: they are done.", mods="async",
       needs="wait_group wait_all")  # fmt: skip
effect("shfl", "shuffle", "b32", "d a b:b32 c:b32 e:b32", "Read another lane's register.", mods="sync",
       needs="up down bfly idx ; sync")  # fmt: skip

# -- 9.7.13 Parallel synchronisation and communication
effect(
    "bar", "barrier", "", "a:u32 b:u32?", "Wait for all threads of the block.", mods="sync cta", needs="sync"
)
effect("barrier", "barrier", "", "a:u32 b:u32?", "Likewise.", mods="aligned cta", needs="sync")
effect(
    "bar",
    "warp_barrier",
    "",
    "a:b32",
    "Wait for the threads of a mask; order their memory.",
    needs="warp ; sync",
)
effect("bar", "barrier_reduce", "u32", "d a:u32 c:pred", "Wait for all; how many predicates are true.",
       mods="cta", needs="red ; popc")  # fmt: skip
effect("bar", "barrier_reduce", "pred", "d a:u32 c:pred", "Wait for all; whether all or any predicates are true.",
       mods="cta", needs="red ; and or")  # fmt: skip
effect(
    "barrier", "barrier_reduce", "u32", "d a:u32 c:pred", "Likewise.", mods="cta aligned", needs="red ; popc"
)
effect(
    "barrier",
    "barrier_reduce",
    "pred",
    "d a:u32 c:pred",
    "Likewise.",
    mods="cta aligned",
    needs="red ; and or",
)
effect("membar", "fence", "", "", "Order memory accesses.", needs="cta gl sys gpu")
effect(
    "fence",
    "fence",
    "",
    "",
    "Order memory accesses.",
    mods="sc acq_rel acquire release sync_restrict cta cluster gpu sys",
)
_ATOMIC = f"global shared shared::cta relaxed acquire release acq_rel {_SCOPES} L2::cache_hint noftz"
_NUMBERS = "u32 s32 u64 s64"
effect(
    "atom",
    "atomic",
    _NUMBERS + " f32 f64 f16 f16x2 bf16 bf16x2",
    "d mem a",
    "Read and add.",
    mods=_ATOMIC,
    needs="add",
)
effect("atom", "atomic", _NUMBERS, "d mem a", "Read and keep the extreme.", mods=_ATOMIC, needs="min max")
effect("atom", "atomic", "u32", "d mem a", "Read and count round.", mods=_ATOMIC, needs="inc dec")
effect(
    "atom",
    "atomic",
    "b32 b64",
    "d mem a",
    "Read and combine, or replace.",
    mods=_ATOMIC,
    needs="and or xor exch",
)
effect(
    "atom",
    "atomic",
    "b16 b32 b64",
    "d mem a b",
    "Read, and replace what is as expected.",
    mods=_ATOMIC,
    needs="cas",
)
effect(
    "red", "atomic", _NUMBERS + " f32 f64 f16 f16x2 bf16 bf16x2", "mem a", "Add.", mods=_ATOMIC, needs="add"
)
effect("red", "atomic", _NUMBERS, "mem a", "Keep the extreme.", mods=_ATOMIC, needs="min max")
effect("red", "atomic", "u32", "mem a", "Count round.", mods=_ATOMIC, needs="inc dec")
effect("red", "atomic", "b32 b64", "mem a", "Combine.", mods=_ATOMIC, needs="and or xor")
effect("vote", "vote", "pred", "d a e:b32?", "Whether the predicates of a mask's lanes are all, any or equally true.",
       mods="sync", needs="all any uni")  # fmt: skip
effect(
    "vote",
    "vote",
    "b32",
    "d a:pred e:b32?",
    "The predicates of a mask's lanes as bits.",
    mods="sync",
    needs="ballot",
)
effect(
    "match", "match", "b32 b64", "d:b32 a e:b32", "Which lanes have the same value.", needs="any all ; sync"
)
effect("activemask", "active", "b32", "d", "Which lanes are here.")
effect(
    "redux",
    "reduce",
    "u32 s32",
    "d a e:b32",
    "Add up, or the extreme, over lanes.",
    needs="sync ; add min max",
)
effect("redux", "reduce", "b32", "d a e:b32", "Combine over lanes.", needs="sync ; and or xor")
effect("elect", "elect", "", "d:b32 e:b32", "One lane of a mask.", needs="sync")

# -- 9.7.12 Control flow
effect("bra", "branch", "", "a:label", "Go on elsewhere.", mods="uni")
effect(
    "brx", "branch_table", "", "a:u32 b:label", "Go on at one of several places.", mods="uni idx", needs="idx"
)
effect("call", "call", "", "d a b", "Call a function.", mods="uni")
effect("ret", "leave", "", "", "Return.", mods="uni")
effect("exit", "leave", "", "", "End this thread.")

# -- 9.7.19 The rest
effect("trap", "trap", "", "", "End the kernel with an error.")
effect("brkpt", "nothing", "", "", "For a debugger.")
effect("pmevent", "nothing", "", "a:imm", "For a profiler.", mods="mask")
effect("nanosleep", "nothing", "u32", "a", "Wait a little, or not at all.")
effect("setmaxnreg", "nothing", "u32", "a:imm", "How many registers are wanted.", mods="sync aligned inc dec")
effect(
    "griddepcontrol", "nothing", "", "", "Kernels of a stream do not overlap.", needs="launch_dependents wait"
)
