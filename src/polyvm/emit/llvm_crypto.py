"""Rounds of AES, SHA-1 and SHA-256 on an x86-64 host: AES-NI and SHA-NI where the host has them.

Without SHA-NI a hash is the arithmetic of its definition in `ir.crypto`, which costs what the host's own programs pay
for it. AES without AES-NI leaves for the golden evaluator: every processor since 2013 that has AVX2 has it, unless it
was switched off. Whether the host has them is read once from /proc/cpuinfo; it is part of the cache's key as all of
the host's features are.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from polyvm.emit.llvm_float_env import never
from polyvm.ir import crypto
from polyvm.ir.lanes import Lanes
from polyvm.ir.trace import Tracer
from polyvm.ir.values import Val

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polyvm.emit.llvm import Emitter

    Lowering = Callable[[Emitter, Val, list[str]], str]

FLAGS: Final = {"avx512bw": "avx512bw", "avx512vl": "avx512vl", "aes": "aes", "sha_ni": "sha"}
"""Linux's names of the features that are looked for, and LLVM's."""
CPUINFO: Final = "/proc/cpuinfo"


@cache
def host_features() -> frozenset[str]:
    """What this host has of what lowerings here ask for; nothing where Linux does not tell."""
    try:
        with open(CPUINFO, encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        line = ""
    return frozenset(FLAGS[name] for name in line.split() if name in FLAGS)


WORDS: Final = "<4 x i32>"
PAIR: Final = "<2 x i64>"


def _vector(e: Emitter, value: str, t: str) -> str:
    return e.ins(f"bitcast i128 {value} to {t}")


def _whole(e: Emitter, value: str, t: str) -> str:
    return e.ins(f"bitcast {t} {value} to i128")


# -- AES. The host does whole rounds and adds a key: zeros, or what the guest does in other instructions beside it.
def _aes(e: Emitter, op: Val, args: list[str]) -> str:
    if "aes" not in e.features:
        e.leave_golden()
        return never(e, "0")
    kind, state = str(op.attr), args[0]
    if kind in ("mix", "unmix"):
        return _mixed(e, kind, state)
    name = "aesenclast" if kind == "encrypt" else "aesdeclast"
    state = _keyed(e, op.args[0]) or state
    result = _round(e, name, state)
    e.rounds[result] = name, state
    return result


def _round(e: Emitter, name: str, state: str, key: str | None = None) -> str:
    """One instruction of the host."""
    added = "zeroinitializer" if key is None else _vector(e, key, PAIR)
    keyed = () if name == "aesimc" else (f"{PAIR} {added}",)
    made = e.call(PAIR, f"llvm.x86.aesni.{name}", f"{PAIR} {_vector(e, state, PAIR)}", *keyed)
    return _whole(e, made, PAIR)


def _mixed(e: Emitter, kind: str, state: str) -> str:
    half, whole = ("aesenclast", "aesenc") if kind == "mix" else ("aesdeclast", "aesdec")
    name, before = e.rounds.get(state, ("", ""))
    if name == half:  # what it mixes is the other half: one instruction does it all
        result = _round(e, whole, before)
        e.rounds[result] = whole, before
        return result
    return (
        _round(e, "aesimc", state) if kind == "unmix" else _round(e, "aesenc", _round(e, "aesdeclast", state))
    )


def _keyed(e: Emitter, value: Val) -> str | None:
    """The sum of a whole round and a key, which that round could have added itself; None where it is none."""
    if value.op != "xor":
        return None
    first, second = (e.values[arg] for arg in value.args)
    for result, key in ((first, second), (second, first)):
        name, before = e.rounds.get(result, ("", ""))
        if name in ("aesenc", "aesdec"):
            return _round(e, name, before, key)
    return None


# -- Hashes
def _shuffled(e: Emitter, a: str, b: str, places: Sequence[int]) -> str:
    mask = ", ".join(f"i32 {place}" for place in places)
    return e.ins(f"shufflevector {WORDS} {a}, {WORDS} {b}, <4 x i32> <{mask}>")


_ROUNDS: Final = {"choose": (0, 0x5A82_7999), "parity": (1, 0x6ED9_EBA1), "majority": (2, 0x8F1B_BCDC)}
"""The host's number of SHA-1's function, and the constant that it adds itself (FIPS 180-4, 4.2.1)."""


def _sha1(e: Emitter, op: Val, args: list[str]) -> str:
    if "sha" not in e.features:
        return _expanded(e, op, args)
    number, constant = _ROUNDS[str(op.attr)]
    state, sums = (_vector(e, args[place], WORDS) for place in (0, 2))
    sums = e.ins(f"sub {WORDS} {sums}, splat (i32 {constant})")
    first = e.ins(f"insertelement {WORDS} zeroinitializer, i32 {args[1]}, i32 0")
    sums = e.ins(f"add {WORDS} {sums}, {first}")  # the host wants e with the first word
    turned = [_shuffled(e, value, value, (3, 2, 1, 0)) for value in (state, sums)]
    made = e.call(WORDS, "llvm.x86.sha1rnds4", *(f"{WORDS} {value}" for value in turned), f"i8 {number}")
    return _whole(e, _shuffled(e, made, made, (3, 2, 1, 0)), WORDS)


def _sha256(e: Emitter, op: Val, args: list[str]) -> str:
    if "sha" not in e.features:
        return _expanded(e, op, args)
    low, high, sums = (_vector(e, arg, WORDS) for arg in args)
    # The host has a, b, e, f and c, d, g, h, the first highest, and does two rounds: the first become the second.
    abef, cdgh = _shuffled(e, low, high, (5, 4, 1, 0)), _shuffled(e, low, high, (7, 6, 3, 2))
    later = _shuffled(e, sums, sums, (2, 3, 2, 3))
    for word in (sums, later):
        operands = (f"{WORDS} {value}" for value in (cdgh, abef, word))
        cdgh, abef = abef, e.call(WORDS, "llvm.x86.sha256rnds2", *operands)
    places = (3, 2, 7, 6) if op.attr == "low" else (1, 0, 5, 4)
    return _whole(e, _shuffled(e, abef, cdgh, places), WORDS)


def _sha256_words(e: Emitter, op: Val, args: list[str]) -> str:
    if "sha" not in e.features:
        return _expanded(e, op, args)
    operands = (f"{WORDS} {_vector(e, arg, WORDS)}" for arg in args)
    name = "sha256msg1" if op.attr == "first" else "sha256msg2"
    return _whole(e, e.call(WORDS, f"llvm.x86.{name}", *operands), WORDS)


def _expanded(e: Emitter, op: Val, args: list[str]) -> str:
    """The definition's own arithmetic, traced and emitted in place of the op."""
    m = Tracer({}, 0)
    given = [m.emit("field", arg.bits, (), str(place)) for place, arg in enumerate(op.args)]
    words = [[value] if value.bits == 32 else [value.lanes(32)[i] for i in range(4)] for value in given]
    made = Lanes.of(crypto.hashed(op.op, str(op.attr), words)).whole
    e.values |= zip(given, args, strict=True)
    e.emit(tuple(value for value in m.trace().ops if value.op != "field"))
    return e.values[made]


LOWERINGS: Final[dict[str, Lowering]] = {
    "aes": _aes, "sha1": _sha1, "sha256": _sha256, "sha256_words": _sha256_words,
}  # fmt: skip
