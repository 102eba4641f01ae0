"""The golden evaluator's own lines, put behind each other: a stretch of instructions as one Python function.

For whoever must judge millions of instructions. The expressions are taken out of `ir.golden`'s source, with the
operands in place of the lambdas' arguments, so that there is one meaning; it refuses ops that are not there.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from polyvm.ir import golden
from polyvm.ir.ops import FP_FLAGS, FP_FLAGS_BITS, FP_MODE, IDC, OPS
from polyvm.ir.trace import Trace
from polyvm.ir.values import Val

Slot = tuple[str, int]
Run = Callable[[list[Any]], int]
INDENT = "    "

# Their results have no bits above the width, so reducing them would change nothing.
_NARROW = frozenset(
    ("and", "or", "xor", "lshr", "urem", "clz", "ctz", "popcount", "eq", "ne", "ult", "ule", "slt", "sle", "select")
)  # fmt: skip


def _table(module: ast.Module, name: str) -> dict[str, ast.Lambda]:
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            assert isinstance(node.value, ast.Dict)
            return {
                ast.literal_eval(key): value
                for key, value in zip(node.value.keys, node.value.values, strict=True)
                if key is not None and isinstance(value, ast.Lambda)
            }
    raise LookupError(f"ir.golden has no table {name}")


def _one_liners(module: ast.Module) -> dict[str, tuple[list[str], ast.expr]]:
    """Functions that only return an expression: these can stand where they are called."""
    found = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            last = node.body[-1]
            rest = [n for n in node.body[:-1] if not isinstance(n, ast.Expr)]
            if not rest and isinstance(last, ast.Return) and last.value is not None:
                found[node.name] = ([a.arg for a in node.args.args], last.value)
    return found


_MODULE = ast.parse(inspect.getsource(golden))
_PURE, _AMO = (_table(_MODULE, name) for name in ("_PURE", "AMO"))
_SHORT = _one_liners(_MODULE)
_templates: dict[object, str] = {}


class _Substitute(ast.NodeTransformer):
    """Names by expressions, `a[i]` by operands, and calls of one-line functions by their line."""

    def __init__(self, names: dict[str, ast.expr], operands: Sequence[ast.expr] = ()) -> None:
        self.names = names
        self.operands = operands

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.names.get(node.id, node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "a" and self.operands:
            return self.operands[int(ast.literal_eval(node.slice))]
        self.generic_visit(node)
        if isinstance(node.value, ast.Constant):
            value = ast.literal_eval(node.slice)
            return ast.Constant(node.value.value[value])  # type: ignore[index]  # an attr that is a tuple
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        simple = all(isinstance(a, ast.Name | ast.Constant) for a in node.args)
        if name in _SHORT and simple and not node.keywords:
            parameters, body = _SHORT[name]
            return _inline(body, dict(zip(parameters, node.args, strict=True)))
        return node


def _inline(body: ast.expr, names: dict[str, ast.expr], operands: Sequence[ast.expr] = ()) -> ast.expr:
    copy = ast.parse(ast.unparse(body), mode="eval").body
    result: ast.expr = _Substitute(names, operands).visit(copy)
    return result


class Block:
    """A generated function `run(r)`: it does the instructions on the list of registers and returns the next address.

    start, end: the addresses of its first byte and behind its last. insns: how many instructions it does.
    places: line of the source -> (address, how many were done before), for whoever catches what it raises.
    source: its text.
    """

    __slots__ = ("end", "insns", "places", "run", "source", "start")

    def __init__(
        self, start: int, end: int, insns: int, run: Run, places: list[tuple[int, int]], source: str
    ) -> None:
        self.start = start
        self.end = end
        self.insns = insns
        self.run = run
        self.places = places
        self.source = source

    def place(self, error: BaseException) -> tuple[int, int]:
        """The instruction that raised: its address, and how many were done before it."""
        at = error.__traceback__
        line = 0
        while at is not None:
            if at.tb_frame.f_code.co_filename == self.name:
                line = at.tb_lineno
            at = at.tb_next
        return self.places[line - 1]

    @property
    def name(self) -> str:
        """What its code is called in tracebacks."""
        return f"<golden {self.start:#x}>"


class Writer:
    """Makes Blocks.

    index: slot -> its place in the list of registers; a hardwired register has none and reads as zero.
    environment: the functions of memory and counters that the code calls: load1 .. load16(address),
    store1 .. store16(address, value), probe(address, size, write), counter(kind).
    """

    def __init__(self, index: dict[Slot, int], environment: dict[str, Any]) -> None:
        self.index = index
        self.globals = {**vars(golden), **environment}
        self.lines: list[str] = []
        self.places: list[tuple[int, int]] = []
        self.here = (0, 0)
        self.depth = 1
        self.names = 0
        self.values: dict[Val, str] = {}
        self.known: dict[int, str] = {}
        self.fields: dict[str, int] = {}
        self.floats = "canonical"
        self.jumps = False
        self.flushes = False

    def block(self, insns: Iterable[tuple[int, Trace, dict[str, int]]]) -> Block:
        """The function of some instructions that follow each other: (address, trace, data fields) of each."""
        self.lines, self.places, self.known = ["def run(r):"], [(0, 0)], {}
        self.depth, self.names, self.jumps, self.flushes = 1, 0, False, False
        start, end, count = -1, 0, 0
        for pc, trace, fields in insns:
            start = pc if start < 0 else start
            end = pc + trace.size & (1 << 64) - 1
            self.here, self.values, self.fields = (pc, count), {}, fields
            self.floats = trace.floats
            if any(op.op == "jump" for op in trace.walk()):
                self.jumps = True
                self.do(f"go = {end}")
            self.ops(trace.ops)
            count += 1
        self.do(f"raise Flush({end})" if self.flushes else "return go" if self.jumps else f"return {end}")
        source = "\n".join(self.lines)
        block = Block(start, end, count, _nothing, self.places, source)
        linecache.cache[block.name] = len(source), None, [line + "\n" for line in self.lines], block.name
        space: dict[str, Any] = {}
        exec(compile(source, block.name, "exec"), self.globals, space)
        block.run = space["run"]
        return block

    # -- text
    def do(self, line: str) -> None:
        """A line."""
        self.lines.append(INDENT * self.depth + line)
        self.places.append(self.here)

    def let(self, expression: str) -> str:
        """A new name for a value."""
        self.names += 1
        name = f"v{self.names}"
        self.do(f"{name} = {expression}")
        return name

    # -- ops
    def ops(self, ops: Iterable[Val]) -> None:
        """Write some ops."""
        for op in ops:
            args = [self.values[arg] for arg in op.args]
            if args and OPS[op.op].pure:
                value = self.pure(op, args)
            elif op.op in golden.FLOAT_OPS:
                value = self.floating(op, args)
            else:
                value = getattr(self, "op_" + op.op)(op, args)
            if op.bits:
                self.values[op] = value

    def pure(self, op: Val, args: list[str]) -> str:
        """An expression of the evaluator's table, reduced modulo 2^bits."""
        if all(arg.isdigit() for arg in args):
            return str(golden.fold_numbers(op, [int(arg) for arg in args]))
        if op.op == "zext":
            return args[0]
        text = self.expression(_PURE[op.op], op, args)
        return self.let(text if op.op in _NARROW else f"({text}) & {(1 << op.bits) - 1:#x}")

    def expression(self, line: ast.Lambda, op: Val, args: list[str]) -> str:
        """A line of the evaluator with these operands."""
        key = (op.op, op.bits, op.args[0].bits, op.attr)
        text = _templates.get(key)
        if text is None:
            names: dict[str, ast.expr] = {
                "w": ast.Constant(op.bits),
                "n": ast.Constant(op.args[0].bits),
                "t": ast.Constant(op.attr),  # type: ignore[arg-type]  # an attr of such an op is a number or numbers
            }
            operands: list[ast.expr] = [ast.Name(f"operand{i}_") for i in range(len(args))]
            names["a"] = ast.List(operands, ast.Load())  # where all of them are handed on
            text = _templates[key] = ast.unparse(_inline(line.body, names, operands))
        for i, arg in enumerate(args):
            text = text.replace(f"operand{i}_", f"({arg})" if arg.isdigit() else arg)
        return text

    def floating(self, op: Val, args: list[str]) -> str:
        """A floating-point op and the exceptions that it leaves."""
        self.names += 1
        value, flags = f"v{self.names}", f"e{self.names}"
        what = f"{op.op!r}, [{', '.join(args)}], {op.bits}, {op.args[0].bits}, {op.attr!r}"
        self.do(f"{value}, {flags} = floating({what}, {self.read(FP_MODE)}, {self.floats!r})")
        place = self.index[FP_FLAGS]
        self.known.pop(place, None)
        self.do(f"r[{place}] |= {flags} & {(1 << FP_FLAGS_BITS) - 1}")
        if self.floats == "arm":  # written without a look at it: the judge may not have its value
            place = self.index[IDC]
            self.known.pop(place, None)
            self.do(f"if {flags} >> {FP_FLAGS_BITS}: r[{place}] = 1")
        return self.let(f"int({value}) & {(1 << op.bits) - 1:#x}")

    def op_const(self, op: Val, args: list[str]) -> str:
        """A number."""
        return str(op.attr)

    def op_field(self, op: Val, args: list[str]) -> str:
        """A data field: known here."""
        return str(self.fields[str(op.attr)])

    def op_pc(self, op: Val, args: list[str]) -> str:
        """The address: known here."""
        return str(self.here[0])

    def read(self, slot: Slot) -> str:
        """A register."""
        place = self.index.get(slot)
        if place is None:
            return "0"
        if place not in self.known:
            self.known[place] = self.let(f"r[{place}]")
        return self.known[place]

    def write(self, slot: Slot, value: str) -> None:
        """Set a register."""
        place = self.index.get(slot)
        if place is not None:
            self.do(f"r[{place}] = {value}")
            self.known[place] = value

    def op_get(self, op: Val, args: list[str]) -> str:
        """A register."""
        slot: Slot = op.attr  # type: ignore[assignment]  # a slot
        return self.read(slot)

    def op_set(self, op: Val, args: list[str]) -> None:
        """Set a register."""
        slot: Slot = op.attr  # type: ignore[assignment]  # a slot
        self.write(slot, args[0])

    def op_getx(self, op: Val, args: list[str]) -> str:
        """A register by number: known here."""
        return self.read((str(op.attr), int(args[0])))

    def op_setx(self, op: Val, args: list[str]) -> None:
        """Set a register by number."""
        self.write((str(op.attr), int(args[0])), args[1])

    def op_counter(self, op: Val, args: list[str]) -> str:
        """A counter."""
        return self.let(f"counter({op.attr!r})")

    def op_load(self, op: Val, args: list[str]) -> str:
        """Read memory."""
        return self.let(f"load{op.bits // 8}({args[0]})")

    def op_store(self, op: Val, args: list[str]) -> None:
        """Write memory."""
        self.do(f"store{op.args[1].bits // 8}({args[0]}, {args[1]})")

    def op_amo(self, op: Val, args: list[str]) -> str:
        """Read, change and write memory, as golden._amo does."""
        size = op.bits // 8
        self.do(f"probe({args[0]}, {size}, True)")
        old = self.let(f"load{size}({args[0]})")
        names = {"old": ast.Name(old), "v": ast.Name(args[1]), "w": ast.Constant(op.bits)}
        new = ast.unparse(_inline(_AMO[str(op.attr)].body, names))
        self.do(f"store{size}({args[0]}, ({new}) & {(1 << op.bits) - 1:#x})")
        return old

    def op_cas(self, op: Val, args: list[str]) -> str:
        """Compare and swap, as golden._cas does."""
        size = op.bits // 8
        self.do(f"probe({args[0]}, {size}, True)")
        old = self.let(f"load{size}({args[0]})")
        self.do(f"if {old} == {args[1]}:")
        self.do(f"{INDENT}store{size}({args[0]}, {args[2]})")
        return old

    def op_probe(self, op: Val, args: list[str]) -> None:
        """Fault as an access would."""
        attr = op.attr
        assert isinstance(attr, tuple)
        self.do(f"probe({args[0]}, {attr[0]}, {attr[1]})")

    def op_fence(self, op: Val, args: list[str]) -> None:
        """One thread at a time evaluates."""

    def op_hint(self, op: Val, args: list[str]) -> None:
        """Invisible by definition."""

    op_prefetch = op_hint

    def op_jump(self, op: Val, args: list[str]) -> None:
        """Go on elsewhere."""
        self.do(f"go = {args[0]}")

    def op_if(self, op: Val, args: list[str]) -> None:
        """A structured branch; what it wrote is read anew behind it."""
        body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
        self.do(f"if {args[0]}:")
        before = dict(self.known)
        self.depth += 1
        self.do("pass")
        self.ops(body)
        self.depth -= 1
        self.known = {place: name for place, name in before.items() if self.known.get(place) == name}

    def op_trap(self, op: Val, args: list[str]) -> None:
        """Leave with an exception."""
        self.do(f"raise Trap({op.attr!r}, {args[0]})")

    def op_syscall(self, op: Val, args: list[str]) -> None:
        """Leave for a system call."""
        self.do("raise Syscall")

    def op_flush(self, op: Val, args: list[str]) -> None:
        """Leave behind this instruction, because later code may be another."""
        self.flushes = True


def _nothing(registers: list[Any]) -> int:
    raise AssertionError("a block that was never compiled")
