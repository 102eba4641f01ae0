"""What the lanes of a warp do together: shuffles, votes, matches, reductions, and barriers of the block.

A gang is a warp, so these are operations on its vectors. An instruction that names lanes which wait elsewhere would
have to wait for them; it is refused where that happens, at run time.
"""

from __future__ import annotations

from polyvm.compute.simt import layout
from polyvm.compute.simt.builder import Val, width
from polyvm.compute.simt.flow import EXIT, Step
from polyvm.compute.simt.shape import Shape
from polyvm.compute.simt.unit import U, Unit, V, llvm_type
from polyvm.errors import PolyvmError
from polyvm.isa.ptx.syntax import Imm, Operand, Reg, Vec


def _together(unit: Unit, values: list[Val]) -> Val:
    """The parts' vectors behind each other: 32 lanes."""
    while len(values) > 1:
        joined = []
        for a, b in zip(values[::2], values[1::2], strict=True):
            n = 2 * a.lanes
            order = ", ".join(f"i32 {i}" for i in range(n))
            joined.append(unit.let(a.type, n, f"shufflevector {a.typed}, {b.typed}, <{n} x i32> <{order}>"))
        values = joined
    return values[0]


def _apart(unit: Unit, value: Val) -> list[Val]:
    """The contrary."""
    if unit.G == 1:
        return [value]
    made = []
    for part in range(unit.G):
        order = ", ".join(f"i32 {part * unit.W + i}" for i in range(unit.W))
        made.append(
            unit.let(
                value.type,
                unit.W,
                f"shufflevector {value.typed}, {value.full} poison, <{unit.W} x i32> <{order}>",
            )
        )
    return made


def _read(unit: Unit, operand: Operand, kind: str) -> Val:
    """An operand of all 32 lanes."""
    values = []
    for _ in unit.each(V):
        values.append(unit.read(operand, kind, V))
    return _together(unit, values)


def _write(unit: Unit, step: Step, target: Operand, value: Val, kind: str) -> None:
    """Give a register 32 lanes, or one value for all."""
    if not isinstance(target, Reg):
        return
    if not value.lanes:
        for _ in unit.each(unit.shapes.of[target.name].kind):
            unit.write(step, target.name, value, kind)
    else:
        pieces = _apart(unit, value)
        for part in unit.each(V):
            unit.write(step, target.name, pieces[part], kind)


def _mask(unit: Unit) -> Val:
    return _together(unit, [unit.everyone] * unit.G if unit.full else list(unit.masks))


def here(unit: Unit) -> Val:
    """The lanes that are here, 32 bits."""
    if unit.full:
        return unit.constant(-1, "i32")
    return unit.warp_bits(unit.masks)


def members(unit: Unit, step: Step, operand: Operand | None) -> Val:
    """The lanes that a mask names and that are here, 32 bits. Lanes that wait elsewhere and are named are a fault."""
    mask = here(unit)
    if operand is None:
        return mask
    elsewhere = sorted(p for p in unit.shapes.pending[unit.block] if p < EXIT)
    named = unit.read(operand, "b32", U) if unit.shape_of(operand).kind == U else None
    if named is None:  # each lane has a mask of its own; the first one's counts
        lanes = _read(unit, operand, "b32")
        first = unit.cttz(mask)
        named = unit.let("i32", 0, f"extractelement {lanes.typed}, {first.typed}")
    if elsewhere:
        away = unit.constant(0, "i32")
        for other in elsewhere:
            away = unit.or_(away, unit.warp_bits(unit.load_masks(other)))
        late = unit.and_(away, named)
        bad = unit.icmp("ne", late, unit.const(late, 0))
        wrong, fine = unit.fresh("k"), unit.fresh("k")
        unit.emit(f"br i1 {bad.text}, label %{wrong}, label %{fine}, !prof !1")
        unit.label(wrong)
        unit.fault(step, "waits", unit.zext(late, 64), unit.cttz(mask))
        unit.label(fine)
    return unit.and_(mask, named)


def shuffle(unit: Unit, step: Step) -> None:
    """shfl.sync, PTX ISA 9.7.9.6."""
    d = step.decoded
    target, source, b, c, mask = step.insn.operands
    members(unit, step, mask)
    value = _read(unit, source, "b32")
    mode = d.one("up", "down", "bfly", "idx")
    results = target.parts if isinstance(target, Vec) else (target,)
    shift, clamp = _constant(unit, b), _constant(unit, c)
    if shift is not None and clamp is not None:
        picks = [_pick(mode, lane, shift & 31, clamp & 31, clamp >> 8 & 31) for lane in range(32)]
        order = ", ".join(f"i32 {lane}" for lane, _ in picks)
        made = unit.let("i32", 32, f"shufflevector {value.typed}, {value.full} poison, <32 x i32> <{order}>")
        valid = Val("<" + ", ".join(f"i1 {'true' if ok else 'false'}" for _, ok in picks) + ">", "i1", 32)
    else:
        index, valid = _indexes(unit, mode, _read(unit, b, "b32"), _read(unit, c, "b32"))
        made = permuted(unit, value, index)
    _write(unit, step, results[0], made, "b32")
    if len(results) > 1:
        _write(unit, step, results[1], valid, "pred")


