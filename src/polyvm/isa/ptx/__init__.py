"""PTX, CUDA's virtual instruction set, as one more guest: its syntax, and its instructions as data.

Importing the package costs nothing; `load()` imports every instruction and returns the table.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.isa.ptx.table import Form


def load() -> dict[str, list[Form]]:
    """The complete table: the forms of each mnemonic."""
    from importlib import import_module

    for part in ("integer", "floating", "effects"):
        import_module(f"polyvm.isa.ptx.{part}")  # enters its forms
    from polyvm.isa.ptx.table import FORMS

    return FORMS
