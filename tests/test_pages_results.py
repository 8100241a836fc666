"""Figures on pages are those of their files, and the README's are of this version."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from partition.version import VERSION

ROOT = Path(__file__).parent.parent


def _script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


results = _script("docs/results.py")
MEASURED = sorted(path.stem for path in (ROOT / "benchmarks" / "measured").glob("*.json"))


@pytest.mark.parametrize("page", results.pages(), ids=lambda page: page.name)
def test_a_page_shows_the_figures_of_its_files(page: Path) -> None:
    assert results.text(page) == page.read_text(encoding="utf-8"), "run python docs/results.py"


def test_every_measured_table_is_on_a_page() -> None:
    shown = {name for page in results.pages() for name in results.PLACE.findall(page.read_text(encoding="utf-8"))}
    assert shown == set(MEASURED)


@pytest.mark.parametrize("name", MEASURED)
def test_a_measured_table_says_where_it_comes_from(name: str) -> None:
    found = results.record(name)
    assert re.fullmatch(r"[0-9a-f]{7,}", found["commit"]), "measure a commit, not files that are changed since"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"]) and found["machine"]
    script = found["command"].split()[1]
    assert (ROOT / script).is_file()
    assert all(len(row) == len(found["header"]) for row in found["rows"])


def test_the_figures_of_the_readme_are_of_this_version() -> None:
    assert results.record("readme")["version"] == VERSION, "measure them anew: benchmarks/readme_figures.py"


def test_the_readme_shows_every_line_that_its_script_measures() -> None:
    lines = _script("benchmarks/readme_figures.py").LINES
    shown = [row[-1] for row in results.record("readme")["rows"]]
    assert shown == [line.shown or f"`{line.commands[-1].removesuffix(' --json')}`" for line in lines]


def test_the_citation_is_of_this_version() -> None:
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_first_table_of_a_text_is_found() -> None:
    record = _script("benchmarks/record.py")
    text = "before\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n\nafter\n| c |\n| --- |\n"
    assert record.first_table(text) == (["a", "b"], ["---", "---:"], [["1", "2"]])
