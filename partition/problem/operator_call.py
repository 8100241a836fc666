"""One use of an operator, as the formulas of its cost see it: shapes and number types, never data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TensorSpec:
    """Shape and number type of a tensor.

    Attributes
    ----------
    shape : extent of each dimension; ``()`` for a scalar.
    itemsize : bytes of one element; below 1 for packed types (int4: 0.5).
    """

    shape: tuple[int, ...]
    itemsize: float

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> float:
        """Bytes in memory; packed types fill their last byte."""
        return float(math.ceil(self.size * self.itemsize))


@dataclass(frozen=True)
class Call:
    """One use of an operator, as the formulas see it; see :func:`~partition.problem.operators.operator_cost`."""

    inputs: tuple[TensorSpec | None, ...]
    outputs: tuple[TensorSpec | None, ...]
    attributes: Mapping[str, Any]

    def has(self, i: int) -> bool:
        """Whether input ``i`` is given."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def input(self, i: int = 0) -> TensorSpec:
        """Input ``i``; LookupError where it is absent."""
        spec = self.inputs[i]
        if spec is None:
            raise LookupError(i)
        return spec

    def output(self, i: int = 0) -> TensorSpec:
        """Output ``i``; LookupError where it is not wanted."""
        spec = self.outputs[i]
        if spec is None:
            raise LookupError(i)
        return spec

    @property
    def read(self) -> float:
        """Bytes of all inputs."""
        return sum(t.bytes for t in self.inputs if t)

    @property
    def written(self) -> float:
        """Bytes of all outputs."""
        return sum(t.bytes for t in self.outputs if t)

    def text(self, name: str, default: str) -> str:
        """An attribute as text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)


Formula = Callable[[Call], float]
"""FLOPs, or bytes of traffic, of one use."""
