"""Guest code as a compiler sees it: page by page, from whoever has it, each page asked for once."""

from __future__ import annotations

from collections.abc import Callable

PAGE = 4096


class Pages:
    """Code at (address, length), from a function that gives the bytes of the page at an address: all of its
    executable ones, fewer or none where there are no more.
    """

    def __init__(self, page: Callable[[int], bytes]) -> None:
        self.page = page
        self.known: dict[int, bytes] = {}

    def __call__(self, address: int, length: int) -> bytes:
        """As many bytes as there are before the first that is not executable."""
        code = b""
        while length > 0:
            base = address & -PAGE
            if base not in self.known:
                self.known[base] = self.page(base)
            part = self.known[base][address - base : address - base + length]
            code += part
            if len(part) < min(length, base + PAGE - address):
                break
            address += len(part)
            length -= len(part)
        return code
