"""The aarch64 guest: the A64 base of Armv8.0-A, scalar floating point, CRC32 and integer SIMD, as one specification.

It does not run programs yet.

Importing the package costs nothing; `load()` imports every family and returns the Isa.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.isa.spec import Isa


def load() -> Isa:
    """The complete specification."""
    from polyvm.isa.aarch64 import families

    return families.aarch64
