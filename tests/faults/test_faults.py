"""Faults in every kind of code: what a guest's handler is told, equal in all tiers and equal to Linux.

The program (faults.c, fragments.S) runs hundreds of scenarios: an access, a jump or a trap that goes wrong in a loop,
at its first turn or after it became hot, behind an unrolled copy, in a callee, across pages, outside of the space, by
another thread's munmap. The handler writes every register; records.py makes text of it, and golden/ keeps the text.
For compiled code, a first run has every fragment compiled into the cache, and a second one faults in what it finds.

Judges from outside: qemu-riscv64 where it is installed, with the list of its known differences below; and Linux's own
source, quoted at each of them.
"""

from __future__ import annotations

import bisect
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyvm.engine.layout import PRECISE, WHOLE
from tests.faults import records
from tests.faults.records import ARENA, PAGE, Fault, Output, Scenario, Writer
from tests.processes import unmeasured
from tests.toolchain import build, locked

HERE = Path(__file__).parent
QEMU = shutil.which("qemu-riscv64")
GROUPS = ("ops", "wild", "jumps", "flow", "floats", "rounding", "handlers", "calls", "others")
COLD, WARM, FILL = 30, 1200, 20000
"""Turns of a fragment before it counts: for a try in tier 0; until its region is fetched; until it is compiled."""
SAMPLE = 12  # of so many scenarios the golden evaluator does one, unless it does all
PATIENCE = 60.0  # seconds for one fragment
AUTO = pytest.param("auto", marks=pytest.mark.full)  # what it runs in the end is what region runs


@pytest.fixture(scope="session")
def program() -> Path:
    return build(
        [HERE / "faults.c", HERE / "fragments.S"], cpu="baseline_rv64+zfh", flags=("-Wno-unused-result",)
    )


def command(tier: str, *options: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, *options]


def run(
    words: list[str | Path] | list[str], *arguments: str | Path, quiet: bool = True, **variables: str
) -> bytes:
    """The output of a run that ends well and says nothing else, or is allowed to."""
    done = subprocess.run(
        [*words, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
        env=unmeasured(**variables),
    )
    assert done.returncode == 0, done.stderr
    assert not quiet or done.stderr == b""
    return done.stdout


def text(data: bytes) -> str:
    return Writer(records.parse(data)).text()


def split(text: str) -> list[str]:
    return text.rstrip("\n").split("\n\n")


def paragraphs(name: str) -> list[str]:
    """One group's scenarios, as they are kept."""
    return split((HERE / "golden" / f"{name}.txt").read_text())


# ------------------------------------------------------------------------------------------------ every tier
def test_there_are_many_of_them(report: Callable[[str], None]) -> None:
    kept = {group: paragraphs(group) for group in GROUPS}
    count = sum(map(len, kept.values()))
    faults = sum(part.count(", pc ") for parts in kept.values() for part in parts)
    by_group = ", ".join(f"{group} {len(parts)}" for group, parts in kept.items())
    report(
        f"fault scenarios: {count} ({by_group}) with {faults} calls of a handler that tells every register"
    )
    assert count > 700
    assert faults > 600


@pytest.mark.parametrize("group", GROUPS)
def test_interpreter(group: str, program: Path, golden: Callable[[str, str], None]) -> None:
    golden(f"{group}.txt", text(run(command("interpreter"), program, str(COLD), group)))


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
def test_golden(group: str, program: Path, full: bool, seed: int) -> None:
    """The golden evaluator; without --full, on a sample that the seed chooses."""
    every, pick = (1, 0) if full else (SAMPLE, seed % SAMPLE)
    got = text(run(command("golden"), program, "0", group, EVERY=f"{every} {pick}"))
    assert split(got) == paragraphs(group)[pick::every]


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("tier", ["region", "auto"])
def test_compiled(
    group: str,
    tier: str,
    program: Path,
    compiled: Compiled,
    tmp_path: Path,
    golden: Callable[[str, str], None],
    report: Callable[[str], None],
) -> None:
    """The loop's region is found in the cache while it warms up, so it is in compiled code that it goes wrong."""
    compiled.need("all", PRECISE)
    compiled.need("rounding", "pr")
    file = tmp_path / "result.json"
    got = run(command(tier, "--result-file", file), program, str(WARM), group)
    golden(f"{group}.txt", text(got))
    document = json.loads(file.read_text())
    scenarios = records.parse(got).scenarios
    hits = document["cache"]["disk"]["hits"]
    assert hits >= len({s.fragment for s in scenarios})
    report(
        f"faults, {tier}, {group}: {len(scenarios)} scenarios in {hits} regions found in the cache, "
        f"{document['exits'].get('FAULT', 0)} faults in native code"
    )


def test_counted_regions(
    program: Path,
    compiled: Compiled,
    tmp_path: Path,
    full: bool,
    golden: Callable[[str, str], None],
    report: Callable[[str], None],
) -> None:
    """Regions that count what they do (--stats) say that nearly everything was done in them."""
    group = "flow" if full else "floats"
    compiled.need(group, "cp", "--stats")
    file = tmp_path / "result.json"
    words = command("region", "--stats", "--result-file", file)
    golden(f"{group}.txt", text(run([*words, program, str(20 * WARM), group], quiet=False)))
    tiers = json.loads(file.read_text())["tiers"]
    share = tiers["region"]["insns"] / (tiers["region"]["insns"] + tiers["interpreter"]["insns"])
    report(f"faults, counted regions, {group}: {share:.0%} of the instructions in regions")
    assert share > 0.5


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "region", "auto"])
def test_what_can_only_be_executed_cannot_be_read(tier: str, program: Path) -> None:
    """As on Linux, where such a page has no R (PAGE_EXEC in arch/riscv/include/asm/pgtable.h)."""
    assert "SIGSEGV SEGV_ACCERR at xonly+0x8" in text(run(command(tier), program, "0", "secret"))


