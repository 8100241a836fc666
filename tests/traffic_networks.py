"""Networks by chance for least traffic."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from partition.arrays import csr
from partition.heuristics.traffic.network import Network


def drawn(seed: int, nodes: int, chips: int, *, linked: bool, spare: float = 0.3) -> Network:
    """Tensors with several readers, unequal sizes, windows on some nodes."""
    rng = np.random.default_rng(seed)
    made = [(v, sorted(set(rng.integers(v + 1, nodes, rng.integers(1, 4)).tolist()))) for v in range(nodes - 1)]
    made = [each for each in made if rng.random() < 0.8]
    tensor = np.repeat(np.arange(len(made)), [len(readers) for _, readers in made])
    ptr, readers = csr(len(made), tensor, [w for _, each in made for w in each])
    source = np.array([v for v, _ in made])
    time = rng.integers(1, 4, nodes).astype(float)
    return Network(
        time=np.tile(time, (chips, 1)),
        limit=max(time.max(), np.ceil(time.sum() / chips * (1 + spare))),
        weights=np.zeros(nodes),
        room=np.full(chips, np.inf),
        lo=np.zeros(nodes, np.int64),
        hi=np.where((rng.random(nodes) < 0.1) & (np.arange(nodes) < nodes // 2), chips - 2, chips - 1),
        source=source,
        size=rng.integers(1, 9, len(made)).astype(float),
        ptr=ptr,
        readers=readers,
        linked=linked,
    )


def fitting(network: Network) -> Iterator[np.ndarray]:
    """Every placement that keeps all limits."""
    for chips in itertools.product(range(network.chips), repeat=network.nodes):
        chip = np.array(chips)
        if network.fits(chip):
            yield chip
