"""Ahead of time: what is found of a program, what of it is compiled, and under which names it is kept."""

from __future__ import annotations

import marshal
import os
import signal
from pathlib import Path

import pytest

from polyvm.engine import aot, image, unitfiles
from polyvm.engine.aot import Program, Progress, compile_ahead
from polyvm.errors import PolyvmError
from tests.engine import assembly

KEY = "test"

# main calls first, jumps through a table, and goes on in last, which is another function.
TEXT = """
    main:   addi sp, sp, -16
            sd ra, 0(sp)
            jal ra, first
            addi a4, zero, 1
            bltu a4, a0, default
            auipc a2, %hi(table)
            addi a2, a2, %lo(table)
            slli a1, a0, 2
            add a1, a1, a2
            lw a1, 0(a1)
            add a1, a1, a2
            c.jr a1
    none:   addi a0, a0, 1
    one:    addi a0, a0, 2
    default: ld ra, 0(sp)
            addi sp, sp, 16
            jal zero, last
    first:  addi a0, a0, -1
            bne a0, zero, first
            c.jr ra
    last:   addi a0, a0, 7
            c.jr ra
    alone:  addi a0, a0, 9
            c.jr ra
    table:
"""
CODE = assembly.Program(TEXT)
FUNCTIONS = ["main", "first", "last", "alone"]


def program(roots: list[str], starts: list[str] = FUNCTIONS) -> Program:
    table = CODE.distances("none", "one", base="table")
    return Program(
        "riscv64",
        KEY,
        {CODE.start: CODE.code},
        [(CODE["table"], table)],
        sorted(CODE[name] for name in starts),
        [CODE[name] for name in roots],
    )


def kept(folder: Path) -> dict[str, list[str]]:
    """The regions in a cache, by the labels that they are found under, and where each may be entered."""
    found = {}
    for file in (folder / "units" / KEY).iterdir():
        loaded = image.load(file.read_bytes())
        meta = marshal.loads(loaded.meta)
        loaded.unload()
        place = int(file.name.partition(".")[0], 16)
        found[CODE.name(place)] = [CODE.name(entry) for entry in meta["entries"]]
    return found


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_program_is_found_from_where_it_begins(cold_cache: Path, jobs: int) -> None:
    told: list[int] = []
    done = compile_ahead(
        program(["main"]), str(cold_cache), jobs=jobs, progress=lambda state: told.append(state.done)
    )
    regions = kept(cold_cache)
    assert {"main", "first", "last"} == set(regions)  # nothing leads to `alone`
    assert regions["main"] == ["main"]
    assert (done.regions, done.kept, done.refused, done.deaths) == (3, 0, {}, 0)
    assert done.found == done.done == 3
    assert told == [1, 2, 3]
    # All that is reached, each byte once, though `first` is in main's region as well.
    assert done.code_bytes == CODE["alone"] - CODE["main"]
    assert done.insns == 25  # with those of `first` twice
    assert done.host_bytes > 0
    assert done.cpu_s > 0


def test_what_is_there_already_stays(cold_cache: Path) -> None:
    compile_ahead(program(["last"]), str(cold_cache))
    file = next((cold_cache / "units" / KEY).iterdir())
    before = file.stat().st_mtime_ns, file.stat().st_ino
    done = compile_ahead(program(["main", "alone"]), str(cold_cache))
    assert (done.regions, done.kept) == (3, 1)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    done = compile_ahead(program(["main", "alone"]), str(cold_cache))
    assert (done.regions, done.kept) == (0, 4)  # what leads on from what is there is looked at all the same


def test_kinds_are_apart(cold_cache: Path) -> None:
    compile_ahead(program(["last"]), str(cold_cache))
    assert compile_ahead(program(["last"]), str(cold_cache), kind="p").regions == 1
    assert unitfiles.listed(os.listdir(cold_cache / "units" / KEY)) == {
        "": {CODE["last"]},
        "p": {CODE["last"]},
    }


def test_without_starts_of_functions_it_goes_where_code_goes(cold_cache: Path) -> None:
    done = compile_ahead(program(["main"], []), str(cold_cache))
    assert set(kept(cold_cache)) == {"main", "first"}  # `last` is taken for a part of main
    assert done.code_bytes == CODE["alone"] - CODE["main"]


def test_what_is_no_code(cold_cache: Path) -> None:
    empty = Program("riscv64", KEY, {CODE.start: b"\0" * 16}, [], [], [CODE.start, 0x5000])
    done = compile_ahead(empty, str(cold_cache))
    assert (done.found, done.done, done.regions, done.refused) == (2, 2, 0, {"no instruction": 1})


def test_a_compiler_that_dies_costs_its_region(cold_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is replaced, and the rest is compiled."""
    own, here = aot.compile_region, os.getpid()

    def dies(isa: object, found: object, *rest: object, **options: object) -> bytes:
        if found.entry == CODE["first"] and os.getpid() != here:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGKILL)
        return own(isa, found, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(aot, "compile_region", dies)
    done = compile_ahead(program(["first", "main"]), str(cold_cache))
    assert (done.deaths, done.refused, done.regions) == (1, {"its compiler died": 1}, 2)
    assert set(kept(cold_cache)) == {"main", "last"}


def test_no_process_is_left(cold_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    own = os.fork

    def fork() -> int:
        pid = own()
        started.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", fork)

    class Enough(Exception):
        pass

    def enough(_: Progress) -> None:
        raise Enough

    with pytest.raises(Enough):
        compile_ahead(program(["main", "alone"]), str(cold_cache), jobs=2, progress=enough)
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_cache_that_cannot_be_written(cold_cache: Path) -> None:
    (cold_cache / "units").write_text("a file where a folder belongs")
    with pytest.raises(PolyvmError) as caught:
        compile_ahead(program(["last"]), str(cold_cache))
    assert caught.value.code == "PVM-RESOURCE"
