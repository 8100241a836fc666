"""What every result of a jaxpr follows from, before it is read: which arguments, and whether a backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from partition.readers.jax.costs import INLINED, body_of, given_to_body, is_literal, open_jaxpr

_UPDATES = ("dynamic_update_slice", "scatter", "select_and", "select_n")
"""How the names of primitives begin that return an operand with a part of it replaced."""

_STEPS = frozenset({"add", "sub", "mul", "add_any", "convert_element_type"})
"""Arithmetic by which a parameter takes a step: it is scaled, and something is added to it."""


@dataclass(frozen=True)
class Origin:
    """What a value follows from.

    Attributes
    ----------
    arguments : bit ``i`` is set if argument ``i`` is among it.
    backward : whether an equation of a backward pass is.
    version : the argument that it is an updated version of, part by part; -1 if of none.
    step : the argument that it is a step from, by adding to it; -1 if from none.
    """

    arguments: int = 0
    backward: bool = False
    version: int = -1
    step: int = -1


def origins(closed: Any) -> list[Origin]:
    """The origin of each result of a closed jaxpr."""
    arguments = [Origin(1 << i, version=i, step=i) for i in range(len(closed.jaxpr.invars))]
    return _results(closed.jaxpr, arguments, False)


def is_transposed(equation: Any) -> bool:
    """Whether JAX says that the equation belongs to a backward pass."""
    return "transpose(" in str(equation.source_info.name_stack)


def has_backward_pass(jaxpr: Any) -> bool:
    """Whether an equation, or one inside of it, comes from transposing (``jax.grad``)."""
    return any(
        is_transposed(equation) or ((body := body_of(equation)) is not None and has_backward_pass(open_jaxpr(body)))
        for equation in jaxpr.eqns
    )


def gradient_shapes(jaxpr: Any, transposed: bool = False) -> set[tuple[int, ...]]:
    """Shapes of all that the backward pass computes, in bodies too."""
    found: set[tuple[int, ...]] = set()
    for equation in jaxpr.eqns:
        back = transposed or is_transposed(equation)
        if back:
            found.update(tuple(variable.aval.shape) for variable in equation.outvars)
        if (body := body_of(equation)) is not None:
            found |= gradient_shapes(open_jaxpr(body), back)
    return found


def _results(jaxpr: Any, arguments: Sequence[Origin], transposed: bool) -> list[Origin]:
    nothing = Origin()
    known: dict[Any, Origin] = dict(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        read = [nothing if is_literal(v) else known.get(v, nothing) for v in equation.invars]
        back = transposed or is_transposed(equation)
        body = body_of(equation)
        if body is not None and equation.primitive.name in INLINED:
            made = _results(open_jaxpr(body), given_to_body(equation, read), back)
        else:
            made = [_made(equation, read, back, v) for v in equation.outvars]
        known.update(zip(equation.outvars, made, strict=True))
    return [nothing if is_literal(v) else known.get(v, nothing) for v in jaxpr.outvars]


def _made(equation: Any, read: list[Origin], back: bool, variable: Any) -> Origin:
    arguments, version, step = 0, -1, -1
    for origin in read:
        arguments |= origin.arguments
    same = [o for v, o in zip(equation.invars, read, strict=True) if v.aval.shape == variable.aval.shape]
    if equation.primitive.name.startswith(_UPDATES):
        version = max((o.version for o in same), default=-1)
    if equation.primitive.name in _STEPS:
        begun = sorted((o.backward, o.step) for o in same if o.step >= 0)
        step = begun[0][1] if len(begun) == 1 or (begun and begun[0][0] < begun[1][0]) else -1
    return Origin(arguments, back or any(origin.backward for origin in read), version, step)
