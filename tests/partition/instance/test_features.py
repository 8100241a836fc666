"""No engine meets silently what it never heard of: scopes are complete, kept to, and shown as they are."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from questions import draw

from milp.chip_bounds.capacity import BlockCapacity
from milp.chip_bounds.pigeonholes import heaviest_crowd
from milp.embedding import partition_block
from milp.export import write_model
from milp.frontiers.program import Frontiers
from milp.ideals.program import Ideals
from milp.ideals.stretches import Stretches
from milp.windows.separation import Separation
from partition import ChipKind, Graph, Hardware, Interconnect, InvalidInput, Rules
from partition.instance.contract import contract
from partition.instance.features import FIELDS, Feature, Scope, named


def page_of_scopes() -> ModuleType:
    path = Path(__file__).parents[3] / "docs" / "scopes.py"
    spec = importlib.util.spec_from_file_location("scopes_of_the_page", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SCOPES: dict[str, Scope] = {scope.engine: scope for _, scope in page_of_scopes().scopes()}

ENGINES = {
    "block capacity": BlockCapacity.applies,
    "crowds": lambda instance: heaviest_crowd(instance) is not None,
    "frontiers": Frontiers.applies,
    "ideals": Ideals.applies,
    "separations": Separation.applies,
    "stretches": Stretches.applies,
}
"""Engines that say themselves whether they apply."""


@pytest.mark.parametrize("engine", SCOPES)
def test_every_feature_is_covered_or_refused_by_every_engine(engine: str) -> None:
    unlisted = sorted(feature.value for feature in SCOPES[engine].unlisted)
    assert not unlisted, f"{engine} neither covers nor refuses {unlisted}; think about them and list them"


def test_there_is_a_scope_for_every_kind_of_proof() -> None:
    assert set(SCOPES) >= {
        "windows", "separations", "ideals", "forced relays", "stretches", "frontiers", "block capacity", "crowds",
        "counting", "the model", "memory cuts", "kind orders", "goals",
    }  # fmt: skip


@pytest.mark.parametrize("table", [Hardware, ChipKind, Interconnect, Rules, Graph])
def test_every_field_that_a_user_can_set_has_its_features_named(table: type) -> None:
    missing = [f.name for f in fields(table) if f"{table.__name__}.{f.name}" not in FIELDS]
    assert not missing, f"FIELDS of partition/instance/features.py does not say what {missing} can bring"


def test_what_an_engine_never_heard_of_is_refused() -> None:
    scope = Scope("new", "something", covers=named("RING SERIAL"), refuses={Feature.CHAIN: "no ring"})
    assert scope.admits(named("RING"))
    assert not scope.admits(named("CHAIN"))
    assert not scope.admits(named("RING TRIANGLE")), "neither covered nor refused"
    assert Feature.TRIANGLE in scope.unlisted
    with pytest.raises(AssertionError, match="covers and refuses"):
        Scope("both", "something", covers=named("RING"), refuses={Feature.RING: "no"})


def test_engines_do_not_apply_to_what_they_refuse() -> None:
    refused: set[tuple[str, Feature]] = set()
    features: set[Feature] = set()
    for seed in range(400):
        narrowed = draw(np.random.default_rng(seed)).narrowed()
        graph, hardware = narrowed.graph, narrowed.hardware
        instance = contract(graph, hardware if seed % 4 else hardware.ports_only())
        features |= instance.features
        for engine, applies in ENGINES.items():
            present = instance.features & set(SCOPES[engine].refuses)
            if present:
                assert not applies(instance), (seed, engine)
                refused |= {(engine, feature) for feature in present}
    goals = {Feature.TRAFFIC, Feature.ENERGY, Feature.LATENCY, Feature.CHIPS, Feature.MOVES, Feature.THROUGHPUT}
    assert features == set(Feature) - goals, "the generator draws everything but goals"
    expected = {(engine, feature) for engine in ENGINES for feature in SCOPES[engine].refuses if feature not in goals}
    assert refused == expected


def test_a_model_without_rows_for_routes_is_not_written(tmp_path: Path) -> None:
    graph, hardware = draw(np.random.default_rng(0), topology="biring", chips=(3, 3)).read()
    with pytest.raises(InvalidInput, match="no rows for routes"):
        write_model(graph, hardware, tmp_path / "model.mps")
    with pytest.raises(InvalidInput, match="no rows for routes"):
        partition_block(graph, hardware)
    write_model(graph, replace(hardware.ports_only(), name="ports"), tmp_path / "model.mps")


def test_a_model_of_kinds_in_a_free_order_is_not_written(tmp_path: Path) -> None:
    graph, hardware = draw(np.random.default_rng(0), topology="chain", kinds="one", chips=(2, 2)).read()
    kinds = (hardware.kinds[0], replace(hardware.kinds[0], name="other", free_transfers=True))
    hardware = replace(hardware, kinds=kinds, kind_of_chip=(0, 1), kind_order="free")
    with pytest.raises(InvalidInput, match="in one order"):
        write_model(graph, hardware, tmp_path / "model.mps")
    write_model(graph, replace(hardware, kind_order="fixed"), tmp_path / "model.mps")


def test_the_page_shows_the_scopes_as_they_are() -> None:
    page = page_of_scopes()
    assert page.page() == page.PAGE.read_text(encoding="utf-8"), "run python docs/scopes.py"
