"""PTX that lies: seeded mutations of compilers' texts neither crash nor hang the parser, the translator or the run."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from polyvm import gpu
from polyvm.compute.simt.program import Program
from polyvm.errors import PolyvmError
from polyvm.isa.ptx import syntax
from tests.compute.conftest import opened

np: Any = pytest.importorskip(
    "numpy", reason="the device's memory is filled by NumPy: pip install 'polyvm[gpu]'"
)

TEXTS = [path.read_text() for path in sorted((Path(__file__).parent / "ptx").glob("*.ptx"))]
CODES = {
    "PVM-GPU-PTX",
    "PVM-UNSUPPORTED",
    "PVM-GPU-ARGUMENT",
    "PVM-GPU-FAULT",
    "PVM-GPU-TIMEOUT",
    "PVM-GPU-MEMORY",
}
WORDS = re.compile(r"%\w+|\$\w+|\.\w+|\b\d+\b|[\[\]{}();,@!+-]|\b[a-z]\w*\b")
ODD = ("0", "-1", "2147483647", "0xFFFFFFFFFFFFFFFF", "%r1", "%rd1", "%p1", "%f1", "%tid.x", ".u8", ".b64", ".f32",
       ".v4", "[", "}", ";", "bra", "ret", "bar.sync", "add.s32", "ld.global", "@%p1", "$L__BB0_1",
       "0f7F800000")  # fmt: skip


def mutated(text: str, rng: random.Random) -> str:
    """A text with one to four changes: words replaced, lines removed, doubled, swapped or cut."""
    for _ in range(rng.randint(1, 4)):
        kind = rng.random()
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        if kind < 0.55:
            found = list(WORDS.finditer(text))
            if not found:
                break
            word = rng.choice(found)
            new = rng.choice(ODD) if rng.random() < 0.5 else rng.choice(found).group()
            text = text[: word.start()] + new + text[word.end() :]
            continue
        if kind < 0.7:
            del lines[at]
        elif kind < 0.8:
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif kind < 0.9:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind < 0.95:
            lines = lines[:at]
        else:
            position = rng.randrange(len(text))
            text = text[:position] + chr(rng.randrange(1, 256)) + text[position + 1 :]
            continue
        text = "\n".join(lines) or ";"
    return text


def translated(text: str) -> list[tuple[str, str]]:
    """The kernels that a text has, with their LLVM text; nothing where it is refused by a code."""
    try:
        module = syntax.parse(text)
    except PolyvmError as error:
        expected(error)
        return []
    made = []
    for name in module.kernels:
        try:
            made.append((name, Program(module, name, (64, 1, 1)).text()))
        except PolyvmError as error:
            expected(error)
    return made


def expected(error: PolyvmError) -> None:
    """One of the codes that are for what somebody gave us."""
    if error.code not in CODES:
        raise error


def test_the_texts_are_good() -> None:
    for text in TEXTS:
        assert translated(text)


def test_no_mutation_crashes_the_translator(full: bool) -> None:
    rng = random.Random(8)
    good = 0
    for _ in range(10_000 if full else 500):
        text = mutated(rng.choice(TEXTS), rng)
        begin = time.process_time()
        good += bool(translated(text))
        assert time.process_time() - begin < 2
    assert good


def test_no_mutation_crashes_the_run(full: bool) -> None:
    """What is still a kernel runs: on whatever addresses it makes up."""
    rng = random.Random(9)
    ran = 0
    for _ in range(2000 if full else 40):
        text = mutated(rng.choice(TEXTS), rng)
        with opened("host", timeout=0.5) as context:
            x = context.array(np.arange(4096, dtype=np.int32))
            try:
                module = context.program(text, "ptx").compile()
                for name in module.names:
                    kernel = module.kernel(name)
                    arguments = [
                        x if p.size == 8 else bytes(p.size) if p.kind == "struct" else 5
                        for p in kernel.parameters or ()
                    ]
                    gpu.launch(gpu.LaunchConfig(2, 64, 1024), kernel, *arguments)
                    context.synchronize()
                    ran += 1
            except PolyvmError as error:
                expected(error)
    assert ran
    with opened("host") as context:  # the process is alive, and the pool works
        with context.array(np.zeros(4)) as x:
            x.fill(1)
            context.synchronize()


def test_the_texts_give_what_their_sources_say() -> None:
    """These run without NVRTC."""
    texts = {path.stem: path.read_text() for path in (Path(__file__).parent / "ptx").glob("*.ptx")}
    with opened("host") as context:
        x = np.random.default_rng(0).random(10000, np.float32)
        with context.array(x) as a, context.array(np.zeros(8, np.float32)) as b:
            kernel = context.program(texts["reduce"], "ptx").compile().kernel("reduce")
            gpu.launch(gpu.LaunchConfig(8, 256), kernel, a, b, 10000)
            assert abs(float(b.numpy(np.float32).sum()) - float(x.sum(dtype=np.float64))) < 0.01
        y = np.random.default_rng(0).integers(0, 1 << 32, (2, 512), np.uint32)
        with context.array(y) as a:
            gpu.launch(
                gpu.LaunchConfig(2, 256),
                context.program(texts["bitonic"], "ptx").compile().kernel("bitonic"),
                a,
            )
            np.testing.assert_array_equal(a.numpy(np.uint32, (2, 512)), np.sort(y, 1))
