"""The corpus: enough models, new families in the test part, every one readable."""

from __future__ import annotations

from collections import Counter

from learned.training.corpus import CORPUS, specs
from partition import load_hardware
from partition.models import build
from partition.scoring.feasibility import impossible


def test_there_are_as_many_models_as_in_the_paper() -> None:
    assert Counter(model.split for model in CORPUS) == {"training": 66, "validation": 5, "test": 16}
    assert len({build(model.spec).name for model in CORPUS}) == len(CORPUS)


def test_no_family_is_in_two_parts() -> None:
    parts: dict[str, set[str]] = {}
    for model in CORPUS:
        parts.setdefault(model.family, set()).add(model.split)
    assert all(len(found) == 1 for found in parts.values())
    assert {"bert-base", "bert-large"} <= set(specs("test"))


def test_every_model_has_known_operators_and_fits_36_chips() -> None:
    hardware = load_hardware("ring36")
    for model in CORPUS:
        graph = build(model.spec)
        assert graph.unknown_operators == ()
        assert 20 < graph.n < 4000
        assert impossible(graph, hardware) is None
