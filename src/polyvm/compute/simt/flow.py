"""A PTX function as blocks: what each reads and writes, which registers live on, and where other lanes may wait.

Lanes of a gang that take different ways wait at blocks; the block that comes first in the text always runs first, with
the lanes that are there. `pending` says for each block where others can be waiting meanwhile: nowhere means that every
lane is here, and code needs no masks. A barrier parks its lanes in a block of its own behind all others, so that a gang
stops at barriers only when none of its lanes can go on. It refuses jumps that lead nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from polyvm.errors import PolyvmError
from polyvm.isa.ptx.registers import is_special
from polyvm.isa.ptx.syntax import Function, Imm, Insn, Mem, Name, Not, Operand, Reg, Vec, refuse
from polyvm.isa.ptx.table import Decoded, decode

CARRY = "%cc.cf"
"""The register that add.cc and its kin write, PTX ISA 9.7.2."""
EXIT = 1 << 30
"""Where lanes go that are done."""


@dataclass(slots=True)
class Step:
    """An instruction: what it is, the registers that it writes and reads, and its guard."""

    decoded: Decoded
    defs: tuple[str, ...]
    uses: tuple[str, ...]
    guard: str = ""
    negated: bool = False

    @property
    def insn(self) -> Insn:
        """The instruction as it was written."""
        return self.decoded.insn


@dataclass(slots=True)
class Block:
    """Steps in a row and the one that ends them. kind: fall, jump, branch, table, barrier or leave.

    successors: for a branch the target and what follows, for a table its targets, for a barrier what follows it.
    """

    steps: list[Step]
    kind: str
    successors: list[int]
    last: Step | None = None
    reads: set[str] = field(default_factory=set)  # before they are written here
    writes: set[str] = field(default_factory=set)


def registers(operand: Operand) -> list[str]:
    """The registers in an operand."""
    if isinstance(operand, Reg | Not):
        return [operand.name]
    if isinstance(operand, Vec):
        return [name for part in operand.parts for name in registers(part)]
    if isinstance(operand, Mem):
        return registers(operand.base)
    return []


def _step(decoded: Decoded) -> Step:
    insn, form = decoded.insn, decoded.form
    defs: list[str] = []
    uses: list[str] = []
    for word, operand in zip(form.operands, insn.operands, strict=False):
        (defs if word.startswith("d") else uses).extend(registers(operand))
    if insn.name == "call":
        defs, uses = [], [name for operand in insn.operands for name in registers(operand)]
    if "r" in form.carries:
        uses.append(CARRY)
    if form.carries:
        defs.append(CARRY)
    if insn.guard:
        uses += [insn.guard, *defs]  # where it does not hold, what was there stays
    return Step(decoded, tuple(defs), tuple(uses), insn.guard, insn.negated)


_ENDS = {
    "branch": "branch", "branch_table": "table", "leave": "leave", "barrier": "barrier", "barrier_reduce": "barrier",
    "trap": "trap",
}  # fmt: skip


class Flow:
    """The blocks of a function. Block numbers from len(blocks) on are those in which barriers park lanes."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.types = {**function.registers, CARRY: "pred"}
        self.blocks: list[Block] = []
        self._cut([decode(insn) for insn in function.insns])
        self.barriers = [n for n, block in enumerate(self.blocks) if block.kind == "barrier"]
        self.park = {b: len(self.blocks) + n for n, b in enumerate(self.barriers)}
        self.parked = {p: b for b, p in self.park.items()}
        self._live()

    # -- Blocks
    def _cut(self, decoded: list[Decoded]) -> None:
        function = self.function
        at_label = set(function.labels.values())
        starts = [0]  # of blocks, as numbers of pieces
        pieces: list[tuple[list[Step], Step | None, str]] = []
        places: dict[int, int] = {}  # instruction -> block
        steps: list[Step] = []

        def close(last: Step | None, kind: str) -> None:
            pieces.append((list(steps), last, kind))
            steps.clear()
            starts.append(len(pieces))

        skips: dict[int, int] = {}  # block that jumps over the next -> block behind it
        for index, d in enumerate(decoded):
            if index in at_label or index == 0:
                if steps:
                    close(None, "fall")
                places[index] = len(pieces)
            step = _step(d)
            kind = d.form.kind
            if kind == "nothing":
                continue
            ends = _ENDS.get(kind)
            if step.guard and kind not in ("lanes", "branch", "leave"):
                # A guarded effect is jumped over where the guard does not hold.
                skips[len(pieces)] = len(pieces) + 2
                close(step, "skip")
                step = _step(d)
                step.guard = ""
                steps.append(step) if ends is None else None
                close(step if ends else None, ends or "fall")
            elif ends:
                close(step, ends)
            else:
                steps.append(step)
        if steps or not pieces or len(decoded) in at_label or pieces[-1][2] in ("skip", "barrier", "branch"):
            places[len(decoded)] = len(pieces)
            close(None, "fall")
        places.setdefault(len(decoded), len(pieces))
        count = len(pieces)

        def place(name: str, line: int) -> int:
            if name not in function.labels:
                refuse(f"there is no label {name}", line)
            target = places[function.labels[name]]
            return target if target < count else EXIT

        for number, (body, last, kind) in enumerate(pieces):
            following = number + 1 if number + 1 < count else EXIT
            block = Block(body, kind, [following], last)
            if kind == "skip":
                assert last is not None
                last = Step(last.decoded, (), (last.guard,), last.guard, not last.negated)
                over = skips[number] if skips[number] < count else EXIT
                block = Block(body, "branch", [over, following], last)
            elif kind == "branch":
                assert last is not None
                target = place(_target(last, 0), last.insn.line)
                block.kind = "branch" if last.guard else "jump"
                block.successors = [target, following] if last.guard else [target]
                last.defs, last.uses = (), (last.guard,) if last.guard else ()
            elif kind == "table":
                assert last is not None
                names = function.targets.get(_target(last, 1))
                if names is None:
                    refuse("brx.idx without a .branchtargets", last.insn.line)
                block.successors = [place(name, last.insn.line) for name in names]
            elif kind == "leave":
                assert last is not None
                block.kind = "branch" if last.guard else "leave"
                block.successors = [EXIT, following] if last.guard else [EXIT]
                last.defs, last.uses = (), (last.guard,) if last.guard else ()
            elif kind == "trap":
                block.successors = []
            self.blocks.append(block)

    # -- Registers that live on
    def _live(self) -> None:
        for block in self.blocks:
            for step in (*block.steps, *([block.last] if block.last else [])):
                block.reads |= set(step.uses) - block.writes
                if not (block.kind == "barrier" and step is block.last):
                    block.writes |= set(step.defs)
            # What a reducing barrier gives is written when the lanes come back.
        count = len(self.blocks)
        self.live: list[set[str]] = [set() for _ in range(count + len(self.barriers))]
        changed = True
        while changed:
            changed = False
            for number in range(count - 1, -1, -1):
                block = self.blocks[number]
                out: set[str] = set()
                for successor in block.successors:
                    if successor != EXIT:
                        out |= self.live[successor]
                found = block.reads | (out - block.writes)
                if found != self.live[number]:
                    self.live[number] = found
                    changed = True
        for barrier, park in self.park.items():
            after = self.blocks[barrier].successors[0]
            last = self.blocks[barrier].last
            gives = set(last.defs) if last else set()
            self.live[park] = (self.live[after] if after != EXIT else set()) | gives

    @cached_property
    def order(self) -> int:
        """How many blocks there are, those of parked lanes included."""
        return len(self.blocks) + len(self.barriers)


