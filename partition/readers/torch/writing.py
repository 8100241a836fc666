"""Writing calls into the graph of an exported program."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch.fx.node import map_arg


class CallWriter:
    """Adds calls to a graph, where it says to insert, each with what it would give.

    Parameters
    ----------
    like : the node that the calls stand for; they are in its module.
    """

    def __init__(self, graph: Any, like: Any) -> None:
        self.graph = graph
        self.stack = {key: like.meta[key] for key in ("nn_module_stack", "stack_trace") if key in like.meta}

    def __call__(self, target: Any, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """A call and the tensor (or tensors) that it gives, without data."""
        call = self.graph.create_node("call_function", target, args, kwargs, name)
        values, named = map_arg((args, kwargs), lambda node: node.meta["val"])
        mode = next((m for value in _flat((values, named)) if (m := getattr(value, "fake_mode", None))), None)
        with torch.no_grad(), mode or contextlib.nullcontext():
            result = target(*values, **named)
        call.meta.update({**self.stack, "val": tuple(result) if isinstance(result, list) else result})
        return call


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = tuple(value.values())
    return [x for part in value for x in _flat(part)] if isinstance(value, list | tuple) else [value]
