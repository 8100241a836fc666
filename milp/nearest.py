"""Exact repair: the most probable valid placement, as a MILP over the same formulation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from milp.formulation.choices import Choices
from milp.solver.ask import write
from milp.solver.matrix import MatrixModel
from milp.tolerances import LEAST_PROBABILITY
from milp.windows.windows import WindowRules
from partition.arrays import FloatArray
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.stopping import Stop


@dataclass(frozen=True)
class NearestPlacement:
    """Finds the valid placement of largest probability, the product over the nodes; exact but slow.

    Attributes
    ----------
    instance : the problem.
    threshold : largest period allowed, in units of the instance; it narrows the windows and so makes the model small.
    time_limit : seconds for one call.
    seed : of HiGHS.
    """

    instance: Instance
    threshold: float = float("inf")
    time_limit: float = 60.0
    seed: int = 0

    def __call__(self, probabilities: FloatArray) -> Placement | None:
        """The most probable placement found for ``probabilities`` (N, C); None if there is none, or none in time."""
        inst, stop = replace(self.instance, hardware=self.instance.hardware.ports_only()), Stop(self.time_limit)
        windows = WindowRules(inst).windows(self.threshold)
        if windows.empty:
            return None
        # Gaps are not closed afterwards, which would move nodes; relays leave homes where they are.
        choices = replace(Choices.lossless(inst), no_skipping=inst.hardware.rules.no_skipping)
        upper = self.threshold if np.isfinite(self.threshold) else None
        written = write(inst, windows, stop=stop, choices=choices, upper=upper)
        if written is None:
            return None
        model = written.model
        likely = replace(model, cost=np.where(model.family == "y", _cost_of_y(model, probabilities), 0.0))
        outcome = written.solve(part=likely, seconds=stop.remaining, stop=stop, seed=self.seed)
        return None if outcome.x is None else written.placement(outcome.x)


def _cost_of_y(model: MatrixModel, probabilities: FloatArray) -> FloatArray:
    """(columns,) what ``y[v,c] = 1`` saves or costs: ``f(v) = c`` costs minus its log-probability, telescoped."""
    total = np.maximum(probabilities.sum(axis=1, keepdims=True), LEAST_PROBABILITY)
    cost = -np.log(np.maximum(probabilities / total, LEAST_PROBABILITY))
    node, chip = np.maximum(model.node, 0), np.clip(model.chip, 0, probabilities.shape[1] - 2)
    y = model.family == "y"
    return np.where(y, cost[np.where(y, node, 0), chip] - cost[np.where(y, node, 0), chip + 1], 0.0)
