"""Axes along which operators can be computed in parts, from the shapes of their operands; for every reader of shapes.

Each function answers for one family of operators. Operands are named; a weight has bytes, a tensor has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import gcd

from partition.problem.cut_axis import CutAxis, HandedState, ReadWindow

Shape = tuple[int, ...]


@dataclass(frozen=True)
class CutOperand:
    """An operand or a result.

    Attributes
    ----------
    weight : bytes where it is a weight; None for a tensor.
    times : how often the operator reads it.
    """

    name: str
    shape: Shape
    weight: float | None = None
    times: int = 1


def required(operands: Sequence[object], i: int) -> CutOperand:
    """Operand ``i``; LookupError where it is absent, or no tensor."""
    found = operands[i]
    if not isinstance(found, CutOperand):
        raise LookupError(i)
    return found


Place = tuple[CutOperand, int, int]
"""An operand, an axis of it, and elements of a unit."""


def cut_axis(
    extent: int,
    reads: Iterable[Place | None],
    makes: Iterable[Place],
    *,
    word: str = "elements",
    once: Iterable[CutOperand | None] = (),
    counts: tuple[str, ...] = (),
    blocks: int = 1,
    carries: tuple[HandedState, ...] = (),
    turned: bool = False,
) -> list[CutAxis]:
    """The axis, if it has two units and cuts an operand that is read several times in the same way each time."""
    places = [place for place in reads if place is not None]
    named = {(operand.name, axis) for operand, axis, _ in places}
    if extent < 2 or len({name for name, _ in named}) < len(named):
        return []
    names = [operand.name for operand, _, _ in places]
    if any(names.count(operand.name) != operand.times for operand, _, _ in places):
        return []  # the operator reads it whole as well
    alone = [operand for operand in once if operand is not None]
    if any(operand.times > 1 for operand in alone):
        return []
    tensors = {o.name: (axis, unit) for o, axis, unit in places if o.weight is None}
    weights = {o.name: (axis, unit) for o, axis, unit in places if o.weight is not None}
    held = sum({o.name: o.weight or 0.0 for o, _, _ in places}.values())
    return [
        CutAxis(
            extent, tensors, {o.name: (axis, unit) for o, axis, unit in makes}, weights, held, blocks,
            frozenset(o.name for o in alone), counts, carries, turned, word=word,
        )
    ]  # fmt: skip


def elementwise(operands: Sequence[CutOperand], result: CutOperand, but: Iterable[int] = ()) -> list[CutAxis]:
    """Every axis of the result but some, operands broadcast.

    Parameters
    ----------
    but : axes of the result that every element depends on as a whole (of a softmax, of a normalisation).
    """
    rank = len(result.shape)
    found: list[CutAxis] = []
    without = {axis % rank for axis in but} if rank else set()
    for axis, extent in enumerate(result.shape):
        if axis in without:
            continue
        places = []
        for operand in operands:
            own = axis - rank + len(operand.shape)
            if own >= 0 and operand.shape[own] == extent:
                places.append((operand, own, 1))
        if any(operand.weight is None for operand, _, _ in places):
            found += cut_axis(extent, places, [(result, axis, 1)])
    return found


def moved(data: CutOperand, result: CutOperand, axes: Sequence[int | None]) -> list[CutAxis]:
    """An operator that moves axes: axis ``i`` of the result is axis ``axes[i]`` of the operand, or none of its own."""
    found: list[CutAxis] = []
    for axis, own in enumerate(axes):
        if own is not None and data.shape[own] == result.shape[axis]:
            found += cut_axis(result.shape[axis], [(data, own, 1)], [(result, axis, 1)])
    return found


def reshaped(data: CutOperand, result: CutOperand) -> list[CutAxis]:
    """A new shape for the same elements in the same order: the outermost axis of each group that keeps its elements."""
    found: list[CutAxis] = []
    i = j = 0
    a, b = data.shape, result.shape
    while i < len(a) and j < len(b):
        first, second, left, right = i, j, a[i], b[j]
        while left != right and (i < len(a) - 1 if left < right else j < len(b) - 1):
            if left < right:
                i += 1
                left *= a[i]
            else:
                j += 1
                right *= b[j]
        if left != right:
            return found
        while first < i and a[first] == 1:
            first += 1
        while second < j and b[second] == 1:
            second += 1
        units = gcd(a[first], b[second])
        if units > 1:
            places = [(data, first, a[first] // units)], [(result, second, b[second] // units)]
            found += cut_axis(units, *places)
        i, j = i + 1, j + 1
    return found


def product(a: CutOperand, b: CutOperand, result: CutOperand, added: CutOperand | None = None) -> list[CutAxis]:
    """``a @ b``, batch axes broadcast, and ``added`` broadcast on the result."""
    if min(len(a.shape), len(b.shape)) < 2:
        return []
    rank, found = len(result.shape), []
    for axis, extent in enumerate(result.shape[:-2]):
        places = [broadcast_along(operand, axis - rank, extent) for operand in (a, b, added)]
        if any(place is not None and place[0].weight is None for place in places):
            found += cut_axis(extent, places, [(result, axis, 1)], word="batches or heads")
    rows, columns = result.shape[-2:]
    places = [(a, len(a.shape) - 2, 1), broadcast_along(added, -2, rows)]
    found += cut_axis(rows, places, [(result, rank - 2, 1)], word="rows")
    places = [(b, len(b.shape) - 1, 1), broadcast_along(added, -1, columns)]
    found += cut_axis(columns, places, [(result, rank - 1, 1)], word="columns")
    places = [(a, len(a.shape) - 1, 1), (b, len(b.shape) - 2, 1)]
    return found + cut_axis(a.shape[-1], places, [], word="inner elements", once=[added])


def linear(
    x: CutOperand, weight: CutOperand, result: CutOperand, bias: CutOperand | None = None, *, output_first: bool = True
) -> list[CutAxis]:
    """A layer ``x @ weight`` over the last axis of ``x``; the weight has its output axis first, or last."""
    rank = len(result.shape)
    out, inner = (0, 1) if output_first else (1, 0)
    if len(weight.shape) != 2 or len(x.shape) != rank or rank < 1:
        return []
    found: list[CutAxis] = []
    for axis, extent in enumerate(result.shape[:-1]):
        places = [(x, axis, 1), broadcast_along(bias, axis - rank, extent)]
        found += cut_axis(extent, places, [(result, axis, 1)], word="rows")
    places = [(weight, out, 1), broadcast_along(bias, -1, result.shape[-1])]
    found += cut_axis(result.shape[-1], places, [(result, rank - 1, 1)], word="columns")
    places = [(x, rank - 1, 1), (weight, inner, 1)]
    return found + cut_axis(x.shape[-1], places, [], word="inner elements", once=[bias])


@dataclass(frozen=True)
class Sliding:
    """How a convolution or a pooling moves over one axis.

    Attributes
    ----------
    kernel, stride, dilation, before, behind : elements; ``before`` and ``behind`` are padded.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    behind: int = 0

    @property
    def pointwise(self) -> bool:
        """Whether an output element reads one input element, the one at its own place."""
        return (self.kernel, self.stride, self.before, self.behind) == (1, 1, 0, 0)