def _constant(unit: Unit, operand: Operand) -> int | None:
    if isinstance(operand, Imm):
        return operand.value
    shape = unit.shape_of(operand)
    return shape.value if shape.kind == U else None


def _pick(mode: str, lane: int, shift: int, clamp: int, segment: int) -> tuple[int, bool]:
    top = (lane & segment) | (clamp & ~segment & 31)
    low = lane & segment
    if mode == "up":
        source, ok = lane - shift, lane - shift >= top
    elif mode == "down":
        source, ok = lane + shift, lane + shift <= top
    elif mode == "bfly":
        source, ok = lane ^ shift, lane ^ shift <= top
    else:
        source = low | (shift & ~segment & 31)
        ok = source <= top
    return (source if ok else lane), ok


def _indexes(unit: Unit, mode: str, b: Val, c: Val) -> tuple[Val, Val]:
    """The same, where shift and clamp are only known at run time."""
    lane = Val("<" + ", ".join(f"i32 {n}" for n in range(32)) + ">", "i32", 32)
    low5 = unit.const(b, 31)
    shift, clamp = unit.and_(b, low5), unit.and_(c, low5)
    segment = unit.and_(unit.lshr(c, unit.const(c, 8)), low5)
    outside = unit.xor(segment, low5)
    low = unit.and_(lane, segment)
    top = unit.or_(low, unit.and_(clamp, outside))
    if mode == "up":
        source = unit.sub(lane, shift)
        ok = unit.icmp("sge", source, top)
    elif mode in ("down", "bfly"):
        source = unit.add(lane, shift) if mode == "down" else unit.xor(lane, shift)
        ok = unit.icmp("sle", source, top)
    else:
        source = unit.or_(low, unit.and_(shift, outside))
        ok = unit.icmp("sle", source, top)
    return unit.and_(unit.select(ok, source, lane), low5), ok


def permuted(unit: Unit, value: Val, index: Val) -> Val:
    """Lane i of the result is lane index[i] of the value."""
    name = unit.fresh("%z")
    unit.head.append(f"  {name} = alloca {value.full}, align 64")
    unit.emit(f"store {value.typed}, ptr {name}")
    pointers = unit.let("ptr", 32, f"getelementptr {value.type}, ptr {name}, {index.typed}")
    call = f"llvm.masked.gather.v32{value.type}.v32p0"
    unit.declared.add(f"declare {value.full} @{call}(<32 x ptr>, i32, <32 x i1>, {value.full})")
    size = width(value.type) // 8
    return unit.let(
        value.type, 32,
        f"call {value.full} @{call}({pointers.typed}, i32 {size}, <32 x i1> splat (i1 true), {value.full} poison)",
    )  # fmt: skip


def vote(unit: Unit, step: Step) -> None:
    """vote."""
    d = step.decoded
    target, source, *mask = step.insn.operands
    lanes = members(unit, step, mask[0] if mask else None)
    truth = unit.zext(unit.bits(_read(unit, source, "pred")), 32)
    true = unit.and_(truth, lanes)
    mode = d.one("all", "any", "uni", "ballot")
    if mode == "ballot":
        made = true
    else:
        every = unit.icmp("eq", true, lanes)
        none = unit.icmp("eq", true, unit.const(true, 0))
        made = {"all": every, "any": unit.not_(none)}.get(mode) or unit.or_(every, none)
    _write(unit, step, target, made, "b32" if mode == "ballot" else "pred")


def active(unit: Unit, step: Step) -> None:
    """activemask."""
    _write(unit, step, step.insn.operands[0], here(unit), "b32")


def elect(unit: Unit, step: Step) -> None:
    """elect.sync: the first lane."""
    target, mask = step.insn.operands
    lanes = members(unit, step, mask)
    first = unit.cttz(lanes)
    results = target.parts if isinstance(target, Vec) else (target,)
    _write(unit, step, results[0], first, "b32")
    if len(results) > 1:
        bit = unit.let("i32", 0, f"shl i32 1, {first.text}")
        chosen = unit.let("i1", 32, f"bitcast i32 {bit.text} to <32 x i1>")
        _write(unit, step, results[1], chosen, "pred")


