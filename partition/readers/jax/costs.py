"""What one equation of a jaxpr costs; ``docs/extending.md`` says what comes from where."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from partition.errors import InvalidModelFile
from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost

INLINED = frozenset({
    "pjit", "jit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call",
    "custom_vjp_call_jaxpr", "custom_lin", "named_call", "xla_call", "shard_map", "cond", "custom_vmap_call",
    "composite",
})  # fmt: skip
"""Calls whose body takes their place; of ``cond`` the branch, where it does not depend on data."""

FREE = frozenset({
    "reshape", "broadcast_in_dim", "squeeze", "expand_dims", "copy", "copy_p", "stop_gradient", "sharding_constraint",
    "optimization_barrier", "bitcast_convert_type", "pvary", "layout_constraint", "random_wrap", "random_unwrap",
    "name", "reshard", "pbroadcast", "psum", "psum_invariant", "all_gather", "all_gather_invariant", "all_to_all",
    "ppermute", "reduce_scatter", "axis_index", "pmax", "pmin", "slice", "split", "platform_index", "debug_callback",
    "debug_print", "device_put",
})  # fmt: skip
"""Views: no FLOPs, no traffic, no time. Collectives too, since no more than one device is read; and printing."""

_MOVES = frozenset({
    "transpose", "concatenate", "pad", "rev", "iota", "empty", "empty2", "create_token", "real", "imag", "complex",
})  # fmt: skip
"""Data movement: traffic, no FLOPs."""

_ELEMENTWISE = frozenset({
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil",
    "clamp", "conj", "convert_element_type", "cos", "cosh", "div", "eq", "eq_to", "erf", "erfc", "exp", "exp2",
    "expm1", "floor", "ge", "gt", "is_finite", "le", "le_to", "log", "log1p", "lt", "lt_to", "max", "min", "mul",
    "ne", "neg", "nextafter", "not", "or", "population_count", "pow", "reduce_precision", "rem", "round", "rsqrt",
    "select_n", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "sinh", "sqrt",
    "square", "sub", "tan", "tanh", "xor",
})  # fmt: skip
"""1 FLOP per element of the result."""

_REDUCTIONS = frozenset({
    "reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor", "argmax",
    "argmin", "cumsum", "cumprod", "cummax", "cummin",
})  # fmt: skip
"""1 FLOP per element of the operand (XLA writes a cumulative sum as a sum for every element)."""

KERNEL = "pallas_call"
"""A kernel that the user wrote: its cost is what the user says it is (``cost_estimate``)."""

_CONTROL = {"cond": "a branch that depends on data", "while": "a loop whose length depends on data"}


def equation_spec(aval: Any) -> TensorSpec:
    """Shape and number type of an abstract value.

    Raises
    ------
    InvalidModelFile : an extent is symbolic.
    """
    shape = getattr(aval, "shape", ())
    if not all(isinstance(extent, int) for extent in shape):
        raise InvalidModelFile(f"the shape {shape} is not made of numbers; trace with arrays of fixed shape")
    itemsize = getattr(getattr(aval, "dtype", None), "itemsize", 4)
    return TensorSpec(tuple(shape), float(itemsize))


def size_in_bytes(variable: Any) -> float:
    return equation_spec(variable.aval).bytes


def body_of(equation: Any) -> Any:
    """The jaxpr that a call runs, or None."""
    if equation.primitive.name == "cond":
        return _settled_branch(equation)
    if equation.primitive.name == "custom_linear_solve":
        return equation.params["jaxprs"].solve
    if equation.primitive.name == KERNEL:
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr", "call"):
        if hasattr(open_jaxpr(equation.params.get(key)), "eqns"):
            return equation.params[key]
    return None


def given_to_body(equation: Any, operands: Sequence[Any]) -> Sequence[Any]:
    """Of what an inlined call is given, what its body takes; the number of a branch is for nobody inside."""
    first = equation.primitive.name == "cond"
    return operands[first : first + len(open_jaxpr(body_of(equation)).invars)]


def _settled_branch(equation: Any) -> Any:
    """The branch that runs, if the program states its number, or the platform decides (then the default); or None."""
    branches, platforms = equation.params["branches"], equation.params.get("branches_platforms")
    if platforms:
        return branches[platforms.index(None) if None in platforms else 0]
    index = equation.invars[0]
    return branches[min(max(0, int(index.val)), len(branches) - 1)] if is_literal(index) else None


def is_cheap(equation: Any) -> bool:
    """Whether it shows or moves data alone."""
    return equation.primitive.name in FREE or equation.primitive.name in _MOVES


def is_literal(variable: Any) -> bool:
    """Whether it is a number written into the program."""
    return hasattr(variable, "val")


def open_jaxpr(body: Any) -> Any:
    """The jaxpr itself, of a closed one."""
    return getattr(body, "jaxpr", body)


def refuse_control_flow(equation: Any, where: str) -> None:
    """Raise if the equation, or one inside, branches on data, writes in place, or is cut for devices."""
    primitive = equation.primitive.name
    if any(type(v.aval).__name__ == "AbstractRef" for v in (*equation.invars, *equation.outvars)):
        raise InvalidModelFile(
            f"{primitive!r} in {where or 'the function'} is of a reference (jax.new_ref), which is written in place; "
            "what reads it after which write is not in the edges, so return the new values instead"
        )
    devices = getattr(equation.params.get("mesh"), "size", 1) if primitive == "shard_map" else 1
    if devices != 1:
        raise InvalidModelFile(
            f"'shard_map' in {where or 'the function'} is cut for {devices} devices already and cannot be partitioned; "
            "trace the function for one device"
        )
    if primitive in _CONTROL and body_of(equation) is None:
        raise InvalidModelFile(
            f"{primitive!r} in {where or 'the function'} is {_CONTROL[primitive]} and cannot be partitioned; trace one "
            "branch, or a fixed number of steps with scan or fori_loop"
        )
    body = body_of(equation)
    if body is not None:
        for inner in open_jaxpr(body).eqns:
            refuse_control_flow(inner, f"the body of {primitive!r} in {where or 'the function'}")


class EquationCosts:
    """The cost of equations; what XLA is asked for is asked once."""

    def __init__(self) -> None:
        self._asked: dict[str, float | None] = {}

    def of(self, equation: Any) -> OperatorCost:
        """FLOPs, traffic, and whether they are more than the default of 1 FLOP per element of the results."""
        primitive = equation.primitive.name
        if primitive in FREE:
            return OperatorCost(0.0, 0.0, True)
        flops, known = self.flops(equation)
        return OperatorCost(flops, float(_ROWS.get(primitive, _whole)(equation)), known)

    def flops(self, equation: Any) -> tuple[float, bool]:
        """2 per multiply-add, 1 per element of other arithmetic; a scan takes its steps together."""
        primitive, params = equation.primitive.name, equation.params
        output = equation_spec(equation.outvars[0].aval) if equation.outvars else TensorSpec((0,), 0)
        if is_cheap(equation):
            return 0.0, True
        if primitive in _ELEMENTWISE:
            return float(output.size), True
        if primitive in _REDUCTIONS:
            return float(equation_spec(equation.invars[0].aval).size), True
        if primitive in _PRODUCTS:
            return float(_PRODUCTS[primitive](equation, output)), True
        if primitive in ("scan", "custom_linear_solve") or primitive in INLINED:
            inner = [self.flops(e) for e in open_jaxpr(body_of(equation)).eqns]
            return params.get("length", 1) * sum(f for f, _ in inner), all(known for _, known in inner)
        counted = _stated_flops(equation) if primitive == KERNEL else self._xla(equation)
        if counted is None:
            return float(sum(equation_spec(v.aval).size for v in equation.outvars)), False
        return counted, True

    def _xla(self, equation: Any) -> float | None:
        """XLA's own analysis of this equation alone; None where it has none."""
        key = f"{equation.primitive.name} {[str(v.aval) for v in equation.invars]} {equation.params}"
        if key not in self._asked:
            self._asked[key] = _analysed(equation)
        return self._asked[key]