# ------------------------------------------------------------------------------------------------ having it compiled
class Compiled:
    """The run's code cache, with units of the fragments that somebody needed."""

    def __init__(self, program: Path, cache: Path) -> None:
        self.program = program
        self.cache = cache

    def need(self, group: str, kind: str, *options: str) -> None:
        """Have the cache hold a unit of a kind for each fragment of a group. Once for all processes.

        The program goes on with each of them until it is told that the unit is there.
        """
        with locked(self.cache.parent / "faults.lock"):
            done = self.cache.parent / f"faults-{group}-{kind}"
            if done.exists():
                return
            words = [
                *command("region", "--policy", "eager", *options),
                self.program,
                str(FILL),
                "fill",
                group,
            ]
            process = subprocess.Popen(
                [*words, *(["fast", *FAST] if kind == WHOLE else [])],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=unmeasured(),
            )  # fmt: skip
            try:
                self._follow(process, kind)
                assert process.wait(60) == 0
            finally:
                process.kill()
                process.communicate()
            done.touch()

    def _follow(self, process: subprocess.Popen[bytes], kind: str) -> None:
        assert process.stdin is not None
        data, seen = b"", 0
        while part := until_ready(process):
            data += part
            output = records.parse(data)
            for scenario in output.scenarios[seen:]:
                ends = time.monotonic() + PATIENCE
                while scenario.fragment not in units(self.cache, output, kind):
                    assert time.monotonic() < ends, f"{scenario.fragment} is not compiled"
                    time.sleep(0.01)
                process.stdin.write(b".")
                process.stdin.flush()
            seen = len(output.scenarios)


@pytest.fixture
def compiled(program: Path, code_cache: Path) -> Compiled:
    return Compiled(program, code_cache)


READY = records.HEAD.pack(b"FLT", b"R", 0)


def until_ready(process: subprocess.Popen[bytes]) -> bytes:
    """What a program writes up to its next word that it is ready; nothing when it has ended."""
    assert process.stdout is not None
    data = b""
    while not data.endswith(READY):
        part = os.read(process.stdout.fileno(), 1 << 20)
        if not part:
            assert data == b""
            break
        data += part
    return data


def units(cache: Path, output: Output, kind: str) -> set[str]:
    """The fragments that have a unit of a kind in the cache: a file's name is the unit's address and kind."""
    code = ARENA + 5 * PAGE
    places = {**output.labels, code: "", code + 64: "spinning elsewhere", code + PAGE - 128: "a branch"}
    starts = sorted(places)
    found = set()
    for file in cache.glob("units/*/*.pvu"):
        place, _, rest = file.name.partition(".")
        if rest.partition("-")[0] != kind:
            continue
        pc = int(place, 16)
        at = bisect.bisect_right(starts, pc) - 1
        if at >= 0 and pc - starts[at] < PAGE:
            found.add(places[starts[at]])
    return found


