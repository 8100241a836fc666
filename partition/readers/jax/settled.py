"""Branches that the program itself decides: numbers are followed from the text of the program to ``cond``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from partition.readers.jax.costs import INLINED, body_of, is_literal, open_jaxpr


def settle_branches(closed: Any) -> Any:
    """The same closed jaxpr, in which the index of every branch that follows from numbers alone is a number."""
    known = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    return closed.replace(jaxpr=_settled(closed.jaxpr, {v: c for v, c in known.items() if np.ndim(c) == 0}))


def _settled(jaxpr: Any, known: Mapping[Any, Any]) -> Any:
    """``known`` are the variables of it whose numbers are known from outside."""
    values = dict(known)
    equations = []
    for equation in jaxpr.eqns:
        read = [v.val if is_literal(v) else values.get(v) for v in equation.invars]
        if equation.primitive.name == "cond" and read[0] is not None and not is_literal(equation.invars[0]):
            equation = equation.replace(invars=[_literal(equation.invars[0], read[0]), *equation.invars[1:]])
        elif equation.primitive.name in INLINED - {"cond", "shard_map"} and body_of(equation) is not None:
            equation, made = _inside(equation, read)
            values.update(made)
        elif _is_number(equation) and all(value is not None for value in read):
            values[equation.outvars[0]] = equation.primitive.bind(*read, **equation.params)
        equations.append(equation)
    return jaxpr.replace(eqns=equations)


def _inside(equation: Any, read: list[Any]) -> tuple[Any, dict[Any, Any]]:
    """A call with its body settled, and those of its results that are known numbers."""
    body = body_of(equation)
    inner = open_jaxpr(body)
    if len(inner.invars) != len(read):
        return equation, {}
    given = {v: value for v, value in zip(inner.invars, read, strict=True) if value is not None and np.ndim(value) == 0}
    settled = _settled(inner, given)
    found = {}
    known = bool(given) and all(v in given for v in inner.invars) and all(map(_is_number, inner.eqns))
    if known and equation.primitive.name in ("jit", "pjit"):
        results = equation.primitive.bind(*read, **equation.params)
        found = dict(zip(equation.outvars, results, strict=True))
    new = settled if inner is body else body.replace(jaxpr=settled)
    return equation.replace(params={k: new if p is body else p for k, p in equation.params.items()}), found


def _is_number(equation: Any) -> bool:
    """Whether an equation makes one number, of numbers, and does nothing else."""
    plain = len(equation.outvars) == 1 and not equation.effects and body_of(equation) is None
    avals = [v.aval for v in (*equation.invars, *equation.outvars)]
    return plain and all(getattr(aval, "shape", None) == () and _is_real(aval.dtype) for aval in avals)


def _is_real(dtype: Any) -> bool:
    """Whether a type is of truth values, signed integers or floating point; those of machine learning included."""
    import jax.numpy as jnp

    return any(jnp.issubdtype(dtype, kind) for kind in (np.bool_, np.signedinteger, np.floating))


def _literal(variable: Any, value: Any) -> Any:
    from jax.extend.core import Literal

    return Literal(np.asarray(value, variable.aval.dtype)[()], variable.aval)
