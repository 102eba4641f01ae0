"""The evaluator: every op on Python integers, the living definition of `ir.ops`.

It is slow on purpose and shares nothing with the emitters, so that they can be judged by it. It knows no
guest: state and memory are handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from polyvm.ir import crypto, softfloat
from polyvm.ir.ops import (
    ALTERNATIVE_HALF,
    DEFAULT_NAN,
    FLUSH,
    FLUSH_HALVES,
    FP_FLAGS,
    FP_FLAGS_BITS,
    FP_MODE,
    IDC,
    ROUND_DYNAMIC,
    lanes_of,
    rounding,
    shuffled,
)

if TYPE_CHECKING:
    from polyvm.ir.trace import Trace
    from polyvm.ir.values import Val


class State(Protocol):
    """Guest registers: slots are (file, index)."""

    def read(self, slot: tuple[str, int]) -> int:
        """The unsigned value of a slot."""
        ...

    def write(self, slot: tuple[str, int], value: int) -> None:
        """Set a slot to an unsigned value."""
        ...

    def hardwired(self, file: str) -> int | None:
        """The register number of a file that is always zero, or None."""
        ...

    def counter(self, kind: str) -> int:
        """A counter of `ops.COUNTERS`, unsigned."""
        ...


class Memory(Protocol):
    """Guest memory; both calls raise a fault of the memory's own kind, before any effect."""

    def load(self, address: int, size: int) -> int:
        """Read `size` bytes, little-endian."""
        ...

    def store(self, address: int, size: int, value: int) -> None:
        """Write `size` bytes, little-endian."""
        ...

    def probe(self, address: int, size: int, write: bool) -> None:
        """Fault as an access would."""
        ...


class Trap(Exception):
    """An instruction left with an exception of the guest's architecture."""

    def __init__(self, cause: str, value: int) -> None:
        super().__init__(cause, value)
        self.cause = cause
        self.value = value


class Syscall(Exception):
    """An instruction left for a system call."""


class Flush(Exception):  # not an error: it tells the driver that an instruction ended with a flush
    """An instruction completed and asked for later code to be read anew."""


def signed(value: int, bits: int) -> int:
    """Two's complement of an unsigned value."""
    return value - (1 << bits) if value >> (bits - 1) else value


def _sdiv(a: int, b: int, bits: int) -> int:
    x, y = signed(a, bits), signed(b, bits)
    if y == 0:
        return -1
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def _srem(a: int, b: int, bits: int) -> int:
    x, y = signed(a, bits), signed(b, bits)
    if y == 0:
        return a
    return abs(x) % abs(y) * (-1 if x < 0 else 1)


def _clmul(a: int, b: int) -> int:
    result = 0
    while b:
        if b & 1:
            result ^= a
        a <<= 1
        b >>= 1
    return result


def _permute(table: int, index: int, bits: int, lane: int) -> int:
    lanes, mask, result = bits // lane, (1 << lane) - 1, 0
    for i in range(lanes):
        j = index >> (i * lane) & mask
        if j < lanes:
            result |= (table >> (j * lane) & mask) << (i * lane)
    return result


def _clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def _lanes(args: list[int], bits: int, attr: object) -> int:
    name, count, widths, inner = lanes_of(attr)
    op, w, result = _PURE[name], bits // count, 0
    for i in range(count):
        lane = [arg >> i * n & (1 << n) - 1 for arg, n in zip(args, widths, strict=True)]
        result |= (int(op(lane, w, widths[0], inner)) & (1 << w) - 1) << i * w
    return result


def _shuffle(args: list[int], first: int, attr: object) -> int:
    w, indexes = shuffled(attr)
    both = args[0] | (args[1] << first if len(args) > 1 else 0)
    return sum((both >> j * w & (1 << w) - 1) << i * w for i, j in enumerate(indexes) if j >= 0)


def _rotl(a: int, count: int, bits: int) -> int:
    count %= bits
    return a << count | a >> (bits - count)


