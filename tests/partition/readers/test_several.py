"""Several models on one package: a union in which each has its rate of inputs in a period."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from checked import as_given
from click.testing import CliRunner
from exhaustive import brute_force
from instances import chain_of, package
from onnx_programs import F, model, node, vi
from questions import draw

from partition import Graph, GraphBuilder, InvalidInput, load_model, partition
from partition.commands.main import main
from partition.readers.several import join_models


def test_a_rate_is_so_many_inputs_in_a_period() -> None:
    """Works of 2 + 2 and, three times, 1 + 1: 10 in all, 5 on each of two chips."""
    one, other = chain_of([2.0, 2.0], size=0.0), chain_of([1.0, 1.0], size=0.0)
    both = join_models([one, other], [1, 3])
    assert both.names == ("chain/v0", "chain/v1", "chain#2/v0", "chain#2/v1")
    assert both.flops.tolist() == [2.0, 2.0, 3.0, 3.0] and both.name == "1xchain+3xchain"
    result = partition(both, package(2))
    assert result.period == 5.0 and result.status == "optimal"
    assert brute_force(as_given(both, package(2)))[0] == 5.0


def test_weights_are_held_once_and_tensors_move_for_every_input() -> None:
    b = GraphBuilder("m")
    b.operation("k", "Constant", outputs={"c": 7.0})
    b.operation("u", "Op", inputs=["c"], outputs={"t": 5.0}, flops=1, bytes_accessed=2, weights={"w": 3.0})
    b.operation("v", "Op", inputs=["t"], flops=1, bytes_accessed=2, weights={"w": 3.0}, times={"unit": 0.5})
    both = join_models([b.build(), chain_of([1.0])], [4, 1])
    assert both.weight_bytes == 3.0 and both.shared_names == ("m/w",)
    assert dict(zip(both.tensor_names, both.tensor_bytes.tolist(), strict=True)) == {
        "m/c": 7.0,
        "m/t": 20.0,
        "chain/t0": 1.0,
    }
    assert both.profiled_times["unit"][2] == 2.0 and np.isnan(both.profiled_times["unit"][3])


def test_one_model_at_rate_one_stays_what_it_is() -> None:
    for seed in range(40):
        graph, hardware = draw(np.random.default_rng(seed), wishes="none").read()
        same = join_models([graph])
        rebuilt = Graph.from_json(same.to_json())
        assert rebuilt.fingerprint == same.fingerprint
        for name in ("flops", "weights", "tensor_bytes", "consumers", "producer", "shared_users", "backward"):
            assert np.array_equal(getattr(same, name), getattr(graph, name)), (seed, name)
        assert np.array_equal(hardware.times(same), hardware.times(graph))


def test_several_models_are_loaded_by_a_list() -> None:
    source = load_model(["resnet50", "unet"], rates=[2, 1])
    assert source.format == "several" and source.graph.names[0] == "resnet50/images"
    assert source.graph.n == load_model("resnet50").graph.n + load_model("unet").graph.n


@pytest.mark.parametrize(
    ("spec", "rates", "message"),
    [
        (["unet"], [1, 2], "give a rate for each model"),
        (["unet"], [0], "a rate is 0"),
        ([], None, "0 models"),
        ("unet", [1], "give a list of them"),
    ],
)
def test_what_is_no_list_of_models_and_rates_is_refused(spec: list[str], rates: list[int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_model(spec, rates=rates)


def test_several_models_on_the_command_line(tmp_path: Path) -> None:
    paths = []
    for name, times in (("a", [2.0, 2.0]), ("b@c", [1.0, 1.0])):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(chain_of([time * 4e12 for time in times], size=0.0).to_json())
    words = ["--hw", "ring2:op_overhead_s=0", "--beside", f"{paths[1]}@3"]
    answer = str(tmp_path / "answer.json")
    done = CliRunner().invoke(main, ["solve", str(paths[0]), *words, "-q", "-o", answer])
    assert done.exit_code == 0, done.stderr
    told = json.loads((tmp_path / "answer.json").read_text())
    assert told["period"] == 5.0 and told["operations"] == 4
    checked = CliRunner().invoke(main, ["check", str(paths[0]), answer, *words])
    assert checked.exit_code == 0, checked.stderr
    other = CliRunner().invoke(main, ["check", str(paths[0]), answer, *words, "--rate", "2"])
    assert other.exit_code == 2 and "another model" in other.stderr, "other rates are another question"
    plain = CliRunner().invoke(main, ["inspect", str(paths[0]), "--beside", str(paths[1]), "--hw", "ring2", "--json"])
    assert plain.exit_code == 0 and len(json.loads(plain.stdout)["operations"]) == 4, "a name with @ and no rate"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rate", "2"], "name the others with --beside"),
        (["--beside", "unet@0"], "rate"),
        (["--beside", "unet@1.5"], "a rate is a whole number"),
        (["--beside", "unet@two"], "a rate is a whole number"),
        (["--beside", "unet@\u00b2"], "a rate is a whole number"),
        (["--beside", "unett@2"], "unknown model 'unett'"),
    ],
)
def test_rates_that_cannot_be_are_refused_on_the_command_line(words: list[str], sentence: str) -> None:
    done = CliRunner().invoke(main, ["solve", "resnet50", "--hw", "ring2", *words])
    assert done.exit_code == 2 and sentence in done.stderr and "Traceback" not in done.stderr


def test_each_model_takes_the_dimensions_it_has(tmp_path: Path) -> None:
    a, b = open_relu(tmp_path / "a.onnx", "n"), open_relu(tmp_path / "b.onnx", "k")
    dims = {"n": 3, "k": 5}
    both = load_model([a, "unet", b], dims=dims)
    apart = load_model([load_model(a, dims={"n": 3}), "unet", load_model(b, dims={"k": 5})])
    assert both.graph.fingerprint == apart.graph.fingerprint
    with pytest.raises(InvalidInput, match=r"no model has the open dimension 'm': .*a\.onnx' has 'n'; 'unet' has none"):
        load_model([a, "unet"], dims={"n": 3, "m": 4})
    with pytest.raises(InvalidInput, match="loaded before, has none"):
        load_model([apart], dims={"n": 3})
    words = ["--beside", b, "--dim", "n=3", "--dim", "k=5", "--hw", "ring2", "--json"]
    done = CliRunner().invoke(main, ["inspect", a, *words])
    assert done.exit_code == 0, done.stderr


def open_relu(path: Path, dim: str) -> str:
    onnx.save(model([node("Relu", "x", "y")], [vi("x", F, [dim, 4])], [vi("y", F, [dim, 4])]), str(path))
    return str(path)


def test_an_answer_tells_the_throughput_of_each_model() -> None:
    result = partition(join_models([chain_of([1, 2]), chain_of([2])], [1, 3]), package(2))
    assert result.throughputs == [("chain", 1 / result.period), ("chain", 3 / result.period)]
    assert "in common cycles" in result.to_table() and len(result.to_dict()["throughputs"]) == 2
    assert partition(chain_of([1, 2]), package(2)).throughputs == []
    alone = replace(chain_of([1, 2]), name="4x-UltraSharp")
    assert partition(alone, package(2)).throughputs == []
