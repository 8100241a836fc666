"""An answer in the terms of other tools: modules of the model instead of operations.

Names of operations say which module they belong to (``encoder.layers.0.linear1/linear``), as those of PyTorch programs
and of ONNX models exported from PyTorch do.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.arrays import FloatArray, IntArray
from partition.errors import InvalidAssignment, InvalidInput
from partition.problem.graph import Graph
from partition.scoring.cost import CostModel
from partition.scoring.rules import violated

if TYPE_CHECKING:
    from partition.results.result import Result

MOST_CUTS = 20_000
"""Ways to choose the cuts up to which all are tried; beyond, one cut after the other is improved."""

LAYER = re.compile(r"^(.*?\b(?:layers?|h|blocks?))\.([0-9]+)(?:[./]|$)")
"""The list of layers in the path of a module, and the number of the layer."""

NORM = 8
"""Power of the loads whose sum is made smaller where cuts are moved one by one: a period alone shows no way."""

CutScore = Callable[[IntArray], tuple[IntArray, FloatArray, FloatArray]]
"""(B, cuts) positions -> (B,) rules broken, (B,) periods, (B,) sums of powers of all loads."""


@dataclass(frozen=True, eq=False)
class SplitPoints:
    """Cuts at the beginnings of modules.

    Attributes
    ----------
    modules : at whose beginning a new stage begins, in order of execution.
    assignment : (n,) stage of every operation that follows.
    period : of that by the cost model, in the hardware's time unit; ``bound`` of the result holds for it too.
    exact : the cuts are those of the result, but for operations that take no time.
    best : no other choice of as many modules has a smaller period and keeps as many rules.
    broken : rules that the cuts break though the result does not: a module cut cannot relay or replicate.
    """

    modules: tuple[str, ...]
    assignment: IntArray
    period: float
    bound: float
    exact: bool
    best: bool
    broken: tuple[str, ...]

    def spec(self) -> dict[str, Any]:
        """``split_spec`` of ``torch.distributed.pipelining.pipeline``."""
        from torch.distributed.pipelining import SplitPoint

        return dict.fromkeys(self.modules, SplitPoint.BEGINNING)


def split_points(result: Result) -> SplitPoints:
    """Cuts by modules for ``torch.distributed.pipelining``, as near to a result as modules allow.

    That library runs a program in its own order and begins a stage where a module begins. The cuts chosen are the ones
    of least period among those that begin as many stages as the result has chips in use.

    Raises
    ------
    InvalidAssignment : the result has no placement, or uses more chips than the model has modules.
    """
    graph, hardware = result.graph, result.hardware
    placement = result.placement
    if placement is None:
        raise InvalidAssignment("the result is infeasible: there is nothing to cut")
    begins = module_beginnings(graph)
    cuts = len(np.unique(placement.assignment)) - 1
    if len(begins) < cuts:
        raise InvalidAssignment(
            f"{graph.name!r} has {len(begins)} modules at which a stage could begin, but {cuts + 1} chips are in use"
        )
    at = np.array(sorted(begins))
    problem = result.problem
    model = problem.kept(CostModel)

    def judged(rows: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
        homes = (np.arange(graph.n)[None, :, None] >= rows[:, None, :]).sum(axis=2)
        broken = violated(graph, hardware, homes)
        cost = model.evaluate(homes)
        loads = np.concatenate([cost.load, cost.link], axis=1)
        return np.sum(list(broken.values()), axis=0), cost.period, (loads**NORM).sum(axis=1)

    every = math.comb(len(at), cuts) <= MOST_CUTS
    if every:
        chosen = _best_of_all(at, cuts, judged)
    else:
        chosen = _improved(at, _nearest(placement.assignment, at, cuts), judged)
    homes = (np.arange(graph.n)[:, None] >= chosen[None, :]).sum(axis=1)
    broken = violated(graph, hardware, homes[None])
    costs = np.isfinite(model.times).any(axis=0) & (model.times.max(axis=0) > 0)
    return SplitPoints(
        modules=tuple(begins[int(p)] for p in chosen),
        assignment=homes,
        period=float(model.evaluate(homes[None]).period[0]),
        bound=result.bound,
        exact=bool((homes == placement.assignment)[costs].all()),
        best=every,
        broken=tuple(rule for rule, rows in broken.items() if rows[0]),
    )


def module_beginnings(graph: Graph) -> dict[int, str]:
    """Position in the program -> outermost module that begins there; one that is left and entered again is none."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    count: dict[str, int] = defaultdict(int)
    for v, name in enumerate(graph.names):
        path = _module(name)
        parts = path.split(".") if path else []
        for k in range(1, len(parts) + 1):
            module = ".".join(parts[:k])
            first.setdefault(module, v)
            last[module] = v
            count[module] += 1
    found: dict[int, str] = {}
    begun = np.flatnonzero(~graph.is_source)
    start = int(begun[0]) if len(begun) else 0
    for module, v in first.items():  # outer modules come before those within them
        if last[module] - v + 1 == count[module] and v > start:
            found.setdefault(v, module)
    return found


