"""Formulas for calls that PyTorch's own counter lacks: products, and the rows that lookups and writes touch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from partition.readers.torch.calls import VIEW_WRITES, TorchCall, size_in_bytes, stored

# --- Products that PyTorch's counter does not know ----------------------------------------------------------------


def shape_of(call: TorchCall, i: int) -> torch.Size:
    shape: torch.Size = call.args[i].shape
    return shape


def pairs(call: TorchCall) -> float:
    """Pairs of query and key; the softmax over them takes 6 steps for each."""
    return float(math.prod(shape_of(call, 0)[:-1]) * shape_of(call, 1)[-2])


def _attention(call: TorchCall) -> float:
    """Two products per pair of query and key, and a softmax."""
    return pairs(call) * (2.0 * shape_of(call, 0)[-1] + 2.0 * shape_of(call, 2)[-1] + 6.0)


def _attention_backward(call: TorchCall) -> float:
    """``(gradient, q, k, v, ...)``: the scores again, and four products; the softmax again, and its gradient."""
    each = 6.0 * shape_of(call, 1)[-1] + 4.0 * shape_of(call, 3)[-1] + 9.0
    return math.prod(shape_of(call, 1)[:-1]) * shape_of(call, 2)[-2] * each


def _trilinear(call: TorchCall) -> float:
    """Three operands with dimensions put in where they are repeated; the first pair takes the most by far."""
    shapes = []
    for value, put_in in zip(call.args[:3], call.args[3:6], strict=True):
        shape = list(value.shape)
        for d in sorted(put_in):
            shape.insert(d, 1)
        shapes.append(shape)
    return 2.0 * math.prod(torch.broadcast_shapes(*shapes))


def _grouped(call: TorchCall) -> float:
    """Rows of ``a`` in groups, each with a matrix of its own; or both with groups along the inner dimension."""
    a, b = shape_of(call, 0), shape_of(call, 1)
    return 2.0 * a[0] * b[-1] * a[-1] if len(a) == len(b) == 2 else 2.0 * call.writes[0].numel() * a[-1]


def _batches_added(call: TorchCall) -> float:
    return 2.0 * math.prod(shape_of(call, 1)) * shape_of(call, 2)[-1]


def _inner_of(left: int) -> Callable[[TorchCall], float]:
    return lambda call: 2.0 * call.writes[0].numel() * shape_of(call, left)[-1]


def _bilinear(call: TorchCall) -> float:
    """``x1[.., i] w[o, i, j] x2[.., j]``: first by w, then by x2."""
    rows, w = math.prod(shape_of(call, 0)[:-1]), shape_of(call, 2)
    return 2.0 * rows * math.prod(w) + 2.0 * rows * w[0] * w[2]


def _recurrent(call: TorchCall) -> float:
    """Per step and layer 2 x gates x hidden x (input + hidden), from the weights themselves."""
    steps = math.prod(shape_of(call, 0)[:-1])
    return 2.0 * steps * sum(w.numel() for part in call.args if isinstance(part, tuple | list)
                             for w in part if isinstance(w, torch.Tensor) and w.dim() == 2)  # fmt: skip


def _cell(call: TorchCall) -> float:
    """One step of a recurrent layer: both of its matrices with every row of the input."""
    return 2.0 * math.prod(shape_of(call, 0)[:-1]) * (math.prod(shape_of(call, 2)) + math.prod(shape_of(call, 3)))


def _sort(call: TorchCall) -> float:
    numel, dim = call.reads[0].numel(), call.reads[0].shape
    return numel * math.ceil(math.log2(max(2, max(dim, default=1))))


def _dense(cubes: float, right_hand_side: int | None = None) -> Callable[[TorchCall], float]:
    """``cubes * n^3`` for each matrix, and ``2 n^2`` for each column of a right-hand side."""

    def flops(call: TorchCall) -> float:
        shape = shape_of(call, 0)
        each = cubes * shape[-1] ** 3
        if right_hand_side is not None:
            b = shape_of(call, right_hand_side)
            each += 2.0 * shape[-1] ** 2 * (b[-1] if len(b) >= len(shape) else 1)
        return math.prod(shape[:-2]) * each

    return flops


def _triangulated(call: TorchCall) -> float:
    """A QR factorisation by reflections, or the orthogonal factor from them (Golub and Van Loan)."""
    *batch, m, n = shape_of(call, 0)
    low, high = min(m, n), max(m, n)
    return math.prod(batch) * 2.0 * low * low * (high - low / 3)


def _orthogonal(call: TorchCall) -> float:
    """The factorisation and the factor."""
    return 2.0 * _triangulated(call)


def _singular(vectors: bool) -> Callable[[TorchCall], float]:
    """Singular values, with or without vectors (Golub and Van Loan)."""

    def flops(call: TorchCall) -> float:
        *batch, m, n = shape_of(call, 0)
        low, high = min(m, n), max(m, n)
        with_vectors = 4.0 * high * high * low + 8.0 * high * low * low + 9.0 * low**3
        return math.prod(batch) * (with_vectors if vectors else 4.0 * low * low * (high - low / 3))

    return flops


def _pseudo_inverse(call: TorchCall) -> float:
    """The singular vectors, scaled and multiplied."""
    *batch, m, n = shape_of(call, 0)
    return _singular(True)(call) + math.prod(batch) * 2.0 * m * n * min(m, n)


def _frames(call: TorchCall) -> float:
    """``stft(self, n_fft, ...)``: a transform of every frame, half of it where the signal is real."""
    length = int(call.args[1])
    frames = call.writes[0].numel() / (call.writes[0].shape[-2] if call.writes[0].is_complex() else 1)
    return (5.0 if call.reads[0].is_complex() else 2.5) * frames * length * math.log2(max(2, length))


def _pairs_of_rows(call: TorchCall) -> float:
    """Of every pair of rows the difference, its power and the sum."""
    return 3.0 * call.writes[0].numel() * shape_of(call, 0)[-1]


def _reflected(call: TorchCall) -> float:
    """``ormqr(a, tau, other)``: as many reflections as ``tau`` has, of every vector of ``other``."""
    return 4.0 * call.writes[0].numel() * shape_of(call, 1)[-1]


def _temporal(call: TorchCall) -> float:
    """``conv_tbc(x, w, b, pad)``: time, batch and channels."""
    width, into, _ = shape_of(call, 1)
    return (2.0 * width * into + 1.0) * call.writes[0].numel()


def _fourier(call: TorchCall) -> float:
    """5 n log2 n for each transform of n points (half of it where one side is real)."""
    points = max(call.reads[0].numel(), call.writes[0].numel())
    dims = call.argument(1)
    length = math.prod(max(call.reads[0].shape[d], call.writes[0].shape[d]) for d in dims)
    real = not (call.reads[0].is_complex() and call.writes[0].is_complex())
    return (2.5 if real else 5.0) * points * math.log2(max(2, length))


PRODUCTS: Mapping[str, Callable[[TorchCall], float]] = {
    "scaled_dot_product_attention": _attention, "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention, "flex_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward, "_trilinear": _trilinear,
    "_scaled_dot_product_fused_attention_overrideable_backward": _attention_backward,
    "_cdist_backward": lambda call: 4.0 * call.args[4].numel() * shape_of(call, 1)[-1],
    "_grouped_mm": _grouped, "grouped_mm": _grouped, "grouped_mm_fallback": _grouped, "_scaled_grouped_mm": _grouped,
    "addbmm": _batches_added, "_int_mm": _inner_of(0), "_scaled_mm": _inner_of(0), "_weight_int8pack_mm": _inner_of(0),
    "_weight_int4pack_mm": _inner_of(0), "_weight_int4pack_mm_for_cpu": _inner_of(0), "pdist": _pairs_of_rows,
    "_pdist_forward": _pairs_of_rows, "stft": _frames, "linalg_slogdet": _dense(2 / 3),
    "_linalg_slogdet": _dense(2 / 3),
    "linalg_lu": _dense(2 / 3), "linalg_pinv": _pseudo_inverse, "mode": _sort,
    "cholesky_solve": lambda call: 2.0 * call.args[0].numel() * shape_of(call, 1)[-1],
    "addr": lambda call: 3.0 * call.writes[0].numel(), "_cdist_forward": _inner_of(0), "cdist": _inner_of(0),
    "bilinear": _bilinear, "mv": lambda call: 2.0 * call.reads[0].numel(),
    "dot": lambda call: 2.0 * call.reads[0].numel(), "vdot": lambda call: 2.0 * call.reads[0].numel(),
    "addmv": lambda call: 2.0 * math.prod(shape_of(call, 1)), "lstm": _recurrent, "gru": _recurrent,
    "rnn_tanh": _recurrent, "rnn_relu": _recurrent, "lstm_cell": _cell, "gru_cell": _cell, "rnn_tanh_cell": _cell,
    "rnn_relu_cell": _cell, "sort": _sort, "argsort": _sort, "msort": _sort, "kthvalue": _sort,
    "linalg_cholesky": _dense(1 / 3), "linalg_cholesky_ex": _dense(1 / 3), "linalg_inv": _dense(2),
    "linalg_inv_ex": _dense(2), "det": _dense(2 / 3), "linalg_det": _dense(2 / 3), "_linalg_det": _dense(2 / 3),
    "linalg_lu_factor": _dense(2 / 3), "linalg_solve": _dense(2 / 3, 1), "_linalg_solve_ex": _dense(2 / 3, 1),
    "linalg_qr": _orthogonal, "linalg_lstsq": _orthogonal, "linalg_svd": _singular(True),
    "_linalg_svd": _singular(True), "linalg_svdvals": _singular(False), "linalg_eigh": _dense(9),
    "_linalg_eigh": _dense(9), "linalg_eigvalsh": _dense(4 / 3), "linalg_eig": _dense(25), "linalg_eigvals": _dense(10),
    "_linalg_eigvals": _dense(10), "quantile": _sort, "nanquantile": _sort,
    "linalg_solve_triangular": _dense(0, 1), "triangular_solve": _dense(0, 0), "_fft_r2c": _fourier,
    "_fft_c2r": _fourier, "_fft_c2c": _fourier, "conv_tbc": _temporal, "geqrf": _triangulated, "ormqr": _reflected,
    "linalg_householder_product": _triangulated, "linalg_lu_solve": _dense(0, 2), "lu_solve": _dense(0, 0),
    "linalg_ldl_factor": _dense(1 / 3), "linalg_ldl_factor_ex": _dense(1 / 3), "linalg_ldl_solve": _dense(0, 2),
    "_scaled_dot_product_attention_math": _attention, "_scaled_dot_product_attention_math_for_mps": _attention,
}  # fmt: skip
"""Operators with a formula of ours: PyTorch's counter lacks them, or counts what one machine runs in their place."""


