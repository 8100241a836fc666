"""Read a JAX function into a graph, by its jaxpr; what is counted how is in ``docs/frameworks.md``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from partition.errors import InvalidInput, InvalidModelFile
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.problem.operators import TensorSpec

_INLINED = frozenset({
    "pjit", "jit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call",
    "custom_vjp_call_jaxpr", "custom_lin", "named_call", "xla_call",
})  # fmt: skip
"""Calls whose body takes their place."""

_FREE = frozenset({
    "reshape", "broadcast_in_dim", "squeeze", "expand_dims", "copy", "copy_p", "stop_gradient", "sharding_constraint",
    "optimization_barrier", "bitcast_convert_type",
})  # fmt: skip
"""Metadata: no FLOPs and no traffic."""

_MOVES = frozenset({
    "transpose", "concatenate", "slice", "dynamic_slice", "dynamic_update_slice", "gather", "pad", "rev", "iota",
    "select_n", "split", "convert_element_type",
})  # fmt: skip
"""Data movement: traffic, no FLOPs (XLA counts none for most of them)."""


def from_jax(
    function: Callable[..., Any], *args: Any, weights: int | Sequence[int] = (), name: str | None = None
) -> Graph:
    """Trace ``function(*args)`` and convert what it does.

    Parameters
    ----------
    args : arrays or pytrees of arrays; ``jax.ShapeDtypeStruct`` will do.
    weights : positions of the arguments that are parameters of the model, resident on the chips that use them; the
        others are inputs. Constants that the function closes over are weights too.

    Raises
    ------
    InvalidModelFile : the function cannot be traced, or holds control flow that depends on data (named).
    InvalidInput : ``weights`` names an argument that is not there, or jax is not installed.
    """
    try:
        import jax
    except ImportError as error:
        raise InvalidInput("reading JAX functions needs jax; pip install 'mcm-partition[jax]'") from error
    held = {weights} if isinstance(weights, int) else set(weights)
    if not held <= set(range(len(args))):
        raise InvalidInput(f"weights names argument {max(held)}, but there are {len(args)} arguments, counted from 0")
    try:
        closed = jax.make_jaxpr(function)(*args)
    except Exception as error:  # whatever the traced function raises
        reason = str(error).strip().splitlines()[0]
        raise InvalidModelFile(f"the function cannot be traced ({type(error).__name__}: {reason})") from error
    reader = _Reader(GraphBuilder(name or str(getattr(function, "__name__", "jax"))))
    paths = [
        (position in held, f"{'w' if position in held else 'x'}{position}{jax.tree_util.keystr(path)}")
        for position, arg in enumerate(args)
        for path, _ in jax.tree_util.tree_flatten_with_path(arg)[0]
    ]
    for variable, (is_weight, path) in zip(closed.jaxpr.invars, paths, strict=True):
        reader.argument(variable, path, is_weight)
    reader.constants(closed.jaxpr, closed.consts, "constant")
    reader.walk(closed.jaxpr, "")
    return reader.builder.build()


class _Reader:
    """Walks equations; variables stand for tensors of the graph or for weights."""

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder
        self.tensor: dict[Any, str] = {}
        self.weight: dict[Any, tuple[str, float]] = {}
        self.count: dict[str, int] = {}

    def argument(self, variable: Any, path: str, is_weight: bool) -> None:
        size = _spec(variable.aval).bytes
        if is_weight:
            self.weight[variable] = (path, size)
        else:
            self.builder.operation(path, "Input", outputs={path: size})
            self.tensor[variable] = path

    def constants(self, jaxpr: Any, values: Sequence[Any], label: str) -> None:
        for i, (variable, _) in enumerate(zip(jaxpr.constvars, values, strict=True)):
            self.weight[variable] = (f"{label}{len(self.weight)}.{i}", _spec(variable.aval).bytes)

    def walk(self, jaxpr: Any, prefix: str) -> None:
        for equation in jaxpr.eqns:
            primitive = equation.primitive.name
            body = _body(equation)
            if primitive in _INLINED and body is not None:
                self._inline(equation, body, prefix)
            elif primitive in ("cond", "while"):
                raise InvalidModelFile(
                    f"{primitive!r} in {prefix or 'the function'} is control flow that depends on data and cannot be "
                    "partitioned; trace one branch, or a fixed number of steps with scan or fori_loop"
                )
            else:
                self._operation(equation, primitive, prefix)

    def _inline(self, equation: Any, body: Any, prefix: str) -> None:
        inner = getattr(body, "jaxpr", body)
        self.constants(inner, getattr(body, "consts", ()), "constant")
        for outer, variable in zip(equation.invars, inner.invars, strict=False):
            self._same(variable, outer)
        called = str(equation.params.get("name") or equation.primitive.name)
        self.walk(inner, f"{prefix}{self._unique(called)}/")
        for variable, outer in zip(equation.outvars, inner.outvars, strict=True):
            self._same(variable, outer)

    def _same(self, variable: Any, known: Any) -> None:
        if _is_literal(known):
            return
        if known in self.tensor:
            self.tensor[variable] = self.tensor[known]
            self.weight.pop(variable, None)
        elif known in self.weight:
            self.weight[variable] = self.weight[known]
            self.tensor.pop(variable, None)

    def _operation(self, equation: Any, primitive: str, prefix: str) -> None:
        read = [v for v in equation.invars if not _is_literal(v)]
        if primitive in _FREE and len(read) == 1 and read[0] in self.weight and len(equation.outvars) == 1:
            self.weight[equation.outvars[0]] = self.weight[read[0]]  # a view of a weight
            return
        name = prefix + self._unique(prefix + primitive).removeprefix(prefix)
        outputs = {}
        for i, variable in enumerate(equation.outvars):
            tensor = f"{name}.{i}" if len(equation.outvars) > 1 else name
            outputs[tensor] = _spec(variable.aval).bytes
            self.tensor[variable] = tensor
        flops, known = _flops(equation)
        traffic = sum(_spec(v.aval).bytes for v in (*equation.invars, *equation.outvars))
        self.builder.operation(
            name,
            primitive,
            inputs=list(dict.fromkeys(self.tensor[v] for v in read if v in self.tensor)),
            outputs=outputs,
            flops=flops,
            bytes_accessed=0.0 if primitive in _FREE else traffic,
            weights=dict(self.weight[v] for v in read if v in self.weight),
            unknown=not known,
        )

    def _unique(self, name: str) -> str:
        number = self.count[name] = self.count.get(name, -1) + 1
        return f"{name}_{number}" if number else name


def _is_literal(variable: Any) -> bool:
    return hasattr(variable, "val")


def _body(equation: Any) -> Any:
    """The jaxpr that a call runs."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if key in equation.params:
            return equation.params[key]
    return None


