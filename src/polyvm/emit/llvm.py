"""Ops to LLVM text: what every compiler of a trace shares.

Text, because it is some fifty times cheaper to make than builder objects. A subclass says where registers live and
how control leaves; this module gives the corners of `ir.ops` their exact form, so that poison never means anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from polyvm.emit import llvm_crypto, llvm_float, llvm_lanes, llvm_masked
from polyvm.ir.trace import walk
from polyvm.ir.values import Val

UNLIKELY, LIKELY = "!prof !0", "!prof !1"
PAGE = 4096
"""Bytes of a page, of the host and the guest, at least."""
METADATA = '!0 = !{!"branch_weights", i32 1, i32 100000}\n!1 = !{!"branch_weights", i32 100000, i32 1}\n'


class Emitter:
    """The body of one LLVM function under construction.

    Subclasses implement `field`, `pc`, `get`, `set`, `getx`, `setx`, `address`, `jump`, `trap`, `syscall`, `flush`,
    `counter` and `leave_golden`, and may override anything else.
    """

    features: frozenset[str]
    """What the host's instruction set has of what lowerings ask for."""

    floats: str = "canonical"
    """The guest's style of floating point (`ir.ops.FLOAT_STYLES`)."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.values: dict[Val, str] = {}
        self.ops: tuple[Val, ...] = ()  # those that are emitted now
        self.declarations: set[str] = set()
        self.rounds: dict[str, tuple[str, str]] = {}
        """What the host's rounds of AES gave, and of what, without a key: what follows may be done by them, too."""
        self.features = llvm_float.FEATURES | llvm_crypto.host_features()
        self._names = 0
        self.label = "entry"

    # -- text
    def name(self) -> str:
        """A fresh local name."""
        self._names += 1
        return f"%t{self._names}"

    def ins(self, text: str) -> str:
        """Append an instruction with a result; the result's name."""
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {text}")

    def fresh_label(self, stem: str) -> str:
        """A fresh block label."""
        self._names += 1
        return f"{stem}{self._names}"

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.label = label

    def call(self, result: str, name: str, *args: str, attributes: str = "") -> str:
        """Call a function or intrinsic by name, declaring it; each arg is "type value"."""
        types = ", ".join("metadata" if arg.startswith("metadata") else arg.split(" ", 1)[0] if arg[0] != "<"
                          else arg[: arg.index(">") + 1] for arg in args)  # fmt: skip
        self.declarations.add(f"declare {result} @{name}({types})")
        text = f"call {result} @{name}({', '.join(args)}){' ' + attributes if attributes else ''}"
        if result == "void":
            self.do(text)
            return ""
        return self.ins(text)

    def unlikely(self, condition: str, cold: Callable[[], None]) -> None:
        """Run `cold`, which must end its block by leaving, when the condition holds."""
        taken, go = self.fresh_label("cold"), self.fresh_label("go")
        self.do(f"br i1 {condition}, label %{taken}, label %{go}, {UNLIKELY}")
        self.start(taken)
        cold()
        self.start(go)

    # -- ops
    def emit(self, ops: tuple[Val, ...]) -> None:
        """Emit ops in order."""
        outer, self.ops = self.ops, ops
        self.each(ops)
        self.ops = outer

    def each(self, ops: tuple[Val, ...]) -> None:
        """Emit ops one by one: what subclasses that keep more of them override."""
        for op in ops:
            args = [self.values[a] for a in op.args]
            own = getattr(self, "op_" + op.op, None)
            value = own(op, args) if own is not None else self.simple(op, args)
            if op.bits:
                self.values[op] = value

    def simple(self, op: Val, args: list[str]) -> str:
        """An op that means the same in every compiler."""
        return _SIMPLE[op.op](self, op, args)

    def op_const(self, op: Val, args: list[str]) -> str:
        """A literal, written signed as LLVM prints it."""
        assert isinstance(op.attr, int)
        return str(op.attr)

    def op_field(self, op: Val, args: list[str]) -> str:
        """A data field: subclasses say where it comes from."""
        raise NotImplementedError

    def op_get(self, op: Val, args: list[str]) -> str:
        """A register slot, the floating-point environment among them: subclasses say where it lives."""
        raise NotImplementedError

    def op_select(self, op: Val, args: list[str]) -> str:
        """Data choice."""
        t = f"i{op.bits}"
        if op.attr == "likely":
            # Weighted so, LLVM makes a branch of it where the value would have had to wait for the condition.
            odd = self.ins(f"xor i1 {args[0]}, true")
            return self.ins(f"select i1 {odd}, {t} {args[2]}, {t} {args[1]}, {UNLIKELY}")
        return self.ins(f"select i1 {args[0]}, {t} {args[1]}, {t} {args[2]}")

    def op_zext(self, op: Val, args: list[str]) -> str:
        """Zero extension."""
        return self.ins(f"zext i{op.args[0].bits} {args[0]} to i{op.bits}")

    def op_sext(self, op: Val, args: list[str]) -> str:
        """Sign extension."""
        return self.ins(f"sext i{op.args[0].bits} {args[0]} to i{op.bits}")

    def op_trunc(self, op: Val, args: list[str]) -> str:
        """Truncation."""
        return self.ins(f"trunc i{op.args[0].bits} {args[0]} to i{op.bits}")

    # -- floating point
    def result(self, value: str, bits: int) -> str:
        """The pattern of a floating-point result, which is a NaN as the host makes them: here canonical at once."""
        return llvm_float.canonical(self, value, bits)

    def settle(self, values: Sequence[str], *, leaving: bool = False) -> list[str]:
        """Values whose bits are looked at: here they are as they must be already."""
        return [*values]

    def aside(self) -> AbstractContextManager[None]:
        """Emit a block that is not always run."""
        return nullcontext()

    def beside(self) -> AbstractContextManager[None]:
        """Emit one of several ways that meet behind it."""
        return nullcontext()

    # -- memory
    def address(self, value: str) -> str:
        """A host pointer for a guest address, confined: outside the guest's space it leaves with a fault."""
        raise NotImplementedError

    def op_load(self, op: Val, args: list[str]) -> str:
        """A guest load: never merged, never invented, any alignment."""
        pointer = self.address_for(op, args[0], op.bits // 8, write=False)
        if op.bits <= 64:
            return self.loaded(f"i{op.bits}", pointer)
        if not _in_halves(op, self.ops):
            return self.ins(f"bitcast <2 x i64> {self.loaded('<2 x i64>', pointer)} to i128")
        low = self.loaded("i64", pointer)
        high = self.loaded("i64", self.ins(f"getelementptr i8, ptr {pointer}, i64 8"))
        above = self.ins(f"shl i128 {self.ins(f'zext i64 {high} to i128')}, 64")
        return self.ins(f"or i128 {self.ins(f'zext i64 {low} to i128')}, {above}")

    def op_store(self, op: Val, args: list[str]) -> None:
        """A guest store."""
        bits = op.args[1].bits
        pointer = self.address_for(op, args[0], bits // 8, write=True)
        if bits <= 64:
            self.stored(f"i{bits}", args[1], pointer)
            return
        halves = _halves(op.args[1])
        if halves is None:
            self.stored("<2 x i64>", self.ins(f"bitcast i128 {args[1]} to <2 x i64>"), pointer)
            return
        # Together all the same: it faults at its first byte that may not be written, and then nothing is stored.
        low, high = (self.values[half] for half in halves)
        first = self.ins(f"insertelement <2 x i64> poison, i64 {low}, i64 0")
        self.stored("<2 x i64>", self.ins(f"insertelement <2 x i64> {first}, i64 {high}, i64 1"), pointer)

    def op_load_lanes(self, op: Val, args: list[str]) -> str:
        """Lanes under a mask."""
        return llvm_masked.load(self, op, args)

    def op_store_lanes(self, op: Val, args: list[str]) -> None:
        """Lanes under a mask."""
        llvm_masked.store(self, op, args)

    def loaded_lanes(self, t: str, pointer: str, mask: str) -> str:
        """One access of the host for lanes under a mask, a vector of bits, on a host that has such."""
        name = f"llvm.masked.load.{_mangled(t)}.p0"
        return self.call(t, name, f"ptr align 1 {pointer}", f"{_bits_of(t)} {mask}", f"{t} zeroinitializer")

    def stored_lanes(self, t: str, value: str, pointer: str, mask: str) -> None:
        """One access of the host for lanes under a mask."""
        name = f"llvm.masked.store.{_mangled(t)}.p0"
        self.call("void", name, f"{t} {value}", f"ptr align 1 {pointer}", f"{_bits_of(t)} {mask}")

    def scratch(self, bits: int) -> str:
        """A pointer to so many bits that nobody else looks at: subclasses that have one say where."""
        raise NotImplementedError

    def loaded(self, t: str, pointer: str) -> str:
        """One access of the host for a guest's load."""
        return self.ins(f"load volatile {t}, ptr {pointer}, align 1")

    def stored(self, t: str, value: str, pointer: str) -> None:
        """One access of the host for a guest's store."""
        self.do(f"store volatile {t} {value}, ptr {pointer}, align 1")

    def address_for(self, op: Val, value: str, size: int, *, write: bool) -> str:
        """The confined host pointer for one access."""
        return self.address(value)

    def op_amo(self, op: Val, args: list[str]) -> str:
        """A sequentially consistent read-modify-write. The spec has checked the alignment. It faults as a write, also
        where it would change nothing."""
        kinds = {"swap": "xchg", "minu": "umin", "maxu": "umax"}
        assert isinstance(op.attr, str)
        t = f"i{op.bits}"
        pointer = self.address_for(op, args[0], op.bits // 8, write=True)
        kind = kinds.get(op.attr, op.attr)
        if kind not in ("xchg", "add"):
            # The host has a loop for it, which begins with a load.
            self.touched(pointer)
        # LLVM makes a load of what adds a known zero, and that asks for no right to write.
        value = self.ins(f'call {t} asm "", "=r,0"({t} {args[1]})')
        return self.ins(f"atomicrmw volatile {kind} ptr {pointer}, {t} {value} seq_cst, align {op.bits // 8}")

    def op_cas(self, op: Val, args: list[str]) -> str:
        """A sequentially consistent compare and swap."""
        t = f"i{op.bits}"
        pointer = self.address_for(op, args[0], op.bits // 8, write=True)
        pair = self.ins(
            f"cmpxchg volatile ptr {pointer}, {t} {args[1]}, {t} {args[2]} seq_cst seq_cst, align {op.bits // 8}"
        )
        return self.ins(f"extractvalue {{{t}, i1}} {pair}, 0")

    def op_probe(self, op: Val, args: list[str]) -> None:
        """Touch the first byte, and the first of another page that the access would reach; to write is to add zero
        atomically, which needs the right to."""
        assert isinstance(op.attr, tuple)
        size, write = op.attr
        assert size <= PAGE
        pointers = [self.address_for(op, args[0], size, write=write)]
        if size > 1:
            page = self.ins(f"and i64 {self.ins(f'add i64 {args[0]}, {size - 1}')}, {-PAGE}")
            further = self.call("i64", "llvm.usub.sat.i64", f"i64 {page}", f"i64 {args[0]}")
            pointers.append(self.ins(f"getelementptr i8, ptr {pointers[0]}, i64 {further}"))
        for pointer in pointers:
            if write:
                self.touched(pointer)
            else:
                self.loaded("i8", pointer)

    def touched(self, pointer: str) -> None:
        """One access of the host that needs the right to write a byte and leaves it as it is."""
        self.ins(f"atomicrmw volatile or ptr {pointer}, i8 0 monotonic")

    def op_fence(self, op: Val, args: list[str]) -> None:
        """A full fence; x86 needs an instruction only where a store is ordered before a load."""
        assert isinstance(op.attr, tuple)
        before, after = op.attr
        self.do("fence seq_cst" if "w" in before and "r" in after else "fence acq_rel")

    # -- control
    def op_if(self, op: Val, args: list[str]) -> None:
        """A structured branch."""
        then, after = self.fresh_label("then"), self.fresh_label("after")
        self.do(f"br i1 {args[0]}, label %{then}, label %{after}")
        self.start(then)
        body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
        self.emit(body)
        if not body or body[-1].op not in ("trap", "syscall", "reshape"):
            self.do(f"br label %{after}")
        self.start(after)

    def op_reshape(self, op: Val, args: list[str]) -> None:
        """The state is not what the trace is for: the golden evaluator has one that is."""
        self.leave_golden()

    def op_hint(self, op: Val, args: list[str]) -> None:
        """Nothing to do."""

    def op_prefetch(self, op: Val, args: list[str]) -> None:
        """Nothing to do: only code that keeps the host's memory busy gains by it."""

    def leave_golden(self) -> None:
        """End the block: the golden evaluator must do this instruction."""
        raise NotImplementedError


def _mangled(t: str) -> str:
    """How intrinsics are called for a vector: <4 x i32> is v4i32."""
    count, _, lane = t[1:-1].partition(" x ")
    return f"v{count}{lane}"


def _bits_of(t: str) -> str:
    """The vector of a bit for each lane."""
    return f"<{t[1:].partition(' ')[0]} x i1>"


# -- Pairs of registers
def _halves(value: Val) -> tuple[Val, Val] | None:
    """The two 64-bit values that a 128-bit one is put together of, the lower first; None where it is one."""
    if value.op != "or":
        return None
    low, high = value.args
    if low.op != "zext" or high.op != "shl" or high.args[0].op != "zext" or high.args[1].attr != 64:
        return None
    parts = low.args[0], high.args[0].args[0]
    return parts if all(part.bits == 64 for part in parts) else None


def _in_halves(load: Val, ops: tuple[Val, ...]) -> bool:
    """Whether a 128-bit value is only used as two of 64, as a pair of general registers is."""
    made = {load}
    for op in walk(ops):
        if made.isdisjoint(op.args):
            continue
        if op.op == "lshr" and op.args[0] is load and op.args[1].attr == 64:
            made.add(op)
        elif op.op != "trunc" or op.bits > 64:
            return False
    return True


def _binary(e: Emitter, op: Val, args: list[str]) -> str:
    return e.ins(f"{op.op} i{op.bits} {args[0]}, {args[1]}")


def _compare(e: Emitter, op: Val, args: list[str]) -> str:
    return e.ins(f"icmp {op.op} i{op.args[0].bits} {args[0]}, {args[1]}")


def _bounded(count: Val, bits: int) -> bool:
    """Whether a shift count is surely less than `bits`."""
    if count.op == "const":
        assert isinstance(count.attr, int)
        return count.attr < bits
    return count.op == "zext" and (1 << count.args[0].bits) <= bits


def _shift(e: Emitter, op: Val, args: list[str]) -> str:
    t = f"i{op.bits}"
    if _bounded(op.args[1], op.bits):
        return e.ins(f"{op.op} {t} {args[0]}, {args[1]}")
    inside = e.ins(f"icmp ult {t} {args[1]}, {op.bits}")
    if op.op == "ashr":
        return e.ins(f"ashr {t} {args[0]}, {e.ins(f'select i1 {inside}, {t} {args[1]}, {t} {op.bits - 1}')}")
    count = e.ins(f"select i1 {inside}, {t} {args[1]}, {t} 0")
    shifted = e.ins(f"{op.op} {t} {args[0]}, {count}")
    return e.ins(f"select i1 {inside}, {t} {shifted}, {t} 0")


def _rotate(e: Emitter, op: Val, args: list[str]) -> str:
    t = f"i{op.bits}"
    name = "llvm.fshl" if op.op == "rotl" else "llvm.fshr"
    return e.call(t, f"{name}.{t}", f"{t} {args[0]}", f"{t} {args[0]}", f"{t} {args[1]}")


def _saturating(e: Emitter, op: Val, args: list[str]) -> str:
    t = f"i{op.bits}"
    return e.call(t, f"llvm.{op.op.replace('_', '.')}.{t}", *(f"{t} {arg}" for arg in args))


def _divide(e: Emitter, op: Val, args: list[str]) -> str:
    t, (a, b) = f"i{op.bits}", args
    zero = e.ins(f"icmp eq {t} {b}, 0")
    bad = zero
    if op.op in ("sdiv", "srem"):
        minus = e.ins(f"icmp eq {t} {b}, -1")
        least = e.ins(f"icmp eq {t} {a}, {-(1 << op.bits - 1)}")
        bad = e.ins(f"or i1 {zero}, {e.ins(f'and i1 {minus}, {least}')}")
    # Divided by 1 instead, the overflow case has its defined result already: the minimum, remainder 0.
    divisor = e.ins(f"select i1 {bad}, {t} 1, {t} {b}")
    result = e.ins(f"{op.op} {t} {a}, {divisor}")
    return e.ins(f"select i1 {zero}, {t} {a if op.op.endswith('rem') else -1}, {t} {result}")


def _unary(intrinsic: str, *extra: str) -> Callable[[Emitter, Val, list[str]], str]:
    def emit(e: Emitter, op: Val, args: list[str]) -> str:
        t = f"i{op.bits}"
        return e.call(t, f"llvm.{intrinsic}.{t}", f"{t} {args[0]}", *extra)

    return emit


def _clmul(e: Emitter, op: Val, args: list[str]) -> str:
    # PCLMULQDQ multiplies two 64-bit halves into 128 bits.
    wide = []
    for arg in args:
        value = arg if op.args[0].bits == 64 else e.ins(f"zext i{op.args[0].bits} {arg} to i64")
        wide.append(e.ins(f"insertelement <2 x i64> zeroinitializer, i64 {value}, i32 0"))
    vector = e.call("<2 x i64>", "llvm.x86.pclmulqdq", f"<2 x i64> {wide[0]}", f"<2 x i64> {wide[1]}", "i8 0")
    product = e.ins(f"bitcast <2 x i64> {vector} to i128")
    return product if op.bits == 128 else e.ins(f"trunc i128 {product} to i{op.bits}")


def _permute(e: Emitter, op: Val, args: list[str]) -> str:
    if op.attr == 8 and "avx" in e.features:  # all that has it has SSSE3
        return llvm_lanes.bytes_permuted(e, op, args)
    lane, t = op.attr, f"i{op.bits}"
    assert isinstance(lane, int)
    lanes, mask = op.bits // lane, (1 << lane) - 1
    result = "0"
    for i in range(lanes):
        index = e.ins(f"and {t} {e.ins(f'lshr {t} {args[1]}, {i * lane}')}, {mask}")
        inside = e.ins(f"icmp ult {t} {index}, {lanes}")
        # The first select keeps the shift defined; the second gives what lies past the end its meaning.
        count = e.ins(f"mul {t} {e.ins(f'select i1 {inside}, {t} {index}, {t} 0')}, {lane}")
        value = e.ins(f"and {t} {e.ins(f'lshr {t} {args[0]}, {count}')}, {mask}")
        chosen = e.ins(f"select i1 {inside}, {t} {value}, {t} 0")
        result = e.ins(f"or {t} {result}, {e.ins(f'shl {t} {chosen}, {i * lane}')}")
    return result


_SIMPLE: dict[str, Callable[[Emitter, Val, list[str]], str]] = {
    **dict.fromkeys(("add", "sub", "mul", "and", "or", "xor"), _binary),
    **dict.fromkeys(("eq", "ne", "ult", "ule", "slt", "sle"), _compare),
    **dict.fromkeys(("shl", "lshr", "ashr"), _shift),
    **dict.fromkeys(("rotl", "rotr"), _rotate),
    **dict.fromkeys(("udiv", "sdiv", "urem", "srem"), _divide),
    "clz": _unary("ctlz", "i1 false"),
    "ctz": _unary("cttz", "i1 false"),
    "popcount": _unary("ctpop"),
    "bswap": _unary("bswap"),
    "bitrev": _unary("bitreverse"),
    **dict.fromkeys(("uadd_sat", "sadd_sat", "usub_sat", "ssub_sat"), _saturating),
    "clmul": _clmul,
    "permute": _permute,
    **llvm_crypto.LOWERINGS,
    **llvm_float.LOWERINGS,
    **llvm_lanes.LOWERINGS,
}
