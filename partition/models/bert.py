"""BERT with a question-answering head (Devlin et al., 2019), as PyTorch exports Hugging Face's to a compiler.

The architecture is written here once; :mod:`partition.models.bert_exports` says which operators a framework makes of
its parts. The number of operations of a layer, of all around the layers, and of ``bert-large``:

=====================================================  =====  ======  ==========
export                                                 layer  around  bert-large
=====================================================  =====  ======  ==========
``dynamic``: ONNX for dynamic shapes                      87      47       2,135
``folded``: ONNX for fixed shapes                         51      28       1,252
``decomposed``: ``torch.export``, down to primitives      87      35       2,123
=====================================================  =====  ======  ==========

The first is the default: what ``torch.onnx.export`` writes when batch and sequence are declared dynamic, and the
nearest to the 2,138 operations of Xie et al. (MLSys 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from partition.errors import InvalidInput
from partition.models.bert_exports import Decomposed, Export, TorchScript
from partition.models.tracer import INT64, Tensor, Tracer
from partition.problem.graph import Graph

EXPORTS: Mapping[str, Export] = MappingProxyType(
    {"dynamic": TorchScript(dynamic=True), "folded": TorchScript(dynamic=False), "decomposed": Decomposed()}
)
"""The ways to export it, by name."""


@dataclass(frozen=True)
class Bert:
    """Hyper-parameters of BERT, and how it is exported.

    Attributes
    ----------
    batch, seq : sequences per input and tokens per sequence.
    layers, hidden, heads, intermediate : of the encoder; ``intermediate`` is the width of the feed-forward layer.
    vocab, positions, types : rows of the three embeddings; there are more positions where ``seq`` asks for them.
    export : key of ``EXPORTS``.
    itemsize : bytes of an element of weights and activations.
    """

    batch: int
    seq: int
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocab: int
    export: str
    itemsize: float
    positions: int = 512
    types: int = 2

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise InvalidInput(
                f"BERT's hidden={self.hidden} cannot be split over heads={self.heads}; choose a multiple of it"
            )

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Tracer(name, self.itemsize)
        export = EXPORTS[self.export]
        input_ids = net.input("input_ids", (self.batch, self.seq), INT64)
        attention_mask = net.input("attention_mask", (self.batch, self.seq), INT64)
        token_type_ids = net.input("token_type_ids", (self.batch, self.seq), INT64)
        with net.scope("bert"):
            length = export.length(net, input_ids)
            with net.scope("embeddings"):
                x = self._embeddings(net, export, input_ids, token_type_ids, length)
            mask = export.mask(net, attention_mask, length)
            for i in range(self.layers):
                with net.scope(f"encoder/layer.{i}"):
                    x = self._layer(net, export, x, mask)
        export.answer(net, export.dense(net, "qa_outputs", x, 2))
        return net.build()

    def _embeddings(self, net: Tracer, export: Export, ids: Tensor, type_ids: Tensor, length: Tensor | None) -> Tensor:
        shape = (self.batch, self.seq, self.hidden)
        with net.scope("word_embeddings"):
            words = net.op("Gather", [net.weight("weight", (self.vocab, self.hidden)), ids], shape)
        with net.scope("token_type_embeddings"):
            types = net.op("Gather", [net.weight("weight", (self.types, self.hidden)), type_ids], shape)
        x = net.op("Add", [words, types], shape)
        table = (max(self.positions, self.seq), self.hidden)
        x = net.op("Add", [x, export.positions(net, table, self.seq, length)], shape)
        return export.layer_norm(net, x)

    def _layer(self, net: Tracer, export: Export, x: Tensor, mask: Tensor) -> Tensor:
        with net.scope("attention"):
            with net.scope("self"):
                query, key, value = (export.dense(net, part, x, self.hidden) for part in ("query", "key", "value"))
                context = export.attention(net, query, key, value, mask, x, self.heads)
            with net.scope("output"):
                y = export.dense(net, "dense", context, self.hidden)
                x = export.layer_norm(net, net.op("Add", [y, x], x.shape))
        with net.scope("intermediate"):
            y = export.gelu(net, export.dense(net, "dense", x, self.intermediate))
        with net.scope("output"):
            y = export.dense(net, "dense", y, self.hidden)
            return export.layer_norm(net, net.op("Add", [y, x], x.shape))
