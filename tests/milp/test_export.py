"""Models written for other solvers."""

from __future__ import annotations

from pathlib import Path

import highspy
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import diamond, long_skip, package

from milp.export import write_model
from partition import (
    Graph,
    GraphBuilder,
    Hardware,
    InvalidInput,
)
from partition.instance.contract import contract


@pytest.mark.parametrize("ending", [".lp", ".mps"])
def test_another_solver_finds_the_same_optimum_in_the_exported_file(tmp_path: Path, ending: str) -> None:
    graph, hardware = long_skip(5), package(3, transfers="serial")
    path = tmp_path / f"model{ending}"
    write_model(graph, hardware, path)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.readModel(str(path))
    highs.run()
    best, _ = brute_force(as_given(graph, hardware))
    assert best is not None
    objective = highs.getInfo().objective_function_value
    assert objective * contract(graph, hardware).unit == pytest.approx(best, rel=1e-6)
    assert list(tmp_path.iterdir()) == [path]


def test_exporting_to_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\.lp or \.mps"):
        write_model(diamond(), package(2), tmp_path / "model.txt")
    with pytest.raises(InvalidInput, match="no placement"):
        write_model(diamond(), package(2), tmp_path / "model.lp", threshold=0.1)
    with pytest.raises(InvalidInput, match="keeps all rules"):
        write_model(*too_heavy(), tmp_path / "model.lp")


def too_heavy() -> tuple[Graph, Hardware]:
    """Weights that no chip holds, which no window tells."""
    b = GraphBuilder("heavy")
    b.operation("v", "Op", flops=1, bytes_accessed=0, weights=6)
    return b.build(), package(1, sram=5)
