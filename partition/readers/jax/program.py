"""Read a JAX function into a graph, by its jaxpr; what is counted how is in ``docs/frameworks.md``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from partition.errors import DoubtfulModel, InvalidInput, InvalidModelFile
from partition.extras import require
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.readers.jax.costs import refuse_control_flow, size_in_bytes
from partition.readers.jax.origins import has_backward_pass, origins
from partition.readers.jax.results import (
    Argument,
    arguments_of,
    new_values,
    refuse_unmatched,
    refuse_unnamed,
    refuse_untold,
)
from partition.readers.jax.settled import settle_branches
from partition.readers.jax.walk import JaxprReader, JaxWeight


def from_jax(
    function: Callable[..., Any],
    *args: Any,
    weights: int | Sequence[int] = (),
    unroll: bool = True,
    name: str | None = None,
) -> Graph:
    """Trace ``function(*args)`` and convert what it does.

    Parameters
    ----------
    args : arrays or pytrees of arrays; ``jax.ShapeDtypeStruct`` will do.
    weights : positions of the arguments that are parameters of the model, or caches, resident on the chips that use
        them; the others are inputs. Constants that the function closes over are weights too. Where the function
        returns new values or gradients of them (a result of the same structure), readers and makers share a chip.
    unroll : whether a ``scan`` over stacked weights (the layers of a model) becomes one operation for each operation
        of each step. A scan over anything else, and every scan with ``unroll=False``, is one operation of all its
        steps.
    name : of the graph; the function's name by default.

    Raises
    ------
    InvalidModelFile : the function cannot be traced, or holds control flow that depends on data (named). It is a train
        step whose results cannot be told apart, or whose parameters ``weights`` does not name.
    InvalidInput : ``weights`` names an argument that is not there, or jax is not installed.

    Warns
    -----
    DoubtfulModel : the function has a backward pass, but trains nothing: it is read as a model in use.
    """
    require("reading JAX functions", "jax")
    import jax

    held = {weights} if isinstance(weights, int) else set(weights)
    if not held <= set(range(len(args))):
        raise InvalidInput(f"weights names argument {max(held)}, but there are {len(args)} arguments, counted from 0")
    try:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    except Exception as error:  # whatever the traced function raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidModelFile(f"the function cannot be traced ({type(error).__name__}: {reason})") from error
    closed = _without_dead(settle_branches(closed))
    for equation in closed.jaxpr.eqns:
        refuse_control_flow(equation, "")
    arguments = arguments_of(args, [f"{'w' if i in held else 'x'}{i}" for i in range(len(args))])
    weighty = [argument for i, argument in enumerate(arguments) if i in held]
    others = [argument for i, argument in enumerate(arguments) if i not in held]
    made, trains = _trained(weighty, others, closed, shapes)

    reader = JaxprReader(GraphBuilder(name or str(getattr(function, "__name__", "jax"))), unroll)
    reader.state.written.update(made.values())
    paths = [(i in held, path) for i, argument in enumerate(arguments) for path in argument.paths]
    values = [
        JaxWeight(path, size_in_bytes(variable)) if is_weight else reader.input(path, variable)
        for variable, (is_weight, path) in zip(closed.jaxpr.invars, paths, strict=True)
    ]
    results = reader.run(closed, values, "")
    for i, weight in made.items():
        reader.makes(results[i], weight)
    return reader.graph(trains and bool(made), results)


def _without_dead(closed: Any) -> Any:
    """The same without equations whose results nobody reads, in bodies too, as XLA leaves them out."""
    from jax.interpreters import partial_eval

    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), instantiate=True)
    return closed.replace(jaxpr=jaxpr)


def _trained(weights: list[Argument], others: list[Argument], closed: Any, shapes: Any) -> tuple[dict[int, str], bool]:
    """Position of a result -> the weight whose new value it is, and whether there is a backward pass.

    Raises InvalidModelFile where there is one, and nothing tells which result belongs to which weight.
    """
    trains, came = has_backward_pass(closed.jaxpr), origins(closed)
    made = new_values(weights, shapes, came, trains)
    if trains:
        refuse_unnamed(weights, others, shapes, came)
        refuse_unmatched(weights, shapes, came, made)
        refuse_untold(weights, closed, came, made)
    if trains and not made:
        warnings.warn(
            DoubtfulModel(
                "the function has a backward pass, but no result is the gradient or the new value of a weight; it is "
                "read as a model in use, with nothing to train. If it trains, name its parameters with weights="
            ),
            stacklevel=4,
        )
    return made, trains
