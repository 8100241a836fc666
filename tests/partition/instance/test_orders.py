"""Orders of the nodes are topological."""

from __future__ import annotations

import numpy as np
from instances import random_instance
from orders_of_instances import orders

from partition.instance.contract import contract


def test_every_order_is_topological() -> None:
    for seed in range(40):
        graph, hardware = random_instance(np.random.default_rng(seed))
        instance = contract(graph, hardware)
        for order in orders(instance, 8):
            position = np.argsort(order)
            assert sorted(order.tolist()) == list(range(instance.nodes))
            assert (position[instance.edges[:, 0]] < position[instance.edges[:, 1]]).all()
