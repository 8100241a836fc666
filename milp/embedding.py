"""The formulation inside a user's own Pyomo model: a block, and the expressions to tie it to everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from milp.formulation.build import build
from milp.formulation.choices import Choices
from milp.formulation.linear import ImpossibleRow
from milp.formulation.pyomo_import import pyo
from milp.formulation.pyomo_view import pyomo_view
from milp.windows.windows import WindowRules, Windows
from partition.errors import InvalidInput
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement


@dataclass(frozen=True, eq=False)
class PartitionBlock:
    """One partitioning problem as a Pyomo block with every rule written out.

    Attributes
    ----------
    block : to be attached to a model (``model.chips = embedded.block``). Its objective is inactive: the user's counts.
    unit : what 1.0 of the block's times stands for, in the hardware's time unit.

    Examples
    --------
    ``examples/pyomo_block.py`` prices the chips that are used.
    """

    block: pyo.Block
    unit: float
    instance: Instance
    windows: Windows

    @property
    def period(self) -> Any:
        """The period in units of ``unit``, an expression."""
        return self.block.T

    def on_chip(self, operation: str, chip: int) -> Any:
        """1 if the operation's home is that chip, as a linear expression (a number where the windows leave no choice).

        Raises
        ------
        InvalidInput : no such operation or chip.
        """
        graph = self.instance.graph
        if operation not in graph.index or not 0 <= chip < self.instance.chips:
            raise InvalidInput(f"there is no operation {operation!r} or no chip {chip}")
        node = int(self.instance.node_of[graph.index[operation]])
        return self._home_up_to(node, chip) - self._home_up_to(node, chip - 1)

    def _home_up_to(self, node: int, chip: int) -> Any:
        """1 if the node's home is on ``0..chip``: a variable inside its window, a number outside."""
        if self.windows.lo[node] <= chip < self.windows.hi[node]:
            return self.block.y[node, chip]
        return int(chip >= self.windows.hi[node])

    def placement(self) -> Placement:
        """What the solved block says, replicas and relays included.

        Raises
        ------
        InvalidInput : the block holds no values yet.
        """
        chip = self.windows.lo.copy()
        m = self.block
        if all(variable.value is None for variable in (m.T, *m.y.values())):
            raise InvalidInput("the block holds no values; solve the model first")
        for (v, _), variable in m.y.items():
            chip[v] += round(variable.value or 0) == 0  # no solver sets what stands in no row
        pairs = [[key for key, variable in family.items() if round(variable.value or 0)] for family in (m.p, m.R)]
        return self.instance.lift(chip, *pairs)


def partition_block(graph: Graph, hw: Hardware, *, longest: float | None = None) -> PartitionBlock:
    """The problem of ``partition(graph, hw)`` as a block.

    Parameters
    ----------
    longest : period (the hardware's time unit) that no solution of interest exceeds. The smaller, the smaller the
        model: ``1.05 * partition(graph, hw).period``, say, for an extra wish that may cost 5%.

    Raises
    ------
    InvalidInput : no placement has such a period, none is valid at all, or the kinds of the chips have no order yet.
    """
    if hw.kind_order == "free" and not hw.identical_chips:
        raise InvalidInput(
            f"a model has the kinds of the chips in one order, and that of {hw.name!r} is free; "
            'set kind_order = "fixed", with the chips in the order that you want'
        )
    instance = contract(graph, hw)
    windows = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, instance.chips - 1))
    upper = None
    if longest is not None:
        upper = longest / instance.unit
        windows = WindowRules(instance).windows(upper)
        if windows.empty:
            raise _nothing_fits(longest)
    try:
        block = pyomo_view(build(instance, windows, choices=Choices.complete(instance), upper=upper)).block
    except ImpossibleRow:
        raise _nothing_fits(longest) from None
    block.goal.deactivate()
    return PartitionBlock(block, instance.unit, instance, windows)


def _nothing_fits(longest: float | None) -> InvalidInput:
    """What to say where the model has no solution."""
    if longest is None:
        return InvalidInput("no placement keeps all rules, so there is no model; give chips more SRAM")
    return InvalidInput(f"no placement has a period of {longest:g} or less; give a larger one")
