"""Operations in parts: the graph is the same work, the answer no worse, the ONNX model computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sharded_models import two_layers

from partition import InvalidInput, load_hardware, load_model, partition
from partition.commands.main import main
from partition.shards import shard, shardable


@pytest.mark.parametrize("model", ["unet", "inception", "resnet50", "gpt"])
def test_parts_share_the_work_and_the_weights_and_join_to_the_same_tensors(model: str) -> None:
    graph = load_model(model).graph
    able = np.flatnonzero(shardable(graph))
    rng = np.random.default_rng(0)
    chosen = {graph.names[v]: int(rng.integers(2, 6)) for v in rng.choice(able, min(8, len(able)), replace=False)}
    parts = shard(graph, chosen).graph
    assert parts.flops.sum() == pytest.approx(graph.flops.sum())
    assert parts.weight_bytes == pytest.approx(graph.weight_bytes)
    assert set(graph.tensor_names) - {t.split("#")[0] for t in parts.tensor_names} == set()
    size = dict(zip(parts.tensor_names, parts.tensor_bytes.tolist(), strict=True))
    for name, whole in zip(graph.tensor_names, graph.tensor_bytes.tolist(), strict=True):
        pieces = [size[f"{name}#{i}"] for i in range(6) if f"{name}#{i}" in size]
        assert not pieces or sum(pieces) == pytest.approx(whole)
        assert name in size or pieces


def test_an_activation_behind_parts_stays_in_parts_and_one_join_follows() -> None:
    sharded = shard(two_layers(), {"heavy": 3})
    assert sharded.follows == {"act": "heavy"}
    assert {"heavy#0", "heavy#2", "act#0", "act#2", "act#join", "light"} <= set(sharded.graph.names)
    assert "heavy#join" not in sharded.graph.names


def test_one_part_is_the_graph_itself() -> None:
    graph = two_layers()
    assert shard(graph, {"heavy": 1}).graph is graph


@pytest.mark.parametrize(
    ("parts", "message"),
    [({"nobody": 2}, "no operation 'nobody'"), ({"act": 2}, "cannot be computed in parts"), ({"heavy": 0}, "0 parts"),
     ({"heavy": 2.5}, "2.5 parts")],
)  # fmt: skip
def test_what_cannot_be_cut_is_refused_in_a_sentence(parts: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        partition(two_layers(), load_hardware("ring4"), shard=parts)


def test_the_command_line_solves_checks_and_simulates_with_parts(tmp_path: Path) -> None:
    answer = str(tmp_path / "answer.json")
    asked = ["solve", "unet", "--hw", "ring36", "--shard", "auto", "-q", "-o", answer, "--work-limit", "8"]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0 and "no partition without parts is below" in " ".join(told.stdout.split())
    for command in ("check", "simulate"):
        done = CliRunner().invoke(main, [command, "unet", answer, "--hw", "ring36"])
        assert done.exit_code == 0, done.output
    told = CliRunner().invoke(main, ["solve", "unet", "--hw", "ring36", "--shard", "nobody=2"])
    assert told.exit_code == 2 and "no operation 'nobody'" in told.stderr
