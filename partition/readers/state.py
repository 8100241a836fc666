"""Programs that keep something between two inputs: caches that they overwrite, parameters that they train.

A reader fills a builder as if nothing were kept. It says which operation makes the new value (or the gradient) of which
weight, and which operations belong to a backward pass. The rest follows here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from partition.problem.builder import GraphBuilder
from partition.problem.constants import fold_constants

COUNTER_BYTES = 16
"""What every chip can count for itself in no time: a number, or the key of a random generator."""


@dataclass
class KeptState:
    """What a program keeps, in the names of a builder.

    Attributes
    ----------
    written : weights with a new value, or a gradient, among the results.
    made : operation -> the weights whose new value or gradient it makes.
    backward : operations of the backward pass.
    varying : operations that give another result every time, whatever they read: random numbers, effects.
    """

    written: set[str] = field(default_factory=set)
    made: dict[str, set[str]] = field(default_factory=dict)
    backward: set[str] = field(default_factory=set)
    varying: set[str] = field(default_factory=set)

    def settle(self, builder: GraphBuilder) -> None:
        """Flag the backward pass, keep state on one chip, compute constants once, hold what is read again.

        Whoever reads a written weight shares a chip with whoever makes its new value, since there is one copy of it.
        A weight of at most ``COUNTER_BYTES`` whose new value follows from itself and from constants alone (a step
        counter) is exempt: every chip can keep its own. A tensor of the forward pass that a backward operation reads is
        a weight of that operation, ``stash:TENSOR``, as in :func:`partition.models.training.training_graph`.
        """
        for row in builder.rows:
            row.backward = row.name in self.backward
        self._colocate(builder)
        state = [row.name for row in builder.rows if not self.written.isdisjoint(row.weights)]
        fold_constants(builder, varying={*self.varying, *state})
        self._stash(builder)

    def _stash(self, builder: GraphBuilder) -> None:
        forward = {t: size for row in builder.rows if not row.backward for t, size in row.outputs.items()}
        for row in builder.rows:
            if row.backward:
                row.weights.update({f"stash:{t}": forward[t] for t in row.inputs if forward.get(t)})

    def _colocate(self, builder: GraphBuilder) -> None:
        sources = _sources(builder)
        size = {weight: held for row in builder.rows for weight, held in row.weights.items()}
        made = {
            operation: {
                w for w in weights if size.get(w, 0) > COUNTER_BYTES or not self._by_itself(w, sources[operation])
            }
            for operation, weights in self.made.items()
        }
        kept = set().union(*made.values())
        uses = {row.name: [w for w in row.weights if w in kept] for row in builder.rows}
        for operation, weights in made.items():
            uses[operation] += weights - set(uses[operation])
        group = _joined(uses.values())
        for row in builder.rows:
            if uses[row.name]:
                row.group = group[uses[row.name][0]]

    def _by_itself(self, weight: str, sources: Collection[str | None]) -> bool:
        return all(source == weight or (source is not None and source not in self.written) for source in sources)


def _sources(builder: GraphBuilder) -> dict[str, frozenset[str | None]]:
    """Operation -> the weights that it depends on, and None if on an input (rows stand in order)."""
    of_tensor: dict[str, frozenset[str | None]] = {}
    of_row: dict[str, frozenset[str | None]] = {}
    shared: dict[frozenset[str | None], frozenset[str | None]] = {}
    for row in builder.rows:
        own: frozenset[str | None] = frozenset({None}) if row.op_type == "Input" else frozenset(row.weights)
        found = own.union(*(of_tensor[t] for t in row.inputs))
        found = frozenset({None}) if None in found else shared.setdefault(found, found)
        of_row[row.name] = found
        of_tensor.update(dict.fromkeys(row.outputs, found))
    return of_row


def _joined(together: Iterable[Iterable[str]]) -> dict[str, str]:
    """Name -> the first name of its class, where the names of each row of ``together`` belong to one class."""
    first: dict[str, str] = {}

    def root(name: str) -> str:
        while first.setdefault(name, name) != name:
            first[name] = name = first[first[name]]
        return name

    for names in together:
        roots = [root(name) for name in names]
        for other in roots[1:]:
            first[root(other)] = root(roots[0])
    return {name: root(name) for name in list(first)}
