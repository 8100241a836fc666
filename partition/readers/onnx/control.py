"""What If, Loop, Scan and their like cost, read and yield: all nodes of the body, times the iterations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from onnx import AttributeProto, GraphProto, NodeProto, helper

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost
from partition.readers.onnx.types import Shaped, common
from partition.readers.onnx.walk import subgraphs

if TYPE_CHECKING:
    from partition.readers.onnx.nodes import NodeReader


@dataclass
class BodyRun:
    """One run of a node with bodies.

    Attributes
    ----------
    cost : of all iterations; of If the branch that is taken, or the dearer one.
    guessed : whether the cost follows from a guess.
    captured : tensors of the outer graph that the bodies read.
    weights : weight -> bytes, of all bodies.
    results : the node's outputs in order.
    """

    cost: OperatorCost
    guessed: bool
    captured: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    results: list[Shaped] = field(default_factory=list)


@dataclass(frozen=True)
class Passage:
    """A body read once.

    Attributes
    ----------
    reader : knows what the body yields.
    cost : of its nodes together.
    guessed : whether that is guessed.
    doubts : tensors of it whose declared shapes are not believed.
    """

    reader: NodeReader
    cost: OperatorCost
    guessed: bool
    doubts: frozenset[str]

    @property
    def results(self) -> list[Shaped]:
        """What the body yields."""
        return [self.reader.scope.shaped(value.name) for value in self.reader.graph.output]


class Control:
    """A node of any kind: its bodies run once, and nobody knows what it yields.

    Attributes
    ----------
    passages : one for each body.
    """

    known = False

    def __init__(self, outer: NodeReader, node: NodeProto, name: str) -> None:
        self.outer, self.node, self.name, self.bodies = outer, node, name, subgraphs(node)
        self.attributes: dict[str, Any] = {
            a.name: helper.get_attribute_value(a) for a in node.attribute if not a.HasField("g")
        }
        self.captured: list[str] = []
        self.weights: dict[str, float] = {}
        self.passages = [self.read(body, self.inputs(body), i, keep=True) for i, body in enumerate(self.bodies)]

    def inputs(self, body: GraphProto) -> dict[str, Shaped]:
        """What the body's inputs take from outside, as it is in every iteration."""
        return {}

    def read(self, body: GraphProto, inputs: Mapping[str, Shaped], i: int = 0, *, keep: bool = False) -> Passage:
        """Read body ``i`` with these inputs; ``keep``: note the weights and the outer tensors that it reads."""
        prefix = f"{self.name}/{i}/" if len(self.bodies) > 1 else f"{self.name}/"
        reader = self.outer.inner(body, inputs, prefix)
        local = {value.name for value in body.input} | {tensor for n in body.node for tensor in n.output}
        flops, traffic, known, guessed = 0.0, 0.0, True, False
        doubted = set(self.outer.scope.contradictions)
        for operation in reader.operations():
            flops += operation.cost.flops
            traffic += operation.cost.bytes_accessed
            known &= operation.cost.known
            guessed |= operation.guessed
            if keep:
                self.weights.update(operation.weights)
                self.captured += [tensor for tensor in operation.inputs if tensor not in local]
        if keep:  # a body may hand an outer tensor, or a constant, on without any node that reads it
            handed = [value.name for value in body.output if value.name not in local]
            self.captured += [tensor for tensor in handed if tensor not in reader.constants]
            self.weights.update(reader.constants.weights(value.name for value in body.output))
        doubts = frozenset(self.outer.scope.contradictions.keys() - doubted)
        return Passage(reader, OperatorCost(flops, traffic, known), guessed, doubts)

    def run(self) -> BodyRun:
        """The node as a whole."""
        self.outer.scope.iterations.choices += 1
        cost = dearest([passage.cost for passage in self.passages])
        return self.told(replace(cost, known=False), any(p.guessed for p in self.passages), [])

    def pass_on(self, impossible: str) -> None:
        """What keeps a body from running keeps the graph from it, if nothing else does."""
        scope = self.outer.scope
        scope.impossible = scope.impossible or impossible

    def told(self, cost: OperatorCost, guessed: bool, results: list[Shaped]) -> BodyRun:
        """A run with what the bodies read."""
        return BodyRun(cost, guessed, self.captured, self.weights, results)


class If(Control):
    """The branch that is taken where the condition is known, or where no other can run with these shapes.

    Otherwise the dearer branch; extents in which the branches differ are open.
    """

    def run(self) -> BodyRun:
        taken = self._taken()
        if taken is not None:
            self.pass_on(taken.reader.scope.impossible)
            return self.told(taken.cost, taken.guessed, taken.results)
        if all(passage.reader.scope.impossible for passage in self.passages):
            self.pass_on(next((p.reader.scope.impossible for p in self.passages), ""))
        self.outer.scope.iterations.choices += 1
        cost = dearest([passage.cost for passage in self.passages])
        options = zip(*(passage.results for passage in self.passages), strict=False)
        results = [one_of(found) for found in options]
        return self.told(cost, any(passage.guessed for passage in self.passages), results)

    def _taken(self) -> Passage | None:
        names = [a.name for a in self.node.attribute if a.type == AttributeProto.GRAPH]
        condition = self.outer.scope.certain_value(self.node.input[0]) if self.node.input else None
        if condition is not None and condition.size == 1:
            branch = "then_branch" if condition.reshape(-1)[0] else "else_branch"
            return self.passages[names.index(branch)] if branch in names else None
        possible = [passage for passage in self.passages if not passage.reader.scope.impossible]
        if len(possible) != 1 or len(self.passages) != 2:
            return None
        for name, passage in zip(names, self.passages, strict=True):
            if passage.reader.scope.impossible:
                self.outer.scope.left_out[f"{name} of {self.name!r}"] = passage.reader.scope.impossible
                for tensor in passage.doubts:
                    self.outer.scope.contradictions.pop(tensor, None)
        return possible[0]


def dearest(costs: Sequence[OperatorCost]) -> OperatorCost:
    """The cost of the dearer branch; known if all are."""
    found = max(costs, key=lambda cost: (cost.flops, cost.bytes_accessed))
    return replace(found, known=all(cost.known for cost in costs))


def one_of(found: Sequence[Shaped]) -> Shaped:
    """What may be any of these: extents in which they differ are open, and the largest stands for the costs."""
    return Shaped(common([each.type for each in found]), _largest([each.spec for each in found]))


def _largest(specs: Sequence[TensorSpec | None]) -> TensorSpec | None:
    """Of the shapes of one tensor the one with most bytes; None if one is not known."""
    known = [spec for spec in specs if spec is not None]
    return max(known, key=lambda spec: spec.bytes) if len(known) == len(specs) else None
