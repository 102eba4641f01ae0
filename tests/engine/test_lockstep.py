"""Lock-step: whole programs whose every instruction is done twice, by a tier and by the golden evaluator.

State and written memory are compared at every exit of a region and every so many turns of its loops, all memory at
every system call; those happen once. Stencils; fast, whole and precise regions, compiled early. What was compared is
counted: ten million instructions at least. Programs made at random, and real ones where they are here, go where nobody
thought of.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from polyvm.engine.layout import PRECISE, WHOLE
from polyvm.errors import PolyvmError
from tests.conformance.test_programs import PROGRAMS
from tests.conformance.test_riscv_tests import PROGRAMS as RISCV_TESTS
from tests.conformance.test_riscv_tests import SYS_EXIT, load_program
from tests.engine.judged import Eager, Judged
from tests.engine.lockstep_runner import NAMES, Mode, Outcome, lockstep
from tests.engine.random_program import Taste, make, start
from tests.real import fetch
from tests.toolchain import build

# Everything is done twice, once of it in Python: minutes on a small machine, and more while coverage is measured.
pytestmark = pytest.mark.timeout(1500)

TESTS = Path(__file__).parents[1]
WORKLOADS = TESTS.parent / "benchmarks/workloads"
AT_LEAST = 10_000_000

FAST, EXACT = Mode(), Mode(kind=PRECISE, turns=31)
MODES = (FAST, EXACT)
STENCILS = Mode(tier="baseline")
# Stencils and regions together, and the interpreter alone; every turn compared, and none but at exits; compiled at
# once, and late.
MORE_MODES = (
    Mode(tier="auto"), Mode(tier="interpreter"),
    Mode(turns=1, threshold=2), Mode(turns=0, threshold=50), Mode(kind=PRECISE, turns=2, threshold=200),
    Mode(kind=PRECISE, turns=0, threshold=3), Mode(kind=WHOLE, turns=3, threshold=100),
)  # fmt: skip

# Guest program -> its arguments, with {dir} for a fresh folder. Their outputs are the conformance tests', or here.
GUESTS: dict[str, tuple[str, ...]] = {
    **{name: arguments for name, arguments in PROGRAMS.items() if name != "threads"},
    "grows": ("0",),
    "patched": ("300",),
    "rounding": ("400",),
}
# One with a loop that a timer ends: compared at its exit alone, a second of it would be repeated in Python, for hours.
TIMED = {"signals"}
ENDS = {
    ("status", "7"): ("exited", 7, None),
    ("status", "signal", "15"): ("signaled", None, 15),
    ("status", "trap"): ("signaled", None, 4),
    ("status", "abort"): ("signaled", None, 6),
    ("fault", "null"): ("signaled", None, 11),
    ("fault", "wild"): ("signaled", None, 11),
    ("fault", "negative"): ("signaled", None, 11),
    ("fault", "stack"): ("signaled", None, 11),
    ("fault", "illegal"): ("signaled", None, 4),
    ("fault", "text"): ("signaled", None, 11),
}

# Workload -> sizes, in CI and in full.
SIZES = {
    "bytecode": ("60", "600"),
    "copying": ("1", "4"),
    "crc32": ("1", "4"),
    "dispatch": ("40", "400"),
    "fft": ("1", "2"),
    "fib": ("18", "25"),
    "hashtable": ("20", "200"),
    "mandelbrot": ("6", "40"),
    "nbody": ("1", "4"),
    "nqueens": ("7", "9"),
    "pointer_chase": ("1", "2"),
    "raytrace": ("3", "16"),
    "regex": ("1", "4"),
    "sha256": ("1", "5"),
    "sieve": ("1", "2"),
    "spectral": ("6", "40"),
    "stencil": ("1", "3"),
    "strings": ("1", "3"),
    "trees": ("8", "12"),
    "json": ("", "1"),
    "lz": ("", "1"),
    "matmul_double": ("", "1"),
    "matmul_int": ("", "1"),
    "qsort_callback": ("", "1"),
    "saxpy": ("", "1"),
    "sort": ("", "1"),
}


class Tally:
    """What a lane compared."""

    def __init__(self) -> None:
        self.compared = self.in_units = self.comparisons = self.units = self.programs = 0

    def add(self, done: Outcome) -> None:
        self.compared += done.compared
        self.in_units += done.in_units
        self.comparisons += done.comparisons
        self.units += done.units
        self.programs += 1

    def __str__(self) -> str:
        return (
            f"{self.compared:,} instructions compared, {self.in_units:,} of them in {self.units} units; "
            f"{self.comparisons:,} comparisons; {self.programs} runs"
        )


@pytest.fixture(scope="module")
def total(report: Callable[[str], None]) -> Iterator[Tally]:
    """Of the programs that run in processes of their own."""
    made = Tally()
    yield made
    report(f"lock-step, whole programs: {made}")


def agreed(done: Outcome, total: Tally) -> None:
    """Nothing differed."""
    total.add(done)
    context = "".join(f"\n  {key}: {value}" for key, value in done.context.items())
    assert done.error == "", done.error + context
    assert done.comparisons > 0


def modes(full: bool) -> tuple[Mode, ...]:
    return (*MODES, STENCILS, *MORE_MODES) if full else (*MODES, STENCILS)


# ---------------------------------------------------------------------------- whole programs
@pytest.mark.parametrize("name", GUESTS)
def test_guests(
    name: str, tmp_path: Path, full: bool, total: Tally, golden: Callable[[str, str], None]
) -> None:
    for mode in modes(full):
        if name in TIMED and mode.tier == "region" and not mode.turns:
            continue
        folder = tmp_path / str(mode)
        folder.mkdir()
        arguments = [argument.replace("{dir}", str(folder)) for argument in GUESTS[name]]
        done = lockstep(build(f"{name}.c"), *arguments, mode=mode)
        agreed(done, total)
        assert (done.end, done.stderr) == (("exited", 0, None), "")
        known = TESTS / "conformance/golden" / f"{name}.txt"
        if known.exists():
            assert done.stdout == known.read_text()
        else:
            golden(f"lockstep-{name}.txt", done.stdout)


@pytest.mark.parametrize("arguments", ENDS, ids=" ".join)
def test_ends(arguments: tuple[str, ...], total: Tally) -> None:
    """Traps, faults and signals that end the guest: the place, the cause and the address are the evaluator's."""
    name, *rest = arguments
    for mode in (*MODES, STENCILS):
        done = lockstep(build(f"{name}.c"), *rest, mode=mode, measured=True)
        agreed(done, total)
        assert done.end == ENDS[arguments]


