"""Transformers other than BERT: GPT-2, Llama, T5, mixtures of experts, ViT. Norms are single operators.

Sources: Radford et al., 2019 (GPT-2); Touvron et al., 2023 (arXiv 2307.09288, Llama 2); Raffel et al., JMLR 2020 (T5);
Jiang et al., 2024 (arXiv 2401.04088, Mixtral); Dosovitskiy et al., ICLR 2021 (arXiv 2010.11929, ViT).
"""

from __future__ import annotations

from dataclasses import dataclass

from partition.errors import InvalidInput
from partition.models.layers import add, apply, attention, concat, linear, norm
from partition.models.tracer import INT64, Tensor, Tracer
from partition.problem.graph import Graph


@dataclass(frozen=True)
class Transformer:
    """Hyper-parameters that all of them have.

    Attributes
    ----------
    batch, seq : sequences per input and tokens per sequence.
    layers, hidden, heads, kv_heads, intermediate : of each stack; ``kv_heads`` share their keys among ``heads``.
    vocab : words.
    itemsize : bytes of an element.
    """

    batch: int
    seq: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    intermediate: int
    vocab: int
    itemsize: float

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise InvalidInput(f"hidden={self.hidden} cannot be split over heads={self.heads}; choose a multiple of it")
        if self.heads % self.kv_heads:
            raise InvalidInput(f"heads={self.heads} cannot share kv_heads={self.kv_heads}; choose a divisor of heads")

    def embedded(self, net: Tracer, name: str) -> Tensor:
        """Embeddings of an input of tokens, from the one table of the model."""
        ids = net.input(name, (self.batch, self.seq), INT64)
        with net.scope("embeddings"):
            table = net.weight("weight", (self.vocab, self.hidden))
            return net.op("Gather", [table, ids], (self.batch, self.seq, self.hidden))

    def positions(self, net: Tracer, x: Tensor) -> Tensor:
        """Learned embeddings of the positions, added."""
        with net.scope("positions"):
            return net.op("Add", [x, net.weight("weight", x.shape[1:])], x.shape)

    def mask(self, net: Tracer) -> Tensor:
        """The causal mask that every layer adds to its scores."""
        given = net.input("mask", (1, 1, self.seq, self.seq))
        return apply(net, "Mul", net.op("Sub", [given], given.shape))

    def attend(self, net: Tracer, x: Tensor, memory: Tensor, mask: Tensor | None, *, bias: bool = True) -> Tensor:
        """Attention without rotary positions."""
        return attention(net, x, memory, self.heads, self.kv_heads, mask, bias=bias)

    def feed_forward(self, net: Tracer, x: Tensor, act: str = "Gelu", *, bias: bool = True) -> Tensor:
        """Two linear layers."""
        y = apply(net, act, linear(net, "up", x, self.intermediate, bias=bias))
        return linear(net, "down", y, self.hidden, bias=bias)

    def gated(self, net: Tracer, x: Tensor) -> Tensor:
        """SwiGLU: three linear layers without bias."""
        gate = apply(net, "Swish", linear(net, "gate", x, self.intermediate, bias=False))
        up = linear(net, "up", x, self.intermediate, bias=False)
        return linear(net, "down", net.op("Mul", [gate, up], up.shape), self.hidden, bias=False)


def gpt(model: Transformer, name: str) -> Graph:
    """A decoder with norms before its parts; the vocabulary is projected to by the embedding's own weights."""
    net = Tracer(name, model.itemsize)
    x = model.positions(net, model.embedded(net, "tokens"))
    mask = model.mask(net)
    for i in range(model.layers):
        with net.scope(f"h.{i}"):
            y = norm(net, "ln_1", x)
            x = add(net, x, model.attend(net, y, y, mask))
            x = add(net, x, model.feed_forward(net, norm(net, "ln_2", x)))
    x = norm(net, "ln_f", x)
    with net.scope("embeddings"):
        net.op("MatMul", [x, net.weight("weight", (model.vocab, model.hidden))], (*x.shape[:2], model.vocab))
    return net.build()