def _analysed(equation: Any) -> float | None:
    import jax

    def alone(*operands: Any) -> Any:
        return equation.primitive.bind(*operands, **equation.params)

    try:
        shapes: Any = [v.aval for v in equation.invars]
        lowered = jax.jit(alone).lower(*shapes)
        if any(hidden in lowered.as_text() for hidden in ("custom_call", "stablehlo.while")):
            return None  # a call into another library, or a loop, of which XLA counts one step
        counted = lowered.cost_analysis()
    except Exception:  # whatever a primitive raises that cannot stand alone
        return None
    if not counted or "flops" not in counted or counted["flops"] < 0:
        return None
    return float(counted["flops"]) + max(0.0, float(counted.get("transcendentals", 0.0)))


# --- Products -----------------------------------------------------------------------------------------------------


def _dot(equation: Any, output: TensorSpec) -> float:
    contracted = equation.params["dimension_numbers"][0][0]
    shape = equation.invars[0].aval.shape
    return 2.0 * output.size * math.prod(shape[d] for d in contracted)


def _ragged_dot(equation: Any, output: TensorSpec) -> float:
    """Rows in groups, each with a matrix of its own, or groups along the contracted dimension; each row once."""
    left = equation.invars[0].aval.shape
    numbers = equation.params.get("ragged_dot_dimension_numbers")
    if numbers is None:
        return 2.0 * output.size * left[-1]
    contracted, _ = numbers.dot_dimension_numbers[0]
    ragged = set(numbers.lhs_ragged_dimensions)
    inner = math.prod(left[d] for d in contracted)
    return 2.0 * output.size * inner / (output.shape[0] if ragged <= set(contracted) and ragged else 1)


