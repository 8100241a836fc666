"""One ``GraphModule`` per chip from a program of ``torch.export``, verified against the whole."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from partition.errors import InvalidInput, InvalidModelFile
from partition.problem.graph import Graph
from partition.problem.placement import Placement
from partition.split.flows import Flows
from partition.split.parts import placement_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import GraphModule

    from partition.results.result import Result


@dataclass(frozen=True, eq=False)
class TorchStage:
    """The module of one chip.

    Attributes
    ----------
    module : takes ``inputs`` by position and returns a tuple of ``outputs``.
    inputs, outputs : tensors of the graph, by name; an input of the program has the name of its placeholder.
    sends : output -> chips that receive it from here.
    weights : parameter or buffer of the module -> its name in the module that was exported.
    """

    chip: int
    module: GraphModule
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sends: Mapping[str, tuple[int, ...]]
    weights: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class TorchStages:
    """A program in stages, in an order in which they can run; call it as the module that was exported.

    Attributes
    ----------
    stages : one per chip that does anything.
    inputs : names of the program's inputs, None for arguments that are no tensors.
    outputs : for each result of the program a tensor's name, or (None, value) where it is a constant.
    """

    stages: tuple[TorchStage, ...]
    inputs: tuple[str | None, ...]
    outputs: tuple[tuple[str | None, Any], ...]
    _specs: tuple[Any, Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The stages one after the other, each given only what it declares.

        Raises
        ------
        InvalidInput : the arguments are not of the form that the module was exported with.
        """
        from torch.utils import _pytree as pytree

        flat, spec = pytree.tree_flatten((args, kwargs))
        if spec != self._specs[0]:
            raise InvalidInput("the arguments are not of the form that the module was exported with")
        values = {name: value for name, value in zip(self.inputs, flat, strict=True) if name is not None}
        for stage in self.stages:
            results = stage.module(*(values[name] for name in stage.inputs))
            values.update(zip(stage.outputs, results, strict=True))
        results = [value if name is None else values[name] for name, value in self.outputs]
        return pytree.tree_unflatten(results, self._specs[1])


def split_torch(
    program: ExportedProgram, answer: Result | Placement | Mapping[str, Any], *, verify: bool = True
) -> TorchStages:
    """Cut a program as an answer says, replicas and relays in place.

    Weights are those of the program, not copies; one that several stages use is shared by them.

    Parameters
    ----------
    answer : a result, a placement, or the JSON object of a solve, for ``Graph.from_torch(program)``.
    verify : run the stages and the whole on the program's example inputs and compare all results.

    Raises
    ------
    InvalidAssignment : the answer is for another program, or its chips feed one another in a circle.
    InvalidModelFile : the program writes to its buffers or inputs, or the stages do not compute what it does.
    """
    graph = Graph.from_torch(program)
    placement = placement_of(graph, answer)
    functional = _as_read(program)
    cut = _StageNodes(functional, Flows.of(graph, placement))
    stages = TorchStages(
        stages=tuple(cut.stage(chip) for chip in cut.flows.order),
        inputs=tuple(cut.user_inputs),
        outputs=tuple(cut.results),
        _specs=(functional.call_spec.in_spec, functional.call_spec.out_spec),
    )
    if verify:
        difference = largest_difference(program, stages)
        if not difference <= TOLERANCE:
            raise InvalidModelFile(f"the stages do not compute what the program does: results differ by {difference:g}")
    return stages


TOLERANCE = 1e-5
"""Largest difference over the largest element that counts as equal; kernels are the same, so it is 0 as a rule."""


def largest_difference(program: ExportedProgram, stages: Callable[..., Any]) -> float:
    """Of all results of the whole and of the stages on the example inputs, over the largest element of each.

    Raises
    ------
    InvalidInput : the program was exported without example inputs.
    """
    import torch
    from torch.utils import _pytree as pytree

    if program.example_inputs is None:
        raise InvalidInput("the program has no example inputs to verify the stages with; use verify=False")
    args, kwargs = program.example_inputs
    with torch.no_grad():
        torch.manual_seed(0)
        whole = pytree.tree_leaves(program.module()(*_copied(args), **_copied(kwargs)))
        torch.manual_seed(0)
        parts = pytree.tree_leaves(stages(*_copied(args), **_copied(kwargs)))
    return max((_difference(a, b) for a, b in zip(whole, parts, strict=True)), default=0.0)


