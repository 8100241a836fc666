"""What must move: never more than the least that does, over all placements within a limit on work."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from milp.search.routed_pairs import TensorWays, least_traffic
from partition.stopping import Stop


def bytes_moved(source, size, ptr, readers, chip):
    """Bytes received by every chip that does not make them."""
    moved = 0.0
    for m, made in enumerate(source.tolist()):
        moved += size[m] * len({int(chip[r]) for r in readers[ptr[m] : ptr[m + 1]]} - {int(chip[made])})
    return moved


@pytest.mark.parametrize("seed", range(30))
def test_no_placement_within_the_limit_moves_less(seed):
    rng = np.random.default_rng(seed)
    nodes, chips = 7, int(rng.integers(2, 4))
    source = rng.integers(0, nodes - 1, int(rng.integers(5, 10)))
    readers = [rng.choice(np.arange(s + 1, nodes), min(2, nodes - 1 - s), replace=False) for s in source.tolist()]
    ptr = np.concatenate([[0], np.cumsum([len(each) for each in readers])])
    size = rng.integers(0, 4, len(source)).astype(float)
    work = rng.integers(0, 5, nodes).astype(float)
    most = max(float(work.sum()) / chips * float(rng.uniform(1.0, 1.4)), float(work.max()), 1.0)
    tensors = TensorWays(nodes, source, size, ptr, np.concatenate(readers))
    least = min(
        (
            bytes_moved(source, size, ptr, np.concatenate(readers), np.array(chip))
            for chip in itertools.product(range(chips), repeat=nodes)
            if np.bincount(chip, work, chips).max() <= most
        ),
        default=np.inf,
    )
    assert least_traffic(tensors, work, most, Stop()) <= least * (1 + 1e-9)


def test_two_operations_that_must_part_move_what_is_between_them():
    """Each takes a second, 3 bytes are between them, and a chip may run for one second, or for two."""
    pair = TensorWays(2, np.array([0]), np.array([3.0]), np.array([0, 1]), np.array([1]))
    assert least_traffic(pair, np.ones(2), 1.0, Stop()) == pytest.approx(3.0)
    assert least_traffic(pair, np.ones(2), 2.0, Stop()) == 0.0
