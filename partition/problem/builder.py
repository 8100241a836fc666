"""Building a graph by names, operation by operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partition.arrays import csr
from partition.errors import InvalidGraph
from partition.problem.graph import SOURCE_KINDS, Graph


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
        ptr, consumers = csr(len(producer), edge_tensor, edge_consumer)

        private, shared = self._split_weights()
        shared_ptr, shared_users = csr(
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
