"""What tests of accelerators leave behind in their process: nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A thread that ran a vCPU of KVM keeps the signal blocked that takes it out; a process started later by another
    test in this one would begin with it blocked.
    """
    from polyvm.accel.kvm import vcpu

    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    if before != signal.pthread_sigmask(signal.SIG_BLOCK, []):
        while signal.sigtimedwait([vcpu.KICK], 0) is not None:
            pass
        vcpu._own.__dict__.pop("tid", None)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
