"""How often a loop without a trip count runs, where its condition follows from constants and shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, OperatorSetIdProto, TensorProto, helper, numpy_helper, reference

MOST_FOLLOWED = 2**12
"""Iterations that are followed one by one."""

_SCALAR = frozenset({
    "Add", "And", "Cast", "Constant", "Div", "Equal", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual",
    "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Squeeze", "Sub", "Where",
})  # fmt: skip
"""Operators that make one number of single numbers."""

Value = Callable[[str], "NDArray[Any] | None"]


def followed_trips(
    node: NodeProto, body: GraphProto, value: Value, opsets: Sequence[OperatorSetIdProto], ir_version: int
) -> int | None:
    """Iterations of a Loop whose condition depends on single numbers that are known; None for every other.

    Parameters
    ----------
    value : of a tensor outside the body, where it is known for certain.
    """
    start, following = _states(node, body)
    sliced = _slice(body, following)
    if sliced is None or not body.output or len(body.input) < 2:
        return None
    nodes, leaves = sliced
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in body.initializer if tensor.name in leaves}
    counter, going = body.input[0].name, body.input[1].name
    begun = value(node.input[1]) if len(node.input) > 1 and node.input[1] else np.array(True)
    state: dict[str, Any] = {counter: np.array(0, np.int64), going: begun}
    state |= {name: value(start[name]) for name in leaves & start.keys()}
    fixed = {name: held[name] if name in held else value(name) for name in leaves - state.keys()}
    known = [*state.values(), *fixed.values()]
    if any(found is None or found.size != 1 for found in known):
        return None
    carried = [name for name in leaves & following.keys() if name not in (counter, going)]
    wanted = [body.output[0].name, *(following[name] for name in carried)]
    untyped = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in (*state, *fixed)]
    ends = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in dict.fromkeys(wanted)]
    try:
        graph = helper.make_graph(nodes, "condition", untyped, ends)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
        once = reference.ReferenceEvaluator(model)
        trips = 0
        while trips < MOST_FOLLOWED and bool(np.ravel(state[going])[0]):
            made = dict(zip((end.name for end in ends), once.run(None, {**fixed, **state}), strict=True))
            trips += 1
            state = {**state, **{name: made[following[name]] for name in carried}}
            state |= {counter: np.array(trips, np.int64), going: made[body.output[0].name]}
    except Exception:  # an operator or a type that the reference cannot run
        return None
    return trips if trips < MOST_FOLLOWED else None


def _states(node: NodeProto, body: GraphProto) -> tuple[dict[str, str], dict[str, str]]:
    """Of each state of the loop what it is before the first iteration, and what it becomes in one."""
    names = [value.name for value in body.input[2:]]
    start = dict(zip(names, node.input[2:], strict=False))
    return start, dict(zip(names, [value.name for value in body.output[1:]], strict=False))


def _slice(body: GraphProto, following: dict[str, str]) -> tuple[list[NodeProto], set[str]] | None:
    """The nodes on which the condition depends, over all iterations, and what they read; None if one is no scalar's."""
    maker = {tensor: i for i, node in enumerate(body.node) for tensor in node.output if tensor}
    chosen: set[int] = set()
    leaves: set[str] = set()
    stack = [body.output[0].name] if body.output else []
    while stack:
        tensor = stack.pop()
        i = maker.get(tensor)
        if i is None:
            if tensor not in leaves:
                leaves.add(tensor)
                stack += [following[tensor]] if tensor in following else []
        elif i not in chosen:
            node = body.node[i]
            if node.op_type not in _SCALAR or node.domain not in ("", "ai.onnx"):
                return None
            chosen.add(i)
            stack += [name for name in node.input if name]
    return [body.node[i] for i in sorted(chosen)], leaves
