"""strace text from the declarations: one line a call on standard error's descriptor, as it was when we started.

It refuses to know any call: what it prints follows from the types of the arguments.
"""

from __future__ import annotations

import errno
import os

from polyvm.memory.access import GuestFault
from polyvm.user import openflags, signals
from polyvm.user.dispatch import Call
from polyvm.user.paths import AT_FDCWD, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process
    from polyvm.user.syscalls.table import Declaration
    from polyvm.user.thread import Thread

STRING_BYTES = 32
_RESTARTS = {
    -512: "ERESTARTSYS",
    -513: "ERESTARTNOINTR",
    -514: "ERESTARTNOHAND",
    -516: "ERESTART_RESTARTBLOCK",
}
_OPEN_FLAGS = {
    0o100: "O_CREAT", 0o200: "O_EXCL", 0o400: "O_NOCTTY", 0o1000: "O_TRUNC", 0o2000: "O_APPEND", 0o4000: "O_NONBLOCK",
    0o10000: "O_DSYNC", 0x4000: "O_DIRECT", 0x8000: "O_LARGEFILE", 0x10000: "O_DIRECTORY", 0x20000: "O_NOFOLLOW",
    0o1000000: "O_NOATIME", 0o2000000: "O_CLOEXEC", 0o10000000: "O_PATH", 0o20000000: "O_TMPFILE",
}  # fmt: skip
_AT_FLAGS = {
    0x100: "AT_SYMLINK_NOFOLLOW", 0x200: "AT_EACCESS", 0x400: "AT_SYMLINK_FOLLOW", 0x800: "AT_NO_AUTOMOUNT",
    0x1000: "AT_EMPTY_PATH",
}  # fmt: skip
_POINTERS = ("ptr", "inout", "stat", "iov", "strings")
_PROT = {1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC"}
_MAP = {
    1: "MAP_SHARED", 2: "MAP_PRIVATE", 0x10: "MAP_FIXED", 0x20: "MAP_ANONYMOUS", 0x100: "MAP_GROWSDOWN",
    0x2000: "MAP_LOCKED", 0x4000: "MAP_NORESERVE", 0x8000: "MAP_POPULATE", 0x20000: "MAP_STACK",
    0x100000: "MAP_FIXED_NOREPLACE",
}  # fmt: skip


class Strace:
    """Prints the calls of a process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.fd = process.hide(os.dup(2))

    def wrap(self, call: Call, found: Declaration | None) -> Call:
        """A call that prints itself."""
        arguments = found.arguments if found is not None else [(str(i), "hex") for i in range(6)]

        def run(thread: Thread, *values: int) -> int | None:
            parts = [
                "" if kind == "out" else self._argument(thread, kind, values, i)
                for i, (_, kind) in enumerate(arguments)
            ]
            if call.name in ("exit", "exit_group", "rt_sigreturn", "execve", "execveat"):
                self._print(thread, f"{call.name}({', '.join(parts)})")
            result = call.run(thread, *values)
            if result is not None:
                for i, (_, kind) in enumerate(arguments):
                    if kind == "out":
                        parts[i] = self._out(thread, arguments, values, i, result)
                self._print(thread, f"{call.name}({', '.join(parts)}) = {self._result(result)}")
            return result

        return Call(call.name, run, call.restart)

    def _print(self, thread: Thread, line: str) -> None:
        os.write(self.fd, f"[{thread.tid}] {line}\n".encode("utf-8", "backslashreplace"))

    def _argument(self, thread: Thread, kind: str, values: tuple[int, ...], i: int) -> str:
        value = values[i]
        if kind in ("path", "lpath", "name", "str"):
            return self._string(thread, value)
        if kind == "in" and i + 1 < len(values):
            return self._bytes(thread, value, values[i + 1])
        if kind == "at" and signed(value) == AT_FDCWD:
            return "AT_FDCWD"
        if kind in ("fd", "at", "int", "pid"):
            return str(signed(value))
        if kind in ("long", "off"):
            return str(value - (1 << 64) if value >> 63 else value)
        if kind in ("uint", "size", "clock"):
            return str(value)
        if kind == "mode":
            return oct(value & 0o7777).replace("0o", "0")
        if kind == "sig":
            return signals.name(signed(value))
        if kind == "open_flags":
            value = openflags.from_guest(thread.process.abi, value)
            access = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")[value & 3]
            return "|".join([access, *_names(value & ~3, _OPEN_FLAGS)])
        if kind in ("at_flags", "at_follow"):
            return "|".join(_names(value, _AT_FLAGS)) or "0"
        if kind == "prot":
            return "|".join(_names(value, _PROT)) or "PROT_NONE"
        if kind == "map_flags":
            return "|".join(_names(value, _MAP))
        return hex(value) if value else "NULL" if kind in _POINTERS else "0"

    def _out(
        self, thread: Thread, arguments: list[tuple[str, str]], values: tuple[int, ...], i: int, result: int
    ) -> str:
        """What a call wrote, where its result says how much."""
        sized = i + 1 < len(arguments) and arguments[i + 1][1] == "size"
        return self._bytes(thread, values[i], result) if result > 0 and sized else hex(values[i])

    def _string(self, thread: Thread, address: int) -> str:
        if not address:
            return "NULL"
        try:
            return _quote(thread.space.read_cstr(address, 4096))
        except GuestFault:
            return hex(address)

    def _bytes(self, thread: Thread, address: int, size: int) -> str:
        if not 0 < size < 1 << 40:
            return hex(address)
        try:
            shown = _quote(thread.space.read(address, min(size, STRING_BYTES)))
        except GuestFault:
            return hex(address)
        return shown + ("..." if size > STRING_BYTES else "")

    def _result(self, result: int) -> str:
        if result in _RESTARTS:
            return f"? {_RESTARTS[result]}"
        if -4096 < result < 0:
            name = errno.errorcode.get(-result, str(-result))
            return f"-1 {name} ({os.strerror(-result)})"
        return str(result) if result < 1 << 20 else hex(result)


def _names(value: int, table: dict[int, str]) -> list[str]:
    names = [name for bit, name in table.items() if value & bit]
    rest = value & 0xFFFFFFFF & ~sum(table)
    return [*names, hex(rest)] if rest else names


def _quote(data: bytes) -> str:
    text = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else _escape(b) for b in data)
    return f'"{text}"'


def _escape(byte: int) -> str:
    return {10: "\\n", 9: "\\t", 13: "\\r", 34: '\\"', 92: "\\\\", 0: "\\0"}.get(byte, f"\\x{byte:02x}")
