"""The formulation inside a user's own Pyomo model: a block, and the expressions to tie it to everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from milp.formulation.build import Choices, Goal, ImpossibleRow, ModelBuilder
from milp.formulation.pyomo_import import pyo
from milp.windows.windows import WindowRules, Windows
from partition.errors import InvalidInput
from partition.instance.instance import Instance, contract
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
    _builder: ModelBuilder

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
        return self._builder.x(int(self.instance.node_of[graph.index[operation]]), chip)

    def placement(self) -> Placement:
        """What the solved block says, replicas and relays included.

        Raises
        ------
        InvalidInput : the block holds no values yet.
        """
        chip = self.windows.lo.copy()
        m = self.block
        if any(variable.value is None for variable in m.y.values()):
            raise InvalidInput("the block holds no values; solve the model first")
        for (v, _), variable in m.y.items():
            chip[v] += round(variable.value) == 0
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
    InvalidInput : no placement has such a period.
    """
    instance = contract(graph, hw)
    windows = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, instance.chips - 1))
    upper = None
    if longest is not None:
        upper = longest / instance.unit
        windows = WindowRules(instance).windows(upper)
        if windows.empty:
            raise InvalidInput(f"no placement has a period of {longest:g} or less; give a larger one")
    goal: Goal = "period"
    try:
        builder = ModelBuilder(instance, windows, Choices.complete(instance), 0.0, upper, None, goal, {}, ())
    except ImpossibleRow:
        raise InvalidInput(f"no placement has a period of {longest:g} or less; give a larger one") from None
    builder.model.goal.deactivate()
    return PartitionBlock(builder.model, instance.unit, instance, windows, builder)
