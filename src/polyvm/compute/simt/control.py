"""Calls, parameters and printf: device functions run on the whole gang, with the lanes that called.

A parameter lies in memory, one copy for each lane. An indirect call runs the functions that the lanes name one after
the other. printf and assert are supplied; every other function must be in the same source.
"""

from __future__ import annotations

from polyvm.compute.simt import layout, memory
from polyvm.compute.simt.builder import Val
from polyvm.compute.simt.flow import Step, missing
from polyvm.compute.simt.shape import Shape
from polyvm.compute.simt.unit import A, U, Unit, V, llvm_type
from polyvm.errors import PolyvmError
from polyvm.isa.ptx.syntax import Function, Name, Reg, Sink, Variable, Vec, refuse

STACK = 1 << 16  # what a function may need below the point where it looks


def _variable(unit: Unit, name: str, line: int) -> Variable:
    variable = unit.flow.function.variables.get(name)
    if variable is None or variable.space != "param":
        refuse(f"{name} is no parameter", line)
    return variable


def _room(unit: Unit, name: str) -> str:
    """Where a parameter that is no kernel's lies."""
    function = unit.flow.function
    for number, variable in enumerate((*function.params, *function.returns)):
        if variable.name == name and not unit.entry:
            return f"%q{number}"
    place = unit.params.setdefault(name, f"%c{len(unit.params)}")
    return place


def param_slots(unit: Unit) -> list[str]:
    """The stack slots of parameters that are handed to functions."""
    made = []
    for name, place in unit.params.items():
        size = 32 * max(1, unit.flow.function.variables[name].size)
        made.append(f"  {place} = alloca [{size} x i8], align 64")
        # By hand: a large memset would be a call of the C library, which an image cannot have.
        for at in range(0, size, 64):
            made.append(f"  {place}.{at} = getelementptr i8, ptr {place}, i64 {at}")
            made.append(f"  store <{min(64, size - at)} x i8> zeroinitializer, ptr {place}.{at}")
    return made


def _lane_pointer(unit: Unit, variable: Variable, offset: int) -> tuple[Val, Shape]:
    start = unit.at(_room(unit, variable.name), unit.part * unit.W * variable.size + offset)
    return Val(start, "ptr"), Shape(A, None, variable.size)


def load_param(unit: Unit, step: Step) -> None:
    """ld.param: of a kernel's parameter, uniform; of a function's, or of what a call gave back, from memory."""
    mem, size, count = memory.access(step)
    target = step.insn.operands[0]
    names = target.parts if isinstance(target, Vec) else (target,)
    kind = llvm_type(step.decoded.type)
    if isinstance(mem.base, Reg):
        if not unit.entry:
            raise PolyvmError(
                "PVM-UNSUPPORTED", "Parameters of device functions have no addresses.", line=step.insn.line
            )
        shape = unit.shape_of(mem.base)
        for _ in unit.each(shape.kind, step):
            for number, name in enumerate(names):
                where, at = memory.pointer(unit, step, mem, size * count, number * size)
                if isinstance(name, Reg):
                    unit.write(step, name.name, memory.load_lanes(unit, where, at, kind), step.decoded.type)
        return
    if not isinstance(mem.base, Name):
        refuse("a parameter without a name", step.insn.line)
    variable = _variable(unit, mem.base.name, step.insn.line)
    offset = mem.offset + mem.base.offset
    if offset < 0 or offset + size * count > variable.size:
        refuse(f"{step.insn.text} reads beyond {variable.name}", step.insn.line)
    kernel = unit.entry and any(p is variable for p in unit.flow.function.params)
    for _ in unit.each(U if kernel else A, step):
        for number, name in enumerate(names):
            if kernel:
                place = unit.program.param_offset(unit.flow.function, variable.name) + offset + number * size
                value = unit.let(
                    kind, 0, f"load {kind}, ptr {unit.at('%args', place)}, align 1, !invariant.load !0"
                )
            else:
                where, at = _lane_pointer(unit, variable, offset + number * size)
                value = memory.load_lanes(unit, where, at, kind)
            if isinstance(name, Reg):
                unit.write(step, name.name, value, step.decoded.type)
            elif not isinstance(name, Sink):
                refuse("a load into something that is no register", step.insn.line)


def store_param(unit: Unit, step: Step) -> None:
    """st.param: what a call gets, or what a function gives back."""
    mem, size, count = memory.access(step)
    source = step.insn.operands[1]
    values = source.parts if isinstance(source, Vec) else (source,)
    if not isinstance(mem.base, Name):
        raise PolyvmError(
            "PVM-UNSUPPORTED", "Parameters of device functions have no addresses.", line=step.insn.line
        )
    variable = _variable(unit, mem.base.name, step.insn.line)
    offset = mem.offset + mem.base.offset
    if offset < 0 or offset + size * count > variable.size:
        refuse(f"{step.insn.text} writes beyond {variable.name}", step.insn.line)
    if unit.entry and any(p is variable for p in unit.flow.function.params):
        refuse("a kernel's parameters are not written", step.insn.line)
    for _ in unit.each(V):
        for number, value in enumerate(values):
            where, at = _lane_pointer(unit, variable, offset + number * size)
            memory.store_lanes(unit, where, at, unit.read(value, step.decoded.type, V))