@pytest.mark.long
@pytest.mark.parametrize("group", ["ops", "wild", "jumps", "flow", "floats", "rounding", "handlers", "calls"])
def test_faults(group: str, full: bool, total: Tally) -> None:
    """The corpus of faults (tests/faults): at each of them every register is the evaluator's."""
    faults = TESTS / "faults"
    program = build(
        [faults / "faults.c", faults / "fragments.S"], cpu="baseline_rv64+zfh", flags=("-Wno-unused-result",)
    )
    for mode in (Mode(turns=31), STENCILS):
        done = lockstep(program, "60", group, mode=mode, EVERY="1 0" if full else "9 4")
        agreed(done, total)
        assert (done.end, done.stderr) == (("exited", 0, None), "")
        assert done.exits.get("FAULT", 0) + done.exits.get("TRAP", 0) > 1


@pytest.mark.long
def test_ten_million_instructions_of_workloads(
    full: bool, total: Tally, report: Callable[[str], None]
) -> None:
    """In fast and in precise regions in turn, and at full size in both; then their output is the same."""
    mine = Tally()
    for number, (name, sizes) in enumerate(SIZES.items()):
        size = sizes[full]
        outputs = set()
        modes = MODES if full else (MODES[number % len(MODES)],)
        for mode in modes if size else ():
            done = lockstep(build(WORKLOADS / f"{name}.c", flags=("-lm",)), size, mode=mode)
            agreed(done, total)
            mine.add(done)
            assert (done.end, done.stderr) == (("exited", 0, None), "")
            outputs.add(done.stdout)
        assert len(outputs) == bool(size), name
    assert mine.compared >= AT_LEAST
    assert mine.in_units >= AT_LEAST
    report(f"lock-step, workloads: {mine}")


def test_workloads_in_stencils(full: bool, total: Tally, report: Callable[[str], None]) -> None:
    """As many instructions as make every loop warm: nearly all of them are done in tier 1."""
    mine = Tally()
    for name in SIZES if full else ("bytecode", "fft", "nqueens", "regex", "sha256", "strings"):
        size = SIZES[name][0] or SIZES[name][1]
        done = lockstep(build(WORKLOADS / f"{name}.c", flags=("-lm",)), size, mode=STENCILS)
        agreed(done, total)
        mine.add(done)
        assert (done.end, done.stderr) == (("exited", 0, None), "")
    assert mine.in_units > mine.compared * 0.9
    report(f"lock-step, stencils: {mine}")


LUA = """
local t = {}
for i = 1, 300 do t[i] = (i * 7919) % 2003 / 4 end
table.sort(t)
local s = 0
for i, v in ipairs(t) do s = s + v * math.sin(i) end
print(s, (string.rep('ab', 20):gsub('a(b)', '%1x')))
local f = setmetatable({}, {__index = function(_, k) return k * 2 end})
for i = 1, 100 do s = s + f[i] end
print(string.format('%q %5.3f %x', s, s, 700), pcall(error, {}) )
"""
SQL = """
create table t(a, b);
with recursive n(i, x) as (select 1, 12345 union all select i + 1, (x * 1103515245 + 12345) & 2147483647 from n
where i < 200) insert into t select i, x from n;
create index ti on t(b);
select count(*), sum(a * b), max(b) from t where b > 1000000;
select printf('%d %.3f', a, b * 1.5) from t order by b limit 3;
"""


