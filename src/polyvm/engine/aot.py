"""Whole programs ahead of time: regions of all the code that can be found in a program without running it.

It begins at the places that it is given, and goes on wherever what it found leads to: to callees, through tables of
jumps, and behind the limit of a region. What is compiled is kept in the code cache, under the names by which a running
program looks for it; there the program finds it as soon as it is worth looking. Several processes compile; one that
dies costs the region that it was at.
"""

from __future__ import annotations

import _socket
import os
import signal
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from polyvm.engine import unitfiles
from polyvm.engine.codepages import PAGE, Pages
from polyvm.engine.discover import MAX_CALLEES, Region, discover
from polyvm.engine.jumptables import Tables
from polyvm.engine.layout import MET, UNMET
from polyvm.engine.profile import Profile
from polyvm.engine.worker import compile_region, keep, prepared
from polyvm.engine.workers import receive, send
from polyvm.errors import PolyvmError
from polyvm.ir.values import SpecError

LIMIT = 6000
"""Instructions of one function in a region: hardly any has more, and of one that is cut each piece goes everywhere."""
ENTRIES = 60
"""Places of a function that were hot and are entries of its region."""
HEADS = 100
"""Loops that a region may be entered at: a run comes to it from the interpreter, in whatever loop that is by then."""
CALLEES = 60
"""Instructions of small functions that are taken along into the regions of their callers: nobody knows which are called
often, so each has a region of its own besides."""
SPREAD = 1 << 16
"""Bytes around a place that are taken for its function at most."""


@dataclass(frozen=True)
class Program:
    """A program in memory, as far as compiling it needs it.

    guest: its name. key: of the engine, for the files' names. code: executable bytes by pages. data: what is readable
    and never changes, as (address, bytes). starts: where functions begin, in order. roots: where to begin, in the order
    of importance. handles: whether it seems to set handlers of signals.
    """

    guest: str
    key: str
    code: dict[int, bytes]
    data: list[tuple[int, bytes]]
    starts: list[int]
    roots: list[int]
    handles: bool = False

    def page(self, address: int) -> bytes:
        """The executable bytes of the page at an address."""
        return self.code.get(address, b"")

    def read(self, address: int, length: int) -> bytes:
        """What is known to be there, executable or not, as many bytes as that."""
        index = bisect_right(self.data, address, key=itemgetter(0)) - 1
        if index >= 0:
            start, data = self.data[index]
            if address < start + len(data):
                return data[address - start : address - start + length]
        return Pages(self.page)(address, length)

    def extent(self, pc: int) -> tuple[int, int]:
        """Of the function that an address is in, as far as it is known: up to where the next begins."""
        index = bisect_right(self.starts, pc)
        low = self.starts[index - 1] if index else 0
        return low, self.starts[index] if index < len(self.starts) else 1 << 64

    def name(self, pc: int, kind: str) -> str | None:
        """The file of the unit of an address."""
        code = self.code.get(pc & -PAGE)
        return unitfiles.name(self.key, pc, kind, unitfiles.digest(code)) if code else None


@dataclass
class Progress:
    """How far it is. found: places to compile, of those known by now. code_bytes: of the guest's, each counted once.
    kept: regions that the cache had already. cpu_s: of all compilers. files: of all regions, in the cache.
    """

    found: int = 0
    done: int = 0
    regions: int = 0
    kept: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    insns: int = 0
    code_bytes: int = 0
    host_bytes: int = 0
    cpu_s: float = 0.0
    deaths: int = 0
    files: dict[str, None] = field(default_factory=dict)


