"""The rules that every trace obeys, executable.

A trace that passes can be compiled with precise faults: nothing that a guest can see changes before the last
op that may leave the instruction. It checks form, never meaning.
"""

from __future__ import annotations

from polyvm.ir.ops import COMPARISONS, CRYPTO_KINDS, FLOAT_BITS, FLOATING, LANE_BITS, MEMORY_BITS, OPS
from polyvm.ir.trace import Trace
from polyvm.ir.values import SpecError, Val

_SAME_WIDTH = frozenset({"add", "sub", "mul", "udiv", "sdiv", "urem", "srem", "and", "or", "xor", "shl", "lshr", "ashr",
                         "rotl", "rotr", "permute", "uadd_sat", "sadd_sat", "usub_sat", "ssub_sat", "fadd", "fsub",
                         "fmul", "fdiv", "fmin", "fmax", "fminimum", "fmaximum"})  # fmt: skip
_ENDS = frozenset({"trap", "syscall", "reshape"})


def verify(trace: Trace, what: str) -> None:
    """Raise SpecError, naming `what`, at the first rule that the trace breaks."""
    try:
        _Verifier().block(trace.ops, set())
    except SpecError as error:
        raise SpecError(f"{what}: {error}") from None


def leaves_always(body: tuple[Val, ...]) -> bool:
    """Whether a body ends in a trap, a system call or elsewhere, so that nothing after its `if` runs when it does."""
    return bool(body) and body[-1].op in _ENDS


class _Verifier:
    def __init__(self) -> None:
        self.written: Val | None = None
        self.stored: Val | None = None
        self.probed = False
        self.jumps = 0
        self.before: dict[
            Val, tuple[Val | None, Val | None]
        ] = {}  # by conditions: what was written before its body

    def block(self, ops: tuple[Val, ...], known: set[Val]) -> None:
        for position, op in enumerate(ops):
            info = OPS.get(op.op)
            if info is None:
                raise SpecError(f"unknown op {op.op!r}")
            if info.arity is not None and len(op.args) != info.arity:
                raise SpecError(f"{op.op} takes {info.arity} values, not {len(op.args)}")
            for arg in op.args:
                if arg not in known:
                    raise SpecError(f"{op.op} uses {arg!r}, which was made inside a `when` or comes later")
                if not arg.bits:
                    raise SpecError(f"{op.op} uses {arg!r}, which has no value")
            _check_widths(op)
            if info.leaves:
                if self.written is not None:
                    raise SpecError(
                        f"{op.op} may leave after {self.written!r} changed state; move the write behind it"
                    )
                if self.stored is not None and not self.probed:
                    raise SpecError(
                        f"{op.op} may leave after {self.stored!r} changed memory; m.probe both first"
                    )
                if op.op in _ENDS and position != len(ops) - 1:
                    raise SpecError(f"ops after {op.op} never run")
            if op.op == "probe":
                self.probed = True
            if info.stores and op.op != "store_lanes":  # which may be made again
                self.stored = op
            if info.writes:
                self.written = op
            if op.op == "jump":
                self.jumps += 1
                if self.jumps > 1:
                    raise SpecError("more than one jump on a path")
            if op.op == "if":
                self._body(op, known)
            known.add(op)

    def _body(self, op: Val, known: set[Val]) -> None:
        body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
        before = (self.written, self.stored, self.probed, self.jumps)
        otherwise = _negated(op.args[0])
        if otherwise is not None and otherwise in self.before:  # only one of the two bodies is done
            (self.written, self.stored), after = self.before[otherwise], (self.written, self.stored)
            self.block(body, set(known))
            self.written = after[0] if self.written is None else self.written
            self.stored = after[1] if self.stored is None else self.stored
        else:
            self.before[op.args[0]] = self.written, self.stored
            self.block(body, set(known))
        if leaves_always(body):
            self.written, self.stored, self.probed, self.jumps = before
        self.probed = before[2]  # a probe that may not happen covers nothing behind the `when`


def _negated(condition: Val) -> Val | None:
    """The condition that this one is the opposite of, where it is written so."""
    if condition.op == "xor" and condition.args[1].op == "const" and condition.args[1].attr == 1:
        return condition.args[0]
    return None


