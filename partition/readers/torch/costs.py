"""What one call of a functional program costs; ``docs/extending.md`` says what comes from where."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from partition.errors import InvalidModelFile
from partition.operators import OperatorCost, TensorSpec, operator_cost
from partition.readers.torch.tables import PER_INPUT, PER_OUTPUT, SAME

VIEW_WRITES = frozenset({"slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter"})
"""What a write through a view becomes: the tensor with a part of it replaced."""


@dataclass(frozen=True)
class Call:
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
        return sum(map(_stored, self.reads)) + sum(map(_stored, self.writes))

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
    InvalidModelFile : an extent depends on data.
    """
    if isinstance(value, torch.Tensor):
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


def is_view(call: Call) -> bool:
    """Whether the result is the operand's own memory: by the operator's schema, or a copy that moves nothing."""
    if call.kind == "_unsafe_view":
        return True
    if call.kind == "clone" and call.reads and call.writes:
        return call.reads[0].stride() == call.writes[0].stride()
    schema = getattr(call.target, "_schema", None)
    returns = schema.returns if schema is not None else ()
    return bool(returns) and all(r.alias_info is not None and not r.alias_info.is_write for r in returns)


class CallCosts:
    """The cost of calls, each kind of call with its shapes worked out once."""

    def __init__(self) -> None:
        self._known: dict[str, OperatorCost] = {}

    def of(self, call: Call) -> OperatorCost:
        """FLOPs, traffic, and whether they are more than the default of 1 FLOP per element of the results."""
        key = repr((str(call.target), _described(call.args), _described(tuple(call.kwargs.items()))))
        if key not in self._known:
            self._known[key] = self._work_out(call)
        return self._known[key]

    def _work_out(self, call: Call) -> OperatorCost:
        if is_view(call):
            return OperatorCost(0.0, 0.0, True)
        for source in (_rows, _registered, _product, _table, _pointwise, self._composite):
            try:
                cost = source(call)
            except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError):
                continue  # the operands do not fit the formula: a variant that it does not know
            if cost is not None:
                return cost
        return OperatorCost(float(sum(value.numel() for value in call.writes)), call.traffic, False)

    def _composite(self, call: Call) -> OperatorCost | None:
        """An operator that PyTorch itself writes with others (einsum, tensordot, conv2d): the sum of their FLOPs."""
        if not getattr(call.target, "has_kernel_for_dispatch_key", None):
            return None
        if not call.target.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
            return None
        parts = _Parts(self)
        with torch.no_grad(), parts:
            call.target.decompose(*call.args, **call.kwargs)
        return OperatorCost(parts.flops, call.traffic, parts.known)


class _Parts(TorchDispatchMode):
    """Adds up the operators that run inside of it."""

    def __init__(self, costs: CallCosts) -> None:
        super().__init__()
        self.costs, self.flops, self.known = costs, 0.0, True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        results = tuple(result) if isinstance(result, tuple | list) else (result,)
        cost = self.costs.of(Call(func, args, kwargs or {}, results))
        self.flops, self.known = self.flops + cost.flops, self.known and cost.known
        return result


# --- Where costs come from, the first that knows the operator -----------------------------------------------------


def _registered(call: Call) -> OperatorCost | None:
    """PyTorch's own counter, and whatever was registered with it (``register_flop_formula``)."""
    formula = flop_registry.get(getattr(call.target, "overloadpacket", call.target))
    if formula is None:
        return None
    value = call.results if len(call.results) > 1 else call.results[0]
    flops = float(formula(*call.args, **call.kwargs, out_val=value))
    if "attention" in call.kind and "backward" not in call.kind:
        flops += 6.0 * _pairs(call)
    return OperatorCost(flops, call.traffic, True)


def _product(call: Call) -> OperatorCost | None:
    formula = _PRODUCTS.get(call.kind)
    return None if formula is None else OperatorCost(float(formula(call)), call.traffic, True)


def _table(call: Call) -> OperatorCost | None:
    if call.kind in PER_OUTPUT:
        return OperatorCost(PER_OUTPUT[call.kind] * call.writes[0].numel(), call.traffic, True)
    if call.kind in PER_INPUT:
        return OperatorCost(PER_INPUT[call.kind] * max(t.numel() for t in call.reads), call.traffic, True)
    if call.kind not in SAME:
        return None
    inputs: list[TensorSpec | None] = [_spec(value) for value in call.reads]
    outputs: list[TensorSpec | None] = [_spec(value) for value in call.writes]
    return operator_cost(SAME[call.kind], inputs, outputs, _attributes(call))


