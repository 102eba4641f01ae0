"""The one family of errors: a stable code, one sentence, the context, a hint, and a page in the docs.

Everything raised to a user is a PolyvmError whose code stands in CODES; a code that is not there is refused.
The module imports nothing, so that every other one may import it, on the warm path too.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeAlias

    Json: TypeAlias = dict[str, Any]

SCHEMA = "polyvm.error/1"
PAGES = "docs/errors/"

# Context keys whose integers are addresses or instruction words: shown in hexadecimal, everything else in decimal.
ADDRESS_KEYS = frozenset(
    ("pc", "addr", "address", "start", "end", "limit", "target", "entry", "base", "sp", "ra", "value", "word", "insn",
     "encoding", "mask", "match")
)  # fmt: skip


class CodeInfo:
    """What the table knows of a code: one sentence, and the exit status of a process that ends because of it."""

    __slots__ = ("exit_status", "summary")

    def __init__(self, summary: str, exit_status: int = 125) -> None:
        self.summary = summary
        self.exit_status = exit_status

    def __repr__(self) -> str:
        return f"CodeInfo({self.summary!r}, {self.exit_status})"


CODES: dict[str, CodeInfo] = {
    # The program to run, as a file.
    "PVM-FILE-MISSING": CodeInfo("There is no such file.", 127),
    "PVM-FILE-DENIED": CodeInfo("The file is there, but this user may not read or run it.", 126),
    "PVM-FILE-DIRECTORY": CodeInfo("A directory stands where a file is needed.", 126),
    "PVM-FILE-IO": CodeInfo("The host failed while reading or writing a file.", 126),
    # The program to run, as an ELF image.
    "PVM-ELF-TRUNCATED": CodeInfo("The ELF file ends before the data that its headers promise.", 126),
    "PVM-ELF-INVALID": CodeInfo("The file is no ELF program, or its headers contradict themselves.", 126),
    "PVM-ELF-CLASS": CodeInfo("The ELF file is a 32-bit one; guests are 64-bit.", 126),
    "PVM-ELF-ENDIAN": CodeInfo("The ELF file is big-endian; guests are little-endian.", 126),
    "PVM-ELF-MACHINE": CodeInfo("The ELF file is for a processor that is no guest here.", 126),
    "PVM-ELF-INTERP": CodeInfo("The program's dynamic linker is missing or cannot be used.", 126),
    # How polyvm was called, and what this machine and installation can do.
    "PVM-USAGE": CodeInfo("An option or argument is unknown, missing, or has a bad value."),
    "PVM-UNSUPPORTED": CodeInfo("This is not supported, and is refused rather than done wrongly."),
    "PVM-EXTRA-MISSING": CodeInfo("An optional package is not installed."),
    "PVM-HOST-UNSUPPORTED": CodeInfo("This host cannot carry the guest."),
    "PVM-RESOURCE": CodeInfo("The host is out of memory, descriptors, processes or disk space."),
    "PVM-TIMEOUT": CodeInfo("The guest was ended because its time was up.", 124),
    # Bare code from Python.
    "PVM-MEMORY-FAULT": CodeInfo("Guest memory was accessed where it is not mapped, or not allowed."),
    "PVM-MEMORY-MAP": CodeInfo("Guest memory cannot be mapped as asked."),
    "PVM-REGISTER-UNKNOWN": CodeInfo("The guest has no register of this name."),
    "PVM-GUEST-TRAP": CodeInfo("The guest raised an exception that nobody handles."),
    # Accelerators and virtual machines.
    "PVM-ACCEL-UNAVAILABLE": CodeInfo("An accelerator cannot be used on this host."),
    "PVM-ACCEL-CAPABILITY": CodeInfo("An accelerator lacks what is asked of it."),
    "PVM-ACCEL-REFUSED": CodeInfo("An accelerator refuses a call or a value."),
    "PVM-ACCEL-SLOTS": CodeInfo("A virtual machine has no more memory slots."),
    "PVM-VCPU-EXIT": CodeInfo("A virtual processor asks for what nobody serves."),
    "PVM-VCPU-FAILED": CodeInfo("A virtual processor cannot go on."),
    # Instructions: decoding, text, and the specification language.
    "PVM-DECODE-UNKNOWN": CodeInfo("These bytes are no instruction that the guest's specification knows."),
    "PVM-INSN-UNKNOWN": CodeInfo("The specification has no instruction of this name."),
    "PVM-ASM-SYNTAX": CodeInfo("This text is not an instruction in the specification's syntax."),
    "PVM-SPEC-ENCODING": CodeInfo(
        "An encoding string in the specification is malformed or overlaps another."
    ),
    "PVM-SPEC-BODY": CodeInfo("A semantics function does what the specification language forbids."),
    "PVM-SPEC-VERIFY": CodeInfo("A trace breaks a rule that every trace must obey."),
    # Compiling, and the code cache.
    "PVM-COMPILE-FAILED": CodeInfo("The compiler refused or failed to compile generated code."),
    "PVM-WORKER-DIED": CodeInfo("A compile process ended before it answered."),
    "PVM-CACHE-UNTRUSTED": CodeInfo("The code cache's folder could have been changed by another user."),
    "PVM-CACHE-DAMAGED": CodeInfo("Entries of the code cache do not match their checksums."),
    "PVM-RECORDING-REFUSED": CodeInfo("A recording is damaged, or of another version, and is not read."),
    "PVM-PROFILE-REFUSED": CodeInfo("A profile is damaged, or of another guest or version, and is not used."),
    "PVM-LOCKSTEP-DIFFERS": CodeInfo("Compiled code and the golden evaluator disagree."),
    # GPU compute.
    "PVM-GPU-DEVICE": CodeInfo("There is no such GPU device, or it is not there any more."),
    "PVM-GPU-ARGUMENT": CodeInfo("A GPU call was given a size, handle, name or argument that does not fit."),
    "PVM-GPU-MEMORY": CodeInfo("A GPU device is out of memory, or a context's limit is reached."),
    "PVM-GPU-COMPILE": CodeInfo("A kernel's source does not compile."),
    "PVM-GPU-PTX": CodeInfo("A text is not PTX, or contradicts itself."),
    "PVM-GPU-FAULT": CodeInfo("A GPU kernel did something that is not allowed, and was ended."),
    "PVM-GPU-TIMEOUT": CodeInfo("A GPU kernel was ended because its time was up."),
    "PVM-GPU-API": CodeInfo("A GPU's driver refused a call."),
    # Benchmarks.
    "PVM-PEER-MISSING": CodeInfo("A peer named for the benchmark is not installed."),
    "PVM-BENCH-BUILD": CodeInfo("A benchmark's workload could not be built or fetched."),
    "PVM-BENCH-MISMATCH": CodeInfo("A benchmark's output has the wrong checksum."),
    # The rest.
    "PVM-SEVERAL": CodeInfo("Several failures happened at once."),
    "PVM-INTERNAL": CodeInfo("A mistake in polyvm itself."),
}


class PolyvmError(Exception):
    """An error that a user sees: `code`, `message` (one sentence), `context`, `hint`, `exit_status`.

    The context is what the layers on the way up knew: guest, tier, pc, symbol, bytes, path, errno...
    """

    code: str
    message: str
    hint: str | None
    context: dict[str, object]
    exit_status: int

    def __init__(self, code: str, message: str, /, *, hint: str | None = None, **context: object) -> None:
        self.exit_status = CODES[code].exit_status
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.hint = hint
        self.context = context

    def add_context(self, /, **context: object) -> Self:
        """Add what an outer layer knows; what an inner one said already stays."""
        for key, value in context.items():
            if self.context.get(key) is None:
                self.context[key] = value
        return self

    @property
    def docs(self) -> str:
        """The page about this code, as a path in the repository."""
        return f"{PAGES}{self.code}.md"

    def to_json(self) -> Json:
        """This error as a polyvm.error/1 document."""
        return document(self)

    def render(self) -> str:
        """This error as lines for a person, without a newline at the end."""
        return render(self)

    def __str__(self) -> str:
        known = ", ".join(f"{key}={_text(key, value)}" for key, value in self.context.items())
        return f"{self.code}: {self.message}" + (f" ({known})" if known else "")

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from workers to us: the cause goes along, and nothing that could fail to be pickled does.
        context = {key: _plain(value) for key, value in self.context.items()}
        return _rebuild, (type(self), self.code, self.message, self.hint, context, _portable(self.__cause__))


def from_oserror(error: OSError, what: str | None = None, /, **context: object) -> PolyvmError:
    """The PolyvmError for an OSError; the only place that turns one into the other. Raise it `from error`.

    what: the sentence's subject, as in "Cannot open the program"; path and errno join the context.
    """
    import errno as numbers

    number = error.errno
    code = {
        numbers.ENOENT: "PVM-FILE-MISSING",
        numbers.ENOTDIR: "PVM-FILE-MISSING",
        numbers.EACCES: "PVM-FILE-DENIED",
        numbers.EPERM: "PVM-FILE-DENIED",
        numbers.ETXTBSY: "PVM-FILE-DENIED",
        numbers.EROFS: "PVM-FILE-DENIED",
        numbers.EISDIR: "PVM-FILE-DIRECTORY",
        numbers.ENOMEM: "PVM-RESOURCE",
        numbers.EMFILE: "PVM-RESOURCE",
        numbers.ENFILE: "PVM-RESOURCE",
        numbers.EAGAIN: "PVM-RESOURCE",
        numbers.ENOSPC: "PVM-RESOURCE",
        numbers.EDQUOT: "PVM-RESOURCE",
    }.get(number if number is not None else 0, "PVM-FILE-IO")
    reason = error.strerror or str(error) or type(error).__name__
    made = PolyvmError(code, f"{what}: {reason}." if what else f"{reason}.").add_context(**context)
    name = numbers.errorcode.get(number) if number is not None else None
    path = error.filename
    if isinstance(path, bytes):
        path = path.decode("utf-8", "surrogateescape")
    return made.add_context(**({} if path is None else {"path": path}), errno=name if name else number)


def from_exception(error: BaseException) -> PolyvmError | BaseExceptionGroup[Any]:
    """What a user is shown for any exception: ours and groups as they are, an OSError converted, else internal."""
    if isinstance(error, PolyvmError | BaseExceptionGroup):
        return error
    if isinstance(error, OSError):
        made = from_oserror(error)
    elif isinstance(error, MemoryError):
        made = PolyvmError("PVM-RESOURCE", "The host has no more memory for this process.")
    else:
        made = PolyvmError(
            "PVM-INTERNAL",
            f"An unexpected {type(error).__name__}: {error}",
            hint="Please report it, with the traceback that --debug prints.",
        )
    made.__cause__ = error
    return made


def exit_status(error: BaseException) -> int:
    """The status with which a process ends because of this error; a group has its members', or 125."""
    if isinstance(error, PolyvmError):
        return error.exit_status
    if isinstance(error, BaseExceptionGroup):
        members = {exit_status(member) for member in error.exceptions}
        return members.pop() if len(members) == 1 else CODES["PVM-SEVERAL"].exit_status
    return CODES["PVM-INTERNAL"].exit_status


