"""The mixed-integer program: assign every node to a chip so that the period is least.

Variables are cumulative where they can be, which makes the rows of the acyclic rule totally unimodular. All are 0/1 but
``K``, ``T``, ``value``, ``work``, ``begin`` and ``L``; those marked (c) come out integral on their own.

    y[v,c]   node v has its home on one of the chips 0..c
    p[v,c]   node v (replicable) has a replica on chip c
    r[t,c]   chip c receives tensor t (c)
    s[t,c]   chip c, the home of t's producer, sends it (c)
    z[t,c]   tensor t is not needed beyond chip c (c); its load on link c -> c+1 is y[u,c] - z[t,c]
    g[t,l]   tensor t crosses link l, where tensors may also go round a ring (c)
    R[t,c]   chip c relays tensor t; K[t,c] how many of the chips 0..c do, where there are many chips (c)
    h[w,c]   chip c holds the shared weight w (c)
    D[a,b]   some tensor goes directly from chip a to chip b; P[a,b] over any path (c)
    work[c]  what chip c computes and streams, where latency is a goal
    T        the period, value the goal where that is another

Windows ``lo[v] <= f(v) <= hi[v]`` make every other y a constant, and rows of constants disappear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from milp.formulation import chip_graph, rows
from milp.formulation.choices import Choices, Goal
from milp.formulation.columns import Columns
from milp.formulation.goals import objective
from milp.formulation.memory import memory
from milp.formulation.memory_cuts import MemoryCut
from milp.formulation.model import Model
from milp.formulation.streaming import Streams
from milp.windows.windows import Windows
from partition.errors import InvalidInput
from partition.instance.features import ABSORBED, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import BEYOND, Instance

SCOPE = Scope(
    engine="the model",
    claims="HiGHS: whether some placement has a period, or the least value of a goal",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN "
        "TRAFFIC ENERGY LATENCY MOVES"
    ),
    refuses={
        Feature.ROUTES: PORTS_FOR_ROUTES,
        Feature.CHIPS: "each number of chips is a package of its own",
    },
)


def build(
    instance: Instance,
    windows: Windows,
    *,
    choices: Choices | None = None,
    upper: float | None = None,
    limited: Sequence[int] | None = None,
    goal: Goal = "period",
    caps: Mapping[Goal, float] | None = None,
    cuts: Sequence[MemoryCut] = (),
) -> Model:
    """The model over given windows, minimising the period ``T`` or, within its bounds, another goal.

    Parameters
    ----------
    windows : Windows
        Chips each node may use; they must hold for every placement that matters.
    choices : Choices
        Rows to write; :meth:`Choices.for_goals` by default.
    upper : float
        Largest ``T`` in units of the instance; any by default.
    limited : chips
        Those whose load, memory and links (into and out of them) are limited; all by default.
    goal : Goal
        What to minimise, in :func:`goal_unit`.
    caps : goal -> float
        Most of it, in its unit.
    cuts : sequence of MemoryCut
        What dynamic memory is known to exclude.

    Raises
    ------
    ImpossibleRow
        No placement fits the windows.
    InvalidInput
        The instance has features that there are no rows for.
    """
    _refuse_what_has_no_rows(instance)
    choices = choices or Choices.for_goals(instance, {goal, *(caps or {})})
    if upper is None and goal != "period":
        upper = instance.longest  # a measure without a limit spoils rows as well
    model = Model(instance.graph.name)
    cols = Columns(model, instance, windows, choices, {goal, *(caps or {})}, upper)
    most = BEYOND * upper if upper else np.inf  # what exceeds the period cannot be; how far it does spoils rows
    tau = np.minimum(instance.tau, most)
    chips = np.arange(instance.chips) if limited is None else np.array(limited, dtype=np.int64)
    rows.homes(model, cols)
    rows.replicas(model, cols)
    rows.transfers(model, cols)
    rows.relays(model, cols)
    crossings = rows.links(model, cols, tau, chips)
    times = rows.ChipTimes.of(cols, np.minimum(instance.time, most), tau)
    rows.loads(model, cols, times, chips)
    streams = Streams.written(model, cols, memory(model, cols, cuts, chips), times, most, chips)
    if choices.triangle:
        chip_graph.triangle(model, cols)
    if choices.no_skipping:
        chip_graph.no_skipping(model, cols)
    objective(model, cols, goal, caps or {}, crossings, streams)
    return model


def _refuse_what_has_no_rows(instance: Instance) -> None:
    refused = instance.features - SCOPE.covers
    if refused:
        names = ", ".join(sorted(feature.value for feature in refused))
        instead = "; take a package with topology crossbar, say" if Feature.ROUTES in refused else ""
        raise InvalidInput(f"the model has no rows for {names}{instead}")
