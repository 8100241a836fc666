"""Moves of single nodes, the best first, with the way back to the best placement seen (Fiduccia and Mattheyses, 1982).

A pass moves every node at most once, uphill too. Its loop is over moves, each of which changes what the next may be.
"""

from __future__ import annotations

import heapq

import numpy as np

from partition.arrays import IntArray
from partition.heuristics.traffic.network import Network

PATIENCE = 0.1
"""Moves without a new best after which a pass ends, as a share of the nodes."""


class Moves:
    """One pass over a network from a placement that fits."""

    def __init__(self, network: Network, chip: IntArray, rng: np.random.Generator) -> None:
        self.network, self.rng = network, rng
        self.chip: list[int] = chip.tolist()
        self.time, self.weights = (x.tolist() for x in network.held(chip))
        self.readers = np.zeros((len(network.source), network.chips), np.int64)  # of each tensor on each chip
        np.add.at(self.readers, (network.tensor, chip[network.readers]), 1)
        self.made, self.read = network.made, network.read
        self.size, self.source = network.size.tolist(), network.source.tolist()
        self.ahead, self.behind = network.adjacency.predecessors, network.adjacency.successors

    def run(self) -> tuple[IntArray, float]:
        """The best placement of the pass, and by how much its traffic is less."""
        version = [0] * self.network.nodes
        waiting: list[tuple[float, float, int, int, int]] = []
        moved: list[tuple[int, int]] = []
        best, kept, gained, idle = 0.0, 0, 0.0, 0

        def consider(v: int) -> None:
            version[v] += 1
            option = self._best(v)
            if option is not None:
                heapq.heappush(waiting, (-option[0], self.rng.random(), v, version[v], option[1]))

        for v in self._on_the_cut():
            consider(v)
        while waiting and idle < max(50, PATIENCE * self.network.nodes):
            gain, _, v, told, to = heapq.heappop(waiting)
            if told != version[v]:
                continue
            if self._best(v) != (-gain, to):  # loads have changed meanwhile
                consider(v)
                continue
            moved.append((v, self.chip[v]))
            self._move(v, to)
            version[v] = -len(self.network.edges) - 1  # it does not move again
            gained, idle = gained - gain, idle + 1
            if gained > best * (1 + 1e-12):
                best, kept, idle = gained, len(moved), 0
            for w in self.ahead[v] + self.behind[v]:
                if version[w] >= 0:
                    consider(w)
        for v, back in reversed(moved[kept:]):
            self.chip[v] = back
        return np.array(self.chip), best

    def _on_the_cut(self) -> list[int]:
        chip = np.array(self.chip)
        crossing = self.network.edges[chip[self.network.edges[:, 0]] != chip[self.network.edges[:, 1]]]
        return np.unique(crossing).tolist()  # type: ignore[no-any-return]

    def _best(self, v: int) -> tuple[float, int] | None:
        """Gain and chip of the best move of a node that keeps all limits."""
        network, here = self.network, self.chip[v]
        first = max([int(network.lo[v]), *(self.chip[u] for u in self.ahead[v])])
        last = min([int(network.hi[v]), *(self.chip[w] for w in self.behind[v])])
        best: tuple[float, int] | None = None
        for to in range(first, last + 1):
            if (
                to == here
                or self.time[to] + network.time[to, v] > network.limit
                or self.weights[to] + network.weights[v] > network.room[to]
            ):
                continue
            gain = self._gain(v, here, to)
            if best is None or gain > best[0]:
                best = gain, to
        return best

    def _gain(self, v: int, here: int, to: int) -> float:
        linked, gain = self.network.linked, 0.0
        for t in self.made[v]:
            if linked:
                gain += self.size[t] * (to - here)
            else:
                row = self.readers[t]
                gain += self.size[t] * (int(row[to] > 0) - int(row[here] > 0))
        for t in self.read[v]:
            row, home = self.readers[t], self.chip[self.source[t]]
            if linked:
                rest = np.flatnonzero(row)
                far = int(rest[-1])
                if row[here] == 1 and far == here:
                    far = int(rest[-2]) if len(rest) > 1 else home
                gain += self.size[t] * (int(rest[-1]) - max(far, to, home))
            else:
                gain += self.size[t] * (int(row[here] == 1 and here != home) - int(row[to] == 0 and to != home))
        return gain

    def _move(self, v: int, to: int) -> None:
        here = self.chip[v]
        self.chip[v] = to
        self.time[here] -= self.network.time[here, v]
        self.time[to] += self.network.time[to, v]
        self.weights[here] -= self.network.weights[v]
        self.weights[to] += self.network.weights[v]
        for t in self.read[v]:
            self.readers[t, here] -= 1
            self.readers[t, to] += 1
