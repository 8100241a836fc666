"""Walk the equations of a jaxpr: variables stand for tensors of the graph or for weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.problem.operators import OperatorCost
from partition.readers.jax.costs import (
    FREE,
    INLINED,
    EquationCosts,
    body_of,
    given_to_body,
    is_literal,
    open_jaxpr,
    size_in_bytes,
)
from partition.readers.jax.invariants import hoisted
from partition.readers.jax.origins import is_transposed
from partition.readers.state import KeptState


@dataclass(frozen=True)
class JaxTensor:
    """A tensor of the graph."""

    name: str


@dataclass(frozen=True)
class JaxWeight:
    """A weight, or a view of one."""

    name: str
    bytes: float


JaxValue = JaxTensor | JaxWeight | None
"""What a variable stands for; None for a number in the program."""


NOTHING = OperatorCost(0.0, 0.0, True)
"""The cost of a slice of a stack, and of a stack whose parts are written in place."""


class JaxprReader:
    """Fills a builder from a jaxpr.

    Every call of an inlined function has variables of its own: JAX hands out one jaxpr for all calls with the same
    shapes.
    """

    def __init__(self, builder: GraphBuilder, unroll: bool) -> None:
        self.builder, self.unroll = builder, unroll
        self.costs, self.state = EquationCosts(), KeptState()
        self.maker: dict[str, str] = {}  # tensor -> operation
        self.transposed: set[str] = set()  # operations that JAX says are of a backward pass
        self.settled: set[str] = set()  # tensors that follow from weights alone, none of them with a new value
        self.sliced: dict[str, int] = {}  # weight of which steps of a scan hold slices -> how many slices it has
        self._count: dict[str, int] = {}
        self._constant: dict[int, tuple[Any, JaxWeight]] = {}

    def graph(self, backward: bool, results: Sequence[JaxValue]) -> Graph:
        """The graph of what was read, which yields ``results``; with ``backward``, its backward pass is flagged."""
        if backward:
            for row in self.builder.rows:  # in order: what follows from the backward pass belongs to it
                if row.name in self.transposed or any(self.maker[t] in self.state.backward for t in row.inputs):
                    self.state.backward.add(row.name)
        self._hold_slices()
        self.state.settle(self.builder)
        self._read_along_strides({value.name for value in results if isinstance(value, JaxTensor)})
        return self.builder.build()

    def _hold_slices(self) -> None:
        """Whoever reads all of a weight of which others hold slices holds those, so that no byte is held twice."""
        for row in self.builder.rows:
            while whole := next((weight for weight in row.weights if weight in self.sliced), None):
                size, parts = row.weights.pop(whole), self.sliced[whole]
                row.weights.update({f"{whole}[{i}]": size / parts for i in range(parts)})

    def _read_along_strides(self, results: set[str]) -> None:
        """Make views of transposed tensors that products alone read: XLA folds such transposes into them."""
        readers: dict[str, set[str]] = {}
        for row in self.builder.rows:
            for tensor in row.inputs:
                readers.setdefault(tensor, set()).add(row.op_type)
        for row in self.builder.rows:
            inside = row.op_type == "transpose" and results.isdisjoint(row.outputs)
            if inside and all(readers.get(tensor) == {"dot_general"} for tensor in row.outputs):
                row.view, row.bytes_accessed = True, 0.0

    def input(self, path: str, variable: Any) -> JaxTensor:
        """An argument that the host delivers."""
        self.builder.operation(path, "Input", outputs={path: size_in_bytes(variable)})
        self.builder.shapes[path] = tuple(variable.aval.shape)
        self.maker[path] = path
        return JaxTensor(path)

    def makes(self, value: JaxValue, weight: str) -> None:
        """Say that a result is the new value or the gradient of a weight."""
        if isinstance(value, JaxTensor):
            self.state.made.setdefault(self.maker[value.name], set()).add(weight)

    def run(self, body: Any, values: Sequence[JaxValue], prefix: str, transposed: bool = False) -> list[JaxValue]:
        """Read the equations of ``body``, called with ``values``; what its results are."""
        jaxpr = open_jaxpr(body)
        known = self._read(body, jaxpr.eqns, dict(zip(jaxpr.invars, values, strict=True)), prefix, transposed)
        return [None if is_literal(v) else known[v] for v in jaxpr.outvars]

    def _read(
        self, body: Any, equations: Sequence[Any], given: dict[Any, JaxValue], prefix: str, transposed: bool
    ) -> dict[Any, JaxValue]:
        """Read some equations of ``body``; all of its variables that are known then, from those that are ``given``."""
        known = dict(given)
        for variable, constant in zip(open_jaxpr(body).constvars, getattr(body, "consts", ()), strict=False):
            known[variable] = self._closed_over(variable, constant)
        for equation in equations:
            read = [None if is_literal(v) else known[v] for v in equation.invars]
            made = self._equation(equation, read, prefix, transposed or is_transposed(equation))
            known.update(zip(equation.outvars, made, strict=True))
        return known

    def _closed_over(self, variable: Any, constant: Any) -> JaxWeight:
        """A constant; the same array is the same weight wherever it is closed over."""
        if id(constant) not in self._constant:
            weight = JaxWeight(f"constant{len(self._constant)}", size_in_bytes(variable))
            self._constant[id(constant)] = constant, weight
        return self._constant[id(constant)][1]

    def _equation(self, equation: Any, read: list[JaxValue], prefix: str, transposed: bool) -> list[JaxValue]:
        primitive, prefix = equation.primitive.name, prefix + _scopes(equation)
        body = body_of(equation)
        if primitive in INLINED and body is not None:
            called = str(equation.params.get("name") or primitive)
            given = given_to_body(equation, read)
            return self.run(body, given, f"{self._unique(prefix + called)}/", transposed)
        if primitive == "scan":
            equation, read = self._without_shared(equation, read, f"{prefix}{primitive}/", transposed)
        if primitive == "scan" and self.unroll and self._over_layers(equation, read):
            return self._steps(equation, read, self._unique(prefix + primitive), transposed)
        first = read[0] if read else None
        alone = primitive in FREE and len(read) == len(equation.outvars) == 1
        if alone and isinstance(first, JaxWeight) and size_in_bytes(equation.outvars[0]) >= first.bytes:
            return [first]  # a view of all of a weight
        return self._operation(equation, read, self._unique(prefix + primitive), transposed)

    def _operation(self, equation: Any, read: list[JaxValue], name: str, transposed: bool) -> list[JaxValue]:
        several = len(equation.outvars) > 1
        tensors = [f"{name}.{i}" if several else name for i in range(len(equation.outvars))]
        cost = self.costs.of(equation)
        if equation.effects:
            self.state.varying.add(name)
        self._add(
            name,
            equation.primitive.name,
            read,
            dict(zip(tensors, map(size_in_bytes, equation.outvars), strict=True)),
            cost,
            view=equation.primitive.name in FREE,
        )
        self.builder.shapes.update({t: tuple(v.aval.shape) for t, v in zip(tensors, equation.outvars, strict=True)})
        if transposed:
            self.transposed.add(name)
        return [JaxTensor(tensor) for tensor in tensors]

    def _add(
        self, name: str, kind: str, read: Sequence[JaxValue], outputs: dict[str, float], cost: OperatorCost, view: bool
    ) -> None:
        self.builder.operation(
            name,
            kind,
            inputs=[value.name for value in read if isinstance(value, JaxTensor)],
            outputs=outputs,
            flops=cost.flops,
            bytes_accessed=cost.bytes_accessed,
            weights={value.name: value.bytes for value in read if isinstance(value, JaxWeight)},
            unknown=not cost.known,
            view=view,
        )
        self.maker.update(dict.fromkeys(outputs, name))
        given = [value for value in read if value is not None]
        if given and name not in self.state.varying and all(map(self._is_settled, given)):
            self.settled.update(outputs)

    def _is_settled(self, value: JaxValue) -> bool:
        if isinstance(value, JaxWeight):
            return value.name not in self.state.written
        return isinstance(value, JaxTensor) and value.name in self.settled

    # --- Scans ---

    def _without_shared(
        self, scan: Any, read: list[JaxValue], prefix: str, transposed: bool
    ) -> tuple[Any, list[JaxValue]]:
        """A scan and what it reads, after what all of its steps share was read as equations before it."""
        found = hoisted(scan)
        if found is None:
            return scan, read
        body, count = scan.params["jaxpr"], scan.params["num_consts"]
        given = dict(zip(open_jaxpr(body).invars[:count], read[:count], strict=True))
        known = self._read(body, found.shared, given, prefix, transposed)
        return found.scan, [*(read[i] for i in found.kept), *(known[v] for v in found.made), *read[count:]]

    def _over_layers(self, equation: Any, read: list[JaxValue]) -> bool:
        """Whether the scan walks along weights, or what follows from them alone.

        A weight that is trained has one new value for all layers, so its scan stays.
        """
        stacked = read[equation.params["num_consts"] + equation.params["num_carry"] :]
        trained = any(isinstance(value, JaxWeight) and value.name in self.state.written for value in stacked)
        return not trained and any(map(self._is_settled, stacked))

    def _steps(self, equation: Any, read: list[JaxValue], name: str, transposed: bool) -> list[JaxValue]:
        """Every step of a scan under a number of its own."""
        params = equation.params
        length, consts, carries = params["length"], params["num_consts"], params["num_carry"]
        carry, stacked = read[consts : consts + carries], read[consts + carries :]
        sizes = [size_in_bytes(v) / length for v in equation.invars[consts + carries :]]
        results: list[list[JaxValue]] = [[] for _ in equation.outvars[carries:]]
        for i in reversed(range(length)) if params["reverse"] else range(length):
            parts = [self._slice(v, f"{name}/{i}/slice", i, s) for v, s in zip(stacked, sizes, strict=True)]
            self.sliced.update({v.name: length for v in stacked if isinstance(v, JaxWeight)})
            made = self.run(params["jaxpr"], [*read[:consts], *carry, *parts], f"{name}/{i}/", transposed)
            carry = made[:carries]
            for collected, value in zip(results, made[carries:], strict=True):
                collected.append(value)
        variables = equation.outvars[carries:]
        return [*carry, *(self._stack(v, r, f"{name}/stack") for v, r in zip(variables, results, strict=True))]

    def _slice(self, value: JaxValue, name: str, i: int, size: float) -> JaxValue:
        if isinstance(value, JaxWeight):
            return JaxWeight(f"{value.name}[{i}]", size)
        if value is None:
            return None
        tensor = self._unique(name)
        self._add(tensor, "slice", [value], {tensor: size}, NOTHING, True)
        return JaxTensor(tensor)

    def _stack(self, variable: Any, values: list[JaxValue], name: str) -> JaxValue:
        """The results of all steps one beside the other, each written in place."""
        if type(variable).__name__ == "DropVar":
            return None
        tensor = self._unique(name)
        self._add(tensor, "concatenate", values, {tensor: size_in_bytes(variable)}, NOTHING, True)
        return JaxTensor(tensor)

    def _unique(self, name: str) -> str:
        number = self._count[name] = self._count.get(name, -1) + 1
        return f"{name}_{number}" if number else name


def _scopes(equation: Any) -> str:
    """``Dense_0/`` of the name stack ``transpose(jvp(Dense_0))``: the modules of flax, the scopes of JAX."""
    scopes = re.sub(r"\w+\(|\)", "", str(equation.source_info.name_stack))
    return "".join(f"{part}/" for part in scopes.split("/") if part)
