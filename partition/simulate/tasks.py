"""What a placement asks of the package for every input: tasks of chips, and transfers with their routes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from partition.errors import InvalidAssignment
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.cost import CostModel
from partition.scoring.transfers import TransferModel


@dataclass(frozen=True)
class ChipTask:
    """Operations of one chip that can run once certain tensors have arrived.

    Attributes
    ----------
    needs : tensors received.
    after : earlier tasks of the chip whose results they read.
    makes : tensors they send.
    """

    chip: int
    seconds: float
    needs: tuple[int, ...]
    after: tuple[int, ...]
    makes: tuple[int, ...]


@dataclass(frozen=True)
class Hop:
    """A tensor on its way from one chip to others.

    Attributes
    ----------
    source : chip that sends it.
    relayed : the source received it itself.
    legs : for every branch of the way the links it crosses, each with the receiver at its end: (link, chip or -1).
    """

    tensor: int
    source: int
    relayed: bool
    legs: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def receivers(self) -> tuple[int, ...]:
        """Chips that receive the tensor from this source."""
        return tuple(dict.fromkeys(chip for leg in self.legs for _, chip in leg if chip >= 0))


@dataclass(frozen=True)
class InputTasks:
    """All that happens for one input; ``tau`` are the seconds of a transfer per tensor."""

    tasks: tuple[ChipTask, ...]
    hops: tuple[Hop, ...]
    tau: tuple[float, ...]


def plan(graph: Graph, hardware: Hardware, placement: Placement) -> InputTasks:
    """Split the work of every chip where it has to wait for tensors, and route what moves.

    The depth of an operation is the number of transfers on the way to it. The operations of one chip and depth are a
    task. So a chip that is visited twice, forward and backward, does not wait for itself.

    Raises
    ------
    InvalidAssignment : a tensor would have to move against the direction of a chain.
    """
    problem = Problem.of(graph, hardware)
    moved = problem.kept(TransferModel.on).find(
        placement.assignment[None], placement.replica_rows, placement.relay_rows
    )
    received = defaultdict(set)
    sends: dict[tuple[int, int], list[int]] = defaultdict(list)
    homes: dict[tuple[int, int], bool] = {}
    columns = (moved.tensor, moved.chip, moved.source, moved.home)
    for t, c, a, home in zip(*(column.tolist() for column in columns), strict=True):
        received[c].add(t)
        sends[t, a].append(c)
        homes[t, a] = a == home
    tasks = _tasks(problem, placement, received, {t for t, a in sends if homes[t, a]})
    hops = [
        Hop(t, a, not homes[t, a], _legs(problem, a, sorted(chips), graph.tensor_names[t]))
        for (t, a), chips in sorted(sends.items())
    ]
    return InputTasks(tasks, tuple(hops), tuple(problem.transfer_times.tolist()))


def _tasks(
    problem: Problem, placement: Placement, received: dict[int, set[int]], sent: set[int]
) -> tuple[ChipTask, ...]:
    graph, kind = problem.graph, problem.hardware.kind_of_chip
    reads: list[list[int]] = [[] for _ in range(graph.n)]
    for t, w in zip(graph.edge_tensor.tolist(), graph.consumers.tolist(), strict=True):
        reads[w].append(t)
    writes: list[list[int]] = [[] for _ in range(graph.n)]
    for t, u in enumerate(graph.producer.tolist()):
        writes[u].append(t)
    chips: list[list[int]] = [[c] for c in placement.assignment.tolist()]
    for v, c in placement.replicas.tolist():
        chips[v].append(c)
    producer, times = graph.producer.tolist(), problem.times
    depth: dict[tuple[int, int], int] = {}
    seconds: dict[tuple[int, int], float] = defaultdict(float)
    needs: dict[tuple[int, int], set[int]] = defaultdict(set)
    after: dict[tuple[int, int], set[int]] = defaultdict(set)
    makes: dict[tuple[int, int], set[int]] = defaultdict(set)
    for v in graph.topological_order.tolist():
        for c in chips[v]:
            far = [t for t in reads[v] if t in received[c]]
            near = [producer[t] for t in reads[v] if t not in received[c]]
            origin = {t: chips[producer[t]][0] for t in far}
            level = max([depth[producer[t], origin[t]] + 1 for t in far] + [depth[u, c] for u in near], default=0)
            depth[v, c] = level
            key = c, level
            seconds[key] += float(times[kind[c], v])
            needs[key] |= set(far)
            after[key] |= {depth[u, c] for u in near} - {level}
            if c == chips[v][0]:
                makes[key] |= sent.intersection(writes[v])
    _with_streaming(problem, placement, seconds)
    keys = sorted(seconds)
    number = {key: i for i, key in enumerate(keys)}
    return tuple(
        ChipTask(c, seconds[c, d], tuple(sorted(needs[c, d])), tuple(number[c, e] for e in sorted(after[c, d])),
             tuple(sorted(makes[c, d])))
        for c, d in keys
    )  # fmt: skip


def _with_streaming(problem: Problem, placement: Placement, seconds: dict[tuple[int, int], float]) -> None:
    """Make the tasks of each chip, (chip, depth), as long together as it computes and streams.

    That falls on them as compute does; on the last one where nothing is computed.
    """
    if not problem.hardware.streams:
        return
    cost = problem.kept(CostModel).evaluate_placement(placement)
    stream, in_turn = cost.stream[0].tolist(), problem.hardware.streams_in_turn
    for c in {c for c, _ in seconds}:
        keys = sorted(key for key in seconds if key[0] == c)
        compute = sum(seconds[key] for key in keys)
        work = compute + stream[c] if in_turn else max(compute, stream[c])
        for key in keys:
            seconds[key] = seconds[key] * (work / compute) if compute else work * (key == keys[-1])


def _legs(problem: Problem, source: int, chips: list[int], tensor: str) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The branches of a multicast, each link in one of them."""
    hardware = problem.hardware
    if not hardware.links:
        return tuple(((-1, chip),) for chip in chips)
    count = hardware.chips
    if not hardware.routed:
        if hardware.interconnect.topology == "chain" and min(chips) < source:
            raise InvalidAssignment(f"tensor {tensor!r} would have to move back along the chain")
        farthest = max((chip - source) % count for chip in chips)
        way = [((source + step) % count, (source + step + 1) % count) for step in range(farthest)]
        return (tuple((link, chip if chip in chips else -1) for link, chip in way),)
    routes = problem.routes
    reached: set[int] = set()
    legs = []
    for chip in sorted(chips, key=lambda chip: -len(routes.between(source, chip))):
        new = [link for link in routes.between(source, chip).tolist() if link not in reached]
        reached.update(new)
        links = [(link, -1) for link in new[:-1]]
        legs.append((*links, (new[-1] if new else -1, chip)))
    return tuple(legs)
