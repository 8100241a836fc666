"""Which results of a JAX function are new values or gradients of which weights: by the structure of the pytrees."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partition.errors import InvalidModelFile
from partition.readers.jax.origins import Origin, gradient_shapes


@dataclass(frozen=True)
class Argument:
    """A pytree of arrays that a function is called with.

    Attributes
    ----------
    tree : the pytree.
    first : position of its first leaf among the leaves of all arguments.
    paths : name of each leaf.
    """

    tree: Any
    first: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class _Subtree:
    """A part of a pytree: its leaves stand at ``first`` and behind it."""

    first: int
    structure: Any
    avals: tuple[tuple[tuple[int, ...], str], ...]

    @property
    def key(self) -> tuple[Any, ...]:
        return self.structure, self.avals

    @property
    def leaves(self) -> range:
        return range(self.first, self.first + len(self.avals))


def arguments_of(trees: Sequence[Any], labels: Sequence[str]) -> list[Argument]:
    """Arguments, their leaves named by the label and the path."""
    import jax

    found: list[Argument] = []
    first = 0
    for tree, label in zip(trees, labels, strict=True):
        paths = jax.tree_util.tree_flatten_with_path(tree)[0]
        found.append(Argument(tree, first, tuple(f"{label}{jax.tree_util.keystr(path)}" for path, _ in paths)))
        first += len(paths)
    return found


def new_values(weights: Sequence[Argument], shapes: Any, origins: Sequence[Origin], trains: bool) -> dict[int, str]:
    """Position of a result among all leaves -> the weight whose new value or gradient it is.

    A result belongs to a weight when a whole argument that it follows from comes back with the same structure, shapes
    and number types. An argument that is one bare array counts only where parts of it are replaced (a cache). In a
    train step also a part of an argument with several leaves comes back, and a gradient need not follow from its
    weight. The largest are matched first, to what they are a step from, what they follow from, and what is not matched
    yet.

    Parameters
    ----------
    weights : the arguments that are weights.
    shapes : pytree of the results' shapes.
    origins : of each result.
    trains : whether the function has a backward pass.
    """
    name = {a.first + i: path for a in weights for i, path in enumerate(a.paths)}
    candidates: dict[tuple[Any, ...], list[_Subtree]] = {}
    for argument in weights:
        for part in _subtrees(argument.tree, argument.first):
            if len(part.avals) == len(argument.paths) or (trains and len(part.avals) > 1):
                candidates.setdefault(part.key, []).append(part)
    made: dict[int, str] = {}
    taken: set[int] = set()
    for result in sorted(_subtrees(shapes, 0), key=lambda s: -len(s.avals)):
        options = [c for c in candidates.get(result.key, ()) if trains or _replaced(result, c, origins)]
        if options and result.avals and result.first not in made:
            chosen = min(options, key=lambda o: _doubts(result, o, origins, taken))
            taken.update(chosen.leaves)
            made.update({r: name[w] for r, w in zip(result.leaves, chosen.leaves, strict=True)})
    return made


def refuse_unmatched(weights: Sequence[Argument], shapes: Any, origins: Sequence[Origin], made: dict[int, str]) -> None:
    """Raise if a result of a backward pass could be a weight's new value, but nothing tells of which."""
    import jax

    known = set(made.values())
    free = {
        _aval(leaf)
        for a in weights
        for leaf, path in zip(jax.tree_util.tree_leaves(a.tree), a.paths, strict=True)
        if path not in known and _aval(leaf)[0]
    }
    for i, leaf in enumerate(jax.tree_util.tree_leaves(shapes)):
        if i not in made and origins[i].backward and _aval(leaf) in free:
            raise InvalidModelFile(
                f"result {i} of the function follows from its backward pass and has the shape {tuple(leaf.shape)} of a "
                "weight, but the results do not have the structure of the weights; return gradients or new values in "
                "the pytree in which the weights come in, so that a weight can share a chip with its update"
            )


