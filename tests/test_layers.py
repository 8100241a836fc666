"""The floor plan: which room may import which, and how large a room may be.

docs/architecture.md draws it; these tests read the sources.
"""

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


MODULE_LINES, FUNCTION_LINES, ARGUMENTS = 400, 60, 9
"""The most of a module, of a function with its docstring, and of what a function is given."""

FRONT_DOORS = (
    "partition.solve.front.partition",
    "partition.pipeline.run.run",
    "partition.problem.builder.GraphBuilder.operation",
)
"""Public functions that users call by keyword. They may take more, and their docstring does not count."""

COMMANDS = "partition.commands."
"""The functions that click calls are front doors too: they are given an argument for each option."""


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


def types(tree: ast.Module) -> Iterator[str]:
    """The classes of a module, inner ones too, and its aliases: names in camel case that are assigned a type."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for statement in tree.body:
        name = getattr(statement.targets[0], "id", "") if isinstance(statement, ast.Assign) else ""
        if name.lstrip("_")[:1].isupper() and not name.isupper():
            yield name


def test_no_two_types_share_a_name() -> None:
    """Nor do two names differ by case or by an underscore in front alone, so that a name leads to one place."""
    places: dict[str, list[str]] = {}
    for module, tree in MODULES.items():
        for name in types(tree):
            places.setdefault(name.strip("_").lower(), []).append(f"{module}.{name}")
    assert not [found for found in places.values() if len(found) > 1]


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of the project, methods and inner ones too, by its dotted name."""

    def within(node: ast.AST, name: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{name}.{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield inner, child
                yield from within(child, inner)
            else:
                yield from within(child, name)

    for name, tree in MODULES.items():
        yield from within(tree, name)


def is_front_door(name: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether users call the function by keyword, or click does."""
    by_click = any(ast.unparse(decorator).startswith("click.command") for decorator in function.decorator_list)
    return name in FRONT_DOORS or (name.startswith(COMMANDS) and by_click)


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef, *, with_docstring: bool) -> int:
    """Of a function, from its ``def`` to its end."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    without = 0 if with_docstring or not documented else (first.end_lineno or 0) - first.lineno + 1
    return (function.end_lineno or 0) - function.lineno + 1 - without


def test_no_module_is_too_long() -> None:
    paths = [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]
    length = {path: len(path.read_text().splitlines()) for path in paths}
    assert not [f"{path} has {count} lines" for path, count in length.items() if count > MODULE_LINES]


def test_no_function_is_too_long() -> None:
    length = {name: lines(f, with_docstring=not is_front_door(name, f)) for name, f in functions()}
    long = {name: count for name, count in length.items() if count > FUNCTION_LINES}
    assert not [f"{name} has {count} lines" for name, count in long.items()]


def test_no_function_is_given_too_much() -> None:
    """``self`` and ``cls`` aside."""
    too_much = []
    for name, function in functions():
        given = function.args
        names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs) if a.arg not in ("self", "cls")]
        if len(names) > ARGUMENTS and not is_front_door(name, function):
            too_much.append(f"{name} takes {len(names)} arguments")
    assert not too_much


def test_front_doors_are_where_the_list_says() -> None:
    found = {name for name, _ in functions()}
    assert not [name for name in FRONT_DOORS if name not in found]
