"""Completing a placement: gaps closed, relays added where the triangle rule asks for them, the useless dropped."""

from __future__ import annotations

import numpy as np

from partition.graph import Graph, IntArray
from partition.hardware import Hardware
from partition.legalise import relayable
from partition.placement import Placement
from partition.rules import beside_a_longer_path
from partition.transfers import TransferModel, Transfers


def close_gaps(placement: Placement, chips: int) -> Placement:
    """The placement with empty chips skipped. On identical chips this never makes it worse (docs/proof.md)."""
    occupied = np.unique(np.concatenate([placement.assignment, placement.replicas[:, 1], placement.relays[:, 1]]))
    rank = np.zeros(chips, dtype=np.int64)
    rank[occupied] = np.arange(len(occupied))
    replicas, relays = placement.replicas.copy(), placement.relays.copy()
    replicas[:, 1], relays[:, 1] = rank[replicas[:, 1]], rank[relays[:, 1]]
    return Placement(rank[placement.assignment], replicas, relays)


def satisfy_triangle(graph: Graph, hardware: Hardware, placement: Placement) -> Placement:
    """Relay tensors chip by chip until no direct edge of the chip graph has a longer path beside it.

    Only tensors on offending edges are relayed, and each at most once, so it ends; what cannot be relayed is
    left as it is (the rule checker will say so).
    """
    if not (hardware.rules.triangle and hardware.relays_allowed):
        return placement
    may_relay = relayable(graph, hardware)
    model = TransferModel(graph, hardware)
    held = set(map(tuple, placement.replicas.tolist()))
    done = np.zeros(graph.m, dtype=bool)
    done[placement.relays[:, 0]] = True
    while True:
        moved = _transfers(model, placement)
        direct = np.zeros((hardware.chips, hardware.chips), dtype=bool)
        direct[moved.source[moved.constrains], moved.chip[moved.constrains]] = True
        offending = beside_a_longer_path(direct)[moved.source, moved.chip] & moved.constrains
        chosen = offending & may_relay[moved.tensor] & ~done[moved.tensor]
        if not chosen.any():
            return placement
        done[moved.tensor[chosen]] = True
        extra = [
            (t, c)
            for t in np.unique(moved.tensor[chosen]).tolist()
            for c in _between(moved, t)
            if (int(graph.producer[t]), c) not in held
        ]
        relays = np.concatenate([placement.relays, np.array(extra, dtype=np.int64).reshape(-1, 2)])
        placement = Placement(placement.assignment, placement.replicas, relays)


def prune(graph: Graph, hardware: Hardware, placement: Placement) -> Placement:
    """The placement without replicas that nobody reads on their chip and relays beyond which nobody reads."""
    bare = Placement(placement.assignment, _read_replicas(graph, placement))
    moved = _transfers(TransferModel(graph, hardware), bare)
    last = np.full(graph.m, -1)
    np.maximum.at(last, moved.tensor, moved.chip)
    held = set(map(tuple, bare.replicas.tolist()))
    useful = [(t, c) for t, c in placement.relays.tolist() if c < last[t] and (int(graph.producer[t]), c) not in held]
    return Placement(bare.assignment, bare.replicas, np.array(useful, dtype=np.int64).reshape(-1, 2))


def _between(moved: Transfers, tensor: int) -> range:
    """Chips strictly between the home of a tensor's producer and its last receiver."""
    here = moved.tensor == tensor
    return range(int(moved.home[here][0]) + 1, int(moved.chip[here].max()))


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
