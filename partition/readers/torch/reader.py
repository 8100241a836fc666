"""Read a program of ``torch.export`` into a graph; what is counted how is in ``docs/frameworks.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.fx.node import map_arg

from partition.errors import InvalidModelFile
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.problem.operators import OperatorCost
from partition.readers.cut_axes import CutOperand
from partition.readers.state import KeptState
from partition.readers.torch.calls import VIEW_WRITES, TorchCall, is_view, kind_of, size_in_bytes, without_data
from partition.readers.torch.costs import CallCosts
from partition.readers.torch.cut_axes import cut_axes_of
from partition.readers.torch.program import functional
from partition.readers.torch.signature import backward_calls, held, is_joint, new_values
from partition.readers.torch.weights import HeldParts, WeightView


def from_torch(program: Any, *, name: str | None = None) -> Graph:
    """Convert what ``torch.export.export(module, args)`` returns.

    Operations carry the path of their module (``encoder.layers.0.linear1/linear``). Parameters, buffers and constants
    are weights of whoever reads them, also through views; one that several operations read is held once per chip.
    What reads a buffer that the program overwrites shares a chip with what writes it. A joint program of forward and
    backward pass has its backward operations flagged, and a parameter's readers share a chip with its gradient.

    Raises
    ------
    InvalidModelFile : the program has data-dependent control flow or shapes (the operation is named), or it is not an
        exported program.
    """
    plain = functional(program)
    return ProgramReader(plain, name or type(program.graph_module).__name__).graph()


class ProgramReader:
    """Walks the calls of a functional program; values are tensors of the graph or weights.

    Attributes
    ----------
    operations : node of the program -> name of the operation that it is.
    """

    def __init__(self, program: Any, name: str) -> None:
        self.program, self.builder, self.costs = program, GraphBuilder(name), CallCosts()
        self.held, self.state = held(program), KeptState()
        self.state.written.update(weight for _, weight in new_values(program))
        self.operations: dict[str, str] = {}
        self.weight: dict[str, WeightView] = {}  # node -> the weight it is, or a view of one
        self.views: dict[str, list[WeightView]] = {}  # node whose results are several views of a weight -> those
        self.parts = HeldParts()
        self.pieces: Mapping[Any, Mapping[str, float]] = {}  # part of a weight -> what is held for it
        self.calls: list[tuple[Any, TorchCall, str]] = []
        self.reads: list[tuple[str, str, Any]] = []  # operation, weight, and the part of it that is read
        self.tensor: dict[str, list[str | None]] = {}  # node -> tensors of the graph, by position
        self.several: set[str] = set()  # nodes whose results are taken apart by getitem
        self.module: dict[str, str] = {}  # node that is a weight or follows from one -> the module that it belongs to

    def graph(self) -> Graph:
        """Read all calls in order."""
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "get_attr":
                self._constant(node)
            elif node.op == "call_function":
                self._call(node)
        self._hold()
        for node, weight in new_values(self.program):
            if node.name in self.operations:
                self.state.made.setdefault(self.operations[node.name], set()).add(weight)
        if is_joint(self.program):
            backward = {node.name for node in backward_calls(self.program)}
            self.state.backward.update(name for node, name in self.operations.items() if node in backward)
        self.state.settle(self.builder)
        for spec in self.program.graph_signature.output_specs:
            made = self.tensor.get(str(getattr(spec.arg, "name", "")), [])
            self.builder.results += [tensor for tensor in made if tensor is not None]
        return self.builder.build()

    def _placeholder(self, node: Any) -> None:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            return
        size = size_in_bytes(_known(node, value))
        if node.name in self.held:
            self.weight[node.name] = WeightView(self.held[node.name], size, _known(node, value))
            self.module[node.name] = self.held[node.name].rpartition(".")[0]
        else:
            self.builder.operation(node.name, "Input", outputs={node.name: size})
            self.builder.shapes[node.name] = _known(node, value).shape
            self.tensor[node.name] = [node.name]

    def _constant(self, node: Any) -> None:
        value = node.meta.get("val", getattr(self.program.graph_module, str(node.target), None))
        if isinstance(value, torch.Tensor):
            whole = without_data(value)
            self.weight[node.name] = WeightView(str(node.target), size_in_bytes(whole), whole)

    def _call(self, node: Any) -> None:
        if kind_of(node.target) == "getitem":
            self._part(node)
            return
        call = self._described(node)
        if not call.writes:  # an assertion or a number
            return
        read = list(dict.fromkeys(node.all_input_nodes))
        if read and is_view(call) and all(u.name in self.weight for u in read) and self._is_part_of_weight(node, call):
            return
        name = self.operations[node.name] = self._name(node, read)
        results = [f"{node.name}.{i}" for i in range(len(call.results))] if node.name in self.several else [node.name]
        outputs = {t: size_in_bytes(v) for t, v in zip(results, call.results, strict=True) if _is_tensor(v)}
        self.tensor[node.name] = [t if t in outputs else None for t in results]
        self.builder.shapes.update({t: v.shape for t, v in zip(results, call.results, strict=True) if t in outputs})
        cost = self._cost(node, call)
        self._note_parts(name, read)
        inputs = [t for u in read if u.name not in self.weight for t in self.tensor.get(u.name, ()) if t]
        drawn = torch.Tag.nondeterministic_seeded in getattr(call.target, "tags", ())
        if drawn or kind_of(node.target) == "with_effects":
            self.state.varying.add(name)
        self.builder.operation(
            name,
            call.kind,
            inputs=list(dict.fromkeys(inputs)),
            outputs=outputs,
            flops=cost.flops,
            bytes_accessed=cost.bytes_accessed,
            unknown=not cost.known,
            view=is_view(call),
        )
        self.calls.append((node, call, name))

    def _cut_axes(self, node: Any, call: TorchCall, name: str, pieces: Mapping[Any, Mapping[str, float]]) -> None:
        """Note the axes along which a call can be computed in parts; none where it reads several pieces of a weight."""
        if any(not isinstance(u.meta.get("val"), torch.Tensor) for u in node.all_input_nodes):
            return
        weights = {u.name: pieces[self._part_of(u)] for u in node.all_input_nodes if u.name in self.weight}
        if any(len(held) != 1 for held in weights.values()):
            return
        tensors = iter(call.reads)

        def operand(u: Any) -> Any:
            shape = tuple(next(tensors).shape)
            if u.name in weights:
                ((weight, size),) = weights[u.name].items()
                return CutOperand(weight, shape, size)
            return CutOperand((self.tensor.get(u.name) or [u.name])[0] or u.name, shape)

        results = [
            CutOperand(t, tuple(value.shape)) if t is not None and value.numel() else None
            for t, value in zip(self.tensor[node.name], call.results, strict=True)
        ]
        axes = cut_axes_of(call, tuple(map_arg(node.args, operand)), tuple(results))
        if axes:
            self.builder.cut_axes[name] = axes

    def _name(self, node: Any, read: list[Any]) -> str:
        """The path of the innermost module, inside a region of the module whose weight is read; the node's name."""
        stack = node.meta.get("nn_module_stack")
        path = str(list(stack.values())[-1][0]) if stack else ""
        path = path.removeprefix("L['self'].").replace("L['self']", "")
        owners = [self.module.get(u.name) for u in read]
        path = path or next(filter(None, owners), "")
        if read and None not in owners:
            self.module[node.name] = path
        return f"{path}/{node.name}" if path else str(node.name)

    def _described(self, node: Any) -> TorchCall:
        """The call with what it writes; a custom operator made functional stands under its own name."""
        target, args, kwargs = node.target, node.args, node.kwargs
        if kind_of(target).startswith("auto_functionalized"):
            target, args = args[0], args[1:]
        elif kind_of(target) == "with_effects":
            target, args = args[1], (args[0], *args[2:])
        value = node.meta.get("val")
        if isinstance(value, tuple | list):
            self.several.add(node.name)
        try:
            args, kwargs = map_arg((args, kwargs), lambda u: without_data(u.meta.get("val")))
            results = without_data(tuple(value) if isinstance(value, tuple | list) else (value,))
        except InvalidModelFile as error:
            raise InvalidModelFile(f"operation {node.name!r} ({kind_of(node.target)}): {error}") from error
        return TorchCall(target, tuple(args), kwargs, tuple(v if _is_tensor(v) else None for v in results))

    def _cost(self, node: Any, call: TorchCall) -> OperatorCost:
        written = [kind_of(user.target) for user in node.users]
        if call.kind == "copy" and written and all(kind in VIEW_WRITES for kind in written):
            return OperatorCost(0.0, 0.0, True)  # the write through the view is counted there
        return self.costs.of(call)

    def _is_part_of_weight(self, node: Any, call: TorchCall) -> bool:
        """Whether all results are views of a weight, which they are from now on."""
        weight = self.weight[node.all_input_nodes[0].name]
        views = [weight]
        if call.kind != "clone":  # a copy that moves nothing
            args, kwargs = map_arg((node.args, node.kwargs), lambda u: self.weight[u.name].shown)
            found = weight.seen_by(call.target, args, kwargs)
            if found is None:
                return False
            views = found
        if node.name in self.several:
            self.views[node.name] = views
        else:
            self.weight[node.name] = views[0]
        self.module[node.name] = self.module.get(node.all_input_nodes[0].name, "")
        return True

    def _note_parts(self, operation: str, read: list[Any]) -> None:
        """Note which parts of weights an operation reads."""
        self.reads += [(operation, *self._part_of(u)) for u in read if u.name in self.weight]

    def _part_of(self, node: Any) -> tuple[str, Any]:
        """The weight that a node shows, and the part of it; of what the program overwrites, all is held."""
        view = self.weight[node.name]
        return self.parts.note(view, f"{view.weight}/{node.name}", view.weight in self.state.written)

    def weight_name(self, node: Any) -> str | None:
        """The weight, or the part of one, that a node shows; None where it shows none, or several pieces."""
        if node.name not in self.weight:
            return None
        names = list(self.pieces.get(self._part_of(node), ()))
        return names[0] if len(names) == 1 else None

    def _hold(self) -> None:
        """Give every operation the parts of weights that it reads, once all of them are known."""
        rows, pieces = {row.name: row for row in self.builder.rows}, self.parts.pieces()
        self.pieces = pieces
        for operation, weight, part in self.reads:
            rows[operation].weights.update(pieces[weight, part])
        for node, call, name in self.calls:
            self._cut_axes(node, call, name, pieces)

    def _part(self, node: Any) -> None:
        """One result of several: the tensor itself, no operation."""
        whole, i = node.args
        if whole.name in self.views:
            self.weight[node.name] = self.views[whole.name][i]
            self.module[node.name] = self.module.get(whole.name, "")
            return
        tensors = self.tensor.get(whole.name, [])
        if isinstance(i, int) and -len(tensors) <= i < len(tensors):
            self.tensor[node.name] = [tensors[i]]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _known(node: Any, value: torch.Tensor) -> torch.Tensor:
    try:
        return without_data(value)  # type: ignore[no-any-return]
    except InvalidModelFile as error:
        raise InvalidModelFile(f"input {node.name!r}: {error}") from error
