"""Damaged files of every format, what the library makes of them, and what it may make of them.

A file is drawn from a number alone. It may be read, and what comes out must then be usable; or it may be refused by an
exception of partition/errors.py whose message is one printable line. Anything else is a defect.
"""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mutations as mutate
import numpy as np
from hostile_nodes import odd_node
from hostile_seeds import (
    HARDWARE,
    answer_model,
    answers,
    csv_times,
    graph_of_answers,
    hardware_texts,
    json_times,
    manifests,
    models,
    native_texts,
    placement_texts,
    policies,
)
from mutations import Rng

from learned.policy.features import NodeFeatures
from learned.policy.policy import Policy
from partition import Graph, Hardware, PartitionError, load_hardware, load_model, partition
from partition.commands.options import read_answer
from partition.instance.contract import contract
from partition.problem.placement import Placement
from partition.readers.measured import read_times, with_times
from partition.report.page import to_html
from partition.scoring import rules
from partition.scoring.cost import evaluate_placement
from partition.split import Manifest, split_model
from partition.text import LONGEST

SOLVED = 150
"""One in so many graphs that are read is also solved, one in so many answers simulated."""

ENDINGS = {
    "toml": ".toml",
    "onnx": ".onnx",
    "onnx nodes": ".onnx",
    "npz": ".npz",
    "times csv": ".csv",
    "times json": ".json",
}


@dataclass(frozen=True)
class Verdict:
    """What became of a file: ``read`` (and usable), ``refused``, or a defect, with what was said."""

    outcome: str
    told: str


def formats() -> list[str]:
    """Names of the formats."""
    return list(_FORMATS)


def hostile_file(kind: str, seed: int, index: int) -> bytes:
    """A damaged file, by its number; every hundredth is whole."""
    rng = np.random.default_rng([seed, formats().index(kind), index])
    seeds, change, _ = _FORMATS[kind]
    originals = seeds()
    content: bytes = mutate.pick(rng, originals)
    return content if index % 100 == 0 and content else change(content, rng, originals)


