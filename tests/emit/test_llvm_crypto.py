"""Rounds of AES and of hashes as native code against the golden evaluator: with the host's instructions and without."""

from __future__ import annotations

import platform
import random
from functools import cache
from itertools import product

import pytest

from polyvm.emit import llvm_crypto, llvm_float
from polyvm.ir.ops import CRYPTO_KINDS, OPS
from polyvm.ir.trace import Trace, Tracer, record
from polyvm.ir.values import Val
from tests.emit.floatprobe import OPERANDS, Function, Native
from tests.emit.test_llvm_lanes import agree, argument, result

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="these lowerings are for x86-64 hosts")

HOST = llvm_float.FEATURES | llvm_crypto.host_features()
ROWS = [(op, kind) for op, kinds in CRYPTO_KINDS.items() for kind in kinds]


def widths(op: str) -> tuple[int, ...]:
    return (128, 32, 128) if op == "sha1" else (128,) * (OPS[op].arity or 0)


def traced(op: str, kind: str) -> Trace:
    def body(m: Tracer, **operands: Val) -> None:
        args = tuple(argument(operands, place, bits) for place, bits in enumerate(widths(op)))
        result(m, m.emit(op, 128, args, kind))

    return record(body, {}, 4, {}, dict.fromkeys(OPERANDS, 64))


def pair(first: str, second: str) -> Trace:
    """Both halves of a round, the first of which is looked at, too."""

    def body(m: Tracer, **operands: Val) -> None:
        half = m.aes(first, argument(operands, 0, 128) ^ argument(operands, 1, 128))
        result(m, m.aes(second, half))
        result(m, half, 2)

    return record(body, {}, 4, {}, dict.fromkeys(OPERANDS, 64))


def rounds(first: str, second: str) -> Trace:
    """Three whole rounds and one without its second half, as ciphers are; some sums are looked at, too."""

    def body(m: Tracer, **operands: Val) -> None:
        keys = [argument(operands, place, 128) for place in range(1, 4)]
        state = argument(operands, 0, 128)
        for key in keys:
            state = m.aes(second, m.aes(first, state ^ key))
        result(m, m.aes(first, keys[0] ^ state))
        result(m, state ^ keys[1], 2)

    return record(body, {}, 4, {}, dict.fromkeys(OPERANDS, 64))


@cache
def compiled(features: frozenset[str]) -> tuple[Native, dict[str, Trace]]:
    traces = {f"{op}_{kind}": traced(op, kind) for op, kind in ROWS}
    traces |= {f"{one}_{two}": pair(one, two) for one, two in product(CRYPTO_KINDS["aes"], repeat=2)}
    traces |= {f"rounds_{one}": rounds(one, two) for one, two in (("encrypt", "mix"), ("decrypt", "unmix"))}
    return Native(traces, "host", features), traces


@pytest.mark.parametrize(("op", "kind"), ROWS)
def test_the_host_s_instructions(op: str, kind: str, rng: random.Random) -> None:
    native, traces = compiled(HOST)
    name = f"{op}_{kind}"
    for _ in range(100):
        values = [rng.getrandbits(bits) for bits in widths(op)]
        done = agree(native, name, traces[name], values, 0, 0)
        assert done == (op != "aes" or "aes" in HOST)


@pytest.mark.parametrize(("op", "kind"), ROWS)
def test_a_host_without_them(op: str, kind: str, rng: random.Random) -> None:
    """A hash is its definition's arithmetic; AES is golden's."""
    native, traces = compiled(llvm_float.FEATURES)
    name = f"{op}_{kind}"
    for _ in range(100):
        values = [rng.getrandbits(bits) for bits in widths(op)]
        assert agree(native, name, traces[name], values, 0, 0) == (op != "aes")


@pytest.mark.skipif("aes" not in HOST, reason="this host has no AES-NI")
@pytest.mark.parametrize(("first", "second"), list(product(CRYPTO_KINDS["aes"], repeat=2)))
def test_both_halves_of_a_round(first: str, second: str, rng: random.Random) -> None:
    native, traces = compiled(HOST)
    name = f"{first}_{second}"
    for _ in range(50):
        assert agree(native, name, traces[name], [rng.getrandbits(128) for _ in range(2)], 0, 0)


@pytest.mark.skipif("aes" not in HOST, reason="this host has no AES-NI")
@pytest.mark.parametrize("kind", ["encrypt", "decrypt"])
def test_ciphers(kind: str, rng: random.Random) -> None:
    native, traces = compiled(HOST)
    name = f"rounds_{kind}"
    for _ in range(50):
        assert agree(native, name, traces[name], [rng.getrandbits(128) for _ in range(4)], 0, 0)
    body = Function(name, traces[name], HOST)
    called = [line.split("@")[1].split("(")[0].rsplit(".", 1)[1] for line in body.lines if "aesni" in line]
    half, whole = ("aesenclast", "aesenc") if kind == "encrypt" else ("aesdeclast", "aesdec")
    # LLVM drops what nothing uses: each first half, and the round without a key where its sum was wanted.
    assert called == [half, *[whole, whole, half] * 3]


def test_a_host_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm_crypto, "CPUINFO", "/nowhere")
    llvm_crypto.host_features.cache_clear()
    try:
        assert llvm_crypto.host_features() == frozenset()
    finally:
        llvm_crypto.host_features.cache_clear()