def call(unit: Unit, step: Step) -> None:
    """call: of a function by name, or by the number that its address is."""
    returns, target, arguments = step.insn.operands
    assert isinstance(returns, Vec)
    assert isinstance(arguments, Vec)
    names = [part.name for part in (*arguments.parts, *returns.parts) if isinstance(part, Name)]
    if len(names) != len(arguments.parts) + len(returns.parts):
        raise PolyvmError("PVM-UNSUPPORTED", "Arguments of calls must be parameters.", line=step.insn.line)
    given = [_variable(unit, name, step.insn.line) for name in names]
    places = [_room(unit, name) for name in names]
    bits = unit.constant(-1, "i32") if unit.full else unit.warp_bits(unit.masks)
    if isinstance(target, Name):
        function = unit.program.module.functions.get(target.name)
        if target.name == "vprintf":
            _print(unit, given, places)
        elif target.name == "__assertfail":
            _assert(unit, step, places)
        elif function is None or not function.defined:
            raise missing(target.name)
        else:
            _match(function, given, step)
            _invoke(unit, function, places, bits)
        return
    _indirect(unit, step, target, given, places)


def _match(function: Function, given: list[Variable], step: Step) -> None:
    wanted = (*function.params, *function.returns)
    if [v.size for v in wanted] != [v.size for v in given]:
        refuse(f"the call does not fit {function.name}", step.insn.line)


def _invoke(unit: Unit, function: Function, places: list[str], bits: Val) -> None:
    symbol = unit.program.symbol(function)
    local = unit.at("%local", 32 * unit.local_size)
    listed = "".join(f", ptr {place}" for place in places)
    died = unit.let("i32", 0, f"call i32 @{symbol}(ptr %frame, ptr {local}, {bits.typed}{listed})")
    bad = unit.icmp("ne", died, unit.const(died, 0))
    on = unit.fresh("r")
    unit.emit(f"br i1 {bad.text}, label %dead, label %{on}, !prof !1")
    unit.label(on)


def _indirect(unit: Unit, step: Step, target: object, given: list[Variable], places: list[str]) -> None:
    assert isinstance(target, Reg)
    number = unit.fresh("i")
    unit.head += [f"  %{number}.f = alloca <32 x i64>, align 64", f"  %{number}.m = alloca i32"]
    for _ in unit.each(V):
        value = unit.read(target, "b64", V)
        unit.emit(f"store {value.typed}, ptr {unit.at(f'%{number}.f', 8 * unit.part * unit.W)}")
    whole = unit.warp_bits(unit.masks)
    unit.emit(f"store {whole.typed}, ptr %{number}.m")
    unit.emit(f"br label %{number}.t")
    unit.label(f"{number}.t")
    left = unit.let("i32", 0, f"load i32, ptr %{number}.m")
    nobody = unit.icmp("eq", left, unit.const(left, 0))
    unit.emit(f"br i1 {nobody.text}, label %{number}.e, label %{number}.l")
    unit.label(f"{number}.l")
    lane = unit.cttz(left)
    place = unit.let("ptr", 0, f"getelementptr i64, ptr %{number}.f, {lane.typed}")
    wanted = unit.let("i64", 0, f"load i64, ptr {place.text}")
    all_ = unit.let("i64", 32, f"load <32 x i64>, ptr %{number}.f")
    first = unit.let("i64", 32, f"insertelement <32 x i64> poison, {wanted.typed}, i32 0")
    spread = unit.let(
        "i64", 32, f"shufflevector {first.typed}, {all_.full} poison, <32 x i32> zeroinitializer"
    )
    here = unit.and_(unit.bits(unit.icmp("eq", all_, spread)), left)
    rest = unit.xor(left, here)
    unit.emit(f"store {rest.typed}, ptr %{number}.m")
    fitting = []
    sizes = [v.size for v in given]
    for index, function in enumerate(unit.program.functions):
        if function.defined and [v.size for v in (*function.params, *function.returns)] == sizes:
            fitting.append((index, function))
    cases = " ".join(f"i64 {layout.FUNCTIONS + index}, label %{number}.{index}" for index, _ in fitting)
    unit.emit(f"switch {wanted.typed}, label %{number}.x [ {cases} ]")
    for index, function in fitting:
        unit.label(f"{number}.{index}")
        _invoke(unit, function, places, here)
        unit.emit(f"br label %{number}.t")
    unit.label(f"{number}.x")
    unit.fault(step, "call", wanted, lane)
    unit.label(f"{number}.e")


def _print(unit: Unit, given: list[Variable], places: list[str]) -> None:
    if len(given) < 2 or given[0].size != 8 or given[1].size != 8:
        raise missing("vprintf")
    bits = unit.warp_bits(unit.masks)
    stride = max(1, unit.local_size)
    unit.emit(
        f"call void @pv_print(ptr %frame, ptr {places[0]}, ptr {places[1]}, {bits.typed}, ptr %local, i64 {stride})"
    )
    if len(places) > 2:
        unit.emit(f"store <32 x i32> zeroinitializer, ptr {places[2]}, align 4")


def _assert(unit: Unit, step: Step, places: list[str]) -> None:
    bits = unit.warp_bits(unit.masks)
    lane = unit.cttz(bits)
    place = unit.let("ptr", 0, f"getelementptr i64, ptr {places[0]}, {lane.typed}")
    message = unit.let("i64", 0, f"load i64, ptr {place.text}")
    unit.fault(step, "assert", message, lane)
    unit.label(unit.fresh("n"))
