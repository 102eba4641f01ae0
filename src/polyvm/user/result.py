"""How a guest process ended and what it did, for `polyvm.run` and the result file.

It refuses to interpret: the exit status for the shell is the command line's business, with `returncode` as subprocess
counts it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process


class Result:
    """The end of a run. kind: "exited", "signaled", "timeout"; status or signal is None where it does not apply."""

    __slots__ = (
        "cpu_s",
        "faults",
        "kind",
        "max_rss",
        "signal",
        "status",
        "syscalls",
        "unknown_syscalls",
        "wall_s",
    )

    def __init__(self, kind: str, status: int | None, signal: int | None) -> None:
        self.kind = kind
        self.status = status
        self.signal = signal
        self.syscalls: dict[str, dict[str, int]] = {}
        self.unknown_syscalls: dict[int, int] = {}
        self.faults: dict[str, int] = {}
        self.wall_s = 0.0
        self.cpu_s = 0.0
        self.max_rss = 0

    @property
    def returncode(self) -> int:
        """As subprocess: the exit status, or -N for signal N; 124 after a timeout."""
        if self.kind == "signaled":
            return -(self.signal or 0)
        return 124 if self.kind == "timeout" else self.status or 0

    def to_json(self) -> dict[str, object]:
        """The parts of polyvm.run/1 that the process knows."""
        return {
            "exit": {"kind": self.kind, "status": self.status, "signal": self.signal},
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "max_rss": self.max_rss,
            "syscalls": self.syscalls,
            "unknown_syscalls": {str(number): count for number, count in self.unknown_syscalls.items()},
            "faults": self.faults,
        }


def collect(process: Process, result: Result) -> Result:
    """Add up what all threads, past and present, counted."""
    for machine in process.machines.values():
        for number, count in machine.dispatch.unknown.items():
            result.unknown_syscalls[number] = result.unknown_syscalls.get(number, 0) + count
    for name, (count, errors, native) in sorted(calls(process).items()):
        result.syscalls[name] = {"count": count, "errors": errors, "native": native}
    from polyvm.user import signals

    result.faults = {signals.name(signo): count for signo, count in process.faults.items()}
    return result


def calls(process: Process) -> dict[str, list[int]]:
    """System calls so far, by name: [count, errors, made by native code]. From any thread."""
    totals = {name: list(total) for name, total in list(process.past_counts.items())}
    for thread in list(process.world.threads):
        add_counts(totals, dict(thread.counts))
    for machine in list(process.machines.values()):
        for name, count, errors in () if machine.natively is None else machine.natively.counts():
            total = totals.setdefault(name, [0, 0, 0])
            totals[name] = [total[0] + count, total[1] + errors, total[2] + count]
    return totals


def add_counts(totals: dict[str, list[int]], counts: dict[str, list[int]]) -> None:
    """Add one thread's [count, errors] to the process's [count, errors, native]."""
    for name, (count, errors) in counts.items():
        total = totals.setdefault(name, [0, 0, 0])
        total[0] += count
        total[1] += errors
