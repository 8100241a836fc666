"""Run a placed PyTorch program chip by chip; an operation sees only what the edges of the graph bring it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from partition import Graph
from partition.readers.torch.program import functional
from partition.readers.torch.reader import ProgramReader


class Staged:
    """A program, the graph that was read from it, and the operation of each call."""

    def __init__(self, program: Any, kept: bool = True) -> None:
        reader = ProgramReader(functional(program), "staged")
        self.graph: Graph = reader.graph()
        self.program, self.operation = reader.program, reader.operations
        state = dict(self.program.state_dict) | dict(self.program.constants)
        self.kept = {k: _copied(v) for k, v in state.items()} if kept else {}
        self.sizes: dict[str, float] = {}  # tensor -> bytes, of the last run
        names, graph = self.graph.names, self.graph
        self.producers: dict[str, set[str]] = {name: set() for name in names}
        for u, w in zip(graph.edge_source.tolist(), graph.consumers.tolist(), strict=True):
            self.producers[names[w]].add(names[u])

    def chips_at_random(self, rng: np.random.Generator, step: float = 0.1) -> dict[str, int]:
        """Operation -> stage: an operation stands on the last stage of its producers, or with chance ``step`` after."""
        stage = np.zeros(self.graph.n, dtype=np.int64)
        for v in self.graph.topological_order.tolist():
            before = [self.graph.index[u] for u in self.producers[self.graph.names[v]]]
            stage[v] = max(stage[before], default=0) + (rng.random() < step)
        return dict(zip(self.graph.names, stage.tolist(), strict=True))

    def run(self, chip_of: Mapping[str, int], *args: Any, **kwargs: Any) -> list[Any]:
        """The results of the program (new buffers first), every chip in its turn doing all that is its own."""
        values = self._given(args, kwargs)
        operations = [node for node in self.program.graph.nodes if self._own(node) is not None]
        with torch.no_grad():
            for chip in sorted(set(chip_of.values())):
                for node in operations:
                    if chip_of[self._own(node)] == chip:
                        values[node] = self._call(node, values, self.producers[self._own(node)] | {self._own(node)})
                        self._measure(node.name, values[node])
            everything = set(self.graph.names)
            results = next(node for node in self.program.graph.nodes if node.op == "output").args[0]
            return [self._value(r, values, everything) if hasattr(r, "op") else r for r in results]

    def _measure(self, name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            self.sizes[name] = value.numel() * value.element_size()
        elif isinstance(value, tuple | list):
            for i, part in enumerate(value):
                self._measure(f"{name}.{i}", part)

    def _own(self, node: Any) -> str | None:
        """The operation that the call is, unless its result is a constant."""
        name = self.operation.get(node.name) if node.op == "call_function" else None
        return name if name in self.producers else None

    def _given(self, args: Any, kwargs: Any) -> dict[Any, Any]:
        """Placeholder -> weight or input."""
        program, inputs = self.program, iter(pytree.tree_leaves((args, kwargs)))
        found: dict[Any, Any] = {}
        specs = program.graph_signature.input_specs
        for node, spec in zip((n for n in program.graph.nodes if n.op == "placeholder"), specs, strict=True):
            if spec.kind.name == "USER_INPUT":
                found[node] = next(inputs)
            elif spec.kind.name != "TOKEN":
                found[node] = self.kept[spec.target]
        return found

    def _value(self, node: Any, values: dict[Any, Any], seen: set[str]) -> Any:
        """What a node is worth; what is no operation (a part of a result, a constant) is worked out on the spot."""
        if node.op == "placeholder" and node.name in self.producers:
            assert node.name in seen, f"input {node.name!r} is read without an edge"
        own = self._own(node)
        if own is not None:
            assert own in seen, f"{own!r} is read without an edge"
            assert node in values, f"{own!r} is read before its chip has run"
        if node in values:
            return values[node]
        if node.op == "get_attr":
            value: Any = self.program.graph_module
            for part in str(node.target).split("."):
                value = getattr(value, part)
            return value
        return self._call(node, values, seen)

    def _call(self, node: Any, values: dict[Any, Any], seen: set[str]) -> Any:
        args, kwargs = map_arg((node.args, node.kwargs), lambda u: self._value(u, values, seen))
        return node.target(*args, **kwargs)


def assert_same(staged: Staged, chip_of: Mapping[str, int], program: Any, args: Any, kwargs: Any = None) -> None:
    """The program in stages gives what the program as a whole gives, buffers too."""
    kwargs = kwargs or {}
    module = program.module()
    with torch.no_grad():
        for name, value in (*module.named_buffers(), *module.named_parameters()):
            value.copy_(staged.kept.get(name, value))
    torch.manual_seed(7)
    with torch.no_grad():
        whole = pytree.tree_leaves(module(*pytree.tree_map(_copied, args), **pytree.tree_map(_copied, kwargs)))
    torch.manual_seed(7)
    results = staged.run(chip_of, *pytree.tree_map(_copied, args), **kwargs)
    specs = staged.program.graph_signature.output_specs
    buffers = dict(module.named_buffers()) | dict(module.named_parameters())
    user = iter(whole)
    for result, spec in zip(results, specs, strict=True):
        if spec.kind.name == "USER_OUTPUT":
            _close(result, next(user))
        elif spec.kind.name in ("BUFFER_MUTATION", "PARAMETER_MUTATION"):
            _close(result, buffers[spec.target])


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _close(found: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
    else:
        assert found == expected
