"""What the signature of a functional program says of its inputs and results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from partition.readers.torch.calls import kind_of

_MAKES_STATE = ("BUFFER_MUTATION", "PARAMETER_MUTATION", "GRADIENT_TO_PARAMETER")
"""Kinds of results that are the new value or the gradient of a parameter or buffer."""


def is_joint(program: Any) -> bool:
    """Whether the program is a forward and a backward pass in one."""
    return getattr(program.graph_signature, "backward_signature", None) is not None


def held(program: Any) -> dict[str, str]:
    """Placeholder -> the parameter, buffer or constant that it is."""
    signature = program.graph_signature
    found = dict(signature.inputs_to_parameters) | dict(signature.inputs_to_buffers)
    return found | dict(getattr(signature, "inputs_to_lifted_tensor_constants", {}))


def new_values(program: Any) -> list[tuple[Any, str]]:
    """The calls that make the new value or the gradient of a parameter or buffer, and which."""
    nodes = {node.name: node for node in program.graph.nodes}
    results = [o for o in program.graph_signature.output_specs if o.kind.name in _MAKES_STATE]
    return [(whole(nodes[o.arg.name]), str(o.target)) for o in results if o.arg.name in nodes]


def backward_calls(program: Any) -> set[Any]:
    """The calls that no loss, output or new buffer needs."""
    nodes = {node.name: node for node in program.graph.nodes}
    specs = program.graph_signature.output_specs
    forward = [nodes[o.arg.name] for o in specs if "GRADIENT" not in o.kind.name and o.arg.name in nodes]
    return {node for node in nodes.values() if node.op == "call_function"} - _reached(
        forward, lambda node: node.all_input_nodes
    )


def whole(node: Any) -> Any:
    """The call of which the node is a result."""
    while getattr(node.target, "__name__", "") == "getitem":
        node = node.args[0]
    return node


def _reached(nodes: Iterable[Any], around: Callable[[Any], Iterable[Any]]) -> set[Any]:
    """The nodes themselves and all that steps to the nodes ``around`` one lead to."""
    found = set(nodes)
    left = list(found)
    while left:
        for u in around(left.pop()):
            if u not in found:
                found.add(u)
                left.append(u)
    return found


# --- Backward passes of which the signature says nothing ---


def unstated_training(program: Any) -> str:
    """Why a program without a backward signature trains all the same, in words; empty if it does not.

    Gradients and new values are then plain results, and nothing says which belongs to which parameter. They are told by
    their shapes: behind an operation of a backward pass one of a parameter, without one those of all parameters in
    their order.
    """
    marks = [node for node in program.graph.nodes if node.op == "call_function" and "backward" in kind_of(node.target)]
    tangents = [n for n in program.graph.nodes if n.op == "placeholder" and n.name.startswith("tangents_")]
    if tangents:
        return f"input {tangents[0].name!r} is where a backward pass begins"
    nodes = {node.name: node for node in program.graph.nodes}
    after = _reached(marks, lambda node: node.users)
    results = [(o, nodes[o.arg.name]) for o in program.graph_signature.output_specs if o.arg.name in nodes]
    if marks:
        mark = f"operation {marks[0].name!r} belongs to a backward pass"
        for spec, node in results:
            if node in after and spec.kind.name in _MAKES_STATE:
                return f"{mark}, and {spec.target!r} is overwritten with what follows from it"
        trained = {_kind(nodes[name]): where for name, where in _candidates(program).items() if name in nodes}
        for i, (_, node) in enumerate(results):
            if node in after and (where := trained.get(_kind(node))) is not None:
                return f"{mark}, and result {i} behind it has the shape of {where!r}"
        return ""
    wanted = [_kind(nodes[name]) for name in program.graph_signature.inputs_to_parameters if name in nodes]
    given = [_kind(node) for spec, node in results if spec.kind.name == "USER_OUTPUT"]
    runs = (given[i : i + len(wanted)] for i in range(len(given) - len(wanted) + 1))
    if len(wanted) > 1 and (len(wanted) > 2 or any(len(kind) == 1 for kind in given)) and wanted in runs:
        return f"the results have the shapes of all {len(wanted)} parameters, as gradients have"
    return ""


def _candidates(program: Any) -> dict[str, str]:
    """Placeholders that a backward pass may train: parameters and buffers, or inputs where there are none."""
    signature = program.graph_signature
    kept = dict(signature.inputs_to_parameters) | dict(signature.inputs_to_buffers)
    inputs = [s.arg.name for s in signature.input_specs if s.kind.name == "USER_INPUT" and hasattr(s.arg, "name")]
    return kept or ({name: name for name in inputs} if len(inputs) > 1 else {})


def _kind(node: Any) -> tuple[Any, ...]:
    """Shape and number type of what a node is worth; of scalars and other things nothing that a parameter has."""
    value = node.meta.get("val")
    shape = tuple(getattr(value, "shape", ()))
    return (shape, value.dtype) if shape else (node.name,)
