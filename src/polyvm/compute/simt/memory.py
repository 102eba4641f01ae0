"""Loads, stores and atomics: every address is checked before it is used, and used as widely as its shape allows.

Accesses of a block through one register make a group, which is checked once. A check compares with the allocation that
was found last at this place; where that does not hold, native code looks the address up, and records the fault with the
lane and the address where there is none. Uniform addresses give scalar loads, affine ones of the right stride vectors,
all others gathers. Order is at least what the instruction asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from polyvm.compute.simt import layout
from polyvm.compute.simt.builder import Val, width
from polyvm.compute.simt.flow import Step
from polyvm.compute.simt.shape import Shape
from polyvm.compute.simt.unit import A, U, Unit, V, llvm_type
from polyvm.errors import PolyvmError
from polyvm.isa.ptx.syntax import SIZES, Imm, Insn, Mem, Name, Reg, Sink, Vec, refuse

SPAN = 1 << 16  # bytes from the first to the last access of a group
_SPACES = ("global", "shared", "shared::cta", "local", "const", "param", "param::entry", "param::func")


@dataclass(slots=True)
class Group:
    """Accesses of one block through the same register, in order."""

    space: str
    entries: list[tuple[int, int, Insn]] = field(default_factory=list)  # offset, size

    @property
    def low(self) -> int:
        """The lowest offset."""
        return min(offset for offset, _, _ in self.entries)

    @property
    def high(self) -> int:
        """Behind the last byte."""
        return max(offset + size for offset, size, _ in self.entries)


def space_of(step: Step) -> str:
    """The state space of an access: generic and const are global memory here."""
    word = step.decoded.one(*_SPACES)
    return {
        "": "global",
        "const": "global",
        "shared::cta": "shared",
        "param::entry": "param",
        "param::func": "param",
    }.get(word, word)


def access(step: Step) -> tuple[Mem, int, int]:
    """The address operand, the bytes of one element, and how many there are."""
    operands, words = step.insn.operands, step.decoded.form.operands
    mem = operands[words.index("mem")]
    assert isinstance(mem, Mem)
    size = SIZES[step.decoded.type]
    count = int((step.decoded.one("v2", "v4", "v8") or "v1")[1])
    return mem, size, count


def groups(steps: list[Step]) -> dict[int, Group]:
    """For the first access of each group, by its place in the block, the group."""
    found: dict[int, Group] = {}
    opened: dict[tuple[str, str], Group] = {}
    for number, step in enumerate(steps):
        kind = step.decoded.form.kind
        if kind in ("load", "store", "atomic"):
            mem, size, count = access(step)
            space = space_of(step)
            if not isinstance(mem.base, Reg):
                continue
            key = (space, mem.base.name)
            group = opened.get(key)
            entry = (mem.offset, size * count, step.insn)
            if group is not None:
                low, high = min(group.low, mem.offset), max(group.high, mem.offset + size * count)
                if high - low > SPAN or len(group.entries) >= 200:
                    group = None
            if group is None:
                group = Group(space)
                found[number] = opened[key] = group
            group.entries.append(entry)
        elif kind in ("call", "copy_async"):
            opened.clear()
        for name in step.defs:
            for key in [key for key in opened if key[1] == name]:
                del opened[key]
    return found


# -- Addresses
def begin(unit: Unit, steps: list[Step]) -> None:
    """A block begins: which accesses are checked where."""
    made = groups(steps)
    unit.checks = {id(steps[n]): group for n, group in made.items()}


def _known(unit: Unit, mem: Mem, size: int) -> bool:
    """Whether an access to a variable is inside of it, whatever happens."""
    if not isinstance(mem.base, Name):
        return False
    bytes_of = unit.program.size_of(unit.flow.function, mem.base.name)
    first = mem.offset + mem.base.offset
    return bytes_of is not None and first >= 0 and first + size <= bytes_of


def base_of(unit: Unit, mem: Mem) -> tuple[Val, Shape]:
    """The register's value (a base, or a vector) or the variable's address, for the part at hand."""
    if isinstance(mem.base, Reg):
        shape = unit.shape_of(mem.base)
        level = V if shape.kind == V else A
        kind = unit.flow.types.get(mem.base.name)
        if kind is None or SIZES[kind] < 4:
            refuse(f"{mem.base.name} holds no address", 0)
        return unit.read(mem.base, "b64" if SIZES[kind] == 8 else "b32", level), shape
    if isinstance(mem.base, Imm):
        return unit.constant(mem.base.value, "i64"), Shape(U, mem.base.value)
    return unit.address_of(mem.base), Shape(U)


def pointer(unit: Unit, step: Step, mem: Mem, size: int, offset: int = 0) -> tuple[Val, Shape]:
    """A checked pointer to an access, for the part at hand: a scalar with its stride, or a vector.

    offset: bytes behind the instruction's own address, for the later elements of a vector; these are not checked again.
    """
    space = space_of(step) if step.decoded.form.kind != "copy_async" else "global"
    base, shape = base_of(unit, mem)
    if not offset:
        group = unit.checks.get(id(step))
        if group is None and not isinstance(mem.base, Reg) and not _known(unit, mem, size):
            group = Group(space, [(mem.offset, size, step.insn)])
        if group is not None:
            check(unit, step, group, base, shape)
    return located(unit, space, base, shape, mem.offset + offset)


def located(unit: Unit, space: str, base: Val, shape: Shape, offset: int) -> tuple[Val, Shape]:
    """The host's pointer to base + offset in a space."""
    index = unit.add(base, unit.const(base, offset)) if offset else base
    if space == "global":
        if index.lanes:
            return unit.let("ptr", index.lanes, f"inttoptr {index.typed} to {unit.vector('ptr')}"), shape
        made = unit.let("ptr", 0, f"inttoptr {index.typed} to ptr")
        return _safe(unit, made, shape), shape
    if index.type == "i32":
        # Affine bases may be below zero where the first lane is not there.
        index = unit.zext(index, 64) if index.lanes else unit.sext(index, 64)
    if space in ("shared", "param"):
        window = "%shared" if space == "shared" else "%args"
        made = unit.let("ptr", index.lanes, f"getelementptr i8, ptr {window}, {index.typed}")
        return (made if index.lanes else _safe(unit, made, shape)), shape
    stride = unit.local_size
    start = unit.at("%local", unit.part * unit.W * stride)
    if index.lanes:
        index = unit.add(index, unit.ramp("i64", stride))
        return unit.let("ptr", index.lanes, f"getelementptr i8, ptr {start}, {index.typed}"), shape
    made = unit.let("ptr", 0, f"getelementptr i8, ptr {start}, {index.typed}")
    return made, Shape(A, None, shape.stride + stride)


