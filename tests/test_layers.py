"""The floor plan: which room may import which. docs/architecture.md draws it; this test reads the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOPS = ("partition", "milp", "learned")

ROOF = ("partition.solve", "partition.commands", "partition.__main__")
"""Where front door and command line stand: the only rooms of ``partition`` that know ``milp`` and ``learned``."""

DOOR = "partition"
"""``partition/__init__.py`` names what it loads on first use; its imports are for type checkers alone."""

OPTIONAL = (
    "partition.readers.",
    "partition.models",
    "learned.",
    "partition.solve.portfolio",  # joblib
    "partition.split",
    "partition.simulate",
    "partition.pipeline",
)
"""Rooms that may be imported inside functions from elsewhere, since they stand before a heavy or optional library."""


def modules() -> dict[str, ast.Module]:
    """Every module of the project by its dotted name; a package by the name of its folder."""
    found = {}
    for top in TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return found


MODULES = modules()


def imports(name: str) -> Iterator[tuple[str, ast.stmt]]:
    """The project's own modules that a module imports at run time, with the statement."""
    tree = MODULES[name]
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names if alias.name.split(".")[0] in TOPS)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in TOPS:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in MODULES else node.module), node


def room(name: str) -> str:
    """The folder below the top level that a module is in, or the module itself where it stands at the root."""
    return ".".join(name.split(".")[:2])


def test_nothing_below_the_roof_knows_the_solver_or_the_policy() -> None:
    upward = [
        f"{name} imports {other}"
        for name in MODULES
        if name.startswith("partition.") and not name.startswith(ROOF)
        for other, _ in imports(name)
        if other.split(".")[0] in ("milp", "learned") or other.startswith(ROOF)
    ]
    assert not upward


def test_the_solver_does_not_know_the_policy_nor_either_the_roof() -> None:
    upward = [
        f"{name} imports {other}"
        for name in MODULES
        if name.split(".")[0] in ("milp", "learned")
        for other, _ in imports(name)
        if other == DOOR or other.startswith(ROOF) or (name.startswith("milp") and other.startswith("learned"))
    ]
    assert not upward


@pytest.mark.parametrize("level", ["module", "room"])
def test_there_is_no_circle(level: str) -> None:
    place = room if level == "room" else str
    graph: dict[str, set[str]] = {}
    for name in MODULES:
        if name == DOOR:
            continue
        graph.setdefault(place(name), set()).update(place(other) for other, _ in imports(name) if other != name)
    for name, others in graph.items():
        others.discard(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"a circle: {' -> '.join(circle.args[1])}")


def test_the_projects_own_modules_are_imported_at_the_top_of_a_file() -> None:
    """But for the commands, which answer ``--help`` at once, and for what stands before an optional library."""
    inside = [
        f"{name}:{statement.lineno} imports {other}"
        for name, tree in MODULES.items()
        if not name.startswith("partition.commands")
        for other, statement in imports(name)
        if statement not in tree.body and not other.startswith(OPTIONAL)
    ]
    assert not inside
