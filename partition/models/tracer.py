"""Writing an architecture down operation by operation: symbolic tensors over a ``GraphBuilder``.

An architecture calls :meth:`Tracer.op` as it would call the operators themselves; sizes and costs follow from the
shapes. Names follow the scopes that are open, as an exporter names the nodes of nested modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.problem.operator_call import TensorSpec
from partition.problem.operators import operator_cost

ITEMSIZE = {"bfloat16": 2, "float16": 2, "float32": 4, "int8": 1}
"""Bytes of one element, by the names of number types that models accept."""

FLOAT32 = 4
"""Bytes of one element where the number type is fixed to float32."""

INT64 = 8
"""Bytes of one element of ids and shapes."""

BOOL = 1
"""Bytes of one truth value."""


@dataclass(frozen=True)
class Tensor:
    """What an operation produces. Shapes are in elements."""

    name: str
    spec: TensorSpec

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spec.shape


@dataclass(frozen=True)
class Weight:
    """What an operation holds in SRAM. One that several operations read is shared by them."""

    name: str
    spec: TensorSpec


Operand = Tensor | Weight | None


class Tracer:
    """Collects the operations of one model.

    Scalar constants (the 2 of a square, an epsilon) are immediates of their operation: they are neither operands nor
    weights.

    Parameters
    ----------
    name : name of the graph.
    itemsize : bytes of an element of weights and activations, unless said otherwise.
    """

    def __init__(self, name: str, itemsize: float) -> None:
        self.itemsize = itemsize
        self._builder = GraphBuilder(name)
        self._prefix = ""
        self._uses: dict[str, int] = {}

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Within it every name starts with ``name/``; scopes nest."""
        outer = self._prefix
        self._prefix = f"{outer}{name}/"
        yield
        self._prefix = outer

    def input(self, name: str, shape: Sequence[int], itemsize: float | None = None) -> Tensor:
        """A tensor that the host delivers."""
        spec = self._spec(shape, itemsize)
        self._builder.operation(name, "Input", outputs={name: spec.bytes}, bytes_accessed=0.0)
        self._builder.shapes[name] = spec.shape
        return Tensor(name, spec)

    def weight(self, name: str, shape: Sequence[int], itemsize: float | None = None) -> Weight:
        """A weight, named within the open scopes."""
        return Weight(self._prefix + name, self._spec(shape, itemsize))

    def op(
        self,
        op_type: str,
        operands: Sequence[Operand],
        shape: Sequence[int],
        *,
        itemsize: float | None = None,
        **attributes: object,
    ) -> Tensor:
        """Add an operation of one result.

        Parameters
        ----------
        op_type : ONNX's name of the operator.
        operands : in ONNX's order; None for an optional one that is absent.
        shape : of the result.
        itemsize : bytes of an element of the result, where it is of another type than the network's.
        attributes : ONNX's attributes, as far as the cost depends on them.
        """
        (result,) = self.ops(op_type, operands, [shape], itemsize=itemsize, **attributes)
        assert result is not None
        return result

    def ops(
        self,
        op_type: str,
        operands: Sequence[Operand],
        shapes: Sequence[Sequence[int] | None],
        *,
        itemsize: float | None = None,
        **attributes: object,
    ) -> tuple[Tensor | None, ...]:
        """Add an operation of several results, None for those that are not wanted; else as :meth:`op`."""
        name = self._unique(op_type)
        several = len(shapes) > 1
        results = tuple(
            None if shape is None else Tensor(f"{name}:{i}" if several else name, self._spec(shape, itemsize))
            for i, shape in enumerate(shapes)
        )
        cost = operator_cost(
            op_type,
            [operand.spec if operand else None for operand in operands],
            [result.spec if result else None for result in results],
            attributes,
        )
        self._builder.operation(
            name,
            op_type,
            inputs=[operand.name for operand in operands if isinstance(operand, Tensor)],
            outputs={result.name: result.spec.bytes for result in results if result},
            flops=cost.flops,
            bytes_accessed=cost.bytes_accessed,
            weights={operand.name: operand.spec.bytes for operand in operands if isinstance(operand, Weight)},
            unknown=not cost.known,
        )
        self._builder.shapes.update({result.name: result.spec.shape for result in results if result})
        return results

    def build(self) -> Graph:
        """The graph of everything added so far."""
        return self._builder.build()

    def _spec(self, shape: Sequence[int], itemsize: float | None) -> TensorSpec:
        return TensorSpec(tuple(shape), self.itemsize if itemsize is None else itemsize)

    def _unique(self, op_type: str) -> str:
        """``scope/Add``, then ``scope/Add_1``, ``scope/Add_2``, ..."""
        base = self._prefix + op_type
        count = self._uses.get(base, 0)
        self._uses[base] = count + 1
        return f"{base}_{count}" if count else base