# ------------------------------------------------------------------------------------------------ who else faults
CASES = {
    "in another thread": ["thread", "ld", "hole"],
    "in another thread, storing": ["thread", "third of three", "read-only"],
    "in another thread, outside": ["thread", "fld", "2^63"],
    "in another thread, mended": ["thread", "sd", "mended"],
    "in a child": ["fork", "sd", "read-only"],
    "in a child, in a callee": ["fork", "a callee's callee", "hole"],
    "in a child, mended": ["fork", "amoadd.d", "mended"],
    "a handler that came late": ["late", "ld", "hole"],
    "a handler that came late, storing": ["late", "third of three", "read-only"],
    "a handler that came late, dead values": ["late", "dead values", "hole"],
    "a handler that came late, a NaN": ["late", "a NaN", "hole"],
    "a handler that came late, outside": ["late", "amoadd.d", "-8"],
    "a handler that another thread brought": ["late, by another"],
}
"""Commands of the program beside its groups. A handler comes late after its loop became hot in code that is careless
about registers, because nobody could look."""


FAST = (
    "ld", "sd", "amoadd.d", "fld", "c.ldsp", "ld+2047", "jalr", "jr", "walk by 8", "a callee's callee",
    "third of three", "dead values", "a NaN", "spinning on ld",
)  # fmt: skip
"""The fragments of these cases, and of the deaths below."""


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "region", AUTO])
def test_in_other_places(
    tier: str, program: Path, compiled: Compiled, full: bool, seed: int, golden: Callable[[str, str], None]
) -> None:
    if tier in ("region", "auto"):
        compiled.need("all", PRECISE)
        compiled.need("all", WHOLE)

    def tell(name: str) -> str:
        turns = "0" if tier == "golden" else str(WARM)
        return f"-- {name}\n{text(run(command(tier), program, turns, *CASES[name]))}"

    sampled("places.txt", list(CASES), tell, golden, seed if tier == "golden" and not full else None)


def sampled(
    name: str,
    cases: list[Any],
    tell: Callable[[Any], str],
    golden: Callable[[str, str], None],
    seed: int | None,
) -> None:
    """The text that every case tells must be what is kept; with a seed, a sample of them."""
    if seed is None:
        golden(name, "\n".join(map(tell, cases)))
        return
    kept = ["-- " + part for part in (HERE / "golden" / name).read_text().split("-- ")[1:]]
    for case, wanted in list(zip(cases, kept, strict=True))[seed % SAMPLE :: SAMPLE]:
        assert tell(case).rstrip("\n") == wanted.rstrip("\n")


# ------------------------------------------------------------------------------------------------ the end
DEATHS = [
    ("no handler", "ld", "hole"),
    ("no handler", "ld", "2^46"),
    ("no handler", "ld", "straddling"),
    ("no handler", "sd", "read-only"),
    ("no handler", "sd", "2^63"),
    ("no handler", "sd", "past the end"),
    ("no handler", "amoadd.d", "-8"),
    ("no handler", "amoadd.d", "read-only"),
    ("no handler", "amoadd.d", "misaligned"),
    ("no handler", "fld", "2^38"),
    ("no handler", "c.ldsp", "0x7ffff7ff0000"),
    ("no handler", "ld+2047", "2^38-2048"),
    ("no handler", "jalr", "2^47"),
    ("no handler", "jr", "data"),
    ("no handler", "illegal", "hole"),
    ("no handler", "walk by 8", "hole"),
    ("no handler", "a callee's callee", "hole"),
    ("no handler", "third of three", "read-only"),
    ("another handled", "ld", "hole"),
    ("ignored", "ld", "hole"),
    ("blocked", "ld", "hole"),
    ("inside", "ld", "hole"),
    ("inside", "sd", "2^46"),
    ("reset", "ld", "hole"),
    ("no stack", "sd", "hole"),
]


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "region", AUTO])
def test_deaths(
    tier: str, program: Path, compiled: Compiled, full: bool, seed: int, golden: Callable[[str, str], None]
) -> None:
    """What nobody handles ends the process by its signal, and the report names the access, its address and PC."""
    if tier in ("region", "auto"):
        compiled.need("all", PRECISE)
        compiled.need("all", WHOLE)

    def tell(words: tuple[str, ...]) -> str:
        turns = "0" if tier == "golden" else str(WARM)
        done = subprocess.run(
            [*command(tier), program, turns, "die", *words], capture_output=True, check=False, timeout=120
        )
        writer = Writer(records.parse(done.stdout))
        said = done.stderr.decode().splitlines()
        pc = re.match(r"  pc = (0x[0-9a-f]+)", said[1])
        assert pc, said
        end = signal.Signals(-done.returncode).name
        why = re.sub(
            "0x[0-9a-f]+", lambda found: writer.place(int(found[0], 16)), said[0].partition(" was ")[2]
        )
        return f"-- {words[0]}\n{writer.text()}  {end}: {why}, pc {writer.code(int(pc[1], 16))}\n"

    sampled("deaths.txt", DEATHS, tell, golden, seed if tier == "golden" and not full else None)


