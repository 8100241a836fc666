"""What the operators of ONNX's main domain cost, a formula a kind; ``docs/onnx.md`` is the same in prose.

A multiply-add counts 2, every other elementary function (add, compare, exp, erf, tanh, sqrt, cast, ...) counts 1,
whatever the number type. Which operator has which formula is in :mod:`partition.problem.operators`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from partition.problem.operator_call import Call, Formula

# --- Element by element -------------------------------------------------------------------------------------------


def per_output(count: float) -> Formula:
    """``count`` steps per output element."""
    return lambda call: count * call.output().size


def per_input(count: float) -> Formula:
    """``count`` steps per element of the first input."""
    return lambda call: count * call.input().size


def free(call: Call) -> float:
    """Nothing: data are moved or renamed, not computed."""
    return 0.0


def variadic(call: Call) -> float:
    """Sum, Max, ...: one step fewer than operands, at least one (Mean divides)."""
    return max(1, sum(1 for t in call.inputs if t) - 1) * call.output().size


def log_of(count: float, length: Callable[[Call], int]) -> Formula:
    """A sort or heap: ``count * log2(length)`` steps per input element."""
    return lambda call: count * call.input().size * math.ceil(math.log2(max(2, length(call))))


def kept(call: Call) -> int:
    """TopK's k, from its output."""
    return call.output().shape[int(call.attributes.get("axis", -1))]


def scatter(call: Call) -> float:
    """Assignment is free; a reduction is one step per update."""
    return 0.0 if call.text("reduction", "none") == "none" else call.input(2).size


# --- Products -----------------------------------------------------------------------------------------------------


def matmul(call: Call) -> float:
    """One multiply-add per output element and entry of the inner dimension."""
    transposed = bool(call.attributes.get("transA", 0))
    left = call.input().shape
    return 2.0 * call.output().size * left[-2 if transposed else -1]


def gemm(call: Call) -> float:
    """The product; per output element a scaled addition of C, and a scaling by alpha."""
    size = call.output().size
    scaled = float(call.attributes.get("alpha", 1.0)) != 1.0
    return matmul(call) + size * ((2 if call.has(2) else 0) + scaled)


def quantised_matmul(call: Call) -> float:
    """The product, and per output element a scaling and a rounding."""
    return matmul(call) + per_output(2)(call)


def packed_matmul(call: Call) -> float:
    """MatMulNBits: every packed weight is expanded (subtract the zero point, scale) once."""
    inner, columns = int(call.attributes["K"]), int(call.attributes["N"])
    return 2.0 * call.output().size * inner + 2.0 * inner * columns


def convolution(weight: int, bias: int) -> Formula:
    """Per output element one multiply-add for each entry of a filter, whose shape already holds the groups."""

    def flops(call: Call) -> float:
        filter_shape = call.input(weight).shape
        if len(filter_shape) < 3:
            raise ValueError("a convolution's filter has at least three dimensions")
        return call.output().size * (2.0 * math.prod(filter_shape[1:]) + call.has(bias))

    return flops


def transposed_convolution(call: Call) -> float:
    """Per input element one multiply-add for each entry of a filter."""
    filter_shape = call.input(1).shape
    if len(filter_shape) < 3:
        raise ValueError("a convolution's filter has at least three dimensions")
    return 2.0 * call.input().size * math.prod(filter_shape[1:]) + call.output().size * call.has(2)


def deformable_convolution(call: Call) -> float:
    """A convolution over samples interpolated between 4 neighbours (8 steps) at each offset, for each channel."""
    kernel = math.prod(call.input(1).shape[2:])
    batch, channels, *_ = call.input().shape
    samples = batch * channels * math.prod(call.output().shape[2:]) * kernel
    return convolution(1, 3)(call) + 8.0 * samples


def einsum(call: Call) -> float:
    """Operands from the left, pair by pair, as runtimes do.

    One multiply-add per point of the pair's index space; an outer product needs no adding, a sum no multiplying.
    """
    text, arrow, result = call.text("equation", "").replace(" ", "").partition("->")
    terms, extent = _labelled(text, call)
    letters = [label for term in terms for label in term]
    if arrow:
        wanted = {label for label in letters if label in result or not label.isalpha()}
    else:
        wanted = {label for label in letters if letters.count(label) == 1 or not label.isalpha()}
    space = set(terms[0])
    if len(terms) == 1:
        return float(_points(space, extent) * (space > wanted))
    total = 0.0
    for k, term in enumerate(terms[1:], start=2):
        space |= set(term)
        left = space & (wanted.union(*terms[k:]))
        total += _points(space, extent) * (1 + (left < space))
        space = left
    return total


def _labelled(text: str, call: Call) -> tuple[list[list[str]], dict[str, int]]:
    """The labels of every operand, those of an ellipsis counted from the right, and the extent of each label."""
    terms: list[list[str]] = []
    extent: dict[str, int] = {}
    for i, term in enumerate(text.split(",")):
        shape = call.input(i).shape
        before, ellipsis, after = term.partition("...")
        broadcast = len(shape) - len(before) - len(after)
        if broadcast < 0 or (broadcast and not ellipsis):
            raise ValueError("the equation does not fit the shapes")
        labels = [*before, *(f"...{broadcast - j}" for j in range(broadcast)), *after]
        for label, length in zip(labels, shape, strict=True):
            extent[label] = max(extent.get(label, 1), length)
        terms.append(labels)
    if len(extent) > 64:
        raise ValueError("the equation has more indices than numpy could run")
    return terms, extent


def _points(labels: set[str], extent: dict[str, int]) -> int:
    return math.prod(extent[label] for label in labels)


