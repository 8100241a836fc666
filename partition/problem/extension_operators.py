"""What operators outside ONNX's main domain cost: ``ai.onnx.ml``, and ``com.microsoft`` of onnxruntime.

The same in prose is in ``docs/onnx.md``; how to count is in :mod:`partition.problem.operator_formulas`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from partition.problem.operator_call import Call, Formula

TREE_NODE_BYTES = 24
"""Of a node of a tree ensemble as onnxruntime holds it: threshold, feature, mode and children."""

TREE_TARGET_BYTES = 8
"""Of what a leaf adds to a result: which one, and how much."""


# --- ai.onnx.ml ---------------------------------------------------------------------------------------------------


def is_tree_ensemble(op_type: str) -> bool:
    """Whether the operator holds its trees in its attributes."""
    return op_type.startswith("TreeEnsemble")


def tree_bytes(attributes: Mapping[str, Any]) -> float:
    """Bytes of the trees that the attributes of a tree ensemble describe."""
    nodes = _length(attributes, "nodes_nodeids", "nodes_featureids")
    targets = _length(attributes, "target_ids", "class_ids", "leaf_targetids")
    return float(TREE_NODE_BYTES * nodes + TREE_TARGET_BYTES * targets)


def _length(attributes: Mapping[str, Any], *names: str) -> int:
    return next((len(attributes[name]) for name in names if name in attributes), 0)


def _trees(call: Call) -> float:
    """For every sample a comparison at each level of each tree, and an addition for each tree."""
    depths = _depths(call.attributes)
    return _rows(call) * float(depths.sum() + len(depths))


def _depths(attributes: Mapping[str, Any]) -> np.ndarray:
    """(trees,) comparisons on the longest path of each tree."""
    if "tree_roots" in attributes:  # version 5: nodes refer to one another by position, leaves are apart
        roots = np.asarray(attributes["tree_roots"], dtype=np.int64)
        children = np.stack([attributes["nodes_truenodeids"], attributes["nodes_falsenodeids"]]).astype(np.int64)
        leaf = np.stack([attributes["nodes_trueleafs"], attributes["nodes_falseleafs"]]).astype(bool)
        tree = np.arange(len(roots))
    else:
        number = np.asarray(attributes["nodes_treeids"], dtype=np.int64)
        node = np.asarray(attributes["nodes_nodeids"], dtype=np.int64)
        modes = np.array([mode in (b"LEAF", "LEAF") for mode in attributes["nodes_modes"]])
        place = {key: i for i, key in enumerate(zip(number.tolist(), node.tolist(), strict=True))}
        children = np.full((2, len(node)), -1, dtype=np.int64)
        for k, side in enumerate(("nodes_truenodeids", "nodes_falsenodeids")):
            keys = zip(number.tolist(), attributes[side], strict=True)
            children[k] = [-1 if end else place[key] for key, end in zip(keys, modes.tolist(), strict=True)]
        leaf = children < 0
        inner = np.unique(children[children >= 0])
        roots = np.setdiff1d(np.arange(len(node)), inner)
        _, tree = np.unique(number[roots], return_inverse=True)
    depths = np.zeros(int(tree.max(initial=-1)) + 1)
    frontier, level = roots, 0
    while len(frontier) and level <= children.shape[1]:
        branches = ~leaf[:, frontier].all(axis=0) if "tree_roots" not in attributes else np.ones(len(frontier), bool)
        level += 1
        depths[tree[branches]] = level
        following = [children[k, frontier[~leaf[k, frontier]]] for k in (0, 1)]
        tree = np.concatenate([tree[~leaf[k, frontier]] for k in (0, 1)])
        frontier = np.concatenate(following)
    return depths


def _rows(call: Call) -> float:
    shape = call.input().shape
    return float(shape[0]) if len(shape) > 1 else 1.0


def _linear(call: Call) -> float:
    """A multiply-add per sample and coefficient; of a classifier, also 5 per class for what follows."""
    classes = call.outputs[1].size if len(call.outputs) > 1 and call.outputs[1] else call.output().size
    return 2.0 * _rows(call) * len(call.attributes["coefficients"]) + 5.0 * classes


def _support_vectors(call: Call) -> float:
    """For every sample the kernel against each vector: a product, and 3 for the kernel; then the weighted sum."""
    features = call.input().shape[-1]
    vectors = len(call.attributes["support_vectors"]) // max(1, features)
    return _rows(call) * (vectors * (2.0 * features + 3) + 2.0 * len(call.attributes["coefficients"]))


# --- com.microsoft ------------------------------------------------------------------------------------------------


def _dynamic_lstm(call: Call) -> float:
    """As LSTM; W is (directions, I, 4 H) and R (directions, H, 4 H)."""
    steps, batch, inputs = call.input().shape
    directions, hidden, rows = call.input(2).shape
    if call.input(1).shape[1] != inputs:
        raise ValueError("W does not fit X")
    return steps * batch * directions * (rows * (2.0 * (inputs + hidden) + 1 + 2 * call.has(3)) + 18 * hidden)


def _experts(weights: tuple[int, ...], packed: bool = False) -> Formula:
    """Mixture of experts: every token through the k experts chosen for it, and 5 per gate."""

    def flops(call: Call) -> float:
        tokens = call.input().size // call.input().shape[-1]
        chosen = int(call.attributes.get("k", 1))
        per_byte = 8 // int(call.attributes.get("expert_weight_bits", 4)) if packed else 1
        sizes = [call.input(i) for i in weights if call.has(i)]
        expert = sum(math.prod(spec.shape[1:]) for spec in sizes) * per_byte
        return tokens * chosen * 2.0 * expert + 5.0 * call.input(1).size

    return flops


def _distance(call: Call) -> float:
    """Subtract, square, add for each pair and feature."""
    return 3.0 * call.output().size * call.input().shape[-1]


def _inverse(call: Call) -> float:
    return 2.0 * call.input().size * call.input().shape[-1]


def _each(count: float) -> Formula:
    return lambda call: count * call.output().size


def _each_read(count: float) -> Formula:
    return lambda call: count * call.input().size


def _compared_boxes(call: Call) -> float:
    """NonMaxSuppression: a sort of the scores, and 14 for each pair of a box chosen and another one."""
    boxes, scores = call.input(0).shape[1], call.input(1).size
    chosen = min(boxes, call.output().shape[0])
    return scores * math.ceil(math.log2(max(2, boxes))) + 14.0 * chosen * boxes


def _short_fourier(call: Call) -> float:
    """5 n log2 n for each frame of length n."""
    frames, bins = call.output().size // 2, call.output().shape[-2]
    length = 2 * (bins - 1) if call.attributes.get("onesided", 1) else bins
    return frames / max(1, bins) * 5.0 * length * math.log2(max(2, length))


FORMULAS: Mapping[str, Formula] = {
    name: formula
    for names, formula in (
        ("NonMaxSuppression", _compared_boxes),
        ("STFT", _short_fourier),
        ("RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer", _each_read(1)),
        ("TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor", _trees),
        ("LinearClassifier LinearRegressor", _linear),
        ("SVMClassifier SVMRegressor", _support_vectors),
        ("ArrayFeatureExtractor DictVectorizer FeatureVectorizer ZipMap", _each(0)),
        ("Binarizer CastMap CategoryMapper LabelEncoder OneHotEncoder", _each(1)),
        ("Imputer Scaler", _each(2)),
        ("Normalizer", _each(3)),
        ("DynamicQuantizeLSTM", _dynamic_lstm),
        ("GatherBlockQuantized", _each(2)),
        ("MoE", _experts((2, 4, 6))),
        ("QMoE", _experts((2, 5, 8), packed=True)),
        ("CDist", _distance),
        ("Inverse", _inverse),
        ("ExpandDims UnfoldTensor", _each(0)),
        ("QLinearWhere", _each(2)),
        ("QLinearReduceMean ReduceSumInteger IsAllFinite", _each_read(1)),
        ("BiasAdd", _each(2)),
        ("BiasSoftmax", _each(6)),
        ("BiasSplitGelu", _each(6)),
        ("GroupNorm", _each_read(8)),
        ("SkipGroupNorm", _each_read(9)),
        ("ComplexMul ComplexMulConj", _each(3)),
        ("CropAndResize", _each(9)),
        ("MurmurHash3", _each(10)),
    )
    for name in names.split()
}