def _target(step: Step, operand: int) -> str:
    operands = step.insn.operands
    if len(operands) <= operand or not isinstance(operands[operand], Name):
        refuse("a jump without a label", step.insn.line)
    name = operands[operand]
    assert isinstance(name, Name)
    return name.name


def check(flow: Flow) -> None:
    """Refuse operands that no register, variable or constant is, and those of another width (PVM-GPU-PTX)."""
    for block in flow.blocks:
        for step in (*block.steps, *([block.last] if block.last else [])):
            _check(flow, step)


def _check(flow: Flow, step: Step) -> None:
    for name in step.defs:
        if name not in flow.types:
            refuse(f"{name} is no register that can be written", step.insn.line)
    for name in step.uses:
        if name not in flow.types and not is_special(name):
            refuse(f"there is no register {name}", step.insn.line)
    for word, operand in zip(step.decoded.form.operands, step.insn.operands, strict=False):
        if (word == "mem") != isinstance(operand, Mem):
            refuse(f"{step.insn.text} wants an address in brackets, and only there", step.insn.line)
    if step.decoded.form.kind != "lanes" or step.insn.name in ("mov", "cvt"):
        return
    from polyvm.isa.ptx.syntax import SIZES

    for word, operand in zip(step.decoded.form.operands, step.insn.operands, strict=False):
        kind = step.decoded.operand_type(word)
        for name in registers(operand):
            have = flow.types.get(name)
            if have is None:
                continue
            if (have == "pred") != (kind == "pred") or (kind in SIZES and SIZES[have] != SIZES[kind]):
                refuse(f"{name} is .{have}, {step.insn.text} wants .{kind}", step.insn.line)
        if kind == "imm" and not isinstance(operand, Imm):
            refuse(f"{step.insn.text} wants a constant there", step.insn.line)


def missing(name: str) -> PolyvmError:
    """The error for a function that is called and is nowhere."""
    return PolyvmError(
        "PVM-UNSUPPORTED",
        f"The device function {name} is not there, and is none that polyvm supplies.",
        hint="Device functions must be in the same source; printf and assert are supplied.",
        function=name,
    )
