"""What is computed once: operations on constants alone, whose results are weights of whoever reads them.

A reader that meets operations in order asks a :class:`Constants` as it goes. One that has filled a
:class:`~partition.problem.builder.GraphBuilder` calls :func:`fold_constants` on it before ``build``.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from partition.problem.builder import GraphBuilder, _Row


@dataclass(frozen=True)
class Constant:
    """A tensor that is the same for every input.

    Attributes
    ----------
    weight : name of the weight that a reader of it holds.
    bytes : of that weight.
    root : the stated weight that it comes from, the largest where there are several; itself if it is stated.
    least : bytes that must be held for its sake in any case: of itself, or of what it is computed from.
    """

    weight: str
    bytes: float
    root: str
    least: float


def stated(weight: str, size: float) -> Constant:
    """A weight of ``size`` bytes that is given: a parameter, an initializer, a literal."""
    return Constant(weight, size, weight, size)


class Constants:
    """The constants seen so far, by the name of their tensor.

    Parameters
    ----------
    outer : those of the surrounding graph, which a body may read.
    prefix : put before the names of weights, behind that of ``outer``, so that bodies may reuse names.
    """

    def __init__(self, outer: Constants | None = None, prefix: str = "") -> None:
        self._known: ChainMap[str, Constant | None] = outer._known.new_child() if outer else ChainMap()
        self.prefix: str = (outer.prefix if outer else "") + prefix
        self.computed: dict[str, Constant] = outer.computed if outer else {}
        """Weight -> how it came about, of those that are computed, here and in bodies."""

    def __contains__(self, tensor: str) -> bool:
        return self._known.get(tensor) is not None

    def __getitem__(self, tensor: str) -> Constant:
        constant = self._known[tensor]
        if constant is None:
            raise KeyError(tensor)
        return constant

    def vary(self, tensors: Iterable[str]) -> None:
        """Tensors that are no constants, whatever the surrounding graph calls by these names."""
        self._known.update(dict.fromkeys(tensors))

    def state(self, tensor: str, size: float) -> None:
        """A tensor that is given, of ``size`` bytes."""
        self._known[tensor] = stated(self.prefix + tensor, size)

    def alias(self, tensor: str, of: str) -> None:
        """A tensor that is another one under a new shape: the same weight."""
        self._known[tensor] = self._known[of]

    def compute(self, tensor: str, size: float, sources: Iterable[Constant]) -> None:
        """A tensor of ``size`` bytes that is computed from constants alone."""
        name = self.prefix + tensor
        source = max(sources, key=lambda constant: constant.least, default=Constant(name, size, name, 0.0))
        found = Constant(name, size, source.root, min(size, source.least))
        self._known[tensor] = self.computed[name] = found

    def weights(self, tensors: Iterable[str]) -> dict[str, float]:
        """Weight -> bytes, of those of the tensors that are constants."""
        held = (self._known.get(tensor) for tensor in tensors)
        return {constant.weight: constant.bytes for constant in held if constant is not None}


def fold_constants(builder: GraphBuilder, varying: Collection[str] = ()) -> list[str]:
    """Take the operations that depend on constants alone out of the builder; their results become weights.

    They cost no input any time, and no link carries their result: whoever reads it holds it. Operations of kind
    ``Input``, backward ones and those with measured times or a group stay.

    Parameters
    ----------
    varying : names of operations that give another result every time: random numbers, state, effects.

    Returns
    -------
    Names of the operations taken out.
    """
    stay = {row.name for row in builder.rows if row.op_type == "Input" or row.backward or row.times}
    stay |= {row.name for row in builder.rows if row.group is not None} | set(varying)
    readers: dict[str, list[_Row]] = {}
    waits: dict[str, int] = {row.name: len(row.inputs) for row in builder.rows}
    for row in builder.rows:
        for tensor in row.inputs:
            readers.setdefault(tensor, []).append(row)
    weights = {weight for row in builder.rows for weight in row.weights}
    free = weights.isdisjoint(tensor for row in builder.rows for tensor in row.outputs)
    constants = Constants(prefix="" if free else "computed/")
    ready = [row for row in builder.rows if not row.inputs]
    gone: dict[str, None] = {}
    while ready:
        row = ready.pop()
        if row.name in stay:
            continue
        gone[row.name] = None
        sources = [stated(weight, size) for weight, size in row.weights.items()]
        sources += [constants[tensor] for tensor in row.inputs]
        for tensor, size in row.outputs.items():
            constants.compute(tensor, size, sources)
            for reader in readers.get(tensor, ()):
                waits[reader.name] -= 1
                ready += [reader] * (waits[reader.name] == 0)
    for row in builder.rows:
        row.weights.update(constants.weights(row.inputs))
        row.inputs = [tensor for tensor in row.inputs if tensor not in constants]
    builder.rows = [row for row in builder.rows if row.name not in gone]
    builder.computed.update(constants.computed)
    return list(gone)
