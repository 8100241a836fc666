"""What If, Loop, Scan and their like cost, read and yield: all nodes of the body, times the iterations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, helper

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost
from partition.readers.onnx.trips import followed_trips
from partition.readers.onnx.types import Shaped, common, extents_of, sliced, stacked, static_spec
from partition.readers.onnx.walk import subgraphs

if TYPE_CHECKING:
    from partition.readers.onnx.nodes import NodeReader

MOST_TRIPS = 2**16
"""Trip count above which a loop that its condition can end is taken to have none: its body counts once."""


@dataclass
class Run:
    """One run of a node with bodies.

    Attributes
    ----------
    cost : of all iterations; of If the dearer branch. captured : tensors of the outer graph the bodies read.
    weights : weight -> bytes, of all bodies. results : the node's outputs in order.
    guessed : whether the cost follows from a guess.
    """

    cost: OperatorCost
    guessed: bool
    captured: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    results: list[Shaped] = field(default_factory=list)


def run(outer: NodeReader, node: NodeProto, name: str) -> Run:
    """Read the bodies of ``node``, which the reader of its graph calls ``name``."""
    match node.op_type:
        case "If":
            return _If(outer, node, name).run()
        case "Loop":
            return _Loop(outer, node, name).run()
        case "Scan":
            return _Scan(outer, node, name).run()
    return replace(_Control(outer, node, name).run(), results=[])


class _Control:
    """A node of any kind: its bodies run once, and nobody knows what it yields."""

    known = False

    def __init__(self, outer: NodeReader, node: NodeProto, name: str) -> None:
        self.outer, self.node, self.bodies = outer, node, subgraphs(node)
        self.attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute if not a.HasField("g")}
        self.captured: list[str] = []
        self.weights: dict[str, float] = {}
        self.costs: list[OperatorCost] = []
        self.guessed = False
        self.readers: list[NodeReader] = []
        for i, body in enumerate(self.bodies):
            reader = outer.inner(body, self.inputs(body), f"{name}/{i}/" if len(self.bodies) > 1 else f"{name}/")
            self.readers.append(reader)
            self.prepare(reader, body)
            self.costs.append(self._read(reader, body))

    def inputs(self, body: GraphProto) -> dict[str, Shaped]:
        """What the body's inputs take from outside."""
        return {}

    def prepare(self, reader: NodeReader, body: GraphProto) -> None:
        """Tell the body what else is known."""

    def _read(self, reader: NodeReader, body: GraphProto) -> OperatorCost:
        local = {value.name for value in body.input} | {tensor for n in body.node for tensor in n.output}
        flops, traffic, known = 0.0, 0.0, True
        for operation in reader.operations():
            flops += operation.cost.flops
            traffic += operation.cost.bytes_accessed
            known &= operation.cost.known
            self.guessed |= operation.guessed
            self.weights.update(operation.weights)
            self.captured += [tensor for tensor in operation.inputs if tensor not in local]
        # A body may hand an outer tensor, or a constant, on without any node that reads it.
        handed = [value.name for value in body.output if value.name not in local]
        self.captured += [tensor for tensor in handed if tensor not in reader.constants]
        self.weights.update(reader.constants.weights(value.name for value in body.output))
        return OperatorCost(flops, traffic, known)

    def outputs(self, i: int) -> list[Shaped]:
        """What body ``i`` yields."""
        return [self.readers[i].scope.shaped(value.name) for value in self.bodies[i].output]

    def cost(self) -> OperatorCost:
        """Of one run."""
        dearest = max(self.costs, key=lambda cost: (cost.flops, cost.bytes_accessed))
        return replace(dearest, known=self.known and all(cost.known for cost in self.costs))

    def results(self) -> list[Shaped]:
        """The outputs of the node."""
        return []

    def run(self) -> Run:
        return Run(self.cost(), self.guessed, self.captured, self.weights, self.results())


class _If(_Control):
    """The branch that is taken where the condition is known; otherwise extents in which branches differ are open."""

    known = True

    def results(self) -> list[Shaped]:
        taken = self._taken()
        if taken is not None:
            return self.outputs(taken)
        branches = [self.outputs(i) for i in range(len(self.bodies))]
        return [
            Shaped(common([found.type for found in options]), _largest([found.spec for found in options]))
            for options in zip(*branches, strict=False)
        ]

    def _taken(self) -> int | None:
        condition = self.outer.scope.certain_value(self.node.input[0]) if self.node.input else None
        if condition is None or condition.size != 1:
            return None
        branch = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        names = [a.name for a in self.node.attribute if a.type == AttributeProto.GRAPH]
        return names.index(branch) if branch in names else None


class _Repeated(_Control):
    """A body that runs several times; states pass from one iteration to the next."""

    known = True
    states = 0
    trips = 1
    open_trips = False
    """Whether the number of iterations can vary."""

    def cost(self) -> OperatorCost:
        once = super().cost()
        known = once.known and not self.open_trips and not self._growing()
        return OperatorCost(once.flops * self.trips, once.bytes_accessed * self.trips, known)

    def _growing(self) -> list[bool]:
        """Of each state whether its shape changes; empty if none does."""
        changes = [a.type != b.type and extents_of(a.type) != extents_of(b.type) for a, b in self._carried()]
        return changes if any(changes) else []

    def _carried(self) -> list[tuple[Shaped, Shaped]]:
        """Each state before and after an iteration."""
        raise NotImplementedError

    def carried(self) -> list[Shaped]:
        """The states after the last iteration."""
        return [
            Shaped(common([a.type, b.type]), _largest([a.spec, b.spec])) if self._growing() else b
            for a, b in self._carried()
        ]

    def piled(self, found: Shaped, axis: int = 0) -> Shaped:
        """What every iteration yields, along a new axis."""
        kind = stacked(found.type, None if self.open_trips else self.trips, axis)
        if found.spec is None:
            return Shaped(kind, None)
        place = axis if axis >= 0 else axis + len(found.spec.shape) + 1
        shape = (*found.spec.shape[:place], self.trips, *found.spec.shape[place:])
        return Shaped(kind, TensorSpec(shape, found.spec.itemsize))


