"""BERT with a question-answering head (Devlin et al., 2019), as PyTorch exports it to ONNX.

The export followed here is that of Hugging Face's ``BertForQuestionAnswering`` with scaled dot-product attention
by ``torch.onnx.export`` (TorchScript exporter, opset 14 to 16) with dynamic axes. A layer is 87 operations:

=====================================================================  ===
query, key, value: MatMul, Add, Reshape, Transpose                      12
shapes of these three Reshapes and the one behind the attention:
Shape, Gather, Unsqueeze for batch and sequence, Concat                 28
attention scale, read off the query: Shape, Slice, Cast, Sqrt, Div,
Cast and twice Sqrt (query and key are scaled each)                      8
attention: Mul, Mul, MatMul, Add (mask), Softmax, MatMul                 6
Transpose, Reshape, and the output's MatMul, Add                         4
feed-forward: MatMul, Add, GELU (Div, Erf, Add, Mul, Mul), MatMul, Add   9
twice a residual Add and LayerNorm (ReduceMean, Sub, Pow, ReduceMean,
Add, Sqrt, Div, Mul, Add)                                               20
=====================================================================  ===

The rest is 47: 3 inputs, 18 for the embeddings, 21 for the attention mask, which every layer reads, and 5 for the head.
``bert-large`` so has 24 * 87 + 47 = 2,135 operations, beside 2,138 in Xie et al. (MLSys 2022).

With ``shapes="static"`` the same model is exported for fixed sizes: all that computes shapes, and the attention scale,
is folded into constants, which leaves 51 operations per layer and 28 around them (1,252 for ``bert-large``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from partition.errors import InvalidInput
from partition.graph import Graph
from partition.models.tracer import BOOL, INT64, Network, Tensor


@dataclass(frozen=True)
class Bert:
    """Hyper-parameters of BERT and of its export.

    Attributes
    ----------
    batch, seq : sequences per input and tokens per sequence.
    layers, hidden, heads, intermediate : of the encoder; ``intermediate`` is the width of the feed-forward layer.
    vocab, positions, types : rows of the three embeddings.
    dynamic : whether the export keeps the operations that compute shapes.
    itemsize : bytes of an element of weights and activations.
    """

    batch: int
    seq: int
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocab: int
    dynamic: bool
    itemsize: float
    positions: int = 512
    types: int = 2

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise InvalidInput(
                f"BERT's hidden={self.hidden} cannot be split over heads={self.heads}; choose a multiple of it"
            )

    @property
    def rows(self) -> tuple[int, int, int]:
        """Shape of what flows from layer to layer."""
        return (self.batch, self.seq, self.hidden)

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Network(name, self.itemsize)
        input_ids = net.input("input_ids", (self.batch, self.seq), INT64)
        attention_mask = net.input("attention_mask", (self.batch, self.seq), INT64)
        token_type_ids = net.input("token_type_ids", (self.batch, self.seq), INT64)
        with net.scope("bert"):
            length = _size(net, input_ids) if self.dynamic else None
            x = self._embeddings(net, input_ids, token_type_ids, length)
            mask = self._mask(net, attention_mask, length)
            for i in range(self.layers):
                with net.scope(f"encoder/layer.{i}"):
                    x = self._layer(net, x, mask)
        self._head(net, x)
        return net.build()

    def _embeddings(self, net: Network, ids: Tensor, type_ids: Tensor, length: Tensor | None) -> Tensor:
        with net.scope("embeddings"):
            positions = max(self.positions, self.seq)
            with net.scope("word_embeddings"):
                words = net.op("Gather", [net.weight("weight", (self.vocab, self.hidden)), ids], self.rows)
            with net.scope("token_type_embeddings"):
                types = net.op("Gather", [net.weight("weight", (self.types, self.hidden)), type_ids], self.rows)
            x = net.op("Add", [words, types], self.rows)
            if length is None:
                # The position of every token is known, hence the rows of the table: they are one constant.
                rows = net.weight("position_embeddings/rows", (1, self.seq, self.hidden))
                x = net.op("Add", [x, rows], self.rows)
            else:
                end = net.op("Unsqueeze", [length], (1,), itemsize=INT64)
                buffer = net.weight("position_ids", (1, positions), INT64)
                steps = net.op("Slice", [buffer, None, end], (1, self.seq), itemsize=INT64)
                with net.scope("position_embeddings"):
                    table = net.weight("weight", (positions, self.hidden))
                    places = net.op("Gather", [table, steps], (1, self.seq, self.hidden))
                x = net.op("Add", [x, places], self.rows)
            return _layer_norm(net, x)

    def _mask(self, net: Network, given: Tensor, length: Tensor | None) -> Tensor:
        """0 where a token may be attended to, the lowest number elsewhere: (batch, 1, seq, seq)."""
        full = (self.batch, 1, self.seq, self.seq)
        x = net.op("Unsqueeze", [given], (self.batch, 1, self.seq), itemsize=INT64)
        x = net.op("Unsqueeze", [x], (self.batch, 1, 1, self.seq), itemsize=INT64)
        target = [] if length is None else [self._mask_shape(net, given, length)]
        x = net.op("Expand", [x, *target], full, itemsize=INT64)
        x = net.op("Cast", [x], full)
        x = net.op("Sub", [x], full)
        hidden = net.op("Cast", [x], full, itemsize=BOOL)
        return net.op("Where", [hidden, x], full)

    def _mask_shape(self, net: Network, given: Tensor, length: Tensor) -> Tensor:
        """The shape to expand to, with the exporter's provision for extents of -1 (``keep the extent there is``)."""
        sizes = [_size(net, given), length, _size(net, given)]
        parts = [net.op("Unsqueeze", [size], (1,), itemsize=INT64) for size in sizes]
        shape = net.op("Concat", parts, (4,), itemsize=INT64)
        shape = net.op("Reshape", [shape], (4,), itemsize=INT64)
        rank = net.op("Shape", [shape], (1,), itemsize=INT64)
        ones = net.op("ConstantOfShape", [rank], (4,), itemsize=INT64)
        minus_ones = net.op("Mul", [ones], (4,), itemsize=INT64)
        kept = net.op("Equal", [shape, minus_ones], (4,), itemsize=BOOL)
        return net.op("Where", [kept, ones, shape], (4,), itemsize=INT64)

    def _layer(self, net: Network, x: Tensor, mask: Tensor) -> Tensor:
        with net.scope("attention"):
            with net.scope("self"):
                context = self._attention(net, x, mask)
            with net.scope("output"):
                context = _dense(net, "dense", context, self.hidden)
                x = _layer_norm(net, net.op("Add", [context, x], self.rows))
        with net.scope("intermediate"):
            inner = _gelu(net, _dense(net, "dense", x, self.intermediate))
        with net.scope("output"):
            inner = _dense(net, "dense", inner, self.hidden)
            return _layer_norm(net, net.op("Add", [inner, x], self.rows))

    def _attention(self, net: Network, x: Tensor, mask: Tensor) -> Tensor:
        depth = self.hidden // self.heads
        scores = (self.batch, self.heads, self.seq, self.seq)
        query = self._heads(net, "query", x, (self.batch, self.heads, self.seq, depth))
        key = self._heads(net, "key", x, (self.batch, self.heads, depth, self.seq))
        value = self._heads(net, "value", x, (self.batch, self.heads, self.seq, depth))
        query_scale, key_scale = self._scale(net, query) if self.dynamic else ([], [])
        query = net.op("Mul", [query, *query_scale], query.shape)
        key = net.op("Mul", [key, *key_scale], key.shape)
        products = net.op("MatMul", [query, key], scores)
        weights = net.op("Softmax", [net.op("Add", [products, mask], scores)], scores)
        mixed = net.op("MatMul", [weights, value], value.shape)
        by_token = net.op("Transpose", [mixed], (self.batch, self.seq, self.heads, depth))
        return self._reshape(net, by_token, self.rows, like=x)

    def _heads(self, net: Network, name: str, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Project, and bring the heads before the tokens (for the key, the tokens last)."""
        flat = _dense(net, name, x, self.hidden)
        depth = self.hidden // self.heads
        split = self._reshape(net, flat, (self.batch, self.seq, self.heads, depth), like=flat)
        return net.op("Transpose", [split], shape)

    def _reshape(self, net: Network, x: Tensor, shape: Sequence[int], like: Tensor) -> Tensor:
        """Reshape to batch and sequence of ``like`` and the constant extents behind them."""
        if not self.dynamic:
            return net.op("Reshape", [x], shape)
        extents = [net.op("Unsqueeze", [_size(net, like)], (1,), itemsize=INT64) for _ in range(2)]
        target = net.op("Concat", extents, (len(shape),), itemsize=INT64)
        return net.op("Reshape", [x, target], shape)

    def _scale(self, net: Network, query: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The factors of query and key, each the root of 1 / sqrt(depth)."""
        extents = net.op("Shape", [query], (4,), itemsize=INT64)
        depth = net.op("Cast", [net.op("Slice", [extents], (1,), itemsize=INT64)], (1,))
        scale = net.op("Cast", [net.op("Div", [net.op("Sqrt", [depth], (1,))], (1,))], (1,))
        return [net.op("Sqrt", [scale], (1,))], [net.op("Sqrt", [scale], (1,))]

    def _head(self, net: Network, x: Tensor) -> None:
        """Logits of where the answer starts and ends."""
        logits = _dense(net, "qa_outputs", x, 2)
        for part in net.ops("Split", [logits], [(self.batch, self.seq, 1)] * 2):
            net.op("Squeeze", [part], (self.batch, self.seq))


def _size(net: Network, x: Tensor) -> Tensor:
    """One extent of ``x`` as an int64 scalar."""
    return net.op("Gather", [net.op("Shape", [x], (len(x.shape),), itemsize=INT64)], (), itemsize=INT64)


def _dense(net: Network, name: str, x: Tensor, width: int) -> Tensor:
    """A linear layer with bias over the last dimension."""
    shape = (*x.shape[:-1], width)
    with net.scope(name):
        product = net.op("MatMul", [x, net.weight("weight", (x.shape[-1], width))], shape)
        return net.op("Add", [product, net.weight("bias", (width,))], shape)


def _layer_norm(net: Network, x: Tensor) -> Tensor:
    """Layer normalisation in primitive operations."""
    rows = (*x.shape[:-1], 1)
    with net.scope("LayerNorm"):
        centred = net.op("Sub", [x, net.op("ReduceMean", [x], rows)], x.shape)
        variance = net.op("ReduceMean", [net.op("Pow", [centred], x.shape)], rows)
        deviation = net.op("Sqrt", [net.op("Add", [variance], rows)], rows)
        unit = net.op("Div", [centred, deviation], x.shape)
        scaled = net.op("Mul", [unit, net.weight("weight", x.shape[-1:])], x.shape)
        return net.op("Add", [scaled, net.weight("bias", x.shape[-1:])], x.shape)


def _gelu(net: Network, x: Tensor) -> Tensor:
    """x / 2 * (1 + erf(x / sqrt 2)) in primitive operations."""
    shape = x.shape
    cumulative = net.op("Add", [net.op("Erf", [net.op("Div", [x], shape)], shape)], shape)
    return net.op("Mul", [net.op("Mul", [x, cumulative], shape)], shape)
