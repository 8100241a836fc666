"""Orders of the nodes of an instance."""

from __future__ import annotations

import itertools

import numpy as np

from partition.instance.orders import diverse_orders


def orders(instance: object, count: int = 6) -> list[np.ndarray]:
    return list(itertools.islice(diverse_orders(instance, np.random.default_rng(0)), count))  # type: ignore[arg-type]
