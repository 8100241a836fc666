"""What one call of a functional program costs; ``docs/extending.md`` says what comes from where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._decomp import decomposition_table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost, operator_cost
from partition.readers.torch.calls import TorchCall, described, is_view
from partition.readers.torch.formulas import PRODUCTS, ROWS, pairs
from partition.readers.torch.tables import PER_INPUT, PER_OUTPUT, SAME


class CallCosts:
    """The cost of calls, each kind of call with its shapes worked out once."""

    def __init__(self) -> None:
        self._known: dict[str, OperatorCost] = {}

    def of(self, call: TorchCall) -> OperatorCost:
        """FLOPs, traffic, and whether they are more than the default of 1 FLOP per element of the results."""
        key = repr((str(call.target), described(call.args), described(tuple(call.kwargs.items()))))
        if key not in self._known:
            self._known[key] = self._work_out(call)
        return self._known[key]

    def _work_out(self, call: TorchCall) -> OperatorCost:
        if is_view(call):
            return OperatorCost(0.0, 0.0, True)
        for source in (_rows, _registered, _product, _table, _pointwise, self._composite, self._decomposed, _drawn):
            try:
                cost = source(call)
            except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError):
                continue  # the operands do not fit the formula: a variant that it does not know
            if cost is not None:
                return cost
        return OperatorCost(float(sum(value.numel() for value in call.writes)), call.traffic, False)

    def _composite(self, call: TorchCall) -> OperatorCost | None:
        """An operator that PyTorch itself writes with others (einsum, tensordot, conv2d): the sum of their FLOPs."""
        if not getattr(call.target, "has_kernel_for_dispatch_key", None):
            return None
        if not call.target.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
            return None
        return self._sum_of_parts(call, call.target.decompose)

    def _decomposed(self, call: TorchCall) -> OperatorCost | None:
        """An operator of PyTorch's table of decompositions, if all that it is written with is known."""
        written = decomposition_table.get(call.target)
        cost = None if written is None else self._sum_of_parts(call, written)
        return cost if cost is not None and cost.known else None

    def _sum_of_parts(self, call: TorchCall, written: Callable[..., Any]) -> OperatorCost:
        """All FLOPs; of the traffic not more than operands and results once, less where parts are looked up."""
        parts = _CostSum(self)
        with torch.no_grad(), parts:
            written(*call.args, **call.kwargs)
        return OperatorCost(parts.flops, min(call.traffic, parts.traffic), parts.known)


class _CostSum(TorchDispatchMode):
    """Adds up the operators that run inside of it."""

    def __init__(self, costs: CallCosts) -> None:
        super().__init__()
        self.costs, self.flops, self.traffic, self.known = costs, 0.0, 0.0, True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        results = tuple(result) if isinstance(result, tuple | list) else (result,)
        cost = self.costs.of(TorchCall(func, args, kwargs or {}, results))
        self.flops, self.traffic = self.flops + cost.flops, self.traffic + cost.bytes_accessed
        self.known = self.known and cost.known
        return result


# --- Where costs come from, the first that knows the operator -----------------------------------------------------


def _registered(call: TorchCall) -> OperatorCost | None:
    """PyTorch's own counter, and whatever was registered with it (``register_flop_formula``)."""
    formula = flop_registry.get(getattr(call.target, "overloadpacket", call.target))
    if formula is None:
        return None
    value = call.results if len(call.results) > 1 else call.results[0]
    flops = float(formula(*call.args, **call.kwargs, out_val=value))
    if "attention" in call.kind and "backward" not in call.kind:
        flops += 6.0 * pairs(call)
    return OperatorCost(flops, call.traffic, True)


def _product(call: TorchCall) -> OperatorCost | None:
    formula = PRODUCTS.get(call.kind)
    return None if formula is None else OperatorCost(float(formula(call)), call.traffic, True)


def _table(call: TorchCall) -> OperatorCost | None:
    if call.kind.startswith("_foreach_"):
        return _foreach(call, call.kind.removeprefix("_foreach_").removesuffix("_"))
    if call.kind in PER_OUTPUT:
        return OperatorCost(PER_OUTPUT[call.kind] * call.writes[0].numel(), call.traffic, True)
    if call.kind in PER_INPUT:
        return OperatorCost(PER_INPUT[call.kind] * max(t.numel() for t in call.reads), call.traffic, True)
    if call.kind not in SAME:
        return None
    inputs: list[TensorSpec | None] = [_spec(value) for value in call.reads]
    outputs: list[TensorSpec | None] = [_spec(value) for value in call.writes]
    return operator_cost(SAME[call.kind], inputs, outputs, _attributes(call))


def _foreach(call: TorchCall, kind: str) -> OperatorCost:
    """The operator for every tensor of a list; those that are not listed work element by element."""
    if kind in PER_INPUT:
        return OperatorCost(PER_INPUT[kind] * sum(t.numel() for t in call.args[0]), call.traffic, True)
    each = 0.0 if kind in ("copy", "clone", "zero") else PER_OUTPUT.get(kind, 1.0)
    return OperatorCost(each * sum(t.numel() for t in call.writes), call.traffic, True)


def _pointwise(call: TorchCall) -> OperatorCost | None:
    """1 FLOP per element, for whatever PyTorch says works element by element, or reduces."""
    tags = getattr(call.target, "tags", ())
    if torch.Tag.pointwise in tags:
        return OperatorCost(float(call.writes[0].numel()), call.traffic, True)
    if getattr(torch.Tag, "reduction", None) in tags:
        return OperatorCost(float(call.reads[0].numel()), call.traffic, True)
    return None


def _drawn(call: TorchCall) -> OperatorCost | None:
    """1 FLOP per element, for what draws a number for each element of what it reads, or reads nothing."""
    drawn = torch.Tag.nondeterministic_seeded in getattr(call.target, "tags", ())
    if not drawn or any(read.shape != call.writes[0].shape for read in call.reads):
        return None
    return OperatorCost(float(call.writes[0].numel()), call.traffic, True)


def _rows(call: TorchCall) -> OperatorCost | None:
    formula = ROWS.get(call.kind)
    if formula is None:
        return None
    flops, traffic = formula(call)
    return OperatorCost(float(flops), float(traffic), True)


def _spec(value: torch.Tensor) -> TensorSpec:
    return TensorSpec(tuple(value.shape), float(value.dtype.itemsize))


def _attributes(call: TorchCall) -> dict[str, Any]:
    if call.kind.startswith(("max_pool", "avg_pool")):
        size, d = call.args[1], int(call.kind.partition("pool")[2][0])
        return {"kernel_shape": list(size) * (d // len(size)) if isinstance(size, tuple | list) else [size] * d}
    return {}
