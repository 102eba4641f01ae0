"""Native functions that are no guest's, written in Python and emitted as LLVM text.

Values are 64-bit words, which memory holds in 1 to 8 bytes; comparisons are of unsigned numbers and give conditions.
Words stand for what is there when the function runs, so Python's own `if` and `while` on them are refused with what to
write instead: `when`, `otherwise` and `loop`. There are no globals: what changes lies at an address that is handed in.
"""

from __future__ import annotations

from contextlib import contextmanager

from polyvm.ir.values import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MASK = (1 << 64) - 1

ATTRIBUTES = 'attributes #0 = { nounwind "no-builtins" "frame-pointer"="none" "no-jump-tables"="true" }\n'


class Condition:
    """Something that is true or not when the function runs."""

    __slots__ = ("function", "text")

    def __init__(self, function: Function, text: str) -> None:
        self.function = function
        self.text = text

    def _with(self, how: str, other: Condition) -> Condition:
        return Condition(self.function, self.function.ins(f"{how} i1 {self.text}, {other.text}"))

    def __and__(self, other: Condition) -> Condition:
        return self._with("and", other)

    def __or__(self, other: Condition) -> Condition:
        return self._with("or", other)

    def __invert__(self) -> Condition:
        return Condition(self.function, self.function.ins(f"xor i1 {self.text}, true"))

    def __bool__(self) -> bool:
        raise SpecError("a condition is known when the function runs: write `with f.when(condition)`")


class Word:
    """64 bits. A Python int may stand wherever another word may, but first."""

    __slots__ = ("function", "text")
    __hash__ = None  # type: ignore[assignment]  # == makes a condition

    def __init__(self, function: Function, text: str) -> None:
        self.function = function
        self.text = text

    def _with(self, how: str, other: Word | int) -> Word:
        return Word(self.function, self.function.ins(f"{how} i64 {self.text}, {operand(other)}"))

    def _is(self, how: str, other: Word | int) -> Condition:
        return Condition(self.function, self.function.ins(f"icmp {how} i64 {self.text}, {operand(other)}"))

    def __add__(self, other: Word | int) -> Word:
        return self._with("add", other)

    def __sub__(self, other: Word | int) -> Word:
        return self._with("sub", other)

    def __mul__(self, other: Word | int) -> Word:
        return self._with("mul", other)

    def __floordiv__(self, other: Word | int) -> Word:
        return self._with("udiv", other)

    def __and__(self, other: Word | int) -> Word:
        return self._with("and", other)

    def __or__(self, other: Word | int) -> Word:
        return self._with("or", other)

    def __xor__(self, other: Word | int) -> Word:
        return self._with("xor", other)

    def __lshift__(self, other: Word | int) -> Word:
        return self._with("shl", other)

    def __rshift__(self, other: Word | int) -> Word:
        return self._with("lshr", other)

    def __eq__(self, other: Word | int) -> Condition:  # type: ignore[override]  # see __hash__
        return self._is("eq", other)

    def __ne__(self, other: Word | int) -> Condition:  # type: ignore[override]
        return self._is("ne", other)

    def __lt__(self, other: Word | int) -> Condition:
        return self._is("ult", other)

    def __le__(self, other: Word | int) -> Condition:
        return self._is("ule", other)

    def __gt__(self, other: Word | int) -> Condition:
        return self._is("ugt", other)

    def __ge__(self, other: Word | int) -> Condition:
        return self._is("uge", other)

    def __bool__(self) -> bool:
        raise SpecError(
            "a word is known when the function runs: compare it, and write `with f.when(condition)`"
        )

    @property
    def failed(self) -> Condition:
        """Whether it is what the kernel answers for an error: -4095 to -1."""
        return self > MASK - 4095


class Local:
    """A variable of a function."""

    __slots__ = ("function", "place")

    def __init__(self, function: Function, place: str) -> None:
        self.function = function
        self.place = place

    @property
    def value(self) -> Word:
        """What it holds now."""
        return Word(self.function, self.function.ins(f"load i64, ptr {self.place}"))

    @value.setter
    def value(self, value: Word | int) -> None:
        self.function.do(f"store i64 {operand(value)}, ptr {self.place}")


def operand(value: Word | int) -> str:
    """A word, or a number, as LLVM writes it."""
    if isinstance(value, Word):
        return value.text
    value &= MASK
    return str(value - (1 << 64) if value >> 63 else value)


