"""The arithmetic of the tables: medians, ratios, geometric means with the worst case beside each.

A ratio is the subject's time over the peer's: below 1 the subject is faster. What was not measured is None and stays
out of every mean.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

TABLES = ("int", "fp", "string", "c", "real", "all", "apart")


def median(values: Iterable[float]) -> float | None:
    """The median, or None of nothing."""
    known = list(values)
    return statistics.median(known) if known else None


def ratio(a: float | None, b: float | None) -> float | None:
    """a / b where both are known and b is more than nothing."""
    return a / b if a is not None and b is not None and b > 0 else None


def geomean(values: Iterable[float | None]) -> float | None:
    """The geometric mean of those that are known, or None of nothing."""
    logs = [math.log(value) for value in values if value is not None and value > 0]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def in_table(workload: Mapping[str, Any], table: str) -> bool:
    """Whether a row belongs to a table: c is the C groups, all is c and real, apart what native vectorised."""
    if table == "apart" or workload["apart"]:
        return table == "apart" and bool(workload["apart"])
    return table == "all" or workload["group"] == table or (table == "c" and workload["group"] != "real")


def summarise(
    rows: list[dict[str, Any]], peers: Iterable[str], key: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Geometric means and worst cases of `row[key][peer]` for each table that has rows and each peer."""
    names = list(peers)
    means: dict[str, Any] = {}
    worst: dict[str, Any] = {}
    for table in TABLES:
        members = [row for row in rows if in_table(row, table)]
        if not members:
            continue
        means[table] = {peer: geomean(row[key].get(peer) for row in members) for peer in names}
        worst[table] = {peer: _worst(members, key, peer) for peer in names}
    return means, worst


def _worst(rows: list[dict[str, Any]], key: str, peer: str) -> dict[str, Any] | None:
    known = [row for row in rows if row[key].get(peer) is not None]
    if not known:
        return None
    row = max(known, key=lambda one: one[key][peer])
    return {"name": row["name"], "ratio": row[key][peer]}
