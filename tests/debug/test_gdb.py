"""`polyvm run --gdb` as a client of the protocol sees it: both guests, every tier."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyvm.debug import gdbwire
from tests import toolchain
from tests.conftest import GUESTS, require_c
from tests.debug.remote import ARGUMENT, PC, PLAIN, SHARED, SP, Client, Debuggee, debugged, stop, symbols
from tests.user.running import PROGRAMS

TIERS = ("golden", "interpreter", "baseline", "region", "auto")


def machines(*soon: str, tiers: tuple[str, ...] = TIERS) -> pytest.MarkDecorator:
    """A test of every guest in some tiers: those that are named, as "GUEST TIER", in CI, all at full size."""
    return pytest.mark.parametrize(
        ("guest", "tier"),
        [
            pytest.param(guest, tier, marks=() if f"{guest} {tier}" in soon else pytest.mark.full)
            for guest in GUESTS
            for tier in tiers
        ],
    )


OUT = "15 999 1003 0\n"
TRAP, INT, SEGV, USR1 = 5, 2, 11, 30  # as GDB numbers them


# ---------------------------------------------------------------------------- the contract, in every tier
@machines("aarch64 auto", *(f"riscv64 {tier}" for tier in TIERS[1:]))
def test_breakpoints_steps_watchpoints_and_registers(guest: str, tier: str, tmp_path: Path) -> None:
    require_c(guest)
    options = ("--tier", tier)
    with debugged(guest, tmp_path, options=options, measured=(guest, tier) == ("riscv64", "auto")) as it:
        client, names = it.client, it.symbols
        assert stop(client.ask("?"))[0] == TRAP
        client.start()
        assert it.pc() == names["_start"]
        # A breakpoint is hit each time, before its instruction, and is not in the guest's memory.
        before = client.memory(names["inner"], 16)
        assert client.ask(f"Z0,{names['inner']:x},4") == b"OK"
        for value in (1, 2):
            signo, told = stop(client.ask("vCont;c"))
            assert (signo, told.get("swbreak")) == (TRAP, "")
            assert it.pc() == names["inner"]
            assert client.register(ARGUMENT[guest]) == value
            assert client.memory(names["inner"], 16) == before
            # One instruction: it is executed although a breakpoint stands there.
            signo, told = stop(client.ask(f"vCont;s:{client.threads()[0]:x}"))
            assert (signo, "swbreak" in told) == (TRAP, False)
            assert 0 < it.pc() - names["inner"] <= 4
        assert client.ask(f"z0,{names['inner']:x},4") == b"OK"
        # Behind all writes of `counter`, a read of it; each stops before the access.
        assert client.ask(f"Z2,{names['counter']:x},8") == b"OK"
        signo, told = stop(client.ask("vCont;c"))
        assert (signo, int(told["watch"], 16)) == (TRAP, names["counter"])
        assert client.long(names["counter"]) == 1
        assert client.ask(f"z2,{names['counter']:x},8") == b"OK"
        stop(client.ask("vCont;s"))
        assert client.long(names["counter"]) == 2
        # An atomic instruction is a read and a write.
        assert client.ask(f"Z4,{names['shared'] + 4:x},4") == b"OK"
        signo, told = stop(client.ask("vCont;c"))
        assert (signo, int(told["awatch"], 16)) == (TRAP, names["shared"] + 4)
        assert client.ask(f"z4,{names['shared'] + 4:x},4") == b"OK"
        # A hardware breakpoint is one as well; its caller is given another argument.
        assert client.ask(f"Z1,{names['inner']:x},4") == b"OK"
        signo, told = stop(client.ask("vCont;c"))
        assert (signo, told.get("hwbreak")) == (TRAP, "")
        assert client.ask(f"z1,{names['inner']:x},4") == b"OK"
        client.set_register(ARGUMENT[guest], 55)
        assert client.ask(f"M{names['other']:x},8:{(1000).to_bytes(8, 'little').hex()}") == b"OK"
        assert client.ask(f"Z3,{names['other']:x},8") == b"OK"
        assert int(stop(client.ask("vCont;c"))[1]["rwatch"], 16) == names["other"]
        assert client.long(names["counter"]) == 55
        assert client.ask(f"z3,{names['other']:x},8") == b"OK"
        assert client.ask("vCont;c") == b"W07"
        assert client.heard() == ("closed", b"")
        assert it.end() == (7, "15 999 2000 0\n", "")


@machines("riscv64 auto", "riscv64 baseline", "aarch64 auto", tiers=TIERS[1:])
def test_ctrl_c_in_an_endless_loop(guest: str, tier: str, tmp_path: Path) -> None:
    require_c(guest)
    with debugged(guest, tmp_path, "loop", options=("--tier", tier), measured=False) as it:
        client, names = it.client, it.symbols
        client.start()
        assert client.ask(f"Z0,{names['forever']:x},4") == b"OK"
        stop(client.ask("vCont;c"))
        assert client.ask(f"z0,{names['forever']:x},4") == b"OK"
        seen, grown = 0, 0
        while grown < 3:  # a machine with much to do may not run it at all for a while
            client.send(b"vCont;c")
            time.sleep(0.05)
            client.interrupt()
            assert stop(client.reply())[0] == INT
            assert 0 <= it.pc() - names["forever"] < 64
            grown += client.long(names["other"]) > seen
            seen = client.long(names["other"])
        # Every register is what it is: by steps it comes round to the same place.
        places = {it.pc()}
        for _ in range(12):
            stop(client.ask("vCont;s"))
            places.add(it.pc())
        assert len(places) < 12
        assert client.long(names["other"]) > seen
        if tier == "auto":
            assert client.ask("vKill;1") == b"OK"
        else:
            client.send(b"k")
        assert it.end()[0] == -signal.SIGKILL


def test_code_far_from_breakpoints_is_compiled(tmp_path: Path) -> None:
    """And what has one inside is not, until it is gone."""
    require_c("riscv64")
    document = tmp_path / "result.json"
    options = ("--stats", "--result-file", str(document), "--policy", "eager")
    with debugged("riscv64", tmp_path, "spin", "300000000", options=options, measured=False) as it:
        client, names = it.client, it.symbols
        client.start()
        for name in ("main", "inner", "crash", "spin"):
            assert client.ask(f"Z0,{names[name]:x},4") == b"OK"
        stop(client.ask("vCont;c"))
        client.ask(f"z0,{names['main']:x},4")
        stop(client.ask("vCont;c"))
        assert it.pc() == names["spin"]
        client.ask(f"z0,{names['spin']:x},4")
        assert "swbreak" in stop(client.ask("vCont;c"))[1]
        assert it.pc() == names["inner"]
        client.ask(f"z0,{names['inner']:x},4")
        assert client.ask("vCont;c") == b"W07"
        it.end()
    tiers = json.loads(document.read_text())["tiers"]
    assert tiers["region"]["insns"] > 1_000_000


def test_steps_through_a_range_and_from_elsewhere(tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path) as it:
        client, names = it.client, it.symbols
        client.start()
        # The plain packets, with an address: as if it had been called there, with nowhere to go back to.
        assert client.ask(f"Z0,{names['inner']:x},2") == b"OK"
        stop(client.ask(f"c{names['inner']:x}"))
        assert it.pc() == names["inner"]
        # Range stepping ends where the range does, and at a breakpoint within it.
        where = it.pc()
        inside = where + 8
        assert client.ask(f"Z0,{inside:x},2") == b"OK"
        _, told = stop(client.ask(f"vCont;r{where:x},{where + 12:x}"))
        assert ("swbreak" in told, it.pc()) == (True, inside)
        client.ask(f"z0,{inside:x},2")
        _, told = stop(client.ask(f"vCont;r{where:x},{where + 12:x}:{it.process.pid:x}"))
        assert ("swbreak" in told, it.pc()) == (False, where + 12)
        before = it.pc()
        assert stop(client.ask("s"))[0] == TRAP
        assert 0 < it.pc() - before <= 4
        assert stop(client.ask(f"s{where:x}"))[0] == TRAP
        assert 0 < it.pc() - where <= 4


@pytest.mark.parametrize(("what", "caught"), [pytest.param("", 0, marks=pytest.mark.full), ("raise", 10)])
def test_a_whole_program_by_steps(guest: str, what: str, caught: int, tmp_path: Path) -> None:
    """System calls, signals and their handlers among them: what comes out is the same."""
    with debugged(guest, tmp_path, what, measured=False) as it:
        it.client.start()
        assert it.client.ask("QPassSignals:1e") == b"OK"
        assert it.client.ask("vCont;r0,7fffffffffff") == b"W07"
        assert it.end() == (7, OUT.replace(" 0\n", f" {caught}\n"), "")


# ---------------------------------------------------------------------------- signals and the end
def test_a_signal_stops_before_it_is_delivered(guest: str, tmp_path: Path) -> None:
    with debugged(guest, tmp_path, "raise", measured=guest == "riscv64") as it:
        client, names = it.client, it.symbols
        client.start()
        assert stop(client.ask("vCont;c"))[0] == USR1
        info = client.whole("siginfo")
        assert int.from_bytes(info[:4], "little") == signal.SIGUSR1
        assert int.from_bytes(info[16:20], "little") == it.process.pid
        # A step delivers it: it ends at the handler's first instruction.
        assert stop(client.ask("vCont;S1e"))[0] == TRAP
        assert it.pc() == names["handler"]
        assert client.ask("vCont;c") == b"W07"
        assert it.end() == (7, OUT.replace(" 0\n", " 10\n"), "")


@pytest.mark.parametrize(("action", "caught"), [("vCont;c", 0), ("vCont;C1e", 10), ("vCont;C15", 10)])
def test_the_debugger_says_what_becomes_of_a_signal(action: str, caught: int, tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path, "raise") as it:
        it.client.start()
        assert stop(it.client.ask("vCont;c"))[0] == USR1
        if action == "vCont;C15":  # SIGTTIN is ignored meanwhile, in place of the other: another is made up
            assert it.client.ask(f"Z0,{it.symbols['outer']:x},4") == b"OK"
            stop(it.client.ask("vCont;c"))
            it.client.ask(f"z0,{it.symbols['outer']:x},4")
            action = "vCont;C1e"
        assert it.client.ask(action) == b"W07"
        assert it.end()[1] == OUT.replace(" 0\n", f" {caught}\n")


def test_every_signal_stops_and_is_delivered_all_the_same(tmp_path: Path) -> None:
    """Of a program that sends itself all kinds of them, in all states; what it sees is what Linux shows."""
    require_c("riscv64")
    program = toolchain.build(PROGRAMS / "signals.c", "riscv64", flags=("-Wno-unused-result",))
    with debugged("riscv64", tmp_path, program=program, measured=False, cwd=tmp_path) as it:
        it.client.start()
        reply = it.client.ask("vCont;c")
        stops = 0
        while reply[:1] == b"T":
            signo, told = stop(reply)
            stops += 1
            reply = it.client.ask(f"vCont;C{signo:02x}:{told['thread']};c")
        assert reply == b"W00"
        assert stops > 25
        assert it.end()[1] == (PROGRAMS.parent / "golden/signals.txt").read_text()


def test_signals_that_are_passed(tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path, "raise") as it:
        it.client.start()
        assert it.client.ask("QPassSignals:e;14;1e") == b"OK"
        assert it.client.ask("vCont;c") == b"W07"
        assert it.end()[1] == OUT.replace(" 0\n", " 10\n")


@machines("riscv64 auto", "aarch64 auto")
def test_a_crash_stops_where_it_happens(guest: str, tier: str, tmp_path: Path) -> None:
    require_c(guest)
    with debugged(guest, tmp_path, "crash", options=("--tier", tier), measured=False) as it:
        client = it.client
        client.start()
        assert stop(client.ask("vCont;c"))[0] == SEGV
        assert 0 <= it.pc() - it.symbols["crash"] < 16
        assert client.register(ARGUMENT[guest]) == 16
        assert int.from_bytes(client.whole("siginfo")[16:24], "little") == 16
        # Without the signal it does the same again; with it, it dies.
        assert stop(client.ask("vCont;c"))[0] == SEGV
        assert client.ask("vCont;C0b") == b"X0b"
        status, _, err = it.end()
        assert status == -signal.SIGSEGV
        assert "was killed by SIGSEGV: a write to 0x10" in err


def test_an_interrupted_call_is_made_again(guest: str, tmp_path: Path) -> None:
    """A stop in the middle of a read is nothing that the program notices, even when a function was called meanwhile."""
    with debugged(guest, tmp_path, "read", stdin=subprocess.PIPE, measured=guest == "riscv64") as it:
        client, names = it.client, it.symbols
        client.start()
        client.send(b"vCont;c")
        time.sleep(0.3)
        client.interrupt()
        assert stop(client.reply())[0] == INT
        saved = client.ask("g")
        assert client.ask(f"Z0,{names['_start']:x},4") == b"OK"
        client.set_register(PC[guest], names["inner"])
        client.set_register(ARGUMENT[guest], 77)
        client.set_register({"riscv64": 1, "aarch64": 30}[guest], names["_start"])
        stop(client.ask("vCont;c"))
        assert it.pc() == names["_start"]
        assert client.register(ARGUMENT[guest]) == 154
        assert client.long(names["counter"]) == 77
        assert client.ask(b"G" + saved) == b"OK"
        assert client.ask(f"z0,{names['_start']:x},4") == b"OK"
        client.send(b"vCont;c")
        assert it.process.stdin is not None
        it.process.stdin.write("x")
        it.process.stdin.flush()
        assert client.reply() == b"W07"
        assert it.end()[1].startswith("read 1\n")


# ---------------------------------------------------------------------------- threads and processes
def test_threads(guest: str, tmp_path: Path) -> None:
    with debugged(guest, tmp_path, "threads", measured=guest == "riscv64") as it:
        client, names = it.client, it.symbols
        client.start()
        assert client.threads() == [it.process.pid]
        assert client.ask(f"Z0,{names['inner']:x},4") == b"OK"
        _, told = stop(client.ask("vCont;c"))
        threads = client.threads()
        assert len(threads) == 3
        here = int(told["thread"], 16)
        assert here in threads[1:]
        assert client.ask("qC") == f"QC{here:x}".encode()
        assert all(client.ask(f"T{thread:x}") == b"OK" for thread in threads)
        assert client.ask("T1") == b"E03"
        assert client.ask("Hg1") == b"E03"
        rows = client.whole("threads").decode()
        assert rows.count("<thread ") == 3
        assert 'name="first"' in rows
        assert 'name="second"' in rows
        name = bytes.fromhex(client.ask(f"qThreadExtraInfo,{threads[1]:x}").decode())
        assert name in (b"first", b"second")
        # Each has registers of its own.
        stacks = set()
        for thread in threads:
            assert client.ask(f"Hg{thread:x}") == b"OK"
            stacks.add(client.register(SP[guest]))
        assert len(stacks) == 3
        # One steps while the others stay where they are.
        pcs = {}
        for thread in threads:
            client.ask(f"Hg{thread:x}")
            pcs[thread] = client.register(PC[guest])
        assert stop(client.ask(f"vCont;s:{here:x}"))[0] == TRAP
        for thread in threads:
            client.ask(f"Hg{thread:x}")
            assert (client.register(PC[guest]) == pcs[thread]) == (thread != here)
        client.ask(f"z0,{names['inner']:x},4")
        assert client.ask("vCont;c") == b"W07"
        assert it.end()[1].splitlines()[0] == "2000"


def test_nothing_is_left_to_run(tmp_path: Path) -> None:
    """Of two threads one was told to go on, and ended."""
    require_c("riscv64")
    with debugged("riscv64", tmp_path, "threads") as it:
        client, names = it.client, it.symbols
        client.start("no-resumed+", "multiprocess+")
        pid = it.process.pid
        assert client.ask(f"Z0,{names['inner']:x},4") == b"OK"
        _, told = stop(client.ask("vCont;c"))
        assert told["thread"].startswith(f"p{pid:x}.")
        assert client.ask("qC") == f"QC{told['thread']}".encode()
        assert f'<thread id="p{pid:x}.{pid:x}" '.encode() in client.whole("threads")
        assert client.ask(f"z0,{names['inner']:x},4") == b"OK"
        assert client.ask(f"vCont;c:{told['thread']}") == b"N"
        end = time.monotonic() + 5  # it is on its last way out
        while client.ask(f"T{told['thread']}") != b"E03":
            assert time.monotonic() < end
        assert client.ask(f"Hgp{pid + 1:x}.1") == b"E16"
        assert client.ask(f"vCont;c:p{pid:x}.-1") == f"W07;process:{pid:x}".encode()


def test_watching_what_two_threads_write(tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path, "threads") as it:
        client, names = it.client, it.symbols
        client.start()
        assert client.ask(f"Z2,{names['shared']:x},8") == b"OK"
        seen = set()
        for _ in range(8):
            _, told = stop(client.ask("vCont;c"))
            assert int(told["watch"], 16) == names["shared"]
            value = client.long(names["shared"])
            client.ask(f"z2,{names['shared']:x},8")
            assert stop(client.ask(f"vCont;s:{told['thread']}"))[0] == TRAP
            seen.add(client.long(names["shared"]) - value)
            client.ask(f"Z2,{names['shared']:x},8")
        assert seen == {1}
        client.ask(f"z2,{names['shared']:x},8")
        assert client.ask("vCont;c") == b"W07"


def test_a_child_goes_on_without_the_debugger(guest: str, tmp_path: Path) -> None:
    """Although a breakpoint stood where it goes, and the parent is followed."""
    with debugged(guest, tmp_path, "fork", measured=guest == "riscv64") as it:
        client, names = it.client, it.symbols
        client.start()
        assert client.ask(f"Z0,{names['inner']:x},4") == b"OK"
        assert client.ask(f"Z2,{names['counter']:x},8") == b"OK"
        stop(client.ask("vCont;c"))
        assert client.register(ARGUMENT[guest]) == 1  # not the child's 20
        client.ask(f"z0,{names['inner']:x},4")
        client.ask(f"z2,{names['counter']:x},8")
        assert client.ask("vCont;c") == b"W07"
        assert it.end()[:2] == (7, "child 42\n" + OUT)


def test_execve_keeps_the_session(tmp_path: Path) -> None:
    """Also to a program of another guest, whose registers are others."""
    for guest in GUESTS:
        require_c(guest)
    into = toolchain.build("debugged.c", "aarch64")
    with debugged("riscv64", tmp_path, "exec", str(into)) as it:
        client = it.client
        client.start("exec-events+")
        assert "riscv:rv64" in client.whole("features", "target.xml").decode()
        assert client.ask(f"Z0,{it.symbols['inner']:x},4") == b"OK"
        signo, told = stop(client.ask("vCont;c"))
        assert signo == TRAP
        assert bytes.fromhex(told["exec"]) == str(into).encode()
        assert "<architecture>aarch64<" in client.whole("features", "target.xml").decode()
        assert client.whole("exec-file") == str(into).encode()
        names = symbols(into)
        assert client.register(PC["aarch64"]) == names["_start"]
        assert client.ask(f"Z0,{names['inner']:x},4") == b"OK"
        assert "swbreak" in stop(client.ask("vCont;c"))[1]
        assert client.register(PC["aarch64"]) == names["inner"]
        client.ask(f"z0,{names['inner']:x},4")
        assert client.ask("vCont;c") == b"W07"
        assert it.end()[1] == OUT


# ---------------------------------------------------------------------------- what is told
def test_objects_and_files(guest: str, tmp_path: Path) -> None:
    with debugged(guest, tmp_path, measured=guest == "riscv64") as it:
        client = it.client
        client.start()
        auxv = client.whole("auxv")
        entries = dict(zip(*[iter(memoryview(auxv).cast("Q"))] * 2, strict=True))
        assert entries[9] == it.symbols["_start"]  # AT_ENTRY
        path = client.whole("exec-file")
        program = Path(os.fsdecode(path))
        assert client.ask("vFile:setfs:0") == b"F0"
        assert client.ask(b"vFile:open:" + path.hex().encode() + b",0,0") == b"F1"
        got = client.ask("vFile:pread:1,40,0")
        assert got == b"F40;" + program.read_bytes()[:64]
        status = client.ask("vFile:fstat:1")
        assert status[:4] == b"F40;"
        assert int.from_bytes(status[4 + 28 : 4 + 36], "big") == program.stat().st_size
        assert client.ask("vFile:close:1") == b"F0"
        assert client.ask("vFile:pread:1,40,0") == b"F-1,9"
        for name, flags, answer in (
            ("/none", 0, b"F-1,2"),
            ("/etc/passwd", 1, b"F-1,1e"),
            ("/", 0, b"F-1,d"),
        ):
            assert client.ask(f"vFile:open:{name.encode().hex()},{flags:x},0") == answer
        maps = f"/proc/{it.process.pid}/maps".encode().hex()
        assert client.ask(f"vFile:open:{maps},0,0") == b"F1"
        text = client.ask("vFile:pread:1,1000,0").partition(b";")[2].decode()
        assert str(program) in text  # the guest's mapping, not the host's
        assert "python" not in text
        assert client.ask("vCont;c") == b"W07"
        it.end()


def test_files_below_a_root(guest: str, tmp_path: Path) -> None:
    """By the program's names, and nothing that it does not see."""
    root = tmp_path / "root"
    (root / "lib").mkdir(parents=True)
    program = Path(shutil.copy(toolchain.build("debugged.c", guest), root / "program"))
    (root / "lib/library").write_text("library")
    options = ("--root", str(root), "--cwd", "/")
    with debugged(guest, tmp_path, options=options, program=program, named="/program", measured=False) as it:
        client = it.client
        client.start()
        assert client.whole("exec-file") == b"/program"
        beginning = program.read_bytes()[:7]
        for name, data in {
            "/program": beginning,
            "/proc/self/exe": beginning,
            "/lib/library": b"library",
            "/../lib/library": b"library",
        }.items():
            assert client.ask(f"vFile:open:{name.encode().hex()},0,0") == b"F1", name
            assert client.ask("vFile:pread:1,7,0") == b"F7;" + data
            assert client.ask("vFile:close:1") == b"F0"
        for name in (str(program), "/etc/passwd"):
            assert client.ask(f"vFile:open:{name.encode().hex()},0,0") == b"F-1,2"
        assert client.ask("vCont;c") == b"W07"


