"""Signals: exact faults, faults that are not ours, the queue, the restart window, safepoints, threads and fork.

What must end a process, or changes who has a signal, runs in a process of its own.
"""

from __future__ import annotations

import _thread
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polyvm.engine import fault, layout
from polyvm.engine.cpu import Cpu
from polyvm.errors import PolyvmError
from polyvm.memory import host
from tests.engine import toy

ROOT = Path(__file__).parents[2]


@pytest.fixture
def space() -> Iterator[toy.Space]:
    made = toy.Space()
    yield made
    made.close()


@pytest.fixture
def cpu(space: toy.Space) -> Iterator[Cpu]:
    made = toy.make_cpu(space)
    yield made
    made.close()


@pytest.fixture
def queued(cpu: Cpu) -> Iterator[int]:
    """SIGUSR1 for the guest, and this thread the guest's."""
    fault.take(signal.SIGUSR1, layout.POLICY_QUEUE)
    cpu.attach()
    yield int(signal.SIGUSR1)
    fault.detach()
    fault.release(signal.SIGUSR1)


def field(cpu: Cpu, name: str, size: int = 8) -> int:
    return int.from_bytes(host.peek(cpu.st + layout.ST[name], size), "little")


# ------------------------------------------------------------------------------------------- faults in guest code


def test_a_fault_ends_the_run_where_it_happened_and_can_be_mended(cpu: Cpu, space: toy.Space) -> None:
    for number in range(300):
        address = 0x1000 * (number % 500 + 1) + 8 * (number % 500)
        cpu.x[31] = toy.STORE if number % 2 else toy.LOAD
        cpu.x[0], cpu.x[1], cpu.pc = address, number, 2 * number
        assert cpu.run() == layout.FAULT
        assert (cpu.pc, cpu.value, cpu.cause) == (2 * number, address, signal.SIGSEGV)
        assert cpu.access == (layout.WRITE if number % 2 else layout.READ)
        space.open(address & -4096)
        assert cpu.run() == layout.GOLDEN
        assert cpu.x[1] == (number if number % 2 else 0)
    assert field(cpu, "faults") == 300


def test_what_the_decoder_cannot_read_is_a_fetch(cpu: Cpu) -> None:
    cpu.x[31], cpu.x[0] = toy.FETCH, 0x4000
    assert cpu.run() == layout.FAULT
    assert (cpu.value, cpu.access) == (0x4000, layout.FETCH)


def test_a_fault_in_the_guards_is_the_guests(cpu: Cpu, space: toy.Space) -> None:
    for address in (-8, -(1 << 31), space.limit, space.limit + (1 << 31) - 8):
        cpu.x[0] = address & (1 << 64) - 1
        assert cpu.run() == layout.FAULT
        assert cpu.value == address & (1 << 64) - 1


def test_the_end_of_a_mapped_file_is_sigbus(cpu: Cpu, space: toy.Space) -> None:
    fd = os.memfd_create("short")
    os.truncate(fd, 4096)
    at = host.mmap(space.base + 0x10000, 8192, 3, host.MAP_PRIVATE | host.MAP_FIXED, fd)
    assert at == space.base + 0x10000
    os.close(fd)
    cpu.x[0] = 0x10000
    assert cpu.run() == layout.GOLDEN
    cpu.x[0] = 0x11000
    assert cpu.run() == layout.FAULT
    assert (cpu.cause, cpu.value) == (signal.SIGBUS, 0x11000)


def test_a_unit_leaves_by_the_way_its_table_gives(cpu: Cpu, space: toy.Space) -> None:
    toy.enter_unit(cpu, 5)
    cpu.x[0], cpu.x[1] = 0x4000, 41
    assert cpu.run() == layout.FAULT
    assert (cpu.pc, cpu.value, cpu.x[1], cpu.access) == (0x3000, 0x4000, 42, layout.READ)


def test_faults_of_two_threads_at_once(space: toy.Space) -> None:
    wrong: list[object] = []
    counts: list[int] = []

    def work(number: int) -> None:
        cpu = toy.make_cpu(space)
        for turn in range(1000):
            address = 0x100000 * (number + 1) + 8 * turn
            cpu.x[0], cpu.pc = address, 2 * turn
            if (cpu.run(), cpu.value, cpu.pc) != (layout.FAULT, address, 2 * turn):
                wrong.append((number, turn))
        counts.append(field(cpu, "faults"))
        cpu.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert counts == [1000] * 3