def match(unit: Unit, step: Step) -> None:
    """match.sync: each lane's value against all others."""
    d = step.decoded
    target, source, mask = step.insn.operands
    lanes = members(unit, step, mask)
    kind = llvm_type(d.type)
    value = _read(unit, source, d.type)
    results = target.parts if isinstance(target, Vec) else (target,)
    made = unit.integer(value, 0, "i32")
    for lane in range(32):
        one = unit.let(kind, 0, f"extractelement {value.typed}, i32 {lane}")
        first = unit.let(kind, 32, f"insertelement {value.full} poison, {one.typed}, i32 0")
        spread = unit.let(
            kind, 32, f"shufflevector {first.typed}, {value.full} poison, <32 x i32> zeroinitializer"
        )
        same = unit.icmp("eq", value, spread)
        made = unit.or_(made, unit.select_bits(same, 1 << lane, 32))
    spread = _spread32(unit, lanes)
    made = unit.and_(made, spread)
    if d.has("any"):
        _write(unit, step, results[0], made, "b32")
        return
    every = unit.icmp("eq", made, spread)
    _write(unit, step, results[0], unit.select(every, made, unit.const(made, 0)), "b32")
    if len(results) > 1:
        _write(unit, step, results[1], every, "pred")


def _spread32(unit: Unit, value: Val) -> Val:
    full = f"<32 x {value.type}>"
    first = unit.let(value.type, 32, f"insertelement {full} poison, {value.typed}, i32 0")
    return unit.let(value.type, 32, f"shufflevector {first.typed}, {full} poison, <32 x i32> zeroinitializer")


_NEUTRAL = {
    "add": 0,
    "or": 0,
    "xor": 0,
    "and": -1,
    "umin": -1,
    "umax": 0,
    "smin": 0x7FFFFFFF,
    "smax": 0x80000000,
}


def reduce(unit: Unit, step: Step) -> None:
    """redux.sync."""
    d = step.decoded
    target, source, mask = step.insn.operands
    lanes = members(unit, step, mask)
    op = d.one("add", "min", "max", "and", "or", "xor")
    if op in ("min", "max"):
        op = ("s" if d.type == "s32" else "u") + op
    value = _read(unit, source, "b32")
    chosen = unit.let("i1", 32, f"bitcast {lanes.typed} to <32 x i1>")
    value = unit.select(chosen, value, unit.const(value, _NEUTRAL[op]))
    unit.declared.add(f"declare i32 @llvm.vector.reduce.{op}.v32i32(<32 x i32>)")
    made = unit.let("i32", 0, f"call i32 @llvm.vector.reduce.{op}.v32i32({value.typed})")
    _write(unit, step, target, made, "b32")


# -- Barriers
def warp_barrier(unit: Unit, step: Step) -> None:
    """bar.warp.sync: the lanes run together anyhow; memory is in order."""
    members(unit, step, step.insn.operands[0])
    unit.emit("fence acq_rel")


def reach_barrier(unit: Unit, step: Step) -> None:
    """Lanes arrive at a barrier; where it reduces, their predicates count."""
    operands = step.insn.operands
    if step.decoded.form.kind == "barrier":
        if len(operands) > 1:
            count = _constant(unit, operands[1])
            if count is None or count < unit.gang.threads:
                raise PolyvmError(
                    "PVM-UNSUPPORTED",
                    "Barriers of a part of a block are not supported.",
                    line=step.insn.line,
                    instruction=step.insn.text,
                )
        return
    _, _, source = operands
    kind = step.decoded.one("popc", "and", "or")
    lanes = unit.warp_bits(unit.masks)
    truth = unit.and_(unit.zext(unit.bits(_read(unit, source, "pred")), 32), lanes)
    field = {"popc": "now_count", "and": "now_and", "or": "now_or"}[kind]
    place = unit.at("%frame", layout.FRAME[field])
    old = unit.let("i32", 0, f"load i32, ptr {place}")
    if kind == "popc":
        new = unit.add(old, unit.ctpop(truth))
    elif kind == "and":
        new = unit.and_(old, unit.zext(unit.icmp("eq", truth, lanes), 32))
    else:
        new = unit.or_(old, unit.zext(unit.icmp("ne", truth, unit.const(truth, 0)), 32))
    unit.emit(f"store {new.typed}, ptr {place}")


def pass_barrier(unit: Unit, step: Step) -> None:
    """The block goes on: what a reducing barrier gives."""
    if step.decoded.form.kind == "barrier":
        return
    kind = step.decoded.one("popc", "and", "or")
    field = {"popc": "last_count", "and": "last_and", "or": "last_or"}[kind]
    value = unit.frame("i32", field)
    if kind != "popc":
        value = unit.icmp("ne", value, unit.const(value, 0))
    target = step.insn.operands[0]
    if isinstance(target, Reg):
        shape: Shape = unit.shapes.of[target.name]
        for _ in unit.each(shape.kind):
            unit.write(step, target.name, value, step.decoded.type)
