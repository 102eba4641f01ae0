"""The rules of a measurement: in turn, warm, only right outputs, to the end or as far as it came."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from polyvm import bench
from polyvm.bench.runner import last_words
from polyvm.errors import PolyvmError
from tests.bench.fakes import Bench, document


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_peers_run_in_turn_and_polyvm_next_to_native_after_its_warm_up(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("polyvm", document())
    found = fake.run("native", "qemu")
    assert fake.order() == ["native", "polyvm", "polyvm", "qemu", "native", "polyvm", "qemu"]
    (row,) = found["workloads"]
    assert row["checksum_ok"] is True
    assert {name: len(runs["cpu_s"]) for name, runs in row["runs"].items() if runs} == {
        "native": 2,
        "polyvm": 2,
        "qemu": 2,
    }
    assert row["runs"]["unicorn"] is None
    assert bench.failure(found) is None


def test_the_second_native_column(fake: Bench) -> None:
    fake.workload("one")
    found = fake.run("native", march=True, subject=None, runs=1)
    assert fake.order() == ["native", "native-march"]
    assert set(found["peers"]) == {"native", "qemu", "unicorn", "native-march"}


def test_a_warm_up_goes_on_while_something_is_compiled(fake: Bench) -> None:
    fake.workload("one")
    count = fake.folder / "count"
    count.write_text("3")
    still = document(written=5).removesuffix('exec "$@"')
    done = document().removesuffix('exec "$@"')
    fake.peer(
        "polyvm",
        f'n=$(cat {count}); if [ "$n" -gt 0 ]; then echo $((n - 1)) > {count}\n{still}else\n{done}fi\nexec "$@"',
    )
    fake.run(runs=1)
    assert len(fake.order()) == 3 + 1 + 1


def test_a_program_that_never_stops_compiling_is_measured_as_it_is(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("polyvm", document(written=5))
    found = fake.run(runs=1)
    assert len(fake.order()) == 5 + 1
    assert found["workloads"][0]["runs"]["polyvm"]["cpu_s"]


def test_the_workers_cpu_time_is_polyvms(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("polyvm", document(cpu=7.0))
    (row,) = fake.run("native")["workloads"]
    assert min(row["runs"]["polyvm"]["cpu_s"]) > 7.0
    assert max(row["runs"]["native"]["cpu_s"]) < 7.0
    assert row["ratio"]["native"] > 1


def test_a_wrong_output_has_no_time(fake: Bench) -> None:
    fake.workload("one", 'echo "right $1"')
    fake.peer("qemu", "echo wrong")
    found = fake.run("native", "qemu", subject=None)
    (row,) = found["workloads"]
    assert row["runs"]["qemu"]["cpu_s"] == []
    assert row["runs"]["qemu"]["failed"] == "wrong output: 'wrong' instead of 'right 1'"
    assert row["checksum_ok"] is False
    assert row["ratio"]["qemu"] is None
    assert fake.order() == ["native", "qemu", "native"]
    error = bench.failure(found)
    assert error is not None
    assert (error.code, error.exit_status) == ("PVM-BENCH-MISMATCH", 125)
    assert "one under qemu" in error.message


def test_a_peer_that_cannot_is_noted_but_polyvm_must(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("unicorn", "echo unsupported >&2; exit 70")
    found = fake.run("native", "unicorn", subject=None)
    assert found["workloads"][0]["runs"]["unicorn"]["failed"] == "exit status 70: unsupported"
    assert bench.failure(found) is None
    fake.peer("polyvm", "printf 'polyvm: PVM-INTERNAL: no\\n  page: docs\\n' >&2; exit 125")
    found = fake.run("native")
    assert found["workloads"][0]["runs"]["polyvm"]["failed"] == "exit status 125: polyvm: PVM-INTERNAL: no"
    error = bench.failure(found)
    assert error is not None
    assert "one under polyvm, exit status 125" in error.message


def test_past_the_limit(fake: Bench) -> None:
    fake.workload("one")
    fake.peer("qemu", "sleep 1000")
    found = fake.run("native", "qemu", subject=None, limit=0.5)
    assert found["workloads"][0]["runs"]["qemu"]["failed"] == "ended after the limit of 0.5 s"


def test_a_slow_peer_is_not_run_again(fake: Bench) -> None:
    fake.workload("one")
    # Ten times as long as native, even where a shell takes long to start.
    fake.peer("qemu", 'sleep 3; exec "$@"')
    found = fake.run("native", "qemu", subject=None, runs=3, patience=0.1)
    assert fake.order() == ["native", "qemu", "native", "native"]
    assert len(found["workloads"][0]["runs"]["qemu"]["cpu_s"]) == 1


def test_ctrl_c_ends_the_measurement_and_keeps_what_is_there(fake: Bench) -> None:
    fake.workload("one")
    fake.workload("two", f'[ -e {fake.folder}/stop ] || sleep 1000; echo "right $1"')
    begun = fake.folder / "begun"
    fake.workload("three")
    fake.peer("native", f'case "$1" in */two.sh) touch {begun};; esac; exec "$@"')

    def press() -> None:
        while not begun.exists():
            threading.Event().wait(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    found = fake.run("native", subject=None)
    presser.join()
    assert found["interrupted"] is True
    assert [row["name"] for row in found["workloads"]] == ["one", "two"]
    assert found["workloads"][0]["runs"]["native"]["cpu_s"]
    assert found["workloads"][1]["runs"]["native"] is None
    assert "interrupted: only what was measured" in bench.render(found)


def test_unknown_workloads_are_refused_before_anything_runs(fake: Bench) -> None:
    fake.workload("one")
    with pytest.raises(PolyvmError, match="no workload or group is called 'two'"):
        fake.run("native", workloads=("two",))
    assert fake.order() == []


def test_the_document_has_every_key_and_is_json(fake: Bench) -> None:
    fake.workload("one")
    fake.workload("two", group="fp", simd="loop")
    found = json.loads(json.dumps(fake.run("native")))
    assert found["schema"] == "polyvm.bench/1"
    promised = {"machine", "flags", "peers", "workloads", "geomean", "worst", "startup", "tier_mips"}
    assert promised | {"translate_us_per_insn", "polyvm"} <= set(found)
    for row in found["workloads"]:
        assert {"name", "group", "checksum_ok", "runs", "ratio"} <= set(row)
        assert set(row["runs"]) == {"native", "polyvm", "qemu", "unicorn"}
        assert set(row["ratio"]) == {"native", "qemu", "unicorn"}
        assert set(row["runs"]["native"]) >= {"cpu_s", "wall_s", "max_rss"}
    assert set(found["geomean"]) == {"int", "c", "all", "apart"}
    assert set(found["worst"]) == {"name", "native"}
    assert found["worst"]["name"] == "one"
    assert found["peers"]["qemu"] is None


def test_the_table_shows_what_is_in_the_document(fake: Bench) -> None:
    fake.workload("one")
    fake.workload("two", simd="loop")
    found = fake.run("native")
    one = found["workloads"][0]
    one["runs"]["native"]["cpu_s"] = [2.0]
    one["runs"]["polyvm"]["cpu_s"] = [3.0]
    text = bench.render(bench_again(found))
    line = next(line for line in text.splitlines() if line.startswith("one"))
    assert line.split() == ["one", "int", "2.000", "3.000", "1.50"]
    assert next(line for line in text.splitlines() if line.startswith("two")).split()[1:3] == ["int", "*"]
    means = [line.split() for line in text.splitlines() if line.startswith("all in C")]
    assert means == [["all", "in", "C", "1.50", "(1.50", "one)"]]
    assert "vectorised natively" in text


def bench_again(found: dict[str, object]) -> dict[str, object]:
    """The document with its means made anew from its runs."""
    from polyvm.bench import document as documents
    from polyvm.bench import stats

    rows = found["workloads"]
    assert isinstance(rows, list)
    for row in rows:
        documents.ratios(row)
    geomean, worst = stats.summarise(rows, ["polyvm", "native"], "vs_native")
    return {**found, "vs_native": {"geomean": geomean, "worst": worst}}


def test_the_line_that_says_why() -> None:
    assert last_words("warning\npolyvm: PVM-X: no.\n  hint: yes\n  page: there\n") == "polyvm: PVM-X: no."
    assert last_words("") == ""


def test_the_first_runs_have_a_cache_with_the_interpreter_alone(fake: Bench) -> None:
    fake.workload("one")
    fake.workload("two")
    caches = fake.folder / "caches"
    text = document().removesuffix('exec "$@"')
    look = f'echo "$(basename $POLYVM_CACHE_DIR) $(ls $POLYVM_CACHE_DIR | xargs)" >> {caches}\n'
    leave = "mkdir -p $POLYVM_CACHE_DIR/tier0 $POLYVM_CACHE_DIR/units"
    fake.peer(
        "polyvm", f'{text}case "$POLYVM_CACHE_DIR" in */polyvm-bench-*)\n{look}{leave};; esac\nexec "$@"'
    )
    found = fake.run("native", first_runs=True, runs=1)
    wanted = ["first", *(f"{number} {seen}" for number in (1, 2) for seen in ("tier0", "tier0 units"))]
    assert [line.strip() for line in caches.read_text().splitlines()] == wanted
    for row in found["workloads"]:
        assert (len(row["first_runs"]["wall_s"]), row["first_runs"]["failed"]) == (2, None)
    text = bench.render(found)
    assert "first run  second run" in text
    assert "sum of 2" in text
    without = fake.run("native", runs=1)
    assert [row["first_runs"] for row in without["workloads"]] == [None, None]
    assert "first run" not in bench.render(without)


def test_a_first_run_with_a_wrong_output_has_no_time(fake: Bench) -> None:
    fake.workload("one", 'echo "right $1"')
    text = document().removesuffix('exec "$@"')
    fake.peer(
        "polyvm", f'{text}case "$POLYVM_CACHE_DIR" in */polyvm-bench-*) echo wrong; exit 0;; esac\nexec "$@"'
    )
    found = fake.run("native", first_runs=True, runs=1)
    (row,) = found["workloads"]
    assert row["first_runs"]["wall_s"] == []
    assert "wrong output" in row["first_runs"]["failed"]
    failure = bench.failure(found)
    assert failure is not None
    assert "with an empty cache" in failure.message
    assert "failed: one with an empty cache: wrong output" in bench.render(found)
