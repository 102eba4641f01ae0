"""polyvm.coverage/1: what is specified beside what the manual has."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from polyvm.errors import PolyvmError
from polyvm.isa import SPECIFIED
from polyvm.isa.coverage import document

DONE = {
    "riscv64": ("I", "Zifencei", "Zicsr", "Zicond", "M", "A", "F", "D", "Zfh", "C", "Zba", "Zbb", "Zbc", "Zbs", "Zbkb",
                "Zbkc", "Zbkx", "V"),
    "aarch64": ("Logical (immediate)", "Bitfield", "Load/store exclusive", "Conditional select", "Barriers",
                "Floating-point compare", "Floating-point data-processing (3 source)",
                "Conversion between floating-point and integer", "FEAT_AES", "FEAT_PMULL", "FEAT_SHA1", "FEAT_SHA256",
                "FEAT_SHA512", "FEAT_SHA3", "FEAT_RDM", "FEAT_DotProd", "FEAT_I8MM", "FEAT_FCMA", "FEAT_JSCVT",
                "FEAT_FRINTTS", "FEAT_FlagM", "FEAT_FlagM2", "FEAT_LRCPC2", "FEAT_SB", "FEAT_DGH", "FEAT_BTI",
                "FEAT_PAuth, hints", "FEAT_PAuth", "FEAT_MTE"),
}  # fmt: skip


@pytest.mark.parametrize("guest", SPECIFIED)
def test_the_document(guest: str) -> None:
    coverage = document(guest)
    assert set(coverage) == {"schema", "polyvm", "guest", "revision", "extensions", "encodings"}
    assert (coverage["schema"], coverage["guest"]) == ("polyvm.coverage/1", guest)
    assert json.loads(json.dumps(coverage)) == coverage


@pytest.mark.parametrize("guest", SPECIFIED)
def test_extensions_are_done_or_refused_and_add_up(guest: str) -> None:
    coverage = document(guest)
    manual = import_module(f"polyvm.isa.{guest}.manual")
    states = {extension["name"]: extension["state"] for extension in coverage["extensions"]}
    assert list(states) == list(manual.EXTENSIONS)
    for name in DONE[guest]:
        assert states[name] == "done", name
    for extension in coverage["extensions"]:
        names = manual.EXTENSIONS[extension["name"]].split()
        assert len(set(names)) == len(names) == extension["insns"]
        assert set(extension["missing"]) <= set(names)
        state = {0: "done", len(names): "refused"}.get(len(extension["missing"]), "partial")
        assert extension["state"] == state
    encodings = coverage["encodings"]
    assert encodings["total"] == encodings["done"] + encodings["refused"]
    package = import_module(f"polyvm.isa.{guest}")
    isa = getattr(package, "everything", package.load)()
    done = {getattr(manual, "listed", str)(insn.name) for insn in isa.insns}
    hints = {short.split()[0] for short, long in isa.aliases if long.startswith("hint ")}
    assert encodings["done"] == len(
        done | hints & {n for text in manual.EXTENSIONS.values() for n in text.split()}
    )


def test_a_guest_without_specification_is_refused() -> None:
    with pytest.raises(PolyvmError, match="PVM-USAGE"):
        document("vax")