class Function:
    """One function of words that returns a word."""

    def __init__(self, module: Module, name: str, count: int) -> None:
        self.module = module
        self.name = name
        self.count = count
        self.lines: list[str] = []
        self.locals: list[str] = []
        self.number = 0
        self.ended = False  # nothing can follow in this block
        self.open = ""  # the label behind a `when` that may still get its `otherwise`

    @property
    def arguments(self) -> list[Word]:
        """Its arguments."""
        return [Word(self, f"%a{number}") for number in range(self.count)]

    def text(self) -> str:
        """The definition."""
        if not self.ended:
            raise SpecError(f"{self.name}: the end can be reached without `ret`")
        arguments = ", ".join(f"i64 %a{number}" for number in range(self.count))
        body = "\n".join([*self.locals, "  br label %begin", "begin:", *self.lines])
        return f"define i64 @{self.name}({arguments}) #0 {{\n{body}\n}}\n"

    # -- lines
    def _new(self, what: str) -> str:
        self.number += 1
        return f"{what}{self.number}"

    def do(self, line: str) -> None:
        """An instruction without a result."""
        self._settle()
        if self.ended:
            raise SpecError(f"{self.name}: an instruction that cannot be reached: {line}")
        self.lines.append("  " + line)

    def ins(self, line: str) -> str:
        """An instruction; its result's name."""
        name = "%" + self._new("v")
        self.do(f"{name} = {line}")
        return name

    def _start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.ended = False

    def _go(self, label: str) -> None:
        """End the block, if it has not ended, by going on at a label."""
        self._settle()
        if not self.ended:
            self.lines.append(f"  br label %{label}")
        self.ended = True

    def _settle(self) -> None:
        """The last `when` gets no `otherwise` any more."""
        if self.open:
            label, self.open = self.open, ""
            self.lines.append(f"  br label %{label}")
            self._start(label)

    # -- values
    def word(self, value: Word | int) -> Word:
        """A number as a word."""
        return value if isinstance(value, Word) else Word(self, operand(value))

    def local(self, value: Word | int = 0) -> Local:
        """A new variable. One that is made within a loop is made once."""
        place = "%" + self._new("l")
        self.locals.append(f"  {place} = alloca i64")
        made = Local(self, place)
        made.value = value
        return made

    def select(self, condition: Condition, then: Word | int, otherwise: Word | int) -> Word:
        """One of two words."""
        return Word(
            self, self.ins(f"select i1 {condition.text}, i64 {operand(then)}, i64 {operand(otherwise)}")
        )

    def load(self, address: Word | int, size: int = 8) -> Word:
        """What memory holds, extended by zeros."""
        pointer = self.ins(f"inttoptr i64 {operand(address)} to ptr")
        value = self.ins(f"load i{8 * size}, ptr {pointer}, align 1")
        return Word(self, value if size == 8 else self.ins(f"zext i{8 * size} {value} to i64"))

    def store(self, address: Word | int, value: Word | int, size: int = 8) -> None:
        """Have memory hold the lowest bytes of a word."""
        pointer = self.ins(f"inttoptr i64 {operand(address)} to ptr")
        part = operand(value)
        if size < 8:
            part = self.ins(f"trunc i64 {part} to i{8 * size}")
        self.do(f"store i{8 * size} {part}, ptr {pointer}, align 1")

    def signed(self, value: Word, size: int) -> Word:
        """The lowest bytes of a word as a number with a sign."""
        part = self.ins(f"trunc i64 {value.text} to i{8 * size}")
        return Word(self, self.ins(f"sext i{8 * size} {part} to i64"))

    def constant(self, data: bytes) -> Word:
        """The address of bytes that never change."""
        name = self.module.constant(data)
        return Word(self, self.ins(f"ptrtoint ptr {name} to i64"))

    def call(self, name: str, *arguments: Word | int) -> Word:
        """Call a function of the module; its result."""
        words = ", ".join(f"i64 {operand(argument)}" for argument in arguments)
        return Word(self, self.ins(f"call i64 @{name}({words})"))

    def call_at(self, address: Word, *arguments: Word | int) -> Word:
        """Call what lies at an address; its result."""
        pointer = self.ins(f"inttoptr i64 {address.text} to ptr")
        words = ", ".join(f"i64 {operand(argument)}" for argument in arguments)
        return Word(self, self.ins(f"call i64 {pointer}({words})"))

    def address_of(self, symbol: str) -> Word:
        """The address of a function or a label of the module's assembly."""
        self.module.symbols.add(symbol)
        return Word(self, self.ins(f"ptrtoint ptr @{symbol} to i64"))

    def host(self, number: Word | int, *arguments: Word | int) -> Word:
        """The host's system call; what the kernel answers."""
        return self.call("pv_host", number, *arguments, *[0] * (6 - len(arguments)))

    # -- control
    def ret(self, value: Word | int) -> None:
        """Return a word."""
        self.do(f"ret i64 {operand(value)}")
        self.ended = True

    @contextmanager
    def when(self, condition: Condition) -> Iterator[None]:
        """What is done only when a condition is true."""
        then, otherwise, after = (self._new(what) for what in ("then", "else", "after"))
        self.do(f"br i1 {condition.text}, label %{then}, label %{otherwise}")
        self._start(then)
        yield
        self._go(after)
        self._start(otherwise)
        self.open = after

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """What is done when the condition of the `when` before was not."""
        if not self.open:
            raise SpecError(f"{self.name}: `otherwise` without a `when` before it")
        after, self.open = self.open, ""
        yield
        self._go(after)
        self._start(after)

    @contextmanager
    def loop(self, condition: Callable[[], Condition]) -> Iterator[None]:
        """What is done as long as a condition, looked at anew each time, is true."""
        head, body, after = (self._new(what) for what in ("head", "body", "end"))
        self._go(head)
        self._start(head)
        self.do(f"br i1 {condition().text}, label %{body}, label %{after}")
        self._start(body)
        yield
        self._go(head)
        self._start(after)


class Module:
    """Functions that call each other, as one LLVM text."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.constants: dict[bytes, str] = {}
        self.symbols: set[str] = set()

    def function(self, name: str, count: int) -> Function:
        """Begin a function of so many words."""
        if name in self.functions:
            raise SpecError(f"{name} is defined twice")
        made = self.functions[name] = Function(self, name, count)
        return made

    def constant(self, data: bytes) -> str:
        """The name of a constant."""
        return self.constants.setdefault(data, f"@c{len(self.constants)}")

    def text(self) -> str:
        """The LLVM text; the host's system call is to be put beside it."""
        constants = []
        for data, name in self.constants.items():
            quoted = "".join(f"\\{byte:02x}" for byte in data)
            constants.append(f'{name} = private unnamed_addr constant [{len(data)} x i8] c"{quoted}"\n')
        outside = sorted(self.symbols - self.functions.keys())
        symbols = [f"declare hidden void @{name}()\n" for name in outside]
        functions = [function.text() for function in self.functions.values()]
        return "".join([*constants, *symbols, *functions, ATTRIBUTES])
