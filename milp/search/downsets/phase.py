"""The search over down-sets as a phase: what it covers, and what its answers say about an instance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from milp import budget
from milp.search.downsets.engine import LineSearch
from milp.search.downsets.line import Line
from milp.search.downsets.tasks import NEVER, Tasks, closure
from milp.state.attainable import Grid
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.state.run import Phase, Run
from milp.tolerances import TICK
from partition.arrays import IntArray, sums
from partition.instance.features import ABSORBED, PERIOD_ALONE, Scope, named
from partition.instance.instance import Instance
from partition.stopping import Stop

NODES_LIMIT = 1_000
"""Most nodes: the closure of their order is a matrix."""

RESOLUTION = 2.0**32
"""Ticks of all stations together where times have no common unit; they are rounded down to ticks."""

SCOPE = Scope(
    engine="down-sets",
    claims="the line of chips, each with the times of its nodes alone, has no placement below a period",
    covers=ABSORBED
    | named(
        "CHAIN RING ROUTES CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING TRIANGLE "
        "LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED FREE_TRANSFERS "
        "SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses={**PERIOD_ALONE},
)
"""The line keeps the order of the chips along ``Instance.edges``. It keeps the time of every node on the kind of its
chip, and the kinds that cannot run it. It ignores transfers, links, memory, replicas, relays and the rules about the
chip graph: all of these only add to loads, or exclude placements."""


def applies(instance: Instance) -> bool:
    """Whether what is impossible for the line is impossible for the instance, and the line not too long."""
    return SCOPE.admits(instance.features) and instance.nodes <= NODES_LIMIT


def free_transfers(instance: Instance) -> bool:
    """Whether no transfer takes any time, so that the line is the whole problem but for its rules."""
    paid = instance.hardware.transfers_charged.any() or instance.hardware.links > 0
    return not (paid and instance.tau.any())


RULES = named(
    "NO_SKIPPING TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY CUTS ANY_ORDER FREE_EDGES STREAMING STREAMING_IN_TURN"
)
"""What the line has not, and a placement may need heed of where transfers are free."""


def share_of_time(instance: Instance) -> float:
    """What the search for a line gets of the time, where transfers are free."""
    return budget.DOWN_SETS if RULES & instance.features else budget.WHOLE_LINE


def fill_stations(instance: Instance, incumbent: Incumbent, stop: Stop) -> None:
    """Look for the least period among down-sets, where transfers are free; prove what is impossible."""

    def found(station: IntArray, kind: IntArray) -> None:
        incumbent.offer(instance.lift(station, [], []))

    def proved(period: float) -> None:
        incumbent.prove(period / instance.unit, exact=True)

    line = Line(instance.hardware.kind_array(), free=False)
    search = line_search(instance, line, incumbent.grid, incumbent.best, found, proved, stop)
    search.run(stop.limited(share_of_time(instance) * stop.remaining), lambda: incumbent.closed)


def line_search(
    instance: Instance,
    line: Line,
    grid: Grid | None,
    best: float,
    found: Callable[[IntArray, IntArray], None],
    proved: Callable[[float], None],
    stop: Stop,
) -> LineSearch:
    """The search for the least period of a line of chips, which it has not begun.

    Parameters
    ----------
    best : the least period known, in the hardware's time unit; infinite if there is none.
    found : told of the stations of the nodes and the kinds of the stations, see :class:`LineSearch`.
    proved : told of bounds, in the hardware's time unit; infinity if some node can run nowhere.
    """
    stop.charge(budget.CLOSURE * instance.nodes**3)
    tasks, tick = tasks_of(instance, grid)
    low = max(-(-int(np.minimum(tasks.least, NEVER >> 20).sum()) // line.stations), int(tasks.least.max()))
    most = int(np.where(tasks.ticks < NEVER, tasks.ticks, 0).max(axis=0).sum()) + 1  # all of it on one chip
    if low >= NEVER:
        proved(math.inf)
        low = most
    else:
        proved(low * tick)
    search = LineSearch(
        tasks, line, low, most, found, lambda load: proved(load * tick if load < most else math.inf), tick=tick
    )
    search.cap(best)
    return search


def tasks_of(instance: Instance, grid: Grid | None) -> tuple[Tasks, float]:
    """The nodes as tasks, and the length of a tick in the hardware's time unit; exact where there is a grid.

    Without one, times are rounded down, so that what is impossible for the tasks is impossible for the nodes.
    """
    before = closure(instance.nodes, instance.edges)
    present = instance.problem.present
    ticks = np.full(instance.time.shape, NEVER)
    able = instance.supported[present]
    if grid is not None:
        whole = np.stack([sums(instance.node_of, np.maximum(row, 0), instance.nodes) for row in grid.times])
        if whole.sum(axis=1).max() < RESOLUTION:
            ticks[present] = np.where(able, whole.astype(np.int64), NEVER)
            return Tasks(ticks, before), float(grid.unit)
    per_unit = RESOLUTION / (
        2 * instance.chips * max(1.0, float(np.where(np.isfinite(instance.fastest), instance.fastest, 0.0).max()))
    )
    down = np.minimum(instance.time[present] * per_unit * (1 - TICK), RESOLUTION)
    ticks[present] = np.where(able, down.astype(np.int64), NEVER)
    return Tasks(ticks, before), instance.unit / per_unit


def _applies(run: Run) -> bool:
    return applies(run.instance) and free_transfers(run.instance)


def _work(run: Run) -> None:
    fill_stations(run.instance, run.incumbent, run.stop)


DOWN_SETS = Phase(Doing.DOWN_SETS, _applies, _work)
