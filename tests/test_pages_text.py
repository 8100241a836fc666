"""The words of the pages: short sentences, no spelling mistakes, links that lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTES = ROOT / "docs" / "dev"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    + [page for page in (ROOT / "docs").rglob("*.md") if NOTES not in page.parents]
)
"""Pages for readers; the lab notes are kept as they were written."""

LONGEST, AVERAGE = 40, 20
"""Words of a sentence."""


def sentences(text: str) -> list[str]:
    """The sentences of the paragraphs and list items of a page; tables, titles and code have none."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    found = []
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)|\n(?=[#|])", text):
        line = " ".join(part.split())
        if not line.startswith(("|", "#", "!")):
            line = re.sub(r"^(?:[-*]|\d+\.)\s+", "", line)
            line = re.sub(r"\]\([^)]*\)", "", re.sub(r"[`*]", "", line))
            found += [sentence for sentence in re.split(r"(?<=[.:?!])\s+", line) if sentence]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_sentences_are_short(page: Path) -> None:
    found = sentences(page.read_text(encoding="utf-8"))
    lengths = [len(sentence.split()) for sentence in found]
    long = [sentence for sentence, length in zip(found, lengths, strict=True) if length > LONGEST]
    assert not long, long
    assert sum(lengths) <= AVERAGE * len(lengths)


def test_a_long_sentence_is_seen() -> None:
    page = "# Title\n\n- " + "word " * 41 + "end. Short.\n\n| a cell |\n"
    assert [len(sentence.split()) for sentence in sentences(page)] == [42, 1]


def test_pages_have_no_spelling_mistakes() -> None:
    """codespell knows common misspellings; pyproject.toml has the words that it gets wrong."""
    pytest.importorskip("codespell_lib")
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_program_has_one_name_in_commands(page: Path) -> None:
    """The reference says once that a checkout starts it in two other ways."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert not [block for block in blocks if re.search(r"cli\.py|python -m partition\b", block)]


def anchors(page: Path) -> set[str]:
    """What a page can be linked at, as the site and GitHub write it."""
    titles = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_outside_the_site_lead_somewhere(page: str) -> None:
    """Those within the site are the business of ``mkdocs build --strict`` (tests/test_docs.py)."""
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert links
    for link in links:
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = ROOT / name if name else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page} links to {link}"