def document(error: BaseException) -> Json:
    """A polyvm.error/1 document, as plain data for json.dumps."""
    from polyvm import __version__

    return {"schema": SCHEMA, "polyvm": __version__, **body(error)}


def body(error: BaseException) -> Json:
    """An error as other documents hold it: polyvm.error/1 without the two keys of a document."""
    code: str | None = None
    context: dict[str, object] = {}
    hint: str | None = None
    errors: list[Json] = []
    if isinstance(error, PolyvmError):
        code, message, hint = error.code, error.message, error.hint
        context = {key: _json_value(key, value) for key, value in error.context.items()}
    elif isinstance(error, BaseExceptionGroup):
        code, message = "PVM-SEVERAL", str(error.message)
        errors = [body(member) for member in error.exceptions]
    else:
        message = _foreign(error)
    return {
        "code": code,
        "message": message,
        "context": context,
        "hint": hint,
        "docs": None if code is None else f"{PAGES}{code}.md",
        "causes": [body(cause) for cause in causes(error)],
        "errors": errors,
    }


def causes(error: BaseException) -> list[BaseException]:
    """The chain of explicit causes, nearest first."""
    chain: list[BaseException] = []
    cause = error.__cause__
    while cause is not None and cause is not error and cause not in chain:
        chain.append(cause)
        cause = None if isinstance(cause, BaseExceptionGroup) else cause.__cause__
    return chain