def llama(model: Transformer, name: str) -> Graph:
    """A decoder with RMS norms, rotary positions, shared keys and gated feed-forward layers."""
    net = Tracer(name, model.itemsize)
    x = model.embedded(net, "tokens")
    mask = model.mask(net)
    half = (model.seq, model.hidden // model.heads // 2)
    angles = net.input("angles", half)
    rotary = (net.op("Cos", [angles], half), net.op("Sin", [angles], half))
    for i in range(model.layers):
        with net.scope(f"layers.{i}"):
            y = norm(net, "input_norm", x, "RMSNormalization")
            y = attention(net, y, y, model.heads, model.kv_heads, mask, bias=False, rotary=rotary)
            x = add(net, x, y)
            x = add(net, x, model.gated(net, norm(net, "post_norm", x, "RMSNormalization")))
    linear(net, "lm_head", norm(net, "norm", x, "RMSNormalization"), model.vocab, bias=False)
    return net.build()


def t5(model: Transformer, name: str) -> Graph:
    """Encoder and decoder; every layer of the decoder reads the encoder's output, the encoder's one bias."""
    net = Tracer(name, model.itemsize)
    x = model.embedded(net, "source")
    bias = net.input("relative_positions", (1, model.heads, model.seq, model.seq))
    for i in range(model.layers):
        with net.scope(f"encoder.{i}"):
            with net.scope("self"):
                y = norm(net, "norm", x, "RMSNormalization")
                x = add(net, x, model.attend(net, y, y, bias, bias=False))
            y = norm(net, "norm", x, "RMSNormalization")
            x = add(net, x, model.feed_forward(net, y, "Relu", bias=False))
    memory = norm(net, "encoder.norm", x, "RMSNormalization")
    x = model.embedded(net, "target")
    causal = model.mask(net)
    for i in range(model.layers):
        with net.scope(f"decoder.{i}"):
            with net.scope("self"):
                y = norm(net, "norm", x, "RMSNormalization")
                x = add(net, x, model.attend(net, y, y, causal, bias=False))
            with net.scope("cross"):
                y = norm(net, "norm", x, "RMSNormalization")
                x = add(net, x, model.attend(net, y, memory, None, bias=False))
            y = norm(net, "norm", x, "RMSNormalization")
            x = add(net, x, model.feed_forward(net, y, "Relu", bias=False))
    linear(net, "lm_head", norm(net, "decoder.norm", x, "RMSNormalization"), model.vocab, bias=False)
    return net.build()


@dataclass(frozen=True)
class Experts(Transformer):
    """A decoder whose feed-forward layers are ``experts``, of which a router picks ``chosen`` for every token."""

    experts: int
    chosen: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chosen > self.experts:
            raise InvalidInput(f"chosen={self.chosen} of experts={self.experts}; choose at most as many as there are")

    def mixture(self, net: Tracer, x: Tensor) -> Tensor:
        """Router, experts on their share of the tokens (evenly spread), and the weighted sum."""
        tokens = self.batch * self.seq
        flat = net.op("Reshape", [x], (tokens, self.hidden))
        scores = net.op("Softmax", [linear(net, "router", flat, self.experts, bias=False)], (tokens, self.experts))
        weights, index = net.ops("TopK", [scores], [(tokens, self.chosen), (tokens, self.chosen)])
        assert weights is not None and index is not None
        each = max(1, tokens * self.chosen // self.experts)
        results = []
        for e in range(self.experts):
            with net.scope(f"expert.{e}"):
                mine = net.op("Gather", [flat, index], (each, self.hidden))
                share = net.op("Gather", [weights, index], (each, 1))
                y = self.gated(net, mine)
                results.append(net.op("Mul", [y, share], y.shape))
        joined = concat(net, results, 0)
        summed = net.op("ScatterElements", [flat, index, joined], flat.shape)
        return net.op("Reshape", [summed], x.shape)


def moe(model: Experts, name: str) -> Graph:
    """A decoder of mixtures of experts."""
    net = Tracer(name, model.itemsize)
    x = model.embedded(net, "tokens")
    mask = model.mask(net)
    for i in range(model.layers):
        with net.scope(f"layers.{i}"):
            y = norm(net, "input_norm", x, "RMSNormalization")
            x = add(net, x, model.attend(net, y, y, mask, bias=False))
            x = add(net, x, model.mixture(net, norm(net, "post_norm", x, "RMSNormalization")))
    linear(net, "lm_head", norm(net, "norm", x, "RMSNormalization"), model.vocab, bias=False)
    return net.build()


def vit(model: Transformer, name: str, *, size: int, patch: int, classes: int) -> Graph:
    """An encoder of the patches of an image; ``seq`` is what they come to."""
    net = Tracer(name, model.itemsize)
    image = net.input("images", (model.batch, 3, size, size))
    with net.scope("patches"):
        weight = net.weight("weight", (model.hidden, 3, patch, patch))
        grid = (model.batch, model.hidden, size // patch, size // patch)
        x = net.op("Conv", [image, weight, net.weight("bias", (model.hidden,))], grid, kernel_shape=(patch, patch))
    x = net.op("Reshape", [x], (model.batch, model.hidden, model.seq))
    x = model.positions(net, net.op("Transpose", [x], (model.batch, model.seq, model.hidden)))
    for i in range(model.layers):
        with net.scope(f"blocks.{i}"):
            y = norm(net, "norm1", x)
            x = add(net, x, model.attend(net, y, y, None))
            x = add(net, x, model.feed_forward(net, norm(net, "norm2", x)))
    pooled = net.op("ReduceMean", [norm(net, "norm", x)], (model.batch, model.hidden))
    linear(net, "head", pooled, classes)
    return net.build()
