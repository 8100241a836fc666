"""A node of an ONNX model with the shapes of what it reads and makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto

from partition.readers.cut_axes import CutOperand, required
from partition.readers.onnx.shapes import GraphScope


@dataclass(frozen=True, eq=False)
class NodeOperands:
    """A node with the shapes of what it reads and makes.

    Attributes
    ----------
    inputs, outputs : by position, None where absent.
    attributes : by name.
    """

    node: NodeProto
    scope: GraphScope
    inputs: list[CutOperand | None]
    outputs: list[CutOperand | None]
    attributes: Mapping[str, Any]

    def read(self, i: int) -> CutOperand | None:
        """Input ``i``, or None."""
        return self.inputs[i] if i < len(self.inputs) else None

    def needed(self, i: int) -> CutOperand:
        """Input ``i``; LookupError where it is absent."""
        return required(self.inputs, i)

    @property
    def given(self) -> list[CutOperand]:
        """The inputs that there are."""
        return [operand for operand in self.inputs if operand is not None]

    @property
    def made(self) -> CutOperand:
        """The first result."""
        return required(self.outputs, 0)

    @property
    def results(self) -> list[CutOperand]:
        """The results that are wanted."""
        return [operand for operand in self.outputs if operand is not None]

    def get(self, name: str, default: Any) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def text(self, name: str, default: str) -> str:
        """An attribute as text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def value(self, i: int) -> list[int] | None:
        """Input ``i`` as whole numbers, if it is known."""
        if i >= len(self.node.input) or not self.node.input[i]:
            return None
        found = self.scope.certain_value(self.node.input[i])
        return None if found is None else [int(x) for x in found.reshape(-1).tolist()]

    def axes(self, i: int) -> list[int] | None:
        """Axes that are an attribute or, in later opsets, input ``i``; None where they are not known or not given."""
        found = self.attributes.get("axes")
        return list(found) if found is not None else self.value(i)
