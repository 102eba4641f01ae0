"""`polyvm gpu`: lists devices, runs kernels from files, and says what is wrong with its words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polyvm.cli.main import main

pytest.importorskip("numpy", reason="arrays of kernels are NumPy's: pip install 'polyvm[gpu]'")

PTX = """.version 8.0
.target sm_80
.address_size 64
.visible .entry twice(.param .u64 x, .param .f32 a) {
  .reg .f32 %f<4>; .reg .b64 %d<4>; .reg .b32 %r<3>;
  ld.param.u64 %d1, [x]; ld.param.f32 %f1, [a]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4;
  add.s64 %d3, %d1, %d2; ld.global.f32 %f2, [%d3]; mul.f32 %f3, %f2, %f1; st.global.f32 [%d3], %f3; ret; }
.visible .entry other() { ret; }
"""


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    path = tmp_path / "twice.ptx"
    path.write_text(PTX)
    return str(path)


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_processor_is_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu", "list"]) == 0
    assert "host" in capsys.readouterr().out
    assert main(["gpu", "list", "--json"]) == 0
    found = document(capsys)
    assert found["schema"] == "polyvm.gpu-list/1"
    assert found["devices"][0]["backend"] == "host"
    assert set(found["devices"][0]) == {
        "uuid", "name", "backend", "pci", "memory_bytes", "memory_free", "compute_units", "capability",
        "verified_on_hardware",
    }  # fmt: skip
    assert main(["gpu", "info", found["devices"][0]["uuid"]]) == 0
    assert "max_block" in capsys.readouterr().out


def test_a_kernel_runs(kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gpu", "run", kernel, "--kernel", "twice", "--block", "8", "f32:8:range", "2.5"]
    assert main(words) == 0
    assert "17.5" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert document(capsys)["arrays"][0]["values"] == [2.5 * n for n in range(8)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--kernel", "none", "f32:8", "1.0"], "PVM-GPU-ARGUMENT"), (["f32:8", "1.0"], "PVM-USAGE"),
        (["--kernel", "twice", "f99:8", "1.0"], "PVM-USAGE"), (["--kernel", "twice", "x", "1.0"], "PVM-USAGE"),
        (["--kernel", "twice", "f32:4", "1.0"], "PVM-GPU-FAULT"), (["--kernel", "twice", "f32:32"], "PVM-GPU-ARGUMENT"),
        (["--grid", "0", "--kernel", "other"], "PVM-USAGE"),
        (["--device", "nobody", "--kernel", "other"], "PVM-GPU-DEVICE"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    kernel: str, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    assert main(["gpu", "run", kernel, "--json", *words]) == 125
    assert document(capsys)["code"] == code


@pytest.mark.parametrize(
    "words", [["gpu", "fly"], ["gpu", "run"], ["gpu", "list", "x"], ["gpu", "bench", "--threads", "0"]]
)
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 125
    assert "PVM-USAGE" in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu", "run", "/nowhere.cu"]) == 127
    assert "PVM-FILE-MISSING" in capsys.readouterr().err


def test_coverage_of_ptx(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["isa", "coverage", "ptx", "--json"]) == 0
    assert document(capsys)["guest"] == "ptx"
    assert main(["isa", "coverage", "ptx"]) == 0
    assert "tcgen05.alloc" in capsys.readouterr().out
