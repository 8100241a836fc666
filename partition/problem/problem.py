"""One graph on one package, with all that follows from the two and from no placement; worked out once.

Whoever has the pair asks :meth:`Problem.of`: as long as anybody holds the problem, it is the same object for everybody.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, frozen
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.replication import relayable, replicable
from partition.problem.routes import Routes, find_routes
from partition.problem.streaming import least_alone, least_spread

T = TypeVar("T")

_Alive = weakref.WeakKeyDictionary[Graph, weakref.WeakValueDictionary[Hardware, "Problem"]]

_ALIVE: _Alive = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


@dataclass(frozen=True, eq=False)
class Problem:
    """A graph on a package. All arrays are read-only; ``C`` chips of ``K`` kinds, ``n`` operations, ``m`` tensors.

    Attributes
    ----------
    graph : Graph
    hardware : Hardware
    """

    graph: Graph
    hardware: Hardware
    _made: dict[Callable[[Graph, Hardware], Any], Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(graph: Graph, hardware: Hardware) -> Problem:
        """The problem of a graph on a package: the one that somebody holds already, or a new one."""
        with _LOCK:
            packages = _ALIVE.setdefault(graph, weakref.WeakValueDictionary())
            return packages.setdefault(hardware, Problem(graph, hardware))

    def __reduce__(self) -> tuple[Any, ...]:
        return Problem.of, (self.graph, self.hardware)

    @cached_property
    def times(self) -> FloatArray:
        """(K, n) time of each operation on each kind, in the hardware's unit; infinity where a kind cannot run it."""
        return frozen(self.hardware.times(self.graph), np.float64)

    @cached_property
    def present(self) -> IntArray:
        """(k,) kinds that some chip of the package is of, ascending."""
        return frozen(np.unique(self.hardware.kind_array()), np.int64)

    @cached_property
    def fastest(self) -> FloatArray:
        """(n,) time of each operation on the kind of the package that runs it fastest; infinity where none can."""
        return frozen(self.times[self.present].min(axis=0), np.float64)

    @cached_property
    def least_period(self) -> float:
        """What no period is below: the longest operation, and all work spread evenly over the chips.

        Both with the weights that have to be streamed.
        """
        hw = self.hardware
        sram, rate = hw.sram_bytes, hw.stream_bandwidth
        even = least_spread(float(self.fastest.sum()), self.graph.weight_bytes, sram, rate, in_turn=hw.streams_in_turn)
        chip = [hw.kind_of_chip.index(k) for k in self.present.tolist()]  # one of every kind
        alone = least_alone(
            self.times[self.present], self.graph.weights, sram[chip], rate[chip], in_turn=hw.streams_in_turn
        )
        return max(float(alone.min(axis=0).max(initial=0.0)), even)

    @cached_property
    def transfer_times(self) -> FloatArray:
        """(m,) time that one transfer of each tensor occupies a port or a link, in the hardware's unit."""
        return frozen(self.hardware.transfer_times(self.graph), np.float64)

    @cached_property
    def energy(self) -> FloatArray:
        """(K, n) joules of each operation on each kind."""
        graph, kinds = self.graph, self.hardware.kinds
        rows = [graph.flops * k.flop_energy_j + graph.bytes_accessed * k.sram_energy_j_per_byte for k in kinds]
        return frozen(np.stack(rows), np.float64)

    @cached_property
    def replicable(self) -> BoolArray:
        """(n,) whether an operation may run on several chips (docs/problem.md, *Replicable*)."""
        return frozen(replicable(self.graph, self.hardware, self.times[self.present]), np.bool_)

    @cached_property
    def relayable(self) -> BoolArray:
        """(m,) whether chips may forward a tensor."""
        return frozen(relayable(self.graph, self.hardware), np.bool_)

    @cached_property
    def routes(self) -> Routes:
        """The links between every pair of stages, on a routed package."""
        return find_routes(self.hardware)

    def kept(self, make: Callable[[Graph, Hardware], T]) -> T:
        """What ``make`` gives for this pair, made once: a cost model, say."""
        if make not in self._made:
            self._made[make] = make(self.graph, self.hardware)
        made: T = self._made[make]
        return made
