"""Levels of nodes that are decided at once."""

from __future__ import annotations

import numpy as np
from instances import random_instance

from partition.heuristics.decision_levels import Precedence, plan
from partition.instance.contract import contract


def test_deciding_by_levels_equals_deciding_one_by_one() -> None:
    """Bounds from the nearest decided nodes are those that propagation after each single decision gives."""
    rng = np.random.default_rng(7)
    for _ in range(20):
        graph, hardware = random_instance(rng, n=9, acyclic=True)
        instance = contract(graph, hardware)
        nodes = np.arange(instance.nodes)
        precedence = Precedence(instance, nodes)
        decided: dict[int, int] = {}
        for level in plan(precedence, rng.permutation(nodes)):
            chosen = {}
            for i, v in enumerate(level.nodes.tolist()):
                below = [u for u in decided if precedence.ancestors[v] >> u & 1]
                above = [u for u in decided if precedence.descendants[v] >> u & 1]
                for bounds, wanted, virtual in ((level.below, below, instance.nodes), (level.above, above, -1)):
                    ends = np.append(bounds.ptr, len(bounds.node))
                    mine = set(bounds.node[ends[i] : ends[i + 1]].tolist())
                    if wanted:
                        assert mine <= set(wanted)
                        values = [decided[u] for u in wanted]
                        best = max(values) if virtual >= 0 else min(values)
                        found = [decided[u] for u in mine]
                        assert (max(found) if virtual >= 0 else min(found)) == best
                lo = max((decided[u] for u in below), default=0)
                hi = min((decided[u] for u in above), default=9)
                assert lo <= hi
                chosen[v] = int(rng.integers(lo, hi + 1))
            decided |= chosen
