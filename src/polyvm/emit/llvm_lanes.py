"""Ops on lanes as LLVM's vectors.

Values stay integers in the text: an op casts its arguments to vectors, works, and casts back, and LLVM folds the casts
between two ops. What LLVM has no vectors for goes lane by lane through the lowering of the op itself. Floating point
is in `llvm_float_lanes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.emit.llvm_float_lanes import at_once, flanes
from polyvm.ir.ops import lanes_of, shuffled
from polyvm.ir.values import Val

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter

    Lowering = Callable[[Emitter, Val, list[str]], str]
    OnVectors = Callable[[Emitter, Val, list[str], int], str]

_WIDTHS: Final = frozenset({1, 8, 16, 32, 64})
_COUNTS: Final = frozenset({2, 4, 8, 16, 32, 64, 128, 256, 512})


def _type(count: int, bits: int) -> str:
    return f"<{count} x i{bits}>"


def _vector(e: Emitter, value: str, count: int, bits: int) -> str:
    return e.ins(f"bitcast i{count * bits} {value} to {_type(count, bits)}")


def _whole(e: Emitter, vector: str, count: int, bits: int) -> str:
    return e.ins(f"bitcast {_type(count, bits)} {vector} to i{count * bits}")


# -- lanes: functions of (emitter, the op on one lane, vectors, count), whose result is a vector
def _binary(e: Emitter, op: Val, args: list[str], count: int) -> str:
    return e.ins(f"{op.op} {_type(count, op.bits)} {args[0]}, {args[1]}")


def _compare(e: Emitter, op: Val, args: list[str], count: int) -> str:
    return e.ins(f"icmp {op.op} {_type(count, op.args[0].bits)} {args[0]}, {args[1]}")


def _bounded(amount: Val, bits: int) -> bool:
    """Whether a lane's shift count is surely less than its width; `amount` is that of all lanes."""
    if amount.op == "const":
        assert isinstance(amount.attr, int)
        lanes = (amount.attr >> i & (1 << bits) - 1 for i in range(0, amount.bits, bits))
        return all(lane < bits for lane in lanes)
    if amount.op == "shuffle" and amount.args[0].bits == bits:
        amount = amount.args[0]
        return amount.op == "zext" and 1 << amount.args[0].bits <= bits
    return False


def _shift(e: Emitter, op: Val, args: list[str], count: int) -> str:
    t, bits = _type(count, op.bits), op.bits
    if _bounded(op.args[1], bits):
        return e.ins(f"{op.op} {t} {args[0]}, {args[1]}")
    inside, chooser = e.ins(f"icmp ult {t} {args[1]}, splat (i{bits} {bits})"), _type(count, 1)
    if op.op == "ashr":
        amount = e.ins(f"select {chooser} {inside}, {t} {args[1]}, {t} splat (i{bits} {bits - 1})")
        return e.ins(f"ashr {t} {args[0]}, {amount}")
    amount = e.ins(f"select {chooser} {inside}, {t} {args[1]}, {t} zeroinitializer")
    shifted = e.ins(f"{op.op} {t} {args[0]}, {amount}")
    return e.ins(f"select {chooser} {inside}, {t} {shifted}, {t} zeroinitializer")


def _cast(e: Emitter, op: Val, args: list[str], count: int) -> str:
    return e.ins(f"{op.op} {_type(count, op.args[0].bits)} {args[0]} to {_type(count, op.bits)}")


def _select(e: Emitter, op: Val, args: list[str], count: int) -> str:
    t = _type(count, op.bits)
    return e.ins(f"select {_type(count, 1)} {args[0]}, {t} {args[1]}, {t} {args[2]}")


def _intrinsic(name: str, *extra: str, twice: bool = False) -> OnVectors:
    """An intrinsic of the arguments, with the first of them twice where it says so."""

    def emit(e: Emitter, op: Val, args: list[str], count: int) -> str:
        t = _type(count, op.bits)
        given = [args[0], *args] if twice else args
        return e.call(t, f"llvm.{name}.v{count}i{op.bits}", *(f"{t} {arg}" for arg in given), *extra)

    return emit


