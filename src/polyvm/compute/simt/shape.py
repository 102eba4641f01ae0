"""What the lanes of a gang have in common, register by register: the analysis that makes loads broadcasts or vectors.

A register is *uniform* (one value for the gang), *affine* (base + lane * stride in each part of the gang; stride 0 is
one value for the part), or a *vector*. Everything starts unknown and only grows, so the least answer is found.
"""

from __future__ import annotations

from dataclasses import dataclass

from polyvm.compute.simt.flow import CARRY, EXIT, Flow, Step
from polyvm.isa.ptx.syntax import SIZES, Imm, Mem, Name, Not, Operand, Reg, Vec

STRIDES = 1 << 20  # strides up to here are worth keeping: addresses, not hashes


@dataclass(frozen=True, slots=True)
class Shape:
    """kind: "U", "A" or "V". value: a uniform one's constant. stride; align: a power of two that divides the base."""

    kind: str
    value: int | None = None
    stride: int = 0
    align: int = 1


UNIFORM = Shape("U")
VECTOR = Shape("V")
PART = Shape("A", align=1 << 16)


def affine(stride: int, align: int = 1) -> Shape:
    """An affine shape; a vector where the stride is absurd."""
    return Shape("A", None, stride, max(align, 1)) if abs(stride) <= STRIDES else VECTOR


def join(a: Shape | None, b: Shape) -> Shape:
    """The least shape that both are."""
    if a is None or a == b:
        return b
    if a.kind == "U" and b.kind == "U":
        return UNIFORM
    if "V" in (a.kind, b.kind):
        return VECTOR
    if a.stride == b.stride:  # a uniform one is affine of stride 0
        return affine(a.stride, min(_align(a), _align(b)))
    return VECTOR


def _align(s: Shape) -> int:
    if s.kind == "A":
        return s.align
    if s.value is None:
        return 1
    return (s.value & -s.value) if s.value else 1 << 20


