"""What operators outside ONNX's main domain cost: ``ai.onnx.ml``, and ``com.microsoft`` of onnxruntime.

The same in prose is in ``docs/onnx.md``; how to count is in :mod:`partition.problem.operator_formulas`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from partition.problem.operator_call import Call, Formula
from partition.problem.operator_formulas import per_input, per_output

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


def _state_update(rule: str) -> tuple[float, float]:
    """Of one token and one head of a linear attention: FLOPs per entry of the state, and per entry of the value."""
    gated, corrected = rule in ("gated", "gated_delta"), rule in ("delta", "gated_delta")
    return 2.0 + gated + 2.0 * corrected, 2.0 * corrected


def _linear_attention(call: Call) -> float:
    """Per token: every state is updated by an outer product, decayed and corrected; every query reads its state."""
    batch, steps, width = call.input().shape
    queries, heads = int(call.attributes["q_num_heads"]), int(call.attributes["kv_num_heads"])
    depth, value = width / queries, call.input(2).shape[-1] / heads
    entry, each = _state_update(call.text("update_rule", "gated_delta"))
    update = heads * value * (depth * entry + each)
    return batch * steps * (update + queries * value * (2.0 * depth + 1))


def _gated_delta_net(call: Call) -> float:
    """The same with heads as an axis and all sequences behind one another: (tokens, heads, width)."""
    tokens, queries, depth = call.input().shape
    _, heads, value = call.input(2).shape
    entry, each = _state_update("gated_delta")
    return tokens * (heads * value * (depth * entry + each) + queries * value * (2.0 * depth + 1))


def _causal_convolution(call: Call) -> float:
    """Each channel with a filter of its own; a fused SiLU takes 5."""
    window = math.prod(call.input(1).shape[1:])
    activation = 0.0 if call.text("activation", "none") == "none" else 5.0
    return call.output().size * (2.0 * window + call.has(2) + activation)


def _expanded(call: Call) -> float:
    """A product with a packed matrix, each of whose entries is expanded once by 2 steps."""
    inner, columns = call.input().shape[-1], call.output().shape[-1]
    return 2.0 * call.output().size * inner + 2.0 * inner * columns


def _with_extra(count: float) -> Formula:
    """A product of the first two operands, and ``count`` steps per output element."""
    return lambda call: call.output().size * (2.0 * call.input().shape[-1] + count)


def _several_packed(columns: Mapping[str, int], norm: int, extra: float) -> Formula:
    """Products of one, perhaps normalised, operand with several packed matrices.

    Parameters
    ----------
    columns : attribute that tells the columns of a matrix -> how many matrices have as many.
    norm : index of the scale of the normalisation.
    extra : steps per output element of the first result.
    """

    def flops(call: Call) -> float:
        inner = int(call.attributes["K"])
        rows, width = call.input().size / inner, sum(int(call.attributes[n]) * k for n, k in columns.items())
        return 2.0 * inner * width * (rows + 1) + 5.0 * call.has(norm) * call.input().size + extra * call.output().size

    return flops


def _adapted(call: Call) -> float:
    """A packed product and one of low rank beside it, whose two matrices are packed too."""
    inner, columns, rank = int(call.attributes["K"]), int(call.attributes["N"]), call.input(3).shape[0]
    rows = call.input().size / inner
    return 2.0 * (rows + 1) * (inner * columns + rank * (inner + columns)) + call.output().size


def _packed_attention(offsets: int) -> Formula:
    """Attention over sequences without their padding; keys at most as many as the longest sequence has.

    ``offsets``: index of the operand of shape (sequences, longest sequence).
    """

    def flops(call: Call) -> float:
        heads, tokens = int(call.attributes["num_heads"]), call.input().shape[0]
        width = call.output().shape[-1]
        projects = offsets == 3
        projection = tokens * call.input(1).shape[1] * (2.0 * call.input().shape[1] + 1) if projects else 0.0
        return projection + tokens * call.input(offsets).shape[1] * (4.0 * width + 6 * heads)

    return flops


def _decoder_attention(call: Call) -> float:
    """Queries (steps, batch, width) and keys (keys, batch, width) are projected, then attended to."""
    (steps, batch, width), keys, heads = call.input().shape, call.input(1).shape[0], int(call.attributes["num_heads"])
    projected = 2.0 * batch * (steps * math.prod(call.input(2).shape) + keys * math.prod(call.input(3).shape))
    return projected + batch * steps * keys * (4.0 * width + 6 * heads)


def _real_fourier(call: Call) -> float:
    """Half of 5 n log2 n for each transform of n real numbers; complex ones have an axis of 2 at the end."""
    dims = int(call.attributes.get("signal_ndim", 1))
    inverse = len(call.input().shape) > len(call.output().shape)
    real = call.output() if inverse else call.input()
    return 2.5 * real.size * math.log2(max(2, math.prod(real.shape[-dims:])))


FORMULAS: Mapping[str, Formula] = {
    name: formula
    for names, formula in (
        ("NonMaxSuppression", _compared_boxes),
        ("STFT", _short_fourier),
        ("RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer", per_input(1)),
        ("TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor", _trees),
        ("LinearClassifier LinearRegressor", _linear),
        ("SVMClassifier SVMRegressor", _support_vectors),
        ("ArrayFeatureExtractor DictVectorizer FeatureVectorizer ZipMap", per_output(0)),
        ("Binarizer CastMap CategoryMapper LabelEncoder OneHotEncoder", per_output(1)),
        ("Imputer Scaler", per_output(2)),
        ("Normalizer", per_output(3)),
        ("DynamicQuantizeLSTM", _dynamic_lstm),
        ("GatherBlockQuantized", per_output(2)),
        ("MoE", _experts((2, 4, 6))),
        ("QMoE", _experts((2, 5, 8), packed=True)),
        ("CDist", _distance),
        ("Inverse", _inverse),
        ("ExpandDims UnfoldTensor", per_output(0)),
        ("QLinearWhere", per_output(2)),
        ("QLinearReduceMean ReduceSumInteger IsAllFinite", per_input(1)),
        ("BiasAdd", per_output(2)),
        ("BiasSoftmax", per_output(6)),
        ("BiasSplitGelu", per_output(6)),
        ("GroupNorm", per_input(8)),
        ("SkipGroupNorm", per_input(9)),
        ("ComplexMul ComplexMulConj", per_output(3)),
        ("CropAndResize", per_output(9)),
        ("MurmurHash3", per_output(10)),
        ("LinearAttention", _linear_attention),
        ("GatedDeltaNet", _gated_delta_net),
        ("CausalConvWithState", _causal_convolution),
        ("GemmFastGelu", _with_extra(8)),
        ("GemmFloat8 QOrderedMatMul", _with_extra(2)),
        ("SparseToDenseMatMul", _with_extra(0)),
        ("MatMulFpQ4 MatMulPacked MatMulBlockQuantizedFp4Weight MatMulBlockQuantizedFp8Weight", _expanded),
        ("MatMulNBitsMlp", _several_packed({"N": 2}, norm=2, extra=6)),
        ("MatMulNBitsQkv", _several_packed({"Nq": 1, "Nkv": 2}, norm=2, extra=0)),
        ("MatMulNBitsQLoRA", _adapted),
        ("PackedAttention", _packed_attention(3)),
        ("PackedMultiHeadAttention", _packed_attention(4)),
        ("DecoderAttention", _decoder_attention),
        ("Rfft Irfft", _real_fourier),
        ("MulInteger BiasDropout MRotaryEmbedding QuantizeBFP ScaledTanh", per_output(3)),
        (
            "Affine BitmaskDropout DequantizeBFP DequantizeWithOrder GatedAdd ImageScaler QuantizeWithOrder",
            per_output(2),
        ),
        ("GemmaRotaryEmbedding ScaledSiLU", per_output(6)),
        ("ParametricSoftplus", per_output(5)),
        ("QOrderedGelu", per_output(7)),
        ("RelativePositionBias", per_output(10)),
        ("Scale", per_output(1)),
        ("QOrderedLayerNormalization", per_input(8)),
        ("GatedRMSNorm", per_input(11)),
        ("Crop DynamicSlice GivenTensorFill ReorderInput ReorderOutput RemovePadding RestorePadding", per_output(0)),
        ("TorchEmbedding", per_output(0)),
    )
    for name in names.split()
}
