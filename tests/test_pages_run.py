"""The command blocks of the pages for users run from top to bottom, in a clean folder; the reference is current."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from partition.commands.main import main

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/index.md", "docs/tutorial.md", "docs/howto.md")
PLAIN = (*PAGES, "docs/faq.md")
LIMITS = {"MCM_PARTITION_SOLVE_WORK_LIMIT": "1", "MCM_PARTITION_BENCH_TIME_LIMIT": "1"}
"""What is slow in use is cut short here."""


def lines_of(page: str) -> list[str]:
    """The lines of all shell blocks of a page, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def is_set_up(line: str) -> bool:
    """Whether a line prepares an environment; its extras are held against pyproject.toml."""
    extras = re.findall(r"pip install (?:-q )?'\.\[([\w,]+)\]'", line)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra for given in extras for extra in given.split(",")} <= set(declared)
    return bool(extras) or line.startswith(("python3 -m venv", ". .venv", "export ", "eval "))


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_in_order(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    lines = lines_of(page)
    assert lines
    for line in lines:
        if is_set_up(line):
            continue
        words = shlex.split(line, comments=True)
        if words[0] != "mcm-partition":
            path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            subprocess.run(["bash", "-c", line], check=True, env=os.environ | {"PATH": path})
            continue
        words, target = (words[: words.index(">")], words[-1]) if ">" in words else (words, None)
        done = CliRunner(env=LIMITS).invoke(main, words[1:])
        assert done.exit_code == 0, f"{page}: {line}\n{done.output}"
        if target is not None:
            Path(target).write_text(done.stdout)


@pytest.mark.parametrize("page", PLAIN)
def test_sentences_for_users_are_short(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
    prose = [line for line in text.splitlines() if not line.lstrip().startswith(("|", "#", "!", "- "))]
    prose = re.sub(r"[`*]", "", re.sub(r"\]\([^)]*\)", "", "\n".join(prose))).split("\n\n")
    sentences = [s for part in prose for s in re.split(r"(?<=[.:?!])\s+", part.strip()) if s]
    lengths = [len(sentence.split()) for sentence in sentences]
    assert max(lengths) <= 40, sentences[lengths.index(max(lengths))]
    assert sum(lengths) / len(lengths) <= 20


def test_the_reference_of_the_command_line_is_current() -> None:
    """``python docs/cli.py`` writes it anew."""
    spec = importlib.util.spec_from_file_location("cli_page", ROOT / "docs" / "cli.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "cli.md").read_text() == module.page()
