"""Every example runs, and says what it should."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDS = {"cp_sat_hints": "ortools", "design_space": "optuna", "torch_pipeline": "torch"}
OPTIONS = {
    "design_space": ["--model", "mobilenet", "--trials", "12", "--plot", "pareto.png"],
    "torch_pipeline": ["--schedule", "1f1b", "--steps", "1", "--microbatches", "2"],
}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    library = NEEDS.get(path.stem, "numpy")
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"needs {library}")
    done = subprocess.run(
        [sys.executable, str(path), *OPTIONS.get(path.stem, [])],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"\d", done.stdout)
    if path.stem == "pyomo_block":
        best, priced, chips = re.search(r"best period (\S+) s.* prices (\S+) s on (\d)", done.stdout).groups()  # type: ignore[union-attr]
        assert float(priced) > float(best) and int(chips) < 4
    if path.stem == "design_space":
        assert (tmp_path / "pareto.png").stat().st_size > 5000 and "inputs/s for" in done.stdout


def test_every_example_is_described() -> None:
    page = (ROOT / "docs/embedding.md").read_text()
    for path in (ROOT / "examples").glob("*.py"):
        assert f"examples/{path.name}" in page
