"""Acyclic graphs in the Graphviz files of dagP (Herrmann et al., SISC 2019).

``weight`` of a node is its time. ``weight`` of an edge is the bytes of a tensor of its own. Both are 1 where they are
not given.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from partition.errors import InvalidModelFile
from partition.problem.graph import Graph
from partition.readers.timed import Sent, number, text_of, timed_graph
from partition.text import shown

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*", re.DOTALL | re.MULTILINE)
HEAD = re.compile(r"\s*(strict\s+)?digraph\b[^{]*\{")
NAME = r'(?:"(?:[^"\\]|\\.)*"|[\w.:-]*[\w.:])'
STATEMENT = rf"\s*({NAME}(?:\s*->\s*{NAME})*)\s*(?:\[([^\]]*)\])?\s*[;\n]"
SETTING = r"\s*(?:(?:graph|node|edge)\s*\[[^\]]*\]|\w+\s*=\s*[^;\n]+)\s*[;\n]"
WEIGHT = r'(?i:\bweight)\s*=\s*"?([^\s",;\]]+)'
"""Compiled when a file is read: all readers are imported at the start of any program."""


def looks_like_a_digraph(start: str) -> bool:
    """Whether a file begins as a directed graph of Graphviz."""
    return HEAD.match(COMMENT.sub("", start)) is not None


def read_dagp_dot(path: Path) -> Graph:
    """The graph of a file; raises InvalidModelFile."""
    text = COMMENT.sub("", text_of(path))
    head = HEAD.match(text)
    if head is None or "}" not in text:
        raise InvalidModelFile("the file is no directed graph of Graphviz; it must read digraph NAME { ... }")
    body = text[head.end() : text.rindex("}")] + "\n"
    times: dict[str, float] = {}
    tensors: list[Sent] = []
    at = 0
    setting_at, statement_at = re.compile(SETTING).match, re.compile(STATEMENT).match
    end = len(body.rstrip("; \n\t\r"))
    while at < end:
        setting, found = setting_at(body, at), statement_at(body, at)
        if setting is not None:
            at = setting.end()
            continue
        if found is None:
            if body[at] in "; \n\t\r":
                at += 1
                continue
            raise InvalidModelFile(f"cannot read {shown(body[at : at + 40].strip())}; give nodes and edges, a -> b")
        names = [name.strip().strip('"') for name in re.findall(NAME, found[1])]
        given = re.search(WEIGHT, found[2] or "")
        weight = 1.0 if given is None else number(given[1], f"the weight of {found[1].strip()[:40]}")
        for name in names:
            times.setdefault(name, 1.0)
        if len(names) == 1:
            times[names[0]] = weight
        tensors += [Sent(u, weight, [v]) for u, v in itertools.pairwise(names)]
        at = found.end()
    if not times:
        raise InvalidModelFile("the graph has no nodes; give some")
    return timed_graph(path.stem, times, tensors)