@pytest.mark.full
@pytest.mark.parametrize("mode", [Mode(threshold=400), Mode(kind=PRECISE, turns=31, threshold=400)], ids=str)
def test_real_programs(mode: Mode, tmp_path: Path, total: Tally, report: Callable[[str], None]) -> None:
    try:
        root = fetch.root("riscv64")
    except LookupError as error:
        pytest.skip(str(error))
    numbers = tmp_path / "numbers"
    numbers.write_text("".join(f"{i * 7919 % 1009} line {i}\n" for i in range(400)))
    (tmp_path / "query").write_text(SQL)
    mine = Tally()
    for program, *arguments in (
        ("busybox", "sort", "-n", str(numbers)),
        ("busybox", "awk", "{ s[$1 % 7] += $3 } END { for (i = 0; i < 7; i++) print i, s[i] }", str(numbers)),
        ("busybox", "sh", "-c", f"gzip -c {numbers} | gunzip | sha256sum; echo $((7 * 6))"),
        ("lua5.4", "-e", LUA),
        ("sqlite3", ":memory:", f".read {tmp_path}/query"),
    ):  # fmt: skip
        done = lockstep(root / "usr/bin" / program, *arguments, mode=mode, sysroot=root, timeout=3600)
        agreed(done, total)
        assert (done.end, done.stderr) == (("exited", 0, None), "")
        assert done.stdout
        mine.add(done)
    report(f"lock-step, real programs, {mode}: {mine}")


# ---------------------------------------------------------------------------- in this process
@pytest.mark.long
@pytest.mark.unmeasured
@pytest.mark.parametrize("kind", NAMES, ids=NAMES.values())
def test_riscv_tests(kind: str, riscv_tests_dir: Path, full: bool, report: Callable[[str], None]) -> None:
    """The region of each program's start, with all that it may reach, and what gets hot besides.

    Each program in one kind of region, and at full size in every kind.
    """
    engine = Eager("riscv64", kind=kind, turns=2, threshold=1)
    programs = sorted(path for path in riscv_tests_dir.iterdir() if path.name.startswith("rv64"))
    assert len(programs) == RISCV_TESTS
    for path in programs if full else programs[list(NAMES).index(kind) :: len(NAMES)]:
        made = Judged(engine=engine)
        cpu = made.cpu
        cpu.pc = load_program(path, made.space)
        made.compile(cpu.pc)
        assert (made.run(), cpu.x[17], cpu.x[10]) == ("exit", SYS_EXIT, 0), path.name
        made.close()
    in_units = engine.stats()["tiers"]["region"]["insns"]
    assert in_units > engine.compared // 2
    mode = NAMES[kind]
    report(
        f"lock-step, riscv-tests, {mode}: {engine.compared:,} instructions compared, {in_units:,} in regions"
    )


@pytest.mark.unmeasured
@pytest.mark.parametrize("stopped", [False, True], ids=["undisturbed", "stopped"])
def test_programs_made_at_random(
    stopped: bool, full: bool, rng: random.Random, report: Callable[[str], None]
) -> None:
    """Loops, calls, tables, every instruction, every kind of number; faults that the guest handles; code that changes;
    and another thread that stops them wherever they are."""
    seen = Tally()
    exceptions = 0
    for _ in range(600 if full else 24):
        seed = rng.getrandbits(32)
        own = random.Random(seed)
        program = make(
            own,
            Taste(
                floats=own.choice((0, 2, 5, 9)), faults=own.random() < 0.6, rounding=own.random() < 0.2,
                modified=own.random() < 0.15, calls=own.random() < 0.3, size=own.choice((30, 40, 60)),
            ),
        )  # fmt: skip
        made = Judged(
            kind=own.choice(("", WHOLE, PRECISE, PRECISE)), turns=own.choice((0, 1, 2, 7, 997)),
            threshold=own.choice((2, 4, 8)), eager=own.random() < 0.4,
        )  # fmt: skip
        start(program, made.space, made.cpu)
        try:
            with made.stopped(random.Random(seed)) if stopped else nullcontext():
                end = made.run(own)
        except PolyvmError as error:
            pytest.fail(f"the program of seed {seed}: {error.render()}")
        assert end in ("exit", "FAULT")
        exceptions += made.exceptions
        stats = made.engine.stats()
        seen.add(
            Outcome(
                (end, 0, 0), "", made.engine.compared, stats["tiers"]["region"]["insns"],
                made.engine.comparisons, stats["units"], {},
            )
        )  # fmt: skip
        made.close()
    assert seen.in_units > seen.compared // 2
    assert exceptions > 0
    report(f"lock-step, random programs{', stopped' if stopped else ''}: {seen}; {exceptions} exceptions")
