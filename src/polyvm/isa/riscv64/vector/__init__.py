"""riscv64 with the vector extension: V 1.0 for one VLEN, beside the specification without vectors.

Importing the package costs nothing; `load()` imports the instructions, `abi` is what Linux adds for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.isa.riscv64.vector.spec import VectorIsa


def load(vlen: int) -> VectorIsa:
    """The specification for registers of `vlen` bits. Raises PVM-USAGE for a VLEN that is not offered."""
    from polyvm.isa.riscv64.vector import spec

    return spec.load(vlen)
