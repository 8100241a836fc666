"""One call of a functional program: the operator, its arguments and its results, as tensors without data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from partition.errors import InvalidModelFile

VIEW_WRITES = frozenset({"slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter"})
"""What a write through a view becomes: the tensor with a part of it replaced."""


@dataclass(frozen=True)
class TorchCall:
    """One call: the operator, its arguments and its results, tensors without data.

    Attributes
    ----------
    target : the operator (an ``OpOverload`` or a higher-order operator).
    args, kwargs : with a tensor of the meta device for every tensor.
    results : the results by position, None for those that are no tensors.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[Any, ...]

    @cached_property
    def kind(self) -> str:
        """``linear`` of ``aten.linear.default``; the operator's own name otherwise."""
        return kind_of(self.target)

    @cached_property
    def reads(self) -> list[torch.Tensor]:
        """Tensors among the arguments, one that comes twice twice: ``x @ x`` has two operands."""
        return list(_tensors((self.args, tuple(self.kwargs.values()))))

    @cached_property
    def writes(self) -> list[torch.Tensor]:
        return [value for value in self.results if isinstance(value, torch.Tensor)]

    @property
    def traffic(self) -> float:
        """Every operand read once, every result written once; a broadcast operand is as large as what it repeats."""
        return sum(map(stored, self.reads)) + sum(map(stored, self.writes))

    def argument(self, i: int, default: Any = None) -> Any:
        return self.args[i] if i < len(self.args) else default


def kind_of(target: Any) -> str:
    """The name of an operator without its namespace and overload."""
    packet = getattr(target, "overloadpacket", None)
    text = str(packet) if packet is not None else getattr(target, "__name__", str(target))
    return text.rsplit(".", 1)[-1]


def without_data(value: Any) -> Any:
    """Tensors (in lists and tuples too) as tensors of the meta device; symbolic extents as the example had them.

    Raises
    ------
    InvalidModelFile : an extent depends on data, or the size of a sparse or ragged tensor does.
    """
    if isinstance(value, torch.Tensor):
        layout = str(value.layout).removeprefix("torch.")
        if layout.startswith(("sparse", "jagged")):
            raise InvalidModelFile(
                f"a tensor of the layout {layout} has a size that depends on its data; export the module with a dense "
                "one (to_dense)"
            )
        shape = [extent(e) for e in value.shape]
        try:
            strides = [extent(s) for s in value.stride()]
        except (RuntimeError, NotImplementedError):  # sparse and nested tensors have none
            return torch.empty(shape, dtype=value.dtype, device="meta")
        return torch.empty_strided(shape, strides, dtype=value.dtype, device="meta")
    if isinstance(value, tuple | list):
        return type(value)(map(without_data, value)) if type(value) in (tuple, list) else list(map(without_data, value))
    return extent(value) if isinstance(value, torch.SymInt) else value


def extent(number: Any) -> int:
    """A number; of a symbolic one the value that the example had."""
    if isinstance(number, int):
        return number
    hint = getattr(getattr(number, "node", None), "hint", None)
    if hint is None:
        raise InvalidModelFile(f"the extent {number} depends on data; export the module with shapes that do not")
    return int(hint)


def size_in_bytes(value: torch.Tensor) -> float:
    return float(value.numel() * value.dtype.itemsize)


def is_view(call: TorchCall) -> bool:
    """Whether the result is the operand's own memory: by the operator's schema, or a copy that moves nothing."""
    if call.kind == "_unsafe_view":
        return True
    if call.kind == "clone" and call.reads and call.writes:
        return call.reads[0].stride() == call.writes[0].stride()
    schema = getattr(call.target, "_schema", None)
    returns = schema.returns if schema is not None else ()
    return bool(returns) and all(r.alias_info is not None and not r.alias_info.is_write for r in returns)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def described(value: Any) -> Any:
    """What tells one call from another: shapes, number types and strides of tensors, other arguments as they are."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), str(value.dtype), tuple(value.stride())
    return tuple(map(described, value)) if isinstance(value, tuple | list) else repr(value)


def stored(value: torch.Tensor) -> float:
    """Bytes of the elements that are there: along a dimension of stride 0 they are the same ones."""
    pairs = zip(value.shape, value.stride(), strict=True)
    return float(math.prod(e for e, stride in pairs if stride or not e) * value.dtype.itemsize)