def test_what_is_wrong_is_answered(guest: str, tmp_path: Path) -> None:
    with debugged(guest, tmp_path, measured=guest == "riscv64") as it:
        client, names = it.client, it.symbols
        assert client.ask("vMustReplyEmpty") == b""
        assert client.ask("m0,8") == b"E0e"
        assert client.ask("M0,1:00") == b"E0e"
        assert client.ask("Z0,0,4") == b"E0e"
        assert client.ask("Z2,0,4") == b"E0e"
        assert client.ask("p999") == b"E16"
        assert client.ask("P1=00") == b"E16"
        assert client.ask("G00") == b"E16"
        assert client.ask("mxyz") == b"E16"
        assert client.ask("vCont;q") == b"E16"
        assert client.ask("vCont;C55:1") == b"E16"
        assert client.ask("qXfer:nothing:read::0,10") == b""
        assert client.ask("X0,0:") == b"OK"
        # Up to the end of what is mapped.
        end = (client.register(SP[guest]) | 0xFFF) + 1
        while client.ask(f"m{end:x},1") != b"E0e":
            end += 4096
        assert len(client.ask(f"m{end - 8:x},100")) == 16
        # Binary data, escapes in it, over read-only code.
        code = client.memory(names["inner"], 4)
        assert client.ask(b"X%x,4:#$}*".replace(b"#$}*", b"}\3}\4}]}\n") % names["inner"]) == b"OK"
        assert client.memory(names["inner"], 4) == b"#$}*"
        assert client.ask(f"M{names['inner']:x},4:{code.hex()}") == b"OK"
        # A wrong checksum is asked for again.
        client.socket.sendall(b"$g#00")
        assert client.heard() == ("nack", b"")
        client.start()
        assert client.ask("vCont;c") == b"W07"
        assert it.end()[1] == OUT


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debuggee]:
    """A program that has stopped, for many questions."""
    require_c("riscv64")
    with debugged("riscv64", tmp_path_factory.mktemp("patient")) as it:
        it.client.start()
        yield it
        it.client.send(b"vCont;c")
        it.end()