# op -> function(arguments, width of the result, width of the first argument, attr); the caller reduces modulo 2^bits.
_PURE: dict[str, Callable[[list[int], int, int, object], int]] = {
    "add": lambda a, w, n, t: a[0] + a[1],
    "sub": lambda a, w, n, t: a[0] - a[1],
    "mul": lambda a, w, n, t: a[0] * a[1],
    "uadd_sat": lambda a, w, n, t: _clamp(a[0] + a[1], 0, (1 << w) - 1),
    "sadd_sat": lambda a, w, n, t: _clamp(signed(a[0], w) + signed(a[1], w), -1 << w - 1, (1 << w - 1) - 1),
    "usub_sat": lambda a, w, n, t: _clamp(a[0] - a[1], 0, (1 << w) - 1),
    "ssub_sat": lambda a, w, n, t: _clamp(signed(a[0], w) - signed(a[1], w), -1 << w - 1, (1 << w - 1) - 1),
    "udiv": lambda a, w, n, t: a[0] // a[1] if a[1] else -1,
    "urem": lambda a, w, n, t: a[0] % a[1] if a[1] else a[0],
    "sdiv": lambda a, w, n, t: _sdiv(a[0], a[1], w),
    "srem": lambda a, w, n, t: _srem(a[0], a[1], w),
    "and": lambda a, w, n, t: a[0] & a[1],
    "or": lambda a, w, n, t: a[0] | a[1],
    "xor": lambda a, w, n, t: a[0] ^ a[1],
    "shl": lambda a, w, n, t: a[0] << a[1] if a[1] < w else 0,
    "lshr": lambda a, w, n, t: a[0] >> a[1],
    "ashr": lambda a, w, n, t: signed(a[0], w) >> a[1],
    "rotl": lambda a, w, n, t: _rotl(a[0], a[1], w),
    "rotr": lambda a, w, n, t: _rotl(a[0], -a[1], w),
    "clz": lambda a, w, n, t: w - a[0].bit_length(),
    "ctz": lambda a, w, n, t: (a[0] & -a[0]).bit_length() - 1 if a[0] else w,
    "popcount": lambda a, w, n, t: a[0].bit_count(),
    "bswap": lambda a, w, n, t: int.from_bytes(a[0].to_bytes(w // 8, "little"), "big"),
    "bitrev": lambda a, w, n, t: int(f"{a[0]:0{w}b}"[::-1], 2),
    "clmul": lambda a, w, n, t: _clmul(a[0], a[1]),
    "permute": lambda a, w, n, t: _permute(a[0], a[1], w, t),  # type: ignore[arg-type]  # attr is the lane width
    "aes": lambda a, w, n, t: crypto.aes(a[0], t),  # type: ignore[arg-type]  # attr is the kind, here and below
    "sha1": lambda a, w, n, t: crypto.numbers("sha1", t, a),  # type: ignore[arg-type]
    "sha256": lambda a, w, n, t: crypto.numbers("sha256", t, a),  # type: ignore[arg-type]
    "sha256_words": lambda a, w, n, t: crypto.numbers("sha256_words", t, a),  # type: ignore[arg-type]
    "eq": lambda a, w, n, t: a[0] == a[1],
    "ne": lambda a, w, n, t: a[0] != a[1],
    "ult": lambda a, w, n, t: a[0] < a[1],
    "ule": lambda a, w, n, t: a[0] <= a[1],
    "slt": lambda a, w, n, t: signed(a[0], n) < signed(a[1], n),
    "sle": lambda a, w, n, t: signed(a[0], n) <= signed(a[1], n),
    "zext": lambda a, w, n, t: a[0],
    "sext": lambda a, w, n, t: signed(a[0], n),
    "trunc": lambda a, w, n, t: a[0],
    "select": lambda a, w, n, t: a[1] if a[0] else a[2],
    "lanes": lambda a, w, n, t: _lanes(a, w, t),
    "shuffle": lambda a, w, n, t: _shuffle(a, n, t),
}

AMO: dict[str, Callable[[int, int, int], int]] = {
    "swap": lambda old, v, w: v,
    "add": lambda old, v, w: old + v,
    "and": lambda old, v, w: old & v,
    "or": lambda old, v, w: old | v,
    "xor": lambda old, v, w: old ^ v,
    "min": lambda old, v, w: min(old, v, key=lambda x: signed(x, w)),
    "max": lambda old, v, w: max(old, v, key=lambda x: signed(x, w)),
    "minu": lambda old, v, w: min(old, v),
    "maxu": lambda old, v, w: max(old, v),
}


class Style(NamedTuple):
    """What IEEE 754 leaves open, in the terms of `ir.softfloat`; flush: denormal operands are zeros, halves apart."""

    nan: str = "canonical"
    tininess: str = "after"
    flush: bool = False
    alternative: bool = False
    flush_halves: bool = False


def _arm(mode: int) -> Style:
    return Style("arm-default" if mode & DEFAULT_NAN else "arm", "before", mode & FLUSH != 0,
                 mode & ALTERNATIVE_HALF != 0, mode & FLUSH_HALVES != 0)  # fmt: skip


STYLES: Final = {"canonical": (Style(),) * 16, "arm": tuple(_arm(mode << 3) for mode in range(16))}
"""By the guest's style and by the bits of FP_MODE above the rounding mode."""

# op -> function(arguments, result width, argument width, attr, rounding mode, style) -> (bits, flags)
_FLOAT: dict[str, Callable[[list[int], int, int, object, int, Style], tuple[int, int]]] = {
    "fadd": lambda a, w, n, t, rm, s: softfloat.add(w, a[0], a[1], rm, nan=s.nan, tininess=s.tininess),
    "fsub": lambda a, w, n, t, rm, s: softfloat.sub(w, a[0], a[1], rm, nan=s.nan, tininess=s.tininess),
    "fmul": lambda a, w, n, t, rm, s: softfloat.mul(w, a[0], a[1], rm, nan=s.nan, tininess=s.tininess),
    "fdiv": lambda a, w, n, t, rm, s: softfloat.div(w, a[0], a[1], rm, nan=s.nan, tininess=s.tininess),
    "fsqrt": lambda a, w, n, t, rm, s: softfloat.sqrt(w, a[0], rm, nan=s.nan, tininess=s.tininess),
    "fma": lambda a, w, n, t, rm, s: softfloat.fma(
        w, a[0], a[1], a[2], rm, nan=s.nan, tininess=s.tininess, factors=n
    ),
    "fmin": lambda a, w, n, t, rm, s: softfloat.min(w, a[0], a[1], nan=s.nan),
    "fmax": lambda a, w, n, t, rm, s: softfloat.max(w, a[0], a[1], nan=s.nan),
    "fminimum": lambda a, w, n, t, rm, s: softfloat.minimum(w, a[0], a[1], nan=s.nan),
    "fmaximum": lambda a, w, n, t, rm, s: softfloat.maximum(w, a[0], a[1], nan=s.nan),
    "feq": lambda a, w, n, t, rm, s: softfloat.eq(n, a[0], a[1]),
    "flt": lambda a, w, n, t, rm, s: softfloat.lt(n, a[0], a[1]),
    "fle": lambda a, w, n, t, rm, s: softfloat.le(n, a[0], a[1]),
    "fcmp": lambda a, w, n, t, rm, s: softfloat.order(n, a[0], a[1], bool(t)),
    "fcvt": lambda a, w, n, t, rm, s: softfloat.convert(
        n, w, a[0], rm, nan=s.nan, tininess=s.tininess, alternative=s.alternative
    ),
    "fresize": lambda a, w, n, t, rm, s: softfloat.convert(n, w, a[0], rm, nan=s.nan, tininess=s.tininess),
    "frint": lambda a, w, n, t, rm, s: softfloat.round_to_int(w, a[0], rm, t[0], nan=s.nan),  # type: ignore[index]  # (exact, rounding)
    "ftoi": lambda a, w, n, t, rm, s: softfloat.to_int(n, a[0], rm, w, t[0], nan=s.nan),  # type: ignore[index]  # (signed, rounding)
    "itof": lambda a, w, n, t, rm, s: softfloat.from_int(a[0], n, t[0], w, rm),  # type: ignore[index]  # (signed, rounding)
}
FLOAT_OPS: Final = frozenset((*_FLOAT, "flanes"))


def floating(
    op: str, args: list[int], bits: int, width: int, attr: object, mode: int, floats: str
) -> tuple[int, int]:
    """The bits of a floating-point op's result, and the exceptions that it raises, a sixth for IDC among them.

    bits, width: of the result and of the first argument. mode: FP_MODE. floats: the guest's style.
    """
    if op == "flanes":
        op, count, widths, attr = lanes_of(attr)
        value, every, w = 0, 0, bits // count
        for i in range(count):
            lane = [arg >> i * n & (1 << n) - 1 for arg, n in zip(args, widths, strict=True)]
            result, raised = floating(op, lane, w, widths[0], attr, mode, floats)
            value |= (int(result) & (1 << w) - 1) << i * w
            every |= raised
        return value, every
    style, own, flags = STYLES[floats][mode >> 3], rounding(op, attr), 0
    if style.flush or style.flush_halves:
        style, args, flags = _flushed(style, op, args, bits, width)
    rm = mode & 7 if own == ROUND_DYNAMIC else own or 0
    result, raised = _FLOAT[op](args, bits, width, attr, rm, style)
    return result, flags | raised


def _flushed(style: Style, op: str, args: list[int], bits: int, width: int) -> tuple[Style, list[int], int]:
    """The style for a result of so many bits, zeros for denormal operands, and IDC where one was no half."""

    def flushes(bits: int) -> bool:
        return style.flush if bits != 16 else style.flush_halves and op != "fcvt"  # FPUnpackCV, FPRoundCV

    flushed, flags = [], 0
    for place, value in enumerate(args):
        w = bits if place == 2 else width  # an addend is as wide as the sum
        if op != "itof" and flushes(w):
            (value,), raised = softfloat.flush(w, value)
            flags |= raised if w != 16 else 0
        flushed.append(value)
    return style._replace(tininess="flush" if flushes(bits) else "before"), flushed, flags


def fold(op: str, bits: int, args: tuple[Val, ...], attr: object) -> int:
    """The value of a pure op on constants; all args are `const`."""
    numbers: list[int] = [arg.attr for arg in args]  # type: ignore[misc]  # a const's attr is its number
    return int(_PURE[op](numbers, bits, args[0].bits, attr)) & ((1 << bits) - 1)


def fold_numbers(op: Val, args: list[int]) -> int:
    """The value of a pure op for these argument values."""
    return int(_PURE[op.op](args, op.bits, op.args[0].bits, op.attr)) & ((1 << op.bits) - 1)


def execute(trace: Trace, fields: dict[str, int], pc: int, state: State, memory: Memory) -> int:
    """Do one instruction and return the address of the next one.

    Raises Trap, Syscall, Flush (after completing; its argument is the next address) or whatever `memory` raises.
    """
    frame = _Frame(fields, pc, pc + trace.size, state, memory)
    frame.floats = trace.floats
    frame.run(trace.ops)
    if frame.flush:
        raise Flush(frame.next_pc & 0xFFFF_FFFF_FFFF_FFFF)
    return frame.next_pc & 0xFFFF_FFFF_FFFF_FFFF


class _Frame:
    """One instruction in execution."""

    __slots__ = ("fields", "floats", "flush", "memory", "next_pc", "pc", "state", "values")

    def __init__(self, fields: dict[str, int], pc: int, next_pc: int, state: State, memory: Memory) -> None:
        self.fields = fields
        self.pc = pc
        self.next_pc = next_pc
        self.state = state
        self.memory = memory
        self.values: dict[Val, int] = {}
        self.flush = False
        self.floats = "canonical"

    def run(self, ops: tuple[Val, ...]) -> None:
        values = self.values
        for op in ops:
            args = [values[arg] for arg in op.args]
            pure = _PURE.get(op.op)
            if pure is not None:
                result = int(pure(args, op.bits, op.args[0].bits, op.attr))
            elif op.op in FLOAT_OPS:
                result = self._float(op, args)
            else:
                result = getattr(self, "_" + op.op)(op, args)
            if op.bits:
                values[op] = result & ((1 << op.bits) - 1)

    def _float(self, op: Val, args: list[int]) -> int:
        state = self.state
        mode = state.read(FP_MODE)
        result, flags = floating(op.op, args, op.bits, op.args[0].bits, op.attr, mode, self.floats)
        accrued = flags & (1 << FP_FLAGS_BITS) - 1
        if accrued:
            state.write(FP_FLAGS, state.read(FP_FLAGS) | accrued)
        if flags != accrued:
            state.write(IDC, 1)
        return int(result)

    def _const(self, op: Val, args: list[int]) -> int:
        return op.attr  # type: ignore[return-value]  # a const's attr is its number

    def _field(self, op: Val, args: list[int]) -> int:
        return self.fields[op.attr]  # type: ignore[index]  # a field's attr is its name

    def _pc(self, op: Val, args: list[int]) -> int:
        return self.pc

    def _get(self, op: Val, args: list[int]) -> int:
        return self.state.read(op.attr)  # type: ignore[arg-type]  # a slot

    def _set(self, op: Val, args: list[int]) -> None:
        self.state.write(op.attr, args[0])  # type: ignore[arg-type]  # a slot

    def _getx(self, op: Val, args: list[int]) -> int:
        file: str = op.attr  # type: ignore[assignment]  # a register file's name
        return 0 if args[0] == self.state.hardwired(file) else self.state.read((file, args[0]))

    def _setx(self, op: Val, args: list[int]) -> None:
        file: str = op.attr  # type: ignore[assignment]  # a register file's name
        if args[0] != self.state.hardwired(file):
            self.state.write((file, args[0]), args[1])

    def _counter(self, op: Val, args: list[int]) -> int:
        return self.state.counter(str(op.attr))

    def _load(self, op: Val, args: list[int]) -> int:
        return self.memory.load(args[0], op.bits // 8)

    def _store(self, op: Val, args: list[int]) -> None:
        self.memory.store(args[0], op.args[1].bits // 8, args[1])

    def _load_lanes(self, op: Val, args: list[int]) -> int:
        bits, result = int(op.attr), 0  # type: ignore[call-overload]  # attr is the lane width
        for lane in range(op.args[1].bits):
            if args[1] >> lane & 1:
                at = args[0] + lane * bits // 8 & 0xFFFF_FFFF_FFFF_FFFF
                result |= self.memory.load(at, bits // 8) << lane * bits
        return result

    def _store_lanes(self, op: Val, args: list[int]) -> None:
        bits = int(op.attr)  # type: ignore[call-overload]  # attr is the lane width
        for lane in range(op.args[2].bits):
            if args[2] >> lane & 1:
                at = args[0] + lane * bits // 8 & 0xFFFF_FFFF_FFFF_FFFF
                self.memory.store(at, bits // 8, args[1] >> lane * bits & (1 << bits) - 1)

    def _reshape(self, op: Val, args: list[int]) -> None:
        raise AssertionError("the golden evaluator's traces are made for the state as it is")

    def _amo(self, op: Val, args: list[int]) -> int:
        size = op.bits // 8
        # An atomic operation needs the right to write even when it would store what is there.
        self.memory.probe(args[0], size, True)
        old = self.memory.load(args[0], size)
        new = AMO[op.attr](old, args[1], op.bits)  # type: ignore[index]  # attr is the kind
        self.memory.store(args[0], size, new & ((1 << op.bits) - 1))
        return old

    def _cas(self, op: Val, args: list[int]) -> int:
        size = op.bits // 8
        self.memory.probe(args[0], size, True)
        old = self.memory.load(args[0], size)
        if old == args[1]:
            self.memory.store(args[0], size, args[2])
        return old

    def _probe(self, op: Val, args: list[int]) -> None:
        attr = op.attr
        assert isinstance(attr, tuple)
        self.memory.probe(args[0], attr[0], attr[1])

    def _fence(self, op: Val, args: list[int]) -> None:
        """One thread at a time evaluates: its accesses are in order already."""

    def _hint(self, op: Val, args: list[int]) -> None:
        """Invisible by definition."""

    _prefetch = _hint

    def _jump(self, op: Val, args: list[int]) -> None:
        self.next_pc = args[0]

    def _if(self, op: Val, args: list[int]) -> None:
        if args[0]:
            self.run(op.attr)  # type: ignore[arg-type]  # an if's attr is its body

    def _trap(self, op: Val, args: list[int]) -> None:
        raise Trap(str(op.attr), args[0])

    def _syscall(self, op: Val, args: list[int]) -> None:
        raise Syscall

    def _flush(self, op: Val, args: list[int]) -> None:
        self.flush = True
