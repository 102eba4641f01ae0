"""Packets of GDB's remote serial protocol: how they are framed, checked and escaped (GDB manual, appendix E.1).

`$payload#checksum`, the sum of the payload's bytes as two hexadecimal digits; `+` and `-` acknowledge; a byte of 3 is
Ctrl-C. Nothing here knows what a packet means. It refuses packets that are longer than it was told, or whose checksum
is wrong.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ACK, NACK, INTERRUPT = b"+", b"-", b"\3"
_SPECIAL = frozenset(b"#$}*")
_ESCAPE, _FLIP = 0x7D, 0x20
_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_OUTSIDE, _INSIDE, _FIRST, _SECOND = range(4)  # where in a packet the reader is


class Damaged(ValueError):
    """A packet is not what its own rules say."""


class Reader:
    """Takes a stream of bytes apart. longest: bytes that a payload may have, as it comes over the wire."""

    __slots__ = ("_digits", "_longest", "_payload", "_state")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._payload = bytearray()
        self._digits = bytearray()
        self._state = _OUTSIDE

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """What these bytes complete: ("packet", its payload, escapes undone), ("bad", the payload as it came),
        ("ack", b""), ("nack", b"") or ("interrupt", b""). Other bytes between packets are skipped.
        """
        for byte in data:
            if self._state == _OUTSIDE:
                if byte == 0x24:  # $
                    self._begin()
                elif byte in b"+-\3":
                    yield {0x2B: "ack", 0x2D: "nack", 3: "interrupt"}[byte], b""
            elif self._state == _INSIDE:
                if byte == 0x23:  # #
                    self._state = _FIRST
                elif byte == 0x24:  # the one before was cut off
                    yield "bad", bytes(self._payload)
                    self._begin()
                elif len(self._payload) < self._longest:
                    self._payload.append(byte)
                else:
                    self._state = _OUTSIDE
                    yield "bad", bytes(self._payload)
            else:
                self._digits.append(byte)
                if self._state == _FIRST:
                    self._state = _SECOND
                    continue
                self._state = _OUTSIDE
                yield self._complete()

    def _begin(self) -> None:
        self._payload.clear()
        self._digits.clear()
        self._state = _INSIDE

    def _complete(self) -> tuple[str, bytes]:
        payload = bytes(self._payload)
        if not _DIGITS.issuperset(self._digits) or int(self._digits, 16) != checksum(payload):
            return "bad", payload
        try:
            return "packet", unescape(payload)
        except Damaged:
            return "bad", payload


def checksum(payload: bytes) -> int:
    """The sum of the bytes, modulo 256."""
    return sum(payload) & 0xFF


def frame(payload: bytes) -> bytes:
    """A packet around a payload, which is escaped already where it is binary."""
    return b"$%b#%02x" % (payload, checksum(payload))


def escape(data: bytes) -> bytes:
    """Binary data as it may stand in a packet."""
    if _SPECIAL.isdisjoint(data):
        return data
    made = bytearray()
    for byte in data:
        if byte in _SPECIAL:
            made += bytes((_ESCAPE, byte ^ _FLIP))
        else:
            made.append(byte)
    return bytes(made)


def unescape(payload: bytes) -> bytes:
    """What escape() was given. Raises Damaged."""
    first, *parts = payload.split(b"}")
    if not parts:
        return payload
    made = bytearray(first)
    for part in parts:
        if not part:  # an escaped "}" is "}]": two in a row are no escape
            raise Damaged("an escape with nothing behind it")
        made.append(part[0] ^ _FLIP)
        made += part[1:]
    return bytes(made)


def number(text: bytes) -> int:
    """A hexadecimal number without a sign. Raises Damaged."""
    if not text or not _DIGITS.issuperset(text) or len(text) > 32:
        raise Damaged(f"{text[:40]!r} is no number")
    return int(text, 16)


def numbers(text: bytes, count: int, separator: bytes = b",") -> list[int]:
    """So many hexadecimal numbers. Raises Damaged."""
    parts = text.split(separator)
    if len(parts) != count:
        raise Damaged(f"{text[:40]!r} are not {count} numbers")
    return [number(part) for part in parts]


def binary(text: bytes) -> bytes:
    """The bytes that hexadecimal digits stand for. Raises Damaged."""
    if len(text) % 2 or not _DIGITS.issuperset(text):
        raise Damaged(f"{text[:40]!r} are no bytes in hexadecimal")
    return bytes.fromhex(text.decode("ascii"))