def device_map(result: Result) -> dict[str, int]:
    """Module -> chip, as ``accelerate`` and ``transformers`` take it: the largest modules that lie on one chip.

    Raises
    ------
    InvalidAssignment : operations of one smallest module, weights included, lie on several chips; it is named.
    InvalidInput : the operations have no modules.
    """
    homes = result.placement.assignment.tolist() if result.placement is not None else []
    if not homes:
        raise InvalidAssignment("the result is infeasible: there is nothing to map")
    held = result.graph.weights > 0
    held[result.graph.shared_users] = True
    chips: dict[str, set[int]] = defaultdict(set)
    own: dict[str, set[int]] = defaultdict(set)  # of operations with weights that belong to no inner module
    for name, chip, weighs in zip(result.graph.names, homes, held.tolist(), strict=True):
        path = _module(name)
        if not path:
            continue
        parts = path.split(".")
        for k in range(1, len(parts) + 1):
            chips[".".join(parts[:k])].add(chip)
        if weighs:
            own[path].add(chip)
    if not chips:
        raise InvalidInput(f"the operations of {result.graph.name!r} have no modules in their names")
    found: dict[str, int] = {}
    for module, on in chips.items():  # outer modules come before those within them
        parent = module.rpartition(".")[0]
        if any(parent == above or parent.startswith(f"{above}.") for above in found):
            continue
        if len(on) == 1:
            found[module] = next(iter(on))
        elif len(own.get(module, ())) > 1:
            raise InvalidAssignment(
                f"module {module!r} holds weights on chips {', '.join(map(str, sorted(own[module])))}; a device map "
                "puts a module on one device: partition with these operations in one group"
            )
    return found


def layer_counts(result: Result) -> tuple[int, ...]:
    """Layers per chip, as vLLM takes them: ``VLLM_PP_LAYER_PARTITION="8,8"``.

    A layer counts for the chip that does most of its work. The layers are those of the longest numbered list of modules
    (``layers.0``, ``h.0``, ``blocks.0``).

    Raises
    ------
    InvalidInput : the model has no such list.
    InvalidAssignment : the layers do not follow one another from chip to chip, or the result has no placement.
    """
    graph, placement = result.graph, result.placement
    if placement is None:
        raise InvalidAssignment("the result is infeasible: there are no layers to count")
    times = result.problem.fastest
    work: dict[str, dict[int, FloatArray]] = defaultdict(dict)
    for v, name in enumerate(graph.names):
        if (match := LAYER.match(name)) is not None:
            row = work[match[1]].setdefault(int(match[2]), np.zeros(result.hardware.chips))
            row[placement.assignment[v]] += max(float(times[v]), 1e-30)
    if not work:
        raise InvalidInput(f"the operations of {graph.name!r} name no numbered list of layers")
    layers = max(work.values(), key=len)
    chips = [int(layers[i].argmax()) for i in sorted(layers)]
    if chips != sorted(chips):
        raise InvalidAssignment(
            "the layers do not follow one another from chip to chip; partition with the acyclic rule"
        )
    return tuple(np.bincount(chips, minlength=int(placement.assignment.max()) + 1).tolist())


def _module(name: str) -> str:
    """The module of an operation: ``a.b`` of ``a.b/linear``, and of ``/a/b/MatMul`` as ONNX exports write it."""
    return name.strip("/").rpartition("/")[0].replace("/", ".")


def _best_of_all(at: IntArray, cuts: int, judged: CutScore) -> IntArray:
    rows = np.array(list(itertools.combinations(at.tolist(), cuts)), dtype=np.int64).reshape(-1, cuts)
    broken, period, _ = judged(rows)
    return np.asarray(rows[_best(broken, period)])


def _improved(at: IntArray, chosen: IntArray, judged: CutScore) -> IntArray:
    """One cut after the other at its best place, until none moves."""
    while True:
        before = chosen.copy()
        for k in range(len(chosen)):
            low = chosen[k - 1] if k else -1
            high = chosen[k + 1] if k + 1 < len(chosen) else at[-1] + 1
            places = at[(at > low) & (at < high)]
            rows = np.repeat(chosen[None], len(places), axis=0)
            rows[:, k] = places
            rows = np.concatenate([chosen[None], rows])  # it stays where it is unless another place is better
            broken, _, powers = judged(rows)
            chosen = rows[_best(broken, powers)]
        if (chosen == before).all():
            return chosen


def _best(broken: IntArray, value: FloatArray) -> int:
    return int(np.lexsort([value, broken])[0])


def _nearest(assignment: IntArray, at: IntArray, cuts: int) -> IntArray:
    """The beginnings nearest to where the result's chips change, each later than the one before."""
    chips = np.unique(assignment)
    wanted = [float(np.flatnonzero(assignment >= chip).mean() - (assignment >= chip).sum() / 2) for chip in chips[1:]]
    chosen: list[int] = []
    for k, place in enumerate(wanted):
        low = chosen[-1] + 1 if chosen else 0
        free = range(low, len(at) - (cuts - k - 1))
        chosen.append(min(free, key=lambda i: abs(float(at[i]) - place)))
    return at[chosen]
