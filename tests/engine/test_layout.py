"""The layout is what the contract with generated code says, and its tables cannot contradict themselves."""

from __future__ import annotations

import pytest

from polyvm.engine import layout


def test_offsets_that_generated_code_was_promised() -> None:
    promised = {
        "pc": 0, "reason": 8, "stop": 12, "cause": 16, "value": 24, "host_sp": 32, "mem_base": 40, "slot_base": 48,
        "xmap": 56, "limit": 64, "mxcsr_guest": 72, "mxcsr_host": 76, "ip": 80, "budget": 88, "hbase": 96,
        "process": 104, "fp_mode": 120, "access": 124, "counters": 128, "sig_head": 136,
        "sig_tail": 140, "fault_rip": 144, "hot_pc": 152, "sigmask": 160,
    }  # fmt: skip
    assert {name: layout.ST[name] for name in promised} == promised
    assert (layout.REGISTERS, layout.QUEUE, layout.BIG_STATE, layout.STATE_SIZE) == (512, 8192, 16384, 65536)
    assert layout.REASONS[layout.FAULT] == "FAULT"
    assert layout.QUEUE + layout.QUEUE_ENTRIES * layout.QUEUE_ENTRY <= layout.BIG_STATE


@pytest.mark.parametrize(
    "table",
    [
        (("a", 0, 8, ""), ("b", 4, 4, "")),
        (("a", 2, 4, ""),),
        (("a", 60, 8, ""),),
    ],
    ids=["overlap", "misaligned", "outside"],
)
def test_a_contradiction_is_refused(table: layout.Table) -> None:
    with pytest.raises(AssertionError, match="layout: field"):
        layout.offsets(table, 64)


def test_names_for_generated_text() -> None:
    names = layout.names()
    assert names["st.pc"] == 0
    assert names["process.policy"] == layout.PR["policy"]
    assert names["range.end"] == 8
    assert names["reason.STOP"] == layout.STOP
    assert names["ALT_SIZE"] == layout.ALT_SIZE
    assert layout.PR["later"] + 65 * 16 <= layout.PROCESS_FREE