LETTERS = b"gGpPmMXHTzZqQv?!"
WORDS = (
    b"qXfer:features:read:target.xml:", b"qXfer:", b"qSupported:", b"vFile:open:", b"vFile:pread:", b"QPassSignals:",
    b"vCont;x", b"vCont;Cx", b"vCont;r1", b"Z2,", b"z0,", b"X0,", b"P1=", b"Hgp", b"qThreadExtraInfo,",
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    beginning=st.sampled_from([*(bytes([letter]) for letter in LETTERS), *WORDS]),
    rest=st.one_of(st.binary(max_size=40), st.text("0123456789abcdef,:;-=.", max_size=30).map(str.encode)),
)
def test_no_packet_breaks_it(patient: Debuggee, beginning: bytes, rest: bytes) -> None:
    """Whatever is asked is answered, and the program stands where it stood."""
    patient.client.ask(gdbwire.escape(beginning + rest))
    assert patient.client.ask("Hg0") == b"OK"
    assert patient.client.ask("qC").endswith(b"%x" % patient.process.pid)


# ---------------------------------------------------------------------------- coming and going
@pytest.mark.parametrize("polyvm", [PLAIN, SHARED], ids=["apart", "shared"])
def test_detaching_and_coming_back(polyvm: tuple[str, ...], tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path, "loop", polyvm=polyvm) as it:
        client, names = it.client, it.symbols
        client.start()
        assert client.ask("qAttached") == b"0"
        assert client.ask(f"Z0,{names['forever']:x},4") == b"OK"
        stop(client.ask("vCont;c"))
        # A second one is turned away.
        second = Client(it.where)
        assert second.heard() == ("closed", b"")
        second.close()
        assert client.ask("D") == b"OK"
        assert client.heard() == ("closed", b"")
        # The program goes on, without the breakpoint; another debugger stops it.
        again = Client(it.where)
        assert stop(again.ask("?"))[0] == INT
        again.start()
        assert again.ask("qAttached") == b"1"
        before = again.long(names["other"])
        # One that just goes away leaves it running.
        again.send(b"vCont;c")
        again.close()
        while True:
            third = Client(it.where)
            stop(third.ask("?"))
            if third.long(names["other"]) > before:
                break
            third.close()
            time.sleep(0.05)
        # Out of the loop, by going on in another function.
        third.set_register(ARGUMENT["riscv64"], 3)
        third.set_register(PC["riscv64"], names["exit"])
        assert third.ask("c") == b"W03"
        third.close()
        assert it.end()[0] == 3


