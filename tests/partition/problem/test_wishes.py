"""Wishes: they are kept, they cost what brute force says they cost, and where they contradict the answer says which."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from checked import as_given
from click.testing import CliRunner
from exhaustive import brute_force
from instances import package
from onnx import TensorProto, helper
from oracle import certify, violations
from questions import draw
from wish_draws import KINDS

from partition import Graph, GraphBuilder, InvalidInput, NoSolutionInTime, Placement, check, partition
from partition.commands.main import main
from partition.problem.modules import module_paths, modules_of
from partition.problem.wishes import Wishes
from partition.results.result import Result

TRIALS = 2_000


def line(*names: str, flops: float = 1.0, weights: float = 0.0) -> Graph:
    """Operations one after the other."""
    b = GraphBuilder("line")
    for i, name in enumerate(names):
        b.operation(name, "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": 0}, flops=flops, bytes_accessed=0,
                    weights=weights)  # fmt: skip
    return b.build()


def agrees(seed: int, **pinned: Any) -> str:
    """The status of one random question, which brute force confirms; "" where it is too large for that."""
    question = draw(np.random.default_rng(seed), n=(2, 5), chips=(2, 3), **pinned)
    try:
        best, _ = brute_force(question.problem, limit=TRIALS)
    except OverflowError:
        return ""
    graph, hardware = question.read()
    try:
        result = partition(graph, hardware, time_limit=1 if hardware.routed else 10, **question.wishes)
    except NoSolutionInTime:
        assert graph.least is not None, f"seed {seed}: no answer"
        return ""
    certify(question.problem, json.loads(result.to_json()), gap_asked=1.0)
    if best is None:
        assert result.status == "infeasible", f"seed {seed}"
        return "infeasible"
    assert result.status == "optimal" or hardware.routed, f"seed {seed}: {result}"
    assert result.bound <= best * (1 + 1e-9) and best * (1 - 1e-9) <= result.period, f"seed {seed}"
    assert hardware.routed or result.period <= best * (1 + 1.01e-4) + 1e-18, f"seed {seed}"
    return result.status


@pytest.mark.parametrize("kind", [*KINDS, "several"])
def test_answers_agree_with_brute_force_under_wishes_of_every_kind(kind: str) -> None:
    seen = [agrees(seed, wishes=kind) for seed in range(7)]
    assert len({*seen} - {""}) >= 1 and seen.count("") < 4, seen


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(KINDS, 2)])
def test_wishes_of_any_two_kinds_go_together(first: str, second: str) -> None:
    """Where none is there in both draws, the same question is asked with the wishes of the one and of the other."""
    for seed in range(2):
        one = draw(np.random.default_rng(seed), n=(2, 5), chips=(2, 3), sram="unlimited", wishes=first)
        other = draw(np.random.default_rng(seed), n=(2, 5), chips=(2, 3), sram="unlimited", wishes=second)
        if one.hardware != other.hardware:
            continue  # free orders of kinds are drawn for wishes that name no chips alone
        wishes = {**one.wishes, **other.wishes}
        problem = {**one.problem, "wishes": wishes}
        try:
            best, _ = brute_force(problem, limit=TRIALS)
        except OverflowError:
            continue
        graph, hardware = one.read()
        result = partition(graph, hardware, time_limit=1 if hardware.routed else 10, **wishes)
        certify(problem, json.loads(result.to_json()), gap_asked=1.0)
        assert (result.status == "infeasible") == (best is None)
        if best is not None:
            assert result.bound <= best * (1 + 1e-9) and best * (1 - 1e-9) <= result.period


def test_the_rule_checker_agrees_with_the_independent_one_about_wishes() -> None:
    broken = 0
    for seed in range(70):
        question = draw(np.random.default_rng(seed), wishes="several", dynamic_memory=False)
        graph, hardware = question.read()
        rng = np.random.default_rng(seed)
        chips = np.sort(rng.integers(0, hardware.chips, graph.n))
        if rng.random() < 0.5:
            chips[graph.topological_order] = chips.copy()
        told = check(graph, hardware, Placement(chips), Wishes.of(**question.wishes))
        answer = {"assignment": dict(zip(graph.names, chips.tolist(), strict=True)), "replicas": {}, "relays": []}
        own = violations(question.problem, answer)
        kinds = {"pin", "forbid", "together", "cut", "granularity", "max_stages"}
        here = any(violation.rule in kinds for violation in told)
        there = any(entry.startswith("wish") for entry in own)
        assert here == there, (seed, told, own)
        broken += here
    assert 10 < broken < 60


def test_wishes_that_are_not_there_change_nothing() -> None:
    graph = line("a", "b", "c", "d")
    plain, empty = partition(graph, "ring4"), partition(graph, "ring4", pins={}, together=[], cuts=[], forbid={})
    assert plain.wishes is None and empty.wishes is None
    assert plain.assignment == empty.assignment and plain.bound == empty.bound


# --- what each means --------------------------------------------------------------------------------------------


def test_a_pin_holds_every_instance_and_patterns_take_slashes_for_dots() -> None:
    graph = line("net/0/a", "net/0/b", "net/1/a", "net/1/b")
    result = partition(graph, "ring4:memory=off", pins={"net.1.*": 1})
    assert result.assignment["net/1/a"] == result.assignment["net/1/b"] == 1
    assert partition(graph, "ring4:memory=off", forbid={"*": [2, 3]}).assignment["net/1/b"] <= 1


def test_a_cut_is_a_boundary_although_everything_would_fit_on_one_chip() -> None:
    graph = line("a", "b", "c", "d", flops=0.0)
    result = partition(graph, package(4), cuts=[("b", "c")])
    assert result.assignment["b"] < result.assignment["c"]
    assert result.wishes is not None and result.wishes.cuts == (("b", "c"),)


def test_at_most_so_many_stages_use_the_first_chips_of_the_package() -> None:
    graph = line(*"abcdef")
    result = partition(graph, package(6), max_stages=2)
    assert max(result.assignment.values()) == 1 and result.period == 3.0
    assert result.hardware.chips == 6, "the answer is one of the package that was asked"


def test_a_stage_that_a_wish_names_may_stand_on_any_chip_of_a_mesh() -> None:
    graph = line(*"abcd")
    result = partition(graph, package(4, topology="biring"), pins={"d": 3})
    assert result.assignment == {"a": 0, "b": 1, "c": 2, "d": 3} and result.status == "optimal"
    assert [result.hardware.kinds[k].name for k in result.hardware.kind_of_chip] == ["unit"] * 4


def test_layers_of_bert_are_kept_whole_to_optimality_in_little_work() -> None:
    result = partition("bert-large", "ring36", granularity="layer", work_limit=2.0)
    layers = modules_of(result.graph, "layer")
    assert len(layers) == 24 and result.status == "optimal"
    assert all(len({result.assignment[result.graph.names[v]] for v in layer}) == 1 for layer in layers)
    assert result.work is not None and result.work < 2.0


def test_modules_are_read_from_paths() -> None:
    names = ("input", "h.0.attn/mul", "h.0.mlp/mul", "h.1.attn/mul", "block1/a", "Dense_0/dot")
    graph = line(*names)
    assert module_paths(graph)[1] == ("h", "0", "attn") and module_paths(graph)[0] == ()
    assert [[names[v] for v in some] for some in modules_of(graph, "layer")] == [list(names[1:3]), [names[3]]]
    assert len(modules_of(graph, "module:1")) == 3
    assert [len(some) for some in modules_of(line("block1/a", "block1/b", "block2/a", "x"), "layer")] == [2, 1]
    with pytest.raises(InvalidInput, match="no operation of 'line' is in such a module"):
        partition(line("a", "b"), "ring2", granularity="module:1")


def test_modules_of_a_torch_export_come_from_its_metadata() -> None:
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name=f"node_relu_{i}") for i in range(3)]
    for i, node in enumerate(nodes):
        scopes = f"['', 'layers.{i}', 'layers.{i}.act', 'relu_{i}']" if i < 2 else "[not a list"
        node.metadata_props.append(onnx.StringStringEntryProto(key="pkg.torch.onnx.name_scopes", value=scopes))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("t0", "t3")]
    graph = Graph.from_onnx(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])))
    assert graph.modules == ("", "layers.0.act", "layers.1.act", "")
    assert len(modules_of(graph, "layer")) == 2
    assert Wishes.of(pins={"layers.1.*": 0}).on(graph, 1)[0].groups[0].tolist() == [2]


def test_operations_that_a_wish_names_are_not_replicated() -> None:
    """A mask that every layer reads: replicated as a rule, on one chip where it is pinned."""
    b = GraphBuilder("mask")
    b.operation("mask", "Op", outputs={"m": 1}, flops=0.001, bytes_accessed=0)
    for i in range(4):
        b.operation(f"v{i}", "Op", inputs=["m", *([f"t{i - 1}"] if i else [])], outputs={f"t{i}": 1}, flops=10,
                    bytes_accessed=0)  # fmt: skip
    graph, hardware = b.build(), package(4, relays=False)
    free, pinned = partition(graph, hardware), partition(graph, hardware, pins={"mask": 0})
    assert free.replicas.get("mask") and not pinned.replicas
    assert free.period < pinned.period and pinned.status == "optimal"
    kept = Placement.from_names(graph, pinned.assignment, {"mask": [1]}, chips=4)
    assert "pin" in {v.rule for v in check(graph, hardware, kept, Wishes.of(pins={"mask": 0}))}
    forbidden = check(graph, hardware, kept, Wishes.of(forbid={"mask": [3]}))
    assert "replication" in {v.rule for v in forbidden}


# --- what cannot be asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"pins": {"d": 0}}, "no operation of 'line' is called so"),
        ({"pins": {"abc": 0}}, "is called so"),
        ({"pins": {"a": 7}}, "the package has chips 0..3"),
        ({"pins": {"a": -1}}, "give a whole number from 0"),
        ({"pins": ["a"]}, "give operation"),
        ({"forbid": {"a": []}}, "names no chip"),
        ({"together": "a"}, "give a list"),
        ({"together": [[1]]}, "give names or patterns"),
        ({"cuts": ["ab"]}, "give two names"),
        ({"granularity": "chapter"}, "'layer', or 'module:2'"),
        ({"max_stages": 0}, "give a whole number from 1"),
        ({"pins": {"a": 0}, "shard": "auto"}, "leave shard out"),
    ],
)
def test_what_is_no_wish_is_refused_in_one_sentence(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        partition(line("a", "b", "c"), "ring4", **wishes)


def test_where_kinds_may_stand_in_any_order_no_wish_names_a_chip() -> None:
    question = draw(np.random.default_rng(3), kinds="two", kind_order="free", chips=(3, 3), wishes="none")
    graph, hardware = question.read()
    assert not hardware.identical_chips
    with pytest.raises(InvalidInput, match="may stand in any order"):
        partition(graph, hardware, pins={graph.names[0]: 0})


# --- contradictions -----------------------------------------------------------------------------------------------

SETS: list[dict[str, Any]] = [
    {"pins": [("a", 0), ("a", 1)]},
    {"pins": {"a": 2, "f": 1}},
    {"pins": {"b": 1, "d": 0}, "together": [["e", "f"]], "max_stages": 3},
    {"pins": {"a": 1, "b": 1, "f": 3}},
    {"pins": {"f": 3}, "max_stages": 3},
    {"pins": {"f": 3}, "forbid": {"f": [3]}},
    {"forbid": {"c": [0, 1, 2, 3]}},
    {"forbid": [("c", [0, 1]), ("c", [2, 3])]},
    {"together": [["a", "f"]], "cuts": [("b", "c")]},
    {"together": [["a", "b"], ["b", "c"]], "cuts": [("a", "c")]},
    {"cuts": [("c", "c")]},
    {"cuts": [("d", "b")]},
    {"cuts": [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]},
    {"cuts": [("a", "b"), ("b", "c")], "max_stages": 2},
    {"cuts": [("a", "b"), ("c", "d")], "max_stages": 3, "pins": {"c": 0}},
    {"granularity": "layer", "cuts": [("m.0.x", "m.0.y")]},
    {"granularity": "layer", "pins": {"m.0.x": 0, "m.0.y": 1}},
    {"forbid": {"f": [1, 2, 3]}, "pins": {"b": 1}},
    {"forbid": {"*": [1]}, "pins": {"f": 2}},
    {"together": [["*"]], "max_stages": 1, "weights": 3.0},
    {"max_stages": 1, "forbid": {"a": [3]}, "weights": 3.0},
    {"cuts": [("a", "b"), ("c", "d")], "pins": {"e": 1}, "forbid": {"b": [3]}},
]


def six(wishes: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    """Six operations in a row, some in modules where that matters, and the wishes without the size of weights."""
    names = ("m.0.x", "m.0.y", "m.1.x", "d", "e", "f") if "granularity" in wishes else tuple("abcdef")
    rest = dict(wishes)
    return line(*names, weights=rest.pop("weights", 0.0)), rest


def without(wishes: dict[str, Any]) -> list[dict[str, Any]]:
    """The wishes without any one of them."""
    whole = Wishes.of(**wishes).to_dict()
    found = []
    for kind, entries in whole.items():
        if isinstance(entries, list):
            found += [{**whole, kind: entries[:i] + entries[i + 1 :]} for i in range(len(entries))]
        elif entries is not None:
            found.append({**whole, kind: None})
    return found


def told(result: Result, wishes: dict[str, Any], graph: Graph) -> dict[str, Any]:
    """The wishes that an explanation names."""
    assert result.contradiction is not None
    names = set(result.contradiction.wishes)
    whole = Wishes.of(**wishes).to_dict()
    kept: dict[str, Any] = {}
    for kind, entries in whole.items():
        some = entries if isinstance(entries, list) else [entries] if entries is not None else []
        for entry in some:
            alone = {kind: [entry] if isinstance(entries, list) else entry}
            (wish,) = Wishes.of(**alone).on(graph, 4)
            if wish.text in names:
                kept[kind] = [*kept.get(kind, []), entry] if isinstance(entries, list) else entry
    return kept


@pytest.mark.parametrize("wishes", SETS, ids=str)
def test_a_contradiction_is_told_and_irreducible(wishes: dict[str, Any]) -> None:
    """Brute force by the independent checker: none keeps what is told, and some keeps all but any one of it."""
    graph, wishes = six(wishes)
    hardware = package(4, sram=12.0)
    result = partition(graph, hardware, **wishes)
    assert result.status == "infeasible" and result.contradiction is not None
    assert result.contradiction.irreducible
    named = told(result, wishes, graph)
    assert named, "at least one wish"
    rules = dict.fromkeys(("acyclic", "no_skipping", "triangle", "memory", "dynamic_memory"), False)
    only = hardware.with_rules(**{**rules, **dict.fromkeys(result.contradiction.rules, True)})
    assert brute_force(as_given(graph, only, named))[0] is None, "no placement keeps what is told"
    for fewer in without(named):
        assert brute_force(as_given(graph, only, fewer))[0] is not None, f"{fewer} can be kept"
    for rule in result.contradiction.rules:
        relaxed = only.with_rules(**{rule: False})
        assert brute_force(as_given(graph, relaxed, named))[0] is not None, f"without rule {rule} it can be kept"


def test_a_required_throughput_may_be_part_of_a_contradiction() -> None:
    result = partition(line(*"abcdef"), package(4), max_stages=2, throughput=0.5, pins={"a": 0})
    assert result.contradiction is not None
    assert result.contradiction.wishes == ("at most 2 stages",) and result.contradiction.rules == ("throughput",)


def test_where_wishes_have_no_part_the_reason_is_the_usual_one() -> None:
    result = partition(line("a", "b", weights=100.0), package(2, sram=12.0), pins={"a": 0})
    assert result.status == "infeasible" and result.contradiction is None and "rule memory" in result.reason


# --- the command line ---------------------------------------------------------------------------------------------


def test_the_command_line_takes_wishes_from_options_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text('[wishes]\npins = { "images" = 0 }\nmax_stages = 7\n')
    out = tmp_path / "out.json"
    options = ["--forbid", "layer4/*=0,2-3", "--cut", "layer2/*", "layer3/*", "--together", "layer1/0/*,layer1/1/*"]
    run = ["solve", "resnet50", "--hw", "ring8", "-q", "--wishes", str(tmp_path / "w.toml"), *options, "-o", str(out)]
    done = CliRunner().invoke(main, run)
    assert done.exit_code == 0, done.output
    answer = json.loads(out.read_text())
    assert answer["wishes"]["forbid"] == [["layer4/*", [0, 2, 3]]] and answer["wishes"]["max_stages"] == 7
    checked = CliRunner().invoke(main, ["check", "resnet50", str(out), "--hw", "ring8"])
    assert checked.exit_code == 0, checked.output
    broken = CliRunner().invoke(main, ["check", "resnet50", str(out), "--hw", "ring8", "--pin", "images=4"])
    assert broken.exit_code == 1 and "not kept: 'images' is on chip 4" in broken.output


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--pin", "images=1", "--pin", "images=2"], 3, "contradict each other"),
        (["--pin", "images=1,2"], 2, "give one"),
        (["--pin", "images"], 2, "NAME=CHIPS"),
        (["--forbid", "images=3-1"], 2, "names no chip"),
        (["--granularity", "x"], 2, "granularity is 'x'"),
        (["--wishes", "nowhere.toml"], 2, "cannot read 'nowhere.toml'"),
    ],
)
def test_exit_codes_of_wishes(options: list[str], code: int, words: str) -> None:
    done = CliRunner().invoke(main, ["solve", "resnet50", "--hw", "ring8", "-q", *options])
    assert done.exit_code == code and words in done.output, done.output
