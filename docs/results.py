"""Writes the tables of benchmarks/measured into the README and the pages, each with its commit, machine and command.

python docs/results.py            # after python benchmarks/record.py ...
python docs/results.py --check    # exits with 1 if a page is not up to date

A page shows a table between ``<!-- measured: NAME -->`` and ``<!-- end of measured -->``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "benchmarks" / "measured"
PLACE = re.compile(r"<!-- measured: ([\w-]+) -->\n.*?<!-- end of measured -->", re.S)


def pages() -> list[Path]:
    """The pages that show a measured table."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if PLACE.search(page.read_text(encoding="utf-8"))]


def record(name: str) -> dict[str, Any]:
    """A measured table and where it comes from."""
    found: dict[str, Any] = json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def table(name: str) -> str:
    """What stands between the two marks."""
    found = record(name)
    lines = [f"| {' | '.join(cells)} |" for cells in (found["header"], found["alignment"], *found["rows"])]
    source = f"Commit `{found['commit']}`, {found['date']}, {found['machine']}. `{found['command']}`"
    return "\n".join([f"<!-- measured: {name} -->", "", *lines, "", source, "", "<!-- end of measured -->"])


def text(page: Path) -> str:
    """A page with its tables as they should be."""
    return PLACE.sub(lambda place: table(place.group(1)), page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(any(text(page) != page.read_text(encoding="utf-8") for page in pages()))
    for page in pages():
        page.write_text(text(page), encoding="utf-8")