def test_a_cpu_may_move_between_threads_and_nest(cpu: Cpu, space: toy.Space) -> None:
    cpu.x[0] = 0x7000
    assert cpu.run() == layout.FAULT
    results: list[tuple[int, int]] = []

    def work() -> None:
        other = toy.make_cpu(space)
        other.x[0] = 0x9000
        for _ in range(20):
            results.append((cpu.run(), other.run()))
        other.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [(layout.FAULT, layout.FAULT)] * 20
    assert cpu.run() == layout.FAULT


def test_threads_give_their_signal_stacks_back(cpu: Cpu, space: toy.Space) -> None:
    def mappings() -> int:
        return Path("/proc/self/maps").read_text().count("\n")

    def work() -> None:
        other = toy.make_cpu(space)
        other.x[0] = 0x9000
        assert other.run() == layout.FAULT
        other.close()

    counts = []
    for _ in range(3):
        for _ in range(20):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        counts.append(mappings())
    assert counts[2] - counts[0] < 10


# --------------------------------------------------------------------------------- faults that are somebody else's

PRELUDE = """
import os, signal, sys, faulthandler, resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from polyvm.engine import fault, layout
from polyvm.memory import host
from tests.engine import toy
space = toy.Space()
cpu = toy.make_cpu(space)
def guest(address=0x5000):
    cpu.x[31], cpu.x[0] = toy.LOAD, address
    assert cpu.run() == layout.FAULT and cpu.value == address
def wild(address=16):
    cpu.x[31], cpu.x[0] = toy.WILD, address
    cpu.run()
"""


