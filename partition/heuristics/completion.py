"""Completing a placement: gaps closed, relays added where the triangle rule asks for them, the useless dropped."""

from __future__ import annotations

import numpy as np

from partition.arrays import BoolArray, IntArray, runs
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.rules import beside_a_longer_path, chip_graphs
from partition.scoring.transfers import TransferModel, Transfers


def close_gaps(placement: Placement, chips: int) -> Placement:
    """The placement with empty chips skipped. On identical chips this never makes it worse (docs/proof.md)."""
    occupied = np.unique(np.concatenate([placement.assignment, placement.replicas[:, 1], placement.relays[:, 1]]))
    rank = np.zeros(chips, dtype=np.int64)
    rank[occupied] = np.arange(len(occupied))
    replicas, relays = placement.replicas.copy(), placement.relays.copy()
    replicas[:, 1], relays[:, 1] = rank[replicas[:, 1]], rank[relays[:, 1]]
    return Placement(rank[placement.assignment], replicas, relays)


def satisfy_triangle(graph: Graph, hardware: Hardware, placement: Placement) -> Placement:
    """:func:`relays_for_triangle` for one placement."""
    if not (hardware.rules.triangle and hardware.relays_allowed):
        return placement
    relays = relays_for_triangle(
        Problem.of(graph, hardware).kept(TransferModel.on),
        hardware,
        placement.assignment[None],
        placement.replica_rows,
        placement.relay_rows,
    )
    return Placement(placement.assignment, placement.replicas, relays[:, 1:])


def relays_for_triangle(
    model: TransferModel, hardware: Hardware, assignments: IntArray, replicas: IntArray, relays: IntArray
) -> IntArray:
    """Relay tensors chip by chip until no direct edge of the chip graph has a longer path beside it.

    Only tensors on offending edges are relayed, and each at most once, so it ends; what cannot be relayed is
    left as it is (the rule checker will say so).

    Parameters
    ----------
    assignments : (B, n).
    replicas, relays : (k, 3) rows (batch row, item, chip).

    Returns
    -------
    (k, 3), the relays given and those added.
    """
    graph = model.graph
    rows, chips = len(assignments), hardware.chips
    may_relay = Problem.of(graph, hardware).relayable
    held = (replicas[:, 0] * graph.n + replicas[:, 1]) * chips + replicas[:, 2]
    done = np.zeros((rows, graph.m), dtype=bool)
    done[relays[:, 0], relays[:, 1]] = True
    while True:
        moved = model.find(assignments, replicas, relays)
        direct = chip_graphs(moved, rows, chips)
        offending = beside_a_longer_path(direct)[moved.batch, moved.source, moved.chip] & moved.constrains
        chosen = offending & may_relay[moved.tensor] & ~done[moved.batch, moved.tensor]
        if not chosen.any():
            return relays
        done[moved.batch[chosen], moved.tensor[chosen]] = True
        extra = _between(moved, chosen, graph.m)
        beside = (extra[:, 0] * graph.n + graph.producer[extra[:, 1]]) * chips + extra[:, 2]
        relays = np.unique(np.concatenate([relays, extra[~np.isin(beside, held)]]), axis=0)


def prune(graph: Graph, hardware: Hardware, placement: Placement) -> Placement:
    """The placement without replicas that nobody reads on their chip and relays beyond which nobody reads."""
    bare = Placement(placement.assignment, _read_replicas(graph, placement))
    moved = _transfers(Problem.of(graph, hardware).kept(TransferModel.on), bare)
    last = np.full(graph.m, -1)
    np.maximum.at(last, moved.tensor, moved.chip)
    held = set(map(tuple, bare.replicas.tolist()))
    useful = [(t, c) for t, c in placement.relays.tolist() if c < last[t] and (int(graph.producer[t]), c) not in held]
    return Placement(bare.assignment, bare.replicas, np.array(useful, dtype=np.int64).reshape(-1, 2))


def _between(moved: Transfers, chosen: BoolArray, tensors: int) -> IntArray:
    """(k, 3) rows: chips strictly between the home and the last receiver of each tensor chosen."""
    key = moved.batch * tensors + moved.tensor
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))  # entries are sorted by key, then chip
    last = np.concatenate([first[1:], [len(key)]]) - 1
    wanted = np.logical_or.reduceat(chosen, first)
    first, last = first[wanted], last[wanted]
    count = np.maximum(moved.chip[last] - moved.home[first] - 1, 0)
    which = np.repeat(first, count)
    return np.stack([moved.batch[which], moved.tensor[which], runs(moved.home[first] + 1, count)], axis=1)


def _read_replicas(graph: Graph, placement: Placement) -> IntArray:
    replicated = set(placement.replicas[:, 0].tolist())
    readers: dict[int, list[int]] = {}
    wanted = np.isin(graph.edge_source, placement.replicas[:, 0])
    for u, w in zip(graph.edge_source[wanted].tolist(), graph.consumers[wanted].tolist(), strict=True):
        readers.setdefault(u, []).append(w)
    kept: set[tuple[int, int]] = set()
    for v in [int(v) for v in graph.topological_order[::-1] if int(v) in replicated]:
        for c in placement.replicas[placement.replicas[:, 0] == v, 1].tolist():
            if any(placement.assignment[w] == c or (w, c) in kept for w in readers.get(v, [])):
                kept.add((v, c))
    return np.array(sorted(kept), dtype=np.int64).reshape(-1, 2)


def _transfers(model: TransferModel, placement: Placement) -> Transfers:
    return model.find(placement.assignment[None], placement.replica_rows, placement.relay_rows)
