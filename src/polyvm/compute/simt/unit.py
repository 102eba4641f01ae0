"""One PTX function as LLVM text: registers, masks, dispatch between blocks, and the arithmetic of the table.

A gang of 32 lanes runs in `parts` vectors. Registers are stack slots, which LLVM makes values; each holds what its
shape says: one value, a base for each part, or a vector for each part. Memory, other threads and calls are the business
of the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polyvm.compute.simt import layout
from polyvm.compute.simt.builder import Builder, Val, splat, width
from polyvm.compute.simt.flow import CARRY, EXIT, Flow, Step
from polyvm.compute.simt.shape import Gang, Shape, Shapes, special
from polyvm.errors import PolyvmError
from polyvm.isa.ptx.syntax import SIZES, FloatImm, Imm, Name, Not, Operand, Reg, Sink, Vec, refuse
from polyvm.isa.ptx.table import PACKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.compute.simt.program import Program

U, A, V = "U", "A", "V"


def llvm_type(kind: str) -> str:
    """The LLVM type in which a PTX type is computed."""
    if kind in ("f16", "f32", "f64"):
        return {"f16": "half", "f32": "float", "f64": "double"}[kind]
    return "i1" if kind == "pred" else f"i{8 * SIZES[kind]}"


def storage(kind: str) -> str:
    """The LLVM type in which a register of a PTX type is kept."""
    return f"i{16}" if kind == "f16" else llvm_type(kind)


class Unit(Builder):
    """A function in the making."""

    def __init__(self, program: Program, flow: Flow, gang: Gang, *, entry: bool) -> None:
        super().__init__()
        self.program, self.flow, self.gang, self.entry = program, flow, gang, entry
        self.shapes = Shapes(flow, gang, masked=not (entry and gang.whole), exact=program.exact)
        self.W, self.G = gang.width, gang.parts
        self.block = 0
        self.part = 0
        self.masks: list[Val] = []
        self.needed: set[str] = set()
        self.head: list[str] = []  # stack slots, which stand in the entry block
        self.slots: dict[str, str] = {name: f"%r{n}" for n, name in enumerate(sorted(self.shapes.of))}
        self.resumes: list[list[str]] = []
        self.context = 0
        self._masked = self._find_masked()
        self.lin: list[Val] = []
        self.local_offsets, self.local_size = program.locals_of(flow.function)
        self.checks: dict[int, Any] = {}
        self.params: dict[str, str] = {}

    # -- Masks
    def _find_masked(self) -> set[int]:
        """Blocks whose mask has a slot: others may wait there, or elsewhere while it runs."""
        found = {n for n in range(self.flow.order) if self.shapes.pending[n]}
        for number in range(self.flow.order):
            if not self.shapes.reached[number]:
                continue
            found |= self.shapes.pending[number]
            if number not in self.flow.parked and self.shapes.diverges(number):
                found |= set(self.flow.blocks[number].successors)
        return {n for n in found if n < EXIT}

    def vector(self, kind: str) -> str:
        """A vector of a part's lanes."""
        return f"<{self.W} x {kind}>"

    @property
    def everyone(self) -> Val:
        """The mask with every lane."""
        return Val("splat (i1 true)", "i1", self.W)

    @property
    def full(self) -> bool:
        """Whether all lanes are in the block at hand."""
        return not self.shapes.pending[self.block]

    @property
    def mask(self) -> Val:
        """Which lanes of the part at hand are here."""
        return self.masks[self.part]

    def bits(self, mask: Val) -> Val:
        """A mask as an integer."""
        return self.let(f"i{mask.lanes}", 0, f"bitcast {mask.typed} to i{mask.lanes}")

    def warp_bits(self, masks: list[Val]) -> Val:
        """The masks of all parts as 32 bits."""
        total: Val | None = None
        for part, mask in enumerate(masks):
            bits = self.zext(self.bits(mask), 32)
            if part:
                bits = self.shl(bits, self.const(bits, part * self.W))
            total = bits if total is None else self.or_(total, bits)
        assert total is not None
        return total

    def some(self, masks: list[Val]) -> Val:
        """Whether any lane is in the masks."""
        total = masks[0]
        for mask in masks[1:]:
            total = self.or_(total, mask)
        found = self.bits(total)
        return self.icmp("ne", found, self.const(found, 0))

    def mask_slot(self, number: int, part: int) -> str:
        """Where a block's mask is kept."""
        return f"%m{number}.{part}"

    def load_masks(self, number: int) -> list[Val]:
        """The masks of lanes that wait at a block."""
        if number not in self._masked:
            return [self.everyone] * self.G
        return [
            self.let("i1", self.W, f"load {self.vector('i1')}, ptr {self.mask_slot(number, g)}")
            for g in range(self.G)
        ]

    def add_masks(self, number: int, masks: list[Val]) -> None:
        """Lanes go to a block."""
        if number not in self._masked:
            return
        for part, mask in enumerate(masks):
            slot = self.mask_slot(number, part)
            old = self.let("i1", self.W, f"load {self.vector('i1')}, ptr {slot}")
            new = self.or_(old, mask)
            self.emit(f"store {new.typed}, ptr {slot}")

    def clear_masks(self, number: int) -> None:
        """Nobody waits at a block."""
        if number in self._masked:
            for part in range(self.G):
                self.emit(f"store {self.vector('i1')} zeroinitializer, ptr {self.mask_slot(number, part)}")

    # -- Registers
    def slot(self, name: str, part: int) -> str:
        """The stack slot of a register."""
        shape = self.shapes.of[name]
        return self.slots[name] if shape.kind == U else f"{self.slots[name]}.{part}"

    def shape_of(self, operand: Operand) -> Shape:
        """The shape of an operand."""
        return self.shapes.operand(operand) or Shape(U, 0)

    def spread(self, value: Val, shape: Shape) -> Val:
        """A uniform value or an affine base as a vector."""
        first = self.let(
            value.type, self.W, f"insertelement {self.vector(value.type)} poison, {value.typed}, i32 0"
        )
        lanes = f"<{self.W} x i32>"
        made = self.let(
            value.type, self.W, f"shufflevector {first.typed}, {first.full} poison, {lanes} zeroinitializer"
        )
        return self.add(made, self.ramp(value.type, shape.stride)) if shape.stride else made

    def ramp(self, kind: str, step: int, start: int = 0) -> Val:
        """start, start + step, start + 2 step, ..."""
        bits = width(kind)
        values = ((start + step * lane) & ((1 << bits) - 1) for lane in range(self.W))
        return Val("<" + ", ".join(f"{kind} {value}" for value in values) + ">", kind, self.W)

    def register(self, name: str, level: str) -> Val:
        """A register as it is kept, at a level."""
        kind = storage(self.flow.types[name])
        shape = self.shapes.of.get(name)
        if shape is None:
            return Val(splat("0" if kind[0] == "i" else "0.0", kind, 0), kind) if level != V else Val(
                "zeroinitializer", kind, self.W)  # fmt: skip
        lanes = self.W if shape.kind == V else 0
        full = self.vector(kind) if lanes else kind
        value = self.let(kind, lanes, f"load {full}, ptr {self.slot(name, self.part)}")
        return self.spread(value, shape) if level == V and not lanes else value

    def read(self, operand: Operand, kind: str, level: str) -> Val:
        """An operand as a value of a PTX type, at a level: U and A give a scalar, V a vector."""
        to = llvm_type(kind)
        if isinstance(operand, Not):
            return self.not_(self.read(Reg(operand.name), kind, level))
        if isinstance(operand, Reg):
            if operand.name in self.flow.types:
                return self.recast(self.register(operand.name, level), to)
            return self.recast(self.special(operand.name, level), to)
        if isinstance(operand, Imm):
            value: Val = self.constant(operand.value, to)
        elif isinstance(operand, FloatImm):
            value = self.float_constant(operand, to)
        elif isinstance(operand, Name):
            if operand.name == "WARP_SZ":
                value = self.constant(32, to)
            else:
                value = self.recast(self.address_of(operand), to)
        else:
            raise PolyvmError("PVM-GPU-PTX", "This is not PTX: an operand of the wrong kind.")
        return self.spread(value, Shape(U)) if level == V else value

    def constant(self, number: int, kind: str) -> Val:
        """An integer constant; for a float type its bits."""
        if kind == "i1":
            return Val("true" if number & 1 else "false", "i1")
        bits = width(kind)
        whole = Val(str(number & ((1 << bits) - 1)), f"i{bits}")
        return whole if kind[0] == "i" else self.bitcast(whole, kind)

    def float_constant(self, number: FloatImm, kind: str) -> Val:
        """A floating-point constant; as a float of another width it is converted, as an integer it is its bits."""
        bits = number.bits
        if kind == "float" and number.width == 64:
            import struct

            bits = struct.unpack("<I", struct.pack("<f", struct.unpack("<d", struct.pack("<Q", bits))[0]))[0]
        if kind == "double" and number.width == 32:
            import struct

            bits = struct.unpack("<Q", struct.pack("<d", struct.unpack("<f", struct.pack("<I", bits))[0]))[0]
        return self.constant(bits, kind)

    def recast(self, value: Val, to: str, *, signed: bool = False) -> Val:
        """The low bits of a value as another type, filled up where it is wider."""
        if value.type == to:
            return value
        have, want = width(value.type), width(to)
        if have != want:
            value = self.bitcast(value, f"i{have}")
            value = (
                self.trunc(value, want)
                if have > want
                else self.sext(value, want)
                if signed
                else self.zext(value, want)
            )
        return self.bitcast(value, to)

    def level_of(self, step: Step) -> str:
        """At which level a step is computed: as its operands are, not as its result is kept."""
        shapes = self.shapes.result(step)
        level = shapes[0].kind if shapes else U
        if step.guard and (self.shapes.of.get(step.guard) or Shape(U)).kind != U:
            return V
        return level

    def write(self, step: Step, name: str, value: Val, kind: str) -> None:
        """Give a register a value that was computed for the part at hand, where lanes are here and the guard holds."""
        to = storage(self.flow.types[name])
        shape = self.shapes.of[name]
        if value.type == "half":
            value = self.bitcast(value, "i16")
        if shape.kind == V and not value.lanes:  # before it is anything but the integer that has a stride
            value = self.spread(value, self._kept(step, value, shape))
        value = self.recast(value, to, signed=kind[:1] == "s")
        mask: Val | None = None
        if shape.kind == V:
            if name in self.needed:
                mask = self.mask
            if step.guard:
                guard = self.read(Not(step.guard) if step.negated else Reg(step.guard), "pred", V)
                mask = guard if mask is None else self.and_(mask, guard)
        elif step.guard:
            mask = self.read(Not(step.guard) if step.negated else Reg(step.guard), "pred", U)
        slot = self.slot(name, self.part)
        if mask is not None:
            old = self.let(to, value.lanes, f"load {value.full}, ptr {slot}")
            value = self.select(mask, value, old)
        self.emit(f"store {value.typed}, ptr {slot}")

    def _kept(self, step: Step, value: Val, shape: Shape) -> Shape:
        shapes = self.shapes.result(step)
        return shapes[0] if shapes else Shape(U)

    # -- Addresses of variables, special registers
    def address_of(self, name: Name) -> Val:
        """What mov and cvta see as the address of a variable or a function."""
        variable = self.flow.function.variables.get(name.name)
        if variable is not None and variable.space == "local":
            return self.constant(self.local_offsets[name.name] + name.offset, "i64")
        if variable is not None and variable.space == "param":
            if not self.entry or all(p.name != name.name for p in self.flow.function.params):
                raise PolyvmError(
                    "PVM-UNSUPPORTED", "Addresses of parameters of device functions are not supported."
                )
            return self.constant(
                self.program.param_offset(self.flow.function, name.name) + name.offset, "i64"
            )
        shared = self.program.shared_offset(self.flow.function, name.name)
        if shared is not None:
            return self.constant(shared + name.offset, "i64")
        at = self.program.global_offset(name.name)
        if at is not None:
            base = self.let("i64", 0, "ptrtoint ptr %globals to i64")
            return self.add(base, self.const(base, at + name.offset))
        number = self.program.function_number(name.name)
        if number is not None:
            return self.constant(layout.FUNCTIONS + number, "i64")
        refuse(f"there is no {name.name}", 0)

    def special(self, name: str, level: str) -> Val:
        """A special register: PTX ISA chapter 10."""
        shape = special(name, self.gang)
        value = self._special(name, shape)
        return self.spread(value, shape) if level == V and not value.lanes else value

    def _special(self, name: str, shape: Shape) -> Val:
        base, _, axis = name.partition(".")
        if shape.value is not None:
            return self.constant(shape.value, "i32")
        if base in ("%ctaid", "%nctaid") and axis in ("x", "y", "z"):
            return Val(f"%{base[1:]}{axis}", "i32")
        if base == "%tid" and axis in ("x", "y", "z"):
            return self._thread(axis)
        if name == "%laneid":
            return self.constant(self.part * self.W, "i32")
        if name == "%warpid":
            return Val("%gang", "i32")
        if name in ("%nwarpid", "%smid", "%nsmid", "%gridid", "%envreg0") or name.startswith("%envreg"):
            value = {"%nwarpid": -(-self.gang.threads // 32), "%nsmid": 1}.get(name, 0)
            return self.constant(value, "i64" if name == "%gridid" else "i32")
        if name.startswith("%lanemask_"):
            return self._lanemask(name.removeprefix("%lanemask_"))
        if name in ("%clock", "%clock64", "%clock_hi", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi"):
            self.declared.add("declare i64 @llvm.readcyclecounter()")
            ticks = self.let("i64", 0, "call i64 @llvm.readcyclecounter()")
            if name.endswith("_hi"):
                return self.trunc(self.lshr(ticks, self.const(ticks, 32)), 32)
            return ticks if name in ("%clock64", "%globaltimer") else self.trunc(ticks, 32)
        if name in ("%dynamic_smem_size", "%total_smem_size", "%aggr_smem_size"):
            field = "dynamic" if name == "%dynamic_smem_size" else "shared_size"
            return self.trunc(self.frame("i64", field), 32)
        raise PolyvmError("PVM-UNSUPPORTED", f"The special register {name} is not supported.", register=name)

    def _thread(self, axis: str) -> Val:
        x, y, _ = self.gang.block
        lin = self.lin[self.part]
        if not self.gang.rows:
            lin = self.add(self.spread(lin, Shape(U)), self.ramp("i32", 1))
        if axis == "x":
            if self.gang.threads == x:
                return lin
            return self.let("i32", lin.lanes, f"urem {lin.typed}, {self.const(lin, x).text}")
        row = self.let("i32", lin.lanes, f"udiv {lin.typed}, {self.const(lin, x).text}")
        op = "urem" if axis == "y" else "udiv"
        return self.let("i32", lin.lanes, f"{op} {row.typed}, {self.const(row, y).text}")

    def _lanemask(self, which: str) -> Val:
        values = []
        for lane in range(self.part * self.W, self.part * self.W + self.W):
            below = (1 << lane) - 1
            here = 1 << lane
            values.append(
                {"eq": here, "lt": below, "le": below | here, "gt": ~(below | here), "ge": ~below}.get(
                    which, -1
                )
                & 0xFFFFFFFF
            )
        return Val("<" + ", ".join(f"i32 {v}" for v in values) + ">", "i32", self.W)

    def frame(self, kind: str, field: str, more: int = 0) -> Val:
        """A field of the frame."""
        return self.let(kind, 0, f"load {kind}, ptr {self.at('%frame', layout.FRAME[field] + more)}")

    def at(self, base: str, offset: int) -> str:
        """A pointer so many bytes behind another."""
        if not offset:
            return base
        return self.let("ptr", 0, f"getelementptr i8, ptr {base}, i64 {offset}").text

    # -- Steps
    def each(self, level: str, step: Step | None = None) -> Iterator[int]:
        """The parts for which something of a level is computed; `part` is each of them in turn.

        step: what is uniform in it is computed for all parts where it goes to registers that are not.
        """
        if step is not None and any(self.shapes.of[name].kind != U for name in step.defs):
            level = V
        for part in range(1 if level == U else self.G):
            self.part = part
            yield part
        self.part = 0

    def step(self, step: Step) -> None:
        """One instruction."""
        kind = step.decoded.form.kind
        if kind == "lanes":
            self.mov(step) if step.insn.name == "mov" else self.lanes(step)
        else:
            self.program.effect(kind)(self, step)

    def lanes(self, step: Step) -> None:
        """An instruction whose meaning is in the table."""
        level = self.level_of(step)
        for _ in self.each(level, step):
            made: Val | tuple[Val, ...] | None = self.widened(step) if level == A else None
            if made is None:
                made = self.meaning(step, level)
            results = (made,) if isinstance(made, Val) else made
            self.results(step, results)

    def meaning(self, step: Step, level: str) -> Val | tuple[Val, ...]:
        """Run the table's function over the operands."""
        d = step.decoded
        arguments: list[Val | int] = []
        for word, operand in zip(d.form.operands, step.insn.operands, strict=False):
            if word.startswith("d"):
                continue
            kind = d.operand_type(word)
            if kind == "imm":
                assert isinstance(operand, Imm)
                arguments.append(operand.value)
            else:
                arguments.append(self.unpacked(self.read(operand, kind, level), kind))
        if "r" in d.form.carries:
            arguments.append(self.register(CARRY, level))
        assert d.form.body is not None
        made: Val | tuple[Val, ...] = d.form.body(self, d, *arguments)
        return made

    def unpacked(self, value: Val, kind: str) -> Val:
        """A register with two values as twice as many lanes."""
        if kind not in PACKED:
            return value
        inner = llvm_type(PACKED[kind])
        lanes = 2 * (value.lanes or 1)
        return self.let(inner, lanes, f"bitcast {value.typed} to <{lanes} x {inner}>")

    def packed(self, value: Val, kind: str) -> Val:
        """The contrary."""
        if kind not in PACKED:
            return value
        lanes = value.lanes // 2 if value.lanes > 2 else 0
        full = f"<{lanes} x i32>" if lanes else "i32"
        return self.let("i32", lanes, f"bitcast {value.typed} to {full}")

    def results(self, step: Step, values: tuple[Val, ...]) -> None:
        """Write what a step gives: the first operand, which may be d|p, and the carry."""
        d = step.decoded
        word = d.form.operands[0]
        kind = d.operand_type(word)
        target = step.insn.operands[0]
        if d.form.carries:
            assert isinstance(target, Reg | Sink | Name)
            if isinstance(target, Reg):
                self.write(step, target.name, values[0], kind)
            self.write(step, CARRY, values[1], "pred")
            return
        wanted = target.parts if isinstance(target, Vec) else (target,)
        for one, value in zip(wanted, values, strict=False):
            if isinstance(one, Reg):
                self.write(step, one.name, self.packed(value, kind), kind)
            elif not isinstance(one, Sink):
                refuse(f"{step.insn.text} writes no register", step.insn.line)

    def mov(self, step: Step) -> None:
        """mov: a copy, an address, or a vector put together or taken apart."""
        target, source = step.insn.operands
        kind = step.decoded.type
        level = self.level_of(step)
        for _ in self.each(level, step):
            if isinstance(source, Vec):
                size = 8 * SIZES[kind] // len(source.parts)
                total: Val | None = None
                for number, part in enumerate(source.parts):
                    piece = self.read(part, f"b{size}", level)
                    piece = self.zext(self.bitcast(piece, f"i{size}"), 8 * SIZES[kind])
                    if number:
                        piece = self.shl(piece, self.const(piece, number * size))
                    total = piece if total is None else self.or_(total, piece)
                assert total is not None
                self.results(step, (total,))
            elif isinstance(target, Vec) and len(target.parts) > 1:
                size = 8 * SIZES[kind] // len(target.parts)
                whole = self.read(source, f"b{8 * SIZES[kind]}", level)
                for number, part in enumerate(target.parts):
                    if isinstance(part, Reg):
                        piece = self.lshr(whole, self.const(whole, number * size)) if number else whole
                        self.write(step, part.name, self.trunc(piece, size), f"b{size}")
            else:
                self.results(step, (self.read(source, kind, level),))

    def widened(self, step: Step) -> Val | None:
        """mul.wide, mad.wide and widening cvt of affine operands: the base is widened where no lane wraps."""
        d = step.decoded
        name = step.insn.name
        if name == "cvt":
            integers = d.types[0][0] in "su" and d.types[1][0] in "su" and not d.has("sat")
            if not integers or SIZES[d.types[0]] <= SIZES[d.types[1]]:
                return None
            return self.wide(step, step.insn.operands[1], d.types[1], 8 * SIZES[d.types[0]])
        if name not in ("mul", "mad") or not d.has("wide"):
            return None
        to = 16 * SIZES[d.type]
        a, b = (self.wide(step, operand, d.type, to) for operand in step.insn.operands[1:3])
        product = self.mul(a, b)
        if name == "mul":
            return product
        return self.add(product, self.read(step.insn.operands[3], f"b{to}", A))

    def wide(self, step: Step, operand: Operand, kind: str, to: int) -> Val:
        """The base of an affine operand, wider. The first lane that is here decides; where a lane behind it wraps, the
        index is none that vectors can be made of, and the kernel stops (it runs with exact=True)."""
        value = self.read(operand, kind, A)
        signed = kind[0] == "s"
        extend = self.sext if signed else self.zext
        stride = self.shape_of(operand).stride
        if not stride:
            return extend(value, to)
        top = stride * (self.W - 1)
        name = f"llvm.{'s' if signed else 'u'}add.with.overflow.{value.type}"
        if not signed and stride < 0:
            name = f"llvm.usub.with.overflow.{value.type}"
        self.declared.add(f"declare {{{value.type}, i1}} @{name}({value.type}, {value.type})")
        amount = abs(top) if not signed else top & ((1 << width(value.type)) - 1)
        pair = self.fresh("%p")
        self.emit(f"{pair} = call {{{value.type}, i1}} @{name}({value.typed}, {value.type} {amount})")
        wraps = self.let("i1", 0, f"extractvalue {{{value.type}, i1}} {pair}, 1")
        near, far, join = (self.fresh("w") for _ in range(3))
        fast = extend(value, to)
        self.emit(f"br i1 {wraps.text}, label %{far}, label %{near}, !prof !1")
        self.label(far)
        mask = self.bits(self.mask)
        first = self.recast(self.cttz(mask), "i32")
        last = self.sub(self.const(first, self.W - 1), self.recast(self.ctlz(mask), "i32"))
        bits = width(value.type)
        step_of = self.mul(self.resize(first, bits), self.constant(stride, value.type))
        begin = self.add(value, step_of)
        reach = self.mul(self.resize(self.sub(last, first), bits), self.constant(stride, value.type))
        end = self.add(begin, reach)
        relation = ("s" if signed else "u") + ("lt" if stride > 0 else "gt")
        bad = self.icmp(relation, end, begin)
        nobody = self.icmp("eq", mask, self.const(mask, 0))
        bad = self.and_(bad, self.not_(nobody))
        fine = self.fresh("w")
        wrong = self.fresh("w")
        self.emit(f"br i1 {bad.text}, label %{wrong}, label %{fine}")
        self.label(wrong)
        self.fault(step, "wrap", self.zext(self.bitcast(begin, value.type), 64), first)
        self.label(fine)
        back = self.mul(self.sext(first, to) if to > 32 else first, self.constant(stride, f"i{to}"))
        slow = self.sub(extend(begin, to), back)
        self.emit(f"br label %{join}")
        self.label(near)
        self.emit(f"br label %{join}")
        self.label(join)
        return self.let(f"i{to}", 0, f"phi i{to} [ {slow.text}, %{fine} ], [ {fast.text}, %{near} ]")

    def fault(self, step: Step, kind: str, address: Val, lane: Val) -> None:
        """Write down what went wrong, and end the gang."""
        site = self.program.site(self.flow.function, [(0, 0, step.insn)])
        self.emit(
            f"call void @pv_fault(ptr %frame, i32 {layout.FAULTS[kind]}, i32 {site}, {address.typed}, i32 {lane.text}, "
            f"i32 {self.part * self.W})"
        )
        self.emit("br label %dead")

    # -- Blocks
    def target(self, number: int) -> str:
        """A block's label."""
        return "leave" if number >= EXIT else f"b{number}"

    def dispatch(self, waiting: set[int]) -> None:
        """Go to the first block where somebody waits."""
        order = sorted(waiting)
        for number in order[:-1]:
            here = self.some(self.load_masks(number))
            more = self.fresh("d")
            self.emit(f"br i1 {here.text}, label %{self.target(number)}, label %{more}")
            self.label(more)
        self.emit(f"br label %{self.target(order[-1])}")

    def body(self) -> None:
        """All blocks."""
        loops = {s for n, block in enumerate(self.flow.blocks) for s in block.successors if s <= n} | {
            self.flow.blocks[b].successors[0] for b in self.flow.barriers
        }
        for number, block in enumerate(self.flow.blocks):
            if not self.shapes.reached[number]:
                continue
            self.block = number
            self.needed = self.shapes.waiting_live(number)
            self.label(self.target(number))
            self.masks = self.load_masks(number)
            self.clear_masks(number)
            if number in loops:
                self.poll()
            self.program.begin_block(self, block.steps)
            for step in block.steps:
                self.step(step)
            self._end(number)
        for number in self.flow.parked:
            if self.shapes.reached[number]:
                self._park(number)

    def poll(self) -> None:
        """Leave where somebody wants the kernel to stop."""
        stop = self.let("i32", 0, "load atomic i32, ptr %stop monotonic, align 4")
        asked = self.icmp("ne", stop, self.const(stop, 0))
        on = self.fresh("p")
        self.emit(f"br i1 {asked.text}, label %dead, label %{on}, !prof !1")
        self.label(on)

    def _end(self, number: int) -> None:
        block = self.flow.blocks[number]
        waiting = self.shapes.pending[number]
        last = block.last
        if block.kind == "trap":
            assert last is not None
            bits = self.warp_bits(self.masks)
            self.fault(last, "trap", self.zext(bits, 64), self.cttz(bits))
        elif block.kind == "barrier":
            assert last is not None
            self.program.effect("reach_barrier")(self, last)
            park = self.flow.park[number]
            self.add_masks(park, self.masks)
            self.dispatch(waiting | {park})
        elif block.kind == "table":
            assert last is not None
            self._table(last, block.successors, waiting)
        elif block.kind == "branch":
            assert last is not None
            self._branch(number, last, block.successors, waiting)
        else:
            self.add_masks(block.successors[0], self.masks)
            self.dispatch(waiting | {block.successors[0]})

    def _branch(self, number: int, last: Step, successors: list[int], waiting: set[int]) -> None:
        guard = Not(last.guard) if last.negated else Reg(last.guard)
        if not self.shapes.diverges(number):
            truth = self.read(guard, "pred", U)
            yes, no = self.fresh("e"), self.fresh("e")
            self.emit(f"br i1 {truth.text}, label %{yes}, label %{no}")
            for label, successor in zip((yes, no), successors, strict=True):
                self.label(label)
                self.add_masks(successor, self.masks)
                self.dispatch(waiting | {successor})
            return
        taken, passed = [], []
        for _ in self.each(V):
            truth = self.read(guard, "pred", V)
            taken.append(self.and_(self.mask, truth))
            passed.append(self.and_(self.mask, self.not_(truth)))
        self.add_masks(successors[0], taken)
        self.add_masks(successors[1], passed)
        self.dispatch(waiting | set(successors))

    def _table(self, last: Step, successors: list[int], waiting: set[int]) -> None:
        """brx.idx: each target takes the lanes that have its number; a number past the end is a fault."""
        index = last.insn.operands[0]
        rest = list(self.masks)
        for number, successor in enumerate(successors):
            here = []
            for _ in self.each(V):
                value = self.read(index, "u32", V)
                hit = self.and_(self.mask, self.icmp("eq", value, self.const(value, number)))
                here.append(hit)
                rest[self.part] = self.and_(rest[self.part], self.not_(hit))
            self.add_masks(successor, here)
        wild = self.some(rest)
        good, bad = self.fresh("t"), self.fresh("t")
        self.emit(f"br i1 {wild.text}, label %{bad}, label %{good}, !prof !1")
        self.label(bad)
        bits = self.warp_bits(rest)
        self.fault(last, "jump", self.zext(bits, 64), self.cttz(bits))
        self.label(good)
        if self.shapes.diverges(self.block) or waiting:
            self.dispatch(waiting | set(successors))
            return
        value = self.read(index, "u32", U)
        cases = " ".join(f"i32 {n}, label %{self.target(s)}" for n, s in enumerate(successors))
        self.emit(f"switch {value.typed}, label %{self.target(successors[0])} [ {cases} ]")

    def _park(self, number: int) -> None:
        """A gang stops at barriers: what lives on is kept, and comes back when the block goes on."""
        self.block = number
        self.label(self.target(number))
        waiting = self.shapes.pending[number]
        stopped = sorted({p for p in waiting if p < EXIT} | {number})
        names = sorted({name for p in stopped for name in self.flow.live[p] if name in self.shapes.of})
        saved: list[tuple[str, str, int]] = []
        offset = 0
        items: list[tuple[int, str, str]] = []
        for name in names:
            kind, vector = storage(self.flow.types[name]), self.shapes.of[name].kind == V
            for part in range(1 if self.shapes.of[name].kind == U else self.G):
                size = max(1, width(kind) // 8) if not vector else max(self.W // 8, self.W * width(kind) // 8)
                items.append((size, self.vector(kind) if vector else kind, self.slot(name, part)))
        for p in stopped:
            if p in self._masked:
                items += [
                    (max(1, self.W // 8), self.vector("i1"), self.mask_slot(p, g)) for g in range(self.G)
                ]
        for size, kind, slot in sorted(items, reverse=True):
            align = min(64, 1 << (size.bit_length() - 1))
            offset = -(-offset // align) * align
            saved.append((kind, slot, offset))
            offset += size
        self.context = max(self.context, offset)
        for kind, slot, place in saved:
            value = self.let(kind, 0, f"load {kind}, ptr {slot}").text
            self.emit(f"store {kind} {value}, ptr {self.at('%context', place)}")
        state = len(self.resumes) + 1
        self.emit(f"ret i32 {state}")
        lines, self.lines = self.lines, []
        self.label(f"s{state}")
        for kind, slot, place in saved:
            value = self.let(kind, 0, f"load {kind}, ptr {self.at('%context', place)}").text
            self.emit(f"store {kind} {value}, ptr {slot}")
        after = {EXIT} if EXIT in waiting else set()
        for p in stopped:
            barrier = self.flow.blocks[self.flow.parked[p]]
            self.masks = self.load_masks(p)
            self.needed = set() if len(stopped) == 1 and not waiting else set(self.shapes.of)
            if barrier.last is not None:
                self.program.effect("pass_barrier")(self, barrier.last)
            self.clear_masks(p)
            self.add_masks(barrier.successors[0], self.masks)
            after.add(barrier.successors[0])
        self.dispatch(after)
        self.resumes.append(self.lines)
        self.lines = lines

    def stack_slots(self) -> list[str]:
        """The stack slots of registers and masks, zeroed."""
        made = []
        for name, shape in self.shapes.of.items():
            kind = storage(self.flow.types[name])
            full = self.vector(kind) if shape.kind == V else kind
            for part in range(1 if shape.kind == U else self.G):
                slot = self.slot(name, part)
                made += [f"  {slot} = alloca {full}", f"  store {full} zeroinitializer, ptr {slot}"]
        for number in sorted(self._masked):
            for part in range(self.G):
                slot = self.mask_slot(number, part)
                made += [f"  {slot} = alloca {self.vector('i1')}",
                         f"  store {self.vector('i1')} zeroinitializer, ptr {slot}"]  # fmt: skip
        return made