def script(body: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return subprocess.run(
        [sys.executable, *options, "-c", PRELUDE + body],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip


DUMP = "Fatal Python error: Segmentation fault"


def test_a_wild_fault_kills_as_it_would_without_us() -> None:
    done = script("guest(); wild()")
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr == ""


def test_a_wild_fault_goes_to_an_earlier_faulthandler() -> None:
    done = script("faulthandler.enable(); guest(); wild()")
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count(DUMP) == 1


def test_a_faulthandler_that_came_later_gets_wild_faults_only() -> None:
    done = script("guest(); faulthandler.enable(); guest(); guest(); print('went on', flush=True); wild()")
    assert done.stdout == "went on\n"
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count(DUMP) == 1


def test_a_faulthandler_that_was_switched_off_again_is_passed_over() -> None:
    done = script("guest(); faulthandler.enable(); guest(); faulthandler.disable(); guest(); wild()")
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr == ""


def test_a_segv_that_somebody_sends() -> None:
    for before in ("guest()", "faulthandler.enable(); guest()", "guest(); faulthandler.enable(); guest()"):
        done = script(f"{before}; os.kill(os.getpid(), signal.SIGSEGV)")
        assert done.returncode == -signal.SIGSEGV
        assert done.stderr.count(DUMP) == before.count("enable")


def test_a_crash_in_a_thread_of_python_is_faulthandlers() -> None:
    done = script("guest(); faulthandler.enable(); guest(); faulthandler._sigsegv()")
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count(DUMP) == 1


def test_a_breakpoint_that_is_not_ours_kills() -> None:
    done = script("guest(); os.kill(os.getpid(), signal.SIGTRAP)")
    assert done.returncode == -signal.SIGTRAP


def test_a_python_handler_taken_later_is_chained_to() -> None:
    done = script(
        """
got = []
guest()
signal.signal(signal.SIGSEGV, lambda *a: got.append(a[0]))
guest()
os.kill(os.getpid(), signal.SIGSEGV)
os.kill(os.getpid(), signal.SIGSEGV)
guest()
assert got == [11, 11], got
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_handlers_are_given_back() -> None:
    done = script(
        """
faulthandler.enable()
before = [fault.action(n) for n in range(1, 32) if n not in (9, 19)]
fault.take(signal.SIGINT, layout.POLICY_STOP | layout.POLICY_CHAIN)
fault.take(signal.SIGUSR1, layout.POLICY_QUEUE)
guest()
assert fault.action(11)[0] == toy.toy().handler
fault.uninstall()
assert [fault.action(n) for n in range(1, 32) if n not in (9, 19)] == before
fault.release(signal.SIGUSR1)
guest()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("what", "signo", "status"),
    [("SIGTERM", 15, -15), ("SIGCHLD", 17, 0), ("SIGWINCH", 28, 0), ("SIGCONT", 18, 0), ("SIGUSR2", 12, -12)],
)
def test_what_is_chained_to_the_default_does_the_default(what: str, signo: int, status: int) -> None:
    done = script(
        f"guest(); fault.take({signo}, layout.POLICY_CHAIN); os.kill(os.getpid(), {signo}); guest()"
    )
    assert done.returncode == status, what


def test_what_is_chained_to_ignore_is_ignored_and_what_has_no_policy_is_swallowed() -> None:
    done = script(
        """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
guest(); fault.take(15, layout.POLICY_CHAIN); fault.take(12, 0)
os.kill(os.getpid(), 15); os.kill(os.getpid(), 12)
guest()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_chained_terminal_stop_stops_the_process() -> None:
    done = script(
        """
import time
child = os.fork()
if not child:
    guest(); fault.take(signal.SIGTSTP, layout.POLICY_CHAIN)
    os.kill(os.getpid(), signal.SIGTSTP)
    guest()
    os._exit(7)
_, status = os.waitpid(child, os.WUNTRACED)
assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP, status
os.kill(child, signal.SIGCONT)
_, status = os.waitpid(child, 0)
assert os.WEXITSTATUS(status) == 7, status
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_control_c_ends_an_endless_loop_with_keyboard_interrupt() -> None:
    done = script(
        """
import threading, time
fault.take(signal.SIGINT, layout.POLICY_STOP | layout.POLICY_CHAIN)
space.open(0x1000)
for kind in (toy.SPIN, toy.UNIT):
    toy.enter_unit(cpu, 10); cpu.x[31], cpu.x[0] = kind, 0x1000
    for _ in range(10):
        try:
            threading.Timer(0.005, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            while True:
                assert cpu.run() == layout.STOP
                cpu.clear_stop()
        except KeyboardInterrupt:
            cpu.clear_stop()
# Somebody sets another handler: it is found and chained to.
got = []
signal.signal(signal.SIGINT, lambda *a: got.append(1))
threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
while not got:
    # before the timer fires, the run notices that the handler was replaced
    cpu.run()
    cpu.clear_stop()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------------ the queue


def send(signo: int, value: int, tid: int | None = None) -> None:
    """Queue a signal with a value to this process or one of its threads."""
    fields = [signo, 0, -1, 0, os.getpid(), os.getuid()]
    info = b"".join(f.to_bytes(4, "little", signed=True) for f in fields) + value.to_bytes(8, "little")
    room = host.mmap(0, 4096, 3, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    host.poke(room, info.ljust(128, b"\0"))
    if tid is None:
        assert host.syscall(129, os.getpid(), signo, room) == 0
    else:
        assert host.syscall(297, os.getpid(), tid, signo, room) == 0
    host.munmap(room, 4096)


def value_of(info: bytes) -> int:
    return int.from_bytes(info[24:32], "little")


def test_signals_are_queued_with_their_info(cpu: Cpu, space: toy.Space, queued: int) -> None:
    send(queued, 1234, _thread.get_native_id())
    assert cpu.run() == layout.STOP
    [(signo, info)] = cpu.take_signals()
    assert (signo, value_of(info), len(info)) == (queued, 1234, 128)
    assert int.from_bytes(info[:4], "little") == queued
    assert cpu.take_signals() == []


def test_more_signals_than_the_queue_holds_wait_in_the_kernel(cpu: Cpu, queued: int) -> None:
    signo = signal.SIGRTMIN + 3
    fault.take(signo, layout.POLICY_QUEUE)
    me = _thread.get_native_id()
    try:
        for value in range(200):
            send(signo, value, me)
        assert field(cpu, "sig_held", 4)
        got: list[int] = []
        while taken := cpu.take_signals():
            assert len(taken) <= layout.QUEUE_ENTRIES
            got += [value_of(info) for _, info in taken]
        assert got == list(range(200))
        assert not field(cpu, "sig_held", 4)
        assert field(cpu, "sig_dropped", 4) == 0
        assert signo not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        fault.release(signo)


def test_a_full_queue_forgets_no_signal_altogether(cpu: Cpu, queued: int) -> None:
    me = _thread.get_native_id()
    fault.take(signal.SIGUSR2, layout.POLICY_QUEUE)
    try:
        for value in range(40):
            send(queued, value, me)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGUSR2])
        send(signal.SIGUSR2, 1, me)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGUSR2])
        taken = cpu.take_signals()
        assert [value_of(info) for _, info in taken[:32]] == list(range(32))
        assert [signo for signo, _ in taken[32:]] == [signal.SIGUSR1, signal.SIGUSR2]
        assert field(cpu, "sig_dropped", 4) == 9
        assert cpu.take_signals() == []
    finally:
        fault.release(signal.SIGUSR2)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])


@pytest.mark.parametrize("by", ["a queue", "a thread"])
def test_a_signal_that_meets_a_thread_without_a_guest_is_handed_over(cpu: Cpu, queued: int, by: str) -> None:
    fault.take(queued, layout.POLICY_QUEUE | layout.POLICY_FORWARD)
    fault.set_main(_thread.get_native_id())
    done = threading.Event()

    def other() -> None:
        if by == "a queue":
            send(queued, 77, _thread.get_native_id())
        else:  # of which the kernel lets nobody say that he passes it on
            signal.pthread_kill(threading.get_ident(), queued)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    fault.set_main(0)
    [(signo, info)] = cpu.take_signals()
    assert signo == queued
    assert by == "a thread" or value_of(info) == 77


def test_a_thread_of_ours_begins_with_all_signals_blocked() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    found: list[set[int]] = []
    done = threading.Event()

    def body(number: int) -> None:
        found.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        done.set()

    fault.start_thread(body, 3)
    assert done.wait(30)
    assert {signal.SIGALRM, signal.SIGINT, signal.SIGCHLD, signal.SIGRTMIN + 5} <= found[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_taking_a_signal_needs_native_code_and_a_real_signal() -> None:
    with pytest.raises(PolyvmError, match="no signal"):
        fault.action(99)
    with pytest.raises(PolyvmError, match="refuses"):
        fault.set_action(signal.SIGKILL, 0, 0)
    done = script("from polyvm.engine import native\nnative.loaded.clear()\nfault.take(10, 1)")
    assert "before native code was loaded" in done.stderr


# ------------------------------------------------------------------------------------------ the restart window


def test_the_three_ways_a_call_ends(cpu: Cpu, queued: int) -> None:
    assert cpu.syscall(39) == os.getpid()
    assert cpu.syscall(3, 1 << 20) == -9
    r, w = os.pipe()
    room = host.mmap(0, 4096, 3, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    me = threading.get_ident()

    def soon() -> None:
        threading.Timer(0.02, lambda: signal.pthread_kill(me, queued)).start()

    soon()
    assert cpu.syscall(0, r, room, 1) == layout.RESTART_SYSCALL
    assert cpu.syscall(0, r, room, 1) == layout.RESTART_ALWAYS  # the flag is still set
    cpu.clear_stop()
    soon()
    assert cpu.syscall(35, room, 0) == 0  # nanosleep of no time
    host.poke(room, (10).to_bytes(8, "little") + bytes(8))
    assert cpu.syscall(35, room, 0) in (
        -4,
        layout.RESTART_ALWAYS,
    )  # never restarted by the kernel after a handler
    cpu.clear_stop()
    os.write(w, b"x")
    assert cpu.syscall(0, r, room, 1) == 1
    assert len(cpu.take_signals()) == 2
    host.munmap(room, 4096)
    os.close(r)
    os.close(w)


def test_no_signal_is_lost_on_the_way_into_a_call(cpu: Cpu, queued: int, rng: random.Random) -> None:
    r, w = os.pipe()
    room = host.mmap(0, 4096, 3, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    me = threading.get_ident()
    go, over = threading.Semaphore(0), [False]
    outcomes: dict[int, int] = {}
    turns = 400

    def sender() -> None:
        while True:
            go.acquire()
            if over[0]:
                return
            for _ in range(rng.randrange(2000)):
                pass
            signal.pthread_kill(me, queued)

    thread = threading.Thread(target=sender)
    thread.start()
    for _ in range(turns):
        go.release()
        result = cpu.syscall(0, r, room, 1)  # would block for ever, were the signal lost
        outcomes[result] = outcomes.get(result, 0) + 1
        cpu.clear_stop()
        while not cpu.take_signals():
            pass
        cpu.clear_stop()
    over[0] = True
    go.release()
    thread.join()
    host.munmap(room, 4096)
    os.close(r)
    os.close(w)
    assert set(outcomes) <= {layout.RESTART_SYSCALL, layout.RESTART_ALWAYS}
    print(f"restart window: {turns} signals, none lost: {outcomes}")


def test_a_kick_interrupts_a_call_too(cpu: Cpu) -> None:
    cpu.attach()
    select_read, w = os.pipe()
    room = host.mmap(0, 4096, 3, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    for _ in range(50):
        threading.Timer(0.001, cpu.stop).start()
        assert cpu.syscall(0, select_read, room, 1) in (layout.RESTART_SYSCALL, layout.RESTART_ALWAYS, -4)
        cpu.clear_stop()
    assert cpu.take_signals() == []
    os.close(select_read)
    os.close(w)
    host.munmap(room, 4096)
    fault.detach()


# ------------------------------------------------------------------------------------------------------ safepoints


def measure(cpu: Cpu, turns: int, rng: random.Random) -> list[float]:
    """Stop an endless unit `turns` times at random moments; seconds from stop() to Python, sorted."""
    go, over = _thread.allocate_lock(), _thread.allocate_lock()
    go.acquire()
    over.acquire()
    asked: list[float] = []
    alive = [True]

    def asker() -> None:
        while True:
            go.acquire()
            if not alive[0]:
                over.release()
                return
            time.sleep(rng.random() * 0.001)
            asked.append(time.perf_counter())
            cpu.stop()

    _thread.start_new_thread(asker, ())
    took = []
    for _ in range(turns):
        before = cpu.x[1]
        cpu.pc = 0x1000
        go.release()
        reason = cpu.run()
        now = time.perf_counter()
        assert reason == layout.STOP
        while not asked:
            pass
        # The unit's registers were written back at its safepoint; or it was stopped before it was entered.
        assert (cpu.pc == 0x2000 and cpu.x[1] > before) or (cpu.pc == 0x1000 and cpu.x[1] == before)
        took.append(now - asked.pop())
        while field(cpu, "stop", 4) == 0:
            pass
        cpu.clear_stop()
    alive[0] = False
    go.release()
    over.acquire()
    return sorted(took)


@pytest.mark.parametrize("shadow", [True, False], ids=["shadow", "single-step"])
def test_an_endless_unit_stops_at_a_safepoint(
    cpu: Cpu, space: toy.Space, rng: random.Random, report: Callable[[str], None], full: bool, shadow: bool
) -> None:
    space.open(0x1000)
    cpu.x[0] = 0x1000
    for body in (4, 50, 500, 3000) if full else (4, 50, 1000) if shadow else (4, 20):
        toy.enter_unit(cpu, body, shadow)
        steps = field(cpu, "steps")
        took = measure(cpu, 200 if full else 100, rng)
        steps = (field(cpu, "steps") - steps) // len(took)
        median, p95 = took[len(took) // 2], took[len(took) * 95 // 100]
        if shadow:
            assert median < 0.01
        report(
            f"safepoints, {'shadow' if shadow else 'single-step'}, loop of {body} instructions: "
            f"median {median * 1e6:.0f} us, p95 {p95 * 1e6:.0f} us, {steps} steps a stop"
        )


def test_a_unit_still_faults_exactly_after_it_was_moved_to_its_shadow(cpu: Cpu, space: toy.Space) -> None:
    """Without safepoints in its tables a unit goes on in its shadow for ever, and leaves it by its fault."""
    from polyvm.engine import compile as compiler
    from polyvm.engine import image, native

    text = (
        toy.UNIT_TEXT.format(body=30).replace('"', r"\22").replace(".Lhead - ., .Lstop", ".Lstop - ., .Lstop")
    )
    ir = "".join(f'module asm "{line}"\n' for line in text.strip().splitlines())
    unit = image.load(compiler.build(ir, ["unit"], runtime=False), shadow=True)
    made = native.Range.of(unit)
    toy.toy().add_ranges([made])
    space.open(0x1000)
    cpu.x[31], cpu.x[0], cpu.x[1] = toy.UNIT, 0x1000, 5
    host.poke(cpu.st + layout.BIG_STATE, unit.address("unit").to_bytes(8, "little"))

    def later() -> None:
        cpu.stop()
        time.sleep(0.01)
        space.open(0x1000, host.PROT_NONE)

    threading.Timer(0.01, later).start()
    assert cpu.run() == layout.FAULT
    assert (cpu.pc, cpu.value) == (0x3000, 0x1000)
    assert cpu.x[1] > 5
    assert unit.base + unit.shadow <= field(cpu, "fault_rip") < unit.base + unit.shadow + unit.size
    cpu.clear_stop()
    toy.toy().remove_ranges([made])
    unit.unload()


def test_two_threads_in_one_unit_stop_together(space: toy.Space) -> None:
    space.open(0x1000)
    cpus = [toy.make_cpu(space) for _ in range(2)]
    stopped: list[tuple[int, int]] = []

    def work(cpu: Cpu) -> None:
        stopped.append((cpu.run(), cpu.pc))

    for turn in range(10):
        threads = []
        for cpu in cpus:
            toy.enter_unit(cpu, 200 + turn)
            cpu.x[0], cpu.pc = 0x1000, 0x1000
            threads.append(threading.Thread(target=work, args=(cpu,)))
        for thread in threads:
            thread.start()
        time.sleep(0.002)
        for cpu in cpus:
            cpu.stop()
        for thread in threads:
            thread.join()
        for cpu in cpus:
            cpu.clear_stop()
    assert len(stopped) == 20
    assert {reason for reason, _ in stopped} == {layout.STOP}
    assert {pc for _, pc in stopped} <= {0x1000, 0x2000}
    for cpu in cpus:
        cpu.close()


def test_a_signal_on_the_way_in_is_not_lost(
    cpu: Cpu, space: toy.Space, rng: random.Random, queued: int
) -> None:
    """Signals aimed at the few instructions between looking at the flag and the unit's loop."""
    space.open(0x1000)
    toy.enter_unit(cpu, 4)
    cpu.x[0] = 0x1000
    me, go, over = threading.get_ident(), threading.Semaphore(0), [False]

    def sender() -> None:
        while True:
            go.acquire()
            if over[0]:
                return
            for _ in range(rng.randrange(300)):
                pass
            signal.pthread_kill(me, queued)

    thread = threading.Thread(target=sender)
    thread.start()
    for _ in range(300):
        go.release()
        assert cpu.run() == layout.STOP
        while not cpu.take_signals():
            pass
        cpu.clear_stop()
    over[0] = True
    go.release()
    thread.join()


# ------------------------------------------------------------------------------------------------------------ fork


def test_a_forked_child_runs_faults_and_stops(cpu: Cpu, space: toy.Space, queued: int) -> None:
    done = script(
        """
import threading
fault.take(10, layout.POLICY_QUEUE); cpu.attach()
space.open(0x1000)
os.kill(os.getpid(), 10)
child = os.fork()
if not child:
    assert len(cpu.take_signals()) == 1
    fault.forget(cpu.st)
    guest()
    assert int.from_bytes(host.peek(cpu.st + layout.ST["tid"], 4), "little") == os.getpid()
    toy.enter_unit(cpu, 4); cpu.x[0] = 0x1000
    threading.Timer(0.01, cpu.stop).start()
    assert cpu.run() == layout.STOP
    cpu.clear_stop()
    os.kill(os.getpid(), 10)
    assert cpu.run() == layout.STOP and len(cpu.take_signals()) == 1
    os._exit(3)
_, status = os.waitpid(child, 0)
assert os.WEXITSTATUS(status) == 3, status
assert len(cpu.take_signals()) == 1
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_poll_and_python_go_on_working_beside_us(cpu: Cpu) -> None:
    """Python's own blocking calls still see Ctrl-C and timeouts while our handlers are installed."""
    cpu.x[0] = 0x7000
    assert cpu.run() == layout.FAULT
    r, w = os.pipe()
    start = time.monotonic()
    assert select.select([r], [], [], 0.01) == ([], [], [])
    assert time.monotonic() - start < 5
    os.close(r)
    os.close(w)
