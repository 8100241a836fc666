"""Stacks of LSTM (Hochreiter & Schmidhuber, 1997) or GRU (Cho et al., 2014) layers, unrolled over time.

Every step of a layer is one ONNX operator of sequence length 1 and uses the layer's one set of weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from partition.models.layers import add, concat, linear
from partition.models.tracer import INT64, Tensor, Tracer
from partition.problem.graph import Graph

GATES = {"lstm": 4, "gru": 3}
"""Gates by kind of cell."""


@dataclass(frozen=True)
class Rnn:
    """Hyper-parameters.

    Attributes
    ----------
    batch, seq : sequences per input and steps per sequence, all unrolled.
    layers, hidden, vocab : of the language model.
    cell : a key of ``GATES``.
    both : every layer runs in both directions.
    itemsize : bytes of an element.
    """

    batch: int
    seq: int
    layers: int
    hidden: int
    vocab: int
    cell: str
    both: bool
    itemsize: float

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Tracer(name, self.itemsize)
        ids = net.input("tokens", (self.seq, self.batch), INT64)
        with net.scope("embeddings"):
            table = net.weight("weight", (self.vocab, self.hidden))
            x = net.op("Gather", [table, ids], (self.seq, self.batch, self.hidden))
        steps = [net.op("Slice", [x], (1, self.batch, self.hidden)) for _ in range(self.seq)]
        for i in range(self.layers):
            with net.scope(f"layer{i}"):
                ahead = self._layer(net, "forward", steps)
                if self.both:
                    back = self._layer(net, "backward", steps[::-1])[::-1]
                    ahead = [add(net, a, b) for a, b in zip(ahead, back, strict=True)]
                steps = [add(net, a, s) for a, s in zip(ahead, steps, strict=True)] if i else ahead
        linear(net, "output", concat(net, steps, 0), self.vocab)
        return net.build()

    def _layer(self, net: Tracer, name: str, steps: list[Tensor]) -> list[Tensor]:
        """What a layer puts out at each step, as (1, batch, hidden)."""
        shape, rows = (1, self.batch, self.hidden), GATES[self.cell] * self.hidden
        outputs = []
        hidden: Tensor | None = None
        memory: Tensor | None = None
        with net.scope(name):
            weights = [net.weight(part, (1, rows, self.hidden)) for part in ("W", "R")]
            weights.append(net.weight("B", (1, 2 * rows)))
            for x in steps:
                states = [hidden, memory] if self.cell == "lstm" else [hidden]
                given = [None, *states] if hidden is not None else []
                made = net.ops(self.cell.upper(), [x, *weights, *given], [None] + [shape] * len(states))
                hidden = made[1]
                memory = made[2] if self.cell == "lstm" else None
                assert hidden is not None
                outputs.append(hidden)
        return outputs