# --- Lookups and writes: the rows they touch ----------------------------------------------------------------------


def _bag(call: TorchCall) -> tuple[float, float]:
    """``(weight, indices, offsets, ...)``: the rows looked up are read, weighed if there are weights, and added."""
    rows = call.args[1].numel() * call.args[0].shape[1]
    others = sum(map(size_in_bytes, call.reads[1:]))
    weighed = isinstance(call.argument(6, call.kwargs.get("per_sample_weights")), torch.Tensor)
    return float(rows * (1 + weighed)), rows * call.args[0].dtype.itemsize + others + size_in_bytes(call.writes[0])


def _written(
    updates: int, index: int | None = None, per_update: float = 0.0
) -> Callable[[TorchCall], tuple[float, float]]:
    """As many elements as operand ``updates`` has, each read and written; what is combined is read as well."""

    def cost(call: TorchCall) -> tuple[float, float]:
        size = call.args[updates].numel()
        moved = (2.0 + (per_update > 0)) * size * call.writes[0].dtype.itemsize
        return per_update * size, moved + (size_in_bytes(call.args[index]) if index is not None else 0.0)

    return cost


def _put(call: TorchCall) -> tuple[float, float]:
    """``index_put(self, indices, values, accumulate)``; what a mask selects is at most everything."""
    indices, accumulates = [i for i in call.args[1] if i is not None], bool(call.argument(3, False))
    if any(i.dtype in (torch.bool, torch.uint8) for i in indices):
        touched = call.args[0].numel()
    else:
        chosen = math.prod(torch.broadcast_shapes(*(i.shape for i in indices)))
        kept = [e for e, i in zip(call.args[0].shape, [*call.args[1]] + [None] * call.args[0].dim(), strict=False)
                if i is None]  # fmt: skip
        touched = chosen * math.prod(kept)
    moved = (2.0 + accumulates) * touched * call.writes[0].dtype.itemsize
    return float(touched * accumulates), moved + sum(map(size_in_bytes, indices))


