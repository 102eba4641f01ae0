"""Records: small classes of named fields, as `dataclasses.dataclass(slots=True)` makes them, at a tenth of the price.

    class Mmio(Exit):
        address: int
        data: bytes | None = None

An exit family of thirty dataclasses costs 12 ms to make and 6 ms to import `dataclasses`, more than creating a VM: a
record's constructor is made when the first one is. It refuses fields without a type, and positional ones in excess.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """What type checkers read; nothing at run time."""
        return lambda made: made


class _RecordType(type):
    """Makes a class's annotations its slots, and keeps what they default to."""

    _fields: tuple[str, ...]
    _defaults: dict[str, object]

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _RecordType:
        own = tuple(space.get("__annotations__", ()))
        inherited = [base for base in bases if isinstance(base, _RecordType)]
        defaults = {field: value for base in inherited for field, value in base._defaults.items()}
        defaults |= {field: space.pop(field) for field in own if field in space}
        fields = (*(field for base in inherited for field in base._fields), *own)
        space |= {"__slots__": own, "__match_args__": fields, "_fields": fields, "_defaults": defaults}
        space.setdefault("__init__", _make_constructor)
        return super().__new__(cls, name, bases, space)


def _make_constructor(self: Record, *values: Any, **named: Any) -> None:
    """Every record's constructor at first: make the one for its fields, which takes this one's place."""
    cls = type(self)
    made = _constructor(cls._fields, cls._defaults)
    cls.__init__ = made  # type: ignore[method-assign]
    made(self, *values, **named)


def _constructor(fields: tuple[str, ...], defaults: dict[str, object]) -> Any:
    parameters = ", ".join(f"{name}=_{name}" if name in defaults else name for name in fields)
    body = "; ".join(f"self.{name} = {name}" for name in fields) or "pass"
    space: dict[str, Any] = {f"_{name}": value for name, value in defaults.items()}
    exec(f"def __init__(self, {parameters}): {body}", space)
    return space["__init__"]


@dataclass_transform()
class Record(metaclass=_RecordType):
    """The base of all records: equality and text by fields. Mutable, so not hashable."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in type(self)._fields
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_text(name, getattr(self, name))}" for name in type(self)._fields)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), tuple(getattr(self, name) for name in type(self)._fields)


_HEXADECIMAL = frozenset(("address", "port", "pc", "index", "flags"))


def _text(name: str, value: object) -> str:
    return hex(value) if name in _HEXADECIMAL and isinstance(value, int) else repr(value)
