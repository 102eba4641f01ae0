"""Lanes in memory under a mask, as LLVM text: load_lanes and store_lanes.

Where all bits are set it is one access; where none is, none; else a loop of single lanes through a scratch place, so
that nothing is touched that was not asked for. It is an access of the emitter's own kind, with all that it notes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.values import Val

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter


MASKS: Final = frozenset({"avx512bw", "avx512vl"})
"""What a host has whose accesses take masks, for lanes of every width."""


def _type(bits: int) -> str:
    return f"i{bits}" if bits <= 64 else f"<{bits // 64} x i64>"


def _cast(e: Emitter, value: str, bits: int, *, to: str) -> str:
    """A value of many bits as the vector that is accessed, or back."""
    whole, vector = f"i{bits}", _type(bits)
    if bits <= 64:
        return value
    source, target = (whole, vector) if to == "vector" else (vector, whole)
    return e.ins(f"bitcast {source} {value} to {target}")


def _is_full(mask: str, count: int) -> bool:
    """Whether all bits are known to be set."""
    return mask.lstrip("-").isdigit() and int(mask) & (1 << count) - 1 == (1 << count) - 1


def load(e: Emitter, op: Val, args: list[str]) -> str:
    """load_lanes."""
    address, mask = args
    lane, count = int(op.attr), op.args[1].bits  # type: ignore[call-overload]  # attr is the lane width
    if _is_full(mask, count):
        pointer = e.address_for(op, address, op.bits // 8, write=False)
        return _cast(e, e.loaded(_type(op.bits), pointer), op.bits, to="whole")
    if count > 1 and e.features >= MASKS:
        return _load_at_once(e, op, address, mask, lane)
    zero = "0" if op.bits <= 64 else "zeroinitializer"
    results: list[tuple[str, str]] = []

    def whole() -> None:
        pointer = e.address_for(op, address, op.bits // 8, write=False)
        results.append((e.loaded(_type(op.bits), pointer), e.label))

    def some() -> None:
        pointer = e.address_for(op, address, op.bits // 8, write=False)
        scratch = e.scratch(op.bits)
        e.do(f"store {_type(op.bits)} {zero}, ptr {scratch}, align 8")

        def one(place: str) -> None:
            value = e.loaded(f"i{lane}", e.ins(f"getelementptr i{lane}, ptr {pointer}, i64 {place}"))
            e.do(f"store i{lane} {value}, ptr {e.ins(f'getelementptr i{lane}, ptr {scratch}, i64 {place}')}")

        _each(e, mask, count, one)
        results.append((e.ins(f"load {_type(op.bits)}, ptr {scratch}, align 8"), e.label))

    before = _ways(e, mask, count, whole, some)
    results.append((zero, before))
    ways = ", ".join(f"[ {value}, %{label} ]" for value, label in results)
    return _cast(e, e.ins(f"phi {_type(op.bits)} {ways}"), op.bits, to="whole")


def store(e: Emitter, op: Val, args: list[str]) -> None:
    """store_lanes."""
    address, value, mask = args
    bits, count = op.args[1].bits, op.args[2].bits
    lane = int(op.attr)  # type: ignore[call-overload]  # attr is the lane width
    if _is_full(mask, count):
        pointer = e.address_for(op, address, bits // 8, write=True)
        e.stored(_type(bits), _cast(e, value, bits, to="vector"), pointer)
        return
    if count > 1 and e.features >= MASKS:
        _store_at_once(e, op, args, lane, count)
        return
    vector = _cast(e, value, bits, to="vector")

    def whole() -> None:
        e.stored(_type(bits), vector, e.address_for(op, address, bits // 8, write=True))

    def some() -> None:
        pointer, scratch = e.address_for(op, address, bits // 8, write=True), e.scratch(bits)
        e.do(f"store {_type(bits)} {vector}, ptr {scratch}, align 8")

        def one(place: str) -> None:
            value = e.ins(f"load i{lane}, ptr {e.ins(f'getelementptr i{lane}, ptr {scratch}, i64 {place}')}")
            e.stored(f"i{lane}", value, e.ins(f"getelementptr i{lane}, ptr {pointer}, i64 {place}"))

        _each(e, mask, count, one)

    _ways(e, mask, count, whole, some)


def _load_at_once(e: Emitter, op: Val, address: str, mask: str, lane: int) -> str:
    """By an instruction that takes a mask, and touches nothing where that has no bit."""
    count = op.bits // lane
    t = f"<{count} x i{lane}>"
    found: list[str] = []
    bits = e.ins(f"bitcast i{count} {mask} to <{count} x i1>")

    def access() -> None:
        pointer = e.address_for(op, address, op.bits // 8, write=False)
        found.extend((e.loaded_lanes(t, pointer, bits), e.label))

    none, some, done = e.ins(f"icmp eq i{count} {mask}, 0"), e.fresh_label("some"), e.fresh_label("accessed")
    before = e.label
    e.do(f"br i1 {none}, label %{done}, label %{some}")
    with e.beside():
        e.start(some)
        access()
        e.do(f"br label %{done}")
    e.start(done)
    value = e.ins(f"phi {t} [ {found[0]}, %{found[1]} ], [ zeroinitializer, %{before} ]")
    return e.ins(f"bitcast {t} {value} to i{op.bits}")


def _store_at_once(e: Emitter, op: Val, args: list[str], lane: int, count: int) -> None:
    address, value, mask = args
    t, size = f"<{count} x i{lane}>", count * lane // 8
    bits = e.ins(f"bitcast i{count} {mask} to <{count} x i1>")
    vector = e.ins(f"bitcast i{count * lane} {value} to {t}")
    none, some, done = e.ins(f"icmp eq i{count} {mask}, 0"), e.fresh_label("some"), e.fresh_label("accessed")
    e.do(f"br i1 {none}, label %{done}, label %{some}")
    with e.beside():
        e.start(some)
        e.stored_lanes(t, vector, e.address_for(op, address, size, write=True), bits)
        e.do(f"br label %{done}")
    e.start(done)


def _ways(e: Emitter, mask: str, count: int, whole: Callable[[], None], some: Callable[[], None]) -> str:
    """Branch on a mask; what is emitted next is where all ways meet. The label of the one with nothing to do."""
    every, others, few, done = (e.fresh_label(stem) for stem in ("every", "others", "few", "accessed"))
    t, ones = f"i{count}", "true" if count == 1 else "-1"
    e.do(f"br i1 {e.ins(f'icmp eq {t} {mask}, {ones}')}, label %{every}, label %{others}")
    with e.beside():
        e.start(every)
        whole()
        e.do(f"br label %{done}")
    e.start(others)
    if count == 1:
        e.do(f"br label %{done}")
        e.start(done)
        return others
    none = e.ins(f"icmp eq {t} {mask}, 0")
    e.do(f"br i1 {none}, label %{done}, label %{few}")
    with e.beside():
        e.start(few)
        some()
        e.do(f"br label %{done}")
    e.start(done)
    return others


def _each(e: Emitter, mask: str, count: int, one: Callable[[str], None]) -> None:
    """For each lane whose bit is set, the lowest first, `one`, given its number."""
    before, around, behind = e.label, e.fresh_label("lane"), e.fresh_label("lanes")
    left, rest = e.name(), e.name()
    e.do(f"br label %{around}")
    e.start(around)
    t = f"i{count}"
    at = len(e.lines)
    place = e.call(t, f"llvm.cttz.{t}", f"{t} {left}", "i1 true")
    number = e.ins(f"zext {t} {place} to i64") if count < 64 else place
    one(number)
    e.do(f"{rest} = and {t} {left}, {e.ins(f'sub {t} {left}, 1')}")
    e.do(f"br i1 {e.ins(f'icmp eq {t} {rest}, 0')}, label %{behind}, label %{around}")
    e.lines.insert(at, f"  {left} = phi {t} [ {mask}, %{before} ], [ {rest}, %{e.label} ]")
    e.start(behind)