_VECTORS: Final[dict[str, OnVectors]] = {
    **dict.fromkeys(("add", "sub", "mul", "and", "or", "xor"), _binary),
    **dict.fromkeys(("eq", "ne", "ult", "ule", "slt", "sle"), _compare),
    **dict.fromkeys(("shl", "lshr", "ashr"), _shift),
    **dict.fromkeys(("zext", "sext", "trunc"), _cast),
    "select": _select,
    "rotl": _intrinsic("fshl", twice=True),
    "rotr": _intrinsic("fshr", twice=True),
    "clz": _intrinsic("ctlz", "i1 false"),
    "ctz": _intrinsic("cttz", "i1 false"),
    "popcount": _intrinsic("ctpop"),
    "bswap": _intrinsic("bswap"),
    "bitrev": _intrinsic("bitreverse"),
    "uadd_sat": _intrinsic("uadd.sat"),
    "sadd_sat": _intrinsic("sadd.sat"),
    "usub_sat": _intrinsic("usub.sat"),
    "ssub_sat": _intrinsic("ssub.sat"),
}


def _lane(op: Val, *, whole: bool = False) -> Val:
    """The op on one lane. Its arguments are nameless, or with `whole` those of all lanes."""
    name, count, widths, inner = lanes_of(op.attr)
    args = op.args if whole else tuple(Val(op.tracer, "field", bits) for bits in widths)
    return Val(op.tracer, name, op.bits // count, args, inner)


def _apart(e: Emitter, value: str, count: int, bits: int, lane: int) -> str:
    """A lane of a value."""
    t = f"i{count * bits}"
    if count == 1:
        return value
    shifted = e.ins(f"lshr {t} {value}, {lane * bits}") if lane else value
    return e.ins(f"trunc {t} {shifted} to i{bits}")


def _together(e: Emitter, lanes: list[str], bits: int) -> str:
    """A value of lanes."""
    if len(lanes) == 1:
        return lanes[0]
    t, result = f"i{len(lanes) * bits}", "0"
    for i, lane in enumerate(lanes):
        wide = e.ins(f"zext i{bits} {lane} to {t}")
        result = e.ins(f"or {t} {result}, {e.ins(f'shl {t} {wide}, {i * bits}')}")
    return result


def _each(e: Emitter, op: Val, args: list[str]) -> str:
    """Lane by lane."""
    lane = _lane(op)
    _, count, widths, _ = lanes_of(op.attr)
    own = getattr(e, "op_" + lane.op, None)
    results = []
    for i in range(count):
        operands = [_apart(e, arg, count, bits, i) for arg, bits in zip(args, widths, strict=True)]
        result = own(lane, operands) if own is not None else e.simple(lane, operands)
        results += e.settle([result])
    return _together(e, results, lane.bits)


def _lanes(e: Emitter, op: Val, args: list[str]) -> str:
    name, count, widths, _ = lanes_of(op.attr)
    bits = op.bits // count
    if name not in _VECTORS or count not in _COUNTS or not _WIDTHS.issuperset({bits, *widths}):
        return _each(e, op, args)
    vectors = [_vector(e, arg, count, width) for arg, width in zip(args, widths, strict=True)]
    lane = _lane(op)
    if name in ("shl", "lshr", "ashr"):  # which look at how the count was made
        lane = Val(op.tracer, name, bits, op.args)
    return _whole(e, _VECTORS[name](e, lane, vectors, count), count, bits)


def _flanes(e: Emitter, op: Val, args: list[str]) -> str:
    _, count, widths, _ = lanes_of(op.attr)
    widest = max(op.bits // count, *widths)
    if count * widest > 128 and not at_once(e, op):
        return _in_parts(e, op, args, 128 // widest)
    return flanes(e, op, args, _lane(op), _each)


def _in_parts(e: Emitter, op: Val, args: list[str], size: int) -> str:
    """Some lanes at a time, as many as a host's vectors of 128 bits hold."""
    name, count, widths, inner = lanes_of(op.attr)
    bits, found = op.bits // count, []
    vectors = [_vector(e, arg, count, width) for arg, width in zip(args, widths, strict=True)]
    for start in range(0, count, size):
        places, parts = [*range(start, start + size)], []
        for vector, width in zip(vectors, widths, strict=True):
            picked = _picked(e, vector, None, count, width, places)
            parts.append(e.settle([_whole(e, picked, size, width)])[0] if size > 1 else
                         e.ins(f"extractelement {_type(1, width)} {picked}, i32 0"))  # fmt: skip
        args_of = tuple(Val(op.tracer, "field", size * width) for width in widths)
        kind = ("flanes", (name, size, widths, inner)) if size > 1 else (name, inner)
        part = Val(op.tracer, kind[0], size * bits, args_of, kind[1])
        own = getattr(e, "op_" + part.op, None)
        value = own(part, parts) if own is not None else e.simple(part, parts)
        found.append(e.settle([value])[0])
    return _together(e, found, size * bits)


# -- shuffle
def _shuffle(e: Emitter, op: Val, args: list[str]) -> str:
    bits, indexes = shuffled(op.attr)
    counts = [arg.bits // bits for arg in op.args]
    regular = _COUNTS | {1}
    if bits not in _WIDTHS - {1} or len(indexes) not in regular or not regular.issuperset(counts):
        return _by_shifts(e, op, args)
    if max(counts) == 1 and len(args) == 1 and set(indexes) == {0} and len(indexes) == 1:
        return args[0]
    n = max(counts)
    t = _type(n, bits)
    vectors = []
    for arg, count in zip(args, counts, strict=True):
        if count == n and n > 1:
            vectors.append(_vector(e, arg, n, bits))
        elif count == 1:
            vectors.append(e.ins(f"insertelement {t} zeroinitializer, i{bits} {arg}, i32 0"))
        else:
            vectors.append(
                _picked(
                    e, _vector(e, arg, count, bits), None, count, bits, [*range(count), *[-1] * (n - count)]
                )
            )
    # Lanes of the second argument come behind those of the widened first.
    places = [i if i < counts[0] else i - counts[0] + n for i in indexes]
    second = vectors[1] if len(vectors) > 1 else None
    if second is not None and -1 in places:
        joined = _picked(e, vectors[0], second, n, bits, [max(i, 0) for i in places])
        zeros = [i if place >= 0 else -1 for i, place in enumerate(places)]
        result = _picked(e, joined, None, len(places), bits, zeros)
    else:
        result = _picked(e, vectors[0], second, n, bits, places)
    if len(indexes) == 1:
        return e.ins(f"extractelement {_type(1, bits)} {result}, i32 0")
    return _whole(e, result, len(indexes), bits)


def _picked(e: Emitter, a: str, b: str | None, count: int, bits: int, places: list[int]) -> str:
    """LLVM's shuffle of two vectors of so many lanes; without a second one, -1 is a lane of zeros."""
    t = _type(count, bits)
    mask = ", ".join(f"i32 {count if i < 0 else i}" for i in places)
    return e.ins(f"shufflevector {t} {a}, {t} {b or 'zeroinitializer'}, <{len(places)} x i32> <{mask}>")


def _by_shifts(e: Emitter, op: Val, args: list[str]) -> str:
    bits, indexes = shuffled(op.attr)
    every = [
        (arg, v.bits // bits, lane)
        for arg, v in zip(args, op.args, strict=True)
        for lane in range(v.bits // bits)
    ]
    lanes = ["0" if i < 0 else _apart(e, every[i][0], every[i][1], bits, every[i][2]) for i in indexes]
    return _together(e, lanes, bits)


# -- permute, which is one instruction for bytes
def bytes_permuted(e: Emitter, op: Val, args: list[str]) -> str:
    """A look-up of bytes by PSHUFB, which takes the low four bits of an index and gives 0 where its top bit is set."""
    lanes, t = op.bits // 8, f"i{op.bits}"
    table, index = args
    if lanes < 16:  # the table lies at the top, where the sum below leads
        table = e.ins(f"shl i128 {e.ins(f'zext {t} {table} to i128')}, {128 - op.bits}")
        index = e.ins(f"zext {t} {index} to i128")
    v = _type(16, 8)
    # The top bit comes with the first index past the end, and saturation keeps it for all others.
    index = e.call(
        v, "llvm.uadd.sat.v16i8", f"{v} {_vector(e, index, 16, 8)}", f"{v} splat (i8 {128 - lanes})"
    )
    found = e.call(v, "llvm.x86.ssse3.pshuf.b.128", f"{v} {_vector(e, table, 16, 8)}", f"{v} {index}")
    whole = _whole(e, found, 16, 8)
    return whole if lanes == 16 else e.ins(f"trunc i128 {whole} to {t}")


LOWERINGS: Final[dict[str, Lowering]] = {"lanes": _lanes, "flanes": _flanes, "shuffle": _shuffle}
