"""Split real ONNX models over 2, 4 and 8 chips, run the parts with onnxruntime and compare with the whole model.

    pip install --no-deps rapidocr-onnxruntime magika silero-vad nudenet ddddocr chython-rxnmap   # wheels that ship ONNX models
    python benchmarks/split_models.py

Takes those models that are installed, and the classic CNNs of the ``onnx`` package. Prints a row per model and number
of chips: parts, replicas, relays, and whether all outputs are equal.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
from checked import judge

from partition import load_hardware, load_model, partition
from partition.split import split_model, verify_parts

SHIPPED = {
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": {
        "p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 320, "p2o.DynamicDimension.2": 320
    },
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": {
        "p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 320, "?": 48
    },
    "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x.0": 1, "?": 192},
    "magika/models/standard_v3_3/model.onnx": {"unk__214": 1},
    "silero_vad/data/silero_vad_16k_op15.onnx": {"batch": 1, "sequence": 576},
    "silero_vad/data/silero_vad_op18_ifless.onnx": {"batch": 1, "sequence": 576},
    "silero_vad/data/silero_vad_16k_sequence.onnx": {"sequence_length": 4},
    "silero_vad/data/silero_vad_openvino_16k.onnx": {},
    "nudenet/320n.onnx": {"batch": 1, "height": 320, "width": 320},
    "silero_vad/data/silero_vad_half.onnx": {"batch": 1, "sequence": 576},
    "chython_rxnmap/rxnmap.onnx": {"seq_len": 48},
    "ddddocr/common.onnx": {"image_width": 160},
    "ddddocr/common_old.onnx": {"image_width": 160},
    "ddddocr/common_det.onnx": {},
}  # fmt: skip
"""File in a package -> values of its symbolic dimensions."""


def models(folder: Path | None) -> list[tuple[Path, dict[str, int]]]:
    """All that are there."""
    found = []
    for file, dims in SHIPPED.items():
        spec = importlib.util.find_spec(file.split("/")[0]) if folder is None else None
        base = folder or (Path(spec.origin).parent.parent if spec is not None and spec.origin else None)
        if base is not None and (base / file).is_file():
            found.append((base / file, dims))
    import onnx

    light = Path(onnx.__file__).parent / "backend/test/data/light"
    return found + [(path, {}) for path in sorted(light.glob("*.onnx"))]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where the wheels were unpacked, if not installed.")
@click.option("--only", default="", help="Only models whose path contains this.")
@click.option("--chips", type=int, multiple=True, default=(2, 4, 8), show_default=True)
def main(folder: Path | None, only: str, chips: tuple[int, ...]) -> None:
    """Split, run, compare."""
    print("| model | operations | chips | parts | replicas | relays | outputs | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |")
    bad = 0
    for path, dims in models(folder):
        if only not in str(path):
            continue
        graph = load_model(str(path), format="onnx", dims=dims).graph
        for count in chips:
            begun = time.perf_counter()
            hardware = load_hardware(f"ring{count}:memory=off")
            result = partition(graph, hardware, time_limit=10)
            judge(graph, hardware, result)
            with tempfile.TemporaryDirectory() as out:
                manifest = split_model(path, result, Path(out) / "parts", dims=dims)
                compared = verify_parts(path, Path(out) / "parts")
            worst = max(row.difference for row in compared)
            same = "bit for bit" if all(row.identical for row in compared) else f"within {worst:.1e}"
            bad += not all(row.equal for row in compared)
            print(
                f"| {path.stem} | {graph.n} | {count} | {len(manifest.parts)} "
                f"| {sum(len(p.replicas) for p in manifest.parts)} | {sum(len(p.relays) for p in manifest.parts)} "
                f"| {len(compared)}: {same} | {time.perf_counter() - begun:.1f} |",
                flush=True,
            )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
