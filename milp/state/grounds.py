"""Steps of a proof as their engines tell them: what another program needs in order to prove the claim again."""

from __future__ import annotations

from typing import Any

import numpy as np

from milp.windows.windows import Windows
from partition.arrays import BoolArray, IntArray
from partition.instance.instance import Instance
from partition.results.proof_steps import ProofStep


def joined(original: Instance, tight: Instance) -> list[list[int]]:
    """Operations of nodes of the original that share a node of the tightened instance, one operation a node."""
    if tight.nodes == original.nodes:
        return []
    first = original.representatives
    together: dict[int, list[int]] = {}
    for operation in first.tolist():
        together.setdefault(int(tight.node_of[operation]), []).append(operation)
    return [members for members in together.values() if len(members) > 1]


def by_joining(engine: str, original: Instance, tight: Instance) -> ProofStep:
    """What an engine says of the instance tightened for a threshold: the operations that share a chip there."""
    return ProofStep(engine, evidence={"joined": joined(original, tight)})


def by_model(original: Instance, tight: Instance, windows: Windows) -> ProofStep:
    """What HiGHS says of the model over windows; first and last chip of each operation."""
    first, last = windows.lo[tight.node_of], windows.hi[tight.node_of]
    evidence = {"joined": joined(original, tight), "first": first.tolist(), "last": last.tolist()}
    return ProofStep("model", evidence=evidence)


def by_ideals(original: Instance, tight: Instance, kept: BoolArray | None, chip: IntArray | None) -> ProofStep:
    """A chain of ideals: the operations left out, and the chips of the best chain (-1 for those)."""
    evidence: dict[str, Any] = {"joined": joined(original, tight)}
    if kept is not None:
        evidence["left_out"] = np.flatnonzero(~kept[tight.node_of]).tolist()
    if chip is not None:
        evidence["chain"] = chip[tight.node_of].tolist()
    return ProofStep("ideals", evidence=evidence)


def by_blocks(engine: str, instance: Instance, nodes: list[int]) -> ProofStep:
    """What the blocks around nodes cost, by HiGHS; an operation for each node."""
    return ProofStep(engine, evidence={"around": instance.representatives[nodes].tolist()})
