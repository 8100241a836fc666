"""The computation graph: operations, tensors and weights as immutable arrays with CSR adjacency."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from partition.errors import InvalidGraph

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Graph:
    """An ML model as a directed acyclic graph, immutable after construction (arrays are read-only).

    Build one with :class:`GraphBuilder` or a reader; the constructor validates what it is given.

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

    def __post_init__(self) -> None:
        for attribute, dtype in _ARRAYS.items():
            object.__setattr__(self, attribute, _frozen(getattr(self, attribute), dtype))
        times = {kind: _frozen(values, np.float64) for kind, values in self.profiled_times.items()}
        object.__setattr__(self, "profiled_times", MappingProxyType(times))
        _validate(self)

    @property
    def n(self) -> int:
        """Number of operations."""
        return len(self.names)

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
        return _frozen(np.repeat(np.arange(self.m), np.diff(self.consumer_ptr)), np.int64)

    @cached_property
    def edge_source(self) -> IntArray:
        """(E,) the producer of each edge, in the order of ``consumers``."""
        return _frozen(self.producer[self.edge_tensor], np.int64)

    @cached_property
    def edge_constrains(self) -> BoolArray:
        """(E,) whether the edge is bound by the acyclic and triangle rules (not: backward to backward)."""
        both = self.backward[self.edge_source] & self.backward[self.consumers]
        return _frozen(~both, np.bool_)

    @cached_property
    def is_input(self) -> BoolArray:
        """(n,) operations of kind ``Input``, which stand for data that the host delivers."""
        return _frozen(np.array([kind == "Input" for kind in self.op_types], dtype=bool), np.bool_)

    @cached_property
    def is_source(self) -> BoolArray:
        """(n,) operations of kind ``Input`` or ``Constant``: they compute nothing and take no time."""
        return _frozen(np.array([kind in SOURCE_KINDS for kind in self.op_types], dtype=bool), np.bool_)

    @cached_property
    def weight_bytes(self) -> float:
        """Bytes of all weights that some operation uses, each once: what the chips hold together at least."""
        return float(self.weights.sum() + self.shared_bytes[np.diff(self.shared_ptr) > 0].sum())

    @cached_property
    def topological_order(self) -> IntArray:
        """(n,) operations, every producer before its consumers; ties by position (deterministic)."""
        return _frozen(topological_order(self.n, self.edge_source, self.consumers), np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all but the name and measured times: whether an answer belongs to this version of the model."""
        digest = hashlib.sha256()
        for f in fields(self):
            if f.name in ("name", "profiled_times"):
                continue
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

    def with_times(self, times: Mapping[str, Any], kinds: Sequence[str]) -> tuple[Graph, list[str]]:
        """Measured times instead of the roofline; see :func:`partition.readers.measured.with_times`."""
        from partition.readers.measured import with_times

        return with_times(self, times, kinds)

    # Readers live in partition.readers; these are their front doors.

    @staticmethod
    def from_onnx(path: str, **options: object) -> Graph:
        """Read an ONNX model; see :func:`partition.readers.onnx.model.read_onnx`."""
        from partition.readers.onnx.model import read_onnx

        return read_onnx(path, **options)  # type: ignore[arg-type]

    @staticmethod
    def from_json(source: str) -> Graph:
        """Read the project's own JSON; see :func:`partition.readers.native_json.read_json`."""
        from partition.readers.native_json import read_json

        return read_json(source)

    @staticmethod
    def from_networkx(digraph: object, **options: object) -> Graph:
        """Convert a networkx DiGraph; see :func:`partition.readers.networkx_graph.from_networkx`."""
        from partition.readers.networkx_graph import from_networkx

        return from_networkx(digraph, **options)  # type: ignore[arg-type]

    @staticmethod
    def from_torch(program: Any, **options: Any) -> Graph:
        """Convert a program of ``torch.export``; see :func:`partition.readers.torch_export.from_torch`."""
        from partition.readers.torch_export import from_torch

        return from_torch(program, **options)

    @staticmethod
    def from_jax(function: Any, *args: Any, **options: Any) -> Graph:
        """Trace a JAX function; see :func:`partition.readers.jax_program.from_jax`."""
        from partition.readers.jax_program import from_jax

        return from_jax(function, *args, **options)

    def to_json(self, path: str | None = None) -> str:
        """The project's own JSON as text, also written to ``path`` if given (atomically)."""
        from partition.readers.native_json import write_json

        return write_json(self, path)


LARGEST = 1e30
"""Largest FLOPs, bytes or seconds of anything: sums over a whole model and products with rates stay within a float."""

SOURCE_KINDS = frozenset({"Input", "Constant"})

_ARRAYS: dict[str, type] = {
    "flops": np.float64, "bytes_accessed": np.float64, "weights": np.float64, "tensor_bytes": np.float64,
    "producer": np.int64, "consumer_ptr": np.int64, "consumers": np.int64, "shared_bytes": np.float64,
    "shared_ptr": np.int64, "shared_users": np.int64, "group": np.int64, "backward": np.bool_,
}  # fmt: skip


class GraphBuilder:
    """Collects operations and tensors by name, in any order, and builds the :class:`Graph`.

    >>> b = GraphBuilder("tiny")
    >>> b.operation("x", "Input", outputs={"x": 64})
    >>> b.operation("fc", "MatMul", inputs=["x"], outputs={"y": 64}, flops=1e6, weights={"W": 4096})
    >>> b.build().n
    2
    """

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self.rows: list[_Row] = []
        self._unknown: set[str] = set()

    def operation(
        self,
        name: str,
        op_type: str,
        *,
        inputs: Iterable[str] = (),
        outputs: Mapping[str, float] | None = None,
        flops: float = 0.0,
        bytes_accessed: float | None = None,
        weights: Mapping[str, float] | float = 0.0,
        group: str | int | None = None,
        backward: bool = False,
        times: Mapping[str, float] | None = None,
        unknown: bool = False,
    ) -> None:
        """Add one operation.

        Parameters
        ----------
        inputs : names of the tensors it reads (repeats count once).
        outputs : tensor name -> bytes of what it produces.
        flops : floating point operations for one input.
        bytes_accessed : SRAM traffic in bytes; by default its inputs, outputs and weights once each.
        weights : resident bytes, or weight name -> bytes; a name used by several operations is shared.
        group : operations with the same group share a chip.
        times : chip kind -> seconds, overriding the roofline.
        unknown : the operator's cost fell to the default; its kind is listed in the graph.
        """
        if not isinstance(weights, Mapping):
            weights = {f"{name}::weights": weights} if weights else {}
        self.rows.append(_Row(name, op_type, list(dict.fromkeys(inputs)), dict(outputs or {}), float(flops),
                               bytes_accessed, dict(weights), group, backward, dict(times or {})))  # fmt: skip
        if unknown:
            self._unknown.add(op_type)

    def build(self) -> Graph:
        """Validate and freeze.

        Raises
        ------
        InvalidGraph : see :class:`Graph`; also for a tensor read but produced by nobody, produced twice, or
            a shared weight declared with two sizes.
        """
        rows = self.rows
        producer_of: dict[str, int] = {}
        tensor_bytes: list[float] = []
        producer: list[int] = []
        for v, row in enumerate(rows):
            for tensor, size in row.outputs.items():
                if tensor in producer_of:
                    other = rows[producer[producer_of[tensor]]].name
                    raise InvalidGraph(
                        f"tensor {tensor!r} is produced by both {other!r} and {row.name!r}; a tensor has one producer"
                    )
                producer_of[tensor] = len(producer)
                producer.append(v)
                tensor_bytes.append(float(size))

        edge_tensor, edge_consumer = [], []
        for v, row in enumerate(rows):
            for tensor in row.inputs:
                if tensor not in producer_of:
                    raise InvalidGraph(
                        f"operation {row.name!r} reads tensor {tensor!r}, which no operation produces; "
                        "add its producer or an Input"
                    )
                edge_tensor.append(producer_of[tensor])
                edge_consumer.append(v)
        ptr, consumers = _csr(len(producer), edge_tensor, edge_consumer)

        private, shared = self._split_weights()
        shared_ptr, shared_users = _csr(
            len(shared),
            [s for s, (_, _, users) in enumerate(shared) for _ in users],
            [v for _, _, users in shared for v in users],
        )
        groups = {g: i for i, g in enumerate(dict.fromkeys(r.group for r in rows if r.group is not None))}
        kinds = list(dict.fromkeys(kind for row in rows for kind in row.times))
        return Graph(
            name=self.name,
            names=tuple(row.name for row in rows),
            op_types=tuple(row.op_type for row in rows),
            flops=np.array([row.flops for row in rows]),
            bytes_accessed=np.array([self._traffic(row, producer_of, tensor_bytes) for row in rows]),
            weights=np.array(private),
            tensor_names=tuple(producer_of),
            tensor_bytes=np.array(tensor_bytes),
            producer=np.array(producer, dtype=np.int64),
            consumer_ptr=ptr,
            consumers=consumers,
            shared_names=tuple(name for name, _, _ in shared),
            shared_bytes=np.array([size for _, size, _ in shared]),
            shared_ptr=shared_ptr,
            shared_users=shared_users,
            group=np.array([-1 if row.group is None else groups[row.group] for row in rows], dtype=np.int64),
            backward=np.array([row.backward for row in rows], dtype=bool),
            profiled_times={kind: np.array([row.times.get(kind, np.nan) for row in rows]) for kind in kinds},
            unknown_operators=tuple(sorted(self._unknown)),
        )

    def _split_weights(self) -> tuple[list[float], list[tuple[str, float, list[int]]]]:
        """Private bytes per operation, and (name, bytes, users) of the weights that several operations use."""
        size: dict[str, float] = {}
        users: dict[str, list[int]] = {}
        for v, row in enumerate(self.rows):
            for weight, value in row.weights.items():
                if size.setdefault(weight, float(value)) != float(value):
                    raise InvalidGraph(
                        f"weight {weight!r} is declared with {size[weight]:g} and with {value:g} bytes "
                        f"(at {row.name!r}); a shared weight has one size"
                    )
                users.setdefault(weight, []).append(v)
        private = [0.0] * len(self.rows)
        shared = []
        for weight, operations in users.items():
            if len(operations) == 1:
                private[operations[0]] += size[weight]
            else:
                shared.append((weight, size[weight], operations))
        return private, shared

    @staticmethod
    def _traffic(row: _Row, producer_of: Mapping[str, int], tensor_bytes: Sequence[float]) -> float:
        if row.bytes_accessed is not None:
            return float(row.bytes_accessed)
        if row.op_type in SOURCE_KINDS:
            return 0.0
        return (
            sum(tensor_bytes[producer_of[t]] for t in row.inputs)
            + sum(row.outputs.values())
            + sum(row.weights.values())
        )


@dataclass
class _Row:
    name: str
    op_type: str
    inputs: list[str]
    outputs: dict[str, float]
    flops: float
    bytes_accessed: float | None
    weights: dict[str, float]
    group: str | int | None
    backward: bool
    times: dict[str, float]


def _frozen(values: object, dtype: type) -> NDArray[Any]:
    array: NDArray[Any] = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def _csr(rows: int, row_of: Sequence[int], column: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Sorted, duplicate-free CSR of (row, column) pairs."""
    pairs = np.unique(np.array([row_of, column], dtype=np.int64).reshape(2, -1), axis=1)
    ptr = np.searchsorted(pairs[0], np.arange(rows + 1))
    return ptr.astype(np.int64), pairs[1]


def topological_order(n: int, source: IntArray, target: IntArray) -> IntArray:
    """Kahn's algorithm, level by level, each level by position; shorter than ``n`` if there is a cycle."""
    successors = sp.csr_array((np.ones(len(source), np.int8), (source, target)), shape=(n, n))
    successors.sum_duplicates()
    ptr, heads = successors.indptr.tolist(), successors.indices.tolist()
    indegree = np.bincount(heads, minlength=n).tolist()
    ready = [v for v in range(n) if indegree[v] == 0]
    order: list[int] = []
    while ready:
        order.extend(ready)
        following = []
        for v in ready:
            for w in heads[ptr[v] : ptr[v + 1]]:
                indegree[w] -= 1
                if indegree[w] == 0:
                    following.append(w)
        ready = sorted(following)
    return np.array(order, dtype=np.int64)


def _validate(g: Graph) -> None:
    n, m = len(g.names), len(g.tensor_names)
    if n == 0:
        raise InvalidGraph(f"graph {g.name!r} has no operations")
    _check_unique("operation", g.names)
    _check_unique("tensor", g.tensor_names)
    _check_unique("shared weight", g.shared_names)
    lengths = dict.fromkeys(("op_types", "flops", "bytes_accessed", "weights", "group", "backward"), n)
    lengths |= {"tensor_bytes": m, "producer": m, "shared_bytes": len(g.shared_names)}
    for field_name, length in lengths.items():
        if len(getattr(g, field_name)) != length:
            raise InvalidGraph(f"{field_name} has {len(getattr(g, field_name))} entries, expected {length}")
    for field_name in ("flops", "bytes_accessed", "weights"):
        _check_amounts(field_name, getattr(g, field_name), "operation", g.names)
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
    adjacency = sp.csr_array((np.ones(len(g.consumers)), (g.edge_source, g.consumers)), shape=(g.n, g.n))
    loops = np.flatnonzero(g.edge_source == g.consumers)
    if len(loops):
        raise InvalidGraph(
            f"operation {g.names[g.consumers[loops[0]]]!r} reads its own output; the graph must be acyclic"
        )
    _, component = connected_components(adjacency, directed=True, connection="strong")
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
