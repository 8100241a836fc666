"""Recurrent operators of several layers or directions, written out: one call for each, as they depend on each other."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch

from partition.readers.torch.calls import kind_of
from partition.readers.torch.writing import CallWriter

if TYPE_CHECKING:
    from torch.export import ExportedProgram

RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
"""Operators that run all their layers, in both directions, in one call."""


def write_layers(program: ExportedProgram) -> None:
    """Replace every recurrent call of several layers or directions, in place, by one call for each of them.

    The second direction reads its sequence turned around. Calls of a training that drops elements between layers stay,
    since they draw numbers.
    """
    found = [node for node in program.graph.nodes if _has_several(node)]
    for node in found:
        with program.graph.inserting_before(node):
            results = _LayerWriter(CallWriter(program.graph, node), node).results()
        for part in list(node.users):
            value = results[part.args[1]]
            part.replace_all_uses_with(value)
            program.graph_signature.replace_all_uses(part.name, value.name)
            program.graph.erase_node(part)
        program.graph.erase_node(node)
    if found:
        program.graph.lint()
        program.graph_module.recompile()


def _has_several(node: Any) -> bool:
    if node.op != "call_function" or kind_of(node.target) not in RECURRENT or not str(node.target).endswith(".input"):
        return False
    layers, dropout, train, both = node.args[4:8]
    takes_parts = all(user.target is operator.getitem for user in node.users)
    return (layers > 1 or both) and not (train and dropout) and takes_parts and "val" in node.meta


class _LayerWriter:
    """The calls of one recurrent operator."""

    def __init__(self, write: CallWriter, node: Any) -> None:
        self.write, self.node = write, node
        self.x, self.initial, self.params, self.biases, self.layers, _, _, self.both, self.first = node.args[:9]
        self.is_lstm = kind_of(node.target) == "lstm"
        self.final: list[list[Any]] = [[], []] if self.is_lstm else [[]]

    def results(self) -> list[Any]:
        """What stands for each of the operator's results."""
        x, directions = self.x, 2 if self.both else 1
        each = len(self.params) // (self.layers * directions)
        for layer in range(self.layers):
            made = []
            for direction in range(directions):
                i = layer * directions + direction
                made.append(self._call(x, i, self.params[i * each : (i + 1) * each], turned=direction == 1))
            x = self.write(torch.ops.aten.cat.default, made, 2) if self.both else made[0]
        wanted = {user.args[1] for user in self.node.users}
        states = [
            self.write(torch.ops.aten.cat.default, column, 0) if i + 1 in wanted else None
            for i, column in enumerate(self.final)
        ]
        return [x, *states]

    def _call(self, x: Any, i: int, params: list[Any], *, turned: bool) -> Any:
        """One layer in one direction; its output in the order of the input."""
        time = 1 if self.first else 0
        read = self.write(torch.ops.aten.flip.default, x, [time]) if turned else x
        states = self.initial if self.is_lstm else [self.initial]
        own = [self.write(torch.ops.aten.slice.Tensor, state, 0, i, i + 1) for state in states]
        rest = (list(params), self.biases, 1, 0.0, False, False, self.first)
        call = self.write(self.node.target, read, own if self.is_lstm else own[0], *rest)
        parts = [self.write(operator.getitem, call, place) for place in range(len(self.final) + 1)]
        for column, state in zip(self.final, parts[1:], strict=True):
            column.append(state)
        return self.write(torch.ops.aten.flip.default, parts[0], [time]) if turned else parts[0]
