"""The names of special registers, PTX ISA 9.0 chapter 10; which of them are supplied is `compute.simt`'s to say."""

from __future__ import annotations

AXES = (
    "%tid",
    "%ntid",
    "%ctaid",
    "%nctaid",
    "%clusterid",
    "%nclusterid",
    "%cluster_ctaid",
    "%cluster_nctaid",
)
"""Those of three parts: .x, .y and .z."""
SPECIAL = frozenset(
    (
        "%laneid", "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid", "%is_explicit_cluster", "%cluster_ctarank",
        "%cluster_nctarank", "%lanemask_eq", "%lanemask_le", "%lanemask_lt", "%lanemask_ge", "%lanemask_gt", "%clock",
        "%clock_hi", "%clock64", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi", "%reserved_smem_offset_begin",
        "%reserved_smem_offset_end", "%reserved_smem_offset_cap", "%total_smem_size", "%aggr_smem_size",
        "%dynamic_smem_size", "%current_graph_exec",
    )
)  # fmt: skip
NUMBERED = {"%pm": 8, "%envreg": 32, "%reserved_smem_offset_": 2}
"""Those with a number behind their name, and how many there are."""


def is_special(name: str) -> bool:
    """Whether a name is one of them."""
    base, _, axis = name.partition(".")
    if axis:
        return base in AXES and axis in ("x", "y", "z")
    if name in SPECIAL or (name.startswith("%pm") and name.endswith("_64")):
        return True
    return any(
        name.startswith(n) and name[len(n) :].isdigit() and int(name[len(n) :]) < c
        for n, c in NUMBERED.items()
    )