def _safe(unit: Unit, made: Val, shape: Shape) -> Val:
    """A part of which nobody is here has no address: something else is read instead."""
    if unit.full or shape.kind != A or shape.stride or unit.G == 1:
        return made
    bits = unit.bits(unit.mask)
    here = unit.icmp("ne", bits, unit.const(bits, 0))
    return unit.select(here, made, Val("%scratch", "ptr"))


def check(unit: Unit, step: Step, group: Group, base: Val, shape: Shape) -> None:
    """Go on only where all of a group's accesses are inside an allocation, or the window of their space."""
    if group.space == "global" and base.type != "i64":
        refuse(f"{step.insn.text} through an address of 32 bits", step.insn.line)
    low, high = group.low, group.high
    span = high - low
    reach = shape.stride * (unit.W - 1) if shape.kind == A else 0
    need = span + abs(reach)
    first = low + min(0, reach)
    site = unit.program.site(unit.flow.function, group.entries)
    at = unit.add(base, unit.const(base, first)) if first else base
    if group.space == "global":
        slot = unit.at("%slots", 16 * unit.program.slot())
        start = unit.let("i64", 0, f"load i64, ptr {slot}")
        size = unit.let("i64", 0, f"load i64, ptr {unit.at(slot, 8)}")
        bound = unit.sub(size, unit.const(size, need))
        away = unit.sub(at, unit.spread(start, Shape(U)) if at.lanes else start)
        outside = unit.icmp("ugt", away, unit.spread(bound, Shape(U)) if at.lanes else bound)
    else:
        fixed = unit.local_size if group.space == "local" else unit.program.args_size
        size = Val("%shared.size", "i64") if group.space == "shared" else unit.constant(fixed, "i64")
        slot = "null"
        own = unit.trunc(size, width(at.type))
        bound = unit.sub(own, unit.const(own, need))
        outside = unit.icmp("ugt", at, unit.spread(bound, Shape(U)) if at.lanes else bound)
        small = unit.icmp("ult", own, unit.const(own, need))
        outside = unit.or_(outside, unit.spread(small, Shape(U)) if at.lanes else small)
    if outside.lanes:
        bits = unit.bits(outside if unit.full else unit.and_(outside, unit.mask))
        outside = unit.icmp("ne", bits, unit.const(bits, 0))
    far, near = unit.fresh("c"), unit.fresh("c")
    unit.emit(f"br i1 {outside.text}, label %{far}, label %{near}, !prof !1")
    unit.label(far)
    if base.lanes:
        lanes, mask = unit.zext(base, 64), unit.bits(unit.mask)
    elif shape.kind == U:
        lanes = unit.spread(unit.zext(base, 64), Shape(U))
        mask = unit.constant(1, f"i{unit.W}")
    else:
        lanes = unit.zext(unit.spread(base, shape), 64)
        mask = unit.bits(unit.mask)
    unit.emit(f"store {lanes.typed}, ptr %lanes")
    mask = unit.zext(mask, 64)
    lane = unit.part * unit.W
    if shape.kind == U:  # whoever is here first
        lane_of = unit.cttz(unit.warp_bits(unit.masks)).text
    else:
        lane_of = str(lane)
    kind = layout.FAULTS[group.space if group.space in ("shared", "local") else "memory"]
    cut = -1 if base.type == "i64" else 0xFFFFFFFF
    good = unit.let(
        "i1", 0,
        f"call i1 @pv_check(ptr %frame, ptr {slot}, ptr %lanes, {mask.typed}, i64 {need}, i32 {kind}, i32 {site}, "
        f"ptr {unit.program.table(group)}, i64 {cut}, {size.typed}, i32 {lane_of})",
    )  # fmt: skip
    unit.emit(f"br i1 {good.text}, label %{near}, label %dead")
    unit.label(near)


