"""A small client of GDB's remote serial protocol, and `polyvm run --gdb` under it."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyvm.debug import gdbwire
from tests import toolchain
from tests.processes import measuring, unmeasured

TIMEOUT_S = 60.0
PC = {"riscv64": 32, "aarch64": 32}
"""The program counter's number in the debugger."""
SP = {"riscv64": 2, "aarch64": 31}
ARGUMENT = {"riscv64": 10, "aarch64": 0}


class Client:
    """A connection. `acks`: whether packets are acknowledged, until start_no_ack()."""

    def __init__(self, where: Path | tuple[str, int]) -> None:
        family = socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(str(where) if isinstance(where, Path) else where)
        self.reader = gdbwire.Reader(1 << 20)
        self.found: Iterator[tuple[str, bytes]] = iter(())

    def close(self) -> None:
        self.socket.close()

    def send(self, packet: bytes) -> None:
        self.socket.sendall(gdbwire.frame(packet))

    def heard(self) -> tuple[str, bytes]:
        """The next thing that the other side says; ("closed", b"") at the end."""
        while True:
            for found in self.found:
                return found
            data = self.socket.recv(1 << 16)
            if not data:
                return "closed", b""
            self.found = self.reader.feed(data)

    def reply(self) -> bytes:
        """The next packet. Raises ConnectionError at the end."""
        while True:
            kind, payload = self.heard()
            if kind == "packet":
                return payload
            if kind == "closed":
                raise ConnectionError("closed")
            assert kind == "ack", kind

    def ask(self, packet: bytes | str) -> bytes:
        self.send(packet.encode() if isinstance(packet, str) else packet)
        return self.reply()

    def interrupt(self) -> None:
        self.socket.sendall(gdbwire.INTERRUPT)

    def start(self, *features: str) -> set[str]:
        """As gdb begins; the features that the other side has."""
        found = self.ask("qSupported:" + ";".join(("swbreak+", "hwbreak+", *features))).decode().split(";")
        assert self.ask("QStartNoAckMode") == b"OK"
        return set(found)

    # -- what a debugger does with it
    def register(self, number: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}").decode()), "little")

    def set_register(self, number: int, value: int) -> None:
        assert self.ask(f"P{number:x}={value.to_bytes(8, 'little').hex()}") == b"OK"

    def memory(self, address: int, size: int) -> bytes:
        return bytes.fromhex(self.ask(f"m{address:x},{size:x}").decode())

    def long(self, address: int) -> int:
        return int.from_bytes(self.memory(address, 8), "little")

    def threads(self) -> list[int]:
        found = self.ask("qfThreadInfo")
        assert found[:1] == b"m"
        assert self.ask("qsThreadInfo") == b"l"
        return [int(tid.rpartition(b".")[2], 16) for tid in found[1:].split(b",")]

    def whole(self, object: str, annex: str = "", size: int = 0x80) -> bytes:
        """A qXfer object, in small parts."""
        data = b""
        while True:
            part = self.ask(f"qXfer:{object}:read:{annex}:{len(data):x},{size:x}")
            assert part[:1] in (b"m", b"l"), part
            data += part[1:]
            if part[:1] == b"l":
                return data


def stop(reply: bytes) -> tuple[int, dict[str, str]]:
    """A stop reply's signal, as GDB counts, and what else it says."""
    assert reply[:1] == b"T", reply
    pairs = (pair.split(":") for pair in reply[3:].decode().split(";") if pair)
    return int(reply[1:3], 16), dict(pairs)


class Debuggee:
    """A program that runs under --gdb: its process, and a client that is connected."""

    def __init__(
        self, process: subprocess.Popen[str], where: Path | tuple[str, int], program: Path, guest: str
    ) -> None:
        self.process = process
        self.where = where
        self.guest = guest
        self.symbols = symbols(program)
        self.client = Client(where)

    def pc(self) -> int:
        return self.client.register(PC[self.guest])

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: the status, and what it wrote."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out, err


PLAIN = (sys.executable, "-m", "polyvm")
_SHARING = """
from polyvm.cli.main import main
from polyvm.user.process import Process
Process.set_apart = lambda process, keep=(): process.block_all()
main()
"""
SHARED = (sys.executable, "-c", _SHARING)
"""polyvm on a host that gives its threads no descriptors of their own."""
_TRACING = """
import threading
from polyvm.cli.main import main
from polyvm.engine import fault
fault.start_thread = lambda body, *given: threading.Thread(target=body, args=given, daemon=True).start()
main()
"""
TRACED = (sys.executable, "-c", _TRACING)
"""polyvm whose own threads are Python's: coverage sees no others before Python 3.12."""


@contextmanager
def debugged(
    guest: str,
    folder: Path,
    *words: str,
    options: tuple[str, ...] = (),
    program: Path | None = None,
    named: str | None = None,
    measured: bool = True,
    polyvm: tuple[str, ...] = PLAIN,
    port: str | None = None,
    **kwargs: Any,
) -> Iterator[Debuggee]:
    """tests/guests/debugged.c under --gdb, which has stopped before its first instruction.

    named: the program's name for the guest, below --root. port: where it listens, in place of a socket in the folder.
    measured: whether coverage looks. kwargs: for Popen.
    """
    program = program or toolchain.build("debugged.c", guest)
    if not measured:
        kwargs["env"] = unmeasured()
    elif measuring() and polyvm == PLAIN:
        polyvm = TRACED
    where = port or f"unix:{folder / 'socket'}"
    process = subprocess.Popen(
        [*polyvm, "run", "--quiet", "--gdb", where, *options, named or program, *words],
        stdin=kwargs.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        told = re.search(r"waits for a debugger at (?:([\d.]+):(\d+)|(/\S+)): ", line)
        assert told, line + process.stderr.read()
        place = Path(told[3]) if told[3] else (told[1], int(told[2]))
        found = Debuggee(process, place, program, guest)
        yield found
        found.client.close()
    finally:
        process.kill()
        process.communicate()


def symbols(program: Path) -> dict[str, int]:
    """Every name in a program's symbol table (elf.h: Elf64_Ehdr, Elf64_Shdr, Elf64_Sym)."""
    data = program.read_bytes()
    at, size, count = *struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + size * i) for i in range(count)]
    found: dict[str, int] = {}
    for kind, link, offset, length in ((s[1], s[6], s[4], s[5]) for s in sections):
        names = sections[link][4] if kind == 2 else 0  # SHT_SYMTAB
        for place in range(offset, offset + length, 24) if kind == 2 else ():
            name, value = (
                struct.unpack_from("<I", data, place)[0],
                struct.unpack_from("<Q", data, place + 8)[0],
            )
            end = data.index(b"\0", names + name)
            found[data[names + name : end].decode()] = value
    return found
