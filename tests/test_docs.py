"""The documentation: every Python block runs, every command line parses, the site builds without a warning."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from partition.commands.main import main

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
IN_NAVIGATION = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
NEEDS = {
    "frameworks.md": ("torch", "jax"),
    "learned.md": ("distributed",),
    "run.md": ("torch", "onnxruntime"),
    "shards.md": ("torch",),
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def small_onnx(path: Path) -> None:
    """The model.onnx that pages speak of."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.standard_normal((64, 64)).astype(np.float32), f"w{i}") for i in range(6)]
    nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"], name=f"layer{i}") for i in range(6)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 64]) for name in ("h0", "h6")]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    """All blocks of a page one after the other, in a folder with a model.onnx."""
    for library in NEEDS.get(page.name, ()):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"needs {library}")
    small_onnx(tmp_path / "model.onnx")
    program = tmp_path / "page.py"
    program.write_text("import matplotlib\nmatplotlib.use('Agg')\n" + "\n".join(blocks(page, "python")))
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def command_lines() -> list[tuple[str, str]]:
    """(page, command) for every use of the command line in a shell block."""
    found = []
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for match in re.finditer(r"mcm-partition (.*?)(?=$|&&|\s#|>| \|)", line):
                    if "COMPLETE" not in line:
                        found.append((page.name, match.group(1)))
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_command_lines_parse(page: str, line: str) -> None:
    words = shlex.split(line)
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, f"{page}: no command {words[0]}"
    try:
        command.make_context(words[0], words[1:])
    except click.UsageError as error:
        pytest.fail(f"{page}: {line}: {error.format_message()}")


WITHOUT_TOP = ("", "partition", "milp", "learned")
"""Where a path that a page names may begin, for pages that leave out the package that they speak of."""


def missing_names(text: str) -> list[str]:
    """Files and folders of the project, and names with their module, that a page has in backticks and nobody has."""
    found = []
    for name in re.findall(
        r"`([\w.-]+(?:/[\w.-]+)*/?)(?:\([^`]*\))?`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    ):
        inside = name.startswith(("partition/", "milp/", "learned/", "tests/", "benchmarks/", "examples/", "docs/"))
        if inside or ("/" in name and name.endswith(".py")):
            there = any((ROOT / top / name).exists() for top in WITHOUT_TOP)
            found += [] if there or name.startswith("benchmarks/results/") else [name]
        elif re.fullmatch(r"(?:partition|milp|learned)(?:\.\w+)+", name) and not name.endswith(".py"):
            found += [] if _known(name) else [name]
    return found


def _known(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, rest = name.rpartition(".")
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return False
    try:
        return hasattr(importlib.import_module(module), rest) or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a method: its class is asked
        return bool(module) and _known(module)


def test_pages_name_files_and_functions_that_exist() -> None:
    pages = [*PAGES, ROOT / "CONTRIBUTING.md"]
    assert not {page.name: names for page in pages if (names := missing_names(page.read_text(encoding="utf-8")))}


def test_a_name_that_nobody_has_is_seen() -> None:
    text = "`milp/nowhere.py` `milp/state/` `readers/onnx/file.py` `partition.shards.shard` `partition.shards.cut(g)`"
    assert missing_names(text) == ["milp/nowhere.py", "partition.shards.cut"]


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the docs extra")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reference = (tmp_path / "site" / "api" / "index.html").read_text()
    assert reference.count("doc-heading") > 20
    text = " ".join(re.sub("<[^>]+>", "", reference).split())
    assert "the best answer and the best bound win" in text  # whole sentences
    assert "Result, with status optimal, feasible or infeasible." in text
    assert not re.search(r":\w+:`|`\w", text)  # no marks of reStructuredText
    for page in IN_NAVIGATION:
        place = page.removesuffix(".md").removesuffix("index")
        assert (tmp_path / "site" / place / "index.html").is_file()


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the docs extra")
def test_every_page_is_in_the_navigation() -> None:
    docs = ROOT / "docs"
    assert {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")} == IN_NAVIGATION


def test_the_pictures_are_drawn_by_their_script(tmp_path: Path) -> None:
    drawn = ("model", "cuts", "triangle")
    subprocess.run(
        [sys.executable, str(ROOT / "docs/figures.py"), "--folder", str(tmp_path), "--only", *drawn],
        check=True,
        capture_output=True,
    )
    for name in drawn:
        assert (tmp_path / f"{name}.svg").stat().st_size > 5000
    shown = set(re.findall(r"figures/(\w+)\.svg", (ROOT / "docs/pictures.md").read_text()))
    assert shown == {path.stem for path in (ROOT / "docs/figures").glob("*.svg")} >= set(drawn)