def _renormed(call: TorchCall) -> tuple[float, float]:
    """``embedding_renorm(weight, indices, ...)``: of each row looked up the norm, and a scaling."""
    rows = float(call.args[1].numel() * call.args[0].shape[-1])
    return 3.0 * rows, 2.0 * rows * call.args[0].dtype.itemsize + size_in_bytes(call.args[1])


def _fill(call: TorchCall) -> tuple[float, float]:
    dim, index = call.args[1], call.args[2]
    rows = call.args[0].numel() / max(1, call.args[0].shape[dim]) * index.numel()
    return 0.0, rows * call.writes[0].dtype.itemsize + size_in_bytes(index)


def _whole(call: TorchCall) -> tuple[float, float]:
    """``copy(self, source)`` reads the source alone."""
    return 0.0, stored(call.args[1]) + size_in_bytes(call.writes[0])


def _bisected(values: int, sorted_ones: int) -> Callable[[TorchCall], tuple[float, float]]:
    """Each value is looked for by halves: a comparison, and a number read, for each."""

    def cost(call: TorchCall) -> tuple[float, float]:
        found, among = call.writes[0].numel(), call.args[sorted_ones]
        steps = float(found * math.ceil(math.log2(among.shape[-1] + 1)))
        given = call.args[values]
        others = size_in_bytes(given) if isinstance(given, torch.Tensor) else 0.0
        read = min(stored(among), steps * among.dtype.itemsize)
        return steps, read + others + size_in_bytes(call.writes[0])

    return cost


