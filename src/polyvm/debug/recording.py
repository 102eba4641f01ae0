"""A recorded run as a file: JSON with a checksum, in which pieces of code are zlib's, in base64.

It holds code of the program that was run, and names of files; what debug.report makes of it needs neither the program
nor the machine. A file that is damaged, or of another version, is refused (PVM-RECORDING-REFUSED).
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from polyvm import __version__
from polyvm.errors import PolyvmError

SCHEMA = "polyvm.recording/1"
MAX_BYTES = 1 << 29
MAX_PIECE = 1 << 27
"""Of one piece of code, unpacked."""


def pack(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(zlib.compress(data, 6)).decode()


def unpack(text: str) -> bytes:
    """The bytes of a text. Raises ValueError."""
    try:
        engine = zlib.decompressobj()
        data = engine.decompress(base64.b64decode(text, validate=True), MAX_PIECE)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not engine.eof:
        raise ValueError("a piece is cut, or too large")
    return data


def dump(body: dict[str, Any]) -> bytes:
    """The file."""
    text = json.dumps(body, separators=(",", ":"))
    head = {"schema": SCHEMA, "polyvm": __version__, "checksum": zlib.crc32(text.encode())}
    return f'{json.dumps(head, separators=(",", ":"))[:-1]},"recording":{text}}}\n'.encode()


def load(data: bytes, name: str) -> dict[str, Any]:
    """What is in a file. Raises PVM-RECORDING-REFUSED with the reason."""
    if len(data) > MAX_BYTES:
        raise refused(name, "is larger than any recording is")
    try:
        whole = json.loads(data)
        if not isinstance(whole, dict) or not str(whole.get("schema")).startswith("polyvm.recording/"):
            raise refused(name, "is no recording")
        if whole["schema"] != SCHEMA:
            raise refused(name, f"is of another version of polyvm: its schema is {whole['schema']!r}")
        body = whole["recording"]
        if zlib.crc32(json.dumps(body, separators=(",", ":")).encode()) != whole["checksum"]:
            raise refused(name, "is damaged: its checksum is another one")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise refused(name, "is damaged, or no recording") from error
    if not isinstance(body, dict):
        raise refused(name, "is damaged, or no recording")
    return body


def refused(name: str, why: str) -> PolyvmError:
    """The error for a recording that is not read."""
    return PolyvmError(
        "PVM-RECORDING-REFUSED",
        f"The recording {name} {why}.",
        hint="polyvm run --record FILE makes one.",
        path=name,
    )
