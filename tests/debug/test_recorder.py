"""A recorded run, and the report of it: times add up, names are the program's, and code is what ran.

For each guest that has a compiler; what is said of host instructions is checked against the code that ran.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.debug import page, recording, report
from polyvm.debug.recorder import BUCKETS, Timeline
from polyvm.debug.sampler import TIERS
from polyvm.errors import PolyvmError

WORKLOADS = Path(__file__).parents[2] / "benchmarks/workloads"


def test_seconds_add_up(recorded: dict[str, Any]) -> None:
    looks = recorded["looks"]
    total = sum(look[4] for look in looks)
    assert 0 < total <= recorded["run"]["cpu_s"] + 0.01
    timeline = recorded["timeline"]
    assert sum(map(sum, timeline["parts"])) == pytest.approx(total)
    assert tuple(timeline["tiers"]) == TIERS
    assert {look[1] for look in looks} <= set(TIERS)
    assert any(look[1] == "region" for look in looks)


def test_stacks_lead_from_the_first_function_to_the_hot_ones(recorded: dict[str, Any]) -> None:
    names = [function["name"] for function in recorded["functions"]]
    stacks = [[names[number] for number in stack] for stack in recorded["stacks"]]
    deep = [stack for stack in stacks if "main" in stack]
    assert any(stack.index("main") > 0 for stack in deep), deep
    # The parser and the printer call themselves; a value's depth is bounded.
    assert any(stack.count("parse") > 1 or stack.count("print") > 1 for stack in deep)


def test_regions_are_made_again_byte_for_byte(shown: dict[str, Any]) -> None:
    with_code = [region for region in shown["regions"] if region["code"] is not None]
    assert with_code
    for region in with_code:
        assert region["code"]["same"], region["pc"]
        assert len(region["code"]["guest"]["at"]) == region["insns"]


def test_host_instructions_have_origins_and_time(shown: dict[str, Any]) -> None:
    region = shown["regions"][0]
    code, host = region["code"], region["code"]["host"]
    count = len(code["guest"]["at"])
    assert all(0 <= number <= count for number in host["of"])
    assert (
        len({number for number in host["of"] if number}) > count / 3
    )  # the others became part of their neighbours
    # Bytes follow each other without a gap, as far as the code goes.
    for place, raw, after in zip(host["at"], host["bytes"], host["at"][1:], strict=False):
        assert place + len(raw) // 2 == after
    assert sum(host["cpu_s"]) == pytest.approx(region["cpu_s"], abs=1e-3)
    assert sum(code["guest"]["cpu_s"]) <= region["cpu_s"] + 1e-3
    for part in ("ops", "llvm", "optimised"):
        assert len(code[part]["text"]) == len(code[part]["of"])
        assert {number for number in code[part]["of"] if number} <= set(range(1, count + 1))
    # Before LLVM's passes hardly an instruction is without lines of its own.
    assert len({number for number in code["llvm"]["of"] if number}) > 0.8 * count


def test_instructions_have_source_lines(shown: dict[str, Any]) -> None:
    text = (WORKLOADS / "json.c").read_text().splitlines()
    region = shown["regions"][0]
    lines = [line for line in region["code"]["guest_lines"] if line is not None]
    assert len(lines) > 0.75 * region["insns"]  # the others are the C library's
    # The compiler was given a copy of the file, which is gone by now: lines are known, and their text is not.
    (source,) = {number for number, _ in lines}
    assert shown["sources"][source]["path"].endswith(".c")
    assert all(1 <= line <= len(text) for _, line in lines)
    assert sum(any(letter.isalpha() for letter in text[line - 1]) for _, line in lines) > 0.8 * len(lines)


def test_the_flame_graph_has_all_time(shown: dict[str, Any]) -> None:
    assert shown["flame"]["t"] == pytest.approx(shown["cpu_s"], abs=1e-3)
    assert sum(shown["tiers"].values()) == pytest.approx(shown["cpu_s"])


def test_events_say_where_regions_came_from(shown: dict[str, Any]) -> None:
    events = shown["events"]
    assert [event["when_s"] for event in events] == sorted(event["when_s"] for event in events)
    assert not all(event["compiled"] for event in events)
    assert all(event["insns"] > 0 and event["bytes"] > 0 for event in events)


def test_code_that_is_another_is_not_linked(recorded: dict[str, Any]) -> None:
    """A negative control: with one byte of it changed, nothing is claimed."""
    changed = json.loads(json.dumps(recorded))
    for region in changed["regions"]:
        code = bytearray(recording.unpack(region["code"]))
        code[region["entry"]] ^= 1
        region["code"] = recording.pack(bytes(code))
    shown = report.document(changed, "it", top=1)
    code = shown["regions"][0]["code"]
    assert not code["same"]
    assert set(code["host"]["of"]) == {0}


def test_a_page_holds_all_and_loads_nothing(shown: dict[str, Any]) -> None:
    made, left = page.render(shown)
    text = made.decode()
    assert left == 0
    assert len(made) < page.MAX_BYTES
    data = re.search(r'id="data">([^<]*)</script>', text)
    assert data is not None
    assert json.loads(zlib.decompress(base64.b64decode(data[1]))) == json.loads(json.dumps(shown))
    without = text.replace("http://www.w3.org/2000/svg", "")  # a name, not a place
    assert not re.search(r"https?://|\bsrc=|<link|@import|url\(|fetch\(|XMLHttp|import\(", without)
    assert "default-src 'none'" in text


def test_names_are_no_markup(shown: dict[str, Any]) -> None:
    odd = '</script><img src=x onerror=alert(1)>"'
    changed = shown | {"run": shown["run"] | {"program": f"/x/{odd}", "argv": [odd]}}
    text = page.render(changed)[0].decode()
    assert "<img" not in text
    assert text.count("</script>") == 2


def test_a_page_that_is_too_large_loses_the_coldest_code(
    shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = json.loads(json.dumps(shown))
    whole = len(page.render(copy)[0])
    monkeypatch.setattr(page, "MAX_BYTES", whole - 1)
    made, left = page.render(copy)
    assert left >= 1
    assert len(made) < whole
    codes = [region["code"] is not None for region in copy["regions"]]
    assert codes == sorted(codes, reverse=True)  # the hottest stay


def test_recordings_that_do_not_fit_together_are_refused(recorded: dict[str, Any]) -> None:
    for change in (
        {"looks": [[999_999, "region", -1, 0, 0.1, 1]]},
        {"looks": [[0, "region", -1, 0]]},
        {"functions": []},
        {"timeline": None},
        {"regions": [recorded["regions"][0] | {"meta": {}}]},
        {"run": {"guest": None}},
    ):
        with pytest.raises(PolyvmError) as caught:
            report.document(recorded | change, "it", top=0)
        assert caught.value.code == "PVM-RECORDING-REFUSED"


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(TIERS), st.floats(0, 2)), max_size=60))
def test_a_timeline_keeps_every_second(looks: list[tuple[float, str, float]]) -> None:
    line = Timeline()
    for when, tier, seconds in looks:
        line.add(when, tier, seconds)
    assert len(line.parts) <= BUCKETS
    for number, tier in enumerate(TIERS):
        total = sum(seconds for _, name, seconds in looks if name == tier)
        assert sum(part[number] for part in line.parts) == pytest.approx(total, abs=1e-6)
    assert all(value >= 0 for part in line.parts for value in part)