def test_a_port_of_this_machine(tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path, port="127.0.0.1:0") as it:
        assert isinstance(it.where, tuple)
        it.client.start()
        assert it.client.ask("vCont;c") == b"W07"
        assert it.end() == (7, OUT, "")


def test_a_host_whose_threads_share_descriptors(tmp_path: Path) -> None:
    """Children of the program have none of the debugger's."""
    require_c("riscv64")
    with debugged("riscv64", tmp_path, "fork", polyvm=SHARED) as it:
        client, names = it.client, it.symbols
        client.start()
        assert client.ask(f"Z0,{names['inner']:x},4") == b"OK"
        stop(client.ask("vCont;c"))
        client.ask(f"z0,{names['inner']:x},4")
        assert client.ask("vCont;c") == b"W07"
        assert client.heard() == ("closed", b"")
        assert it.end() == (7, "child 42\n" + OUT, "")


def test_who_only_knocks_starts_nothing_and_a_socket_that_was_left_is_taken(tmp_path: Path) -> None:
    require_c("riscv64")
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(tmp_path / "socket"))
    left.close()
    with debugged("riscv64", tmp_path) as it:
        it.client.close()
        time.sleep(0.2)
        client = Client(it.where)
        client.start()
        assert client.ask("qAttached") == b"0"
        assert client.register(PC["riscv64"]) == it.symbols["_start"]
        program = toolchain.build("hello.c")
        second = subprocess.run(
            [*PLAIN, "run", "--gdb", f"unix:{it.where}", program], capture_output=True, text=True, check=False
        )
        assert "Address already in use" in second.stderr
        assert client.ask("vCont;c") == b"W07"
        client.close()
        assert it.end()[1] == OUT


def test_ctrl_c_while_nobody_has_come(tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path) as it:
        it.client.close()
    program = toolchain.build("debugged.c", "riscv64")
    process = subprocess.Popen(
        [sys.executable, "-m", "polyvm", "run", "--gdb", "0", program], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert f"target remote 127.0.0.1:{line.split('127.0.0.1:')[1].split(':')[0]}'" in line
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT


def test_the_time_is_up_while_it_is_stopped(tmp_path: Path) -> None:
    require_c("riscv64")
    with debugged("riscv64", tmp_path, options=("--timeout", "3s")) as it:
        it.client.start()
        assert it.client.heard() == ("closed", b"")
        assert it.end()[0] == 124


def test_nobody_can_listen_there(tmp_path: Path) -> None:
    require_c("riscv64")
    program = toolchain.build("hello.c")
    for where in ("203.0.113.1:1234", f"unix:{tmp_path}/none/socket"):
        done = subprocess.run(
            [sys.executable, "-m", "polyvm", "run", "--gdb", where, program],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (125, "")
        assert "PVM-USAGE: --gdb cannot listen at" in done.stderr
        assert "Traceback" not in done.stderr
