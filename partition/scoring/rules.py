"""The rule checker: every violation of a placement, and quick yes-or-no answers for batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partition.arrays import BoolArray, IntArray, any_of
from partition.errors import InvalidAssignment
from partition.problem.chip_kind import MEMORY_SLACK
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Rules
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.problem.wishes import Wishes
from partition.scoring.batches import validated_assignments
from partition.scoring.cost import CostModel
from partition.scoring.schedules import ChipWork, Schedule, WorkModel, schedule
from partition.scoring.transfers import TransferModel, Transfers
from partition.scoring.unkept_wishes import unkept_wishes
from partition.scoring.violation import Violation

__all__ = ["Violation", "check", "valid", "violated"]


def check(
    graph: Graph, hardware: Hardware, placement: Placement | ArrayLike, wishes: Wishes | None = None
) -> list[Violation]:
    """Every violation of the rules that are switched on (docs/problem.md); empty if the placement is valid.

    Parameters
    ----------
    placement : a :class:`Placement`, or an (n,) assignment without replicas and relays.
    wishes : that it shall keep beside the rules.

    Raises
    ------
    InvalidAssignment : it is for other operations or chips.
    InvalidInput : a wish names what the graph or the package lacks.
    """
    if not isinstance(placement, Placement):
        placement = Placement(validated_assignments(graph, hardware, placement)[0])
    validated_assignments(graph, hardware, placement.assignment)
    _validate_pairs(graph, hardware, placement)
    problem = Problem.of(graph, hardware)
    found = [
        *_acyclic(graph, hardware, placement),
        *_colocation(graph, placement),
        *_support(problem, placement),
        *_cuts(graph, placement),
        *_replication(problem, placement),
        *_relays(problem, placement),
    ]
    if hardware.rules.no_skipping:
        found += _no_skipping(placement)
    if hardware.rules.memory:
        found += _memory(problem, placement)
    if hardware.rules.triangle:
        found += _triangle(problem, placement)
    if hardware.rules.dynamic_memory and not any(violation.rule == "memory" for violation in found):
        found += _dynamic_memory(problem, placement)
    if wishes is not None:
        found += unkept_wishes(graph, hardware, placement, wishes.on(graph, hardware.chips))
    return found


def valid(graph: Graph, hardware: Hardware, assignments: ArrayLike) -> BoolArray:
    """(B,) whether each of a batch of assignments (B, n), without replicas and relays, keeps all rules."""
    return ~any_of(np.stack(list(violated(graph, hardware, assignments).values())), 0)


def violated(
    graph: Graph,
    hardware: Hardware,
    assignments: ArrayLike,
    replicas: IntArray | None = None,
    relays: IntArray | None = None,
    *,
    rules: Rules | None = None,
) -> dict[str, BoolArray]:
    """Rule name -> (B,) whether each placement of a batch breaks it; agrees with :func:`check` row by row.

    Parameters
    ----------
    assignments : (B, n) int.
    replicas, relays : (k, 3) rows as the cost model takes them; that they are allowed is taken for granted.
    rules : to look at; the hardware's by default.
    """
    chips = validated_assignments(graph, hardware, assignments)
    rules = hardware.rules if rules is None else rules
    problem = Problem.of(graph, hardware)
    model = problem.kept(CostModel)
    broken = {"colocation": np.zeros(len(chips), dtype=bool)}
    grouped = np.flatnonzero(graph.group >= 0)
    if len(grouped):
        _, first, member = np.unique(graph.group[grouped], return_index=True, return_inverse=True)
        broken["colocation"] = any_of(chips[:, grouped] != chips[:, grouped[first[member]]], 1)
    back = _edges_that_must_not_go_back(graph, hardware)
    unsupported = np.isinf(model.times)
    if unsupported.any():
        broken["support"] = any_of(unsupported[model.kind[chips], np.arange(graph.n)], 1)
    if graph.limits is not None:
        first, second = graph.limits.before.T
        broken["cut"] = any_of(chips[:, first] >= chips[:, second], 1)
    broken["acyclic"] = any_of(chips[:, graph.edge_source[back]] > chips[:, graph.consumers[back]], 1)
    if rules.no_skipping:
        slot = chips + (np.arange(len(chips)) * hardware.chips)[:, None]
        used = np.bincount(slot.ravel(), minlength=len(chips) * hardware.chips).reshape(-1, hardware.chips) > 0
        broken["no_skipping"] = any_of(used[:, 1:] & ~used[:, :-1], 1)
    if rules.memory:
        sram = model.sram(chips, replicas)
        broken["memory"] = any_of(sram > hardware.room * (1 + MEMORY_SLACK), 1)
    if rules.triangle:
        moved = model.transfers.find(chips, replicas, relays)
        broken["triangle"] = any_of(beside_a_longer_path(chip_graphs(moved, len(chips), hardware.chips)), (1, 2))
    if rules.dynamic_memory:
        work = problem.kept(WorkModel)  # a search for each row that is valid so far: schedules are no vector matter
        tall = np.any(np.stack(list(broken.values())), axis=0)
        none = np.zeros((0, 2), dtype=np.int64)
        for row in np.flatnonzero(~tall).tolist():
            copies, forwards = (none if x is None else x[x[:, 0] == row, 1:] for x in (replicas, relays))
            tall[row] = bool(_too_tall(work, Placement(chips[row], copies, forwards)))
        broken["dynamic_memory"] = tall
    return broken


def chip_graphs(moved: Transfers, rows: int, chips: int) -> BoolArray:
    """(B, C, C) whether a constraining transfer goes directly from one chip to another, for each row of a batch."""
    some = moved.constrains
    direct = np.zeros((rows, chips, chips), dtype=bool)
    direct[moved.batch[some], moved.source[some], moved.chip[some]] = True
    return direct


def beside_a_longer_path(direct: BoolArray) -> BoolArray:
    """(..., C, C) direct edges beside which a walk runs through a third chip."""
    chips = direct.shape[-1]
    path = direct.copy()
    for k in range(chips):
        path |= path[..., :, k : k + 1] & path[..., k : k + 1, :]
    path &= ~np.eye(chips, dtype=bool)
    through = np.matmul(path.astype(np.float32), path.astype(np.float32)) > 0
    return np.asarray(direct & through)


def _edges_that_must_not_go_back(graph: Graph, hardware: Hardware) -> IntArray:
    if hardware.interconnect.topology == "chain":
        return np.arange(len(graph.consumers))
    return np.flatnonzero(graph.edge_constrains) if hardware.rules.acyclic else np.zeros(0, np.int64)


def _acyclic(graph: Graph, hardware: Hardware, placement: Placement) -> list[Violation]:
    chip = placement.assignment
    edges = _edges_that_must_not_go_back(graph, hardware)
    source, target = graph.edge_source[edges], graph.consumers[edges]
    found = []
    for u, w in sorted({(int(u), int(w)) for u, w in zip(source, target, strict=True) if chip[u] > chip[w]}):
        names = graph.names[u], graph.names[w]
        message = f"{names[0]!r} on chip {chip[u]} feeds {names[1]!r} on the earlier chip {chip[w]}"
        found.append(Violation("acyclic", message, names, (int(chip[u]), int(chip[w]))))
    return found


def _colocation(graph: Graph, placement: Placement) -> list[Violation]:
    grouped = np.flatnonzero(graph.group >= 0)
    group, chip = graph.group[grouped], placement.assignment[grouped]
    first = np.full(int(group.max(initial=-1)) + 1, -1)
    first[group] = chip
    found = []
    for spread in np.unique(group[chip != first[group]]).tolist():
        members = grouped[group == spread]
        chips = np.unique(placement.assignment[members])
        names = tuple(graph.names[v] for v in members)
        message = f"the group of {names[0]!r} ({len(names)} operations) is spread over chips {chips.tolist()}"
        found.append(Violation("colocation", message, names, tuple(chips.tolist())))
    return found


def _support(problem: Problem, placement: Placement) -> list[Violation]:
    graph, hardware = problem.graph, problem.hardware
    kind = hardware.kind_array()
    pairs = np.concatenate([np.stack([np.arange(graph.n), placement.assignment], axis=1), placement.replicas])
    found = []
    for v, c in pairs[np.isinf(problem.times[kind[pairs[:, 1]], pairs[:, 0]])].tolist():
        name, cannot = graph.names[v], hardware.kinds[kind[c]].name
        message = f"{name!r} ({graph.op_types[v]}) is on chip {c}, but chips of kind {cannot!r} cannot run it"
        found.append(Violation("support", message, (name,), (c,)))
    return found


def _cuts(graph: Graph, placement: Placement) -> list[Violation]:
    """Where a search is asked for cuts (``Graph.limits``)."""
    if graph.limits is None:
        return []
    chip, found = placement.assignment, []
    for u, w in graph.limits.before.tolist():
        if chip[u] >= chip[w]:
            names = graph.names[u], graph.names[w]
            message = f"{names[0]!r} on chip {chip[u]} is not before {names[1]!r} on chip {chip[w]}"
            found.append(Violation("cut", message, names, (int(chip[u]), int(chip[w]))))
    return found


def _no_skipping(placement: Placement) -> list[Violation]:
    used = np.unique(placement.assignment)
    empty = sorted(set(range(int(used.max()))) - set(used.tolist()))
    return [Violation("no_skipping", f"chip {c} is empty although chip {used.max()} is used", (), (c,)) for c in empty]


def _memory(problem: Problem, placement: Placement) -> list[Violation]:
    graph, capacity = problem.graph, problem.hardware.room
    sram = problem.kept(CostModel).sram(placement.assignment[None], placement.replica_rows)[0]
    found = []
    for c in np.flatnonzero(sram > capacity * (1 + MEMORY_SLACK)).tolist():
        copies = placement.replicas[placement.replicas[:, 1] == c, 0]
        here = np.concatenate([np.flatnonzero(placement.assignment == c), copies])
        heavy = np.isin(here, graph.shared_users) | (graph.weights[here] > 0)
        names = tuple(graph.names[v] for v in here[heavy])
        message = f"chip {c} holds {sram[c]:.0f} bytes of weights, more than its {capacity[c]:.0f} bytes of SRAM"
        found.append(Violation("memory", message, names, (c,)))
    return found


def _dynamic_memory(problem: Problem, placement: Placement) -> list[Violation]:
    found = []
    for c, work, best in _too_tall(problem.kept(WorkModel), placement):
        capacity = problem.hardware.sram_bytes[c]
        names = tuple(problem.graph.names[v] for v in work.operations)
        if best.fits is None:
            message = (
                f"no schedule of chip {c} within its {capacity:.0f} bytes of SRAM was found, nor proved impossible"
            )
        else:
            message = f"every schedule of chip {c} takes more than its {capacity:.0f} bytes of SRAM at some moment"
        message += f"; the best one found takes {best.peak:.0f}"
        found.append(Violation("dynamic_memory", message, names, (c,)))
    return found


def _too_tall(model: WorkModel, placement: Placement) -> list[tuple[int, ChipWork, Schedule]]:
    """The chips for which no schedule within their SRAM was found."""
    capacity = model.hardware.sram_bytes.tolist()
    works = ((c, work) for c, work in enumerate(model.chips(placement)) if capacity[c] < float("inf"))
    found = ((c, work, schedule(work, capacity[c])) for c, work in works)
    return [(c, work, best) for c, work, best in found if not best.fits]


def _triangle(problem: Problem, placement: Placement) -> list[Violation]:
    graph, hardware = problem.graph, problem.hardware
    moved = problem.kept(TransferModel.on).find(
        placement.assignment[None], placement.replica_rows, placement.relay_rows
    )
    direct = chip_graphs(moved, 1, hardware.chips)[0]
    found = []
    for a, b in np.argwhere(beside_a_longer_path(direct)).tolist():
        on_edge = moved.constrains & (moved.source == a) & (moved.chip == b)
        tensors = tuple(graph.tensor_names[t] for t in moved.tensor[on_edge])
        makers = tuple(dict.fromkeys(graph.names[graph.producer[t]] for t in moved.tensor[on_edge]))
        message = f"chip {a} sends {tensors[0]!r} directly to chip {b}, which it also reaches through other chips"
        found.append(Violation("triangle", message, makers, (a, b), tensors))
    return found


def _replication(problem: Problem, placement: Placement) -> list[Violation]:
    if not len(placement.replicas):
        return []
    graph, found = problem.graph, []
    for v, c in placement.replicas.tolist():
        name, home = graph.names[v], int(placement.assignment[v])
        if not problem.replicable[v]:
            message = f"{name!r} has a replica on chip {c} but may not be replicated on this hardware"
        elif c <= home:
            message = f"{name!r} has a replica on chip {c}, which is not after its home, chip {home}"
        else:
            continue
        found.append(Violation("replication", message, (name,), (home, c)))
    return found


def _relays(problem: Problem, placement: Placement) -> list[Violation]:
    if not len(placement.relays):
        return []
    graph = problem.graph
    held = set(map(tuple, placement.replicas.tolist()))
    found = []
    for t, c in placement.relays.tolist():
        v = int(graph.producer[t])
        name, maker, home = graph.tensor_names[t], graph.names[v], int(placement.assignment[v])
        if not problem.relayable[t]:
            message = f"tensor {name!r} is relayed by chip {c} but may not be relayed on this hardware"
        elif c <= home:
            message = f"tensor {name!r} is relayed by chip {c}, which is not after its producer's chip {home}"
        elif (v, c) in held:
            message = f"tensor {name!r} is relayed by chip {c}, which runs a replica of its producer {maker!r}"
        else:
            continue
        found.append(Violation("relays", message, (maker,), (home, c), (name,)))
    return found


def _validate_pairs(graph: Graph, hardware: Hardware, placement: Placement) -> None:
    for what, pairs, count in (("replica", placement.replicas, graph.n), ("relay", placement.relays, graph.m)):
        if np.any((pairs < 0) | (pairs >= np.array([count, hardware.chips]))):
            raise InvalidAssignment(f"a {what} names an item or chip that graph {graph.name!r} or the package lacks")
