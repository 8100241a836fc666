"""Routes through interconnects on which a transfer may take several links: which links lie between any two stages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.arrays import IntArray
from partition.problem.hardware import Hardware


@dataclass(frozen=True, eq=False)
class Routes:
    """The links between every pair of stages of one package.

    Attributes
    ----------
    ends : (L, 2) int, the physical chips that each link leads from and to.
    ptr, link : CSR over pairs ``a * C + b`` of stages: the links from stage ``a`` to stage ``b``, in order.
    """

    ends: IntArray
    ptr: IntArray
    link: IntArray

    @property
    def hops(self) -> IntArray:
        """(C, C) number of links between two stages."""
        chips = int(np.sqrt(len(self.ptr) - 1))
        return np.diff(self.ptr).reshape(chips, chips)

    def between(self, a: int, b: int) -> IntArray:
        """Links from stage ``a`` to stage ``b``."""
        chips = int(np.sqrt(len(self.ptr) - 1))
        pair = a * chips + b
        return self.link[self.ptr[pair] : self.ptr[pair + 1]]


def find_routes(hardware: Hardware) -> Routes:
    """Routes of a bidirectional chain or ring (shortest way, ties upwards) or a mesh (XY: along the row first)."""
    C = hardware.chips
    steps = _mesh_step if hardware.interconnect.topology == "mesh" else _line_step
    at = np.array(hardware.stage_positions)
    index: dict[tuple[int, int], int] = {}
    lists: list[list[int]] = []
    for a in range(C):
        for b in range(C):
            route, here, goal = [], int(at[a]), int(at[b])
            while here != goal:
                following = steps(hardware, here, goal)
                route.append(index.setdefault((here, following), len(index)))
                here = following
            lists.append(route)
    ptr = np.concatenate([[0], np.cumsum([len(route) for route in lists])]).astype(np.int64)
    ends = np.array(list(index), dtype=np.int64).reshape(-1, 2)
    by_ends = np.lexsort((ends[:, 1], ends[:, 0]))
    rank = np.empty(len(ends), dtype=np.int64)
    rank[by_ends] = np.arange(len(ends))
    flat = np.array([link for route in lists for link in route], dtype=np.int64)
    return Routes(ends[by_ends], ptr, rank[flat] if len(flat) else flat)


def _line_step(hardware: Hardware, here: int, goal: int) -> int:
    if hardware.interconnect.topology == "bichain":
        return here + 1 if goal > here else here - 1
    ahead = (goal - here) % hardware.chips
    return (here + 1 if 2 * ahead <= hardware.chips else here - 1) % hardware.chips


def _mesh_step(hardware: Hardware, here: int, goal: int) -> int:
    columns = hardware.interconnect.columns
    x, wanted = here % columns, goal % columns
    if x != wanted:
        return here + (1 if wanted > x else -1)
    return here + (columns if goal > here else -columns)
