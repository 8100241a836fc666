"""From a solver's column values to a placement."""

from __future__ import annotations

import numpy as np

from milp.solver.matrix import MatrixModel
from milp.windows.windows import Windows
from partition.arrays import FloatArray, IntArray
from partition.heuristics.completion import prune
from partition.instance.instance import Instance
from partition.problem.placement import Placement


def placement_of(instance: Instance, windows: Windows, model: MatrixModel, values: FloatArray) -> Placement:
    """Read homes, replicas and relays; those of no use are dropped.

    Parameters
    ----------
    windows, model : as first built and compiled.
    values : (columns,) of that model, see :meth:`MatrixModel.full`.
    """
    return prune(instance.graph, instance.hardware, instance.lift(*choices_of(windows, model, values)))


NodePairs = list[tuple[int, int]]


def choices_of(windows: Windows, model: MatrixModel, values: FloatArray) -> tuple[IntArray, NodePairs, NodePairs]:
    """(N,) homes, then (node, chip) of replicas and (tensor, chip) of relays, as the model numbers them."""
    chip = windows.lo.copy()
    y = model.family == "y"
    np.add.at(chip, model.node[y], (np.round(values[y]) == 0).astype(np.int64))
    return chip, _pairs(model, values, "p"), _pairs(model, values, "R")


def _pairs(model: MatrixModel, values: FloatArray, family: str) -> NodePairs:
    chosen = np.flatnonzero((model.family == family) & (np.round(values) == 1))
    return list(zip(model.node[chosen].tolist(), model.chip[chosen].tolist(), strict=True))
