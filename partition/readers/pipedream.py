"""PipeDream's measured profiles, ``graph.txt`` (Narayanan et al., SOSP 2019).

A layer takes its forward and backward time, in milliseconds. Its activation goes on in the forward pass and the
gradient comes back, so its tensor has twice the bytes. Parameters are the layer's weights.
"""

from __future__ import annotations

import re
from pathlib import Path

from partition.errors import InvalidModelFile
from partition.problem.graph import Graph
from partition.readers.timed import Sent, number, text_of, timed_graph

NODE = re.compile(r"\s*(\S+) -- (.*) -- (forward_compute_time=.*)")
EDGE = re.compile(r"\s*(\S+) -- (\S+)\s*")
MILLISECONDS = 1e-3


def looks_like_a_profile(start: str) -> bool:
    """Whether some line of a file is a layer or the first is an edge of a profile."""
    return re.search(r"^\s*\S+ -- .* -- forward_compute_time=", start, re.MULTILINE) is not None


def read_pipedream(path: Path) -> Graph:
    """The graph of a profile; raises InvalidModelFile."""
    times: dict[str, float] = {}
    sizes: dict[str, float] = {}
    weights: dict[str, float] = {}
    readers: dict[str, list[str]] = {}
    for line, row in enumerate(text_of(path).splitlines(), 1):
        node, edge = NODE.fullmatch(row), EDGE.fullmatch(row)
        if node is not None:
            name = node[1]
            if name in times:
                raise InvalidModelFile(f"line {line} gives {name} again; give each layer once")
            fields = dict(part.strip().split("=", 1) for part in node[3].split(", ") if "=" in part)
            milliseconds = sum(_field(fields, key, line) for key in ("forward_compute_time", "backward_compute_time"))
            times[name] = round(milliseconds, 9) * MILLISECONDS
            sizes[name] = 2.0 * _activations(fields, line)
            weights[name] = _field(fields, "parameter_size", line)
        elif edge is not None:
            readers.setdefault(edge[1], []).append(edge[2])
        elif row.strip():
            raise InvalidModelFile(f"line {line} is {row.strip()[:60]!r}; it must be a layer or an edge of a profile")
    tensors = [Sent(name, sizes.get(name, 0.0), after) for name, after in readers.items()]
    return timed_graph(path.stem, times, tensors, weights)


def _field(fields: dict[str, str], key: str, line: int) -> float:
    if key not in fields:
        raise InvalidModelFile(f"line {line} has no {key}; add it")
    return number(fields[key], f"{key} in line {line}")


def _activations(fields: dict[str, str], line: int) -> float:
    """Bytes of the outputs: a number, or a list where a layer has several."""
    parts = fields.get("activation_size", "").strip("[] ").split(";")
    return sum(number(part, f"activation_size in line {line}") for part in parts)