def _pointwise(call: Call) -> OperatorCost | None:
    """1 FLOP per element, for whatever PyTorch says works element by element, or reduces."""
    tags = getattr(call.target, "tags", ())
    if torch.Tag.pointwise in tags:
        return OperatorCost(float(call.writes[0].numel()), call.traffic, True)
    if getattr(torch.Tag, "reduction", None) in tags:
        return OperatorCost(float(call.reads[0].numel()), call.traffic, True)
    return None


def _rows(call: Call) -> OperatorCost | None:
    formula = _ROWS.get(call.kind)
    if formula is None:
        return None
    flops, traffic = formula(call)
    return OperatorCost(float(flops), float(traffic), True)


# --- Products that PyTorch's counter does not know ----------------------------------------------------------------


def _shape(call: Call, i: int) -> torch.Size:
    shape: torch.Size = call.args[i].shape
    return shape


def _pairs(call: Call) -> float:
    """Pairs of query and key; the softmax over them takes 6 steps for each."""
    return float(math.prod(_shape(call, 0)[:-1]) * _shape(call, 1)[-2])


def _attention(call: Call) -> float:
    """Two products per pair of query and key, and a softmax."""
    return _pairs(call) * (2.0 * _shape(call, 0)[-1] + 2.0 * _shape(call, 2)[-1] + 6.0)


def _grouped(call: Call) -> float:
    """Rows of ``a`` in groups, each with a matrix of its own; or both with groups along the inner dimension."""
    a, b = _shape(call, 0), _shape(call, 1)
    return 2.0 * a[0] * b[-1] * a[-1] if len(a) == len(b) == 2 else 2.0 * call.writes[0].numel() * a[-1]


def _batches_added(call: Call) -> float:
    return 2.0 * math.prod(_shape(call, 1)) * _shape(call, 2)[-1]


def _inner_of(left: int) -> Callable[[Call], float]:
    return lambda call: 2.0 * call.writes[0].numel() * _shape(call, left)[-1]


def _bilinear(call: Call) -> float:
    """``x1[.., i] w[o, i, j] x2[.., j]``: first by w, then by x2."""
    rows, w = math.prod(_shape(call, 0)[:-1]), _shape(call, 2)
    return 2.0 * rows * math.prod(w) + 2.0 * rows * w[0] * w[2]


def _recurrent(call: Call) -> float:
    """Per step and layer 2 x gates x hidden x (input + hidden), from the weights themselves."""
    steps = math.prod(_shape(call, 0)[:-1])
    return 2.0 * steps * sum(w.numel() for part in call.args if isinstance(part, tuple | list)
                             for w in part if isinstance(w, torch.Tensor) and w.dim() == 2)  # fmt: skip


def _cell(call: Call) -> float:
    """One step of a recurrent layer: both of its matrices with every row of the input."""
    return 2.0 * math.prod(_shape(call, 0)[:-1]) * (math.prod(_shape(call, 2)) + math.prod(_shape(call, 3)))


def _sort(call: Call) -> float:
    numel, dim = call.reads[0].numel(), call.reads[0].shape
    return numel * math.ceil(math.log2(max(2, max(dim, default=1))))


def _fourier(call: Call) -> float:
    """5 n log2 n for each transform of n points (half of it where one side is real)."""
    points = max(call.reads[0].numel(), call.writes[0].numel())
    dims = call.argument(1)
    length = math.prod(max(call.reads[0].shape[d], call.writes[0].shape[d]) for d in dims)
    real = not (call.reads[0].is_complex() and call.writes[0].is_complex())
    return (2.5 if real else 5.0) * points * math.log2(max(2, length))


_PRODUCTS: Mapping[str, Callable[[Call], float]] = {
    "scaled_dot_product_attention": _attention, "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention, "flex_attention": _attention,
    "_grouped_mm": _grouped, "grouped_mm": _grouped, "grouped_mm_fallback": _grouped, "_scaled_grouped_mm": _grouped,
    "addbmm": _batches_added, "_int_mm": _inner_of(0), "_scaled_mm": _inner_of(0), "addr": lambda call: 3.0 * call.writes[0].numel(),
    "_cdist_forward": _inner_of(0), "cdist": _inner_of(0), "bilinear": _bilinear,
    "mv": lambda call: 2.0 * call.reads[0].numel(), "dot": lambda call: 2.0 * call.reads[0].numel(),
    "vdot": lambda call: 2.0 * call.reads[0].numel(), "addmv": lambda call: 2.0 * math.prod(_shape(call, 1)),
    "lstm": _recurrent, "gru": _recurrent, "rnn_tanh": _recurrent, "rnn_relu": _recurrent, "lstm_cell": _cell,
    "gru_cell": _cell, "rnn_tanh_cell": _cell, "rnn_relu_cell": _cell, "sort": _sort, "argsort": _sort, "msort": _sort,
    "_fft_r2c": _fourier, "_fft_c2r": _fourier, "_fft_c2c": _fourier,
}  # fmt: skip
"""Operators with a formula of ours: PyTorch's counter lacks them, or counts what one machine runs in their place."""


