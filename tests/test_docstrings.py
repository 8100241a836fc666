"""The words of the code: short sentences, and one parameter a line."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOPS = ("partition", "milp", "learned")
HELP = ROOT / "partition" / "commands"
"""Docstrings there are help texts, with lists of exit codes."""

LONGEST = 25
"""Words of a sentence."""

ENTRY = r"\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)* : "
"""How the text about a parameter, an attribute or an error begins."""

PARTS = re.compile(rf"\n\s*\n|\n[ -]*\n|\n(?=\s*(?:{ENTRY}|[-*] |\w+ : ))")
"""What stands between paragraphs, and before an entry or an item of a list."""

IN_A_LINE = re.compile(rf"^ *{ENTRY}.*[.;] {ENTRY}", re.M)


def docstrings(module: Path) -> Iterator[str]:
    """The docstrings of a module, and what stands below its constants and fields."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield inspect.cleandoc(node.value.value)


def long_sentences(text: str) -> list[str]:
    """Sentences of more than ``LONGEST`` words; what is set off by four spaces is a formula or a table."""
    found = []
    for part in PARTS.split(text):
        if not part.startswith("    "):
            words = re.sub(r"\([^()]*\d{4}[^()]*\)", "", " ".join(part.split()))  # without citations
            found += [each for each in re.split(r"(?<=[.:;?!])\s+", words) if len(each.split()) > LONGEST]
    return found


@pytest.mark.parametrize("top", TOPS)
def test_sentences_of_docstrings_are_short(top: str) -> None:
    modules = [path for path in (ROOT / top).rglob("*.py") if HELP not in path.parents]
    long = {path.name: found for path in modules for text in docstrings(path) if (found := long_sentences(text))}
    assert not long, long


@pytest.mark.parametrize("top", TOPS)
def test_a_parameter_has_a_line_of_its_own(top: str) -> None:
    crowded = [path.name for path in (ROOT / top).rglob("*.py") if any(map(IN_A_LINE.search, docstrings(path)))]
    assert not crowded


def test_a_long_sentence_and_two_parameters_on_a_line_are_seen() -> None:
    text = "Short.\n\n" + "word " * 26 + "end.\n\nParameters\n----------\nrows : (k,). most : of them.\n"
    assert len(long_sentences(text)) == 1
    assert IN_A_LINE.search(text)