def _spec(aval: Any) -> TensorSpec:
    shape = getattr(aval, "shape", ())
    if not all(isinstance(extent, int) for extent in shape):
        raise InvalidModelFile(f"the shape {shape} is not made of numbers; trace with arrays of fixed shape")
    itemsize = getattr(getattr(aval, "dtype", None), "itemsize", 4)
    return TensorSpec(tuple(shape), float(itemsize))


def _flops(equation: Any) -> tuple[float, bool]:
    """As XLA's cost analysis counts them: 2 per multiply-add, 1 per element of anything else that computes."""
    primitive, params = equation.primitive.name, equation.params
    output = _spec(equation.outvars[0].aval)
    if primitive == "dot_general":
        contracted = params["dimension_numbers"][0][0]
        shape = equation.invars[0].aval.shape
        return 2.0 * output.size * math.prod(shape[d] for d in contracted), True
    if primitive == "conv_general_dilated":
        return _convolution(equation, output), True
    if primitive == "scan":
        inner = [_flops(e) for e in _all_equations(params["jaxpr"].jaxpr)]
        return params["length"] * sum(f for f, _ in inner), all(known for _, known in inner)
    if primitive in _FREE or primitive in _MOVES:
        return 0.0, True
    if primitive.startswith(("reduce_", "arg")) and primitive != "reduce_precision":
        return float(_spec(equation.invars[0].aval).size), True
    if primitive.startswith("reduce_window"):
        return float(output.size * math.prod(params.get("window_dimensions", (1,)))), True
    if _body(equation) is not None:
        inner = [_flops(e) for e in _all_equations(getattr(_body(equation), "jaxpr", _body(equation)))]
        return sum(f for f, _ in inner), False
    return float(output.size), True


def _convolution(equation: Any, output: TensorSpec) -> float:
    """2 per multiply-add on elements that are there: padding and the holes of a dilated input do not count."""
    params, numbers = equation.params, equation.params["dimension_numbers"]
    image, kernel = equation.invars[0].aval.shape, equation.invars[1].aval.shape
    pairs = 1
    for d, (low, _) in enumerate(params["padding"]):
        hole, spread = (params.get("lhs_dilation") or ())[d], (params.get("rhs_dilation") or ())[d]
        size = (image[numbers.lhs_spec[2 + d]] - 1) * hole + 1
        at = np.arange(output.shape[numbers.out_spec[2 + d]])[:, None] * params["window_strides"][d] - low
        at = at + np.arange(kernel[numbers.rhs_spec[2 + d]]) * spread
        pairs *= int(((at >= 0) & (at < size) & (at % hole == 0)).sum())
    batch, channels = output.shape[numbers.out_spec[0]], output.shape[numbers.out_spec[1]]
    return float(2 * batch * channels * kernel[numbers.rhs_spec[1]] * pairs)


def _all_equations(jaxpr: Any) -> list[Any]:
    """Equations with the bodies of calls in their place."""
    found = []
    for equation in jaxpr.eqns:
        body = _body(equation) if equation.primitive.name in _INLINED else None
        found += [equation] if body is None else _all_equations(getattr(body, "jaxpr", body))
    return found
