"""The framing of the remote serial protocol: what is written is read, and nothing that is read breaks the reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.debug import gdbsignals, gdbwire
from polyvm.user import signals


def read(data: bytes, longest: int = 1000) -> list[tuple[str, bytes]]:
    return list(gdbwire.Reader(longest).feed(data))


def test_packets() -> None:
    assert read(b"$#00") == [("packet", b"")]
    assert read(b"+$g#67-\3$m1,2#fc") == [
        ("ack", b""), ("packet", b"g"), ("nack", b""), ("interrupt", b""), ("packet", b"m1,2"),
    ]  # fmt: skip
    assert read(b"noise$g#68$g#6x") == [("bad", b"g"), ("bad", b"g")]
    assert read(b"$abc$g#67") == [("bad", b"abc"), ("packet", b"g")]
    assert read(b"$" + b"a" * 11, longest=10) == [("bad", b"a" * 10)]
    assert read(gdbwire.frame(b"X1,1:}")) == [("bad", b"X1,1:}")]  # an escape of nothing


@given(st.binary(max_size=200))
def test_what_is_written_is_read(data: bytes) -> None:
    packet = gdbwire.frame(gdbwire.escape(data))
    assert read(packet) == [("packet", data)]
    reader = gdbwire.Reader(1000)
    assert [found for byte in packet for found in reader.feed(bytes([byte]))] == [("packet", data)]


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"$", b"#", b"}", b"+$g#67", b"\3"]))))
def test_nothing_breaks_the_reader(parts: list[bytes]) -> None:
    reader = gdbwire.Reader(20)
    for part in parts:
        for kind, payload in reader.feed(part):
            assert kind in ("packet", "bad", "ack", "nack", "interrupt")
            assert len(payload) <= 20
    # Whatever came before, a packet comes through at the second attempt at the latest.
    assert ("packet", b"OK") in [
        *reader.feed(b"#00" + gdbwire.frame(b"OK")),
        *reader.feed(gdbwire.frame(b"OK")),
    ]


def test_numbers() -> None:
    assert gdbwire.number(b"fF") == 255
    assert gdbwire.numbers(b"1,20", 2) == [1, 32]
    assert gdbwire.binary(b"00ff") == b"\0\xff"
    for text in (b"", b"-1", b" 1", b"+1", b"1_0", b"0x1", b"g", b"1" * 33):
        with pytest.raises(gdbwire.Damaged):
            gdbwire.number(text)
    for text in (b"1", b"1,2,3", b"1,"):
        with pytest.raises(gdbwire.Damaged):
            gdbwire.numbers(text, 2)
    for text in (b"0", b"0 ", b"zz", b" 00 "):
        with pytest.raises(gdbwire.Damaged):
            gdbwire.binary(text)


def test_signals_have_gdb_s_numbers() -> None:
    known = {
        "SIGSEGV": 11,
        "SIGBUS": 10,
        "SIGUSR1": 30,
        "SIGCHLD": 20,
        "SIGSYS": 12,
        "SIGRT34": 46,
        "SIGRT64": 78,
    }
    found = {signals.name(signo): gdbsignals.to_gdb(signo) for signo in range(1, 65)}
    assert known.items() <= found.items()
    assert gdbsignals.to_gdb(signals.SIGSTKFLT) == gdbsignals.UNKNOWN
    for signo in range(1, 65):
        if signo != signals.SIGSTKFLT:
            assert gdbsignals.from_gdb(gdbsignals.to_gdb(signo)) == signo
    assert gdbsignals.from_gdb(7) is None
    assert gdbsignals.from_gdb(0) == 0
