"""The cost model: what a batch of placements costs, vectorised over operations, chips and the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partition.arrays import BoolArray, FloatArray, IntArray, any_of, runs, sums
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.problem.routes import Routes
from partition.scoring.batches import rows_between, validated_assignments, validated_rows
from partition.scoring.crossings import CrossingModel, Crossings
from partition.scoring.latency import ChipEdges, finish, latency
from partition.scoring.transfers import TransferModel, Transfers

SLICE = 300_000
"""Most (batch row, operation or edge) pairs worked on at a time: bounds memory and keeps the arrays in the cache."""

SPARSE = 0.2
"""Share of active entries below which they are picked out before they are summed."""


@dataclass(frozen=True, eq=False)
class Cost:
    """The cost of ``B`` placements on ``C`` chips and ``L`` links, in seconds (or the file's unit), bytes and joules.

    Attributes
    ----------
    compute, receive, send : (B, C) s.
    sram : (B, C) bytes of weights.
    stream : (B, C) s in which the weights that do not fit come from DRAM.
    link : (B, L) s.
    load : (B, C) s, work + receive + send where transfers are serial, else the largest of the three; work is
        compute + stream where streaming is serial, else the longer of the two.
    period, latency : (B,) s; infinite where a tensor cannot be routed.
    energy : (B,) J per input.
    traffic : (B,) bytes times links crossed per input; bytes received where the package has no links.
    """

    compute: FloatArray
    receive: FloatArray
    send: FloatArray
    sram: FloatArray
    stream: FloatArray
    link: FloatArray
    load: FloatArray
    period: FloatArray
    latency: FloatArray
    energy: FloatArray
    traffic: FloatArray

    def __repr__(self) -> str:
        return f"<Cost of {len(self.period)} placements on {self.load.shape[1]} chips>"

    @property
    def throughput(self) -> FloatArray:
        """(B,) inputs per second."""
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / self.period)


@dataclass(frozen=True, eq=False)
class Loads:
    """The part of a :class:`Cost` that decides the period; what bears a name of it is the same.

    Attributes
    ----------
    work : (B, C) s of compute and streaming, as they add up or overlap.
    hops : (B,) bytes times links crossed; zeros where only homes were asked about.
    """

    compute: FloatArray
    stream: FloatArray
    work: FloatArray
    receive: FloatArray
    send: FloatArray
    link: FloatArray
    load: FloatArray
    period: FloatArray
    hops: FloatArray

    @property
    def busy(self) -> FloatArray:
        """(B, C) what one input takes of each chip, one thing after the other."""
        return self.work + self.receive + self.send


Scored = TypeVar("Scored", Cost, Loads)


class CostModel:
    """Scores placements of one graph on one package. Immutable once built, so threads may share it.

    See docs/problem.md for the definitions.
    """

    def __init__(self, graph: Graph, hardware: Hardware) -> None:
        self.graph, self.hardware = graph, hardware
        problem = Problem.of(graph, hardware)
        self.times, self.tau, self.energy = problem.times, problem.transfer_times, problem.energy
        self.kind = hardware.kind_array()
        self.charged = hardware.transfers_charged
        self.free_transfers = bool((self.charged == 0).any())
        self.streams = hardware.streams
        self.edge_tau = self.tau[graph.edge_tensor]
        self.transfers = problem.kept(TransferModel.on)
        self.routes = problem.routes if hardware.routed else None

    @cached_property
    def crossings(self) -> CrossingModel:
        """For batches of homes alone; whoever scores placements with replicas and relays never needs it."""
        return CrossingModel(self.graph, self.hardware)

    def evaluate(
        self, assignments: ArrayLike, replicas: ArrayLike | None = None, relays: ArrayLike | None = None
    ) -> Cost:
        """Everything about a batch.

        Parameters
        ----------
        assignments : (B, n) or (n,) int, home chips.
        replicas : (k, 3) int rows (batch row, operation, chip), optional.
        relays : (k, 3) int rows (batch row, tensor, chip), optional.

        Raises
        ------
        InvalidAssignment : wrong shape, or a chip that the package does not have.
        """
        chips, copies, forwards = self._validated(assignments, replicas, relays)
        parts = [self._evaluate(*part) for part in self._slices(chips, copies, forwards)]
        return _one_after_another(parts)

    def evaluate_placement(self, placement: Placement) -> Cost:
        """The cost of one placement, as a batch of one."""
        return self.evaluate(placement.assignment[None], placement.replica_rows, placement.relay_rows)

    def arrivals(self, placement: Placement) -> FloatArray:
        """(C,) when all that a chip needs of an input that enters at time 0 is there; infinite in a circle of chips."""
        loads, moved = self._loads(placement.assignment[None], placement.replica_rows, placement.relay_rows)
        edges = ChipEdges.of(moved, self.hardware, self.routes)
        return np.asarray((finish(loads.busy, edges) - loads.busy)[0])

    def period(self, assignments: ArrayLike) -> FloatArray:
        """(B,) period alone, for search: no SRAM, latency or energy."""
        return self.loads(assignments).period

    def loads(self, assignments: ArrayLike) -> Loads:
        """What chips and links have to do under assignments (B, n) without replicas and relays."""
        chips, _, _ = self._validated(assignments, None, None)
        score = self._homes_only if self.routes is None else self._routed_homes
        parts = [score(part) for part, _, _ in self._slices(chips, None, None)]
        return _one_after_another(parts)

    # --- parts ----------------------------------------------------------------------------------------------

    def _evaluate(self, chips: IntArray, replicas: IntArray | None, relays: IntArray | None) -> Cost:
        loads, moved = self._loads(chips, replicas, relays)
        through_memory = self.hardware.interconnect.topology == "memory"
        return Cost(
            compute=loads.compute,
            receive=loads.receive,
            send=loads.send,
            sram=self.sram(chips, replicas),
            stream=loads.stream,
            link=loads.link,
            load=loads.load,
            period=loads.period,
            latency=self._latency(loads, moved),
            energy=self._energy(chips, replicas, loads.hops),
            traffic=self._received_bytes(moved, len(chips)) if through_memory else loads.hops,
        )

    def _loads(self, chips: IntArray, replicas: IntArray | None, relays: IntArray | None) -> tuple[Loads, Transfers]:
        rows, C = len(chips), self.hardware.chips
        moved = self.transfers.find(chips, replicas, relays)
        tau = self.tau[moved.tensor]
        compute = self._over_instances(chips, replicas, self.times)
        receive = sums(moved.batch * C + moved.chip, tau, rows * C).reshape(rows, C)
        sender = (moved.batch * self.graph.m + moved.tensor) * C + moved.source
        first = _first_of_each(sender, ordered=relays is None)
        send = sums(moved.batch[first] * C + moved.source[first], tau[first], rows * C).reshape(rows, C)
        link, hops, unroutable = self._links(moved, rows)
        return self._joined(compute, self._stream(chips, replicas), receive, send, link, unroutable, hops), moved

    def _homes_only(self, chips: IntArray) -> Loads:
        """As :meth:`_loads` without replicas and relays, by comparing whole rows of small integers."""
        rows, hw, C = len(chips), self.hardware, self.hardware.chips
        crossing = self.crossings.find(chips)
        offset = np.arange(rows) * C
        slot = np.add(crossing.by_operation, offset, dtype=np.int64).ravel()
        weights = np.repeat(self.times[0], rows) if len(self.times) == 1 else self._time_by_operation(crossing)
        compute = sums(slot, weights, rows * C).reshape(rows, C)
        receive = _sum_by_chip(crossing.first, crossing.target, self.edge_tau, C)
        tau = self.tau[self.crossings.read]
        leaves = crossing.farthest != 0
        send = _sum_by_chip(leaves, crossing.home, tau, C)
        unroutable = np.zeros(rows, dtype=bool)
        link = np.zeros((rows, hw.links))
        if hw.links:
            left = crossing.home.astype(np.int16) + crossing.farthest
            steps = -_sum_by_chip(leaves, left, tau, 2 * C)
            steps[:, :C] += send
            link = _round_the_ring(steps)[:, : hw.links]
            if hw.interconnect.topology == "chain":
                unroutable = any_of(crossing.backward, 0)
        return self._joined(compute, self._stream(chips, None), receive, send, link, unroutable, np.zeros(rows))

    def _routed_homes(self, chips: IntArray) -> Loads:
        return self._loads(chips, None, None)[0]

    def _time_by_operation(self, crossing: Crossings) -> FloatArray:
        each = self.times[self.kind[crossing.by_operation], np.arange(self.graph.n)[:, None]]
        return np.asarray(each.ravel())

    def _stream(self, chips: IntArray, replicas: IntArray | None) -> FloatArray:
        """(B, C) s in which each chip streams weights; zeros where no chip of the package does."""
        if not self.streams:
            return np.zeros((len(chips), self.hardware.chips))
        return self.hardware.streaming_times(self.sram(chips, replicas))

    def _joined(
        self,
        compute: FloatArray,
        stream: FloatArray,
        receive: FloatArray,
        send: FloatArray,
        link: FloatArray,
        unroutable: BoolArray,
        hops: FloatArray,
    ) -> Loads:
        if self.free_transfers:
            receive, send = receive * self.charged, send * self.charged
        work = compute
        if self.streams:
            work = compute + stream if self.hardware.streams_in_turn else np.maximum(compute, stream)
        load = work + receive + send if self.hardware.serial else np.maximum(work, np.maximum(receive, send))
        period = np.maximum(load.max(axis=1), link.max(axis=1, initial=0.0))
        period[unroutable] = np.inf
        return Loads(compute, stream, work, receive, send, link, load, period, hops)

    def _over_instances(self, chips: IntArray, replicas: IntArray | None, amounts: FloatArray) -> FloatArray:
        """(B, C) sum over the instances on each chip of ``amounts`` of shape (K, n)."""
        rows, C = len(chips), self.hardware.chips
        slot = chips + (np.arange(rows) * C)[:, None]
        if len(amounts) == 1:
            each = np.broadcast_to(amounts[0], chips.shape)
        else:
            each = amounts[self.kind[chips], np.arange(self.graph.n)]
        total = sums(slot.ravel(), each.ravel(), rows * C)
        if replicas is not None and len(replicas):
            kind = self.kind[replicas[:, 2]] if len(amounts) > 1 else 0
            np.add.at(total, replicas[:, 0] * C + replicas[:, 2], amounts[kind, replicas[:, 1]])
        return total.reshape(rows, C)

    def _links(self, moved: Transfers, rows: int) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Load of every link, bytes times links crossed per row, and the rows with a tensor that cannot be routed."""
        hw, C = self.hardware, self.hardware.chips
        unroutable = np.zeros(rows, dtype=bool)
        if self.routes is not None:
            return *self._over_routes(moved, rows, self.routes), unroutable
        if hw.interconnect.topology == "crossbar":
            return np.zeros((rows, 0)), self._received_bytes(moved, rows), unroutable
        if not hw.links or not len(moved.tensor):
            return np.zeros((rows, hw.links)), np.zeros(rows), unroutable
        distance = (moved.chip - moved.home) % C
        if hw.interconnect.topology == "chain":
            unroutable[moved.batch[moved.chip < moved.home]] = True
        row = moved.batch * self.graph.m + moved.tensor
        first = _first_of_each(row, ordered=True)
        farthest = np.maximum.reduceat(distance, first)
        batch, home = moved.batch[first], moved.home[first]
        tau = self.tau[moved.tensor[first]]
        steps = sums(batch * 2 * C + home, tau, rows * 2 * C)
        steps -= sums(batch * 2 * C + home + farthest, tau, rows * 2 * C)
        link = _round_the_ring(steps.reshape(rows, 2 * C))[:, : hw.links]
        crossed = sums(batch, self.graph.tensor_bytes[moved.tensor[first]] * farthest, rows)
        return link, crossed, unroutable

    def _over_routes(self, moved: Transfers, rows: int, routes: Routes) -> tuple[FloatArray, FloatArray]:
        """Load of every link and bytes times links crossed per row: a tensor crosses the union of its routes once."""
        links, pair = len(routes.ends), moved.home * self.hardware.chips + moved.chip
        count = np.diff(routes.ptr)[pair]
        which = np.repeat(np.arange(len(pair)), count)
        link = routes.link[runs(routes.ptr[pair], count)]
        used = np.unique((moved.batch[which] * self.graph.m + moved.tensor[which]) * links + link)
        batch, tensor, link = used // (self.graph.m * links), used // links % self.graph.m, used % links
        load = sums(batch * links + link, self.tau[tensor], rows * links).reshape(rows, links)
        return load, sums(batch, self.graph.tensor_bytes[tensor], rows)

    def sram(self, chips: IntArray, replicas: IntArray | None = None) -> FloatArray:
        """(B, C) bytes of weights; a shared weight counts once per chip."""
        g, rows, C = self.graph, len(chips), self.hardware.chips
        total = self._over_instances(chips, replicas, g.weights[None])
        if not len(g.shared_bytes):
            return total
        weight = np.repeat(np.arange(len(g.shared_bytes)), np.diff(g.shared_ptr))
        # Replicable operations use no shared weight, so homes are all that counts.
        key = (np.arange(rows)[:, None] * len(g.shared_bytes) + weight) * C + chips[:, g.shared_users]
        held = np.unique(key)
        shared = np.bincount(
            held // (len(g.shared_bytes) * C) * C + held % C, weights=g.shared_bytes[held // C % len(g.shared_bytes)],
            minlength=rows * C,
        )  # fmt: skip
        return total + shared.reshape(rows, C)

    def _latency(self, loads: Loads, moved: Transfers) -> FloatArray:
        """(B,) see :mod:`partition.scoring.latency`; infinite where a tensor cannot be routed."""
        found = latency(loads.busy, ChipEdges.of(moved, self.hardware, self.routes))
        return np.where(np.isinf(loads.period), np.inf, found)

    def _received_bytes(self, moved: Transfers, rows: int) -> FloatArray:
        return np.asarray(sums(moved.batch, self.graph.tensor_bytes[moved.tensor], rows))

    def _energy(self, chips: IntArray, replicas: IntArray | None, hops: FloatArray) -> FloatArray:
        on_chips = self._over_instances(chips, replicas, self.energy).sum(axis=1)
        return np.asarray(on_chips + hops * self.hardware.interconnect.link_energy_j_per_byte)

    # --- input ----------------------------------------------------------------------------------------------

    def _validated(
        self, assignments: ArrayLike, replicas: ArrayLike | None, relays: ArrayLike | None
    ) -> tuple[IntArray, IntArray | None, IntArray | None]:
        chips = validated_assignments(self.graph, self.hardware, assignments)
        rows = len(chips)
        copies = validated_rows("replicas", replicas, (rows, self.graph.n, self.hardware.chips))
        forwards = validated_rows("relays", relays, (rows, self.graph.m, self.hardware.chips))
        return chips, copies, forwards

    def _slices(
        self, chips: IntArray, replicas: IntArray | None, relays: IntArray | None
    ) -> list[tuple[IntArray, IntArray | None, IntArray | None]]:
        step = max(1, SLICE // max(1, self.graph.n + len(self.graph.consumers)))
        if len(chips) <= step:
            return [(chips, replicas, relays)]
        return [
            (chips[i : i + step], rows_between(replicas, i, i + step), rows_between(relays, i, i + step))
            for i in range(0, len(chips), step)
        ]


def _one_after_another(parts: Sequence[Scored]) -> Scored:
    """The rows of all parts of a batch, of which there is one at least."""
    return type(parts[0])(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(parts[0])))


def _round_the_ring(steps: FloatArray) -> FloatArray:
    """(B, C) load of the link behind each chip.

    Parameters
    ----------
    steps : (B, 2C) what enters less what leaves at each chip of the ring, unrolled twice.
    """
    chips = steps.shape[1] // 2
    unrolled = steps.cumsum(axis=1)
    return np.asarray(np.maximum(unrolled[:, :chips] + unrolled[:, chips:], 0.0))


def _sum_by_chip(active: BoolArray, chip: NDArray[np.signedinteger], amount: FloatArray, width: int) -> FloatArray:
    """(B, width) sum of ``amount`` (R,) at ``chip`` (R, B) where ``active`` (R, B)."""
    rows = active.shape[1]
    if np.count_nonzero(active) < SPARSE * active.size:
        at = np.flatnonzero(active)
        row, batch = np.divmod(at, rows)
        slot, weights = batch * width + chip.ravel()[at], amount[row]
    else:
        slot = np.add(chip, np.arange(rows) * width, dtype=np.int64).ravel()
        weights = np.multiply(active, amount[:, None]).ravel()
    return sums(slot, weights, rows * width).reshape(rows, width)


def evaluate(
    graph: Graph,
    hardware: Hardware,
    assignments: ArrayLike,
    replicas: ArrayLike | None = None,
    relays: ArrayLike | None = None,
) -> Cost:
    """:meth:`CostModel.evaluate` for a single use; build a :class:`CostModel` to evaluate often."""
    return Problem.of(graph, hardware).kept(CostModel).evaluate(assignments, replicas, relays)


def evaluate_placement(graph: Graph, hardware: Hardware, placement: Placement) -> Cost:
    """:meth:`CostModel.evaluate_placement` for a single use."""
    return Problem.of(graph, hardware).kept(CostModel).evaluate_placement(placement)


def _first_of_each(key: IntArray, *, ordered: bool) -> IntArray:
    """Positions of the first entry of every key."""
    if not ordered:
        return np.unique(key, return_index=True)[1]
    return np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
