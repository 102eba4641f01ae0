"""Prefetches: regions hand them on to the host, and no tier lets one be seen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polyvm.engine import compile as compiler
from polyvm.engine.discover import discover
from polyvm.engine.region import module
from polyvm.isa.aarch64 import load
from polyvm.isa.disasm import assemble
from tests.toolchain import build

ISA = load()
START = 0x10000
FORMS = (
    "prfm pldl1keep, [x0, #64]",
    "prfm pstl2strm, [x0, x1, lsl #3]",
    "prfum pldl1keep, [x0, #-3]",
    "prfm pldl3keep, .+64",
)


@pytest.mark.parametrize("form", FORMS)
def test_a_region_hands_it_on(form: str) -> None:
    code = assemble(ISA, form, START) + assemble(ISA, "ret")
    region = discover(ISA, lambda at, length: code[at - START : at - START + length], START)
    assert region is not None
    text = module(ISA, region)
    assert "call void @llvm.prefetch" in text
    assert b"\x0f\x18" in compiler.compile_object(text)


@pytest.mark.parametrize("tier", ["interpreter", "baseline", "region"])
def test_it_goes_anywhere_and_nobody_sees_it(tier: str) -> None:
    guest, native = (build("prefetch.c", guest=guest) for guest in ("aarch64", "x86_64"))
    command = [sys.executable, "-m", "polyvm", "run", "--tier", tier, str(guest)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == subprocess.run([native], capture_output=True, text=True, check=True).stdout
