"""printf of kernels: records that native code wrote, formatted as C does and written to standard output."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable

from polyvm.compute.simt.layout import RECORD
from polyvm.memory import host

_SPEC = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?(hh|h|ll|l|z|j|t)?([diouxXcsfFeEgGaAp%])")


def show(records: bytes, lost: bool, inside: Callable[[int, int], bool]) -> None:
    """Write what the records say. inside: whether the device has so many bytes at an address."""
    for at in range(0, len(records) - RECORD + 1, RECORD):
        form, _, _, size = struct.unpack_from("<QQII", records, at)
        sys.stdout.write(text(_string(form, inside), records[at + 24 : at + 24 + size], inside))
    if lost:
        sys.stdout.write("(what kernels printed beyond the buffer is lost)\n")
    sys.stdout.flush()


def _string(address: int, inside: Callable[[int, int], bool]) -> str:
    made = bytearray()
    while len(made) < 4096 and inside(address + len(made), 1):
        byte = host.peek(address + len(made), 1)
        if byte == b"\0":
            return made.decode("utf-8", "replace")
        made += byte
    return made.decode("utf-8", "replace") if made else "(null)"


def text(form: str, data: bytes, inside: Callable[[int, int], bool]) -> str:
    """A format and its arguments, each aligned to its size, as CUDA lays them out. What is missing is left as it is."""
    at = 0

    def take(size: int) -> bytes | None:
        nonlocal at
        at = -(-at // size) * size
        part = data[at : at + size]
        at += size
        return part if len(part) == size else None

    def one(found: re.Match[str]) -> str:
        flags, width, precision, length, kind = found.groups()
        if kind == "%":
            return "%"
        words = []
        for word in (width, precision):
            if word == "*":
                raw = take(4)
                words.append("" if raw is None else str(int.from_bytes(raw, "little", signed=True)))
            else:
                words.append(word or "")
        spec = "%" + flags + words[0] + (f".{words[1]}" if precision else "")
        if kind in "fFeEgGaA":
            raw = take(8)
            if raw is None:
                return found[0]
            value = struct.unpack("<d", raw)[0]
            return str(value.hex() if kind in "aA" else (spec + kind) % value)
        if kind in "sp":
            raw = take(8)
            if raw is None:
                return found[0]
            address = int.from_bytes(raw, "little")
            return (spec + "s") % (_string(address, inside) if kind == "s" else hex(address))
        wide = length in ("l", "ll", "z", "j", "t")
        raw = take(8 if wide else 4)
        if raw is None:
            return found[0]
        number = int.from_bytes(raw, "little", signed=kind in "di")
        if length in ("h", "hh"):
            bits = 8 if length == "hh" else 16
            number &= (1 << bits) - 1
            if kind in "di" and number >> (bits - 1):
                number -= 1 << bits
        if kind == "c":
            return (spec + "c") % chr(number & 255)
        return (spec + ("d" if kind in "iu" else kind)) % number

    return _SPEC.sub(one, form)