def vector_pointers(unit: Unit, where: Val, shape: Shape) -> Val:
    """A pointer for each lane."""
    if where.lanes:
        return where
    made = unit.spread(where, Shape(U)) if where.type != "ptr" else _spread_pointer(unit, where)
    if shape.kind == A and shape.stride:
        ramp = unit.ramp("i64", shape.stride)
        made = unit.let("ptr", unit.W, f"getelementptr i8, {made.typed}, {ramp.typed}")
    return made


def _spread_pointer(unit: Unit, where: Val) -> Val:
    first = unit.let("ptr", unit.W, f"insertelement {unit.vector('ptr')} poison, {where.typed}, i32 0")
    zeros = f"<{unit.W} x i32> zeroinitializer"
    return unit.let("ptr", unit.W, f"shufflevector {first.typed}, {first.full} poison, {zeros}")


_SUFFIX = {"half": "f16", "float": "f32", "double": "f64"}


def _overload(unit: Unit, kind: str) -> str:
    return f"v{unit.W}{_SUFFIX.get(kind, kind)}"


def load_lanes(unit: Unit, where: Val, shape: Shape, kind: str) -> Val:
    """Load one element for the part at hand: a scalar where all lanes read the same, else a vector."""
    size = width(kind) // 8
    full = unit.vector(kind)
    if not where.lanes and (shape.kind == U or not shape.stride):
        return unit.let(kind, 0, f"load {kind}, ptr {where.text}, align 1")
    mask = unit.everyone if unit.full else unit.mask
    mask_type = unit.vector("i1")
    if not where.lanes and shape.stride == size:
        if unit.full:
            return unit.let(kind, unit.W, f"load {full}, ptr {where.text}, align 1")
        name = f"llvm.masked.load.{_overload(unit, kind)}.p0"
        unit.declared.add(f"declare {full} @{name}(ptr, i32, {mask_type}, {full})")
        return unit.let(
            kind,
            unit.W,
            f"call {full} @{name}(ptr {where.text}, i32 1, {mask.typed}, {full} zeroinitializer)",
        )
    pointers = vector_pointers(unit, where, shape)
    name = f"llvm.masked.gather.{_overload(unit, kind)}.v{unit.W}p0"
    unit.declared.add(f"declare {full} @{name}({unit.vector('ptr')}, i32, {mask_type}, {full})")
    return unit.let(
        kind,
        unit.W,
        f"call {full} @{name}({pointers.typed}, i32 {size}, {mask.typed}, {full} zeroinitializer)",
    )


