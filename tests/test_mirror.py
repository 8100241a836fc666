"""Tests mirror the packages: ``milp/state/bisect.py`` is tested by ``tests/milp/state/test_bisect.py``."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOPS = ("partition", "milp", "learned")

TRIED_THROUGH = {
    # an architecture is held against published figures, and all of them are built by the catalogue
    "partition/models/test_catalogue.py": "partition/models",
    # a reader is told whole programs; what its parts do shows in the graph that comes out
    "partition/readers/onnx/test_model.py": "partition/readers/onnx",
    "partition/readers/torch/test_reader.py": "partition/readers/torch",
    "partition/readers/jax/test_walk.py": "partition/readers/jax",
    "partition/readers/test_native_json.py": "partition/readers/json_fields partition/readers/doors",
    "partition/readers/test_measured.py": "partition/readers/timed",
    "partition/readers/torch/test_signature.py": "partition/readers/state",
    # a proof file is replayed whole: true ones are accepted, false ones rejected by the part that sees them
    "partition/replay/test_replaying.py": "partition/replay partition/results/proof_file partition/results/proof_steps",
    # stages are processes that only a running pipeline has
    "partition/pipeline/test_run.py": "partition/pipeline partition/split/flows partition/split/manifest",
    "partition/split/test_parts.py": "partition/split/annotate partition/split/source",
    "partition/simulate/test_engine.py": "partition/simulate",
    # commands are called as a user does, each by the tests of what it runs and by the pages that show it
    "test_cli.py": "partition/commands",
    # bad numbers, missing libraries and amounts in words, as a user meets them
    "test_first_hour.py": "partition/amounts partition/arguments partition/extras partition/solve/given"
    " partition/results/saved partition/version",
    "test_hostile_files.py": "partition/files",
    "test_hostile_text.py": "partition/text partition/errors",
    # what scores a placement: against the independent checker
    "partition/scoring/test_cost.py": "partition/scoring/batches partition/scoring/transfers"
    " partition/scoring/latency",
    "partition/scoring/test_rules.py": "partition/scoring/crossings partition/scoring/violation"
    " partition/problem/placement",
    "partition/problem/test_wishes.py": "partition/problem/narrowed partition/scoring/unkept_wishes"
    " partition/solve/wished",
    "partition/problem/test_hardware.py": "partition/problem/chip_kind",
    "partition/heuristics/test_repair.py": "partition/heuristics/draws partition/heuristics/restoration"
    " partition/heuristics/room partition/heuristics/copies",
    "partition/scoring/test_feasibility.py": "partition/results/description",
    "test_streaming.py": "partition/problem/streaming",
    "partition/report/test_data.py": "partition/report/graph_data partition/report/package_data",
    "partition/report/test_page.py": "partition/report/figures",
    # the contracted problem: every engine is tried on it
    "milp/ideals/test_program.py": "partition/instance/contract partition/instance/instance milp/ideals",
    # what comes back, read from whole answers
    "partition/results/test_result.py": "partition/results partition/solve/front",
    "milp/test_confirm.py": "partition/results/confirmation",
    "partition/shards/test_onnx_model.py": "partition/readers/cut_axes"
    " partition/shards/by_kind partition/shards/regions",
    "partition/shards/test_torch_program.py": "partition/readers/torch/cut_axes partition/readers/torch/layers",
    "partition/commands/test_shard.py": "partition/shards/onnx_files",
    "partition/solve/test_portfolio.py": "partition/solve",
    # one question to the solver, and the formulation in it: against brute force
    "milp/formulation/test_build.py": "milp/formulation milp/solver/reading",
    "milp/search/test_period.py": "milp/search milp/solver/ask milp/state milp/windows/tightening milp/improve/tabu",
    "milp/formulation/test_pyomo_view.py": "milp/formulation/pyomo_import milp/embedding",
    "milp/solver/test_highs.py": "milp/budget milp/tolerances",
    "milp/search/test_goals.py": "partition/scoring/goals milp/state/aim",
    "milp/search/test_stage_positions.py": "partition/problem/routes",
    "milp/frontiers/test_program.py": "milp/frontiers",
    "milp/search/downsets/test_engine.py": "milp/search/downsets",
    "milp/search/downsets/test_beam.py": "milp/search/downsets/relays milp/search/downsets/transfers",
    "learned/policy/test_policy.py": "learned/policy",
    "learned/training/test_runs.py": "learned/training",
    "learned/guide/test_lessons.py": "learned/guide",
}  # fmt: skip
"""Modules without a test file of their own: a package, or modules one by one, under the file that tries them."""


COMMANDS = "partition/commands/main.py"
"""It loads the commands beside it by name."""


def modules() -> dict[str, Path]:
    """Every module by its path without suffix, but for the doors of packages."""
    paths = (path for top in TOPS for path in sorted((ROOT / top).rglob("*.py")) if not path.name.startswith("__"))
    return {str(path.relative_to(ROOT).with_suffix("")): path for path in paths}


MODULES = modules()


def own(module: str) -> Path:
    """Where the tests of a module stand."""
    folder, _, name = module.rpartition("/")
    return ROOT / "tests" / folder / f"test_{name}.py"


@cache
def imported(path: Path) -> frozenset[Path]:
    """The project's files, and those beside the tests, that a file imports anywhere in it."""
    found = set(path.parent.glob("*.py")) if path == ROOT / COMMANDS else set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        for name in names:
            place = name.replace(".", "/")
            candidates = (f"{place}.py", f"{place}/__init__.py", f"tests/{place}.py")
            found |= {ROOT / candidate for candidate in candidates if (ROOT / candidate).exists()}
    return frozenset(found)


def reached(path: Path) -> set[Path]:
    """The files that a test file imports, those that they import, and so on."""
    seen: set[Path] = set()
    todo = {path}
    while todo:
        found = imported(todo.pop()) - seen
        seen |= found
        todo |= found
    return seen


def through(module: str) -> list[str]:
    """The test files of the list that try a module: those that name it, else those that name its package."""
    for place in (module, str(Path(module).parent)):
        named = [file for file, places in TRIED_THROUGH.items() if place in places.split()]
        if named:
            return named
    return []


def test_every_module_has_its_tests() -> None:
    """In a file of its own at the mirrored place, or through one that the list names."""
    assert not [module for module in MODULES if not own(module).exists() and not through(module)]


@pytest.mark.parametrize("file", TRIED_THROUGH)
def test_what_tries_a_module_reaches_it(file: str) -> None:
    path = ROOT / "tests" / file
    tried = {module for module in MODULES if file in through(module) and not own(module).exists()}
    assert tried, "nothing is tried through it any more"
    assert not {MODULES[module] for module in tried} - reached(path)


def test_the_list_names_what_there_is() -> None:
    named = [place for places in TRIED_THROUGH.values() for place in places.split()]
    assert not [place for place in named if place not in MODULES and not (ROOT / place).is_dir()]


def test_every_test_file_below_a_package_mirrors_a_module() -> None:
    """So that a test is found from the module, and no file outlives what it tested."""
    expected = {own(module) for module in MODULES}
    below = {path for top in TOPS for path in (ROOT / "tests" / top).rglob("test_*.py")}
    assert not below - expected
