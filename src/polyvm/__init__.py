"""polyvm runs programs and operating systems built for another processor, close to native speed, from Python.

The names in `__all__` are the public ones; each is imported when first used, so that importing polyvm costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.errors import PolyvmError as PolyvmError

__version__ = "0.1.0"

# Public name -> module that defines it.
_EXPORTS = {
    "PolyvmError": "polyvm.errors",
}

__all__ = ["PolyvmError", "__version__"]


def __getattr__(name: str) -> object:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module 'polyvm' has no attribute {name!r}")
    # Not importlib.import_module: its import costs more than the whole warm path may.
    value = getattr(__import__(module, fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
