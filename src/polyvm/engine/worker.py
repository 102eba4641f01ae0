"""The compiler's side: a process that turns specifications and guest code into native images.

Started as `python -I` with nothing of the user's, by the engine alone. It is the only place where a specification
and LLVM meet in one process, and it never runs guest code.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from polyvm.engine import interpreter_image
from polyvm.engine.codepages import PAGE, Pages
from polyvm.engine.layout import MET
from polyvm.engine.tiering import MAX_ENTRIES
from polyvm.errors import PolyvmError
from polyvm.ir.values import SpecError

if TYPE_CHECKING:
    import _socket
    import subprocess
    from collections.abc import Callable, Iterable
    from typing import Any

    from polyvm.engine.discover import Region
    from polyvm.engine.region import RegionEmitter
    from polyvm.isa.spec import Isa

IDLE_S = 60.0
REST_S = 10.0
"""CPU seconds spent at most on what a program that has ended had still waited for."""


PART = 500
"""Handlers that are worth a compiler process of their own: two seconds' work, most of one to start it."""


def interpreter(guest: str, key: str = "") -> bytes:
    """The image of a guest's interpreter, host runtime included; key: what it is made from, kept inside.

    A guest with thousands of handlers is compiled in parts, by as many processes as there are processors for it.
    """
    from polyvm.engine import compile as compiler
    from polyvm.engine import cut, entries, flatten, stencil
    from polyvm.engine.guest import Guest

    isa = Guest(guest).isa
    handlers = len(entries.WHOLE.own(entries.handlers(isa)))
    of = max(1, min(handlers // PART, len(os.sched_getaffinity(0))))
    others = [_start_part(guest, number, of) for number in range(1, of)]
    try:
        objects = [part(guest, 0, of), *map(_finish_part, others)]
    finally:
        for process in others:
            process.kill()
            process.wait()
    flat = flatten.Flat(*objects, apart=stencil.SECTION)
    flat.append("pvr", cut.table(isa, flat))
    exports = [
        "decode",
        "pause",
        "leave_SYSCALL",
        "pv_translate",
        *compiler.host_module().EXPORTS,
    ]
    return flat.pack(exports, key.encode())


def part(guest: str, number: int, of: int) -> bytes:
    """The object of a part of a guest's interpreter; the host's runtime is in the first."""
    from polyvm.emit import llvm_float
    from polyvm.engine import compile as compiler
    from polyvm.engine import entries, stencil
    from polyvm.engine import interpreter as tier0
    from polyvm.engine.guest import Guest
    from polyvm.engine.layout import ST

    isa, own = Guest(guest).isa, entries.Part(number, of)
    text = llvm_float.RUNTIME.replace("FP_MODE", str(ST["fp_mode"]))
    text += tier0.module(isa, *stencil.module(isa, own), own)
    if own.first:
        text = compiler.runtime_ir() + text
    return compiler.compile_object(text, passes=compiler.STRAIGHT)


def _start_part(guest: str, number: int, of: int) -> subprocess.Popen[bytes]:
    import subprocess

    command = interpreter_image.worker_command("part", guest, str(number), str(of))
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def _finish_part(process: subprocess.Popen[bytes]) -> bytes:
    made, _ = process.communicate()
    if process.returncode:
        raise PolyvmError(
            "PVM-COMPILE-FAILED", "A compiler process failed.", hint="What it said stands above.",
            status=process.returncode,
        )  # fmt: skip
    return made


def compile_unit(
    guest: str,
    pc: int,
    entries: list[int],
    observed: dict[int, list[int]],
    page: Callable[[int], bytes],
    *,
    hot: Iterable[int] = (),
    others: Iterable[int] = (),
    ran: Callable[[int], bytes] | None = None,
    kind: str = "",
    tries: int = 0,
    emitter: Callable[..., RegionEmitter] | None = None,
) -> bytes | None:
    """The image of the region around a hot address, or None when there is no code.

    page: the guest's executable bytes of the 4096-byte page at an address, shorter or empty where there are none.
    ran: for every two bytes of such a page, whether an instruction that begins there was executed, or BARRED: a byte
    each, none when all count as executed.
    entries: where else it should be entered, if it goes there. others: and where, if its own function goes
    there. kind: letters of layout (PRECISE and others).
    tries: how often it was compiled by now. hot: places that were found hot.
    """
    from polyvm.engine import discover
    from polyvm.engine.guest import Guest

    started = time.process_time()
    fetch = Pages(page)
    marks: dict[int, bytes] = {}

    def mark(address: int) -> int:
        base = address & -PAGE
        if base not in marks:
            assert ran is not None
            marks[base] = ran(base)
        return marks[base][address - base >> 1] if marks[base] else MET

    isa = Guest(guest).isa_of(kind)
    found = discover.discover(isa, fetch, pc, observed, entries=entries, ran=mark if ran else None, hot=hot)
    if found is None:
        return None
    more = [place for place in others if place in found.own and place not in found.entries]
    if more:
        entries = [*entries, *more[:MAX_ENTRIES]]
        found = discover.discover(
            isa, fetch, pc, observed, entries=entries, ran=mark if ran else None, hot=hot
        )
        assert found is not None
    return compile_region(
        isa, found, fetch, entries, kind=kind, tries=tries, emitter=emitter, started=started
    )


def compile_region(
    isa: Isa,
    found: Region,
    fetch: Callable[[int, int], bytes],
    entries: Iterable[int] = (),
    *,
    kind: str = "",
    tries: int = 0,
    emitter: Callable[..., RegionEmitter] | None = None,
    started: float | None = None,
) -> bytes:
    """The flat image of a region that was discovered in the code that `fetch` gives.

    entries: those that somebody asked for. started: the CPU time when looking for it began, now when left out.
    """
    import marshal

    from polyvm.engine import flatten, region

    started = time.process_time() if started is None else started
    made, image = lowered(isa, found, emitter or region.RegionEmitter, kind=kind)
    meta = {
        "pc": found.entry,
        "kind": kind,
        "asked": [entry for entry in entries if entry in found.entries],
        "entries": found.entries,
        "code": [(at, fetch(at, size)) for at, size in found.spans(found.blocks)],
        "own": found.spans(found.own),
        "unmet": sorted(found.unmet),
        "insns": found.insn_count,
        "tries": tries,
        "reach": made.reach,
        "hot": sorted(found.hot),
        "seen": [(block.insns[-1].pc, block.flow.seen) for block in found.blocks.values() if block.flow.seen],
        "compile_s": 0.0,
    }
    meta["compile_s"] = time.process_time() - started
    return flatten.flatten(image, ["unit"], marshal.dumps(meta))


def lowered(
    isa: Isa,
    found: Region,
    make: Callable[..., RegionEmitter],
    *,
    kind: str = "",
    look: Callable[[str, Any], object] = lambda text, module: None,
) -> tuple[RegionEmitter, bytes]:
    """The emitter of a region, and its object. look: told LLVM's text, and the module that the passes made of it."""
    from polyvm.engine import compile as compiler
    from polyvm.engine import flatten, region

    # LLVM loses the places of some loads that nobody uses the result of. When it did, these are used.
    machine = compiler.target_machine(2)
    lost: frozenset[int] = frozenset()
    for attempt in range(2):
        made = make(isa, found, kind=kind)
        made.kept = lost
        source = made.text("unit")
        # What level 2 does more takes half as long again, and gained nothing measurable on the benchmark's workloads.
        with compiler.optimised(machine, source, 1, loops=made.strips > 0, straight=False) as module:
            image = compiler.emit(machine, module)
            look(source, module)
            missing = made.marked - flatten.places(image) if made.marked else set()
            text = str(module) if missing and not attempt else ""
        lost = frozenset(
            pc for pc in missing if region.wall(pc) in text
        )  # and not as part of what is never run
        if not lost:
            break
    return made, image


def keep(folder: str, data: bytes, name_of: Callable[[int], str | None]) -> tuple[dict[str, Any], bool]:
    """Keep a region that was compiled while no guest waited for it, as the guest would have kept it: its description,
    and whether it could be written.
    """
    import marshal

    from polyvm.engine import image as images
    from polyvm.engine import unitfiles

    image = images.load(data)
    meta = marshal.loads(image.meta)
    image.unload()
    others = unitfiles.names(meta["pc"], meta["asked"], meta["entries"], meta["own"])
    return meta, unitfiles.store(folder, data, meta["pc"], others, name_of)


def prepared(guest: str, kind: str = "") -> Isa:
    """A guest's specification, with all that every compilation needs made once: forked compilers share it. kind: of the
    units, letters of layout."""
    from polyvm.engine import compile as compiler
    from polyvm.engine import discover, flatten, region
    from polyvm.engine.guest import Guest

    isa = Guest(guest).isa_of(kind)
    _ = isa.tree, discover, flatten, region
    compiler.target_machine(2)
    return isa


def pool(guest: str, path: str) -> None:
    """Serve compilations over a socket until nobody has asked for a while."""
    import _socket

    from polyvm.engine import cachedir
    from polyvm.engine.workers import at_socket

    _close_all()
    if os.fork():
        os._exit(0)
    temporary = f"{path}.{os.getpid()}"
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    at_socket(temporary, listener.bind)
    os.chmod(temporary, 0o600)
    listener.listen(64)
    os.rename(temporary, path)
    mine = os.stat(path).st_ino
    prepared(guest)
    os.chdir("/")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener.settimeout(IDLE_S)
    while True:
        try:
            fd, _address = listener._accept()  # type: ignore[attr-defined]  # typeshed has only socket's
        except TimeoutError:
            try:
                if os.stat(path).st_ino == mine:
                    os.unlink(path)
            except FileNotFoundError:
                pass
            cachedir.trim(os.path.dirname(path))
            return
        if os.fork():
            os.close(fd)
            continue
        listener.close()
        try:
            _serve(_socket.socket(fileno=fd))
        finally:
            os._exit(0)


def _close_all() -> None:
    """Whatever the guest has open, its pipes and sockets above all, must not stay open because of us."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                pass  # the listing's own


def _serve(sock: _socket.socket) -> None:
    """One guest process's compilations, in a process of its own, below the guest's own priority."""
    from polyvm.engine.workers import receive, send

    os.nice(5)
    sock.settimeout(None)
    while True:
        request = receive(sock)
        if request is None:
            return
        if request[0] == "rest":
            _finish(*request[1:])
            continue
        _, guest, pc, entries, observed, kind, tries, hot = request
        started = time.process_time()

        def ask(what: str, address: int) -> bytes:
            send(sock, (what, address))
            return receive(sock) or b""

        try:
            unit = compile_unit(
                guest,
                pc,
                entries,
                observed,
                lambda address: ask("page", address),
                ran=lambda address: ask("ran", address),
                hot=hot,
                kind=kind,
                tries=tries,
            )
            why = "no code"
        except (PolyvmError, SpecError, RecursionError) as error:
            unit, why = None, str(error)
        cpu = time.process_time() - started
        send(sock, ("unit", unit, cpu) if unit is not None else ("refused", why, cpu))


def _finish(
    guest: str,
    folder: str,
    key: str,
    jobs: list[tuple[int, list[int], str, int]],
    observed: dict[int, list[int]],
    hot: list[int],
    pages: dict[int, tuple[bytes, bytes]],
) -> None:
    """Compile what a guest that has ended still waited for, for the next time, and keep it as the guest would have.

    Only when nobody else does just that, not for long, and when nothing else wants the processor: it is a favour.
    """
    from polyvm.engine import unitfiles
    from polyvm.engine.workers import finishing

    if finishing(folder) is None:
        return  # and what is kept open here is the lock of this process until it ends
    _yield(14)
    nothing = b"", b""
    until = time.process_time() + REST_S
    done: set[int] = set()
    for number, (pc, entries, kind, tries) in enumerate(jobs):
        if time.process_time() > until:
            return
        if pc in done:
            continue

        def name_of(place: int, kind: str = kind) -> str | None:
            code = pages.get(place & -PAGE, nothing)[0]
            return unitfiles.name(key, place, kind, unitfiles.digest(code)) if code else None

        try:
            unit = compile_unit(
                guest, pc, entries, observed,
                lambda address: pages.get(address, nothing)[0],
                ran=lambda address: pages.get(address, nothing)[1],
                hot=hot, others=[job[0] for job in jobs[number + 1 :]], kind=kind, tries=tries,
            )  # fmt: skip
        except (PolyvmError, SpecError, RecursionError):
            continue  # it stays in tier 0
        if unit is not None:
            meta, _ = keep(folder, unit, name_of)
            done.update(meta["entries"])


def _yield(nice: int) -> None:
    """Have the processor only when hardly anybody else wants it: processes of another session, too."""
    os.nice(nice)
    try:
        os.setsid()
    except PermissionError:
        pass  # it is a session's first process already
    try:
        # Where Linux divides the processor among sessions first, a process's niceness counts within its session alone.
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(nice))
    except OSError:
        pass  # it does not


def _die_with_parent() -> None:
    """Nobody else wants what is made here, and it takes a processor for seconds."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def main() -> None:
    """What a worker process runs: `interpreter GUEST KEY` writes an image to its output, and `part GUEST NUMBER OF` an
    object of a part of it; `pool GUEST SOCKET` serves; `rest` compiles what a program left, which its input tells."""
    arguments = sys.argv[1:]
    if (len(arguments), arguments[:1]) in ((3, ["interpreter"]), (4, ["part"])):
        # Who asked may be gone when it is done: no reason for a traceback on somebody's terminal.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        _die_with_parent()
        guest, *rest = arguments[1:]
        _write(1, interpreter(guest, *rest) if len(rest) == 1 else part(guest, *map(int, rest)))
        return
    if len(arguments) == 3 and arguments[0] == "pool":
        pool(arguments[1], arguments[2])
        return
    if arguments == ["rest"]:
        import marshal

        _finish(*marshal.loads(sys.stdin.buffer.read())[1:])
        return
    sys.stderr.write(f"polyvm worker: not a request: {arguments}\n")
    raise SystemExit(2)