def store_lanes(unit: Unit, where: Val, shape: Shape, value: Val) -> None:
    """Store one element for the part at hand; of lanes that write the same place, the last one wins."""
    kind = value.type
    size = width(kind) // 8
    mask = unit.everyone if unit.full else unit.mask
    same = not where.lanes and (shape.kind == U or not shape.stride)
    if same and not value.lanes and (shape.kind == U or unit.full):
        unit.emit(f"store {value.typed}, ptr {where.text}, align 1")
        return
    if same and unit.full:
        last = unit.let(kind, 0, f"extractelement {value.typed}, i32 {unit.W - 1}")
        unit.emit(f"store {last.typed}, ptr {where.text}, align 1")
        return
    if not value.lanes:
        value = unit.spread(value, Shape(U))
    mask_type = unit.vector("i1")
    if not where.lanes and not same and shape.stride == size:
        if unit.full:
            unit.emit(f"store {value.typed}, ptr {where.text}, align 1")
            return
        name = f"llvm.masked.store.{_overload(unit, kind)}.p0"
        unit.declared.add(f"declare void @{name}({value.full}, ptr, i32, {mask_type})")
        unit.emit(f"call void @{name}({value.typed}, ptr {where.text}, i32 1, {mask.typed})")
        return
    pointers = vector_pointers(unit, where, shape)
    name = f"llvm.masked.scatter.{_overload(unit, kind)}.v{unit.W}p0"
    unit.declared.add(f"declare void @{name}({value.full}, {unit.vector('ptr')}, i32, {mask_type})")
    unit.emit(f"call void @{name}({value.typed}, {pointers.typed}, i32 {size}, {mask.typed})")


def _wide_mask(unit: Unit, count: int) -> Val:
    """The mask with each lane `count` times in a row."""
    lanes = ", ".join(f"i32 {n // count}" for n in range(unit.W * count))
    total = unit.W * count
    return unit.let(
        "i1", total, f"shufflevector {unit.mask.typed}, {unit.mask.full} poison, <{total} x i32> <{lanes}>"
    )


def _whole(unit: Unit, where: Val, shape: Shape, size: int, count: int) -> bool:
    """Whether vectors of the lanes stand behind each other in memory."""
    return (
        count > 1
        and not where.lanes
        and shape.kind == A
        and shape.stride == size * count
        and unit.W * count <= 128
    )


