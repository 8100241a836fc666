"""Figures of a package found again in measured times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnx

from partition import ChipKind, Graph, GraphBuilder, InvalidHardware, InvalidInput, load_hardware
from partition.pipeline import Calibration, calibrate, fit_kind, fit_link
from partition.pipeline.calibration import read_transfers
from partition.pipeline.reference import suite
from partition.problem.hardware import Hardware, Interconnect
from partition.problem.hardware_files import stage_overhead


def random_graph(rng: np.random.Generator, n: int = 200) -> Graph:
    b = GraphBuilder("random")
    for v in range(n):
        b.operation(f"v{v}", "Op", flops=10 ** rng.uniform(3, 9), bytes_accessed=10 ** rng.uniform(2, 7))
    return b.build()


@pytest.mark.parametrize("seed", range(5))
def test_a_roofline_is_found_again_in_noisy_times(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    kind = ChipKind("true", peak_flops=5e10, sram_bandwidth=2e10, op_overhead_s=3e-6)
    exact = Hardware("one", (kind,), (0,), Interconnect("memory", 1.0)).times(graph)[0]
    noisy = exact * np.exp(rng.normal(0, 0.1, graph.n))
    noisy[rng.integers(0, graph.n, 5)] *= 20  # hiccups
    noisy[0] = np.nan
    found = fit_kind([graph], [noisy], name="found")
    assert found.kind.peak_flops == pytest.approx(5e10, rel=0.1)
    assert found.kind.sram_bandwidth == pytest.approx(2e10, rel=0.1)
    assert found.kind.op_overhead_s == pytest.approx(3e-6, rel=0.1)
    assert found.operations == graph.n - 1 and found.error < 0.12


def test_a_line_is_found_again_in_transfers() -> None:
    sizes = [0, 1e3, 1e5, 1e6, 1e7]
    found = fit_link(sizes, [2e-5 + s / 5e9 for s in sizes])
    assert (found.bandwidth, found.latency) == pytest.approx((5e9, 2e-5)) and found.error < 1e-3
    assert found.stage is None
    counts = [1, 8, 1, 8, 2]
    found = fit_link(sizes, [4e-5 + n * (1e-5 + s / 5e9) for n, s in zip(counts, sizes, strict=True)], counts)
    assert (found.bandwidth, found.latency, found.stage) == pytest.approx((5e9, 1e-5, 4e-5)) and found.error < 1e-3


@pytest.mark.parametrize(
    ("sizes", "seconds"),
    [([1.0], [1.0]), ([1.0, 2.0], [1.0, 0.0]), ([1.0, 9.0], [2.0, 1.0]), ([1.0, np.nan], [1.0, 2.0])],
)
def test_transfers_without_sense_are_refused(sizes: list[float], seconds: list[float]) -> None:
    with pytest.raises(InvalidInput, match=r"two sizes|do not grow"):
        fit_link(sizes, seconds)


def test_too_few_operations_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 4"):
        fit_kind([random_graph(np.random.default_rng(0), 3)], [np.ones(3)], name="x")


def test_transfers_are_read_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("bytes,seconds\n10,1\n20,2\n")
    assert read_transfers(tmp_path / "t.csv") == ([10.0, 20.0], [1.0, 2.0])
    (tmp_path / "t.csv").write_text("size,seconds\n10,1\n")
    with pytest.raises(InvalidInput, match="bytes,seconds"):
        read_transfers(tmp_path / "t.csv")


def test_what_was_found_becomes_a_hardware_file_that_cpu_presets_use(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCM_PARTITION_CPU", str(tmp_path / "cpu.toml"))
    assert load_hardware("cpu3").kinds[0].name == "reference-cpu"
    found = calibrate([small], dims={"n": 1}, transfers=([1e3, 1e6], [1e-5, 1e-4]), seconds=1.0)
    (tmp_path / "cpu.toml").write_text(found.to_toml(2, "mine"))
    three = load_hardware("cpu3:transfers=overlapped")
    assert three.kinds == (found.kind.kind,) and three.chips == 3 and not three.serial
    assert load_hardware(str(tmp_path / "cpu.toml")).interconnect.link_bandwidth == found.link.bandwidth
    assert isinstance(found, Calibration) and "median error" in (tmp_path / "cpu.toml").read_text()
    assert stage_overhead() == 0.0, "these transfers tell nothing of stages"
    (tmp_path / "cpu.toml").write_text(replace(found, link=replace(found.link, stage=5e-5)).to_toml(2, "mine"))
    assert stage_overhead() == 5e-5 and load_hardware("cpu3").kinds == three.kinds
    (tmp_path / "cpu.toml").write_text(found.to_toml(2, "mine") + "[run]\nstage_s = -1.0\n")
    for read in (stage_overhead, lambda: load_hardware("cpu3")):
        with pytest.raises(InvalidHardware, match=r"run\.stage_s is -1"):
            read()


def test_times_measured_elsewhere_calibrate_too(tmp_path: Path) -> None:
    onnx.save(suite(), str(tmp_path / "suite.onnx"))
    graph = Graph.from_onnx(str(tmp_path / "suite.onnx"))
    times = load_hardware("ring2").times(graph)[0]
    found = calibrate([tmp_path / "suite.onnx"], times=times, transfers=([1e3, 1e6], [1e-5, 1e-4]), name="edge")
    assert found.kind.kind.peak_flops == pytest.approx(4e12, rel=0.05) and found.kind.error < 1e-3
