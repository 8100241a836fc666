"""Proofs replayed: true ones are accepted, steps made false are not, and what is taken on trust is named."""

from __future__ import annotations

import copy
import json
import time
import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from exhaustive import brute_force
from instances import chain_of, long_skip, package
from proof_mutations import MUTATIONS, made_false
from questions import draw

from partition import GraphBuilder, Hardware, InvalidInput, NoSolutionInTime, partition
from partition.commands.main import main
from partition.replay.proof_file import Claim, proof_from
from partition.replay.replaying import Replayed, replay_file
from partition.replay.steps import Judge
from partition.results.proof_file import proof_of, seal

Proof = dict[str, Any]


def proof_for(model: Any, hardware: Any, **asked: Any) -> Proof:
    found: Proof = json.loads(json.dumps(proof_of(partition(model, hardware, proof=True, **asked))))
    return found


@pytest.fixture(scope="module")
def resnet() -> Proof:
    """Ideals after joins, rounded up to a value that can occur."""
    return proof_for("resnet50", "ring16", time_limit=20)


def replayed(proof: Proof, **changed: Any) -> Replayed:
    return replay_file(proof_from(seal(copy.deepcopy(proof) | changed)), seconds=20)


def with_step(proof: Proof, number: int, **changed: Any) -> Proof:
    """The proof with one step changed, and every fingerprint computed anew."""
    made = copy.deepcopy(proof)
    made["steps"][number] |= changed
    return seal(made)


def test_a_true_proof_is_accepted_without_trust(resnet: Proof) -> None:
    found = replayed(resnet)
    assert found.verdict == "accepted"
    assert [each.engine for each in found.judgements] == ["ideals", "values that can occur"]
    assert found.below == resnet["answer"]["bound"]


@pytest.mark.parametrize(
    "hardware", ["ring4:transfers=serial", "ring3:relays=off", "crossbar4:transfers=serial", "chain4:memory=off"]
)
def test_proofs_on_every_kind_of_line_are_accepted(hardware: str) -> None:
    assert replayed(proof_for("unet", hardware, time_limit=20)).verdict == "accepted"


def test_a_step_that_calls_the_placements_own_period_impossible_is_rejected(resnet: Proof) -> None:
    for number in range(len(resnet["steps"])):
        false = with_step(resnet, number, below=resnet["answer"]["period"] * 1.001)
        assert replayed(false).verdict == "rejected"


def test_a_value_rounded_up_too_far_is_rejected(resnet: Proof) -> None:
    """Even below the placement's period: the step before proves less, and a sum of times lies between."""
    false = with_step(resnet, 0, below=resnet["steps"][0]["below"] * 0.9)
    found = replayed(false)
    assert found.verdict == "rejected"
    assert "a sum of times lies between" in found.reasons[0]


def test_operations_joined_without_cause_are_rejected(resnet: Proof) -> None:
    ends = [0, len(resnet["graph"]["operations"]) - 1]
    evidence = resnet["steps"][0]["evidence"] | {"joined": [ends]}
    found = replayed(with_step(resnet, 0, evidence=evidence))
    assert "is cheap enough" in found.reasons[0]


def test_a_bound_that_no_step_proves_is_rejected(resnet: Proof) -> None:
    assert replayed(resnet, proves=[]).verdict == "rejected"
    assert replayed(resnet, proves=[0]).verdict == "rejected"


def test_a_placement_that_breaks_a_rule_or_has_another_period_is_rejected(resnet: Proof) -> None:
    answer = resnet["answer"]
    backwards = {name: 15 - chip for name, chip in answer["assignment"].items()}
    assert replayed(resnet, answer=answer | {"assignment": backwards}).verdict == "rejected"
    assert replayed(resnet, answer=answer | {"period": answer["period"] * 0.999}).verdict == "rejected"


def test_an_unknown_engine_is_not_taken_on_trust(resnet: Proof) -> None:
    assert replayed(with_step(resnet, 0, engine="oracle")).verdict == "rejected"


def test_a_fingerprint_that_does_not_fit_is_bad_input(resnet: Proof) -> None:
    damaged = copy.deepcopy(resnet)
    damaged["steps"][0]["below"] *= 0.5
    with pytest.raises(InvalidInput, match="fingerprint"):
        proof_from(damaged)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count = 16", "count = 1000000000"),
        ("count = 16", "count = 0"),
        ('name = "ring16"', "a" + ".b" * 5000 + " = 1"),
    ],
)
def test_a_package_that_nobody_would_write_is_refused_unread(resnet: Proof, old: str, new: str) -> None:
    assert old in resnet["hardware"]
    with pytest.raises(InvalidInput):
        proof_from(seal(resnet | {"hardware": resnet["hardware"].replace(old, new)}))


