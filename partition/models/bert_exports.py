"""Which operators PyTorch's exporters make of the parts of a BERT. Shapes are (batch, seq, ...) throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from partition.models.tracer import BOOL, FLOAT32, INT64, Operand, Tensor, Tracer


class Export(Protocol):
    """One way to export the parts that differ between exporters."""

    def length(self, net: Tracer, ids: Tensor) -> Tensor | None:
        """The number of tokens, where it is computed."""

    def positions(self, net: Tracer, table: tuple[int, int], seq: int, length: Tensor | None) -> Operand:
        """Embeddings of the positions, (1, seq, hidden), from a table of the given shape."""

    def mask(self, net: Tracer, given: Tensor, length: Tensor | None) -> Tensor:
        """What every layer adds to its scores: 0 where a token may be attended to, the lowest number elsewhere."""

    def dense(self, net: Tracer, name: str, x: Tensor, width: int) -> Tensor:
        """A linear layer with bias over the last dimension."""

    def attention(
        self, net: Tracer, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, x: Tensor, heads: int
    ) -> Tensor:
        """Attention of the projected ``x``, all of shape (batch, seq, hidden)."""

    def layer_norm(self, net: Tracer, x: Tensor) -> Tensor:
        """Layer normalisation over the last dimension."""

    def gelu(self, net: Tracer, x: Tensor) -> Tensor:
        """x / 2 * (1 + erf(x / sqrt 2))."""

    def answer(self, net: Tracer, logits: Tensor) -> None:
        """From logits (batch, seq, 2) the two outputs: where the answer starts and where it ends."""


@dataclass(frozen=True)
class Decomposed:
    """``torch.export`` with the decompositions that compilers ask for, one ONNX operator for each primitive.

    Shapes are fixed, attention is written out. A layer is 87 operations:

    - 18: six linear layers, each a product of matrices (Gemm) between two Reshapes;
    - 10: Reshape and Transpose of query, key and value, Transpose of the key; behind, Transpose, Identity, Reshape;
    - 15: the two products of attention, of three-dimensional tensors: each factor goes through Expand, Identity (made
      contiguous, if it was transposed) and Reshape, the product through Reshape;
    - 2: Div and Add of the mask;
    - 14: softmax and GELU of 7, computed in float32 between two Casts;
    - 28: twice a residual Add and a layer normalisation of 13, likewise between two Casts.

    In float32 there are no Casts, 8 fewer.
    """

    def length(self, net: Tracer, ids: Tensor) -> Tensor | None:
        return None

    def positions(self, net: Tracer, table: tuple[int, int], seq: int, length: Tensor | None) -> Operand:
        steps = net.op("Slice", [net.weight("position_ids", (1, table[0]), INT64)], (1, seq), itemsize=INT64)
        with net.scope("position_embeddings"):
            return net.op("Gather", [net.weight("weight", table), steps], (1, seq, table[1]))

    def mask(self, net: Tracer, given: Tensor, length: Tensor | None) -> Tensor:
        batch, seq = given.shape
        x = net.op("Unsqueeze", [given], (batch, 1, seq), itemsize=INT64)
        x = net.op("Unsqueeze", [x], (batch, 1, 1, seq), itemsize=INT64)
        x = net.op("Cast", [x], x.shape)
        return net.op("Mul", [net.op("Sub", [x], x.shape)], x.shape)

    def dense(self, net: Tracer, name: str, x: Tensor, width: int) -> Tensor:
        batch, seq, inputs = x.shape
        with net.scope(name):
            rows = net.op("Reshape", [x], (batch * seq, inputs))
            weight, bias = net.weight("weight", (inputs, width)), net.weight("bias", (width,))
            return net.op("Reshape", [net.op("Gemm", [rows, weight, bias], (batch * seq, width))], (batch, seq, width))

    def attention(
        self, net: Tracer, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, x: Tensor, heads: int
    ) -> Tensor:
        batch, seq, hidden = x.shape
        apart, depth = (batch, seq, heads, hidden // heads), hidden // heads
        query, key, value = (
            net.op("Transpose", [net.op("Reshape", [part], apart)], (batch, heads, seq, depth))
            for part in (query, key, value)
        )
        key = net.op("Transpose", [key], (batch, heads, depth, seq))
        scores = _product(net, _batched(net, query), _batched(net, key), (batch, heads, seq, seq))
        scores = net.op("Add", [net.op("Div", [scores], scores.shape), mask], scores.shape)
        shares = _softmax(net, scores)
        context = _product(net, _batched(net, shares, contiguous=True), _batched(net, value), query.shape)
        context = net.op("Identity", [net.op("Transpose", [context], apart)], apart)
        return net.op("Reshape", [context], x.shape)

    def layer_norm(self, net: Tracer, x: Tensor) -> Tensor:
        rows = (*x.shape[:-1], 1)
        with net.scope("LayerNorm"):
            y = _to_float32(net, x)
            mean = net.op("ReduceMean", [y], rows, itemsize=FLOAT32)
            centred = _wide(net, "Sub", y, mean)
            variance = net.op("ReduceMean", [_wide(net, "Mul", centred, centred)], rows, itemsize=FLOAT32)
            deviation = _wide(net, "Sqrt", _wide(net, "Add", variance))
            # Variance and quotient each subtract the mean: nothing is shared between decompositions.
            unit = _wide(net, "Mul", _wide(net, "Sub", y, mean), _wide(net, "Reciprocal", deviation))
            y = _wide(net, "Mul", unit, net.weight("weight", x.shape[-1:]))
            return _from_float32(net, _wide(net, "Add", y, net.weight("bias", x.shape[-1:])))

    def gelu(self, net: Tracer, x: Tensor) -> Tensor:
        y = _to_float32(net, x)
        half = _wide(net, "Mul", y)
        cumulative = _wide(net, "Add", _wide(net, "Erf", _wide(net, "Mul", y)))
        return _from_float32(net, _wide(net, "Mul", half, cumulative))

    def answer(self, net: Tracer, logits: Tensor) -> None:
        batch, seq, _ = logits.shape
        for part in net.ops("Split", [logits], [(batch, seq, 1)] * 2):
            net.op("Identity", [net.op("Squeeze", [part], (batch, seq))], (batch, seq))


def _batched(net: Tracer, x: Tensor, contiguous: bool = False) -> Tensor:
    """(batch, heads, a, b) as (batch * heads, a, b), the way a product broadcasts and flattens its factors."""
    x = net.op("Expand", [x], x.shape)
    if not contiguous:
        x = net.op("Identity", [x], x.shape)
    return net.op("Reshape", [x], (x.shape[0] * x.shape[1], *x.shape[2:]))


def _product(net: Tracer, a: Tensor, b: Tensor, shape: tuple[int, ...]) -> Tensor:
    return net.op("Reshape", [net.op("MatMul", [a, b], (a.shape[0], a.shape[1], b.shape[2]))], shape)


def _softmax(net: Tracer, x: Tensor) -> Tensor:
    rows = (*x.shape[:-1], 1)
    y = _to_float32(net, x)
    y = _wide(net, "Exp", _wide(net, "Sub", y, net.op("ReduceMax", [y], rows, itemsize=FLOAT32)))
    return _from_float32(net, _wide(net, "Div", y, net.op("ReduceSum", [y], rows, itemsize=FLOAT32)))


def _wide(net: Tracer, op_type: str, x: Tensor, *others: Operand) -> Tensor:
    """An elementwise operation in float32, of the shape of ``x``."""
    return net.op(op_type, [x, *others], x.shape, itemsize=FLOAT32)


def _to_float32(net: Tracer, x: Tensor) -> Tensor:
    return x if net.itemsize == FLOAT32 else net.op("Cast", [x], x.shape, itemsize=FLOAT32)


def _from_float32(net: Tracer, x: Tensor) -> Tensor:
    return x if net.itemsize == FLOAT32 else net.op("Cast", [x], x.shape)


@dataclass(frozen=True)
class TorchScript:
    """``torch.onnx.export`` of the TorchScript exporter, opset 14 to 16, with scaled dot-product attention.

    A layer is 87 operations if ``dynamic``:

    - 12: MatMul, Add, Reshape, Transpose of query, key and value;
    - 28: the shapes of these three Reshapes and of the one behind the attention, each Shape, Gather and Unsqueeze for
      batch and for sequence, and Concat;
    - 8: the scale, read off the query: Shape, Slice, Cast, Sqrt, Div, Cast, and a Sqrt each for query and key;
    - 8: Mul, Mul, MatMul, Add of the mask, Softmax, MatMul, Transpose, Reshape;
    - 11: MatMul, Add behind the attention, and MatMul, Add, GELU (Div, Erf, Add, Mul, Mul), MatMul, Add;
    - 20: twice a residual Add and ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, Mul, Add.

    Otherwise all that computes shapes and the scale is folded into constants (28 + 8 fewer).
    """

    dynamic: bool

    def length(self, net: Tracer, ids: Tensor) -> Tensor | None:
        return _size(net, ids) if self.dynamic else None

    def positions(self, net: Tracer, table: tuple[int, int], seq: int, length: Tensor | None) -> Operand:
        if length is None:  # which rows of the table are read is known: they are one constant
            return net.weight("position_embeddings/rows", (1, seq, table[1]))
        end = net.op("Unsqueeze", [length], (1,), itemsize=INT64)
        buffer = net.weight("position_ids", (1, table[0]), INT64)
        steps = net.op("Slice", [buffer, None, end], (1, seq), itemsize=INT64)
        with net.scope("position_embeddings"):
            return net.op("Gather", [net.weight("weight", table), steps], (1, seq, table[1]))

    def mask(self, net: Tracer, given: Tensor, length: Tensor | None) -> Tensor:
        batch, seq = given.shape
        full = (batch, 1, seq, seq)
        x = net.op("Unsqueeze", [given], (batch, 1, seq), itemsize=INT64)
        x = net.op("Unsqueeze", [x], (batch, 1, 1, seq), itemsize=INT64)
        target = [] if length is None else [_mask_shape(net, given, length)]
        x = net.op("Sub", [net.op("Cast", [net.op("Expand", [x, *target], full, itemsize=INT64)], full)], full)
        return net.op("Where", [net.op("Cast", [x], full, itemsize=BOOL), x], full)

    def dense(self, net: Tracer, name: str, x: Tensor, width: int) -> Tensor:
        shape = (*x.shape[:-1], width)
        with net.scope(name):
            product = net.op("MatMul", [x, net.weight("weight", (x.shape[-1], width))], shape)
            return net.op("Add", [product, net.weight("bias", (width,))], shape)

    def attention(
        self, net: Tracer, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, x: Tensor, heads: int
    ) -> Tensor:
        batch, seq, hidden = x.shape
        apart, depth = (batch, seq, heads, hidden // heads), hidden // heads
        query = net.op("Transpose", [self._reshape(net, query, apart, query)], (batch, heads, seq, depth))
        key = net.op("Transpose", [self._reshape(net, key, apart, key)], (batch, heads, depth, seq))
        value = net.op("Transpose", [self._reshape(net, value, apart, value)], (batch, heads, seq, depth))
        scale = _attention_scale(net, query) if self.dynamic else None
        query = net.op("Mul", [query, *_root(net, scale)], query.shape)
        key = net.op("Mul", [key, *_root(net, scale)], key.shape)
        scores = net.op("MatMul", [query, key], (batch, heads, seq, seq))
        shares = net.op("Softmax", [net.op("Add", [scores, mask], scores.shape)], scores.shape)
        context = net.op("Transpose", [net.op("MatMul", [shares, value], value.shape)], apart)
        return self._reshape(net, context, x.shape, x)

    def layer_norm(self, net: Tracer, x: Tensor) -> Tensor:
        rows = (*x.shape[:-1], 1)
        with net.scope("LayerNorm"):
            centred = net.op("Sub", [x, net.op("ReduceMean", [x], rows)], x.shape)
            variance = net.op("ReduceMean", [net.op("Pow", [centred], x.shape)], rows)
            deviation = net.op("Sqrt", [net.op("Add", [variance], rows)], rows)
            unit = net.op("Div", [centred, deviation], x.shape)
            scaled = net.op("Mul", [unit, net.weight("weight", x.shape[-1:])], x.shape)
            return net.op("Add", [scaled, net.weight("bias", x.shape[-1:])], x.shape)

    def gelu(self, net: Tracer, x: Tensor) -> Tensor:
        cumulative = net.op("Add", [net.op("Erf", [net.op("Div", [x], x.shape)], x.shape)], x.shape)
        return net.op("Mul", [net.op("Mul", [x, cumulative], x.shape)], x.shape)

    def answer(self, net: Tracer, logits: Tensor) -> None:
        batch, seq, _ = logits.shape
        for part in net.ops("Split", [logits], [(batch, seq, 1)] * 2):
            net.op("Squeeze", [part], (batch, seq))

    def _reshape(self, net: Tracer, x: Tensor, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Reshape to batch and sequence of ``like`` and the constant extents behind them."""
        if not self.dynamic:
            return net.op("Reshape", [x], shape)
        extents = [net.op("Unsqueeze", [_size(net, like)], (1,), itemsize=INT64) for _ in range(2)]
        return net.op("Reshape", [x, net.op("Concat", extents, (len(shape),), itemsize=INT64)], shape)