def _difference(a: Any, b: Any) -> float:
    """Largest one over the largest element of ``a``; infinite where shapes, types or what is finite differ."""
    import torch

    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        return 0.0 if a == b else math.inf
    if a.shape != b.shape or a.dtype != b.dtype:
        return math.inf
    if torch.equal(a, b):
        return 0.0
    x, y = a.to(torch.complex128), b.to(torch.complex128)
    finite = x.isfinite()
    if not torch.equal(finite, y.isfinite()):
        return math.inf
    scale = float(x[finite].abs().max()) if finite.any() else 0.0
    return float((x - y)[finite].abs().max()) / (scale or 1.0) if finite.any() else 0.0


def _copied(values: Any) -> Any:
    import torch
    from torch.utils import _pytree as pytree

    return pytree.tree_map(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, values)


def _as_read(program: ExportedProgram) -> ExportedProgram:
    """The program that the reader saw, without writes in place; refused if it leaves anything changed behind."""
    from partition.readers.torch.program import functional
    from partition.readers.torch.signature import is_joint, new_values

    found = functional(program)
    if is_joint(found):
        raise InvalidModelFile("the program is a forward and a backward pass in one; split the forward pass")
    changed = [target for _, target in new_values(found)]
    changed += found.graph_signature.user_inputs_to_mutate.values()
    if changed:
        raise InvalidModelFile(
            f"the program writes to {changed[0]!r}, which stages do not pass on; export the module in eval mode"
        )
    return found


class _StageNodes:
    """Which nodes of the program each stage has, and what it reads and sends."""

    def __init__(self, program: Any, flows: Flows) -> None:
        self.program, self.flows = program, flows
        self.nodes = list(program.graph.nodes)
        self.tensor = {name: t for t, name in enumerate(flows.graph.tensor_names)}
        from partition.readers.torch.signature import held

        signature, stored = program.graph_signature, {**program.constants, **program.state_dict}
        self.weights: dict[str, tuple[str, Any]] = {n: (target, stored[target]) for n, target in held(program).items()}
        self.user_inputs = [
            spec.arg.name if getattr(spec.arg, "name", None) in self.tensor else None
            for spec in signature.input_specs
            if spec.kind.name == "USER_INPUT"
        ]
        by_name = {node.name: node for node in self.nodes}
        self.results: list[tuple[str | None, Any]] = []
        self.wanted: dict[int, list[Any]] = {chip: [] for chip in flows.order}  # chip -> nodes that are results
        for spec in signature.output_specs:
            node = by_name.get(getattr(spec.arg, "name", ""))
            if spec.kind.name == "USER_OUTPUT" and node is None:
                self.results.append((None, getattr(spec.arg, "value", None)))
            elif spec.kind.name == "USER_OUTPUT":
                self.results.append((self.tensor_name(node), None))
                if self.tensor_name(node) not in self.user_inputs:
                    self.wanted[self._home(node)].append(node)

    def tensor_name(self, node: Any) -> str:
        """The graph's name of what a node yields: its own, or of a part of several results ``WHOLE.INDEX``."""
        if node.name not in self.tensor and _is_getitem(node):
            part = f"{node.args[0].name}.{node.args[1]}"
            return part if part in self.tensor else str(node.name)
        return str(node.name)

    def operation(self, node: Any) -> int | None:
        """The operation that a node is; None for parts of results, weights and what is made of them alone."""
        t = self.tensor.get(node.name, self.tensor.get(f"{node.name}.0"))
        return None if t is None else int(self.flows.graph.producer[t])

    def _home(self, node: Any) -> int:
        """The chip that delivers a result; the first one for what every chip has."""
        t = self.tensor.get(self.tensor_name(node))
        home = None if t is None else int(self.flows.placement.assignment[self.flows.graph.producer[t]])
        return home if home in self.wanted else self.flows.order[0]

    def stage(self, chip: int) -> TorchStage:
        """The module of one chip."""
        from torch.fx import GraphModule

        building = _Building(self, self.flows.here[chip])
        for node in self.nodes:
            v = self.operation(node)
            if v is not None and v in building.here and node.op != "placeholder":
                building.local(node)
        leaving = {t: tuple(sorted(to)) for (t, source), to in sorted(self.flows.sent.items()) if source == chip}
        names = [self.flows.graph.tensor_names[t] for t in leaving]
        outputs = {name: building.tensor(name) for name in names}
        outputs |= {self.tensor_name(node): building.local(node) for node in self.wanted[chip]}
        building.graph.output(tuple(outputs.values()))
        building.graph.lint()
        return TorchStage(
            chip=chip,
            module=GraphModule(building.root, building.graph, class_name=f"Chip{chip}"),
            inputs=tuple(building.received),
            outputs=tuple(outputs),
            sends=dict(zip(names, leaving.values(), strict=True)),
            weights=building.weights,
        )