class _Loop(_Repeated):
    """As often as the trip count says where it is known and nothing can end the loop before."""

    def inputs(self, body: GraphProto) -> dict[str, Shaped]:
        formal = [value.name for value in body.input]
        return {
            name: self.outer.scope.shaped(given) for name, given in zip(formal[2:], self.node.input[2:], strict=False)
        }

    def prepare(self, reader: NodeReader, body: GraphProto) -> None:
        """The condition is true when an iteration begins, if it is from the start and the body lets it be."""
        begun = self._condition()
        if len(body.input) > 1 and begun is not None:
            reader.scope.add_value(body.input[1].name, np.array(begun))

    def _followed(self) -> int | None:
        """The iterations of a loop without a trip count, found by following its condition."""
        scope = self.outer.scope
        return followed_trips(self.node, self.bodies[0], scope.certain_value, scope.opsets, scope.ir_version)

    def _condition(self) -> bool | None:
        if len(self.node.input) < 2 or not self.node.input[1]:
            return True
        value = self.outer.scope.certain_value(self.node.input[1])
        return None if value is None or value.size != 1 else bool(value.reshape(-1)[0])

    def run(self) -> Run:
        scope, body = self.readers[0].scope, self.bodies[0]
        count = self.outer.scope.certain_value(self.node.input[0]) if self.node.input and self.node.input[0] else None
        lasting = scope.certain_value(body.output[0].name) if body.output else None
        endless = bool(self._condition() and lasting is not None and lasting.size == 1 and lasting.reshape(-1)[0])
        if self._condition() is False:
            self.trips = 0
        elif count is None or count.size != 1:
            followed = None if self.node.input and self.node.input[0] else self._followed()
            self.trips, self.open_trips = (1, True) if followed is None else (followed, False)
        else:
            self.trips = max(0, int(count.reshape(-1)[0]))
            self.open_trips = not endless
            if self.trips > (2**31 - 2 if endless else MOST_TRIPS):
                self.trips, self.open_trips = 1, True
        return super().run()

    def _carried(self) -> list[tuple[Shaped, Shaped]]:
        before = [self.outer.scope.shaped(name) for name in self.node.input[2:]]
        return list(zip(before, self.outputs(0)[1:], strict=False))

    def results(self) -> list[Shaped]:
        states = len(self.node.input[2:])
        before = [self.outer.scope.shaped(name) for name in self.node.input[2:]]
        last = self.carried() if self.trips else before
        return [*last, *(self.piled(found) for found in self.outputs(0)[1 + states :])]


class _Scan(_Repeated):
    """As often as the scanned inputs are long."""

    def __init__(self, outer: NodeReader, node: NodeProto, name: str) -> None:
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute if not a.HasField("g")}
        self.scanned = int(given.get("num_scan_inputs", 0))
        self.states = len(node.input) - self.scanned
        self.axes = list(given.get("scan_input_axes", [0] * self.scanned))
        schema = outer.scope.schema(node)
        self.known = schema is not None and schema.since_version > 8  # before, there was a batch in front of the steps
        super().__init__(outer, node, name)

    def inputs(self, body: GraphProto) -> dict[str, Shaped]:
        scope, formal = self.outer.scope, [value.name for value in body.input]
        given = {
            name: scope.shaped(actual) for name, actual in zip(formal, self.node.input[: self.states], strict=False)
        }
        for name, actual, axis in zip(formal[self.states :], self.node.input[self.states :], self.axes, strict=False):
            whole = scope.shaped(actual)
            part = sliced(whole.type, axis)
            spec = static_spec(part) if part is not None else None
            if spec is None and whole.spec is not None and -len(whole.spec.shape) <= axis < len(whole.spec.shape):
                shape = list(whole.spec.shape)
                del shape[axis]
                spec = TensorSpec(tuple(shape), whole.spec.itemsize)
            given[name] = Shaped(part, spec)
        return given

    def run(self) -> Run:
        self.trips, self.open_trips = 1, True
        for actual, axis in zip(self.node.input[self.states :], self.axes, strict=False):
            whole = self.outer.scope.shaped(actual)
            if whole.spec is not None and -len(whole.spec.shape) <= axis < len(whole.spec.shape):
                self.trips = whole.spec.shape[axis]
                extents = extents_of(whole.type)
                self.open_trips = extents is None or extents[axis] is None
                break
        return super().run()

    def _carried(self) -> list[tuple[Shaped, Shaped]]:
        before = [self.outer.scope.shaped(name) for name in self.node.input[: self.states]]
        return list(zip(before, self.outputs(0), strict=False))

    def results(self) -> list[Shaped]:
        found = self.outputs(0)[self.states :]
        axes = list(self.attributes.get("scan_output_axes", [0] * len(found)))
        return [*self.carried(), *(self.piled(part, axis) for part, axis in zip(found, axes, strict=False))]


def _largest(specs: list[TensorSpec | None]) -> TensorSpec | None:
    """Of the shapes of one tensor the one with most bytes; None if one is not known."""
    known = [spec for spec in specs if spec is not None]
    return max(known, key=lambda spec: spec.bytes) if len(known) == len(specs) else None