# -- Instructions
def load(unit: Unit, step: Step) -> None:
    """ld."""
    mem, size, count = access(step)
    kind = llvm_type(step.decoded.type)
    target = step.insn.operands[0]
    names = target.parts if isinstance(target, Vec) else (target,)
    if len(names) != count:
        refuse(f"{step.insn.text} wants {count} registers", step.insn.line)
    if space_of(step) == "param":
        unit.program.effect("load_param")(unit, step)
        return
    shape = unit.shape_of(mem.base) if isinstance(mem.base, Reg) else Shape(U)
    strong = bool(step.decoded.one("volatile", "relaxed", "acquire"))
    scalar = shape.kind == U and space_of(step) != "local"
    for _ in unit.each(U if scalar else A, step):
        where, at = pointer(unit, step, mem, size * count)
        if _whole(unit, where, at, size, count) and not strong:
            _load_whole(unit, step, where, kind, count, names)
            continue
        for number, name in enumerate(names):
            if number:
                where, at = pointer(unit, step, mem, size, number * size)
            value = _strong_load(unit, where, at, kind) if strong else load_lanes(unit, where, at, kind)
            if isinstance(name, Reg):
                unit.write(step, name.name, value, step.decoded.type)
            elif not isinstance(name, Sink):
                refuse("a load into something that is no register", step.insn.line)
    if step.decoded.has("acquire"):
        unit.emit("fence acquire")


def _load_whole(unit: Unit, step: Step, where: Val, kind: str, count: int, names: tuple[object, ...]) -> None:
    total = unit.W * count
    full = f"<{total} x {kind}>"
    if unit.full:
        whole = unit.let(kind, total, f"load {full}, ptr {where.text}, align 1")
    else:
        mask = _wide_mask(unit, count)
        name = f"llvm.masked.load.v{total}{_SUFFIX.get(kind, kind)}.p0"
        unit.declared.add(f"declare {full} @{name}(ptr, i32, <{total} x i1>, {full})")
        whole = unit.let(
            kind, total, f"call {full} @{name}(ptr {where.text}, i32 1, {mask.typed}, {full} zeroinitializer)"
        )
    for number, target in enumerate(names):
        lanes = ", ".join(f"i32 {lane * count + number}" for lane in range(unit.W))
        value = unit.let(
            kind, unit.W, f"shufflevector {whole.typed}, {full} poison, <{unit.W} x i32> <{lanes}>"
        )
        if isinstance(target, Reg):
            unit.write(step, target.name, value, step.decoded.type)


def _strong_load(unit: Unit, where: Val, shape: Shape, kind: str) -> Val:
    """A load that happens each time, lane by lane where there are several."""
    whole = f"i{width(kind)}"
    size = width(kind) // 8
    if not where.lanes and (shape.kind == U or not shape.stride):
        value = unit.let(whole, 0, f"load atomic volatile {whole}, ptr {where.text} monotonic, align {size}")
        return unit.bitcast(value, kind)
    return _each(unit, where, shape, (), kind, lambda p, _: unit.let(
        whole, 0, f"load atomic volatile {whole}, ptr {p.text} monotonic, align {size}"))  # fmt: skip


def store(unit: Unit, step: Step) -> None:
    """st."""
    mem, size, count = access(step)
    kind = llvm_type(step.decoded.type)
    source = step.insn.operands[1]
    values = source.parts if isinstance(source, Vec) else (source,)
    if len(values) != count:
        refuse(f"{step.insn.text} wants {count} values", step.insn.line)
    if space_of(step) == "param":
        unit.program.effect("store_param")(unit, step)
        return
    if step.decoded.has("release"):
        unit.emit("fence release")
    strong = bool(step.decoded.one("volatile", "relaxed", "release"))
    shape = unit.shape_of(mem.base) if isinstance(mem.base, Reg) else Shape(U)
    uniform = (
        shape.kind == U and space_of(step) != "local" and all(unit.shape_of(v).kind == U for v in values)
    )
    for _ in unit.each(U if uniform else A):
        where, at = pointer(unit, step, mem, size * count)
        if _whole(unit, where, at, size, count) and not strong:
            _store_whole(unit, step, where, kind, count, values)
            continue
        for number, operand in enumerate(values):
            if number:
                where, at = pointer(unit, step, mem, size, number * size)
            level = U if unit.shape_of(operand).kind == U else V
            value = unit.read(operand, step.decoded.type, level)
            if strong:
                _strong_store(unit, where, at, value)
            else:
                store_lanes(unit, where, at, value)