class _Building:
    """The graph of one stage as it grows.

    Attributes
    ----------
    here : operations that run on the chip.
    received : name of each tensor that comes from elsewhere -> placeholder.
    weights : attribute of the module -> name in the module that was exported.
    """

    def __init__(self, cut: _StageNodes, here: frozenset[int]) -> None:
        import torch

        self.cut, self.here = cut, here
        self.root, self.graph = torch.nn.Module(), torch.fx.Graph()
        self.nodes: dict[str, Any] = {}  # name of a node of the program -> its value here
        self.received: dict[str, Any] = {}
        self.weights: dict[str, str] = {}

    def tensor(self, name: str) -> Any:
        """A tensor of the graph: made here, or received."""
        whole, _, part = name.rpartition(".")
        if name in self.nodes:
            return self.nodes[name]
        if whole in self.nodes and part.isdigit():  # no node takes this part out, as nobody here reads it
            return self.graph.call_function(operator.getitem, (self.nodes[whole], int(part)))
        return self._receive(name)

    def local(self, node: Any) -> Any:
        """The value of a node of the program; whatever it needs is added before it."""
        if node.name in self.nodes:
            return self.nodes[node.name]
        v, value = self.cut.operation(node), node.meta.get("val")
        if node.name in self.cut.weights:
            found = self._weight(node.name)
        elif _is_number(value):  # an extent: the graph has the value that the example had
            return _number(value)
        elif v is not None and (v not in self.here or node.op == "placeholder"):
            if isinstance(value, tuple | list):
                return [self._receive(f"{node.name}.{i}") for i in range(len(value))]
            found = self._receive(node.name)
        elif _is_getitem(node) and self.cut.operation(node.args[0]) not in (None, *self.here):
            found = self._receive(self.cut.tensor_name(node))
        elif node.op == "get_attr":
            setattr(self.root, node.target, getattr(self.cut.program.graph_module, node.target))
            found = self.graph.get_attr(node.target)
        else:
            found = self.graph.node_copy(node, self.local)
        self.nodes[node.name] = self.nodes[self.cut.tensor_name(node)] = found
        return found

    def _weight(self, name: str) -> Any:
        import torch

        target, value = self.cut.weights[name]
        self.weights[name] = target
        if isinstance(value, torch.nn.Parameter):
            self.root.register_parameter(name, value)
        else:
            self.root.register_buffer(name, value)
        return self.graph.get_attr(name)

    def _receive(self, name: str) -> Any:
        if name not in self.received:
            last = next((node for node in reversed(self.graph.nodes) if node.op == "placeholder"), None)
            with self.graph.inserting_after(last):  # of None: at the beginning
                self.received[name] = self.graph.placeholder(name.replace(".", "_"))
        return self.received[name]


def _is_getitem(node: Any) -> bool:
    return node.op == "call_function" and node.target is operator.getitem


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | bool) or hasattr(value, "node")


def _number(value: Any) -> Any:
    return value.node.hint if hasattr(value, "node") else value
