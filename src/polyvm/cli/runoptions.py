"""The options of `polyvm run`, and how their values are read. What cannot be done yet is refused by name, here."""

from __future__ import annotations

import os

from polyvm.cli.options import DEBUG, FILE, FOLDER, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.cli.options import Values

FEATURES = ("pauth",)
TIERS = ("auto", "golden", "interpreter", "baseline", "region")
_ACCEL = "--accel jit runs every guest on every host; see polyvm doctor."


def seconds(text: str) -> float:
    """A length of time: 1.5, 30s, 500ms, 2m, 1h."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
    unit = next(unit for unit in units if text.endswith(unit))
    try:
        value = float(text.removesuffix(unit)) * units[unit]
    except ValueError:
        raise ValueError("is no length of time; times look like 30, 1.5, 500ms or 2m") from None
    if not 0 < value < 1e9:
        raise ValueError("is no length of time that can be waited for")
    return value


def size(text: str) -> int:
    """A number of bytes: 4096, 512K, 256M, 2G; powers of 1024."""
    number = text.upper().removesuffix("B").removesuffix("I")
    shift = {"K": 10, "M": 20, "G": 30, "T": 40}.get(number[-1:], 0)
    try:
        value = int(number[:-1] if shift else number) << shift
    except ValueError:
        raise ValueError("is no size; sizes look like 4096, 512K, 256M or 2G") from None
    if not 0 < value < 1 << 63:
        raise ValueError("is no size that memory can have")
    return value


def variable(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals or "\0" in text:
        raise ValueError("is not NAME=VALUE")
    return name, value


def bind(text: str) -> tuple[str, str, bool]:
    """HOST[:GUEST][:ro] as (host, guest, read-only)."""
    parts = text.split(":")
    readonly = parts[-1] == "ro" and len(parts) > 1
    if readonly:
        parts.pop()
    if len(parts) > 2 or not parts[0]:
        raise ValueError("is not HOST, HOST:GUEST or HOST:GUEST:ro")
    guest = parts[1] if len(parts) == 2 else parts[0]
    if not guest.startswith("/"):
        raise ValueError(f"names the guest's path {guest!r}, which must begin with /")
    return parts[0], guest, readonly


def destination(text: str) -> int | str:
    """A file's path, or fd:N for an open descriptor."""
    if not text.startswith("fd:"):
        if not text:
            raise ValueError("is neither a path nor fd:N")
        return text
    number = text[3:]
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise ValueError("is no descriptor; one looks like fd:3")
    return int(number)


def listening(text: str) -> tuple[str, int] | str:
    """PORT, HOST:PORT or unix:PATH, as (host, port) or a path."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or len(os.fsencode(path)) > 100:  # sockaddr_un has 108 bytes
            raise ValueError("names no path that a socket can have")
        return os.path.abspath(path)
    host, colon, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("is neither a port nor HOST:PORT nor unix:PATH")
    return host.strip("[]") if colon and host else "127.0.0.1", int(port)


_PLACE = "Where the program finds files"
_WORLD = "What the program is given"
_HOW = "How it is run"
_TELL = "What is told about it"
_CALLER = "For programs that start polyvm"

COMMAND = Command(
    "run",
    usage=("[OPTIONS] PROGRAM [ARGS...]",),
    about="""
Runs a Linux program built for another processor, in this process: it has this terminal, these files and this user, and
its exit status is that of polyvm. Options of polyvm stand before PROGRAM; everything behind it belongs to the program.