def _check_lanes(op: Val) -> None:
    """That attr is as the table says, all of it numbers and names; then the rules of the op on one lane."""
    what = f"{op.op} of {op.bits} bits with {op.attr!r}"
    match op.attr:
        case (str(name), int(count), tuple(widths), inner) if count > 0:
            pass
        case _:
            raise SpecError(f"{what}: attr is (op, count, widths, attr)")
    info = OPS.get(name)
    allowed = name in FLOATING if op.op == "flanes" else info is not None and info.pure
    allowed = allowed and name not in CRYPTO_KINDS  # which take whole vectors
    if info is None or not info.arity or not allowed:
        raise SpecError(f"{what}: {name!r} is no op that lanes can have")
    if [arg.bits for arg in op.args] != [count * bits for bits in widths] or op.bits % count:
        raise SpecError(f"{what} takes {[arg.bits for arg in op.args]}")
    lanes = tuple(Val(op.tracer, "field", bits) for bits in widths)
    if len(lanes) != info.arity:
        raise SpecError(f"{what}: {name} takes {info.arity} values, not {len(lanes)}")
    _check_widths(Val(op.tracer, name, op.bits // count, lanes, inner))


def _check_shuffle(op: Val) -> None:
    widths = [arg.bits for arg in op.args]
    match op.attr:
        case (int(bits), tuple(indexes)) if bits > 0 and all(isinstance(i, int) for i in indexes):
            pass
        case _:
            raise SpecError(f"shuffle with {op.attr!r}: attr is (width of a lane, indexes)")
    if len(widths) not in (1, 2) or any(width % bits for width in widths) or op.bits != bits * len(indexes):
        raise SpecError(f"shuffle of {op.bits} bits in {len(indexes)} lanes of {bits} takes {widths}")
    if not all(-1 <= index < sum(widths) // bits for index in indexes):
        raise SpecError(f"shuffle of {sum(widths) // bits} lanes has indexes {indexes}")


def _check_widths(op: Val) -> None:
    name, widths = op.op, [arg.bits for arg in op.args]
    if name in ("lanes", "flanes"):
        _check_lanes(op)
    if name == "shuffle":
        _check_shuffle(op)
    if name in _SAME_WIDTH and set(widths) != {op.bits}:
        raise SpecError(f"{name} of {op.bits} bits takes {widths}")
    if name in COMPARISONS and (op.bits != 1 or widths[0] != widths[1]):
        raise SpecError(f"{name} compares {widths} to {op.bits} bits")
    if name in ("zext", "sext") and widths[0] >= op.bits:
        raise SpecError(f"{name} from {widths[0]} to {op.bits} bits")
    if name == "trunc" and widths[0] <= op.bits:
        raise SpecError(f"trunc from {widths[0]} to {op.bits} bits")
    if name == "select" and (widths[0] != 1 or widths[1:] != [op.bits] * 2):
        raise SpecError(f"select of {op.bits} bits takes {widths}")
    if name == "bswap" and op.bits % 16:
        raise SpecError(f"bswap of {op.bits} bits")
    if name in ("load", "store", "amo", "cas", "probe", "jump") and widths[0] != 64:
        raise SpecError(f"{name} takes an address of 64 bits, not {widths[0]}")
    if name in ("load", "amo", "cas") and op.bits not in MEMORY_BITS:
        raise SpecError(f"{name} of {op.bits} bits")
    if (
        name
        in (
            "fadd",
            "fsub",
            "fmul",
            "fdiv",
            "fsqrt",
            "fma",
            "fmin",
            "fmax",
            "fminimum",
            "fmaximum",
            "fcvt",
            "fresize",
            "frint",
            "itof",
        )
        and op.bits not in FLOAT_BITS
    ):
        raise SpecError(f"{name} of {op.bits} bits")
    if name == "fma" and widths not in ([op.bits] * 3, [16, 16, 32]):
        raise SpecError(f"fma of {op.bits} bits takes {widths}")
    if name in ("clz", "ctz", "popcount", "bswap", "bitrev", "fsqrt", "frint") and widths != [op.bits]:
        raise SpecError(f"{name} of {op.bits} bits takes {widths}")
    if name == "clmul" and (widths[0] != widths[1] or op.bits != 2 * widths[0] or widths[0] > 64):
        raise SpecError(f"clmul of {op.bits} bits takes {widths}")
    if name in CRYPTO_KINDS:
        wanted = [128, 32, 128] if name == "sha1" else [128] * len(widths)
        if op.attr not in CRYPTO_KINDS[name] or [op.bits, *widths] != [128, *wanted]:
            raise SpecError(f"{name} of {op.bits} bits with {op.attr!r} takes {widths}")
    if name == "permute" and (not isinstance(op.attr, int) or op.attr < 1 or op.bits % op.attr):
        raise SpecError(f"permute of {op.bits} bits in lanes of {op.attr}")
    if name == "fcmp" and (op.bits != 4 or widths[0] != widths[1]):
        raise SpecError(f"fcmp compares {widths} to {op.bits} bits")
    if (
        name in ("feq", "flt", "fle", "fcmp", "fma", "fcvt", "fresize", "ftoi")
        and widths[0] not in FLOAT_BITS
    ):
        raise SpecError(f"{name} takes {widths}")
    if name in ("load_lanes", "store_lanes"):
        lanes, whole = widths[-1], op.bits or widths[1]
        if op.attr not in LANE_BITS or widths[0] != 64 or whole != lanes * op.attr:
            raise SpecError(f"{name} of {whole} bits in lanes of {op.attr!r} takes {widths}")
    if name == "store" and widths[1] not in MEMORY_BITS:
        raise SpecError(f"store of {widths[1]} bits")
    if name in ("amo", "cas") and set(widths[1:]) != {op.bits}:
        raise SpecError(f"{name} of {op.bits} bits takes {widths}")
    if name == "trap" and widths != [64]:
        raise SpecError(f"trap takes a value of 64 bits, not {widths}")
    if name in ("pc", "counter") and op.bits != 64:
        raise SpecError(f"{name} of {op.bits} bits")
    if name == "if" and widths != [1]:
        raise SpecError(f"if takes one bit, not {widths}")
