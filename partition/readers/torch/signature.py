"""What the signature of a functional program says of its inputs and results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
    return {node for node in nodes.values() if node.op == "call_function"} - _ancestors(forward)


def whole(node: Any) -> Any:
    """The call of which the node is a result."""
    while getattr(node.target, "__name__", "") == "getitem":
        node = node.args[0]
    return node


def _ancestors(nodes: Iterable[Any]) -> set[Any]:
    """The nodes themselves and all that they depend on."""
    found = set(nodes)
    left = list(found)
    while left:
        for u in left.pop().all_input_nodes:
            if u not in found:
                found.add(u)
                left.append(u)
    return found
