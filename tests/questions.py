"""The generator of random questions: every feature is drawn on its own, so that any two can meet.

A question is what a user gives, a graph's JSON and a hardware's TOML, as parsed data (docs/formats.md,
docs/hardware.md). The oracle reads it as it is; :meth:`Question.read` hands it to the library as files.
"""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from wish_draws import STYLES, draw_wishes, in_modules

from partition import Graph, Hardware, load_hardware
from partition.problem.narrowed import Narrowed, narrow
from partition.problem.wishes import Wishes

Draw = Callable[[float], float]
"""A random amount up to a limit."""

Edges = list[tuple[int, int]]

WEIGHT = 1000.0
"""Bytes of weights per unit, so many that the inputs of replicable operations are small beside a chip's SRAM."""

RULES = ("acyclic", "no_skipping", "triangle", "memory", "replication", "relays")

CHOICES: dict[str, tuple[Any, ...]] = {
    "shape": (
        "random",
        "random",
        "chain",
        "ladder",
        "star",
        "broadcast",
        "grid",
        "parallel",
        "isolated",
        "mirror",
        "layers",
    ),
    "times": ("whole", "whole", "equal", "fractions", "spread", "sparse"),
    "sizes": ("whole", "whole", "equal", "fractions", "spread", "none"),
    "tensors": ("one", "one", "several", "unread"),
    "profiled": ("none", "none", "none", "some", "some", "cannot"),
    "traffic": ("none", "none", "default", "given"),
    "computed": ("none", "none", "none", "some"),
    "shared": ("none", "none", "used", "unused", "used"),
    "groups": ("none", "none", "some", "cyclic"),
    "backward": ("none", "none", "none", "last", "any"),
    "cheap": ("none", "none", "inputs", "constants", "chain"),
    "order": ("topological", "any"),
    "topology": ("chain", "ring", "ring", "memory", "crossbar", "bichain", "biring", "mesh"),
    "transfers": ("overlapped", "serial"),
    "bandwidth": (1.0, 1.0, 0.5, 4.0, math.inf, 1e-6, 1e9),
    "kinds": ("one", "one", "one", "two", "three", "unused"),
    "kind_order": ("fixed", "free"),
    "speeds": ("equal", "unequal", "far"),
    "free_transfers": ("none", "none", "none", "some", "all"),
    "unsupported": ("none", "none", "none", "some"),
    "overhead": (0.0, 0.0, 0.25),
    "sram": (*("unlimited",) * 6, "part", "part", "exact", "chipwise", "chipwise", "zero"),
    "positions": ("default", "given"),
    **dict.fromkeys(RULES, (True, True, False)),
    "dynamic_memory": (False, False, True),
    "dram": ("none", "none", "none", "all", "some"),
    "streaming": ("overlapped", "serial"),
    "objective": ("period",),
    "throughput": (None,),
    "wishes": STYLES,
}
"""What each feature is drawn from; a value twice is drawn twice as often.

Only strata pin the times ``pairs``, the cheap operations ``late``, the shape ``detours`` and its backward ``ways``
(tests/strata.py).
"""

LATER = ("wishes", "dram", "streaming")
"""Features that came later, drawn from streams of their own: seeds give the questions that they gave."""