def _store_whole(
    unit: Unit, step: Step, where: Val, kind: str, count: int, values: tuple[object, ...]
) -> None:
    lanes = [unit.read(v, step.decoded.type, V) for v in values]  # type: ignore[arg-type]
    total = unit.W
    while len(lanes) > 1:  # side by side, then put in order
        order = ", ".join(f"i32 {n}" for n in range(2 * total))
        lanes = [
            unit.let(kind, 2 * total, f"shufflevector {a.typed}, {b.typed}, <{2 * total} x i32> <{order}>")
            for a, b in zip(lanes[::2], lanes[1::2], strict=True)
        ]
        total *= 2
    order = ", ".join(f"i32 {(n % count) * unit.W + n // count}" for n in range(total))
    whole = unit.let(
        kind, total, f"shufflevector {lanes[0].typed}, {lanes[0].full} poison, <{total} x i32> <{order}>"
    )
    if unit.full:
        unit.emit(f"store {whole.typed}, ptr {where.text}, align 1")
        return
    name = f"llvm.masked.store.v{total}{_SUFFIX.get(kind, kind)}.p0"
    unit.declared.add(f"declare void @{name}({whole.full}, ptr, i32, <{total} x i1>)")
    unit.emit(f"call void @{name}({whole.typed}, ptr {where.text}, i32 1, {_wide_mask(unit, count).typed})")


def _strong_store(unit: Unit, where: Val, shape: Shape, value: Val) -> None:
    size = width(value.type) // 8
    kind = f"i{8 * size}"
    value = unit.bitcast(value, kind)
    if not where.lanes and not value.lanes and shape.kind == U:
        unit.emit(f"store atomic volatile {value.typed}, ptr {where.text} monotonic, align {size}")
        return
    if not value.lanes:
        value = unit.spread(value, Shape(U))

    def one(p: Val, v: list[Val]) -> Val:
        unit.emit(f"store atomic volatile {v[0].typed}, ptr {p.text} monotonic, align {size}")
        return v[0]

    _each(unit, where, shape, (value,), kind, one)


def _each(
    unit: Unit,
    where: Val,
    shape: Shape,
    values: tuple[Val, ...],
    kind: str,
    one: Callable[[Val, list[Val]], Val],
) -> Val:
    """Do something for each lane that is here, one after the other; what it gives, as a vector."""
    W = unit.W
    whole = f"i{width(kind)}"
    number = unit.fresh("a")
    pointers = vector_pointers(unit, where, shape)
    unit.head.append(f"  %{number}.p = alloca {unit.vector('ptr')}, align 64")
    unit.head.append(f"  %{number}.o = alloca {unit.vector(whole)}, align 64")
    unit.emit(f"store {pointers.typed}, ptr %{number}.p")
    for n, value in enumerate(values):
        unit.head.append(f"  %{number}.v{n} = alloca {value.full}, align 64")
        unit.emit(f"store {value.typed}, ptr %{number}.v{n}")
    unit.emit(f"store {unit.vector(whole)} zeroinitializer, ptr %{number}.o")
    mask = unit.bits(unit.everyone if unit.full else unit.mask)
    unit.head.append(f"  %{number}.m = alloca i{W}")
    unit.emit(f"store {mask.typed}, ptr %{number}.m")
    unit.emit(f"br label %{number}.t")
    unit.label(f"{number}.t")
    left = unit.let(f"i{W}", 0, f"load i{W}, ptr %{number}.m")
    nobody = unit.icmp("eq", left, unit.const(left, 0))
    unit.emit(f"br i1 {nobody.text}, label %{number}.e, label %{number}.l")
    unit.label(f"{number}.l")
    lane = unit.cttz(left)
    rest = unit.and_(left, unit.sub(left, unit.const(left, 1)))
    unit.emit(f"store {rest.typed}, ptr %{number}.m")
    place = unit.let("ptr", 0, f"getelementptr ptr, ptr %{number}.p, {lane.typed}")
    target = unit.let("ptr", 0, f"load ptr, ptr {place.text}")
    mine = []
    for n, value in enumerate(values):
        place = unit.let("ptr", 0, f"getelementptr {value.type}, ptr %{number}.v{n}, {lane.typed}")
        mine.append(unit.let(value.type, 0, f"load {value.type}, ptr {place.text}"))
    made = unit.bitcast(one(target, mine), whole)
    place = unit.let("ptr", 0, f"getelementptr {whole}, ptr %{number}.o, {lane.typed}")
    unit.emit(f"store {made.typed}, ptr {place.text}")
    unit.emit(f"br label %{number}.t")
    unit.label(f"{number}.e")
    result = unit.let(whole, W, f"load {unit.vector(whole)}, ptr %{number}.o")
    return unit.bitcast(result, kind)


