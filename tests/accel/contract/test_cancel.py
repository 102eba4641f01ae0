"""run() is ended from outside, once for each time, without a signal handler and without losing a request."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Interrupted
from tests.accel.machines import Machine, alarm

NEEDS = "cancel"

FOREVER = {"x86_64": "eb fe", "riscv64": "loop: jal zero, loop", "aarch64": "loop: b loop"}


def test_from_another_thread(machine: Machine, full: bool) -> None:
    """Each cancel() ends a run, whether it comes before it, in it or on the way out."""
    machine.load(FOREVER)
    wanted = 10_000 if full else 1_000
    ended = threading.Semaphore(0)

    def canceller() -> None:
        for number in range(wanted):
            if number % 3 == 0:
                time.sleep(0.0001)
            machine.cpu.cancel()
            ended.acquire()

    thread = threading.Thread(target=canceller)
    thread.start()
    for _ in range(wanted):
        assert machine.cpu.run() == Interrupted()
        ended.release()
    thread.join()


def test_before_it_runs(machine: Machine) -> None:
    machine.load(FOREVER)
    machine.cpu.cancel()
    machine.cpu.cancel()
    assert machine.cpu.run() == Interrupted()
    timer = threading.Timer(0.05, machine.cpu.cancel)
    timer.start()
    started = time.monotonic()
    assert machine.cpu.run() == Interrupted()
    assert time.monotonic() - started > 0.01, "two requests before a run are one"
    timer.join()


def test_a_signal_of_the_host_is_none(machine: Machine) -> None:
    machine.load(FOREVER)
    threading.Timer(0.2, machine.cpu.cancel).start()
    with alarm(0.05) as came:
        assert machine.cpu.run() == Interrupted()
    assert came == [signal.SIGALRM], "its handler ran, and the vCPU went on"


def test_control_c(machine: Machine) -> None:
    machine.load(FOREVER)
    timer = threading.Timer(
        0.1, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    )
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        machine.cpu.run()
    timer.join()
    machine.cpu.cancel()
    assert machine.cpu.run() == Interrupted()


def test_many_threads_run_it_in_turn(machine: Machine) -> None:
    machine.load(FOREVER)
    found: list[object] = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: found.append(machine.cpu.run()))
        thread.start()
        machine.cpu.cancel()
        thread.join()
    assert found == [Interrupted()] * 5


def test_a_running_one_is_not_closed(machine: Machine) -> None:
    machine.load(FOREVER)
    thread = threading.Thread(target=machine.cpu.run)
    thread.start()
    time.sleep(0.1)
    cpu = machine.cpu
    for use in (cpu.close, cpu.run, cpu.registers.read, cpu.save, cpu.debug, machine.vm.close):
        with pytest.raises(PolyvmError, match="running"):
            use()
    machine.cpu.cancel()
    thread.join()
    machine.cpu.close()
    machine.cpu.close()
    machine.cpu.cancel()