# --- Attention ----------------------------------------------------------------------------------------------------


def attention(past: int) -> Formula:
    """Scores, softmax (6 with the scaling) and weighted values; ``past`` is the index of the cached keys.

    Queries are (B, heads, S, d) or (B, S, heads * d). ``Attention`` of ``com.microsoft`` also projects: there the
    second input is the (hidden, 3 * hidden) weight.
    """

    def flops(call: Call) -> float:
        query, out = call.input(), call.output()
        projects = call.has(1) and len(call.input(1).shape) == 2
        heads = query.shape[1] if len(query.shape) == 4 else _head_count(call)
        steps = query.shape[-2] if len(query.shape) in (3, 4) else query.shape[1]
        depth = out.shape[-1] if len(out.shape) == 4 else out.shape[-1] / heads
        rows = query.shape[0] * heads * steps
        projection = 0.0
        if projects:
            columns = call.input(1).shape[1]
            projection = query.shape[0] * steps * columns * (2.0 * query.shape[-1] + call.has(2))
        return projection + rows * _key_count(call, past, steps, projects) * (4.0 * depth + 6)

    return flops


def _head_count(call: Call) -> int:
    heads = call.attributes.get("q_num_heads") or call.attributes.get("num_heads")
    if not heads:
        raise LookupError("num_heads")
    return int(heads)


def _key_count(call: Call, past: int, steps: int, projects: bool) -> int:
    """Length of the keys attended to, the cached ones included."""
    cached = call.input(past).shape[-2] if call.has(past) else 0
    if not call.has(1) or projects:  # keys come packed with the queries
        return cached + steps
    key = call.input(1).shape
    return cached + (key[1] if len(key) == 5 else key[-2])


# --- Recurrence, pooling, sampling --------------------------------------------------------------------------------


def recurrent(element_steps: int) -> Formula:
    """X is (S, B, I) (or (B, S, I)), W (directions, gates * H, I), R (directions, gates * H, H).

    ``element_steps``: per hidden unit and time step, the activations and state updates.
    """

    def flops(call: Call) -> float:
        first, second, inputs = call.input().shape
        directions, rows, hidden = call.input(2).shape
        if call.input(1).shape[-1] != inputs:
            raise ValueError("W does not fit X")
        per_step = rows * (2.0 * (inputs + hidden) + 1 + 2 * call.has(3)) + element_steps * hidden
        return first * second * directions * per_step

    return flops


def pool(count: float) -> Formula:
    """``count`` steps per output element and entry of the kernel."""

    def flops(call: Call) -> float:
        kernel = call.attributes["kernel_shape"]
        if len(kernel) >= len(call.input().shape):
            raise ValueError("the kernel has more dimensions than what it slides over")
        return count * call.output().size * float(math.prod(kernel))

    return flops


def local_response(call: Call) -> float:
    """Square and sum over ``size`` channels, then scale, add, power, divide, multiply."""
    return call.output().size * (int(call.attributes["size"]) + 5.0)


def resize(call: Call) -> float:
    """A multiply-add per neighbour: 1 (free) for nearest, 2 for linear, 4 for cubic, along each resized dimension."""
    neighbours = {"nearest": 0, "linear": 2, "bilinear": 2, "cubic": 4}[call.text("mode", "nearest")]
    resized = sum(a != b for a, b in zip(call.input().shape, call.output().shape, strict=True))
    return float(2 * neighbours**resized * call.output().size) if neighbours else 0.0


def grid_sample(call: Call) -> float:
    """A multiply-add per neighbour along each dimension: 1 for nearest, 2 for linear, 4 for cubic."""
    neighbours = {"nearest": 1, "linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}[call.text("mode", "linear")]
    return float(2 * neighbours ** (len(call.input().shape) - 2) * call.output().size)


def roi_align(call: Call) -> float:
    """9 steps for each bilinear sample: 4 multiply-adds and the sum."""
    samples = max(1, int(call.attributes.get("sampling_ratio", 0))) ** 2
    return 9.0 * samples * call.output().size


def fourier(call: Call) -> float:
    """5 n log2 n for each transform of length n (real or complex numbers in the last dimension)."""
    axis = int(call.attributes.get("axis", -2))
    return 2.5 * call.output().size * math.log2(max(2, call.output().shape[axis]))


def determinant(call: Call) -> float:
    """An LU factorisation: 2/3 n^3 steps for each n x n matrix."""
    return 2.0 / 3.0 * call.input().size * call.input().shape[-1]


def normalisation(base: float, *affine: int) -> Formula:
    """``base`` steps per element and one for each of the ``affine`` inputs (scale, bias, skip) that is present."""
    return lambda call: call.input().size * (base + sum(call.has(i) for i in affine))


def embed_normalisation(call: Call) -> float:
    """EmbedLayerNormalization: the word, position and segment rows are added and normalised."""
    return call.output().size * (8.0 + call.has(4))


# --- Traffic ------------------------------------------------------------------------------------------------------


def everything(call: Call) -> float:
    """All inputs read, all outputs written."""
    return call.read + call.written


def part_of_first(call: Call) -> float:
    """Of the first input only what is returned is read; the others (indices) in full."""
    others = sum(t.bytes for t in call.inputs[1:] if t)
    return 2.0 * call.written + others


def embedding_rows(call: Call) -> float:
    """EmbedLayerNormalization reads ids, scale and bias in full, but only the rows of its tables it returns."""
    tables = sum(call.has(i) for i in (2, 3, 4))
    whole = sum(t.bytes for i, t in enumerate(call.inputs) if t and i not in (2, 3, 4))
    return whole + tables * call.output().bytes + call.written