_RMW = {"and": "and", "or": "or", "xor": "xor", "exch": "xchg", "inc": "uinc_wrap", "dec": "udec_wrap"}


def atomic(unit: Unit, step: Step) -> None:
    """atom and red: lane after lane. Shared memory is the block's own, and a block runs on one host thread."""
    d = step.decoded
    mem, size, _ = access(step)
    operands = step.insn.operands
    target = operands[0] if step.insn.name == "atom" else Sink()
    values = operands[2:] if step.insn.name == "atom" else operands[1:]
    kind = llvm_type(d.type)
    op = d.one("add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas")
    alone = space_of(step) == "shared"
    order = "acq_rel" if d.one("acquire", "release", "acq_rel") else "monotonic"
    if d.type == "bf16" or d.type == "bf16x2" or d.type == "f16":
        raise PolyvmError("PVM-UNSUPPORTED", f"{step.insn.text} is not supported.", line=step.insn.line)

    def one(p: Val, v: list[Val]) -> Val:
        if op == "cas":
            pair = unit.fresh("%x")
            unit.emit(f"{pair} = cmpxchg ptr {p.text}, {v[0].typed}, {v[1].typed} {order} monotonic")
            return unit.let(kind, 0, f"extractvalue {{{kind}, i1}} {pair}, 0")
        if d.type == "f16x2":
            return _half_add(unit, p, v[0])
        if op == "add":
            word = "fadd" if kind in ("float", "double") else "add"
        elif op in ("min", "max"):
            word = ("" if d.type[0] == "s" else "u") + op
        else:
            word = _RMW[op]
        if alone and word in ("add", "fadd", "and", "or", "xor"):
            old = unit.let(kind, 0, f"load {kind}, ptr {p.text}, align {size}")
            new = unit.let(kind, 0, f"{word} {old.typed}, {v[0].text}")
            unit.emit(f"store {new.typed}, ptr {p.text}, align {size}")
            return old
        return unit.let(kind, 0, f"atomicrmw {word} ptr {p.text}, {v[0].typed} {order}, align {size}")

    for _ in unit.each(V):
        where, at = pointer(unit, step, mem, size)
        vectors = tuple(unit.read(value, d.type, V) for value in values)
        made = _each(unit, where, at, vectors, kind, one)
        if isinstance(target, Reg):
            unit.write(step, target.name, made, d.type)


def _half_add(unit: Unit, p: Val, v: Val) -> Val:
    """Add two halves in memory, by compare and swap."""
    loop, done = unit.fresh("h"), unit.fresh("h")
    before = unit.fresh("h")
    unit.emit(f"br label %{before}")
    unit.label(before)
    first = unit.let("i32", 0, f"load atomic i32, ptr {p.text} monotonic, align 4")
    unit.emit(f"br label %{loop}")
    unit.label(loop)
    again = unit.fresh("%q")
    old = unit.let("i32", 0, f"phi i32 [ {first.text}, %{before} ], [ {again}, %{loop} ]")
    total = unit.fadd(unit.unpacked(old, "f16x2"), unit.unpacked(v, "f16x2"))
    new = unit.packed(total, "f16x2")
    pair = unit.fresh("%x")
    unit.emit(f"{pair} = cmpxchg ptr {p.text}, {old.typed}, {new.typed} monotonic monotonic")
    unit.emit(f"{again} = extractvalue {{i32, i1}} {pair}, 0")
    fine = unit.let("i1", 0, f"extractvalue {{i32, i1}} {pair}, 1")
    unit.emit(f"br i1 {fine.text}, label %{done}, label %{loop}")
    unit.label(done)
    return old


