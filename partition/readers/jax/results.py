"""Which results of a JAX function are new values or gradients of which weights: by the structure of the pytrees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from partition.readers.jax.costs import body_of, open_jaxpr


@dataclass(frozen=True)
class Leaf:
    """A pytree of arrays.

    Attributes
    ----------
    tree : the pytree.
    paths : name of each leaf.
    """

    tree: Any
    paths: tuple[str, ...]


@dataclass(frozen=True)
class _Subtree:
    """Leaves ``first .. first + len(avals) - 1`` of a pytree."""

    first: int
    structure: Any
    avals: tuple[tuple[tuple[int, ...], str], ...]

    @property
    def key(self) -> tuple[Any, ...]:
        return self.structure, self.avals


def leaves_of(tree: Any, label: str) -> Leaf:
    """The leaves of a pytree, named ``label`` and their path."""
    import jax

    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return Leaf(tree, tuple(f"{label}{jax.tree_util.keystr(path)}" for path, _ in paths))


def has_backward_pass(jaxpr: Any) -> bool:
    """Whether an equation, or one inside of it, comes from transposing (``jax.grad``)."""
    return any(
        is_transposed(equation) or ((body := body_of(equation)) is not None and has_backward_pass(open_jaxpr(body)))
        for equation in jaxpr.eqns
    )


def is_transposed(equation: Any) -> bool:
    """Whether JAX says that the equation belongs to a backward pass."""
    return "transpose(" in str(equation.source_info.name_stack)


def new_values(weights: Sequence[Leaf], shapes: Any, trains: bool) -> dict[int, str]:
    """Position of a result among all leaves -> the weight whose new value or gradient it is.

    A result belongs to a weight when a whole argument, or in a train step a part of one with several leaves, comes
    back with the same structure, shapes and number types. The largest parts are matched first.

    Parameters
    ----------
    weights : the arguments that are weights.
    shapes : pytree of the results' shapes.
    trains : whether the function has a backward pass.
    """
    candidates: dict[tuple[Any, ...], list[list[str]]] = {}
    for argument in weights:
        for subtree in _subtrees(argument.tree, 0):
            whole = len(subtree.avals) == len(argument.paths)
            if whole or (trains and len(subtree.avals) > 1):
                paths = list(argument.paths[subtree.first : subtree.first + len(subtree.avals)])
                candidates.setdefault(subtree.key, []).append(paths)
    made: dict[int, str] = {}
    taken: set[str] = set()
    for subtree in sorted(_subtrees(shapes, 0), key=lambda s: -len(s.avals)):
        options = candidates.get(subtree.key)
        if not options or not subtree.avals or subtree.first in made:
            continue
        if len(subtree.avals) == 1 and not trains and len(subtree.avals[0][0]) == 0:
            continue  # a lone number says nothing
        paths = next((o for o in options if taken.isdisjoint(o)), options[0])
        taken.update(paths)
        made.update({subtree.first + i: path for i, path in enumerate(paths)})
    return made


def _subtrees(tree: Any, first: int) -> Iterator[_Subtree]:
    """The pytree itself and all parts of it, each once."""
    import jax

    leaves, structure = jax.tree_util.tree_flatten(tree)
    avals = tuple((tuple(leaf.shape), str(leaf.dtype)) if hasattr(leaf, "dtype") else ((), "") for leaf in leaves)
    yield _Subtree(first, structure, avals)
    if jax.tree_util.treedef_is_leaf(structure):
        return
    for child in jax.tree_util.tree_flatten(tree, is_leaf=lambda part: part is not tree)[0]:
        yield from _subtrees(child, first)
        first += len(jax.tree_util.tree_leaves(child))