def _size(net: Tracer, x: Tensor) -> Tensor:
    """One extent of ``x`` as an int64 scalar."""
    return net.op("Gather", [net.op("Shape", [x], (len(x.shape),), itemsize=INT64)], (), itemsize=INT64)


def _attention_scale(net: Tracer, query: Tensor) -> Tensor:
    """1 / sqrt(depth)."""
    extents = net.op("Shape", [query], (4,), itemsize=INT64)
    depth = net.op("Cast", [net.op("Slice", [extents], (1,), itemsize=INT64)], (1,))
    return net.op("Cast", [net.op("Div", [net.op("Sqrt", [depth], (1,))], (1,))], (1,))


def _root(net: Tracer, scale: Tensor | None) -> list[Tensor]:
    return [] if scale is None else [net.op("Sqrt", [scale], (1,))]


def _mask_shape(net: Tracer, given: Tensor, length: Tensor) -> Tensor:
    """The shape to expand the mask to; an extent of -1 would mean the one there is, so it is made 1."""
    sizes = [_size(net, given), length, _size(net, given)]
    parts = [net.op("Unsqueeze", [size], (1,), itemsize=INT64) for size in sizes]
    shape = net.op("Reshape", [net.op("Concat", parts, (4,), itemsize=INT64)], (4,), itemsize=INT64)
    rank = net.op("Shape", [shape], (1,), itemsize=INT64)
    ones = net.op("ConstantOfShape", [rank], (4,), itemsize=INT64)
    kept = net.op("Equal", [shape, net.op("Mul", [ones], (4,), itemsize=INT64)], (4,), itemsize=BOOL)
    return net.op("Where", [kept, ones, shape], (4,), itemsize=INT64)
