"""Pyomo, imported without the parts of SciPy that it imports in case somebody wants them.

Where SciPy is loaded, Pyomo (pyomo/common/dependencies.py) also imports ``scipy.stats``, ``scipy.integrate`` and
``scipy.spatial``, which takes longer than Pyomo itself and which nothing here uses. While it is imported, placeholders
stand in for them; whoever asks one for anything, in another thread say, gets the real module.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import scipy.sparse  # noqa: F401  (loaded before Pyomo, or Pyomo's hook would import the rest with it)

UNUSED = ("scipy.stats", "scipy.integrate", "scipy.spatial")


class _Placeholder(ModuleType):
    def __getattr__(self, attribute: str) -> object:
        self.withdraw()
        return getattr(importlib.import_module(self.__name__), attribute)

    def withdraw(self) -> None:
        """Leave the name to the real module."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


@contextmanager
def left_out(names: tuple[str, ...]) -> Iterator[None]:
    placeholders = [_Placeholder(name) for name in names if name not in sys.modules]
    sys.modules.update({each.__name__: each for each in placeholders})
    try:
        yield
    finally:
        for each in placeholders:
            each.withdraw()


with left_out(UNUSED):
    import pyomo.environ as pyo
    from pyomo.common.errors import InfeasibleConstraintException
    from pyomo.core.expr.numeric_expr import LinearExpression
    from pyomo.opt import ProblemFormat
    from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

__all__ = ["InfeasibleConstraintException", "LinearExpression", "LinearStandardFormCompiler", "ProblemFormat", "pyo"]
