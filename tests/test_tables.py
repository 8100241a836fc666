"""The two tables of numbers: every tolerance in milp/tolerances.py, every share of time in milp/budget.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLES = (ROOT / "milp" / "tolerances.py", ROOT / "milp" / "budget.py")
READ = [
    path
    for folder in (ROOT / "milp", ROOT / "partition" / "solve")
    for path in sorted(folder.rglob("*.py"))
    if path not in TABLES
]


def value_of(node: ast.AST) -> float | None:
    """What a number, or a quotient or power of two numbers, comes to; None for any other expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Pow):
        try:
            return float(eval(compile(ast.Expression(node), "constant", "eval"), {"__builtins__": {}}))
        except NameError:
            return None
    return None


def fractions(source: str) -> Iterator[str]:
    """Numbers strictly between 0 and 1 in a source, with their lines."""
    for node in ast.walk(ast.parse(source)):
        value = value_of(node)
        if value is not None and 0 < abs(value) < 1:
            yield f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}"


def rows(table: Path) -> Iterator[tuple[str, ast.stmt | None]]:
    """Names of a table, with the statement behind each."""
    body = ast.parse(table.read_text()).body
    for statement, behind in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from ((ast.unparse(name), behind) for name in names)


@pytest.mark.parametrize("path", READ, ids=lambda path: str(path.relative_to(ROOT)))
def test_tolerances_and_shares_stand_in_the_tables_alone(path: Path) -> None:
    """A number between 0 and 1 is a tolerance, a share, or what a step costs."""
    assert not list(fractions(path.read_text()))


@pytest.mark.parametrize("source", ["low * (1 - 1e-9)", "0.3 * stop.remaining", "1 / 3", "2 ** -20", "f(gap=-0.5)"])
def test_such_numbers_are_seen(source: str) -> None:
    assert list(fractions(source))


@pytest.mark.parametrize("source", ["1.0 - x", "'0.5'", "half / 2", "2.0**32", "x[0] / 3", "n / (n + 1)"])
def test_others_are_not(source: str) -> None:
    assert not list(fractions(source))


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_row_has_its_reason(table: Path) -> None:
    bare = [
        name
        for name, behind in rows(table)
        if not (isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant))
    ]
    assert not bare


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_row_is_used(table: Path) -> None:
    read = {
        getattr(node, "attr", None) or getattr(node, "id", None)
        for path in (*READ, table)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert not [name for name, _ in rows(table) if name not in read]