# --- Lookups and writes: the rows they touch ----------------------------------------------------------------------


def _bag(call: Call) -> tuple[float, float]:
    """``(weight, indices, offsets, ...)``: the rows looked up are read and added."""
    rows = call.args[1].numel() * call.args[0].shape[1]
    others = sum(map(size_in_bytes, call.reads[1:]))
    return float(rows), rows * call.args[0].dtype.itemsize + others + size_in_bytes(call.writes[0])


def _written(updates: int, index: int | None = None, per_update: float = 0.0) -> Callable[[Call], tuple[float, float]]:
    """As many elements as operand ``updates`` has, each read and written; what is combined is read as well."""

    def cost(call: Call) -> tuple[float, float]:
        size = call.args[updates].numel()
        moved = (2.0 + (per_update > 0)) * size * call.writes[0].dtype.itemsize
        return per_update * size, moved + (size_in_bytes(call.args[index]) if index is not None else 0.0)

    return cost


def _put(call: Call) -> tuple[float, float]:
    """``index_put(self, indices, values, accumulate)``; what a mask selects is at most everything."""
    indices, accumulates = [i for i in call.args[1] if i is not None], bool(call.argument(3, False))
    if any(i.dtype in (torch.bool, torch.uint8) for i in indices):
        touched = call.args[0].numel()
    else:
        chosen = math.prod(torch.broadcast_shapes(*(i.shape for i in indices)))
        kept = [e for e, i in zip(call.args[0].shape, [*call.args[1]] + [None] * call.args[0].dim(), strict=False)
                if i is None]  # fmt: skip
        touched = chosen * math.prod(kept)
    moved = (2.0 + accumulates) * touched * call.writes[0].dtype.itemsize
    return float(touched * accumulates), moved + sum(map(size_in_bytes, indices))


def _fill(call: Call) -> tuple[float, float]:
    dim, index = call.args[1], call.args[2]
    rows = call.args[0].numel() / max(1, call.args[0].shape[dim]) * index.numel()
    return 0.0, rows * call.writes[0].dtype.itemsize + size_in_bytes(index)


def _whole(call: Call) -> tuple[float, float]:
    """``copy(self, source)`` reads the source alone."""
    return 0.0, _stored(call.args[1]) + size_in_bytes(call.writes[0])


def _nothing(call: Call) -> tuple[float, float]:
    return 0.0, 0.0


_ROWS: Mapping[str, Callable[[Call], tuple[float, float]]] = {
    "embedding_bag": _bag, "_embedding_bag": _bag, "_embedding_bag_forward_only": _bag, "index_put": _put,
    "_unsafe_index_put": _put, "index_copy": _written(3, 2), "index_add": _written(3, 2, 1), "index_reduce": _written(3, 2, 1),
    "scatter": _written(2, 2), "scatter_add": _written(2, 2, 1), "scatter_reduce": _written(2, 2, 1), "index_fill": _fill,
    "empty": _nothing, "empty_like": _nothing, "empty_strided": _nothing, "new_empty": _nothing,
    "new_empty_strided": _nothing, "empty_permuted": _nothing,
    "copy": _whole, **dict.fromkeys(VIEW_WRITES, _written(1)),
}  # fmt: skip
"""FLOPs and traffic of operators that touch a part of a table or of a cache."""


# --- Shapes -------------------------------------------------------------------------------------------------------


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _described(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), str(value.dtype), tuple(value.stride())
    return tuple(map(_described, value)) if isinstance(value, tuple | list) else repr(value)


def _stored(value: torch.Tensor) -> float:
    """Bytes of the elements that are there: along a dimension of stride 0 they are the same ones."""
    pairs = zip(value.shape, value.stride(), strict=True)
    return float(math.prod(e for e, stride in pairs if stride or not e) * value.dtype.itemsize)


def _spec(value: torch.Tensor) -> TensorSpec:
    return TensorSpec(tuple(value.shape), float(value.dtype.itemsize))


def _attributes(call: Call) -> dict[str, Any]:
    if call.kind.startswith(("max_pool", "avg_pool")):
        size, d = call.args[1], int(call.kind.partition("pool")[2][0])
        return {"kernel_shape": list(size) * (d // len(size)) if isinstance(size, tuple | list) else [size] * d}
    return {}
