"""Stacks of calls, as they are put together from what a sampler sees, and as the tree that a flame graph shows."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def ended(stack: tuple[int, ...], inside: int) -> tuple[int, ...]:
    """A stack that a safepoint saw, of a thread that was in the function `inside` a moment before.

    Either is the other's caller, or both have been called from the same place: what was a caller at the safepoint was
    one before, unless it is the function itself, to which control has not come back yet.
    """
    if len(stack) < 2:  # nobody knows its callers
        return (inside,)
    if inside in stack:
        return stack[: len(stack) - stack[::-1].index(inside)]
    return (*stack, inside)


def tree(looks: Iterable[tuple[tuple[int, ...], str, float]], least: float) -> dict[str, Any]:
    """(stack, tier, seconds) as nested nodes {f: function, t: seconds, s: {tier: seconds of its own}, c: [nodes]}.

    The root's f is -1. Nodes of less than `least` seconds are left out, in favour of what their parent has itself: the
    key `o`, for others.
    """
    root: dict[str, Any] = {"f": -1, "t": 0.0, "s": {}, "c": {}}
    for stack, tier, seconds in looks:
        node = root
        node["t"] += seconds
        for function in stack:
            node = node["c"].setdefault(function, {"f": function, "t": 0.0, "s": {}, "c": {}})
            node["t"] += seconds
        node["s"][tier] = node["s"].get(tier, 0.0) + seconds
    _prune(root, least)
    return root


def _prune(root: dict[str, Any], least: float) -> None:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        kept = [child for child in node["c"].values() if child["t"] >= least]
        others = node["t"] - sum(child["t"] for child in kept) - sum(node["s"].values())
        if others > 1e-9:
            node["o"] = others
        node["c"] = sorted(kept, key=lambda child: -child["t"])
        node["t"] = round(node["t"], 6)
        node["s"] = {tier: round(seconds, 6) for tier, seconds in node["s"].items()}
        waiting += node["c"]
