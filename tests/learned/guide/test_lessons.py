"""Teaching the guide: what counts as better, the slope of the ranking loss, and runs that go on where they stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned.guide import draws, runs
from learned.guide import lessons as taught
from learned.guide.draws import CHIPS, PER_CHIP, TRANSFERS, drawn
from learned.guide.evolution import EvolutionSettings, slope
from learned.guide.guide import BASE, INPUTS, LOSSES, PRICES, BeamGuide
from learned.guide.lessons import Lesson, lessons
from learned.guide.ranking import fit, loss_gradient, right
from learned.guide.runs import HELD_OUT, TeachingPlan, teach
from learned.guide.trials import Course, ground_of, reached
from learned.training.corpus import CORPUS
from milp.search.beams import Arm
from partition import InvalidInput

SMALL = 3_000_000
"""Seed of a small graph on which beams find more than slicing."""


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Small graphs, and lessons from narrow beams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "NODES", (36, 48))
        patch.setattr(taught, "EXPANSIONS", 800)
        patch.setattr(taught, "WATCHED", 12)
        patch.setattr(runs, "EPOCHS", 2)
        yield


@pytest.mark.parametrize("seed", range(20))
def test_drawn_graphs_are_the_same_for_a_seed_and_within_their_ranges(seed: int) -> None:
    graph, hardware = drawn(seed)
    again, package = drawn(seed)
    assert (graph.consumers == again.consumers).all() and (graph.flops == again.flops).all() and hardware == package
    assert CHIPS[0] <= hardware.chips <= min(CHIPS[1], graph.n // PER_CHIP)
    read = np.diff(graph.consumer_ptr) > 0
    transfers = graph.tensor_bytes[read].sum() / (graph.flops.sum() / hardware.chips)
    assert TRANSFERS[0] * 0.999 <= transfers <= TRANSFERS[1] * 1.001


def test_no_family_that_guides_are_measured_on_is_taught() -> None:
    measured = {"recurrent", "recommender", "random wiring", "recurrent with attention", "branched CNN", "dense CNN"}
    family = {model.spec: model.family for model in CORPUS}
    named = [course.model for course in TeachingPlan(models=1).courses("training") if course.model]
    assert named and not measured & {family[spec] for spec in named}
    assert set(HELD_OUT) <= measured


def test_training_and_validation_share_no_graph() -> None:
    plan = TeachingPlan(draws=5000, validation=5000)
    assert not set(plan.courses("training")) & set(plan.courses("validation"))


@pytest.fixture(scope="module")
def heard(small: None) -> list[Lesson]:
    found = lessons(ground_of(Course(seed=SMALL)), np.random.default_rng(0))
    assert found
    return found


def test_lessons_hold_pairs_of_different_states(heard: list[Lesson]) -> None:
    for lesson in heard:
        pairs, tensors = lesson.crosses.shape
        assert lesson.tau.shape == (tensors,) and lesson.tensors.shape == (tensors, len(INPUTS[PRICES]))
        assert lesson.better.shape == lesson.worse.shape == (pairs, len(INPUTS[LOSSES]))
        assert np.isin(lesson.crosses, (-1, 0, 1)).all()
        assert lesson.behind.any() and not lesson.behind.all()
        # the features of a pair see the same difference of what crosses as its tensors do
        cut = np.expm1(lesson.better[:, 4]) - np.expm1(lesson.worse[:, 4])
        assert lesson.crosses @ lesson.tau == pytest.approx(cut, abs=1e-3)


def new_guide(heard: list[Lesson], seed: int = 0) -> BeamGuide:
    tables = {
        PRICES: np.concatenate([lesson.tensors for lesson in heard]),
        LOSSES: np.concatenate([lesson.better for lesson in heard]),
    }
    return BeamGuide.new(np.random.default_rng(seed), tables)


def test_an_untrained_guide_is_the_constant(heard: list[Lesson]) -> None:
    guide = new_guide(heard)
    for lesson in heard:
        assert (guide.prices(lesson.tensors) == BASE).all()
        assert (guide.losses(lesson.better) == 0).all()


def test_the_gradient_is_the_slope_of_the_loss(heard: list[Lesson]) -> None:
    rng = np.random.default_rng(3)
    lesson = heard[0]
    rows = np.arange(min(40, len(lesson.lost)))
    guide = new_guide(heard)
    guide = guide.with_vector(guide.vector() + 0.05 * rng.normal(size=len(guide.vector())))
    for name in guide.networks:
        network = guide.networks[name]
        exact = {p: value.astype(np.float64) for p, value in network.parameters.items()}
        guide = replace(guide, networks={**guide.networks, name: replace(network, parameters=exact)})
    gradient = loss_gradient(guide, lesson, rows)[1]
    for name, by_parameter in gradient.items():
        for p, slopes in by_parameter.items():
            change = rng.normal(size=slopes.shape)
            sides = []
            for sign in (1.0, -1.0):
                network = guide.networks[name]
                moved = {**network.parameters, p: network.parameters[p] + sign * 1e-4 * change}
                other = replace(guide, networks={**guide.networks, name: replace(network, parameters=moved)})
                sides.append(loss_gradient(other, lesson, rows)[0])
            assert (sides[0] - sides[1]) / 2e-4 == pytest.approx(float((slopes * change).sum()), rel=0.02, abs=2e-4)


def test_ranking_tells_more_pairs_apart(heard: list[Lesson]) -> None:
    guide = new_guide(heard)
    trained = fit(guide, heard, epochs=40, rate=3e-3, rng=np.random.default_rng(0))
    assert right(trained, heard) > right(guide, heard) + 0.05
    assert right(guide, heard) == right(new_guide(heard), heard)  # the guide it began with is not changed


def test_there_is_no_slope_where_no_change_matters(monkeypatch: pytest.MonkeyPatch, heard: list[Lesson]) -> None:
    monkeypatch.setattr("learned.guide.evolution.gain", lambda *_: 0.25)
    assert (slope(new_guide(heard), [Course(seed=SMALL)], EvolutionSettings(), np.random.default_rng(0)) == 0).all()


def test_the_slope_points_to_where_gains_are(monkeypatch: pytest.MonkeyPatch, heard: list[Lesson]) -> None:
    """On a gain that is linear in the parameters."""
    guide = new_guide(heard)
    wanted = np.random.default_rng(1).normal(size=len(guide.vector()))
    monkeypatch.setattr("learned.guide.evolution.gain", lambda g, *_: float(g.vector() @ wanted))
    found = slope(guide, [Course(seed=SMALL)], EvolutionSettings(pairs=200), np.random.default_rng(2))
    assert found @ wanted > 0.2 * np.linalg.norm(found) * np.linalg.norm(wanted)


def test_reaching_is_the_same_each_time_and_never_worse_than_the_start() -> None:
    ground = ground_of(Course(seed=SMALL))
    first, second = (reached(ground, [Arm(0.5)], 2000, 8) for _ in range(2))
    assert first == second
    assert first.period <= ground.period


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[Lesson]) -> None:
    monkeypatch.setattr(runs, "lessons", lambda *_: heard)
    settings = EvolutionSettings(pairs=1, courses=1, expansions=200)
    plan = TeachingPlan(models=0, draws=1, validation=1, steps=2, every=1, seed=7, settings=settings)
    through = teach(plan)
    teach(replace(plan, steps=1), checkpoint=tmp_path / "run.npz")
    resumed = teach(plan, checkpoint=tmp_path / "run.npz")
    assert (resumed.guides["now"].vector() == through.guides["now"].vector()).all()
    assert (resumed.best.vector() == through.best.vector()).all()
    assert resumed.scores == through.scores
    with pytest.raises(InvalidInput, match="not a checkpoint of this plan"):
        teach(replace(plan, seed=8), checkpoint=tmp_path / "run.npz")
