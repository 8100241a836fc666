"""Building a graph by names, operation by operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partition.arrays import csr
from partition.errors import InvalidGraph
from partition.problem.constants import Constant, stated
from partition.problem.cut_axis import CutAxis
from partition.problem.graph import SOURCE_KINDS, Graph, HeldWeights


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
        self.computed: dict[str, Constant] = {}
        """Weight -> how it is computed from others, of those that are (:mod:`partition.problem.constants`)."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        """Tensor -> extents of its dimensions, of those that are known."""
        self.cut_axes: dict[str, tuple[CutAxis, ...]] = {}
        """Operation -> the axes along which it can be computed in parts, of those that have any."""
        self.dims: dict[str, int] = {}
        """Values of the symbolic dimensions that the model was read with."""
        self.results: list[str] = []
        """Tensors that leave the model, where the reader knows them."""
        self._unknown: set[str] = set()
        self._guessed: set[str] = set()

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
        guessed: bool = False,
        module: str = "",
        view: bool = False,
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
        guessed : its cost follows from a guess made elsewhere.
        module : path of the module that it is in, where its name does not say so.
        view : its result is its operand's own memory, so it takes no time.
        """
        if not isinstance(weights, Mapping):
            weights = {f"{name}::weights": weights} if weights else {}
        traffic = 0.0 if view else bytes_accessed
        self.rows.append(_Row(name, op_type, list(dict.fromkeys(inputs)), dict(outputs or {}), float(flops), traffic,
                              dict(weights), group, backward, dict(times or {}), module, view))  # fmt: skip
        if unknown:
            self._unknown.add(name)
        if unknown or guessed:
            self._guessed.add(name)

    def build(self) -> Graph:
        """Validate and freeze.

        Raises
        ------
        InvalidGraph : see :class:`Graph`; also for a tensor read but produced by nobody, produced twice, or
            a shared weight declared with two sizes.
        """
        rows = self.rows
        producer, producer_of, tensor_bytes = self._tensors()
        ptr, consumers = csr(len(producer), *self._edges(producer_of))
        held = _split_weights([row.weights for row in rows], [row.name for row in rows])
        groups = {g: i for i, g in enumerate(dict.fromkeys(r.group for r in rows if r.group is not None))}
        kinds = list(dict.fromkeys(kind for row in rows for kind in row.times))
        return Graph(
            name=self.name,
            names=tuple(row.name for row in rows),
            op_types=tuple(row.op_type for row in rows),
            flops=np.array([row.flops for row in rows]),
            bytes_accessed=np.array([self._traffic(row, producer_of, tensor_bytes) for row in rows]),
            weights=held.weights,
            tensor_names=tuple(producer_of),
            tensor_bytes=np.array(tensor_bytes),
            producer=np.array(producer, dtype=np.int64),
            consumer_ptr=ptr,
            consumers=consumers,
            shared_names=held.shared_names,
            shared_bytes=held.shared_bytes,
            shared_ptr=held.shared_ptr,
            shared_users=held.shared_users,
            group=np.array([-1 if row.group is None else groups[row.group] for row in rows], dtype=np.int64),
            backward=np.array([row.backward for row in rows], dtype=bool),
            profiled_times={kind: np.array([row.times.get(kind, np.nan) for row in rows]) for kind in kinds},
            unknown_operators=tuple(sorted({row.op_type for row in rows if row.name in self._unknown})),
            least=self._least_weights(),
            guessed=tuple(row.name for row in rows if row.name in self._guessed),
            modules=tuple(row.module for row in rows) if any(row.module for row in rows) else (),
            views=np.array([row.view for row in rows], dtype=bool),
            shapes=tuple(self.shapes.get(tensor) for tensor in producer_of) if self.shapes else (),
            cut_axes=self.cut_axes,
            dims=self.dims,
            results=tuple(tensor for tensor in dict.fromkeys(self.results) if tensor in producer_of),
        )

    def _tensors(self) -> tuple[list[int], dict[str, int], list[float]]:
        """The producer of each tensor, its number by name, and its bytes."""
        number: dict[str, int] = {}
        producer: list[int] = []
        size: list[float] = []
        for v, row in enumerate(self.rows):
            for tensor, count in row.outputs.items():
                if tensor in number:
                    other = self.rows[producer[number[tensor]]].name
                    raise InvalidGraph(
                        f"tensor {tensor!r} is produced by both {other!r} and {row.name!r}; a tensor has one producer"
                    )
                number[tensor] = len(producer)
                producer.append(v)
                size.append(float(count))
        return producer, number, size

    def _edges(self, producer_of: Mapping[str, int]) -> tuple[list[int], list[int]]:
        """Tensor and consumer of each edge."""
        tensors, consumers = [], []
        for v, row in enumerate(self.rows):
            for tensor in row.inputs:
                if tensor not in producer_of:
                    raise InvalidGraph(
                        f"operation {row.name!r} reads tensor {tensor!r}, which no operation produces; "
                        "add its producer or an Input"
                    )
                tensors.append(producer_of[tensor])
                consumers.append(v)
        return tensors, consumers

    def _least_weights(self) -> HeldWeights | None:
        """What chips could hold instead of computed weights: of all that come from one weight, the least once."""
        if not any(weight in self.computed for row in self.rows for weight in row.weights):
            return None
        least: dict[str, float] = {}
        roots: list[list[str]] = []
        for row in self.rows:
            needs = [self.computed.get(weight, stated(weight, size)) for weight, size in row.weights.items()]
            for need in needs:
                least[need.root] = min(need.least, least.get(need.root, need.least))
            roots.append([need.root for need in needs])
        return _split_weights([{root: least[root] for root in row} for row in roots], [row.name for row in self.rows])

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


def _split_weights(weights: Sequence[Mapping[str, float]], names: Sequence[str]) -> HeldWeights:
    """Weights that one operation uses, summed up, apart from those that several use."""
    size: dict[str, float] = {}
    users: dict[str, list[int]] = {}
    for v, row in enumerate(weights):
        for weight, value in row.items():
            if size.setdefault(weight, float(value)) != float(value):
                raise InvalidGraph(
                    f"weight {weight!r} is declared with {size[weight]:g} and with {value:g} bytes "
                    f"(at {names[v]!r}); a shared weight has one size"
                )
            users.setdefault(weight, []).append(v)
    private = np.zeros(len(weights))
    for weight, operations in users.items():
        if len(operations) == 1:
            private[operations[0]] += size[weight]
    shared = [weight for weight, operations in users.items() if len(operations) > 1]
    ptr, columns = csr(
        len(shared),
        [s for s, weight in enumerate(shared) for _ in users[weight]],
        [v for weight in shared for v in users[weight]],
    )
    return HeldWeights(private, tuple(shared), np.array([size[weight] for weight in shared]), ptr, columns)


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
    module: str = ""
    view: bool = False
