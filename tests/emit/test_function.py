"""The language of the native functions that are no guest's: what it says is what the processor does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.emit.function import Condition, Function, Module, Word
from polyvm.engine import compile as compiler
from polyvm.engine import image as images
from polyvm.ir.values import SpecError
from polyvm.memory import host

WORDS = st.integers(0, (1 << 64) - 1) | st.integers(0, 70) | st.integers((1 << 64) - 70, (1 << 64) - 1)
MASK = (1 << 64) - 1

SIMPLE: dict[str, tuple[Callable[[Word, Word], Word], Callable[[int, int], int]]] = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "sub": (lambda a, b: a - b, lambda a, b: a - b),
    "mul": (lambda a, b: a * b, lambda a, b: a * b),
    "div": (lambda a, b: a // (b | 1), lambda a, b: a // (b | 1)),
    "and": (lambda a, b: a & b, lambda a, b: a & b),
    "or": (lambda a, b: a | b, lambda a, b: a | b),
    "xor": (lambda a, b: a ^ b, lambda a, b: a ^ b),
    "shl": (lambda a, b: a << (b & 63), lambda a, b: a << (b & 63)),
    "shr": (lambda a, b: a >> (b & 63), lambda a, b: a >> (b & 63)),
    "negative": (lambda a, b: a + -1, lambda a, b: a - 1),
}
COMPARED: dict[str, tuple[Callable[[Word, Word], Condition], Callable[[int, int], bool]]] = {
    "eq": (lambda a, b: a == b, lambda a, b: a == b),
    "ne": (lambda a, b: a != b, lambda a, b: a != b),
    "lt": (lambda a, b: a < b, lambda a, b: a < b),
    "le": (lambda a, b: a <= b, lambda a, b: a <= b),
    "gt": (lambda a, b: a > b, lambda a, b: a > b),
    "ge": (lambda a, b: a >= b, lambda a, b: a >= b),
    "failed": (lambda a, b: a.failed, lambda a, b: a >= (1 << 64) - 4095),
    "both": (lambda a, b: (a < b) & (a != 0), lambda a, b: a != 0 and a < b),
    "one": (lambda a, b: (a < b) | ~(b == 0), lambda a, b: a < b or b != 0),
}


def built() -> dict[str, Callable[..., int]]:
    """Functions of every kind, as Python may call them."""
    m = Module()
    for name, (how, _) in SIMPLE.items():
        f = m.function(name, 2)
        f.ret(how(*f.arguments))
    for name, (what, _) in COMPARED.items():
        f = m.function(name, 2)
        f.ret(f.select(what(*f.arguments), 1, 0))
    f = m.function("collatz", 1)
    value, steps = f.local(f.arguments[0]), f.local()
    with f.loop(lambda: value.value > 1):
        with f.when((value.value & 1) == 0):
            value.value = value.value >> 1
        with f.otherwise():
            value.value = value.value * 3 + 1
        steps.value = steps.value + 1
    f.ret(steps.value)
    f = m.function("memory", 2)
    for size in (1, 2, 4, 8):
        f.store(f.arguments[0] + 8 * size, f.arguments[1], size)
    f.ret(f.load(f.arguments[0], 2) + f.signed(f.load(f.arguments[0] + 2, 2), 2))
    f = m.function("text", 1)
    with f.when(f.arguments[0] > 3):
        f.ret(-1)
    f.ret(f.load(f.constant(b"\x07\x00abc") + f.arguments[0], 1) + f.call("add", 1, f.arguments[0]))
    f = m.function("pid", 0)
    f.ret(f.host(39))  # getpid
    f = m.function("through", 1)
    f.ret(f.call_at(f.address_of("collatz"), f.arguments[0]))
    image = images.load(
        compiler.build(compiler.host_module().start_ir() + with_begin(m), m.functions, runtime=False)
    )
    return {name: host.native(image.address(name), function.count) for name, function in m.functions.items()}


def with_begin(m: Module) -> str:
    """Its text, with the function that a program without Python begins in."""
    m.function("begin", 1).ret(0)
    return m.text()


FUNCTIONS = built()


@given(WORDS, WORDS)
def test_words_are_as_numbers(a: int, b: int) -> None:
    for name, (_, meaning) in SIMPLE.items():
        assert FUNCTIONS[name](a, b) & MASK == meaning(a, b) & MASK, name
    for name, (_, said) in COMPARED.items():
        assert FUNCTIONS[name](a, b) == said(a, b), name


def test_control() -> None:
    def collatz(n: int) -> int:
        steps = 0
        while n > 1:
            n, steps = n // 2 if n % 2 == 0 else 3 * n + 1, steps + 1
        return steps

    assert [FUNCTIONS["collatz"](n) for n in range(50)] == [collatz(n) for n in range(50)]
    assert FUNCTIONS["through"](27) == 111


def test_memory_and_the_kernel() -> None:
    import os

    at = host.mmap(0, 4096, 3, 0x22)
    host.poke(at, b"\x05\x00\xff\xff")
    assert FUNCTIONS["memory"](at, 0x1122334455667788) == 4
    assert [host.peek(at + 8 * size, 8) for size in (1, 2, 4)] == [
        bytes.fromhex(text).ljust(8, b"\0") for text in ("88", "8877", "88776655")
    ]
    assert host.peek(at + 64, 8) == bytes.fromhex("8877665544332211")
    host.munmap(at, 4096)
    assert [FUNCTIONS["text"](n) & MASK for n in (0, 2, 9)] == [8, 97 + 3, MASK]
    assert FUNCTIONS["pid"]() == os.getpid()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda f: f.ret(1 if f.arguments[0] else 2), "f.when"),
        (lambda f: f.ret(1 if f.arguments[0] == 2 else 2), "f.when"),
        (lambda f: (f.ret(1), f.ret(2)), "cannot be reached"),
        (lambda f: f.otherwise().__enter__(), "without a `when`"),
        (lambda f: f.text(), "without `ret`"),
        (lambda f: f.module.function("f", 1), "twice"),
    ],
)
def test_mistakes_are_explained(body: Callable[[Function], object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        body(Module().function("f", 1))
