"""What is measured beside the workloads, with a polyvm whose figures are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyvm import bench
from polyvm.bench import hooks
from tests.bench.fakes import Bench, document


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, monkeypatch)
    made.program("hello", "echo hello")
    monkeypatch.setattr(hooks, "ROUNDS", 1)
    return made


def test_start_up_of_all_and_what_polyvm_says(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("polyvm", document(compile_s=0.5, compiled_insns=1000))
    found = fake.run("native", extras=True, runs=1)
    startup = found["startup"]
    assert set(startup["peers"]) == {"native", "polyvm"}
    assert startup["cold_s"] > 0
    assert startup["warm_s"] == startup["peers"]["polyvm"]["wall_s"]
    assert startup["max_rss"] >= 1000
    assert found["translate_us_per_insn"] == pytest.approx(500.0)
    assert set(found["footprint"]) == {"cold", "warm", "compiling"}
    text = bench.render(found)
    assert "hello, native:" in text
    assert "translation: 500.0 us a guest instruction" in text
    assert set(found["hooks"]) == {"polyvm"}
    assert "hooks, polyvm:" in text


def test_speed_of_tiers_is_instructions_over_time_beyond_start_up(fake: Bench) -> None:
    fake.workload("one", 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo "right $1"')
    fake.peer("polyvm", document(interpreter=10**6))
    found = fake.run(extras=True, runs=1)
    row = found["tier_mips_of"]["one"]
    assert row["insns"] == 10**6
    assert row["interpreter"] is not None
    assert found["tier_mips"]["interpreter"] == pytest.approx(row["interpreter"])


def test_a_tier_that_fails_has_no_speed(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("polyvm", 'case "$all" in *--tier*) exit 125;; esac\n' + document())
    found = fake.run(extras=True, runs=1)
    assert found["tier_mips_of"]["one"] == {"interpreter": None, "baseline": None, "region": None}
    assert found["tier_mips"] == {"interpreter": None, "baseline": None, "region": None}


def test_a_polyvm_that_cannot_say_hello_has_no_start_up(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("polyvm", "exit 125")
    found = fake.run(extras=True, runs=1)
    assert found["startup"]["cold_s"] is None
    assert found["startup"]["warm_s"] is None
    assert found["translate_us_per_insn"] is None
    assert bench.render(found)


def test_without_polyvm_only_the_peers_start(fake: Bench) -> None:
    fake.workload("one")
    found = fake.run("native", extras=True, subject=None, runs=1)
    assert set(found["startup"]["peers"]) == {"native"}
    assert found["tier_mips"] is None