@dataclass(frozen=True, slots=True)
class Gang:
    """How threads of a block become lanes: `parts` vectors of `width` lanes, 32 lanes together: a warp.

    A kernel whose lanes never speak to their warp may have gangs of half a warp: `size` lanes.
    """

    block: tuple[int, int, int]
    width: int
    parts: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        x, y, z = self.block
        return x * y * z

    @property
    def size(self) -> int:
        """Lanes of a gang."""
        return self.width * self.parts

    @property
    def gangs(self) -> int:
        """Gangs of a block."""
        return -(-self.threads // self.size)

    @property
    def whole(self) -> bool:
        """Whether every gang has all its lanes."""
        return self.threads % self.size == 0

    @property
    def rows(self) -> bool:
        """Whether a part lies in one row of threads, so that tid.y and tid.z are the same in it."""
        return self.block[0] % self.width == 0 or self.block[1] * self.block[2] == 1


def gang_of(block: tuple[int, int, int]) -> Gang:
    """The widest parts that lie in one row; where there are none, whole warps."""
    for width in (32, 16, 8):
        if block[0] % width == 0:
            return Gang(block, width, 32 // width)
    return Gang(block, 32, 1)


def special(name: str, gang: Gang) -> Shape:
    """The shape of a special register."""
    axis = "xyz".find(name[-1])
    if name.startswith("%ntid"):
        return Shape("U", gang.block[axis])
    if name.startswith("%tid."):
        if gang.block[axis] == 1:
            return Shape("U", 0)
        if not gang.rows:
            return VECTOR
        return affine(1, gang.width) if axis == 0 else PART
    if name == "%laneid":
        return affine(1, gang.width)
    return VECTOR if name.startswith("%lanemask") else UNIFORM


class Shapes:
    """The shapes of a function's registers, which blocks are reached, and where others may wait meanwhile."""

    def __init__(self, flow: Flow, gang: Gang, *, masked: bool, exact: bool = False) -> None:
        """masked: some lanes may be missing from the start. exact: never take wrapping indexes for affine ones."""
        self.flow, self.gang, self.exact = flow, gang, exact
        self.of: dict[str, Shape] = {}
        self.pending: list[set[int]] = [set() for _ in range(flow.order)]
        self.reached = [False] * flow.order
        self.reached[0] = True
        if masked:
            self.pending[0] = {EXIT}
        for name in flow.live[0] & set(flow.types):  # read before it is written: zero
            self.of[name] = Shape("U", 0)
        self._solve()
        for name in self._written - set(self.of):  # written where nobody comes
            self.of[name] = UNIFORM

    def _solve(self) -> None:
        changed = True
        while changed:
            changed = False
            for number in range(self.flow.order):
                if not self.reached[number]:
                    continue
                changed |= self._visit(number)
                for target, waiting in self.edges(number):
                    if target >= EXIT:
                        continue
                    if not self.reached[target] or not waiting <= self.pending[target]:
                        self.reached[target] = True
                        self.pending[target] |= waiting
                        changed = True

    def waiting_live(self, number: int) -> set[str]:
        """Registers that lanes waiting elsewhere still need."""
        found: set[str] = set()
        for other in self.pending[number]:
            if other < EXIT:
                found |= self.flow.live[other]
        return found

    def _visit(self, number: int) -> bool:
        if number in self.flow.parked:
            return self._visit_park(number)
        block, changed = self.flow.blocks[number], False
        needed = self.waiting_live(number)
        for step in block.steps:
            if not step.defs:
                continue
            shapes = self.result(step)
            if shapes is None:
                continue
            for name, shape in zip(step.defs, shapes, strict=True):
                floating = self.flow.types[name] in ("f32", "f64") and shape.stride
                if name in needed or floating or (step.guard and not self._uniform_guard(step, shape)):
                    shape = VECTOR
                changed |= self._set(name, shape)
        return changed

    def _visit_park(self, number: int) -> bool:
        last = self.flow.blocks[self.flow.parked[number]].last
        changed = False
        if last is not None:
            for (
                name
            ) in last.defs:  # a reducing barrier's result is the block's; others may have theirs elsewhere
                changed |= self._set(name, VECTOR if self.pending[number] - {EXIT} else UNIFORM)
        return changed

    def _uniform_guard(self, step: Step, shape: Shape) -> bool:
        guard = self.of.get(step.guard)
        return shape.kind == "U" and guard is not None and guard.kind == "U"

    def _set(self, name: str, shape: Shape) -> bool:
        joined = join(self.of.get(name), shape)
        if joined == self.of.get(name):
            return False
        self.of[name] = joined
        return True

    # -- Where lanes go
    def edges(self, number: int) -> list[tuple[int, set[int]]]:
        """(block, where others wait then) for each way out of a block."""
        pending = self.pending[number]
        if number in self.flow.parked:
            stopped = {p for p in pending if p < EXIT} | {number}
            gone = {EXIT} if EXIT in pending else set()
            return _dispatch({self.flow.blocks[self.flow.parked[p]].successors[0] for p in stopped} | gone)
        block = self.flow.blocks[number]
        if block.kind == "barrier":
            return _dispatch(pending | {self.flow.park[number]})
        if not block.successors:
            return []
        if self.diverges(number):
            return _dispatch(pending | set(block.successors))
        return [edge for successor in block.successors for edge in _dispatch(pending | {successor})]

    def diverges(self, number: int) -> bool:
        """Whether lanes may go different ways at the end of a block."""
        block = self.flow.blocks[number]
        if block.kind not in ("branch", "table") or block.last is None:
            return False
        return any((self.of.get(name) or UNIFORM).kind != "U" for name in block.last.uses)

    # -- Shapes of results
    def operand(self, operand: Operand) -> Shape | None:
        """The shape of an operand; None while it is not known."""
        if isinstance(operand, Reg | Not):
            if operand.name in self.flow.types:
                return self.of.get(operand.name, self._unwritten(operand.name))
            return special(operand.name, self.gang)
        if isinstance(operand, Imm):
            return Shape("U", operand.value)
        if isinstance(operand, Mem):
            return self.operand(operand.base)
        if isinstance(operand, Vec):
            total: Shape | None = None
            for part in operand.parts:
                shape = self.operand(part)
                if shape is None:
                    return None
                total = join(total, shape) if total else shape
            if total is not None and len(operand.parts) > 1 and total.kind == "A" and total.stride:
                return VECTOR
            return Shape(total.kind, None, total.stride, total.align) if total else UNIFORM
        return UNIFORM

    def _unwritten(self, name: str) -> Shape | None:
        """A register that nothing writes is zero; one that something writes is not known yet."""
        return None if name in self._written else Shape("U", 0)

    @property
    def _written(self) -> set[str]:
        if not hasattr(self, "_cache"):
            self._cache = {
                name
                for block in self.flow.blocks
                for step in (*block.steps, *([block.last] if block.last else []))
                for name in step.defs
            }
        return self._cache

    def result(self, step: Step) -> list[Shape] | None:
        """The shapes of what a step writes, by its operands alone; None while these are not known."""
        kind = step.decoded.form.kind
        count = len(step.defs)
        if kind == "lanes":
            words = step.decoded.form.operands
            sources = [
                self.operand(o)
                for word, o in zip(words, step.insn.operands, strict=False)
                if not word.startswith("d")
            ]
            if "r" in step.decoded.form.carries:
                sources.append(self.of.get(CARRY, self._unwritten(CARRY)))
            known = [shape for shape in sources if shape is not None]
            if len(known) < len(sources):
                return None
            return [self._lanes(step, known)] * count
        if kind == "load":
            return self._load(step, count)
        if kind == "convert_address":
            return self._address(step)
        if kind in ("vote", "active", "reduce"):
            return [UNIFORM] * count
        if kind == "is_space":
            source = self.operand(step.insn.operands[1])
            return None if source is None else [UNIFORM if source.kind == "U" else VECTOR]
        return [VECTOR] * count

    def _load(self, step: Step, count: int) -> list[Shape] | None:
        address = step.insn.operands[1]
        assert isinstance(address, Mem)
        if step.decoded.has("param"):
            plain = (
                isinstance(address.base, Name)
                and self.flow.function.entry
                and self._parameter(address.base.name)
            )
            base = self.operand(address)
            if base is None:
                return None
            return [UNIFORM if plain or (base.kind == "U" and self.flow.function.entry and not
                    isinstance(address.base, Name)) else VECTOR] * count  # fmt: skip
        base = self.operand(address)
        if base is None:
            return None
        if step.decoded.has("local") or base.kind == "V" or base.stride:
            return [VECTOR] * count
        return [UNIFORM if base.kind == "U" else PART] * count

    def _parameter(self, name: str) -> bool:
        return any(p.name == name for p in self.flow.function.params)

    def _address(self, step: Step) -> list[Shape] | None:
        source = self.operand(step.insn.operands[1])
        if source is None:
            return None
        if step.decoded.has("local"):
            return [VECTOR]
        return [Shape(source.kind, None, source.stride)]

    def _lanes(self, step: Step, sources: list[Shape]) -> Shape:
        if all(s.kind == "U" for s in sources):
            return Shape("U", _constant(step, [s.value for s in sources]))
        if all(s.kind == "U" or (s.kind == "A" and not s.stride) for s in sources):
            return PART
        if any(s.kind == "V" for s in sources):
            return VECTOR
        return self._linear(step, sources)

    def _linear(self, step: Step, s: list[Shape]) -> Shape:
        """Operations that keep a stride."""
        d = step.decoded
        name, kind = step.insn.name, d.types[-1] if d.types else ""
        if kind[:1] not in "sub" or kind.startswith("bf") or "x2" in kind or d.has("sat") or d.form.carries:
            return VECTOR
        if name == "mov":
            return s[0] if not isinstance(step.insn.operands[0], Vec) else VECTOR
        if name == "add":
            return affine(s[0].stride + s[1].stride, min(_align(s[0]), _align(s[1])))
        if name == "sub":
            return affine(s[0].stride - s[1].stride, min(_align(s[0]), _align(s[1])))
        if name == "or" and s[1].value is not None and s[0].kind == "A":
            clear = min(s[0].stride & -s[0].stride, s[0].align)
            return affine(s[0].stride) if 0 <= s[1].value < clear else VECTOR
        if name == "shl" and s[1].value is not None and 0 <= s[1].value < 8 * SIZES[kind]:
            return affine(s[0].stride << s[1].value, s[0].align << s[1].value)
        if name in ("mul", "mad") and (d.has("lo") or (d.has("wide") and not self.exact)):
            return self._multiplied(name, s)
        if (
            name == "cvt"
            and d.types[0][0] in "su"
            and kind[0] in "su"
            and SIZES[d.types[0]] >= 4
            and SIZES[kind] >= 4
        ):
            widens = SIZES[d.types[0]] > SIZES[kind]
            return VECTOR if widens and self.exact else affine(s[0].stride, s[0].align)
        if name in ("and", "shr") and s[1].value is not None and s[0].kind == "A":
            return self._aligned(name, s[0], s[1].value)
        return VECTOR

    def _multiplied(self, name: str, s: list[Shape]) -> Shape:
        a, b = s[0], s[1]
        if a.stride and b.stride:
            return VECTOR
        if a.stride:
            a, b = b, a
        if b.stride and a.value is None:
            return VECTOR
        factor = a.value or 0
        product = (
            affine(b.stride * factor, b.align * (factor & -factor) if factor else 1) if b.stride else PART
        )
        if name == "mul" or product.kind == "V":
            return product
        return affine(
            product.stride + s[2].stride, min(_align(product), _align(s[2])) if b.stride else _align(s[2])
        )

    def _aligned(self, name: str, s: Shape, value: int) -> Shape:
        """tid & 31 and tid >> 5, where a part begins at a multiple of its width."""
        lanes = self.gang.width
        if s.stride != 1 or s.align < lanes:
            return VECTOR
        if name == "and":
            return (
                affine(1, s.align) if value > 0 and not value & (value + 1) and value >= lanes - 1 else VECTOR
            )
        return PART if 0 <= value < 32 and (1 << value) >= lanes else VECTOR


def _dispatch(waiting: set[int]) -> list[tuple[int, set[int]]]:
    """The first block runs, or the next one where nobody is at the first, and so on."""
    order = sorted(waiting)
    return [(block, set(order[n + 1 :])) for n, block in enumerate(order)]


def _constant(step: Step, values: list[int | None]) -> int | None:
    """The value of what has constant operands, for the operations that make indexes."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None
    d, kind = step.decoded, step.decoded.type
    if (
        not kind
        or kind[0] not in "sub"
        or kind.startswith("bf")
        or "x2" in kind
        or d.form.carries
        or d.has("sat")
    ):
        return None
    name = step.insn.name
    a = known[0]
    if name == "mov" and not isinstance(step.insn.operands[1], Vec):
        made = a
    elif name in ("add", "sub"):
        made = a + (known[1] if name == "add" else -known[1])
    elif name == "mul" and d.has("lo"):
        made = a * known[1]
    elif name == "shl" and 0 <= known[1] < 64:
        made = a << known[1]
    else:
        return None
    bits = 8 * SIZES[kind]
    if not bits:
        return None
    made &= (1 << bits) - 1
    return made - (1 << bits) if made >> (bits - 1) and kind[0] == "s" else made