The first run ever compiles the interpreter, which takes some seconds. What a program's hot loops are compiled to is
kept as well, so a second run compiles nothing. POLYVM_LOG=info in the environment says what is compiled, taken from
the cache and dropped; POLYVM_LOG=debug,FILE says more, to a file.
""",
    arguments=(
        ("PROGRAM", "The program's file: static, static-PIE, or dynamic with --sysroot or --root."),
        ("ARGS", "The program's own arguments."),
    ),
    examples=(
        ("A static program", "polyvm run ./hello-riscv64 its arguments"),
        ("A dynamic one, with a cross toolchain's libraries", "polyvm run --sysroot /usr/riscv64-linux-gnu ./program"),
        ("One from another system's files, which sees nothing else", "polyvm run --root ./rootfs --bind /tmp /bin/sh"),
        ("See what was executed and how long it took", "polyvm run --stats ./program"),
        ("At most ten seconds and 256 MiB", "polyvm run --timeout 10 --memory 256M ./program"),
    ),
    options=(
        Option("--sysroot", "DIR", "Take the dynamic linker and libraries from DIR, all other files from this system.",
               env="POLYVM_SYSROOT", group=_PLACE, complete=FOLDER),
        Option("--root", "DIR", "Show the program nothing but DIR; PROGRAM is a path in it.", group=_PLACE,
               complete=FOLDER),
        Option("--bind", "HOST[:GUEST][:ro]", "With --root: show HOST as well, at GUEST, read-only with :ro.",
               convert=bind, many=True, group=_PLACE, complete=FOLDER),
        Option("--cwd", "DIR", "Start the program in DIR.", group=_PLACE, complete=FOLDER),
        Option("--argv0", "NAME", "What the program is told as its own name, instead of PROGRAM.", group=_WORLD),
        Option("--env", "NAME=VALUE", "Set an environment variable.", convert=variable, many=True, group=_WORLD),
        Option("--unset-env", "NAME", "Remove an environment variable.", many=True, group=_WORLD),
        Option("--memory", "SIZE", "At most SIZE bytes of memory; more is ENOMEM.", convert=size, group=_WORLD),
        Option("--timeout", "TIME", "End the program after TIME (1.5, 500ms, 2m), with exit status 124.",
               convert=seconds, group=_WORLD),
        Option("--tier", "TIER", "How code is executed: by the golden evaluator, the interpreter, the interpreter and "
               "stencils, the optimising compiler, or whatever pays.", choices=TIERS, default="auto", group=_HOW),
        Option("--policy", "POLICY", "Which hot code is compiled: what wins more than it costs, or all of it (eager), "
               "so that the cache has it for later runs.", choices=("heuristic", "eager"), default="heuristic",
               group=_HOW, planned={"learned": "--policy heuristic is the default."}),
        Option("--code-cache", "SIZE", "Compiled code in memory, of stencils and of regions each: more is given up, "
               "and made again or taken from the disk when it is needed. More than 384M is not used.", convert=size,
               group=_HOW, default="64M"),
        Option("--profile-in", "FILE", "Compile by what runs before have shown, as --profile-out has written it; given "
               "more than once, by all together.", many=True, group=_HOW, complete=FILE),
        Option("--backend", "BACKEND", "Which compiler is used.", choices=("llvm",), default="llvm", group=_HOW,
               planned={"cranelift": "--backend llvm is the default."}),
        Option("--accel", "ACCEL", "Who executes.", choices=("jit",), default="jit", group=_HOW,
               planned=dict.fromkeys(("kvm", "hvf", "whp"), _ACCEL)),
        Option("--exact-exclusives", "", "Have a store-exclusive (aarch64) or SC (riscv64) fail when another thread "
               "stored in between, not only when the value differs. Between the two a thread runs alone: slow.",
               group=_HOW),
        Option("--feature", "NAME", "Give the guest's processor what it has only where it is asked for: pauth, pointer "
               "authentication with keys (aarch64).", many=True, group=_HOW, choices=FEATURES),
        Option("--vlen", "BITS", "Have the riscv64 guest's vector extension (V), with registers of so many bits.",
               choices=("128", "256", "512"), group=_HOW),
        Option("--lockstep", "", "Have the golden evaluator do the same and compare all registers, and all memory "
               "that is written; for programs of one thread, some million instructions a second.", group=_HOW),
        Option("--stats", "", "Print a summary on standard error at the end.", group=_TELL),
        Option("--strace", "", "Print each system call on standard error.", group=_TELL),
        Option("--perf", "KIND", "Tell Linux's perf the names of compiled code: in /tmp/perf-PID.map, or as a jitdump "
               "in $JITDUMPDIR or here.", choices=("map", "jitdump"), group=_TELL),
        Option("--profile-out", "FILE", "Write what the run has shown to FILE, or to a descriptor as fd:N: what was "
               "executed, what was hot, where jumps went. For polyvm aot, and for --profile-in.", convert=destination,
               group=_TELL, complete=FILE),
        Option("--record", "FILE", "Record the run in FILE, or to a descriptor as fd:N, for polyvm report: where its "
               "time went, and what was compiled.", convert=destination, group=_TELL, complete=FILE),
        Option("--live", "FILE", "Keep FILE up to date with what the program does, for polyvm inspect --watch.",
               convert=destination, group=_TELL, complete=FILE),
        Option("--gdb", "PORT", "Stop before the first instruction, and wait at PORT of this machine, HOST:PORT or "
               "unix:PATH for gdb's `target remote`; port 0 takes one that is free and says which.",
               convert=listening, group=_TELL),
        Option("--quiet", "", "Say nothing about what is being compiled.", group=_TELL),
        Option("--result-file", "FILE", "Write a polyvm.run/1 document to FILE, or to a descriptor as fd:N; also when "
               "the program fails or dies.", convert=destination, group=_CALLER, complete=FILE),
        Option("--json", "", "Print an error of polyvm itself as JSON, alone on standard error.", group=_CALLER),
        Option("--environ", "FILE", "Take the whole environment from FILE or fd:N, as NAME=VALUE, each ended by a zero "
               "byte.", convert=destination, group=_CALLER, complete=FILE),
        Option("--errors", "WHERE", "Where an error of polyvm itself is told.", choices=("stderr", "result-file"),
               default="stderr", group=_CALLER),
        DEBUG,
        Option("--core", "FILE", later="On a crash, registers, backtrace, mapping and code go to standard error."),
        Option("--aslr", later="Addresses are the same in every run."),
    ),
    stops=True,
    takes=(1, None),
    complete=FILE,
)  # fmt: skip


def check_world(command: Command, values: Values) -> None:
    """Refuse options about files and the environment that contradict each other. Raises PVM-USAGE."""
    from polyvm.cli.options import usage

    if values.bind and values.root is None:
        raise usage(
            command,
            "--bind adds to what --root shows, and there is no --root.",
            "Without --root the program sees all files of this system.",
        )
    if values.root is not None and values.sysroot is not None:
        if "sysroot" in values.given:
            raise usage(command, "--sysroot and --root are two ways to find files; use one.")
        values.sysroot = None  # only a default, from the environment
    if values.environ is not None and (values.env or values.unset_env):
        raise usage(
            command, "--environ gives the whole environment; --env and --unset-env change the caller's."
        )


def check(values: Values) -> None:
    """Refuse options that contradict each other. Raises PVM-USAGE."""
    from polyvm.cli.options import usage

    check_world(COMMAND, values)
    if values.lockstep and values.tier == "golden":
        raise usage(
            COMMAND,
            "--lockstep compares a tier with the golden evaluator, and --tier golden is that.",
            "Leave --tier out, or name another.",
        )
    if values.lockstep and values.vlen is not None:
        raise usage(
            COMMAND,
            "--lockstep compares what native code does with the golden evaluator, and has no vectors.",
            "Use one of the two.",
        )
    if values.lockstep and values.exact_exclusives:
        raise usage(
            COMMAND,
            "--lockstep is for programs of one thread, in which --exact-exclusives changes nothing.",
            "Use one of the two.",
        )
    if values.lockstep and values.gdb is not None:
        raise usage(
            COMMAND,
            "--lockstep compares whole stretches of code, and --gdb stops in the middle of them.",
            "Use one of the two; --gdb works with every --tier.",
        )
    if values.errors == "result-file" and values.result_file is None:
        raise usage(COMMAND, "--errors result-file needs a --result-file.")