def render(error: BaseException, indent: str = "") -> str:
    """An error as lines for a person. Control characters are escaped: paths and names may be the guest's."""
    if isinstance(error, PolyvmError):
        lines = [f"{indent}{error.code}: {printable(error.message)}"]
        lines += [f"{indent}  {key}: {printable(_text(key, value))}" for key, value in error.context.items()]
    elif isinstance(error, BaseExceptionGroup):
        lines = [f"{indent}PVM-SEVERAL: {printable(str(error.message))}"]
        lines += [render(member, indent + "  ") for member in error.exceptions]
    else:
        lines = [f"{indent}{printable(_foreign(error))}"]
    for cause in causes(error):
        lines.append(f"{indent}  cause: {printable(_foreign(cause))}")
        if isinstance(cause, BaseExceptionGroup):
            lines += [render(member, indent + "    ") for member in cause.exceptions]
    if isinstance(error, PolyvmError):
        if error.hint:
            lines.append(f"{indent}  hint: {printable(error.hint)}")
        lines.append(f"{indent}  page: {error.docs}")
    return "\n".join(lines)


def _foreign(error: BaseException) -> str:
    """An exception in one line; ours start with their code already."""
    if isinstance(error, PolyvmError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def printable(text: str) -> str:
    """Text with its control characters escaped: names and paths may be the guest's, and the terminal is ours."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def _text(key: str, value: object) -> str:
    """A context value for a person."""
    if isinstance(value, int) and not isinstance(value, bool) and key in ADDRESS_KEYS:
        return hex(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex(" ")
    if isinstance(value, list | tuple):
        return ", ".join(_text(key, item) for item in value)
    return str(value)


def _json_value(key: str, value: object) -> object:
    """A context value as JSON: addresses and bytes as text, what JSON has no word for as its str()."""
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        return hex(value) if key in ADDRESS_KEYS else int(value)
    if isinstance(value, list | tuple):
        return [_json_value(key, item) for item in value]
    if isinstance(value, dict):
        return {str(name): _json_value(str(name), item) for name, item in value.items()}
    return _text(key, value)


def _plain(value: object) -> object:
    """A context value that any process can unpickle."""
    if value is None or type(value) in (str, int, bool, float, bytes):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return str(value)


def _portable(error: BaseException | None) -> BaseException | None:
    """A cause that any process can unpickle: ours and the host's stay, a foreign one becomes its own words."""
    if error is None or isinstance(error, PolyvmError):
        return error
    if isinstance(error, OSError | MemoryError) and type(error).__module__ == "builtins":
        return error
    if isinstance(error, BaseExceptionGroup):
        members = [_portable(member) or RuntimeError(_foreign(member)) for member in error.exceptions]
        return BaseExceptionGroup(error.message, members)
    return RuntimeError(_foreign(error))


def _rebuild(
    kind: type[PolyvmError],
    code: str,
    message: str,
    hint: str | None,
    context: dict[str, object],
    cause: BaseException | None,
) -> PolyvmError:
    error = kind.__new__(kind, code, message)
    PolyvmError.__init__(error, code, message, hint=hint, **context)
    error.__cause__ = cause
    return error
