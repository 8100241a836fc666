"""Bodies that run several times: Loop, Scan and SequenceMap.

A body that is the same in every iteration is read once. Its shapes may depend on the number of the iteration, or on
what earlier ones made: slices at offsets, tensors that grow, a counter against an extent. Iterations are then read one
by one, each with the values that the one before it left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TypeProto, helper

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost
from partition.readers.onnx.control import BodyRun, Control, If, Passage, one_of
from partition.readers.onnx.sequences import Elements
from partition.readers.onnx.types import Shaped, common, extents_of, sliced, stacked, static_spec
from partition.readers.onnx.values import value_key
from partition.readers.onnx.walk import all_nodes, subgraphs

if TYPE_CHECKING:
    from partition.readers.onnx.nodes import NodeReader

MOST_TRIPS = 2**16
"""Trip count above which a loop that its condition can end is taken to have none: its body counts once."""

MOST_FOLLOWED = 2**12
"""Iterations of one loop that are read one by one."""

MOST_READ = 2**16
"""Nodes of a model that are read again in iterations of loops."""


def run(outer: NodeReader, node: NodeProto, name: str) -> BodyRun:
    """Read the bodies of ``node``, which the reader of its graph calls ``name``."""
    kinds = {"If": If, "Loop": _Loop, "Scan": _Scan, "SequenceMap": _SequenceMap}
    return kinds.get(node.op_type, Control)(outer, node, name).run()


@dataclass
class _Followed:
    """Iterations that were read one by one.

    Attributes
    ----------
    costs : of each.
    states : before the first, and after each.
    piled : what each yields to be stacked.
    certain : whether all of them run.
    ended : whether there is no further one.
    guessed : whether a cost rests on a guess.
    """

    costs: list[OperatorCost] = field(default_factory=list)
    states: list[list[Shaped]] = field(default_factory=list)
    piled: list[list[Shaped]] = field(default_factory=list)
    certain: bool = True
    ended: bool = False
    guessed: bool = False

    def add(self, passage: Passage, states: list[Shaped], piled: list[Shaped]) -> None:
        self.costs.append(passage.cost)
        self.states.append(states)
        self.piled.append(piled)
        self.guessed |= passage.guessed or not passage.cost.known


class _Repeated(Control):
    """A body that runs several times; states pass from one iteration to the next."""

    trips = 1
    open_trips = False
    """Whether the number of iterations can vary."""
    limit: int | None = None
    """Iterations after which the body does not run again; None if that is not known."""
    endable = False
    """Whether nothing but a condition ends the loop."""

    @property
    def once(self) -> Passage:
        """The body, read with what is the same in every iteration."""
        return self.passages[0]

    def before(self) -> list[Shaped]:
        """The states before the first iteration."""
        raise NotImplementedError

    def count(self) -> None:
        """Find out how often the body runs."""
        raise NotImplementedError

    def step(self, i: int, states: Sequence[Shaped]) -> tuple[Passage, list[Shaped], list[Shaped], bool | None]:
        """Iteration ``i``: the body, the states after it, what it yields to be stacked, and whether another follows."""
        raise NotImplementedError

    def begins(self) -> bool:
        """Whether the first iteration runs for certain, if the limit allows one."""
        return True

    def axes(self, count: int) -> list[int]:
        """The axis along which each result is stacked."""
        return [0] * count

    def run(self) -> BodyRun:
        self.count()
        passage = self.once
        if self.trips and not self.open_trips:
            self.pass_on(passage.reader.scope.impossible)
        chooses = any(inner.op_type == "If" for inner in all_nodes(self.bodies[0].node))
        varies = self.open_trips or passage.guessed or not passage.cost.known or any(self._growing())
        followed = self._follow(only_choices=not varies) if (varies or chooses) and self.trips else None
        if followed is not None:
            return self._run_followed(followed)
        cost = passage.cost
        known = cost.known and not self.open_trips and not any(self._growing())
        whole = OperatorCost(cost.flops * self.trips, cost.bytes_accessed * self.trips, known)
        return self.told(whole, passage.guessed, self._results())

    # --- the same in every iteration

    def after(self) -> tuple[list[Shaped], list[Shaped]]:
        """States after the body as it was read, and what it yields to be stacked."""
        raise NotImplementedError

    def _growing(self) -> list[bool]:
        """Of each state whether its shape changes."""
        pairs = zip(self.before(), self.after()[0], strict=False)
        return [a.type != b.type and extents_of(a.type) != extents_of(b.type) for a, b in pairs]

    def _results(self) -> list[Shaped]:
        states, piled = self.after()
        before = [without_values(found) for found in self.before()]
        if any(self._growing()):
            states = [one_of(pair) for pair in zip(before, states, strict=False)]
        states = [without_values(found) for found in states] if self.trips else self.before()
        return [*states, *(self._pile(p, axis) for p, axis in zip(piled, self.axes(len(piled)), strict=False))]

    def _pile(self, found: Shaped, axis: int) -> Shaped:
        """What every iteration yields, along a new axis."""
        kind = stacked(found.type, None if self.open_trips else self.trips, axis)
        if found.spec is None:
            return Shaped(kind, None)
        place = axis if axis >= 0 else axis + len(found.spec.shape) + 1
        shape = (*found.spec.shape[:place], self.trips, *found.spec.shape[place:])
        return Shaped(kind, TensorSpec(shape, found.spec.itemsize))

    # --- iteration by iteration

    def _follow(self, only_choices: bool) -> _Followed | None:
        """Read iterations one by one; None where that tells no more, as where ``only_choices`` are open and stay so."""
        iterations, size = self.outer.scope.iterations, sum(1 for _ in all_nodes(self.bodies[0].node))
        key = self._key()
        if key in iterations.followed:
            known: _Followed = iterations.followed[key]
            return known
        found = _Followed(states=[self.before()], certain=self.begins())
        counted = self.limit is not None and self.limit <= MOST_TRIPS
        if self.limit is None and not self.endable:
            return None
        while not found.ended and len(found.costs) < MOST_FOLLOWED and iterations.nodes < MOST_READ:
            iterations.nodes, choices = iterations.nodes + size, iterations.choices
            passage, states, piled, further = self.step(len(found.costs), found.states[-1])
            found.add(passage, states, piled)
            if not counted and further is None:
                return None  # data ends it
            stays_open = only_choices and iterations.choices > choices
            if stays_open or (counted and passage.guessed and not any(self._growing())):
                return None  # the number of the iteration is not what is lacking
            found.certain &= further is not None
            found.ended = further is False or len(found.costs) == self.limit
        if not found.costs or not (found.ended or counted):
            return None
        iterations.followed[key] = found
        return found

    def _key(self) -> tuple[Any, ...]:
        """What tells this loop from others in all that shapes and costs depend on; names do not."""
        number: dict[str, int] = {}
        shape = _signature(self.bodies[0], number)
        scope = self.outer.scope
        given = [_told(scope.shaped(name)) if name else None for name in self.node.input]
        outer = [(i, _told(scope.shaped(name)), name in self.outer.constants) for name, i in number.items()]
        kind = [a.SerializeToString() for a in self.node.attribute if not a.HasField("g")]
        return (self.node.op_type, shape, repr(given), repr(outer), repr(kind), self.limit)

    def _run_followed(self, followed: _Followed) -> BodyRun:
        """The sum of all iterations; of those beyond the last that was read, as much as the mean."""
        read, certain = len(followed.costs), followed.ended and followed.certain
        if followed.ended:
            self.trips, self.open_trips = read, not certain
        share = self.trips / read
        flops = share * sum(cost.flops for cost in followed.costs)
        traffic = share * sum(cost.bytes_accessed for cost in followed.costs)
        known = certain and all(cost.known for cost in followed.costs)
        states = followed.states[-1]
        if not certain:
            states = [one_of(pair) for pair in zip(followed.states[0], states, strict=False)]
        piled = [one_of(column) for column in zip(*followed.piled, strict=False)]
        axes = self.axes(len(piled))
        results = [*states, *(self._pile(p, axis) for p, axis in zip(piled, axes, strict=False))]
        return self.told(OperatorCost(flops, traffic, known), followed.guessed, results)


class _Loop(_Repeated):
    """As often as the trip count says, or until the condition ends it."""

    def before(self) -> list[Shaped]:
        return [self.outer.scope.shaped(name) for name in self.node.input[2:]]

    def inputs(self, body: GraphProto) -> dict[str, Shaped]:
        """The states, without values; the condition is true when an iteration begins, if it is from the start."""
        names = [value.name for value in body.input]
        given = dict(zip(names[2:], map(without_values, self.before()), strict=False))
        if len(names) > 1 and self._begun() is not None:
            given[names[1]] = _number(body, 1, np.array(self._begun()))
        return {**({names[0]: Shaped(body.input[0].type, None)} if names else {}), **given}

    def _begun(self) -> bool | None:
        if len(self.node.input) < 2 or not self.node.input[1]:
            return True
        return _truth(self.outer.scope.certain_value(self.node.input[1]))

    def after(self) -> tuple[list[Shaped], list[Shaped]]:
        results, states = self.once.results[1:], len(self.node.input[2:])
        return results[:states], results[states:]

    def count(self) -> None:
        scope, body = self.once.reader.scope, self.bodies[0]
        lasting = _truth(scope.certain_value(body.output[0].name)) if body.output else None
        endless = bool(self._begun() and lasting)
        self.endable = not self.node.input or not self.node.input[0]
        given = None if self.endable else self.outer.scope.certain_value(self.node.input[0])
        if given is not None and given.size == 1:
            self.limit = max(0, int(given.reshape(-1)[0]))
        if self._begun() is False or self.limit == 0:
            self.trips = 0
        elif self.limit is None or self.limit > (2**31 - 2 if endless else MOST_TRIPS):
            self.trips, self.open_trips = 1, True
        else:
            self.trips, self.open_trips = self.limit, not endless

    def begins(self) -> bool:
        return self._begun() is True

    def step(self, i: int, states: Sequence[Shaped]) -> tuple[Passage, list[Shaped], list[Shaped], bool | None]:
        body = self.bodies[0]
        names = [value.name for value in body.input]
        given = dict(zip(names[2:], states, strict=False))
        for place, value in enumerate((np.array(i, np.int64), np.array(True))):
            if place < len(names):
                given[names[place]] = _number(body, place, value)
        passage = self.read(body, given)
        results, count = passage.results, len(self.node.input[2:])
        further = _truth(results[0].value) if results else None
        return passage, results[1 : 1 + count], results[1 + count :], further


class _Scan(_Repeated):
    """As often as the scanned inputs are long."""

    @property
    def held(self) -> int:
        """Number of states."""
        return len(self.node.input) - int(self.attributes.get("num_scan_inputs", 0))

    @property
    def scan_axes(self) -> list[int]:
        """The axis along which each scanned input is cut."""
        return list(self.attributes.get("scan_input_axes", [0] * (len(self.node.input) - self.held)))

    def before(self) -> list[Shaped]:
        return [self.outer.scope.shaped(name) for name in self.node.input[: self.held]]

    def inputs(self, body: GraphProto) -> dict[str, Shaped]:
        return self._inputs(body, [without_values(found) for found in self.before()])

    def _inputs(self, body: GraphProto, states: Sequence[Shaped]) -> dict[str, Shaped]:
        formal = [value.name for value in body.input]
        given = dict(zip(formal, states, strict=False))
        for name, actual, axis in zip(formal[self.held :], self.node.input[self.held :], self.scan_axes, strict=False):
            whole = self.outer.scope.shaped(actual)
            part = sliced(whole.type, axis)
            spec = static_spec(part) if part is not None else None
            if spec is None and whole.spec is not None and -len(whole.spec.shape) <= axis < len(whole.spec.shape):
                shape = list(whole.spec.shape)
                del shape[axis]
                spec = TensorSpec(tuple(shape), whole.spec.itemsize)
            given[name] = Shaped(part, spec)
        return given

    def after(self) -> tuple[list[Shaped], list[Shaped]]:
        return self.once.results[: self.held], self.once.results[self.held :]

    def count(self) -> None:
        self.trips, self.open_trips = 1, True
        schema = self.outer.scope.schema(self.node)
        if schema is None or schema.since_version < 9:
            return  # there was a batch in front of the steps
        for actual, axis in zip(self.node.input[self.held :], self.scan_axes, strict=False):
            whole = self.outer.scope.shaped(actual)
            if whole.spec is not None and -len(whole.spec.shape) <= axis < len(whole.spec.shape):
                self.trips = whole.spec.shape[axis]
                extents = extents_of(whole.type)
                self.open_trips = extents is None or extents[axis] is None
                self.limit = None if self.open_trips else self.trips
                break

    def step(self, i: int, states: Sequence[Shaped]) -> tuple[Passage, list[Shaped], list[Shaped], bool | None]:
        passage = self.read(self.bodies[0], self._inputs(self.bodies[0], states))
        further = None if self.open_trips else i + 1 < self.trips
        return passage, passage.results[: self.held], passage.results[self.held :], further

    def axes(self, count: int) -> list[int]:
        return list(self.attributes.get("scan_output_axes", [0] * count))


class _SequenceMap(Control):
    """Once for each element of the first sequence."""

    def inputs(self, body: GraphProto) -> dict[str, Shaped]:
        return self._inputs(body, 0)

    def _inputs(self, body: GraphProto, i: int) -> dict[str, Shaped]:
        """Element ``i`` of every sequence; tensors as they are."""
        given = {}
        for value, actual in zip(body.input, self.node.input, strict=False):
            found = self.outer.scope.shaped(actual)
            parts = found.elements.parts if found.elements is not None else None
            given[value.name] = parts[i] if parts and i < len(parts) else found if parts is None else Shaped(None, None)
        return given

    def run(self) -> BodyRun:
        first = self.outer.scope.shaped(self.node.input[0]).elements if self.node.input else None
        if first is None or first.parts is None:
            return super().run()
        passages = [self.read(self.bodies[0], self._inputs(self.bodies[0], i)) for i in range(len(first.parts))]
        flops = sum(passage.cost.flops for passage in passages)
        traffic = sum(passage.cost.bytes_accessed for passage in passages)
        known = all(passage.cost.known for passage in passages)
        parts = list(zip(*(passage.results for passage in passages), strict=False)) if passages else []
        results = [Shaped(_sequence_of(part), None, elements=Elements(tuple(part))) for part in parts]
        return self.told(OperatorCost(flops, traffic, known), any(p.guessed for p in passages), results)


def _sequence_of(parts: Sequence[Shaped]) -> TypeProto | None:
    """The type of a sequence of some tensors."""
    of = common([part.type for part in parts])
    return None if of is None else helper.make_sequence_type_proto(of)


def without_values(found: Shaped) -> Shaped:
    """What is the same of a state in every iteration."""
    return replace(found, value=None, elements=None)


def _number(body: GraphProto, place: int, value: NDArray[Any]) -> Shaped:
    """The number or condition of an iteration, of one axis where the body says so."""
    kind = body.input[place].type
    shaped = value.reshape(1) if len(extents_of(kind) or ()) == 1 else value
    number = helper.np_dtype_to_tensor_dtype(value.dtype)
    return Shaped(helper.make_tensor_type_proto(number, shaped.shape), None, shaped)


def _truth(value: NDArray[Any] | None) -> bool | None:
    return None if value is None or value.size != 1 else bool(value.reshape(-1)[0])


def _told(found: Shaped) -> tuple[Any, ...]:
    """All that is known of a tensor, as something that can be compared."""
    value = None if found.value is None else value_key(found.value)
    held = found.elements
    parts = None if held is None or held.parts is None else [_told(part) for part in held.parts]
    total = None if held is None else held.bytes
    return (found.type and found.type.SerializeToString(), found.spec, value, total, parts)


def _signature(body: GraphProto, number: dict[str, int]) -> str:
    """The body with every name replaced by its number; ``number`` then holds the names of outer tensors too."""

    def of(name: str) -> int:
        return number.setdefault(name, len(number)) if name else -1

    told = [repr([(of(value.name), value.type.SerializeToString()) for value in (*body.input, *body.output)])]
    told += [repr((of(t.name), t.data_type, list(t.dims), t.raw_data, t.int64_data)) for t in body.initializer]
    for node in body.node:
        plain = [a.SerializeToString() for a in node.attribute if not a.HasField("g")]
        inner = [_signature(graph, number) for graph in subgraphs(node)]
        told.append(repr((node.domain, node.op_type, [of(n) for n in node.input], [of(n) for n in node.output])))
        told.append(repr((plain, inner)))
    return "\n".join(told)
