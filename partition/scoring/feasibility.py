"""Why a model may not fit a package at all, said before any search."""

from __future__ import annotations

import numpy as np

from partition.amounts import bytes_text
from partition.arrays import FloatArray, IntArray
from partition.errors import Infeasible
from partition.instance.features import ABSORBED, Scope, named
from partition.problem.chip_kind import TOO_MUCH
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem

SCOPE = Scope(
    engine="counting",
    claims="that no placement is valid",
    covers=ABSORBED
    | named(
        "CHAIN RING ROUTES CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN "
        "TRAFFIC ENERGY LATENCY CHIPS MOVES"
    ),
)


def impossible(graph: Graph, hardware: Hardware) -> Infeasible | None:
    """A proof in one sentence that no valid placement exists, or None if counting does not show it.

    Unless kinds differ in what they support, all other rules are kept by placing everything on one chip.
    """
    runs_nowhere = np.isinf(Problem.of(graph, hardware).fastest)
    if runs_nowhere.any():
        names = tuple(graph.names[v] for v in np.flatnonzero(runs_nowhere))
        return Infeasible(
            f"no chip of {hardware.name!r} can run operation {names[0]!r} ({len(names)} in all); add a chip of a kind "
            "that can, or take it off the kinds' unsupported operators",
            rule="support",
            operations=names,
        )
    largest = float(hardware.room.max())
    if np.isinf(largest):
        return None
    group, need = together(graph)
    worst = int(np.argmax(need))
    if need[worst] > largest * TOO_MUCH:
        names = tuple(graph.names[v] for v in np.flatnonzero(group == worst))
        what = (
            f"operation {names[0]!r} needs"
            if len(names) == 1
            else f"the group of {names[0]!r} ({len(names)} operations) needs"
        )
        return Infeasible(
            f"{what} {bytes_text(need[worst])} of weights, more than the {bytes_text(largest)} of SRAM of any chip of "
            f"{hardware.name!r} (rule memory)",
            rule="memory",
            operations=names,
        )
    return too_much_in_all(graph, hardware)


def too_much_in_all(graph: Graph, hardware: Hardware) -> Infeasible | None:
    """The proof that all weights exceed the SRAM of all chips together, or None; it holds with parts as well."""
    total, package = graph.weight_bytes, float(hardware.room.sum())
    if total > package * TOO_MUCH:
        heaviest = np.argsort(-graph.weights)[:3]
        return Infeasible(
            f"all weights together are {bytes_text(total)}, more than the {bytes_text(package)} of SRAM of the "
            f"{hardware.chips} chips of {hardware.name!r} (rule memory)",
            rule="memory",
            operations=tuple(graph.names[v] for v in heaviest),
        )
    return None


def proved_infeasible(graph: Graph, hardware: Hardware) -> Infeasible:
    """The reason when only the search has shown it."""
    switched = [name for name in ("acyclic", "no_skipping", "triangle") if getattr(hardware.rules, name)]
    heaviest = np.argsort(-graph.weights, kind="stable")[:3]
    names = tuple(graph.names[v] for v in heaviest)
    kept = f" while the rules {', '.join(switched)} hold" if switched else ""
    return Infeasible(
        f"no assignment fits the weights of {graph.name!r} into the SRAM of {hardware.name!r}{kept} (rule memory; "
        f"the heaviest operations are {', '.join(map(repr, names))})",
        rule="memory",
        operations=names,
    )


def together(graph: Graph) -> tuple[IntArray, FloatArray]:
    """(n,) group of each operation, those of one share a chip, and (groups,) bytes of weights that each holds."""
    group = np.where(graph.group >= 0, graph.n + graph.group, np.arange(graph.n))
    _, group = np.unique(group, return_inverse=True)
    need = np.bincount(group, weights=graph.weights)
    shared = np.repeat(np.arange(len(graph.shared_bytes)), np.diff(graph.shared_ptr))
    held = np.unique(np.stack([shared, group[graph.shared_users]]), axis=1)
    np.add.at(need, held[1], graph.shared_bytes[held[0]])
    return np.asarray(group, dtype=np.int64), np.asarray(need, dtype=np.float64)