def refuse_unnamed(
    held: Sequence[Argument], others: Sequence[Argument], shapes: Any, origins: Sequence[Origin]
) -> None:
    """Raise if a train step returns new values or gradients of arguments that are not named as weights.

    Inputs may have gradients where larger weights have none (forces of atoms). A bare array counts where nothing at all
    is named: among several arguments, one of them is then a parameter.
    """
    import jax

    several = [argument for argument in others if len(argument.paths) > 1]
    found = set(new_values([*held, *several], shapes, origins, True).values())
    trains = any(not found.isdisjoint(argument.paths) for argument in held)
    weight = sum(map(_elements, held))
    trained = [a for a in several if not found.isdisjoint(a.paths) and (trains or _elements(a) >= weight)]
    if not held and len(others) > 1:
        made = {_aval(leaf) for leaf, o in zip(jax.tree_util.tree_leaves(shapes), origins, strict=True) if o.backward}
        trained += [a for a in others if len(a.paths) == 1 and _aval(*jax.tree_util.tree_leaves(a.tree)) in made]
    if trained:
        raise InvalidModelFile(
            f"the function has a backward pass and returns new values or gradients of {trained[0].paths[0]!r}; say "
            "with weights= which arguments are parameters and optimizer state"
        )


def refuse_untold(held: Sequence[Argument], closed: Any, origins: Sequence[Origin], made: Mapping[int, str]) -> None:
    """Raise if results follow from gradients of weights, but none has the structure of weights.

    The backward pass then computes something of the shape of most weights, by bytes: flat, cast or normed gradients,
    or those of arrays that the function closes over.
    """
    import jax

    if made or not any(origin.backward for origin in origins):
        return
    shapes = gradient_shapes(closed.jaxpr)
    leaves = [leaf for argument in held for leaf in jax.tree_util.tree_leaves(argument.tree)]
    if _most(leaves, shapes):
        raise InvalidModelFile(
            "the function computes gradients of its weights, but no result has their structure; return gradients or "
            "new values in the pytree in which the weights come in, so that a weight can share a chip with its update"
        )
    if _most(closed.consts, shapes):
        raise InvalidModelFile(
            "the function computes gradients of arrays that it closes over; make them an argument and name it with "
            "weights=, so that a weight can share a chip with its update"
        )


def _elements(argument: Argument) -> int:
    import jax

    return sum(math.prod(getattr(leaf, "shape", ())) for leaf in jax.tree_util.tree_leaves(argument.tree))


def _most(leaves: Sequence[Any], shapes: Collection[tuple[int, ...]]) -> bool:
    """Whether most of some arrays, by elements, have a shape among ``shapes``; numbers and integers do not count."""
    sizes = {True: 0, False: 0}
    for leaf in leaves:
        if getattr(leaf, "shape", ()) and "float" in str(leaf.dtype):
            sizes[tuple(leaf.shape) in shapes] += math.prod(leaf.shape)
    return sizes[True] > sizes[False]


def _doubts(result: _Subtree, weight: _Subtree, origins: Sequence[Origin], taken: set[int]) -> tuple[bool, bool, bool]:
    """What speaks against a result being the new value of a weight, the strongest first."""
    pairs = zip(result.leaves, weight.leaves, strict=True)
    stepped = any(origins[r].step not in (-1, w) for r, w in pairs)  # from another argument
    return stepped, not _follows(result, weight, origins), not taken.isdisjoint(weight.leaves)


def _follows(result: _Subtree, weight: _Subtree, origins: Sequence[Origin]) -> bool:
    pairs = zip(result.leaves, weight.leaves, strict=True)
    return all(origins[r].arguments >> w & 1 for r, w in pairs)


def _replaced(result: _Subtree, weight: _Subtree, origins: Sequence[Origin]) -> bool:
    """Whether a result can be the new value of a weight without training."""
    import jax

    if jax.tree_util.treedef_is_leaf(weight.structure):
        return origins[result.first].version == weight.first
    return _follows(result, weight, origins)


def _aval(leaf: Any) -> tuple[tuple[int, ...], str]:
    return (tuple(leaf.shape), str(leaf.dtype)) if hasattr(leaf, "dtype") else ((), "")


def _subtrees(tree: Any, first: int) -> Iterator[_Subtree]:
    """The pytree itself and all parts of it, each once."""
    import jax

    leaves, structure = jax.tree_util.tree_flatten(tree)
    yield _Subtree(first, structure, tuple(map(_aval, leaves)))
    if jax.tree_util.treedef_is_leaf(structure):
        return
    for child in jax.tree_util.tree_flatten(tree, is_leaf=lambda part: part is not tree)[0]:
        yield from _subtrees(child, first)
        first += len(jax.tree_util.tree_leaves(child))
