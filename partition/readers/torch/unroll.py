"""Loops whose number of steps is known (``scan``, ``map``), written out step by step."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.node import map_arg

from partition.errors import InvalidModelFile
from partition.readers.torch.calls import extent, kind_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram

LOOPS = {"scan": "scan", "map_impl": "map"}
"""Higher-order operator -> what the user wrote."""

MOST_CALLS = 50_000
"""Calls of all steps of the loops of a program."""


def unroll(program: ExportedProgram) -> None:
    """Replace every loop of a functional program, in place, by the calls of its steps.

    A step reads its slice of what is scanned, so that a loop over stacked weights has a weight for each step.

    Raises
    ------
    InvalidModelFile : the steps have more than ``MOST_CALLS`` calls together.
    """
    loops = [node for node in program.graph.nodes if is_loop(node)]
    calls = sum(_calls(program.graph_module, node) for node in loops)
    if calls > MOST_CALLS:
        raise InvalidModelFile(
            f"operation {loops[0].name!r} is a {LOOPS[kind_of(loops[0].target)]}, and the steps of all loops have "
            f"{calls} calls, more than {MOST_CALLS}; export the module for fewer steps"
        )
    for node in loops:
        _replace(program, node)
    if loops:
        program.graph.lint()
        program.graph_module.recompile()


def is_loop(node: Any) -> bool:
    """Whether a node is a loop whose number of steps follows from the shape of what it reads."""
    return node.op == "call_function" and kind_of(node.target) in LOOPS and not hasattr(node.target, "overloadpacket")


def _steps(node: Any) -> int:
    scanned = node.args[2 if kind_of(node.target) == "scan" else 1]
    return extent(scanned[0].meta["val"].shape[0])


def _calls(module: Any, node: Any) -> int:
    body = getattr(module, str(node.args[0].target))
    inner = sum(_calls(body, n) if is_loop(n) else n.op == "call_function" for n in body.graph.nodes)
    return _steps(node) * (inner + 1)


def _replace(program: ExportedProgram, loop: Any) -> None:
    graph, module = program.graph, program.graph_module
    with graph.inserting_before(loop):
        results = _StepWriter(module, loop.meta).loop(loop, module, loop.args, loop.name)
    for part in list(loop.users):  # each takes one result
        value = results[part.args[1]]
        part.replace_all_uses_with(value)
        program.graph_signature.replace_all_uses(part.name, value.name)
        graph.erase_node(part)
    body = loop.args[0]
    graph.erase_node(loop)
    if not body.users:
        graph.erase_node(body)


class _StepWriter:
    """Writes the calls of bodies into the graph of a module, where its graph says to insert.

    Parameters
    ----------
    meta : of the loop; the path of its module is that of all calls that have none.
    """

    def __init__(self, module: Any, meta: dict[str, Any]) -> None:
        self.module, self.graph, self.meta = module, module.graph, meta

    def loop(self, node: Any, owner: Any, args: tuple[Any, ...], name: str) -> list[Any]:
        """The results of all steps; ``owner`` holds the body, ``args`` are those of the graph written to."""
        body = getattr(owner, str(node.args[0].target))
        carried: list[Any] = []
        if kind_of(node.target) == "scan":
            carried, scanned, others = list(args[1]), args[2], args[3]
        else:
            scanned, others = args[1], args[2]
        count, stacked = len(carried), []
        formal = [n for n in body.graph.nodes if n.op == "placeholder"][count:]
        for i in range(_steps(node)):
            parts = [
                self._call(torch.ops.aten.select.int, (whole, 0, i), f"{name}_{i}_select", {"val": f.meta["val"]})
                for whole, f in zip(scanned, formal, strict=False)
            ]
            made = self._inline(body, [*carried, *parts, *others], f"{name}_{i}")
            carried = made[:count]
            stacked.append(made[count:])
        whole = node.meta["val"][count:]
        piles = [
            self._call(torch.ops.aten.stack.default, (list(column), 0), f"{name}_stack", {"val": value})
            for column, value in zip(zip(*stacked, strict=True), whole, strict=True)
        ]
        return [*carried, *piles]

    def _inline(self, body: Any, given: list[Any], name: str) -> list[Any]:
        """The calls of a body with what it is given; what it returns."""
        known: dict[Any, Any] = {}
        arguments = iter(given)
        for node in body.graph.nodes:
            if node.op == "placeholder":
                known[node] = next(arguments)
            elif node.op == "get_attr":
                known[node] = self._constant(getattr(body, str(node.target)), node, name)
            elif node.op == "call_function":
                args, kwargs = map_arg((node.args, node.kwargs), known.__getitem__)
                if is_loop(node):
                    known[node] = self.loop(node, body, args, f"{name}_{node.name}")
                elif node.target is operator.getitem and isinstance(args[0], list):
                    known[node] = args[0][args[1]]
                else:
                    known[node] = self._call(node.target, args, f"{name}_{node.name}", node.meta, kwargs)
        results = next(node for node in body.graph.nodes if node.op == "output").args[0]
        return [known[result] for result in results]

    def _constant(self, value: Any, node: Any, name: str) -> Any:
        """A tensor that the body holds, held by the module; the body of a loop within is no constant."""
        if not isinstance(value, torch.Tensor):
            return None
        held = f"{name}_{node.name}"
        setattr(self.module, held, value)
        found = self.graph.get_attr(held)
        found.meta.update(node.meta)
        return found

    def _call(self, target: Any, args: Any, name: str, meta: dict[str, Any], kwargs: Any = None) -> Any:
        call = self.graph.create_node("call_function", target, tuple(args), dict(kwargs or {}), name)
        stack = {key: self.meta[key] for key in ("nn_module_stack",) if key in self.meta}
        call.meta.update({**stack, **{key: value for key, value in meta.items() if key in ("val", *stack)}})
        return call
