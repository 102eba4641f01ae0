"""What back ends that load PTX read out of it: the parameters of a kernel, as drivers pack them."""

from __future__ import annotations

from polyvm.compute.backend import Parameter
from polyvm.isa.ptx.syntax import Function


def parameters_of(function: Function) -> tuple[Parameter, ...]:
    """A PTX kernel's parameters, packed as the driver packs them."""
    made, at = [], 0
    for variable in function.params:
        at = -(-at // variable.align) * variable.align
        struct = variable.size not in (1, 2, 4, 8) or (variable.type == "b8" and variable.size > 1)
        kind = "struct" if struct else "float" if variable.type in ("f32", "f64") else "int"
        made.append(Parameter(at, variable.size, kind))
        at += variable.size
    return tuple(made)
