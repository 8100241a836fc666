"""``Graph.from_onnx`` and its kind: the readers bound to the graph, so that the graph itself imports none of them.

Whoever imports ``partition.Graph``, ``partition.GraphBuilder`` or any reader has them. Readers of formats that need an
optional library are imported when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from partition.extras import require
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.readers.measured import with_times
from partition.readers.native_json import read_json, write_json

__all__ = ["Graph", "GraphBuilder"]


def _from_onnx(path: str, **options: Any) -> Graph:
    """Read an ONNX model; see :func:`partition.readers.onnx.model.read_onnx`."""
    from partition.readers.onnx.model import read_onnx

    return read_onnx(path, **options)


def _from_json(source: str) -> Graph:
    """Read the project's own JSON; see :func:`partition.readers.native_json.read_json`."""
    return read_json(source)


def _from_networkx(digraph: object, **options: Any) -> Graph:
    """Convert a networkx DiGraph; see :func:`partition.readers.networkx_graph.from_networkx`."""
    from partition.readers.networkx_graph import from_networkx

    return from_networkx(digraph, **options)


def _from_torch(program: Any, **options: Any) -> Graph:
    """Convert a program of ``torch.export``; see :func:`partition.readers.torch.reader.from_torch`."""
    require("reading PyTorch programs", "torch")
    from partition.readers.torch.reader import from_torch

    return from_torch(program, **options)


def _from_jax(function: Any, *args: Any, **options: Any) -> Graph:
    """Trace a JAX function; see :func:`partition.readers.jax.program.from_jax`."""
    from partition.readers.jax.program import from_jax

    return from_jax(function, *args, **options)


def _to_json(self: Graph, path: str | None = None) -> str:
    """The project's own JSON as text, also written to ``path`` if given (atomically)."""
    return write_json(self, path)


def _with_times(self: Graph, times: Mapping[str, Any], kinds: Sequence[str]) -> tuple[Graph, list[str]]:
    """Measured times instead of the roofline; see :func:`partition.readers.measured.with_times`."""
    return with_times(self, times, kinds)


_READERS: dict[str, Callable[..., Graph]] = {
    "from_onnx": _from_onnx, "from_json": _from_json, "from_networkx": _from_networkx,
    "from_torch": _from_torch, "from_jax": _from_jax,
}  # fmt: skip
_METHODS: dict[str, Callable[..., Any]] = {"to_json": _to_json, "with_times": _with_times}
for _name, _reader in _READERS.items():
    setattr(Graph, _name, staticmethod(_reader))
for _name, _method in _METHODS.items():
    setattr(Graph, _name, _method)
