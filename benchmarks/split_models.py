"""Split real ONNX models over 2, 4 and 8 chips, run the parts with onnxruntime and compare with the whole model.

    # wheels that ship ONNX models
    pip install --no-deps rapidocr-onnxruntime magika silero-vad nudenet ddddocr chython-rxnmap
    python benchmarks/split_models.py
    python benchmarks/split_models.py --optimised        # with onnxruntime's fusions: to 1e-5
    python benchmarks/split_models.py --large --only large --chips 2     # 2.25 GiB of weights; 6 GB of memory

Takes those models that are installed, and the classic CNNs of the ``onnx`` package. Prints a row per model and number
of chips: parts, replicas, relays, whether all outputs are equal, and whether they vary at all (the weights of the
``onnx`` package's models are constants).
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


RECURRENT = {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "Scan", "Loop"}


def kind(path: Path) -> str:
    """By its operators, those inside branches included: recurrent, with attention, or convolutional."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    operators = [node.op_type for graph in (model.graph, *model.functions) for node in nodes_of(graph)]
    if RECURRENT & set(operators):
        return "recurrent"
    return "transformer" if operators.count("Softmax") > 1 and "MatMul" in operators else "convolutional"


def nodes_of(graph: Any) -> Iterator[Any]:
    """All nodes, those of bodies too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes_of(attribute.g)


def large_model(folder: Path, layers: int = 9, width: int = 8192) -> Path:
    """More weights than a protobuf holds, in a file of their own."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    rng, size = np.random.default_rng(0), 4 * width * width
    weights = []
    with (folder / "weights.bin").open("wb") as file:
        for i in range(layers):
            file.write((rng.standard_normal((width, width), dtype=np.float32) / np.float32(width**0.5)).tobytes())
            tensor = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[width, width])
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", "weights.bin"), ("offset", i * size), ("length", size)):
                tensor.external_data.add(key=key, value=str(value))
            weights.append(tensor)
    nodes = []
    for i in range(layers):
        nodes.append(helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"m{i}"], name=f"product{i}"))
        nodes.append(helper.make_node("Tanh", [f"m{i}"], [f"h{i + 1}"], name=f"tanh{i}"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, width]) for name in ("h0", f"h{layers}")]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(folder / "large.onnx"))
    return folder / "large.onnx"


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


def outputs_vary(path: Path, dims: dict[str, int]) -> bool:
    """Whether some output of the whole model has more than one value: else equal outputs say little."""
    import numpy as np

    from partition.split.inputs import random_inputs
    from partition.split.running import open_session, run_session

    session = open_session(path)
    names = [value.name for value in session.get_outputs()]
    found = run_session(session, names, random_inputs(session, dims, 0), path)
    return any(np.ptp(np.asarray(value, dtype=np.float64)) > 0 for value in found if np.size(value))


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where the wheels were unpacked, if not installed.")
@click.option("--only", default="", help="Only models whose path contains this.")
@click.option("--chips", type=int, multiple=True, default=(2, 4, 8), show_default=True)
@click.option("--optimised", is_flag=True, help="Let onnxruntime fuse operators in the whole and in the parts.")
@click.option("--large", is_flag=True, help="Also a made model of 2.25 GiB.")
def main(folder: Path | None, only: str, chips: tuple[int, ...], optimised: bool, large: bool) -> None:
    """Split, run, compare."""
    print("| model | kind | operations | chips | parts | replicas | relays | outputs | vary | seconds |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: |")
    bad = 0
    with tempfile.TemporaryDirectory() as made:
        found = models(folder) + ([(large_model(Path(made)), {})] if large else [])
        for path, dims in found:
            if only not in str(path):
                continue
            graph = load_model(str(path), format="onnx", dims=dims).graph
            varies = "yes" if outputs_vary(path, dims) else "no"
            for count in chips:
                begun = time.perf_counter()
                hardware = load_hardware(f"ring{count}:memory=off")
                result = partition(graph, hardware, time_limit=10)
                judge(graph, hardware, result)
                with tempfile.TemporaryDirectory() as out:
                    manifest = split_model(path, result, Path(out) / "parts", dims=dims)
                    compared = verify_parts(path, Path(out) / "parts", optimised=optimised)
                worst = max(row.difference for row in compared)
                same = "bit for bit" if all(row.identical for row in compared) else f"within {worst:.1e}"
                bad += not all(row.equal for row in compared)
                print(
                    f"| {path.parts[-2] + '/' if path.stem == 'model' else ''}{path.stem} | {kind(path)} | {graph.n} "
                    f"| {count} | {len(manifest.parts)} | {sum(len(p.replicas) for p in manifest.parts)} "
                    f"| {sum(len(p.relays) for p in manifest.parts)} | {len(compared)}: {same} | {varies} "
                    f"| {time.perf_counter() - begun:.1f} |",
                    flush=True,
                )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
