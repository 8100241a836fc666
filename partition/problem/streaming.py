"""What streaming weights takes at least, whatever the placement (docs/problem.md, *Streaming*)."""

from __future__ import annotations

import numpy as np

from partition.arrays import FloatArray
from partition.problem.chip_kind import MEMORY_SLACK, ROUNDED


def least_alone(
    time: FloatArray, weights: FloatArray, sram: FloatArray, rate: FloatArray, *, in_turn: bool
) -> FloatArray:
    """(K, n) time of each item alone on a chip of each kind, with what it has to stream.

    Parameters
    ----------
    time : (K, n), infinite where a kind cannot run an item.
    weights : (n,) bytes.
    sram, rate : (K,) bytes, and bytes per unit of time; 0 where a kind does not stream.
    in_turn : whether streaming takes turns with compute.
    """
    over = np.maximum(weights * (1 - ROUNDED) - sram[:, None] * (1 + ROUNDED), 0.0)
    speed = np.broadcast_to(rate[:, None], over.shape)
    stream = np.divide(over, speed, out=np.zeros_like(over), where=speed > 0)
    return np.asarray(time + stream if in_turn else np.maximum(time, stream))


def least_spread(work: float, weights: float, sram: FloatArray, rate: FloatArray, *, in_turn: bool) -> float:
    """Least period of all work and all weights, spread evenly.

    In a period ``T`` chip ``c`` has at most ``sram[c] + rate[c] * T`` bytes of weights. Where it does not stream, it
    has what the rule *memory* lets it hold. In turn with compute, all chips together work for ``work``, and stream what
    all SRAM cannot hold.

    Parameters
    ----------
    work : time of all operations, each on the kind that runs it fastest.
    weights : bytes of all weights.
    sram, rate : (C,) bytes, infinite where there is no limit, and bytes per unit of time.
    """
    held = sram * np.where(rate > 0, 1 + ROUNDED, 1 + MEMORY_SLACK)
    even, over = work / len(sram), weights * (1 - ROUNDED) - float(held.sum()) * (1 + ROUNDED)
    if not rate.any() or over <= 0:
        return even
    if in_turn:
        even = (work + over / float(rate.max())) / len(sram)
    return max(even, over / float(rate.sum()))
