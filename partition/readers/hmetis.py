"""Directed hypergraphs in the format of hMETIS: of each hyperedge, the first pin is the producer.

The first line has the numbers of hyperedges and vertices and, optionally, a format: 1 with weights of hyperedges, 10
with weights of vertices, 11 with both. A vertex is an operation, its weight the time; a hyperedge is a tensor, its
weight the bytes; both are 1 where they are not given. Lines that begin with ``%`` are comments.
"""

from __future__ import annotations

import re
from pathlib import Path

from partition.errors import InvalidModelFile
from partition.problem.graph import Graph
from partition.readers.timed import Sent, number, text_of, timed_graph, whole


def looks_like_a_hypergraph(start: str) -> bool:
    """Whether the first line is a head, and the second one has at least one pin."""
    rows = [row for row in start.splitlines() if row.strip() and not row.lstrip().startswith("%")]
    return len(rows) > 1 and all(re.fullmatch(r"\s*\d+(\s+\d+)+\s*", row) is not None for row in rows[:1] + rows[1:2])


def read_hmetis(path: Path) -> Graph:
    """The graph of a file; raises InvalidModelFile."""
    rows = [row.split() for row in text_of(path).splitlines() if not row.lstrip().startswith("%")]
    rows = [row for row in rows if row]
    head = rows[0] if rows else []
    if len(head) not in (2, 3) or (len(head) == 3 and head[2] not in ("0", "1", "10", "11")):
        raise InvalidModelFile("the first line must be the numbers of hyperedges and vertices, and 1, 10 or 11 at most")
    edges, vertices = whole(head[0], "the number of hyperedges"), whole(head[1], "the number of vertices")
    form = int(head[2]) if len(head) == 3 else 0
    needed = 1 + edges + (vertices if form >= 10 else 0)
    if len(rows) != needed:
        raise InvalidModelFile(f"the file has {len(rows)} lines but for comments; its first line asks for {needed}")
    tensors = []
    for i, row in enumerate(rows[1 : 1 + edges], 1):
        size = number(row[0], f"the weight of hyperedge {i}") if form % 10 else 1.0
        pins = [whole(pin, f"a pin of hyperedge {i}") for pin in row[form % 10 :]]
        if not pins or not all(1 <= pin <= vertices for pin in pins):
            raise InvalidModelFile(f"hyperedge {i} must have pins from 1 to {vertices}")
        tensors.append(Sent(f"v{pins[0]}", size, [f"v{pin}" for pin in pins[1:]]))
    last = [row[0] for row in rows[1 + edges :]] or ["1"] * vertices
    times = {f"v{i}": number(weight, f"the weight of vertex {i}") for i, weight in enumerate(last, 1)}
    return timed_graph(path.stem, times, tensors)