def copy_async(unit: Unit, step: Step) -> None:
    """cp.async: a copy to shared memory, done at once; what is not copied is zero."""
    to, source, size, *rest = step.insn.operands
    if not (isinstance(to, Mem) and isinstance(source, Mem) and isinstance(size, Imm)) or size.value not in (
        4,
        8,
        16,
    ):
        refuse("cp.async wants two addresses and 4, 8 or 16", step.insn.line)
    if rest and not (isinstance(rest[0], Imm) and rest[0].value == size.value):
        raise PolyvmError(
            "PVM-UNSUPPORTED", "cp.async that fills up with zeros is not supported.", line=step.insn.line
        )
    for _ in unit.each(V):
        base, shape = base_of(unit, source)
        check(unit, step, Group("global", [(source.offset, size.value, step.insn)]), base, shape)
        base_to, shape_to = base_of(unit, to)
        check(unit, step, Group("shared", [(to.offset, size.value, step.insn)]), base_to, shape_to)
        for word in range(0, size.value, 4):
            where, at = located(unit, "global", base, shape, source.offset + word)
            value = load_lanes(unit, where, at, "i32")
            where, at = located(unit, "shared", base_to, shape_to, to.offset + word)
            store_lanes(unit, where, at, value)


def convert_address(unit: Unit, step: Step) -> None:
    """cvta: generic addresses are the host's, those of shared and local memory count from their window's start."""
    d = step.decoded
    level = V if d.has("local") else unit.level_of(step)
    for _ in unit.each(level, step):
        value = unit.read(step.insn.operands[1], "u64", level)
        if d.one("shared", "shared::cta", "local"):
            window = (
                "%shared" if not d.has("local") else unit.at("%local", unit.part * unit.W * unit.local_size)
            )
            base = unit.let("i64", 0, f"ptrtoint ptr {window} to i64")
            if level == V:
                base = unit.spread(base, Shape(A, None, unit.local_size if d.has("local") else 0))
            value = unit.sub(value, base) if d.has("to") else unit.add(value, base)
        elif d.has("param") and not d.has("to"):
            base = unit.let("i64", 0, "ptrtoint ptr %args to i64")
            value = unit.add(value, unit.spread(base, Shape(U)) if level == V else base)
        unit.results(step, (value,))


def is_space(unit: Unit, step: Step) -> None:
    """isspacep."""
    d = step.decoded
    level = unit.level_of(step)
    for _ in unit.each(level, step):
        value = unit.read(step.insn.operands[1], "u64", level)

        def inside(base: str, size: Val, value: Val = value) -> Val:
            start = unit.let("i64", 0, f"ptrtoint ptr {base} to i64")
            if value.lanes:
                start, size = unit.spread(start, Shape(U)), unit.spread(size, Shape(U))
            return unit.icmp("ult", unit.sub(value, start), size)

        shared = inside("%shared", Val("%shared.size", "i64"))
        local = inside("%local", unit.sub(unit.frame("i64", "local_end"), unit.frame("i64", "local")))
        if d.one("shared", "shared::cta"):
            made = shared
        elif d.has("local"):
            made = local
        elif d.has("global"):
            made = unit.not_(unit.or_(shared, local))
        else:
            made = unit.const(shared, 0)
        unit.results(step, (made,))


def fence(unit: Unit, step: Step) -> None:
    """membar and fence."""
    unit.emit("fence seq_cst")