def compile_ahead(
    program: Program,
    folder: str,
    *,
    kind: str = "",
    jobs: int = 1,
    profile: Profile | None = None,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Progress:
    """Fill the code cache in a folder; what was done. kind: letters of layout. jobs: compiling processes. profile: what
    runs have shown: then what was executed in them is compiled, and nothing else of the code that they knew.

    progress: told after each region. What is there already is kept. Raises PVM-RESOURCE when nothing can be written.
    """
    known = None if profile is None else Known(program, profile)
    work = _Work(program, folder, kind, known)
    compilers = _Pool(program, kind, jobs, known)
    try:
        for answer in compilers.answers(work.next, work.state):
            work.take(answer)
            progress(work.state)
    finally:
        compilers.end()
    return work.state


class Known:
    """What a profile says of a program."""

    def __init__(self, program: Program, profile: Profile) -> None:
        self.ran = profile.ran(program.page)
        self.observed = profile.observed()
        self.hot = frozenset(profile.hot)
        self.hottest: dict[int, list[int]] = {}  # by functions, the hottest first
        for place in profile.hottest():
            if self.ran(place) == MET:
                self.hottest.setdefault(program.extent(place)[0] or place, []).append(place)

    def entries(self, program: Program, place: int) -> list[int]:
        """Where the region of a place should be entered besides."""
        hot = self.hottest.get(program.extent(place)[0] or place, ())
        return [other for other in hot if other != place][:ENTRIES]

    def roots(self, program: Program) -> list[int]:
        """Where to begin: what was hot comes first, then what was executed at all."""
        first = [low if self.ran(low) == MET else places[0] for low, places in self.hottest.items()]
        return [*first, *(root for root in program.roots if self.ran(root) == MET)]


class _Work:
    """What is still to be compiled, and what becomes of it."""

    def __init__(self, program: Program, folder: str, kind: str, known: Known | None) -> None:
        self.program = program
        self.folder = folder
        self.kind = kind
        self.profile = known
        self.waiting = deque(dict.fromkeys(program.roots if known is None else known.roots(program)))
        self.known = set(self.waiting)
        self.starts = frozenset(program.starts)
        self.covered: dict[int, int] = {}  # by pages, a bit for each two bytes that a region of their own has
        self.state = Progress(found=len(self.waiting))
        self.there: set[int] = set()
        try:
            self.there = unitfiles.listed(os.listdir(f"{folder}/units/{program.key}")).get(kind, set())
        except OSError:
            pass  # nothing was ever compiled

    def next(self) -> tuple[int, bool, dict[int, int]] | None:
        """A place, whether it is only to be looked at, because there is a region of it, and what of its function other
        regions have: where a function was cut, what is left is compiled, and not all of it again.
        """
        while self.waiting:
            place = self.waiting.popleft()
            if place not in self.starts and self._covers(place):
                self.state.done += 1
                continue
            name = self.program.name(place, self.kind)
            if name is None:  # a constant that looked like an address
                self.state.done += 1
                continue
            there = place in self.there and os.path.exists(f"{self.folder}/{name}")
            if there:
                self.state.files[name] = None
            return place, there, {} if place in self.starts else self._around(place)
        return None

    def _around(self, place: int) -> dict[int, int]:
        low, high = self.program.extent(place)
        low, high = max(low, place - SPREAD), min(high, place + SPREAD)
        pages = range(low & -PAGE, high, PAGE)
        return {page: self.covered[page] for page in pages if page in self.covered}

    def take(self, answer: tuple[Any, ...]) -> None:
        """A region is done: keep it, and remember what it leads to."""
        data, own, calls, onward, why, cpu_s = answer
        state = self.state
        state.done += 1
        state.cpu_s += cpu_s
        if data is not None:
            self._store(data)
        elif why:
            state.refused[why] = state.refused.get(why, 0) + 1
        else:
            state.kept += 1
        for at, size in own:
            state.code_bytes += self._cover(at, size)
        for place in calls:
            self._add(place)
        for place in onward:
            if not self._covers(place):
                self._add(place)

    def _add(self, place: int) -> None:
        if place not in self.known and (self.profile is None or self.profile.ran(place) == MET):
            self.known.add(place)
            self.waiting.append(place)
            self.state.found += 1

    def _store(self, data: bytes) -> None:
        meta, written = keep(self.folder, data, lambda pc: self.program.name(pc, self.kind))
        if not written:
            raise PolyvmError(
                "PVM-RESOURCE", "A compiled region cannot be written to the code cache.", path=self.folder
            )
        name = self.program.name(meta["pc"], self.kind)
        assert name is not None
        self.state.files[name] = None
        self.state.regions += 1
        self.state.insns += meta["insns"]
        self.state.host_bytes += len(data)

    def _covers(self, place: int) -> bool:
        return covers(self.covered, place)

    def _cover(self, at: int, size: int) -> int:
        """A region has this code; the bytes that none had before."""
        new = 0
        for page in range(at & -PAGE, at + size, PAGE):
            first, last = max(at, page) - page >> 1, min(at + size, page + PAGE) - page >> 1
            mask = (1 << last) - (1 << first)
            old = self.covered.get(page, 0)
            new += 2 * (mask & ~old).bit_count()
            self.covered[page] = old | mask
        return new


def covers(bits: dict[int, int], place: int) -> bool:
    """Whether the bit of an address is set; by pages, one for each two bytes."""
    return bool(bits.get(place & -PAGE, 0) >> ((place & PAGE - 1) >> 1) & 1)


class _Compiler:
    """A compiling process, and what it is at."""

    def __init__(self, sock: _socket.socket, pid: int) -> None:
        self.sock = sock
        self.pid = pid
        self.place: int | None = None


class _Pool:
    """Compiling processes, forked from this one: the program is in their memory already."""

    def __init__(self, program: Program, kind: str, jobs: int, known: Known | None) -> None:
        self.program = program
        self.kind = kind
        self.known = known
        self.isa = prepared(program.guest, kind)
        self.compilers: list[_Compiler] = []
        for _ in range(jobs):
            self.compilers.append(self._start())

    def _start(self) -> _Compiler:
        ours, theirs = _socket.socketpair()
        pid = os.fork()
        if pid:
            theirs.close()
            return _Compiler(ours, pid)
        try:
            # Who asked ends us, also at Ctrl-C; and with it gone there is nothing to do.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for sock in (ours, *(other.sock for other in self.compilers)):
                sock.close()  # each ends when its socket has no other side any more
            _serve(theirs, self.program, self.isa, self.kind, self.known)
        except (BrokenPipeError, ConnectionResetError):
            pass
        except BaseException:
            import traceback

            traceback.print_exc()  # a mistake of ours: the region is told of as lost
        finally:
            os._exit(0)

    def answers(
        self, following: Callable[[], tuple[int, bool, dict[int, int]] | None], state: Progress
    ) -> Iterator[tuple[Any, ...]]:
        """Have everything done that there is; each answer as it comes, which may lead to more."""
        import select

        while True:
            for compiler in self.compilers:
                if compiler.place is None:
                    job = following()
                    if job is None:
                        break
                    compiler.place = job[0]
                    send(compiler.sock, job)
            busy = {compiler.sock: compiler for compiler in self.compilers if compiler.place is not None}
            if not busy:
                return
            for sock in select.select(list(busy), [], [])[0]:
                compiler = busy[sock]
                compiler.place = None
                try:
                    answer = receive(sock)
                except OSError:
                    answer = None
                if answer is None:
                    self._replace(compiler)
                    state.deaths += 1
                    answer = None, [], [], [], "its compiler died", 0.0
                yield answer

    def _replace(self, compiler: _Compiler) -> None:
        self.compilers.remove(compiler)
        compiler.sock.close()
        os.waitpid(compiler.pid, 0)
        self.compilers.append(self._start())

    def end(self) -> None:
        """End every process."""
        for compiler in self.compilers:
            compiler.sock.close()
            if compiler.place is not None:
                os.kill(compiler.pid, signal.SIGKILL)
            os.waitpid(compiler.pid, 0)


def _serve(sock: _socket.socket, program: Program, isa: Any, kind: str, known: Known | None) -> None:
    """A compiling process: places come, regions go."""
    fetch = Pages(program.page)
    tables = Tables(isa, fetch, program.read, program.extent)
    while True:
        request = receive(sock)
        if request is None:
            return
        place, look, others = request
        began = time.process_time()
        data, why = None, ""
        found = None
        entries = known.entries(program, place) if known is not None else []
        ran = _ran(known, others)
        try:
            found = discover(
                isa, fetch, place, known.observed if known is not None else None, limit=LIMIT,
                callees=MAX_CALLEES if known is not None else CALLEES, entries=entries, ran=ran,
                hot=known.hot if known is not None else (), extent=program.extent,
                guess=tables if known is None else None, heads=HEADS,
            )  # fmt: skip
            if found is None:
                why = "no instruction"
            elif not look:
                data = compile_region(isa, found, fetch, entries, kind=kind, tries=1)
        except (PolyvmError, SpecError, RecursionError) as error:
            why = str(error)
        own, calls, onward = _leads(found) if found is not None else ([], [], [])
        send(sock, (data, own, calls, onward, why, time.process_time() - began))


def _ran(known: Known | None, others: dict[int, int]) -> Callable[[int], int] | None:
    """What `discover` is told of places: those that were never executed are left out, and those that others have."""
    if not others:
        return None if known is None else known.ran

    def mark(place: int) -> int:
        if covers(others, place):
            return UNMET
        return MET if known is None else known.ran(place)

    return mark


def _leads(found: Region) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """The spans of a region's own function, what it calls, and where else it goes."""
    calls: dict[int, None] = {}
    onward: dict[int, None] = {}
    for block in found.blocks.values():
        flow = block.flow
        if flow.call:
            calls.update(dict.fromkeys(flow.seen if flow.target is None else (flow.target,)))
        for place in (*block.onward, *(() if flow.call else flow.seen)):
            if place not in found.blocks and place not in calls:
                onward[place] = None
    return found.spans(found.own), list(calls), list(onward)
