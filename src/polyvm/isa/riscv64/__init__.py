"""The riscv64 guest: RV64GC and the bit-manipulation extensions, as one specification.

Importing the package costs nothing; `load()` imports every extension and returns the Isa.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.isa.spec import Isa


def load() -> Isa:
    """The complete specification."""
    from polyvm.isa.riscv64 import extensions

    return extensions.riscv64


def everything() -> Isa:
    """The specification with what is only there when it is asked for: vectors, of the shortest registers."""
    from polyvm.isa.riscv64 import vector

    return vector.load(128)