@pytest.mark.parametrize(
    ("old", "new"), [("acyclic = true", "acyclic = true\nfirst_used = true"), ('"ring"', '"torus"')]
)
def test_a_rule_or_a_topology_that_is_not_known_is_refused(resnet: Proof, old: str, new: str) -> None:
    """A placement could break such a rule unseen."""
    assert old in resnet["hardware"]
    with pytest.raises(InvalidInput, match=r"which replay does not know"):
        proof_from(seal(resnet | {"hardware": resnet["hardware"].replace(old, new)}))


def test_a_step_may_rest_only_on_steps_before_it(resnet: Proof) -> None:
    with pytest.raises(InvalidInput, match="not before it"):
        proof_from(with_step(resnet, 0, rests_on=[1]))


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_a_step_made_false_is_rejected(resnet: Proof, name: str) -> None:
    """A share of what benchmarks/replay.py does with the proofs of the test-bed."""
    rng = np.random.default_rng(3)
    by_model = with_step(resnet, 0, engine="model", evidence={"first": [0] * 123, "last": [15] * 123})
    for proof in (resnet, by_model):
        false = made_false(proof, name, rng)
        if false is None:
            continue
        try:
            assert replay_file(proof_from(false), seconds=20).verdict == "rejected"
        except InvalidInput:
            assert name == "in_a_circle"
        return
    pytest.fail("the change applies to neither proof")


def test_what_the_triangle_rule_alone_excludes_is_decided_by_the_second_solver() -> None:
    """A skip beside two operations, without relays."""
    pytest.importorskip("ortools")
    proof = proof_for(long_skip(), package(3, bandwidth=float("inf"), relays=False), time_limit=10)
    judge = Judge(proof_from(proof).question, None, time.process_time() + 20)
    period = Fraction(proof["answer"]["period"])
    claim = Claim(0, "model", period * (1 - Fraction(1, 10**6)), (), (), {})
    assert judge.step(claim, []).verdict in ("proved", "second solver")
    assert judge.step(replace(claim, below=period * (1 + Fraction(1, 10**6))), []).verdict == "refuted"


def two_kinds(topology: str, bandwidth: float) -> Hardware:
    """Two chips alike and one of another kind, where transfers take no time of the chips."""
    hw = package(3, topology=topology, bandwidth=bandwidth, acyclic=topology != "ring")
    kinds = [replace(hw.kinds[0], name=name, free_transfers=True) for name in ("one", "two")]
    return replace(hw, kinds=tuple(kinds), kind_of_chip=(0, 0, 1))


def test_a_placement_shows_nothing_about_another_order_of_the_kinds() -> None:
    """1 s and 5 s take 5 s with the slow chip first, and 6 s with the fast one first."""
    hw = package(2, bandwidth=float("inf"))
    kinds = replace(hw.kinds[0], name="fast"), replace(hw.kinds[0], name="slow", peak_flops=0.5)
    hw = replace(hw, kinds=kinds, kind_of_chip=(0, 1), kind_order="free")
    proof = proof_for(chain_of([1, 5]), hw, time_limit=10)
    assert proof["answer"]["period"] == 5.0 and proof["answer"]["kinds"] == ["slow", "fast"]
    judge = Judge(proof_from(proof).question, Fraction(5), time.process_time() + 20, (1, 0))
    claim = Claim(0, "model", Fraction(6) * (1 - Fraction(1, 10**6)), (0, 1), (), {})
    assert judge.step(claim, []).verdict in ("proved", "second solver")
    assert judge.step(replace(claim, kinds=(1, 0)), []).verdict == "refuted"
    assert judge.step(replace(claim, kinds=()), []).verdict == "refuted"


def test_links_that_tensors_go_back_over_are_known_to_the_second_solver() -> None:
    pytest.importorskip("ortools")
    proof = proof_for(chain_of([1, 1]), two_kinds("ring", 0.1), time_limit=10)
    judge = Judge(proof_from(proof).question, None, time.process_time() + 20)
    claim = Claim(0, "model", Fraction(2), (), (), {})
    assert judge.step(claim, []).verdict == "second solver"
    assert judge.step(replace(claim, below=Fraction(21, 10)), []).verdict == "refuted"


