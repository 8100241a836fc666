"""Which reasoning covers what: the table of docs/proof.md, from the scopes that the engines state beside their code.

python docs/scopes.py           # writes it into the page
python docs/scopes.py --check   # exits with 1 if the page is not up to date
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from partition.instance.features import ABSORBED, PERIOD_ALONE, Feature, Scope

PAGE = ROOT / "docs" / "proof.md"
BEGIN, END = "<!-- scopes: written by docs/scopes.py -->", "<!-- end of scopes -->"
PACKAGES = ("partition", "milp")


def scopes() -> list[tuple[str, Scope]]:
    """(path of the module, its scope) for every module that states one, by engine."""
    stating = [
        path.relative_to(ROOT).with_suffix("")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "\nSCOPE = " in path.read_text()
    ]
    found = [(path.as_posix() + ".py", importlib.import_module(".".join(path.parts)).SCOPE) for path in stating]
    return sorted(found, key=lambda pair: pair[1].engine)


def table() -> str:
    """The part of the page between its two marks."""
    found = scopes()
    lines = [BEGIN, "", "| engine | what it claims | what it refuses, and why |", "| --- | --- | --- |"]
    lines += [f"| {scope.engine} (`{path}`) | {scope.claims} | {_refused(scope)} |" for path, scope in found]
    lines += ["", "+ is covered, - is refused:", ""]
    lines += [f"| | {' | '.join(scope.engine for _, scope in found)} |", f"| --- |{' --- |' * len(found)}"]
    for feature in (feature for feature in Feature if feature not in ABSORBED):
        marks = ["+" if feature in scope.covers else "-" for _, scope in found]
        lines.append(f"| {feature.value} | {' | '.join(marks)} |")
    absorbed = ", ".join(feature.value for feature in Feature if feature in ABSORBED)
    lines += ["", f"The contraction absorbs, so that no engine meets: {absorbed}.", "", END]
    return "\n".join(lines)


def _refused(scope: Scope) -> str:
    """Each reason with the features it is for."""
    by_reason: dict[str, list[str]] = {}
    for feature in Feature:
        if feature in scope.refuses and scope.refuses[feature] != PERIOD_ALONE.get(feature):
            by_reason.setdefault(scope.refuses[feature], []).append(feature.value)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()) or "-"


def page() -> str:
    """The page with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + table() + rest.split(END)[1]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(page() != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(page(), encoding="utf-8")
