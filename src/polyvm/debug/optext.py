"""The ops of a trace as text: one a line, `%3 = add i64 %1, %2`, bodies of branches indented."""

from __future__ import annotations

from polyvm.ir.ops import lanes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.ir.trace import Trace
    from polyvm.ir.values import Val


def lines(trace: Trace) -> list[str]:
    """The text of a trace."""
    writer = _Writer()
    writer.body(trace.ops, "")
    return writer.lines


class _Writer:
    def __init__(self) -> None:
        self.names: dict[Val, str] = {}
        self.lines: list[str] = []

    def body(self, ops: tuple[Val, ...], indent: str) -> None:
        for op in ops:
            if op.op == "if":
                self.lines.append(f"{indent}if {self._name(op.args[0])}:")
                self.body(op.attr, indent + "  ")  # type: ignore[arg-type]  # an if's attr is its body
            elif op.op != "const":
                self._line(op, indent)

    def _line(self, op: Val, indent: str) -> None:
        words = [op.op]
        if op.bits:
            words.append(f"i{op.bits}")
        if op.op in ("lanes", "flanes"):
            name, count, _, inner = lanes_of(op.attr)
            words.append(f"{count} x {name}")
            if inner is not None:
                words.append(_attribute(inner))
        elif op.attr is not None:
            words.append(_attribute(op.attr))
        arguments = ", ".join(self._name(arg) for arg in op.args)
        text = " ".join(words) + (f" {arguments}" if arguments else "")
        if op.bits:
            self.names[op] = f"%{len(self.names) + 1}"
            text = f"{self.names[op]} = {text}"
        self.lines.append(indent + text)

    def _name(self, value: Val) -> str:
        if value.op == "const":
            assert isinstance(value.attr, int)
            return str(value.attr) if value.attr < 1 << 16 else hex(value.attr)
        return self.names[value]


def _attribute(attr: object) -> str:
    if isinstance(attr, tuple):
        if (
            len(attr) == 2
            and isinstance(attr[0], str)
            and isinstance(attr[1], int)
            and not isinstance(attr[1], bool)
        ):
            return f"{attr[0]}[{attr[1]}]"
        return "(" + ", ".join(str(part) for part in attr) + ")"
    return str(attr)