def test_stages_of_several_kinds_stand_where_the_package_says() -> None:
    proof = proof_for(chain_of([2, 2, 2]), two_kinds("biring", 1.0), time_limit=1)
    assert replayed(proof).verdict != "rejected"
    with pytest.raises(InvalidInput, match="names chips"):
        replayed(proof, answer=proof["answer"] | {"positions": [1, 0, 2]})


def test_tensors_that_go_back_round_a_ring_count_at_ports() -> None:
    """Forward and backward operations in pairs: gradients return to the chips before."""
    b = GraphBuilder("pairs")
    for i in range(3):
        reads = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=reads, outputs={f"t{i}": 2.0}, flops=3.0, bytes_accessed=0, group=i)
    for i in reversed(range(3)):
        reads = [f"g{i + 1}"] if i < 2 else ["t2"]
        b.operation(
            f"w{i}", "Op", inputs=reads, outputs={f"g{i}": 2.0}, flops=3.0, bytes_accessed=0, group=i, backward=True
        )
    proof = proof_for(b.build(), package(3, topology="memory", transfers="serial"), time_limit=10)
    found = replayed(proof)
    assert found.verdict == "accepted"
    assert found.period is not None and found.period > 6.0


def test_that_nothing_is_valid_is_replayed_as_well() -> None:
    b = GraphBuilder("heavy")
    for i in range(3):
        b.operation(
            f"v{i}", "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": 1.0}, flops=1.0, weights={f"w{i}": 5.0}
        )
    proof = proof_for(b.build(), package(2, sram=6.0), time_limit=10)
    assert proof["answer"]["status"] == "infeasible"
    assert replayed(proof).verdict == "accepted"
    fits = json.loads(json.dumps(proof))
    fits["hardware"] = fits["hardware"].replace("sram_bytes = 6.0", "sram_bytes = 20.0")
    assert replayed(fits).verdict == "rejected"


def test_proofs_of_random_questions_are_never_rejected() -> None:
    accepted = 0
    for seed in range(400, 416):
        question = draw(np.random.default_rng(seed), n=(1, 5), chips=(1, 3), wishes="none")
        try:
            proof = proof_for(*question.read(), time_limit=3)
        except NoSolutionInTime:
            continue
        found = replayed(proof)
        assert found.verdict != "rejected", (seed, found.reasons)
        accepted += found.verdict == "accepted"
    assert accepted > 8


def test_a_proof_with_wishes_is_about_the_placements_that_keep_them() -> None:
    """The question in the file has the least period of those, by brute force, and its proof is accepted."""
    found = []
    for seed in range(700, 709):
        question = draw(np.random.default_rng(seed), n=(3, 3), chips=(2, 2), wishes="several")
        wishes = {kind: wish for kind, wish in question.wishes.items() if kind != "cuts"}
        try:
            proof = proof_for(*question.read(), time_limit=3, **wishes)
            least = [
                brute_force({"graph": graph, "hardware": hardware, "wishes": asked}, limit=2_000)[0]
                for graph, hardware, asked in (
                    (question.graph, question.hardware, wishes),
                    (proof["graph"], tomllib.loads(proof["hardware"]), {}),
                )
            ]
        except (NoSolutionInTime, InvalidInput, OverflowError):
            continue
        assert least[0] == pytest.approx(least[1]), seed
        assert replayed(proof).verdict != "rejected", seed
        found += [bool(wishes)]
    assert sum(found) >= 3
    with pytest.raises(InvalidInput, match="leave out cuts"):
        proof_for(chain_of([1, 2]), package(2), cuts=[("v0", "v1")])


def test_the_command_says_what_became_of_each_step(tmp_path: Path, resnet: Proof) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(resnet))
    done = CliRunner().invoke(main, ["replay", str(path)])
    assert done.exit_code == 0, done.output
    assert "step 0" in done.output
    assert done.output.splitlines()[-1].startswith("accepted: no valid placement has a period below")
    path.write_text(json.dumps(with_step(resnet, 0, below=1.0)))
    done = CliRunner().invoke(main, ["replay", str(path), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.output)["verdict"] == "rejected"


def test_solve_writes_the_proof(tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    done = CliRunner().invoke(main, ["solve", "unet", "--hw", "ring4", "--proof", str(path), "--quiet"])
    assert done.exit_code == 0, done.output
    assert CliRunner().invoke(main, ["replay", str(path)]).exit_code == 0
    done = CliRunner().invoke(main, ["solve", "unet", "--hw", "ring4", "--proof", str(path), "--workers", "2"])
    assert done.exit_code == 2
