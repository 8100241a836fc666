"""The tutorial as a notebook: it has the steps of the page, and every cell runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"

nbformat = pytest.importorskip("nbformat")


def test_the_notebook_has_the_steps_of_the_page() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    told = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    steps = re.findall(r"^## .*", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), re.M)
    assert re.findall(r"^## .*", told, re.M) == steps


def test_the_notebook_keeps_no_outputs() -> None:
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)


def test_every_cell_of_the_notebook_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("onnxruntime")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=os.environ | {"PYTHONPATH": str(ROOT)})
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [output.data["text/html"] for output in shown if "text/html" in output.get("data", {})]
    assert any("proved optimal" in page and "<svg" in page for page in pages)
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert any("equal" in output.get("text", "") for output in shown)
    assert (tmp_path / "parts" / "manifest.json").is_file()
