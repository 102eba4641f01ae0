"""The measurement: for each workload, build, check, then run the peers in turn (A B C A B C), and write down.

Only times of runs whose output was right are kept. Ctrl-C ends the measurement, not the report: what is there is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polyvm.bench import document, extras, manifest, peers, real, subject
from polyvm.bench.build import Builder
from polyvm.bench.firstruns import FirstRuns
from polyvm.bench.manifest import Workload
from polyvm.bench.measure import Sample, measure
from polyvm.bench.options import Options
from polyvm.bench.peers import Peer
from polyvm.bench.progress import Progress, make_progress
from polyvm.bench.real import Prepared
from polyvm.errors import PolyvmError

Json = dict[str, Any]


def run(options: Options, progress: Progress | None = None) -> Json:
    """Measure and give the polyvm.bench/1 document. Raises PolyvmError before the first run, not after it."""
    with progress or make_progress() as shown:
        return Session(options, shown).run()


def failure(result: Json) -> PolyvmError | None:
    """The error that a finished benchmark ends with, or None: a wrong output of anyone, any failure of polyvm's."""
    wrong = [
        f"{row['name']} under {peer}, {runs['failed']}"
        for row in result["workloads"]
        for peer, runs in document.measured(row).items()
        if runs["failed"] and (peer == "polyvm" or runs["failed"].startswith("wrong output"))
    ]
    wrong += [
        f"{row['name']} with an empty cache, {row['first_runs']['failed']}"
        for row in result["workloads"]
        if (row["first_runs"] or {}).get("failed")
    ]
    if not wrong:
        return None
    return PolyvmError(
        "PVM-BENCH-MISMATCH",
        f"no time counts for {'; '.join(wrong)}",
        hint="run them by hand and compare",
    )


class Session:
    """One benchmark under way."""

    def __init__(self, options: Options, progress: Progress) -> None:
        self.options = options
        self.progress = progress
        self.builder = Builder(options.guest)
        folder = manifest.locate(options.benchmarks)
        every = manifest.load(folder)
        self.workloads = manifest.select(every, options.workloads)
        self.peers = self._peers()
        self.skipped: list[Json] = []
        self.rows: list[Json] = []
        self.real = real.prepare(options, self.workloads)
        self.folder = folder
        ours = next((peer for peer in self.peers if peer.name == "polyvm"), None)
        self.first_runs = FirstRuns(ours, options.limit) if ours is not None and options.first_runs else None

    def _peers(self) -> list[Peer]:
        names = [*self.options.peers]
        if "native" in names and self.options.march:
            names.insert(names.index("native") + 1, "native-march")
        found = [peers.find(name, self.options.guest, self.builder) for name in names]
        if self.options.subject is not None:
            # polyvm goes right after native: what is compared most runs closest together.
            at = 1 if names and names[0] == "native" else 0
            found.insert(at, peers.subject(self.options.subject, self.options.run_options))
        return found

    def run(self) -> Json:
        """Everything, or as much as there was time for."""
        extra: Json = dict(extras.NOTHING)
        interrupted = False
        try:
            if self.first_runs is not None:
                self.progress.doing("first runs: compiling the interpreter")
                self.first_runs.prepare(
                    self.builder.build(self.folder / "workloads" / "hello.c", self.first_runs.peer.build)
                )
            for index, workload in enumerate(self.workloads):
                self.progress.start(workload.name, index, len(self.workloads))
                self._workload(workload)
            if self.options.extras:
                self.progress.start("start-up and tiers", len(self.workloads), len(self.workloads))
                extras.measure_into(
                    extra,
                    self.options,
                    self.builder,
                    self.peers,
                    self.workloads,
                    self.folder,
                    self.progress.doing,
                )
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if self.first_runs is not None:
                self.first_runs.close()
        return document.assemble(
            self.options, self.peers, self.builder, self.rows, self.skipped, extra, interrupted=interrupted
        )

    def _workload(self, workload: Workload) -> None:
        missing = self.real.missing(workload)
        if missing is not None:
            self.skipped.append({"name": workload.name, "reason": missing})
            self.progress.note(f"{workload.name}: left out, {missing}")
            return
        row = Row(workload, self.options.size, self.options.guest)
        self.rows.append(row.json)  # before the first run, so that Ctrl-C keeps what there is
        runs = {peer.name: self._runner(workload, peer) for peer in self.peers}
        active = list(self.peers)
        for turn in range(self.options.runs):
            for peer in list(active):
                if turn == 0 and peer.name == "polyvm":
                    self._warm(workload, peer)
                self.progress.doing(f"{workload.name}: {peer.name}, run {turn + 1} of {self.options.runs}")
                sample = runs[peer.name]()
                if not row.add(peer.name, sample, self.options.limit) or self._too_slow(row, sample):
                    active.remove(peer)
        self._first(workload, row)
        row.finish()
        self.progress.done(row.json)

    def _first(self, workload: Workload, row: Row) -> None:
        """Last, so that what they leave for the compilers disturbs nobody."""
        first = self.first_runs
        if first is None:
            return
        self.progress.doing(f"{workload.name}: first runs")
        row.json["first_runs"] = first.measure(
            self._prepared(workload, first.peer), lambda sample: row.wrong(sample, self.options.limit)
        )

    def _too_slow(self, row: Row, sample: Sample) -> bool:
        native = row.fastest()
        return sample.wall_s > self.options.patience and native is not None and sample.wall_s > 10 * native

    def _prepared(self, workload: Workload, peer: Peer) -> Prepared:
        if workload.source is None:
            return self.real.program(workload, peer, self.options.size)
        self.progress.doing(f"{workload.name}: building for {peer.build}")
        return Prepared(self.builder.build(workload.source, peer.build), (workload.size[self.options.size],))

    def _runner(self, workload: Workload, peer: Peer) -> Callable[[], Sample]:
        """What runs a workload once under a peer."""
        made = self._prepared(workload, peer)
        if peer.name == "polyvm":
            return lambda: subject.observe_prepared(peer, made, limit=self.options.limit).sample
        if made.sysroot is not None and peer.sysroot_option is None and not peer.name.startswith("native"):
            return lambda: Sample(0.0, 0.0, None, 1, "", f"{peer.name} runs static programs only")
        sysroot = None if peer.name.startswith("native") else made.sysroot
        command = [*made.launcher, *peer.command(made.program, made.arguments, sysroot)]
        cwd = str(made.cwd) if made.cwd else None
        return lambda: measure(command, env=peer.env(), limit=self.options.limit, cwd=cwd)

    def _warm(self, workload: Workload, peer: Peer) -> None:
        self.progress.doing(f"{workload.name}: warming polyvm's cache")
        made = self._prepared(workload, peer)
        subject.warm_up(lambda: subject.observe_prepared(peer, made, limit=self.options.limit))


