"""What the steps of a scan share: equations of its body that do not depend on the step, computed once before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from partition.readers.jax.costs import is_cheap, is_literal, open_jaxpr


@dataclass(frozen=True)
class Hoisted:
    """A scan, and the equations before it that were the same in every step.

    Attributes
    ----------
    shared : equations of constants of the scan and of what closed over arrays give, in order.
    kept : positions of the constants that the steps themselves read; those of the new scan.
    made : variables of the shared equations that the steps read; its constants behind those.
    scan : the equation of the scan without them.
    """

    shared: Sequence[Any]
    kept: Sequence[int]
    made: Sequence[Any]
    scan: Any


def hoisted(scan: Any) -> Hoisted | None:
    """Take out of a scan what XLA moves out of the loop; None where every equation depends on the step.

    Views, moves of data and arithmetic of single numbers stay inside, unless something dearer needs them before.
    """
    params = scan.params
    body, count = params["jaxpr"], params["num_consts"]
    jaxpr = open_jaxpr(body)
    shared = _shared(jaxpr, {*jaxpr.invars[:count], *jaxpr.constvars})
    if not shared:
        return None
    gone = {id(equation) for equation in shared}
    left = [equation for equation in jaxpr.eqns if id(equation) not in gone]
    read = {v for equation in left for v in equation.invars if not is_literal(v)}
    read |= {v for v in jaxpr.outvars if not is_literal(v)}
    made = [v for equation in shared for v in equation.outvars if v in read]
    kept = [i for i in range(count) if jaxpr.invars[i] in read]
    invars = [*(jaxpr.invars[i] for i in kept), *made, *jaxpr.invars[count:]]
    outer = [*(scan.invars[i] for i in kept), *made, *scan.invars[count:]]
    unnamed = getattr(jaxpr.debug_info, "with_unknown_names", None)  # older versions of JAX do not name arguments
    steps = jaxpr.replace(eqns=left, invars=invars, **({"debug_info": unnamed()} if unnamed else {}))
    changed = {**params, "jaxpr": body.replace(jaxpr=steps), "num_consts": len(kept) + len(made)}
    return Hoisted(shared, kept, made, scan.replace(invars=outer, params=changed))


def _shared(jaxpr: Any, constants: set[Any]) -> list[Any]:
    """Equations that follow from ``constants`` and numbers alone, and cost something or serve one that does."""
    known, follow = set(constants), []
    for equation in jaxpr.eqns:
        if not equation.effects and all(is_literal(v) or v in known for v in equation.invars):
            follow.append(equation)
            known.update(equation.outvars)
    needed: set[Any] = set()
    found = []
    for equation in reversed(follow):
        if not (is_cheap(equation) or _of_single_numbers(equation)) or needed.intersection(equation.outvars):
            found.append(equation)
            needed.update(v for v in equation.invars if not is_literal(v))
    return found[::-1]


def _of_single_numbers(equation: Any) -> bool:
    return all(getattr(v.aval, "shape", ()) == () for v in (*equation.invars, *equation.outvars))
