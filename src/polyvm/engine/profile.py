"""What runs of a program have shown, as a file: which code was executed, what was hot, where jumps went.

A compiler that works ahead of time takes what it says; code that is not byte for byte what the profile was made of
takes no part in it. A profile holds no code, and belongs to no version of polyvm and no processor. The text is JSON
with a checksum; one that is damaged, or for another guest, is refused (PVM-PROFILE-REFUSED).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from polyvm.engine import unitfiles
from polyvm.engine.codepages import PAGE
from polyvm.engine.layout import BARRED, MET, PRECISE, UNMET, WHOLE
from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from polyvm.engine.executor import Engine
    from polyvm.memory.space import AddressSpace

SCHEMA = "polyvm.profile/1"
PLACES = PAGE // 2
"""Where an instruction may begin in a page."""
MAX_BYTES = 1 << 28
EXACT = (PRECISE, WHOLE, "")
"""What of a program's registers may be seen, the most first."""
_DIGITS = bytes.maketrans(bytes((UNMET, MET, BARRED)), b"010")


@dataclass
class Profile:
    """What is known of one program. Addresses are the guest's.

    pages: for each page of code its digest, and a bit for each two bytes where an instruction began that was executed.
    hot: jumps to a place. seen: targets of dynamic jumps, and how often each was taken, of those that were looked at.
    runs: that it was made of. exact: the letter of layout of what the program could see of its registers in the end, ""
    for no more than where it leaves native code. name: of its file.
    """

    guest: str
    pages: dict[int, tuple[str, int]] = field(default_factory=dict)
    hot: dict[int, int] = field(default_factory=dict)
    seen: dict[int, dict[int, int]] = field(default_factory=dict)
    runs: int = 0
    exact: str = ""
    name: str = ""

    def ran(self, page: Callable[[int], bytes]) -> Callable[[int], int]:
        """For `discover`: whether the instruction at an address was executed. Of code that is another than it was all
        counts as executed.
        """
        same: dict[int, int | None] = {}

        def mark(address: int) -> int:
            base = address & -PAGE
            if base not in same:
                digest, bits = self.pages.get(base, ("", 0))
                same[base] = bits if not digest or digest == unitfiles.digest(page(base)) else None
            known = same[base]
            return MET if known is None or known >> (address - base >> 1) & 1 else UNMET

        return mark

    def fits(self, page: Callable[[int], bytes]) -> bool:
        """Whether any of the code is what it was made of."""
        return any(digest == unitfiles.digest(page(base)) for base, (digest, _) in self.pages.items())

    def check_guest(self, guest: str) -> None:
        """Raise PVM-PROFILE-REFUSED where it is another guest's."""
        if self.guest != guest:
            raise refused(self.name, f"is one of a program for {self.guest}, and this is for {guest}")

    def hottest(self) -> list[int]:
        """Places, those that were jumped to most often first."""
        return sorted(self.hot, key=lambda place: (-self.hot[place], place))

    def observed(self) -> dict[int, list[int]]:
        """Where dynamic jumps went, the commonest first."""
        return {
            site: sorted(targets, key=lambda place: (-targets[place], place))
            for site, targets in self.seen.items()
        }

    def add(self, other: Profile) -> None:
        """Take over what another profile of the same guest knows: counts are added up.

        Where the two know different code at an address, what this one knows stays.
        """
        for base, (digest, bits) in other.pages.items():
            own = self.pages.get(base)
            if own is None:
                self.pages[base] = digest, bits
            elif own[0] == digest:
                self.pages[base] = digest, own[1] | bits
        for place, count in other.hot.items():
            self.hot[place] = self.hot.get(place, 0) + count
        for site, targets in other.seen.items():
            known = self.seen.setdefault(site, {})
            for target, count in targets.items():
                known[target] = known.get(target, 0) + count
        self.runs += other.runs
        self.exact = min(self.exact, other.exact, key=EXACT.index)