class Row:
    """One workload's line of the document, as it fills."""

    def __init__(self, workload: Workload, size: str, guest: str) -> None:
        self.expected = workload.output.get(size)
        self.json: Json = {
            "name": workload.name,
            "group": workload.group,
            "simd": workload.simd,
            "apart": workload.apart(guest),
            "size": workload.size[size],
            "checksum_ok": None,
            "runs": dict.fromkeys(("native", "polyvm", "qemu", "unicorn")),
            "ratio": {},
            "ratio_wall": {},
            "vs_native": {},
            "first_runs": None,
        }

    def add(self, peer: str, sample: Sample, limit: float) -> bool:
        """Count a run if its output is right; whether the peer may run again."""
        runs = self.json["runs"].get(peer)
        if runs is None:
            runs = self.json["runs"][peer] = {"cpu_s": [], "wall_s": [], "max_rss": None, "failed": None}
        why = self.wrong(sample, limit)
        if why is not None:
            runs["failed"] = why
            return False
        runs["cpu_s"].append(sample.cpu_s)
        runs["wall_s"].append(sample.wall_s)
        runs["max_rss"] = max(runs["max_rss"] or 0, sample.max_rss or 0) or None
        return True

    def wrong(self, sample: Sample, limit: float) -> str | None:
        """What is wrong with a run, or None."""
        if sample.timed_out:
            return f"ended after the limit of {limit:g} s"
        if sample.status != 0:
            what = f"signal {-sample.status}" if sample.status < 0 else f"exit status {sample.status}"
            last = last_words(sample.errors)
            return f"{what}: {last}" if last else what
        if self.expected is None:
            self.expected = sample.output  # a real program: whoever runs first, native, sets what is right
        if sample.output != self.expected:
            return f"wrong output: {sample.output[:80]!r} instead of {self.expected[:80]!r}"
        return None

    def fastest(self) -> float | None:
        """The shortest wall time so far of any peer."""
        times = [time for runs in document.measured(self.json).values() for time in runs["wall_s"]]
        return min(times, default=None)

    def finish(self) -> None:
        """Ratios, once all runs are in."""
        document.ratios(self.json)


def last_words(errors: str) -> str:
    """The line of standard error that says why: the last that is not indented below another."""
    lines = [line for line in errors.splitlines() if line and not line[0].isspace()]
    return lines[-1] if lines else ""
