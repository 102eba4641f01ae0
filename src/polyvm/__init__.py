"""polyvm runs programs and operating systems built for another processor, close to native speed, from Python.

The names in `__all__` are the public ones; each is imported when first used, so that importing polyvm costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.api import CalledProcessError as CalledProcessError
    from polyvm.api import CompletedProcess as CompletedProcess
    from polyvm.api import RunError as RunError
    from polyvm.api import TimeoutExpired as TimeoutExpired
    from polyvm.api import run as run
    from polyvm.emulator import Emulator as Emulator
    from polyvm.emulator import Exit as Exit
    from polyvm.emulator import GuestTrap as GuestTrap
    from polyvm.errors import PolyvmError as PolyvmError
    from polyvm.memory.access import GuestFault as GuestFault

__version__ = "0.1.0"

# Public name -> module that defines it.
_EXPORTS = {
    "run": "polyvm.api",
    "CompletedProcess": "polyvm.api",
    "CalledProcessError": "polyvm.api",
    "TimeoutExpired": "polyvm.api",
    "RunError": "polyvm.api",
    "Emulator": "polyvm.emulator",
    "Exit": "polyvm.emulator",
    "GuestTrap": "polyvm.emulator",
    "GuestFault": "polyvm.memory.access",
    "PolyvmError": "polyvm.errors",
}

__all__ = [
    "run",
    "CompletedProcess",
    "CalledProcessError",
    "TimeoutExpired",
    "RunError",
    "Emulator",
    "Exit",
    "GuestTrap",
    "GuestFault",
    "PolyvmError",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name == "gpu":  # a module of its own: polyvm.gpu.devices()
        return __import__("polyvm.gpu", fromlist=["devices"])
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module 'polyvm' has no attribute {name!r}")
    # Not importlib.import_module: its import costs more than the whole warm path may.
    value = getattr(__import__(module, fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
