"""Policies: any number of chips, files that are whole or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from learned.policy.features import NodeFeatures
from learned.policy.policy import Policy, load_arrays, save_arrays
from learned.policy.pretrained import load_policy
from partition import InvalidInput, load_hardware
from partition.instance.contract import contract
from partition.models import build


def features(hardware: str) -> NodeFeatures:
    return NodeFeatures.of(contract(build("resnet50"), load_hardware(hardware)))


@pytest.fixture
def policy() -> Policy:
    return Policy.new([features("ring4"), features("ring36")], np.random.default_rng(0))


@pytest.mark.parametrize("chips", [1, 2, 4, 36, 128])
def test_one_network_speaks_of_any_number_of_chips(policy: Policy, chips: int) -> None:
    given = features(f"ring{chips}" if chips > 1 else "chain1")
    table = policy.propose(given, given.unseen(3), None).probabilities()
    assert table.shape == (3, given.instance.nodes, chips)
    assert table.sum(axis=2) == pytest.approx(np.ones(table.shape[:2]))
    previous = np.zeros((3, given.instance.nodes), dtype=np.int64)
    assert policy.propose(given, given.seen(previous), previous).probabilities().shape == table.shape


def test_a_saved_policy_says_the_same(policy: Policy, tmp_path: Path) -> None:
    policy.save(tmp_path / "p.npz")
    again = Policy.load(tmp_path / "p.npz")
    given = features("ring8")
    a, b = (p.propose(given, given.unseen(1), None).probabilities() for p in (policy, again))
    assert np.array_equal(a, b)


def test_the_shipped_policy_is_small_and_says_how_it_was_made() -> None:
    policy = load_policy("pretrained")
    assert policy is not None
    assert "cli.py train" in policy.note
    assert policy.calibration.shape[1] > 2
    assert np.all(np.diff(policy.calibration[1]) >= 0)
    path = Path(__file__).parents[3] / "learned" / "policy" / "pretrained.npz"
    assert path.stat().st_size < 2_000_000
    assert load_policy("none") is None


def changed(policy: Policy, tmp_path: Path, **arrays: object) -> Path:
    path = tmp_path / "changed.npz"
    save_arrays(path, policy.saved() | {name: np.asarray(value) for name, value in arrays.items()})
    return path


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"format": 99}, "a policy file of format 99, but this version reads format 1"),
        ({"columns": np.array(["depth"])}, "other features"),
        ({"mean": np.zeros(3)}, "array 'mean' has shape"),
        ({"parameter W1": np.zeros((2, 2))}, "has shape"),
        ({"parameter b0": np.full(64, np.nan)}, "not finite"),
        ({"calibration": np.zeros(7)}, "calibration"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    policy: Policy, tmp_path: Path, arrays: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        Policy.load(changed(policy, tmp_path, **arrays))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, format=np.array(1), note=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InvalidInput, match="not a policy file"):
        Policy.load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for path in (tmp_path / "text", tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInput):
            load_arrays(path)