def tried(kind: str, path: Path, rng: Rng, *, loud: bool = False) -> Verdict:
    """Read a file and use what comes out; ``loud`` lets a defect's exception through."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # numbers that overflow have passed a check they should not have
        try:
            _FORMATS[kind][2](path, rng)
        except PartitionError as error:
            told = str(error)
            fine = told and told.isprintable() and len(told) <= LONGEST
            return Verdict("refused" if fine else "defect: message", told)
        except Exception as error:
            if loud:
                raise
            return Verdict(f"defect: {type(error).__name__}", str(error)[:300])
    return Verdict("read", "")


# --- using what was read --------------------------------------------------------------------------------------------


def _use_graph(graph: Graph, hardware: Hardware, rng: Rng) -> None:
    placement = Placement(rng.integers(0, hardware.chips, graph.n))
    cost = evaluate_placement(graph, hardware, placement)
    assert not np.isnan(cost.period).any() and (cost.period >= 0).all(), "period"
    assert not np.isnan(cost.energy).any() and not np.isnan(cost.latency).any(), "energy or latency"
    rules.check(graph, hardware, placement)
    again = Graph.from_json(graph.to_json())
    assert again.fingerprint == graph.fingerprint, "round trip"
    if rng.integers(SOLVED) == 0:
        _solve(graph, hardware)


def _solve(graph: Graph, hardware: Hardware) -> None:
    result = partition(graph, hardware, time_limit=0.3)
    json.loads(result.to_json())
    assert result.to_table().replace("\n", "").isprintable(), "table"
    assert "<script>alert" not in to_html(result).lower() and "<img" not in to_html(result).lower(), "report"
    assert result.status == "infeasible" or result.bound <= result.period * (1 + 1e-9), "bound"


def _read_model(path: Path, rng: Rng) -> None:
    source = load_model(str(path))
    _use_graph(source.graph, source.hardware or load_hardware(str(mutate.pick(rng, HARDWARE))), rng)


def _read_onnx(path: Path, rng: Rng) -> None:
    graph = load_model(str(path), format="onnx", dims={"batch": 2} if rng.random() < 0.9 else None).graph
    _use_graph(graph, load_hardware("ring3"), rng)
    if rng.integers(5) == 0:
        chips = np.minimum(np.arange(graph.n) * 3 // graph.n, 2)
        order = np.empty(graph.n, dtype=np.int64)
        order[graph.topological_order] = chips
        split_model(path, Placement(order), path.parent / "inside" / "parts", dims={"batch": 2}, force=True)


def _read_node(path: Path, rng: Rng) -> None:
    _use_graph(load_model(str(path), format="onnx").graph, load_hardware("ring3"), rng)


def _read_hardware(path: Path, rng: Rng) -> None:
    from partition.problem.hardware_toml import to_toml

    hardware = load_hardware(str(path))
    text = to_toml(hardware)
    assert text.replace("\n", "").isprintable(), "hardware text"
    path.write_text(text, encoding="utf-8")
    assert load_hardware(str(path)) == hardware, "round trip"
    _use_graph(graph_of_answers(), hardware, rng)


def _read_times(path: Path, rng: Rng) -> None:
    hardware = load_hardware("ring3")
    graph, _ = with_times(graph_of_answers(), read_times(path), [kind.name for kind in hardware.kinds])
    _use_graph(graph, hardware, rng)


def _read_result(path: Path, rng: Rng) -> None:
    from partition.simulate import simulate

    graph, hardware = graph_of_answers(), load_hardware("mesh2x2" if b'"chips": 4' in path.read_bytes() else "ring3")
    graph, placement, hardware = read_answer(str(path), graph, hardware)
    period = float(evaluate_placement(graph, hardware, placement).period[0])
    broken = rules.check(graph, hardware, placement)
    assert period >= 0, "period"
    if not broken and rng.integers(SOLVED // 10) == 0:
        assert math.isfinite(simulate(graph, hardware, placement, inputs=5).period), "simulation"
    if rng.integers(SOLVED // 10) == 0:
        answer = json.loads(path.read_text(encoding="utf-8"))
        split_model(answer_model(), answer, path.parent / "inside" / "parts", force=True)


def _read_policy(path: Path, rng: Rng) -> None:
    policy = Policy.load(path)
    features = _features()
    proposal = policy.propose(features, features.unseen(2), None)
    said = proposal.probabilities()
    assert np.isfinite(said).all() and abs(said.sum(axis=2) - 1).max() < 1e-5, "probabilities"
    assert np.isfinite(policy.confidence(said)).all(), "confidence"


def _read_manifest(path: Path, rng: Rng) -> None:
    folder = path.parent / "manifest"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(path.read_bytes())
    manifest = Manifest.read(folder)
    for part in manifest.parts:
        assert (folder / part.file).parent == folder, "path"


@cache
def _features() -> NodeFeatures:
    return NodeFeatures.of(contract(graph_of_answers(), load_hardware("ring3")))


# --- damaging -------------------------------------------------------------------------------------------------------


_Change = Callable[[bytes, Rng, Sequence[bytes]], bytes]


def as_text(change: Callable[[str, Rng], str]) -> _Change:
    """Mostly the structure, sometimes the bytes."""

    def damaged(content: bytes, rng: Rng, others: Sequence[bytes]) -> bytes:
        if rng.random() < 0.25:
            return _bytes(content, rng, others)
        text: str = content.decode()
        for _ in range(int(rng.geometric(0.6))):
            try:
                text = change(text, rng)
            except (ArithmeticError, ValueError, RecursionError):  # no longer JSON, or too large to scale
                break
        return text.encode("utf-8", "surrogatepass")

    return damaged


def _bytes(content: bytes, rng: Rng, others: Sequence[bytes]) -> bytes:
    for _ in range(int(rng.geometric(0.5))):
        content = mutate.in_bytes(content, rng, others)
    return content


def _message(content: bytes, rng: Rng, others: Sequence[bytes]) -> bytes:
    from onnx import ModelProto

    if rng.random() < 0.2:
        return _bytes(content, rng, others)
    model = ModelProto.FromString(content)
    for _ in range(int(rng.geometric(0.5))):
        mutate.in_message(model, rng)
    return bytes(model.SerializeToString())


def _arrays(content: bytes, rng: Rng, others: Sequence[bytes]) -> bytes:
    if rng.random() < 0.2:
        return _bytes(content, rng, others)
    if rng.random() < 0.4:
        return mutate.in_archive(content, rng)
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    for _ in range(int(rng.geometric(0.7))):
        arrays = mutate.in_arrays(arrays, rng)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


_FORMATS: dict[str, tuple[Callable[[], list[bytes]], _Change, Callable[[Path, Rng], None]]] = {
    "json": (native_texts, as_text(mutate.in_json), _read_model),
    "device placement": (placement_texts, as_text(mutate.in_json), _read_model),
    "toml": (hardware_texts, as_text(mutate.in_toml), _read_hardware),
    "onnx": (models, _message, _read_onnx),
    "onnx nodes": (lambda: [b""], lambda content, rng, others: odd_node(rng), _read_node),
    "npz": (policies, _arrays, _read_policy),
    "times csv": (csv_times, as_text(mutate.in_csv), _read_times),
    "times json": (json_times, as_text(mutate.in_json), _read_times),
    "result": (answers, as_text(mutate.in_json), _read_result),
    "manifest": (manifests, as_text(mutate.in_json), _read_manifest),
}
