"""Derivatives by finite differences, and settings of a short training."""

from __future__ import annotations

from typing import Any

import numpy as np

from learned.training.ppo import Settings

SETTINGS = Settings(rollouts=6, rounds=2, graphs=2, epochs=2, minibatches=2)


def numeric(f: Any, x: np.ndarray, index: tuple[int, ...], step: float = 1e-6) -> float:
    changed = x.copy()
    changed[index] += step
    upper = f(changed)
    changed[index] -= 2 * step
    return float((upper - f(changed)) / (2 * step))