def convolution(
    x: CutOperand,
    weight: CutOperand,
    result: CutOperand,
    along: Sequence[CutOperand],
    *,
    group: int = 1,
    transposed: bool = False,
    sliding: Sequence[Sliding] = (),
    counts: tuple[str, ...] = ("group",),
) -> list[CutAxis]:
    """A convolution by inputs of a batch, output channels or groups, input channels (a sum), and along space.

    Parameters
    ----------
    along : operands with a figure for each output channel; only what is added, if input channels are cut.
    sliding : how it moves over each axis of space; empty where space cannot be cut.
    """
    if len(x.shape) < 3 or len(result.shape) != len(x.shape):
        return []
    channels, entering = result.shape[1], x.shape[1]
    found = cut_axis(x.shape[0], [(x, 0, 1)], [(result, 0, 1)], word="inputs of a batch")
    figures = [o for o in along if o.shape == (channels,)]
    if group == 1:
        out, into = (1, 0) if transposed else (0, 1)
        places = [(weight, out, 1), *((o, 0, 1) for o in figures)]
        found += cut_axis(channels, places, [(result, 1, 1)], word="channels")
        if len(along) <= 1:
            places = [(x, 1, 1), (weight, into, 1)]
            found += cut_axis(entering, places, [], word="input channels", once=along)
    elif not channels % group and not entering % group:
        each = weight.shape[0] // group
        places = [(x, 1, entering // group), (weight, 0, each), *((o, 0, channels // group) for o in figures)]
        found += cut_axis(group, places, [(result, 1, channels // group)], word="groups", counts=counts)
    for d, slides in enumerate(sliding):
        found += _along_space(x, result, 2 + d, slides)
    return found


def _along_space(x: CutOperand, result: CutOperand, axis: int, slides: Sliding) -> list[CutAxis]:
    """Parts of an axis of space; they overlap in the input where the kernel is longer than the stride."""
    if slides.pointwise:
        return cut_axis(result.shape[axis], [(x, axis, 1)], [(result, axis, 1)], word="places")
    span = (slides.kernel - 1) * slides.dilation + 1
    window = ReadWindow(slides.stride, span, slides.before, x.shape[axis])
    return windowed(x, result, axis, window)


def windowed(x: CutOperand, result: CutOperand, axis: int, window: ReadWindow) -> list[CutAxis]:
    """An axis of space of which every part reads its window of the input."""
    units, uneven = divmod(result.shape[axis], window.scale)
    if units < 2 or uneven:
        return []
    ends = (window.reads(0, window.scale), window.reads(result.shape[axis] - window.scale, result.shape[axis]))
    if x.times > 1 or any(low >= high for low, high in ends):
        return []  # read whole as well, or a part would lie in the padding alone
    makes = {result.name: (axis, window.scale)}
    return [CutAxis(units, {}, makes, window=(x.name, axis, window), word="places")]


def lookup(table: CutOperand, places: CutOperand, result: CutOperand, axis: int = 0) -> list[CutAxis]:
    """Entries of a table along one axis: the other axes of the table, and every axis of the places."""
    rank, found = len(places.shape), []
    for own in range(len(table.shape)):
        if own != axis:
            at = own if own < axis else own - 1 + rank
            word = "columns"
            found += cut_axis(table.shape[own], [(table, own, 1)], [(result, at, 1)], word=word)
    for own in range(rank if places.weight is None else 0):
        rows = cut_axis(places.shape[own], [(places, own, 1)], [(result, axis + own, 1)], word="rows")
        found += [replace(one, picks=True) for one in rows]
    return found


def joined(parts: Sequence[CutOperand], result: CutOperand, axis: int) -> list[CutAxis]:
    """A concatenation, along every other axis."""
    found: list[CutAxis] = []
    for own in range(len(result.shape)):
        if own != axis % len(result.shape):
            found += cut_axis(result.shape[own], [(part, own, 1) for part in parts], [(result, own, 1)])
    return found


def reduced(data: CutOperand, result: CutOperand, over: Iterable[int]) -> list[CutAxis]:
    """A reduction over some axes, along all others; the result keeps those reduced, with extent 1, or drops them."""
    rank = len(data.shape)
    dropped = sorted({axis % rank for axis in over}) if rank else []
    keeps, found = len(result.shape) == rank, []
    for own in range(rank):
        if own not in dropped:
            at = own if keeps else own - sum(axis < own for axis in dropped)
            found += cut_axis(data.shape[own], [(data, own, 1)], [(result, at, 1)])
    return found


def per_channel(x: CutOperand, result: CutOperand, figures: Sequence[CutOperand], *, space: bool) -> list[CutAxis]:
    """Inputs of a batch and channels, each apart; ``space`` : its elements too."""
    found = cut_axis(x.shape[0], [(x, 0, 1)], [(result, 0, 1)], word="inputs of a batch")
    if len(x.shape) > 1:
        along = [(o, len(o.shape) - 1, 1) for o in figures if o.shape and o.shape[-1] == x.shape[1]]
        found += cut_axis(x.shape[1], [(x, 1, 1), *along], [(result, 1, 1)], word="channels")
    for axis in range(2, len(x.shape) if space else 0):
        found += cut_axis(x.shape[axis], [(x, axis, 1)], [(result, axis, 1)], word="places")
    return found


def attention(
    query: CutOperand, key: CutOperand, value: CutOperand, result: CutOperand, mask: CutOperand | None, *, rows: bool
) -> list[CutAxis]:
    """Heads, and inputs of a batch, of ``(batch, heads, length, size)`` each; ``rows`` : those of the query too.

    Fewer heads of keys than of queries are shared by equal groups of queries.
    """
    shapes = (query.shape, key.shape, value.shape)
    if any(len(shape) != len(query.shape) or len(shape) < 3 for shape in shapes):
        return []
    rank, found = len(query.shape), []
    for axis in range(rank - 2):
        units = key.shape[axis]
        if query.shape[axis] % units or value.shape[axis] != units:
            continue
        each = query.shape[axis] // units
        masked = broadcast_along(mask, axis - rank, query.shape[axis])
        places = [(query, axis, each), (key, axis, 1), (value, axis, 1), masked and (masked[0], masked[1], each)]
        found += cut_axis(units, places, [(result, axis, each)], word="heads")
    if rows:
        places = [(query, rank - 2, 1), broadcast_along(mask, -2, query.shape[-2])]
        found += cut_axis(query.shape[-2], places, [(result, rank - 2, 1)], word="rows")
    return found


def broadcast_along(operand: CutOperand | None, from_end: int, extent: int) -> Place | None:
    """Where a broadcast operand is cut with an axis counted from the end; None where it is the same for all."""
    if operand is None or len(operand.shape) < -from_end or operand.shape[from_end] != extent:
        return None
    return operand, len(operand.shape) + from_end, 1
