"""Profiles: what is written is read, what is damaged is refused, and of several one is made."""

from __future__ import annotations

import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.engine import profile, unitfiles
from polyvm.engine.layout import MET, UNMET
from polyvm.engine.profile import EXACT, PAGE, PLACES, Profile
from polyvm.errors import PolyvmError

ADDRESSES = st.integers(0, (1 << 64) - 1)
COUNTS = st.integers(0, (1 << 62) - 1)
PROFILES = st.builds(
    Profile,
    st.sampled_from(["riscv64", "aarch64"]),
    st.dictionaries(
        st.integers(0, (1 << 52) - 1).map(lambda number: number * PAGE),
        st.tuples(st.binary(min_size=8, max_size=8).map(bytes.hex), st.integers(0, (1 << PLACES) - 1)),
        max_size=3,
    ),
    st.dictionaries(ADDRESSES, COUNTS, max_size=4),
    st.dictionaries(ADDRESSES, st.dictionaries(ADDRESSES, COUNTS, max_size=3), max_size=3),
    st.integers(0, 9),
    st.sampled_from(EXACT),
)
CODE = bytes(range(256)) * 16
DIGEST = unitfiles.digest(CODE)
SMALL = Profile("riscv64", {0x1000: (DIGEST, 0b101)}, {0x1000: 7, 0x1004: 9}, {0x1004: {0x1000: 3}}, 1)


@given(PROFILES)
def test_what_is_written_is_read(made: Profile) -> None:
    found = profile.load(profile.dump(made), "name")
    assert found.name == "name"
    found.name = made.name
    assert found == made


def refusal(data: bytes) -> str:
    with pytest.raises(PolyvmError) as caught:
        profile.load(data, "p")
    assert caught.value.code == "PVM-PROFILE-REFUSED"
    return caught.value.message


def test_what_is_refused() -> None:
    good = profile.dump(SMALL)
    assert "damaged, or no profile" in refusal(b"")
    assert "damaged, or no profile" in refusal(good[:-10])
    assert "damaged, or no profile" in refusal(b"\x7fELF\xff")
    assert "damaged, or no profile" in refusal(b"[" * 100_000)
    assert "is no profile" in refusal(b"{}")
    assert "is no profile" in refusal(b"[1]")
    assert "another version" in refusal(good.replace(b"profile/1", b"profile/2"))
    assert "checksum" in refusal(good.replace(b'"1004":9', b'"1004":8'))
    assert "larger" in refusal(bytes(profile.MAX_BYTES + 1))


def signed(body: object) -> bytes:
    """A file with a right checksum, whatever is in it."""
    text = json.dumps(body, separators=(",", ":"))
    return json.dumps(
        {"schema": profile.SCHEMA, "checksum": zlib.crc32(text.encode()), "profile": body}
    ).encode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"pages": {"1001": {"digest": "00", "ran": "1"}}},
        {"pages": {"1000": {"digest": 5, "ran": "1"}}},
        {"pages": {"1000": {"digest": "00", "ran": "1" * 2000}}},
        {"pages": {"-1000": {"digest": "00", "ran": "1"}}},
        {"pages": []},
        {"hot": {"1000": -1}},
        {"hot": {"1000": True}},
        {"hot": {"1000": 1 << 70}},
        {"hot": {"1" * 17: 1}},
        {"hot": {"": 1}},
        {"seen": {"1000": [1]}},
        {"runs": "1"},
        {"exact": "q"},
    ],
)
def test_a_right_checksum_is_not_enough(wrong: dict[str, object]) -> None:
    body = {"guest": "riscv64", "runs": 1, "pages": {}, "hot": {}, "seen": {}, "exact": "w"}
    assert profile.load(signed(body), "p").runs == 1
    assert "damaged" in refusal(signed(body | wrong))
    for name in body:
        assert "damaged" in refusal(signed({key: value for key, value in body.items() if key != name}))


def test_damage_anywhere_is_noticed() -> None:
    good = profile.dump(SMALL)
    chance = random.Random(1)
    noticed = 0
    for _ in range(500):
        at = chance.randrange(len(good))
        bad = good[:at] + bytes([good[at] ^ 1 << chance.randrange(8)]) + good[at + 1 :]
        try:
            found = profile.load(bad, "")
        except PolyvmError as error:
            noticed += error.code == "PVM-PROFILE-REFUSED"
        else:  # a blank became another one, say
            noticed += found == SMALL
    assert noticed == 500


def test_of_several_one_is_made() -> None:
    other = Profile(
        "riscv64",
        {0x1000: (DIGEST, 0b10), 0x2000: ("ab", 1)},
        {0x1000: 1, 0x8: 2},
        {0x1004: {0x1000: 1, 0x1002: 9}, 0x8: {0x10: 1}},
        2,
        "w",
    )
    whole = profile.merged([profile.load(profile.dump(SMALL), ""), other])
    assert whole == Profile(
        "riscv64",
        {0x1000: (DIGEST, 0b111), 0x2000: ("ab", 1)},
        {0x1000: 8, 0x1004: 9, 0x8: 2},
        {0x1004: {0x1000: 4, 0x1002: 9}, 0x8: {0x10: 1}},
        3,
        "w",
    )
    assert whole.hottest() == [0x1004, 0x1000, 0x8]
    assert whole.observed() == {0x1004: [0x1002, 0x1000], 0x8: [0x10]}
    assert profile.merged([]) is None
    # Of code that is not the same, the first one's stays.
    first = Profile("riscv64", {0x1000: ("aa", 1)})
    first.add(Profile("riscv64", {0x1000: ("bb", 2)}))
    assert first.pages == {0x1000: ("aa", 1)}


def test_only_of_the_same_code_it_is_known_what_ran() -> None:
    pages = {0x1000: CODE, 0x2000: CODE}
    ran = SMALL.ran(lambda base: pages.get(base, b""))
    assert [ran(0x1000 + at) for at in (0, 2, 4, 6)] == [MET, UNMET, MET, UNMET]
    assert ran(0x2000) == UNMET  # where nothing ever went
    assert SMALL.fits(lambda base: pages.get(base, b""))
    changed = SMALL.ran(lambda _: CODE[1:])
    assert changed(0x1002) == MET
    assert not SMALL.fits(lambda _: CODE[1:])
