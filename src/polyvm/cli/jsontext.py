"""JSON text for the documents that a run writes, without importing json (12 ms); the C encoder for strings is shared.

Writes what the documents hold: dictionaries with text keys, lists, text, numbers, booleans and None. Refuses the rest.
"""

from __future__ import annotations

from _json import encode_basestring_ascii as quote


def dump(value: object) -> str:
    """The JSON text of a value, on one line. Numbers that JSON has no word for become null."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value) if value - value == 0 else "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(key)}: {dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join([dump(item) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} has no place in a document")