def _scaled(equation: Any, output: TensorSpec) -> float:
    """``scaled_matmul(a, b, scales...)``: a product along the last axis of both; a scale for each block of it."""
    inner, blocks = equation.invars[0].aval.shape[-1], equation.invars[2].aval.shape[-1]
    return output.size * (2.0 * inner + blocks)


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


def _power(equation: Any, output: TensorSpec) -> float:
    """By squaring, as XLA writes it."""
    power = int(equation.params["y"])
    products = max(0, abs(power).bit_length() + abs(power).bit_count() - 2)
    return output.size * float(products + (power < 0))


def _window(equation: Any, output: TensorSpec) -> float:
    """What the window holds is combined pair by pair."""
    combined = open_jaxpr(equation.params.get("jaxpr"))
    steps = len(combined.eqns) if combined is not None else 1
    return float(output.size * (math.prod(equation.params["window_dimensions"]) - 1) * steps)


def _sort(equation: Any, output: TensorSpec) -> float:
    shape = equation.invars[0].aval.shape
    length = shape[equation.params.get("dimension", -1)] if shape else 1
    return float(math.prod(shape) * math.ceil(math.log2(max(2, length))))


def _top(equation: Any, output: TensorSpec) -> float:
    """A heap of the k largest."""
    return equation_spec(equation.invars[0].aval).size * math.ceil(math.log2(max(2, equation.params.get("k", 2))))


def _matrices(of: Callable[[int, int, Any], float]) -> Callable[[Any, TensorSpec], float]:
    """Dense linear algebra by the counts of Golub and Van Loan: ``of(rows, columns, equation)`` for each matrix."""

    def flops(equation: Any, output: TensorSpec) -> float:
        shape = equation.invars[0].aval.shape
        return float(math.prod(shape[:-2]) * of(shape[-2], shape[-1], equation))

    return flops


def _householder(m: int, n: int, equation: Any) -> float:
    """``m x n`` to a triangle by reflections."""
    low, high = min(m, n), max(m, n)
    return 2.0 * low * low * (high - low / 3)


def _singular_values(m: int, n: int, equation: Any) -> float:
    low, high = min(m, n), max(m, n)
    vectors = equation.params.get("compute_uv", True)
    return (
        4.0 * high * high * low + 8.0 * high * low * low + 9.0 * low**3 if vectors else 2.0 * _householder(m, n, None)
    )


def _triangular_solve(m: int, n: int, equation: Any) -> float:
    columns = equation.invars[1].aval.shape[-1 if equation.params.get("left_side", True) else -2]
    return float(m * m * columns)


def _combined(equation: Any, output: TensorSpec) -> float:
    return float(equation_spec(equation.invars[2].aval).size)


def _none(equation: Any, output: TensorSpec) -> float:
    return 0.0


