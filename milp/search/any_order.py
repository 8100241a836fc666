"""Down-sets for chips whose kinds may stand in any order: one search that bounds all of them and finds good ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from milp.search.downsets.engine import LineSearch
from milp.search.downsets.line import Line
from milp.search.downsets.phase import applies, line_search
from milp.state.incumbent import Incumbent
from partition.arrays import IntArray
from partition.stopping import Stop


def any_order(
    first: Incumbent,
    of_kinds: Callable[[tuple[int, ...]], Incumbent | None],
    proved: Callable[[float], None],
    stop: Stop,
) -> LineSearch | None:
    """The search over down-sets and the kinds opened so far; None where it does not apply.

    What it finds is offered to the order of kinds that it has. Transfers and the rules about chips are left out. So its
    bound holds for every order, and its placements are offered for what they are worth.

    Parameters
    ----------
    first : of any order.
    of_kinds : the incumbent of an order of the kinds.
    proved : told of bounds for every order, in the hardware's time unit.
    """
    instance = first.instance
    if not (applies(instance) and Line.countable(instance.hardware.kind_array())):
        return None

    def found(station: IntArray, kind: IntArray) -> None:
        used = np.unique(station)  # chips without nodes go to the end
        left = instance.hardware.kind_array()
        for k in kind[used].tolist():
            left = np.delete(left, int(np.argmax(left == k)))
        order = (*kind[used].tolist(), *left.tolist())
        incumbent = of_kinds(order)
        if incumbent is not None:
            incumbent.offer(incumbent.instance.lift(np.searchsorted(used, station), [], []))

    line = Line(instance.hardware.kind_array(), free=True)
    return line_search(instance, line, first.grid, first.best, found, proved, stop)
