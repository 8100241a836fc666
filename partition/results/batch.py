"""A batch of inputs that run through the pipeline one after the other: its time, and how much of it chips are idle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from partition.problem.placement import Placement
from partition.scoring.cost import Cost


@dataclass(frozen=True)
class Batch:
    """What a batch takes (docs/problem.md, *Batches*).

    Attributes
    ----------
    inputs : in the batch.
    time : from the start of the first input to the end of the last, in the hardware's time unit.
    bubbles : share of that time in which the chips in use do not compute.
    """

    inputs: int
    time: float
    bubbles: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def batch_of(placement: Placement, cost: Cost, inputs: int) -> Batch:
    """The pipeline fills while the first input runs through it, and then gives one result a period."""
    time = float(cost.period[0]) * (inputs - 1) + float(cost.latency[0])
    return Batch(inputs, time, _idle(placement, cost, time / inputs))


def steady_bubbles(placement: Placement, cost: Cost) -> float:
    """Share of a period in which the chips in use do not compute, once the pipeline is full."""
    return _idle(placement, cost, float(cost.period[0]))


def _idle(placement: Placement, cost: Cost, time: float) -> float:
    used = len(np.unique(np.concatenate([placement.assignment, placement.replicas[:, 1]])))
    busy = float(cost.compute[0].sum())
    return max(0.0, 1.0 - busy / (used * time)) if time > 0 else 0.0
