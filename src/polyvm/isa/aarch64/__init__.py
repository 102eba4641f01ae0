"""The aarch64 guest: A64 of Armv8.0-A with floating point and SIMD, and extensions since, as one specification.

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