# ------------------------------------------------------------------------------------------------ our own memory
@pytest.mark.parametrize("tier", ["interpreter", "baseline", "region"])
def test_our_own_mappings_are_out_of_reach(
    tier: str, program: Path, compiled: Compiled, report: Callable[[str], None]
) -> None:
    """Every mapping of our process, by its own address and by its distance from guest address 0, in five kinds of
    access and a jump: each is a fault with just that address, and nothing of ours has changed.
    """
    if tier == "region":
        compiled.need("all", PRECISE)
    process = subprocess.Popen(
        [*command(tier), program, str(WARM), "probe"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    until_ready(process)
    addresses, mappings = hostile(process.pid)
    output, errors = process.communicate(struct.pack(f"<Q{len(addresses)}Q", len(addresses), *addresses))
    assert (process.returncode, errors) == (0, b"")
    found = records.parse(output)
    assert found.values == []
    assert found.probed == 6 * len(addresses) * PROBES
    report(
        f"wild accesses, {tier}: {found.probed} at {len(addresses)} addresses of {mappings} mappings of ours"
    )


PROBES = 3


def hostile(pid: int) -> tuple[list[int], int]:
    """Guest addresses that our own memory would have, were the guest not confined; and how many mappings there are."""
    spans = []
    base = None
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        spans.append((start, end))
        if "memfd:one page" in line:
            base = start - (ARENA + 9 * PAGE)
    assert base is not None
    found = set()
    for start, end in spans:
        for address in (start, (start + end) // 2 & -8, end - 8):
            found |= {address, (address - base) % (1 << 64)}
    return sorted(address for address in found if address >= 1 << 38), len(spans)


@pytest.mark.parametrize("tier", ["interpreter", "baseline", "region"])
@pytest.mark.parametrize("fragment", ["ld", "sd", "amoadd.d", "jalr"])
def test_our_own_mappings_without_a_handler(
    fragment: str, tier: str, program: Path, compiled: Compiled, rng: random.Random
) -> None:
    """The same in code that is careless about registers."""
    if tier == "region":
        compiled.need("all", WHOLE)
    for _ in range(3):
        process = subprocess.Popen(
            [*command(tier), program, str(WARM), "touch", fragment],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until_ready(process)
        address = rng.choice(hostile(process.pid)[0]) & -2
        _, errors = process.communicate(struct.pack("<QQ", 1, address))
        what = {"ld": "a read of", "jalr": "a jump to"}.get(fragment, "a write to")
        assert process.returncode == -signal.SIGSEGV
        assert f"SIGSEGV: {what} {address:#x}, which is not mapped\n" in errors.decode()


# ------------------------------------------------------------------------------------------------ endless loops
STOPS = 60


@pytest.mark.parametrize("mode", ["fast", "precise"])
@pytest.mark.parametrize("by", ["alarm", "interrupt"])
@pytest.mark.parametrize("tier", ["interpreter", "baseline", "region", AUTO])
def test_an_endless_loop_of_one_block_stops(
    tier: str, by: str, mode: str, program: Path, compiled: Compiled, tmp_path: Path, report: Callable[[str], None]
) -> None:  # fmt: skip
    """By alarm() and by Ctrl-C, again and again; from the signal to the guest's handler."""
    words = "endless" if mode == "fast" else "endless, precise"
    if tier in ("region", "auto"):
        compiled.need("all", WHOLE if mode == "fast" else PRECISE)
    file = tmp_path / "result.json"
    process = subprocess.Popen(
        [*command(tier, "--result-file", file), program, "0", words, by, str(STOPS)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    sent = []
    data = b""
    for _ in range(STOPS if by == "interrupt" else 0):
        data += until_ready(process)
        time.sleep(0.003)  # until it is well inside
        sent.append(time.monotonic_ns())
        process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    heard = records.parse(data + rest).values
    assert len(heard) == STOPS
    late = sorted(h - s for h, s in zip(heard, sent, strict=True)) if sent else sorted(heard)
    stops = json.loads(file.read_text())
    if tier in ("region", "auto"):
        assert stops["tiers"]["region"]["units"] >= 1
        assert stops["cache"]["disk"]["hits"] >= 1
    median, worst = late[len(late) // 2] / 1e6, late[len(late) * 95 // 100] / 1e6
    report(
        f"stop of an endless one-block loop, {tier}, {mode}, by {by}: "
        f"p50 {median:.2f} ms, p95 {worst:.2f} ms, {sum(ns < 10_000_000 for ns in late)} of {STOPS} within 10 ms"
    )


def test_no_alarm_is_lost_while_the_loop_gets_compiled(program: Path) -> None:
    """The thread that talks to the compilers starts meanwhile: what meets it must not be lost. (Of this kind, which
    counts, nobody else has the loop compiled.)
    """
    got = run(command("region", "--stats"), program, "0", "endless", "alarm", "800", quiet=False)
    assert len(records.parse(got).values) == 800


# ------------------------------------------------------------------------------------------------ qemu
@pytest.mark.skipif(QEMU is None, reason="qemu-riscv64 is not installed")
@pytest.mark.parametrize("group", GROUPS)
def test_qemu(group: str, program: Path, report: Callable[[str], None]) -> None:
    """The same text from qemu-riscv64, but for what is known of it."""
    assert QEMU is not None
    got = records.parse(run([QEMU, "-cpu", "rv64,Zfh=true"], program, "0", group))
    ours = records.parse(run(command("interpreter"), program, str(COLD), group))
    reasons: dict[str, int] = {}
    for mine, other in zip(ours.scenarios, got.scenarios, strict=True):
        assert mine.name == other.name
        if Writer(ours).scenario(mine) == Writer(got).scenario(other):
            continue
        reason = known_of_qemu(mine, other)
        assert reason, f"{Writer(ours).scenario(mine)}\nqemu:\n{Writer(got).scenario(other)}"
        reasons[reason] = reasons.get(reason, 0) + 1
    same = len(ours.scenarios) - sum(reasons.values())
    but = "".join(f"; {count}: {reason}" for reason, count in sorted(reasons.items()))
    report(f"faults, as qemu-riscv64, {group}: {same}{but}")


def known_of_qemu(ours: Scenario, other: Scenario) -> str:
    """Why qemu 7.2 differs from Linux in a scenario that it does not do as we do; "" where it may not."""
    if ours.fragment in ("nanosleep", "clock_getres"):
        return "qemu does not look whether it could copy the time (Linux: EFAULT)"
    if (ours.fragment, ours.where) == ("getitimer", "0"):
        return "qemu takes a null pointer for a wish to hear nothing (Linux: EFAULT)"
    if ours.fragment == "read, straddling":
        return "qemu refuses the whole of a buffer (Linux's read_zero: what could be written, and EFAULT for none)"
    if (ours.fragment, ours.where) == ("sc.d", "mended"):
        return "qemu keeps a reservation over a signal (Linux clears it: arch/riscv/kernel/entry.S, on the way back)"
    if len(ours.events) != len(other.events):
        return ""
    for mine, its in zip(ours.events, other.events, strict=True):
        if mine == its:
            continue
        if not isinstance(mine, Fault) or not isinstance(its, Fault) or mine.state != its.state:
            return ""
        if mine.signo == its.signo == signal.SIGBUS and mine.code == its.code == 1:
            return "qemu tells the address of a misaligned access (Linux: of the instruction, do_trap_load_misaligned)"
        if mine.signo == its.signo == signal.SIGSEGV and its.address == 0 and mine.address >> 47:
            return "qemu passes on x86's si_addr, which is 0 for what is no canonical address"
        if (
            mine.signo == its.signo == signal.SIGSEGV
            and mine.address == its.address
            and mine.address >> 12 == 1 << 26
        ):
            return (
                "qemu's space has 47 bits, and its stack begins at 2^38 (Linux with Sv39: TASK_SIZE is 2^38)"
            )
    return ""
