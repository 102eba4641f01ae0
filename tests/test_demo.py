"""The demo: its committed program is what its source makes, and what is told about a run is what the document says."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from tests import toolchain
from tests.conftest import ROOT

DEMO = ROOT / "examples" / "demo"


def load(name: str) -> ModuleType:
    """A script of the demo, as a module."""
    spec = importlib.util.spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_program_is_small_and_made_from_its_source() -> None:
    committed = (DEMO / "demo-riscv64").read_bytes()
    assert len(committed) < 100_000
    build = load("build")
    made = build.build().read_bytes()
    if toolchain.version() == build.ZIGLANG:
        assert made == committed
    else:  # another compiler: at least the same kind of program
        assert made[:20] == committed[:20]


def test_what_is_told_about_a_run() -> None:
    none = {"insns": 0, "seconds": 0.0, "units": 0, "compile_s": 0.0, "code_bytes": 0}
    result = {
        "guest": "riscv64",
        "host": "x86_64",
        "wall_s": 1.25,
        "cpu_s": 1.5,
        "workers_cpu_s": 0.5,
        "max_rss": 50 * 2**20,
        "guest_insns": 3_000_000,
        "tiers": {
            "golden": none,
            "interpreter": {**none, "insns": 1_000_000, "seconds": 0.01},
            "region": {
                "insns": 2_000_000,
                "seconds": 0.001,
                "units": 3,
                "compile_s": 0.25,
                "code_bytes": 4096,
            },
        },
        "cache": {"disk": {"hits": 1, "misses": 2}},
        "syscalls": {
            "write": {"count": 2, "errors": 0, "native": 0},
            "brk": {"count": 5, "errors": 0, "native": 0},
        },
    }
    text = "\n".join(load("show").lines(result))
    assert "time: 1.25 s, on the processor 1.50 s, in compile workers 0.50 s" in text
    assert "guest instructions: 3,000,000" in text
    assert "golden" not in text
    assert "  interpreter  1,000,000 instructions, 0.010 s, 100 million a second" in text
    assert "2,000 million a second, 3 units, compiled in 0.25 s, 4,096 bytes of code" in text
    assert "disk cache: 1 hits, 2 misses" in text
    assert "system calls: brk 5, write 2" in text