_PRODUCTS: Mapping[str, Callable[[Any, TensorSpec], float]] = {
    "dot_general": _dot, "ragged_dot": _ragged_dot, "scaled_matmul_wrapper": _scaled, "ragged_dot_general": _ragged_dot,
    "conv_general_dilated": _convolution, "logistic": lambda e, output: 4.0 * output.size,
    "integer_pow": _power, "sort": _sort, "top_k": _top, "approx_top_k": _top,
    "reduce_window_sum": _window, "reduce_window_max": _window, "reduce_window_min": _window,
    "reduce_window": _window, "gather": _none, "dynamic_slice": _none, "dynamic_update_slice": _none,
    "scatter": _none, "scatter-add": _combined, "scatter_add": _combined, "scatter-mul": _combined,
    "scatter_mul": _combined, "scatter-min": _combined, "scatter_min": _combined, "scatter-max": _combined,
    "scatter_max": _combined, "cholesky": _matrices(lambda m, n, _: n**3 / 3),
    "lu": _matrices(lambda m, n, _: min(m, n) ** 2 * (max(m, n) - min(m, n) / 3)),
    "triangular_solve": _matrices(_triangular_solve), "qr": _matrices(lambda m, n, e: 2 * _householder(m, n, e)),
    "geqrf": _matrices(_householder), "householder_product": _matrices(_householder),
    "svd": _matrices(_singular_values), "eigh": _matrices(lambda m, n, _: 9.0 * n**3),
    "eig": _matrices(lambda m, n, _: 25.0 * n**3), "schur": _matrices(lambda m, n, _: 25.0 * n**3),
    "hessenberg": _matrices(lambda m, n, _: 10.0 / 3 * n**3), "tridiagonal": _matrices(lambda m, n, _: 4.0 / 3 * n**3),
    "lu_pivots_to_permutation": lambda e, output: output.size,
}  # fmt: skip


# --- Lookups and writes: the rows they touch ----------------------------------------------------------------------


def _rows_read(equation: Any) -> float:
    """What is returned is read and written; indices are read."""
    return 2.0 * size_in_bytes(equation.outvars[0]) + sum(map(size_in_bytes, equation.invars[1:]))


def _rows_written(update: int) -> Callable[[Any], float]:
    """What replaces a part is read and written; the other operands but the whole are read."""

    def traffic(equation: Any) -> float:
        others = sum(size_in_bytes(v) for i, v in enumerate(equation.invars) if i not in (0, update))
        return 2.0 * size_in_bytes(equation.invars[update]) + others

    return traffic


def _rows_combined(equation: Any) -> float:
    return _rows_written(2)(equation) + size_in_bytes(equation.invars[2])


def _whole(equation: Any) -> float:
    """Every operand read once, every result written once."""
    return sum(map(size_in_bytes, (*equation.invars, *equation.outvars)))


def _steps(equation: Any) -> float:
    """Of a scan: what every step looks rows up in is read as far as all steps together touch it."""
    params, body = equation.params, open_jaxpr(equation.params["jaxpr"])
    constants = params["num_consts"]
    looked_up = zip(equation.invars[:constants], body.invars[:constants], strict=True)
    read = sum(min(size_in_bytes(v), params["length"] * _touched(body, inner)) for v, inner in looked_up)
    return read + sum(map(size_in_bytes, (*equation.invars[constants:], *equation.outvars)))


def _touched(jaxpr: Any, variable: Any) -> float:
    """Bytes of a variable that the equations read; all of it where one is no lookup."""
    total, whole = 0.0, size_in_bytes(variable)
    for equation in jaxpr.eqns:
        for i, operand in enumerate(equation.invars):
            if operand is not variable:
                continue
            body = body_of(equation) if equation.primitive.name in INLINED else None
            if body is not None:
                total += _touched(open_jaxpr(body), open_jaxpr(body).invars[i - (equation.primitive.name == "cond")])
            else:
                looked_up = i == 0 and equation.primitive.name in ("gather", "dynamic_slice")
                total += size_in_bytes(equation.outvars[0]) if looked_up else whole
    return min(total, whole)


def _stated_flops(kernel: Any) -> float | None:
    stated = kernel.params.get("cost_estimate")
    return None if stated is None else float(stated.flops + stated.transcendentals)


def _stated_traffic(kernel: Any) -> float:
    stated = kernel.params.get("cost_estimate")
    return _whole(kernel) if stated is None else float(stated.bytes_accessed)


_ROWS: Mapping[str, Callable[[Any], float]] = {
    "gather": _rows_read, "dynamic_slice": _rows_read, "dynamic_update_slice": _rows_written(1),
    "scatter": _rows_written(2), "scan": _steps, KERNEL: _stated_traffic,
    **dict.fromkeys(("scatter-add", "scatter_add", "scatter-mul", "scatter_mul", "scatter-min", "scatter_min",
    "scatter-max", "scatter_max"), _rows_combined),
}  # fmt: skip
"""Traffic of equations that touch a part of a table or of a cache."""
