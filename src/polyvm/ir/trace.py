"""Runs a semantics function once and records the ops that it performs.

The recorder folds constants and shares equal pure ops as it goes. It never evaluates guest state: what a
trace means is for `ir.golden` and the emitters to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from polyvm.ir.golden import fold
from polyvm.ir.lanes import Lanes
from polyvm.ir.ops import (
    AMO_KINDS,
    COUNTERS,
    FLOAT_BITS,
    FP_FLAGS,
    FP_MODE,
    FP_MODE_BITS,
    MAX_BITS,
    MAX_LANES,
    OPS,
    ROUND_DYNAMIC,
    WIDE,
)
from polyvm.ir.rewrite import simplified
from polyvm.ir.values import SpecError, Val

if TYPE_CHECKING:
    from typing import Protocol

    class RegisterFileLike(Protocol):
        """What the tracer must know of a register file."""

        @property
        def name(self) -> str: ...
        @property
        def bits(self) -> int: ...
        @property
        def count(self) -> int: ...
        @property
        def zero(self) -> int | None: ...


V = TypeVar("V", Val, Lanes)
"""What floating-point methods take: a value, or lanes."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The ops of one instruction in order; the body of an `if` hangs on its attr."""

    ops: tuple[Val, ...]
    size: int
    """Bytes of the encoding."""
    floats: str = "canonical"
    """The guest's style of floating point (`ops.FLOAT_STYLES`)."""

    def walk(self) -> Iterator[Val]:
        """Every op, bodies included, in program order."""
        return walk(self.ops)


def walk(ops: tuple[Val, ...] | list[Val]) -> Iterator[Val]:
    """Every op of a list, bodies included, in program order."""
    for op in ops:
        yield op
        if op.op == "if":
            yield from walk(op.attr)  # type: ignore[arg-type]  # an if's attr is its body


class RegisterAccess:
    """`m.x[rd]`: a register file inside a semantics function."""

    __slots__ = ("file", "tracer")

    def __init__(self, tracer: Tracer, file: RegisterFileLike) -> None:
        self.tracer = tracer
        self.file = file

    def _index(self, index: Val | int) -> int | Val:
        number = index if isinstance(index, int) else index.attr if index.op == "const" else None
        if number is None:
            assert isinstance(index, Val)
            return index
        if not (isinstance(number, int) and 0 <= number < self.file.count):
            raise SpecError(f"register {self.file.name}[{number}] of {self.file.count}")
        return number

    def __getitem__(self, index: Val | int) -> Val:
        number = self._index(index)
        if isinstance(number, Val):
            return self.tracer.emit("getx", self.file.bits, (number,), self.file.name)
        if number == self.file.zero:
            return self.tracer.const(0, self.file.bits)
        return self.tracer.get((self.file.name, number), self.file.bits)

    def __setitem__(self, index: Val | int, value: Val) -> None:
        if not isinstance(value, Val) or value.bits != self.file.bits:
            raise SpecError(f"register file {self.file.name} holds {self.file.bits} bits, not {value!r}")
        number = self._index(index)
        if isinstance(number, Val):
            self.tracer.emit("setx", 0, (number, value), self.file.name)
        elif number != self.file.zero:
            self.tracer.set((self.file.name, number), value)


