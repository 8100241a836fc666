"""The same PyTorch model by two ways: torch.export read directly, and torch.onnx.export read as an ONNX file.

    pip install torch==2.14.1 torchvision==0.29.1 timm transformers onnxscript
    python benchmarks/readers.py exports --only dlrm

Products are those of :mod:`readers_torch`; in the ONNX file those of ``MatMul``, ``Gemm``, ``Conv`` and the like.
``right`` is ``no`` where they differ by more than 2%, or where anything in the file is guessed. Periods are on two and
on four chips without a limit of memory. They differ where the exporter writes other operations than the program has: a
bias as an addition of its own, GELU and attention written out, normalisations folded into convolutions, layers of an
LSTM apart. The older exporter is asked first, the newer one where it fails.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from readers_torch import _products
from torch_stages import Staged
from torch_zoo import MODELS

from partition import Graph, load_hardware, partition

TITLE = "PyTorch models by torch.export and by torch.onnx.export"
HEAD = ("model", "operations", "in the ONNX file", "products, GFLOP", "by ONNX", "all FLOPs by ONNX", "guessed",
        "period on two chips, us", "by ONNX", "on four chips, us", "by ONNX", "right")  # fmt: skip

NAMES = ("bert", "distilbert", "electra", "resnet50", "mobilenet-v3", "densenet", "shufflenet", "vit", "mixer",
         "convnext", "efficientnet", "deeplab", "dlrm", "lstm")  # fmt: skip
WORK = 2.0
"""Work of each search; what is left open then is far below the differences."""

PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "LSTM")


def rows(only: str) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """The cells of each model's line, and whether all is right."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in NAMES:
        if only in name:
            yield _row(name)


def _row(name: str) -> tuple[tuple[Any, ...], bool]:
    torch.manual_seed(0)
    module, args, kwargs = MODELS[name]()
    with torch.no_grad():
        staged = Staged(torch.export.export(module, args, kwargs, strict=False), kept=False)
    direct, products = staged.graph, _products(staged)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _export(module, args, kwargs, str(path))
        exported = Graph.from_onnx(str(path))
    found = sum(f for f, kind in zip(exported.flops, exported.op_types, strict=True) if kind in PRODUCTS)
    found += _gates(name)
    good = abs(found / products - 1) < 0.02 and not exported.guessed
    periods = [cell for chips in (2, 4) for cell in _periods(direct, exported, chips)]
    return (name, direct.n, exported.n, f"{products / 1e9:.4g}", f"{found / products - 1:+.2%}",
            f"{exported.flops.sum() / direct.flops.sum() - 1:+.2%}", len(exported.guessed), *periods,
            "yes" if good else "no"), good  # fmt: skip


def _export(module: Any, args: Any, kwargs: Any, path: str) -> None:
    with torch.no_grad():
        try:
            torch.onnx.export(module, args, path, kwargs=kwargs or None, dynamo=False, opset_version=18)
        except Exception:  # whatever tracing raises
            torch.onnx.export(module, args, path, kwargs=kwargs or None, dynamo=True, verbose=False)


def _gates(name: str) -> float:
    """What ONNX's LSTM counts beyond its products (activations, biases), as a negative number."""
    steps, hidden, layers = 4 * 32, 512, 3
    return -steps * 2 * layers * hidden * (4 * 3 + 18) if name == "lstm" else 0.0


def _periods(direct: Graph, exported: Graph, chips: int) -> tuple[str, str]:
    """The period by one reader, in microseconds, and by the other against it."""
    hardware = load_hardware(f"ring{chips}:memory=off")
    ours, theirs = (partition(graph, hardware, work_limit=WORK).period for graph in (direct, exported))
    return f"{ours * 1e6:.2f}", f"{theirs / ours - 1:+.1%}"