def _rows_added(call: TorchCall) -> tuple[float, float]:
    """``(gradient, indices, ...)``: to zeros of the size of the table, a row for each index is added."""
    rows = float(call.args[1].numel() * call.writes[0].shape[-1])
    return rows, call.traffic + 2.0 * rows * call.writes[0].dtype.itemsize


def _nothing(call: TorchCall) -> tuple[float, float]:
    return 0.0, 0.0


ROWS: Mapping[str, Callable[[TorchCall], tuple[float, float]]] = {
    "embedding_dense_backward": _rows_added, "_embedding_bag_backward": _rows_added,
    "_embedding_bag_dense_backward": _rows_added,
    "embedding_renorm": _renormed,
    "embedding_bag": _bag, "_embedding_bag": _bag, "_embedding_bag_forward_only": _bag, "index_put": _put,
    "_unsafe_index_put": _put, "index_copy": _written(3, 2), "index_add": _written(3, 2, 1),
    "index_reduce": _written(3, 2, 1), "scatter": _written(2, 2), "scatter_add": _written(2, 2, 1),
    "scatter_reduce": _written(2, 2, 1), "index_fill": _fill, "empty": _nothing, "empty_like": _nothing,
    "empty_strided": _nothing, "new_empty": _nothing, "new_empty_strided": _nothing, "empty_permuted": _nothing,
    "copy": _whole, "searchsorted": _bisected(1, 0), "bucketize": _bisected(0, 1),
    **dict.fromkeys(VIEW_WRITES, _written(1)),
}  # fmt: skip
"""FLOPs and traffic of operators that touch a part of a table or of a cache."""