class Tracer:
    """The machine `m` that a semantics function is called with.

    Register files are its attributes (`m.x`, `m.f`), other registers go through `get` and `set`.
    """

    def __init__(self, files: dict[str, RegisterFileLike], size: int, floats: str = "canonical") -> None:
        self._files = files
        self._size = size
        self._floats = floats
        self._blocks: list[list[Val]] = [[]]
        self._seen: list[dict[object, Val]] = [{}]

    def __getattr__(self, name: str) -> RegisterAccess:
        try:
            return RegisterAccess(self, self._files[name])
        except KeyError:
            raise AttributeError(
                f"no register file {name!r}; there are {', '.join(sorted(self._files))}"
            ) from None

    # -- recording
    def emit(self, op: str, bits: int, args: tuple[Val, ...] = (), attr: object = None) -> Val:
        """Record an op; pure ones are folded and shared."""
        info = OPS[op]
        most = MAX_LANES if op in WIDE else MAX_BITS
        if not 0 <= bits <= most:
            raise SpecError(f"{op} of {bits} bits; values have 1 to {most}")
        if info.pure:
            if args and all(arg.op == "const" for arg in args):
                return self.const(fold(op, bits, args, attr), bits)
            simple = simplified(op, args)
            if simple is not None:
                return simple
            key = (op, bits, tuple(map(id, args)), attr)
            for seen in self._seen:
                if key in seen:
                    return seen[key]
            value = Val(self, op, bits, args, attr)
            self._seen[-1][key] = value
        else:
            value = Val(self, op, bits, args, attr)
        self._blocks[-1].append(value)
        return value

    def trace(self) -> Trace:
        """What was recorded."""
        assert len(self._blocks) == 1
        return Trace(tuple(self._blocks[0]), self._size, self._floats)

    # -- constants and places
    def const(self, value: int, bits: int) -> Val:
        """The integer `value`, modulo 2^bits."""
        return self._const(value & ((1 << bits) - 1), bits)

    def _const(self, value: int, bits: int) -> Val:
        key = ("const", bits, value)
        for seen in self._seen:
            if key in seen:
                return seen[key]
        node = Val(self, "const", bits, (), value)
        self._seen[-1][key] = node
        self._blocks[-1].append(node)
        return node

    @property
    def pc(self) -> Val:
        """The address of this instruction, 64 bits."""
        return self.emit("pc", 64)

    @property
    def next_pc(self) -> Val:
        """The address of the next instruction, 64 bits."""
        return self.pc + self._size

    # -- guest state
    def get(self, slot: tuple[str, int], bits: int = 64) -> Val:
        """Read a register slot."""
        return self.emit("get", bits, (), slot)

    def set(self, slot: tuple[str, int], value: Val) -> None:
        """Write a register slot."""
        self.emit("set", 0, (value,), slot)

    @property
    def fp_flags(self) -> Val:
        """Accrued floating-point exceptions, 5 bits."""
        return self.get(FP_FLAGS, 5)

    @fp_flags.setter
    def fp_flags(self, value: Val) -> None:
        self.set(FP_FLAGS, value)

    @property
    def fp_mode(self) -> Val:
        """The dynamic rounding mode in bits 2:0, and what else a guest can ask of floating point, 6 bits."""
        return self.get(FP_MODE, FP_MODE_BITS)

    @fp_mode.setter
    def fp_mode(self, value: Val) -> None:
        self.set(FP_MODE, value)

    def counter(self, kind: str) -> Val:
        """Read a counter: "cycle", "time" or "instret"."""
        if kind not in COUNTERS:
            raise SpecError(f"no counter {kind!r}; there are {', '.join(COUNTERS)}")
        return self.emit("counter", 64, (), kind)

    # -- choosing
    def select(self, condition: Val | Lanes, then: V, otherwise: V | int, *, likely: bool = False) -> V:
        """`then` where the condition bit is 1, which may be said to be likely, else `otherwise`; both are computed.

        Lanes of one bit choose lanes, and one bit chooses all of them.
        """
        if isinstance(then, Lanes):
            other = then._same(otherwise)
            if isinstance(condition, Lanes):
                return condition.select(then, other)
            return Lanes(self.select(condition, then.whole, other.whole, likely=likely), then.bits)
        if isinstance(condition, Lanes):
            raise SpecError(f"{condition!r} chooses lanes, not {then!r}")
        hint = "likely" if likely else None
        return self.emit("select", then.bits, (condition, then, then._same(otherwise)), hint)

    @contextmanager
    def when(self, condition: Val) -> Iterator[None]:
        """Effects inside happen only when the condition bit is 1; values do not leave."""
        if condition.bits != 1:
            raise SpecError(f"m.when needs one bit, not {condition.bits}")
        body: list[Val] = []
        self._blocks.append(body)
        self._seen.append({})
        yield
        self._blocks.pop()
        self._seen.pop()
        self._blocks[-1].append(Val(self, "if", 0, (condition,), tuple(body)))

    # -- cryptography (`ir.crypto`)
    def aes(self, kind: str, state: Val) -> Val:
        """Half a round of AES: "encrypt", "decrypt", "mix" or "unmix"."""
        return self.emit("aes", 128, (state,), kind)

    def sha1(self, kind: str, state: Val, e: Val, sums: Val) -> Val:
        """Four rounds of SHA-1, by its function: "choose", "parity" or "majority"; a to d, of 128 bits."""
        return self.emit("sha1", 128, (state, e, sums), kind)

    def sha256(self, kind: str, low: Val, high: Val, sums: Val) -> Val:
        """Four rounds of SHA-256: of the state's 256 bits the "low" or the "high" half."""
        return self.emit("sha256", 128, (low, high, sums), kind)

    def sha256_words(self, kind: str, a: Val, b: Val) -> Val:
        """Half of four words of SHA-256's schedule, "first" or "second"."""
        return self.emit("sha256_words", 128, (a, b), kind)

    # -- memory
    def load(self, address: Val, bits: int) -> Val:
        """Read `bits` bits, little-endian, at any alignment."""
        return self.emit("load", bits, (address,))

    def store(self, address: Val, value: Val) -> None:
        """Write a value, little-endian, at any alignment."""
        self.emit("store", 0, (address, value))

    def load_lanes(self, address: Val, mask: Lanes, bits: int) -> Lanes:
        """Read lanes of `bits` bits where the mask, lanes of one bit, has a 1; zeros elsewhere."""
        return Lanes(self.emit("load_lanes", bits * mask.count, (address, mask.whole), bits), bits)

    def store_lanes(self, address: Val, value: Lanes, mask: Lanes) -> None:
        """Write lanes where the mask has a 1."""
        self.emit("store_lanes", 0, (address, value.whole, mask.whole), value.bits)

    def amo(self, kind: str, address: Val, value: Val) -> Val:
        """Atomic read-modify-write, sequentially consistent; the old value."""
        if kind not in AMO_KINDS:
            raise SpecError(f"no atomic operation {kind!r}; there are {', '.join(AMO_KINDS)}")
        return self.emit("amo", value.bits, (address, value), kind)

    def cas(self, address: Val, expected: Val, new: Val) -> Val:
        """Atomic compare and swap, sequentially consistent; the old value."""
        return self.emit("cas", new.bits, (address, expected, new))

    def probe(self, address: Val, size: int, *, write: bool) -> None:
        """Fault now as an access of `size` bytes would."""
        self.emit("probe", 0, (address,), (size, write))

    def fence(self, before: str = "rw", after: str = "rw") -> None:
        """Order earlier accesses of the kinds `before` with later ones of the kinds `after`."""
        self.emit("fence", 0, (), (before, after))

    # -- control
    def jump(self, target: Val) -> None:
        """Go on at `target`."""
        self.emit("jump", 0, (target,))

    def trap(self, cause: str, value: Val | int = 0) -> None:
        """Leave with an exception."""
        self.emit("trap", 0, (self.const(value, 64) if isinstance(value, int) else value,), cause)

    def syscall(self) -> None:
        """Leave for a system call."""
        self.emit("syscall", 0)

    def reshape(self) -> None:
        """Leave the instruction to the golden evaluator: this trace is for another state."""
        self.emit("reshape", 0)

    def flush_code(self) -> None:
        """Later instructions see every earlier store."""
        self.emit("flush", 0)

    def hint(self, what: str) -> None:
        """Something no program can see."""
        self.emit("hint", 0, (), what)

    def prefetch(self, address: Val) -> None:
        """Say that memory will soon be wanted, wherever that is."""
        self.emit("prefetch", 0, (address,))

    # -- floating point, on a value or on each of the lanes
    def _float(self, op: str, bits: int, args: tuple[V, ...], attr: object = None) -> V:
        for arg in args:
            if arg.bits not in FLOAT_BITS and op != "itof":
                raise SpecError(f"{op} of {arg.bits} bits; formats have {FLOAT_BITS}")
        first = args[0]
        if isinstance(first, Lanes):
            return first.op(op, bits, args[1:], attr)
        return self.emit(op, bits, args, attr)

    def fadd(self, a: V, b: V, rounding: int = ROUND_DYNAMIC) -> V:
        """a + b."""
        return self._float("fadd", a.bits, (a, a._same(b)), rounding)

    def fsub(self, a: V, b: V, rounding: int = ROUND_DYNAMIC) -> V:
        """a - b."""
        return self._float("fsub", a.bits, (a, a._same(b)), rounding)

    def fmul(self, a: V, b: V, rounding: int = ROUND_DYNAMIC) -> V:
        """a * b."""
        return self._float("fmul", a.bits, (a, a._same(b)), rounding)

    def fdiv(self, a: V, b: V, rounding: int = ROUND_DYNAMIC) -> V:
        """a / b."""
        return self._float("fdiv", a.bits, (a, a._same(b)), rounding)

    def fsqrt(self, a: V, rounding: int = ROUND_DYNAMIC) -> V:
        """Square root."""
        return self._float("fsqrt", a.bits, (a,), rounding)

    def fma(self, a: V, b: V, c: V, rounding: int = ROUND_DYNAMIC) -> V:
        """a * b + c, rounded once; a and b may be halves where c and the result are singles."""
        return self._float("fma", c.bits, (a, a._same(b), c), rounding)

    def fmin(self, a: V, b: V) -> V:
        """IEEE 754-2019 minimumNumber."""
        return self._float("fmin", a.bits, (a, a._same(b)))

    def fmax(self, a: V, b: V) -> V:
        """IEEE 754-2019 maximumNumber."""
        return self._float("fmax", a.bits, (a, a._same(b)))

    def fminimum(self, a: V, b: V) -> V:
        """IEEE 754-2019 minimum."""
        return self._float("fminimum", a.bits, (a, a._same(b)))

    def fmaximum(self, a: V, b: V) -> V:
        """IEEE 754-2019 maximum."""
        return self._float("fmaximum", a.bits, (a, a._same(b)))

    def feq(self, a: V, b: V) -> V:
        """Quiet comparison; one bit."""
        return self._float("feq", 1, (a, a._same(b)))

    def flt(self, a: V, b: V) -> V:
        """Signaling comparison; one bit."""
        return self._float("flt", 1, (a, a._same(b)))

    def fle(self, a: V, b: V) -> V:
        """Signaling comparison; one bit."""
        return self._float("fle", 1, (a, a._same(b)))

    def fcmp(self, a: V, b: V, *, signaling: bool) -> V:
        """Four bits from the lowest up: less, equal, greater, unordered."""
        return self._float("fcmp", 4, (a, a._same(b)), signaling)

    def frint(self, a: V, *, exact: bool, rounding: int = ROUND_DYNAMIC) -> V:
        """To an integral number."""
        return self._float("frint", a.bits, (a,), (exact, rounding))

    def fcvt(self, a: V, bits: int, rounding: int = ROUND_DYNAMIC) -> V:
        """To the format of `bits` bits."""
        return self._float("fcvt", bits, (a,), rounding)

    def fresize(self, a: V, bits: int, rounding: int = ROUND_DYNAMIC) -> V:
        """To the format of `bits` bits, as an operand or a result of arithmetic."""
        return self._float("fresize", bits, (a,), rounding)

    def ftoi(self, a: V, bits: int, *, signed: bool, rounding: int = ROUND_DYNAMIC) -> V:
        """To an integer of `bits` bits."""
        return self._float("ftoi", bits, (a,), (signed, rounding))

    def itof(self, a: V, bits: int, *, signed: bool, rounding: int = ROUND_DYNAMIC) -> V:
        """From an integer to the format of `bits` bits."""
        return self._float("itof", bits, (a,), (signed, rounding))


def record(
    body: Callable[..., None],
    files: dict[str, RegisterFileLike],
    size: int,
    shape: dict[str, int],
    data: dict[str, int],
    floats: str = "canonical",
) -> Trace:
    """Trace `body` with its shape fields as numbers and its data fields (name: width) as `field` ops."""
    tracer = Tracer(files, size, floats)
    operands: dict[str, object] = dict(shape)
    for name, bits in data.items():
        operands[parameter(name)] = tracer.emit("field", bits, (), name)
    body(tracer, **operands)
    return tracer.trace()


def parameter(field: str) -> str:
    """The Python parameter of a field: the manual's rd' is rd_."""
    return field.replace("'", "_")