OBJECTIVES = (
    "traffic", "energy", "latency", "chips", "period,traffic", "period,energy", "period,latency", "period,chips",
    "chips,energy", "chips,traffic", "chips,latency", "traffic,energy", "energy,latency", "latency,traffic",
    "period,traffic,latency", "period,chips,energy", "chips,energy,latency", "latency,period", "traffic,period",
    "energy,period", "chips,period", "latency,period,traffic",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What a user gives.

    Attributes
    ----------
    graph, hardware : parsed JSON and TOML. wishes : as parsed TOML, or empty.
    objective, throughput : as for ``partition``; the throughput in inverse optima of the period, or None.
    drawn : the value of every feature.
    """

    graph: dict[str, Any]
    hardware: dict[str, Any]
    wishes: dict[str, Any]
    objective: str
    throughput: float | None
    drawn: dict[str, Any]

    @property
    def problem(self) -> dict[str, Any]:
        """As the oracle reads it."""
        return {"graph": self.graph, "hardware": self.hardware, "wishes": self.wishes}

    def read(self) -> tuple[Graph, Hardware]:
        """As the library reads it: from the JSON text and a TOML file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "hardware.toml"
            path.write_text(to_toml(self.hardware), encoding="utf-8")
            return Graph.from_json(json.dumps(self.graph)), load_hardware(str(path))

    def narrowed(self) -> Narrowed:
        """As the engines see it, wishes included."""
        graph, hardware = self.read()
        return narrow(graph, hardware, Wishes.of(**self.wishes).on(graph, hardware.chips))

    def pairs(self) -> set[tuple[str, str]]:
        """Every two features with their values."""
        told = sorted(f"{name}={value}" for name, value in self.drawn.items())
        return set(itertools.combinations(told, 2))


def draw(
    rng: np.random.Generator,
    *,
    n: tuple[int, int] = (1, 7),
    chips: tuple[int, int] = (1, 4),
    **pinned: Any,
) -> Question:
    """A random question.

    Parameters
    ----------
    n, chips : fewest and most operations (cheap ones aside) and chips.
    pinned : values of :data:`CHOICES` that are not drawn.
    """
    unknown = set(pinned) - set(CHOICES)
    assert not unknown, f"no such features: {sorted(unknown)}"
    own = rng.spawn(1)[0]
    later = rng.spawn(1)[0]
    features = {
        name: values[int(rng.integers(0, len(values)))] for name, values in CHOICES.items() if name not in LATER
    }
    features |= {"wishes": str(own.choice(STYLES))}
    features |= {name: str(later.choice(CHOICES[name])) for name in ("dram", "streaming")} | pinned
    size, count = int(rng.integers(n[0], n[1] + 1)), int(rng.integers(chips[0], chips[1] + 1))
    if features["dynamic_memory"]:
        features["memory"] = True  # the one builds on the other
    if features["dynamic_memory"] and features["dram"] != "none":  # refused otherwise
        features |= {"dynamic_memory": False} if "dram" in pinned else {"dram": "none"}
    if features["topology"] == "chain" and count > 1:
        features["acyclic"] = True  # refused otherwise
    graph = _graph(rng, features, size)
    hardware = _hardware(rng, features, graph, count)
    if features["wishes"] != "none":
        in_modules(graph)
    wishes = draw_wishes(own, features["wishes"], [row["name"] for row in graph["operations"]], count)
    if wishes.keys() & {"pins", "forbid", "max_stages"}:
        features["kind_order"] = hardware["kind_order"] = "fixed"  # refused otherwise
    return Question(graph, hardware, wishes, features["objective"], features["throughput"], features)


def with_goals(rng: np.random.Generator, question: Question) -> Question:
    """The question with other goals than the period, and at times a throughput, in inverse least periods."""
    objective = str(rng.choice(OBJECTIVES))
    slack = float(rng.choice([1.0, 1 + 1e-6, 1.3, 2.0, 0.5]))
    wanted = not objective.startswith("period") and rng.random() < 0.8
    throughput = 1 / slack if wanted else None
    drawn = question.drawn | {"objective": objective, "throughput": throughput is not None}
    return replace(question, objective=objective, throughput=throughput, drawn=drawn)


# --- graphs ---------------------------------------------------------------------------------------------------


def _amounts(rng: np.random.Generator, style: str) -> Draw:
    one = float(rng.choice([1.0, 2.0, 1 / 3, 0.1]))
    scales = 10.0 ** rng.integers(-9, 4, 3)
    two = 2 + np.arange(2) * int(2 * one + 1)  # which together fill a chip, where there are as many of both
    return {
        "none": lambda high: 0.0,
        "whole": lambda high: float(rng.integers(0, int(high) + 1)),
        "equal": lambda high: one,
        "fractions": lambda high: float(rng.random() * high),
        "spread": lambda high: float(rng.choice(scales) * rng.integers(1, 4)),
        "sparse": lambda high: float(rng.random() < 0.5) * float(rng.integers(1, int(high) + 1)),
        "pairs": lambda high: float(rng.choice(two)),
    }[style]


def edges_of(rng: np.random.Generator, shape: str, n: int) -> Edges:
    """Pairs (producer, consumer) of ``n`` operations in a topological order."""
    line = [(i, i + 1) for i in range(n - 1)]
    half = (n + 1) // 2
    if shape == "random":
        return [(i, j) for j in range(n) for i in range(j) if rng.random() < min(0.45, 3.5 / n)]
    if shape == "chain":
        return line
    if shape == "ladder":  # two rails and the rungs between them
        return [(i, i + 2) for i in range(n - 2)] + [(i, i + 1) for i in range(0, n - 1, 2)]
    if shape == "star":
        centre = int(rng.integers(0, n))
        return [(min(i, centre), max(i, centre)) for i in range(n) if i != centre]
    if shape == "broadcast":
        return sorted({*line, *((0, i) for i in range(1, n))})
    if shape == "grid":
        width = max(1, round(math.sqrt(n)))
        down = [(i, i + width) for i in range(n - width)]
        return down + [(i, i + 1) for i in range(n - 1) if (i + 1) % width]
    if shape == "parallel":  # branches between a first and a last operation
        return [(0, i) for i in range(1, n - 1)] + [(i, n - 1) for i in range(1, n - 1)] or line
    if shape == "mirror":  # a line, and another back along it that reads what the first one made
        back = [(half - 1, half)] if n > 1 else []
        back += [(i, i + 1) for i in range(half, n - 1)]
        skips = [(i, n - 1 - i) for i in range(half - 1) if n - 1 - i > half and rng.random() < 0.7]
        return [(i, i + 1) for i in range(half - 1)] + back + skips
    if shape == "layers":  # wide: each operation reads one or two of the layer before
        width = max(2, round(n**0.6))
        before = [range(max(0, i - i % width - width), i - i % width) for i in range(n)]
        picked = [rng.choice(len(b), min(len(b), int(rng.integers(1, 3))), replace=False) for b in before]
        return sorted({(b[int(k)], i) for i, (b, some) in enumerate(zip(before, picked, strict=True)) for k in some})
    if shape == "detours":  # two ways from one operation to another, again and again
        steps = {0: (1, 2), 1: (2,), 2: (1,), 3: (1,)}
        return [(i, i + step) for i in range(n) for step in steps[i % 4] if i + step < n]
    assert shape == "isolated", shape
    return [(i, j) for j in range(n) for i in range(j) if rng.random() < min(0.12, 1.5 / n)]


def _graph(rng: np.random.Generator, features: dict[str, Any], n: int) -> dict[str, Any]:
    time, size = _amounts(rng, features["times"]), _amounts(rng, features["sizes"])
    operations = [_operation(rng, features, i, time, size) for i in range(n)]
    edges = edges_of(rng, features["shape"], n)
    _group(rng, features["groups"], operations)
    if features["backward"] != "none":
        first = int(rng.integers(0, n))
        for i, row in enumerate(operations):
            if features["backward"] == "ways":  # the first of two ways of ``detours``, and what both join
                row["backward"] = i % 4 != 2
            elif i >= first if features["backward"] == "last" else rng.random() < 0.5:
                row["backward"] = True
    tensors = _tensors(rng, features["tensors"], n, edges, size)
    cheap, more = _cheap(rng, features["cheap"], [row["name"] for row in operations], size)
    operations, tensors = cheap + operations, more + tensors
    graph: dict[str, Any] = {"operations": operations, "tensors": tensors}
    if features["shared"] != "none":
        graph["shared_weights"] = _shared(rng, features["shared"], [row["name"] for row in operations])
    if features["computed"] == "some":
        graph["least_shared_weights"] = []
        for row in operations:
            row["least_weights"] = row.get("weights", 0.0) / 2
    if features["order"] == "any":
        for rows in graph.values():
            rng.shuffle(rows)
    return graph


def _operation(rng: np.random.Generator, features: dict[str, Any], i: int, time: Draw, size: Draw) -> dict[str, Any]:
    row: dict[str, Any] = {"name": f"v{i}", "op_type": str(rng.choice(["Op", "Op", "Mul", "Softmax"]))}
    row["flops"] = time(10)
    row["weights"] = WEIGHT * float(rng.integers(0, 4)) if rng.random() < 0.7 else float(rng.integers(0, 6))
    if features["traffic"] != "default":
        row["bytes_accessed"] = 0.0 if features["traffic"] == "none" else size(9)
    if features["profiled"] != "none" and rng.random() < 0.4:
        kinds = [k for k in ("k0", "k1", "k2") if rng.random() < 0.6]
        cannot = features["profiled"] == "cannot"
        row["times"] = {k: None if cannot and rng.random() < 0.3 else time(10) for k in kinds}
    return row


def _tensors(rng: np.random.Generator, style: str, n: int, edges: Edges, size: Draw) -> list[dict[str, Any]]:
    """One tensor or several per producer; of several, each reader reads one at least."""
    tensors = []
    for u in range(n):
        readers = sorted({w for v, w in edges if v == u})
        count = int(rng.integers(1, 4)) if style == "several" else 1
        read = [[w for w in readers if rng.random() < 0.6] for _ in range(count - 1)]
        missing = [w for w in readers if not any(w in some for some in read)] if read else readers
        lists = [*read, missing]
        if style != "unread":
            lists = [some for some in lists if some]
        elif rng.random() < 0.5:
            lists.append([])
        tensors += [
            {"name": f"t{u}.{k}", "producer": f"v{u}", "bytes": size(6), "consumers": [f"v{w}" for w in some]}
            for k, some in enumerate(lists)
        ]
    return tensors


def _group(rng: np.random.Generator, style: str, operations: list[dict[str, Any]]) -> None:
    """Groups of neighbours in the order, or of any operations, whose paths between them make cycles."""
    if style == "some":
        for row in operations:
            if rng.random() < 0.5:
                row["group"] = str(rng.choice(["a", "b"]))
    elif style == "cyclic" and len(operations) > 1:
        ends = rng.choice(len(operations), 2, replace=False)
        for i in ends:
            operations[int(i)]["group"] = 7


def _cheap(
    rng: np.random.Generator, style: str, names: list[str], size: Draw
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs or constants, and with ``chain`` quick operations behind them: candidates for replication.

    With ``late``, a quick operation that the last one reads, and another behind both.
    """
    if style == "none":
        return [], []
    if style == "late":
        quick = {"name": "late", "op_type": "Neg", "flops": 0.004, "bytes_accessed": 0, "weights": 0.0}
        after = {"name": "after", "op_type": "Op", "flops": 0.0, "bytes_accessed": 0, "weights": 0.0}
        read = [("late", [names[-1], "after"]), (names[-1], ["after"])]
        return [quick, after], [{"producer": u, "bytes": 0.1, "consumers": readers} for u, readers in read]
    sources = [f"in{i}" for i in range(int(rng.integers(1, 3)))]
    rows: list[dict[str, Any]] = [
        {"name": name, "op_type": "Constant" if style == "constants" or rng.random() < 0.2 else "Input"}
        for name in sources
    ]
    made = list(sources)
    reads: dict[str, list[str]] = {}
    for i in range(int(rng.integers(1, 3)) if style == "chain" else 0):
        name = f"cheap{i}"
        reads[name] = [u for u in made if rng.random() < 0.6]
        flops, weights = float(rng.choice([0.0, 0.004, 0.02])), float(rng.choice([0.0, 5.0]))
        rows.append({"name": name, "op_type": "Neg", "flops": flops, "bytes_accessed": 0, "weights": weights})
        made.append(name)
    tensors = []
    for u in made:
        readers = [w for w, producers in reads.items() if u in producers]
        readers += [w for w in names if rng.random() < 0.5]
        small = min(size(4), 4.0) if rng.random() < 0.8 else 3 * WEIGHT
        tensors.append({"producer": u, "bytes": small, "consumers": readers})
        if rng.random() < 0.3:
            more = [w for w in readers if rng.random() < 0.5]
            tensors.append({"producer": u, "bytes": min(size(4), 4.0), "consumers": more})
    return rows, tensors


def _shared(rng: np.random.Generator, style: str, names: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i in range(int(rng.integers(1, 3))):
        row: dict[str, Any] = {"name": f"shared{i}", "bytes": float(rng.choice([2.0, 2 * WEIGHT, 5 * WEIGHT]))}
        users = [name for name in names if rng.random() < 0.4]
        if style == "used":
            row["users"] = users
        elif rng.random() < 0.5:
            row["users"] = users[:1]
        rows.append(row)
    return rows


# --- packages -------------------------------------------------------------------------------------------------


def _hardware(rng: np.random.Generator, features: dict[str, Any], graph: dict[str, Any], chips: int) -> dict[str, Any]:
    names = ["k0", "k1", "k2"][: {"one": 1, "two": 2, "three": 3, "unused": 2}[features["kinds"]]]
    used = names[:1] if features["kinds"] == "unused" else names
    if features["kinds"] == "unused" and rng.random() < 0.5:
        used = names[1:]
    sram = _capacities(rng, features["sram"], graph, chips, len(names))
    free = {"none": 0.0, "some": 0.5, "all": 1.0}[features["free_transfers"]]
    kinds = {name: _kind(rng, features, rng.random() < free, size) for name, size in zip(names, sram, strict=True)}
    of_chip = [str(rng.choice(used)) for _ in range(chips)]
    topology = features["topology"]
    link: dict[str, Any] = {
        "topology": topology,
        "link_bandwidth": features["bandwidth"],
        "link_latency_s": float(rng.choice([0.0, 0.25])),
        "transfers": features["transfers"],
        "streaming": features["streaming"],
        "link_energy_j_per_byte": float(rng.choice([0.0, 0.125, 10.0])),
    }
    if topology == "mesh":
        link["rows"] = int(rng.choice([d for d in range(1, chips + 1) if chips % d == 0]))
        link["columns"] = chips // link["rows"]
    rules = {name: features[name] for name in (*RULES, "dynamic_memory")}
    hardware = {
        "name": "drawn",
        "kind_order": features["kind_order"],
        "chips": [{"kind": kind} for kind in of_chip],
        "chip_kinds": kinds,
        "interconnect": link,
        "rules": rules,
    }
    if features["positions"] == "given" and topology in ("bichain", "biring", "mesh"):
        hardware["positions"] = [int(q) for q in rng.permutation(chips)]
    return hardware


def _kind(rng: np.random.Generator, features: dict[str, Any], free: bool, sram: float) -> dict[str, Any]:
    speeds = {"equal": [1.0], "unequal": [0.5, 1.0, 2.0], "far": [1.0, 1e-6, 1e6]}[features["speeds"]]
    kind: dict[str, Any] = {
        "peak_flops": float(rng.choice(speeds)),
        "op_overhead_s": features["overhead"],
        "flop_energy_j": float(rng.choice([0.0, 0.5, 2.0])),
        "sram_energy_j_per_byte": float(rng.choice([0.0, 0.25])),
        "free_transfers": free,
    }
    if features["traffic"] != "none" and rng.random() < 0.5:
        kind["sram_bandwidth"] = float(rng.choice([1.0, 0.5]))
    if math.isfinite(sram):
        kind["sram_bytes"] = sram
    if features["dram"] == "all" or (features["dram"] == "some" and rng.random() < 0.5):
        kind["dram_bandwidth"] = WEIGHT * float(rng.choice([1.0, 0.5, 4.0, 1 / 3, 1e-3, 1e6]))
    if features["unsupported"] == "some":
        kind["unsupported"] = [t for t in ("Mul", "Softmax", "Input", "Neg") if rng.random() < 0.35]
    return kind


def _capacities(rng: np.random.Generator, style: str, graph: dict[str, Any], chips: int, kinds: int) -> list[float]:
    """SRAM of each kind: a part of all that has to be held, what some set of weights fills exactly, or nothing."""
    weights = [row.get("weights", 0.0) for row in graph["operations"]]
    weights += [row["bytes"] for row in graph.get("shared_weights", [])]
    total = sum(weights) + sum(t["bytes"] for t in graph["tensors"]) * float(rng.choice([0.0, 1.0, 2.0]))
    if style == "unlimited":
        return [math.inf] * kinds
    if style == "zero":
        return [float(rng.choice([0.0, total])) for _ in range(kinds)]
    if style == "exact":
        return [sum(w for w in weights if rng.random() < 0.6) for _ in range(kinds)]
    if style == "chipwise":
        return [total / chips * float(rng.choice([1.0, 1.2, 1.5])) for _ in range(kinds)]
    return [total * float(rng.choice([0.3, 0.5, 0.8, 1.0])) + 1 for _ in range(kinds)]


# --- files ----------------------------------------------------------------------------------------------------


def to_toml(hardware: dict[str, Any]) -> str:
    """The TOML text of a parsed file; it shares no code with the library's own writer."""

    def value(v: Any) -> str:
        if isinstance(v, bool):
            return str(v).lower()
        if isinstance(v, list):
            return f"[{', '.join(map(value, v))}]"
        return json.dumps(v) if isinstance(v, str) else repr(v)

    def table(head: str, rows: dict[str, Any]) -> list[str]:
        return ["", head, *(f"{key} = {value(v)}" for key, v in rows.items())]

    lines = [f"{key} = {value(v)}" for key, v in hardware.items() if not isinstance(v, dict) and key != "chips"]
    for row in hardware["chips"]:
        lines += table("[[chips]]", row)
    for name, row in hardware["chip_kinds"].items():
        lines += table(f"[chip_kinds.{name}]", row)
    for name in ("interconnect", "rules"):
        lines += table(f"[{name}]", hardware[name])
    return "\n".join(lines) + "\n"
