"""A knapsack as a model."""

from __future__ import annotations

import numpy as np

from milp.formulation.model import Model


def knapsack(size: int = 6, capacity: float = 7.0) -> Model:
    """Most value within a capacity, as a minimisation."""
    m, i = Model("knapsack"), np.arange(size)
    x = m.add("x", i, np.zeros_like(i), integral=True).all()
    m.at_most("weight", (x * (i + 1.0)).total(), capacity)
    m.objective = -(x * (i + 2.0)).total()
    return m