def collect(engine: Engine, space: AddressSpace) -> Profile:
    """What an engine has seen of the program in an address space so far."""
    from polyvm.engine.executor import code_page

    found = Profile(engine.name, runs=1, exact=engine.exact)
    for base in space.code.decoded(space.regions):
        marks = engine.ran(space, base)
        bits = int(marks[::-1].translate(_DIGITS), 2)
        if bits:
            found.pages[base] = unitfiles.digest(code_page(space, base)), bits
    found.hot = {place: count for place in engine.hotness.heats if (count := engine.hotness.jumps(place)) > 0}
    found.seen = {site: dict(targets) for site, targets in engine.seen.items()}
    return found


def dump(profile: Profile) -> bytes:
    """The file."""
    body = {
        "guest": profile.guest,
        "runs": profile.runs,
        "exact": profile.exact,
        "pages": {
            f"{base:x}": {"digest": digest, "ran": f"{bits:x}"}
            for base, (digest, bits) in sorted(profile.pages.items())
        },
        "hot": {f"{place:x}": count for place, count in sorted(profile.hot.items())},
        "seen": {
            f"{site:x}": {f"{place:x}": count for place, count in sorted(targets.items())}
            for site, targets in sorted(profile.seen.items())
        },
    }
    text = json.dumps(body, separators=(",", ":"))
    return f'{{"schema":"{SCHEMA}","checksum":{zlib.crc32(text.encode())},"profile":{text}}}\n'.encode()


def load(data: bytes, name: str) -> Profile:
    """The profile in a file. Raises PVM-PROFILE-REFUSED with the reason."""
    if len(data) > MAX_BYTES:
        raise refused(name, "is larger than any profile is")
    try:
        whole = json.loads(data)
        if not isinstance(whole, dict) or not str(whole.get("schema")).startswith("polyvm.profile/"):
            raise refused(name, "is no profile")
        if whole["schema"] != SCHEMA:
            raise refused(
                name, f"is written for another version of polyvm: its schema is {whole['schema']!r}"
            )
        body = whole["profile"]
        if zlib.crc32(json.dumps(body, separators=(",", ":")).encode()) != whole["checksum"]:
            raise refused(name, "is damaged: its checksum is another one")
        found = _read(body)
        found.name = name
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refused(name, "is damaged, or no profile") from error


def refused(name: str, why: str) -> PolyvmError:
    """The error for a profile that is not used."""
    return PolyvmError(
        "PVM-PROFILE-REFUSED",
        f"The profile {name} {why}.",
        hint="polyvm run --profile-out FILE makes one.",
        path=name,
    )


def merged(profiles: Iterable[Profile]) -> Profile | None:
    """One of several; None of none."""
    whole: Profile | None = None
    for profile in profiles:
        if whole is None:
            whole = profile
        else:
            whole.add(profile)
    return whole


def _read(body: dict[str, Any]) -> Profile:
    pages = {
        _address(base): (_digest(page["digest"]), _number(page["ran"], PLACES))
        for base, page in body["pages"].items()
    }
    if any(base % PAGE for base in pages):
        raise ValueError("no page begins there")
    return Profile(
        str(body["guest"]),
        pages,
        {_address(place): _count(count) for place, count in body["hot"].items()},
        {
            _address(site): {_address(place): _count(count) for place, count in targets.items()}
            for site, targets in body["seen"].items()
        },
        _count(body["runs"]),
        EXACT[EXACT.index(body["exact"])],
    )


def _address(text: str) -> int:
    return _number(text, 64)


def _number(text: str, bits: int) -> int:
    if not text.isascii() or not text.isalnum() or len(text) > bits // 4:
        raise ValueError("no number of so many bits")
    return int(text, 16)


def _digest(text: object) -> str:
    if not isinstance(text, str) or len(text) > 64:
        raise ValueError("no digest")
    return text


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError("no count")
    return value
