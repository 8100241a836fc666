"""The guide of the beams: what it sees is scale-free, what it says only orders, and it is read when first asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from beam_guides import PLAIN, Constant, beam_of, lanes
from instances import package

from learned.guide.guide import BASE, FACTOR, INPUTS, LOSSES, PRICES, BeamGuide
from milp.search.beams import Arm
from milp.search.downsets.guidance import STATE_NAMES, TENSOR_NAMES
from partition import InvalidInput, partition
from partition.stopping import Stop


def new_guide(seed: int = 0, size: float = 1.0) -> BeamGuide:
    """With parameters that are drawn, so that it says something."""
    rng = np.random.default_rng(seed)
    tables = {name: rng.normal(size=(50, len(columns))).astype(np.float32) for name, columns in INPUTS.items()}
    guide = BeamGuide.new(rng, tables)
    return guide.with_vector(guide.vector() + size * rng.normal(size=len(guide.vector())))


def test_a_constant_opinion_is_the_constant() -> None:
    graph, hardware = lanes(), package(3, **PLAIN)
    for factor in (1.05, 1.2, 1.5):
        plain = beam_of(graph, hardware, Arm(0.5), factor)
        guided = beam_of(graph, hardware, Arm(opinion=Constant()), factor)
        a, b = plain.decide(8, Stop()), guided.decide(8, Stop())
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert (a[0] == b[0]).all()
        assert plain.expanded == guided.expanded > 0


@pytest.mark.parametrize("rules", [PLAIN, {}])
@pytest.mark.parametrize("seed", range(4))
def test_any_guide_misses_nothing_where_beams_are_wide(rules: dict[str, bool], seed: int) -> None:
    graph, hardware = lanes(), package(3, **rules)
    for factor in (1.0, 1.1, 1.4):
        alone = beam_of(graph, hardware, Arm(1.0), factor).decide(100_000, Stop())
        guided = beam_of(graph, hardware, Arm(opinion=new_guide(seed)), factor).decide(100_000, Stop())
        assert (alone is None) == (guided is None)


def test_a_guide_says_prices_within_its_range() -> None:
    guide = new_guide(1, 30.0)
    rng = np.random.default_rng(0)
    prices = guide.prices(rng.normal(size=(200, len(TENSOR_NAMES))).astype(np.float32))
    assert ((prices >= BASE / FACTOR) & (prices <= BASE * FACTOR)).all()
    assert np.ptp(prices) > 0
    assert np.isfinite(guide.losses(rng.normal(size=(200, len(STATE_NAMES))).astype(np.float32))).all()


def test_a_file_holds_what_the_guide_says(tmp_path: Path) -> None:
    guide = new_guide()
    guide.save(tmp_path / "guide.npz")
    again = BeamGuide.load(tmp_path / "guide.npz")
    table = np.random.default_rng(2).normal(size=(20, len(STATE_NAMES))).astype(np.float32)
    assert (again.losses(table) == guide.losses(table)).all()
    assert (again.vector() == guide.vector()).all()


@pytest.mark.parametrize(
    "name, value, match",
    [
        (f"{LOSSES} parameter W0", np.zeros((3, 3), np.float32), "has shape"),
        (f"{LOSSES} scale", np.zeros(len(STATE_NAMES), np.float32), "not above 0"),
        (f"{PRICES} mean", np.full(len(TENSOR_NAMES), np.nan, np.float32), "not finite"),
        (f"{PRICES} columns", np.array(["other"]), "train a new one"),
    ],
)
def test_a_damaged_file_is_refused(name: str, value: np.ndarray, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        BeamGuide.from_arrays({**new_guide().arrays(), name: value}, "guide.npz")


def test_a_guide_by_path_advises_the_same_answer_twice(tmp_path: Path) -> None:
    path = str(tmp_path / "guide.npz")
    new_guide().save(path)
    first, second = (partition(lanes(), package(3), work_limit=3.0, policy=path) for _ in range(2))
    assert first.placement is not None and second.placement is not None
    assert (first.placement.assignment == second.placement.assignment).all()
    assert first.bound == second.bound


def test_nothing_is_read_where_quick_ways_are_enough() -> None:
    """In a process of its own, as other tests load what they please."""
    code = (
        "import sys; from partition import partition; "
        "r = partition('resnet50', 'ring4', policy='pretrained'); "
        "assert r.status == 'optimal'; "
        "print([m for m in sys.modules if m.startswith('learned')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
