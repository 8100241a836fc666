"""The computation graph: operations, tensors and weights as immutable arrays with CSR adjacency."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, frozen
from partition.errors import InvalidGraph
from partition.order import components, topological_order
from partition.problem.cut_axis import CutAxis


@dataclass(frozen=True, eq=False)
class HeldWeights:
    """Resident bytes of the operations of a graph, apart from those that several operations use.

    Attributes
    ----------
    weights, shared_names, shared_bytes, shared_ptr, shared_users : as of :class:`Graph`.
    """

    weights: FloatArray
    shared_names: tuple[str, ...]
    shared_bytes: FloatArray
    shared_ptr: IntArray
    shared_users: IntArray

    def __post_init__(self) -> None:
        for f in fields(self):
            if f.name in _ARRAYS:
                object.__setattr__(self, f.name, frozen(getattr(self, f.name), _ARRAYS[f.name]))


@dataclass(frozen=True, eq=False)
class Limits:
    """What wishes ask of the search beyond groups and times.

    Attributes
    ----------
    before : (B, 2) int, pairs of operations of which the first has its home on an earlier chip than the second.
    replicable : (n,) bool, the operations that may be replicated.
    lightest : (n,) bool, the same for the least weights.
    reference : (n,) int, the chip where each operation shall stay if it can, -1 for none; None if that is no goal.
    """

    before: IntArray
    replicable: BoolArray
    lightest: BoolArray
    reference: IntArray | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """An ML model as a directed acyclic graph, immutable after construction (arrays are read-only).

    Build one with :class:`~partition.problem.builder.GraphBuilder` or a reader; the constructor validates what it is
    given.

    Attributes
    ----------
    name : the model's name.
    names : ``n`` unique operation names.
    op_types : ``n`` operator kinds (``"MatMul"``, ``"Conv"``, ``"Input"`` for what the host delivers, ...).
    flops : (n,) floating point operations of one input (a multiply-add counts 2).
    bytes_accessed : (n,) bytes read from and written to SRAM.
    weights : (n,) resident bytes that belong to one operation alone.
    tensor_names : ``m`` unique tensor names.
    tensor_bytes : (m,) bytes of each tensor.
    producer : (m,) int, the operation that produces each tensor.
    consumer_ptr, consumers : CSR, the operations that read tensor ``t`` are
        ``consumers[consumer_ptr[t]:consumer_ptr[t + 1]]``, each once, ascending.
    shared_names, shared_bytes, shared_ptr, shared_users : CSR over weights that several operations use; a
        chip holds such a weight once, however many of its users it runs.
    group : (n,) int, operations with the same number >= 0 share a chip; -1 where free.
    backward : (n,) bool, operations of the backward pass. An edge between two of them carries traffic and
        constrains nothing.
    profiled_times : chip kind -> (n,) seconds, NaN where the roofline applies, infinity where the kind cannot run it.
    unknown_operators : operator kinds whose cost fell to the documented default.
    least : the least weights that no placement can do without, where some are computed from others (a chip could hold
        those instead); otherwise None. Only a claim that nothing fits goes by them.
    guessed : names of the operations whose FLOPs, bytes or tensors rest on a default or a guessed shape, in order.
    modules : path of the module that each operation is in, where the reader knows better than the name; or empty.
    shapes : extents of each tensor's dimensions, None where they are not known; or empty. They are shown, no more.
    limits : what wishes ask of the search, set by :func:`partition.problem.narrowed.narrow`; otherwise None.
    views : (n,) bool, operations whose result is their operand's own memory under another shape, or a part of it. They
        compute and move nothing, so a chip issues nothing for them: they take no time. All False if left empty.
    cut_axes : operation -> the axes along which it can be computed in parts, where the reader knows them; or empty.
    dims : values of the symbolic dimensions that the model was read with; or empty. Answers carry them along.
    results : names of the tensors that leave the model, where the reader knows them; or empty.

    Raises
    ------
    InvalidGraph : on NaN, negative or wrongly shaped data, duplicate names, dangling references, a cycle
        (named with the operations on it) or an empty graph.
    """

    name: str
    names: tuple[str, ...]
    op_types: tuple[str, ...]
    flops: FloatArray
    bytes_accessed: FloatArray
    weights: FloatArray
    tensor_names: tuple[str, ...]
    tensor_bytes: FloatArray
    producer: IntArray
    consumer_ptr: IntArray
    consumers: IntArray
    shared_names: tuple[str, ...]
    shared_bytes: FloatArray
    shared_ptr: IntArray
    shared_users: IntArray
    group: IntArray
    backward: BoolArray
    profiled_times: Mapping[str, FloatArray] = field(default_factory=dict)
    unknown_operators: tuple[str, ...] = ()
    least: HeldWeights | None = None
    guessed: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    limits: Limits | None = None
    views: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    shapes: tuple[tuple[int, ...] | None, ...] = ()
    cut_axes: Mapping[str, tuple[CutAxis, ...]] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    results: tuple[str, ...] = ()

    # Bound by partition.readers.doors, which every reader and the package's door import.
    from_onnx: ClassVar[Callable[..., Graph]]
    from_json: ClassVar[Callable[..., Graph]]
    from_networkx: ClassVar[Callable[..., Graph]]
    from_torch: ClassVar[Callable[..., Graph]]
    from_jax: ClassVar[Callable[..., Graph]]
    to_json: ClassVar[Callable[..., str]]
    with_times: ClassVar[Callable[..., tuple[Graph, list[str]]]]

    def __post_init__(self) -> None:
        if not len(self.views):
            object.__setattr__(self, "views", np.zeros(len(self.names), dtype=bool))
        for attribute, dtype in _ARRAYS.items():
            object.__setattr__(self, attribute, frozen(getattr(self, attribute), dtype))
        times = {kind: frozen(values, np.float64) for kind, values in self.profiled_times.items()}
        object.__setattr__(self, "profiled_times", MappingProxyType(times))
        _validate(self)

    @property
    def n(self) -> int:
        """Number of operations."""
        return len(self.names)

    def told(self, v: int) -> str:
        """An operation for a sentence: its name, and its kind where the name does not have it."""
        name, kind = self.names[v], self.op_types[v]
        return repr(name) if kind.lower() in name.lower() else f"{name!r} ({kind})"

    @property
    def m(self) -> int:
        """Number of tensors."""
        return len(self.tensor_names)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Operation name -> position."""
        return {name: v for v, name in enumerate(self.names)}

    @cached_property
    def edge_tensor(self) -> IntArray:
        """(E,) the tensor of each edge, in the order of ``consumers``."""
        return frozen(np.repeat(np.arange(self.m), np.diff(self.consumer_ptr)), np.int64)

    @cached_property
    def edge_source(self) -> IntArray:
        """(E,) the producer of each edge, in the order of ``consumers``."""
        return frozen(self.producer[self.edge_tensor], np.int64)

    @cached_property
    def edge_constrains(self) -> BoolArray:
        """(E,) whether the edge is bound by the acyclic and triangle rules (not: backward to backward)."""
        both = self.backward[self.edge_source] & self.backward[self.consumers]
        return frozen(~both, np.bool_)

    @cached_property
    def is_input(self) -> BoolArray:
        """(n,) operations of kind ``Input``, which stand for data that the host delivers."""
        return frozen(np.array([kind == "Input" for kind in self.op_types], dtype=bool), np.bool_)

    @cached_property
    def is_source(self) -> BoolArray:
        """(n,) operations of kind ``Input`` or ``Constant``: they compute nothing and take no time."""
        return frozen(np.array([kind in SOURCE_KINDS for kind in self.op_types], dtype=bool), np.bool_)

    @cached_property
    def takes_no_time(self) -> BoolArray:
        """(n,) sources and views: nothing is issued for them."""
        return frozen(self.is_source | self.views, np.bool_)

    @cached_property
    def weight_bytes(self) -> float:
        """Bytes of all weights that some operation uses, each once: what the chips hold together at least."""
        return float(self.weights.sum() + self.shared_bytes[np.diff(self.shared_ptr) > 0].sum())

    @cached_property
    def lightest(self) -> Graph:
        """This graph with its least weights."""
        if self.least is None:
            return self
        held = {f.name: getattr(self.least, f.name) for f in fields(self.least)}
        limits = self.limits and replace(self.limits, replicable=self.limits.lightest)
        return replace(self, **held, least=None, limits=limits)

    @cached_property
    def topological_order(self) -> IntArray:
        """(n,) operations, every producer before its consumers; ties by position (deterministic)."""
        return frozen(topological_order(self.n, self.edge_source, self.consumers), np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all but the name and measured times: whether an answer belongs to this version of the model."""
        digest = hashlib.sha256()
        for f in fields(self):
            if f.name in _NO_MATTER:
                continue
            if f.name == "views" and not self.views.any():
                continue  # as in versions that knew none
            value = getattr(self, f.name)
            parts = sorted(value.items()) if isinstance(value, Mapping) else [("", value)]
            for key, part in parts:
                digest.update(f"{f.name}/{key}:".encode())
                digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        return digest.hexdigest()[:32]

    def __reduce__(self) -> tuple[Any, ...]:
        values = [getattr(self, f.name) for f in fields(self)]
        return Graph, tuple(dict(v) if isinstance(v, MappingProxyType) else v for v in values)

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, operations={self.n}, tensors={self.m})"


LARGEST = 1e30
"""Largest FLOPs, bytes or seconds of anything: sums over a whole model and products with rates stay within a float."""

SOURCE_KINDS = frozenset({"Input", "Constant"})

_NO_MATTER = frozenset({
    "name", "profiled_times", "least", "guessed", "modules", "limits", "shapes", "cut_axes",
    "dims", "results",
})  # fmt: skip
"""Fields that do not tell one version of a model from another."""

_ARRAYS: dict[str, type] = {
    "flops": np.float64, "bytes_accessed": np.float64, "weights": np.float64, "tensor_bytes": np.float64,
    "producer": np.int64, "consumer_ptr": np.int64, "consumers": np.int64, "shared_bytes": np.float64,
    "shared_ptr": np.int64, "shared_users": np.int64, "group": np.int64, "backward": np.bool_, "views": np.bool_,
}  # fmt: skip


def _validate(g: Graph) -> None:
    n, m = len(g.names), len(g.tensor_names)
    if n == 0:
        raise InvalidGraph(f"graph {g.name!r} has no operations")
    _check_unique("operation", g.names)
    _check_unique("tensor", g.tensor_names)
    _check_unique("shared weight", g.shared_names)
    lengths = dict.fromkeys(("op_types", "flops", "bytes_accessed", "weights", "group", "backward", "views"), n)
    lengths |= {"tensor_bytes": m, "producer": m, "shared_bytes": len(g.shared_names)}
    for field_name, length in lengths.items():
        if len(getattr(g, field_name)) != length:
            raise InvalidGraph(f"{field_name} has {len(getattr(g, field_name))} entries, expected {length}")
    if g.shapes and len(g.shapes) != m:
        raise InvalidGraph(f"shapes has {len(g.shapes)} entries, expected {m}")
    for field_name in ("flops", "bytes_accessed", "weights"):
        _check_amounts(field_name, getattr(g, field_name), "operation", g.names)
    busy = g.views & ((g.flops > 0) | (g.bytes_accessed > 0))
    if busy.any():
        name = g.names[int(np.flatnonzero(busy)[0])]
        raise InvalidGraph(f"operation {name!r} is a view, so its flops and bytes_accessed must be 0")
    _check_amounts("bytes", g.tensor_bytes, "tensor", g.tensor_names)
    _check_amounts("bytes", g.shared_bytes, "shared weight", g.shared_names)
    for kind, times in g.profiled_times.items():
        if len(times) != n:
            raise InvalidGraph(f"times for chip kind {kind!r} have {len(times)} entries, expected {n}")
        given = np.where(np.isnan(times) | np.isposinf(times), 0.0, times)
        _check_amounts(f"time on {kind!r}", given, "operation", g.names)
    if np.any((g.producer < 0) | (g.producer >= n)):
        t = int(np.flatnonzero((g.producer < 0) | (g.producer >= n))[0])
        raise InvalidGraph(
            f"tensor {g.tensor_names[t]!r} names producer {int(g.producer[t])}, but operations are 0..{n - 1}"
        )
    _check_csr("consumers", g.consumer_ptr, g.consumers, m, n)
    _check_csr("shared_users", g.shared_ptr, g.shared_users, len(g.shared_names), n)
    if g.modules and len(g.modules) != n:
        raise InvalidGraph(f"modules has {len(g.modules)} entries, expected {n}")
    if not set(g.guessed) <= set(g.names):
        raise InvalidGraph(f"guessed names operation {min(set(g.guessed) - set(g.names))!r}, which does not exist")
    _check_acyclic(g)


def _check_unique(what: str, names: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidGraph(f"two {what}s are named {name!r}; names must be unique")
        seen.add(name)


def _check_amounts(field_name: str, values: FloatArray, what: str, names: Sequence[str]) -> None:
    bad = ~((values >= 0) & (values <= LARGEST))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InvalidGraph(
            f"{what} {names[i]!r} has {field_name} = {values[i]}; it must be a finite number >= 0, at most {LARGEST:g}"
        )


def _check_csr(field_name: str, ptr: IntArray, columns: IntArray, rows: int, n: int) -> None:
    if len(ptr) != rows + 1 or ptr[0] != 0 or ptr[-1] != len(columns) or np.any(np.diff(ptr) < 0):
        raise InvalidGraph(f"{field_name} is not a CSR structure with {rows} rows")
    if np.any((columns < 0) | (columns >= n)):
        raise InvalidGraph(f"{field_name} names an operation outside 0..{n - 1}")
    row = np.repeat(np.arange(rows), np.diff(ptr))
    if np.any((np.diff(row) == 0) & (np.diff(columns) <= 0)):
        raise InvalidGraph(f"{field_name} must be ascending and free of repeats within a row")


def _check_acyclic(g: Graph) -> None:
    order = g.topological_order
    if len(order) == g.n:
        return
    loops = np.flatnonzero(g.edge_source == g.consumers)
    if len(loops):
        raise InvalidGraph(
            f"operation {g.names[g.consumers[loops[0]]]!r} reads its own output; the graph must be acyclic"
        )
    component = components(g.n, np.stack([g.edge_source, g.consumers]), "strong")
    sizes = np.bincount(component)
    cycle = _cycle_within(g, component == int(np.flatnonzero(sizes > 1)[0]))
    shown = " -> ".join(repr(g.names[v]) for v in cycle[:12]) + (
        " -> ..." if len(cycle) > 12 else f" -> {g.names[cycle[0]]!r}"
    )
    raise InvalidGraph(f"the graph has a cycle of {len(cycle)} operations: {shown}; it must be acyclic")


def _cycle_within(g: Graph, inside: BoolArray) -> list[int]:
    """One cycle among the operations of a strongly connected component."""
    successor: dict[int, int] = {}
    for u, w in zip(g.edge_source.tolist(), g.consumers.tolist(), strict=True):
        if inside[u] and inside[w]:
            successor.setdefault(u, w)
    v = next(iter(successor))
    position: dict[int, int] = {}
    path: list[int] = []
    while v not in position:
        position[v] = len(path)
        path.append(v)
        v = successor[v]
    return path[position[v] :]
