"""GNMT (Wu et al., 2016), unrolled over time, in the attention variant of TensorFlow's NMT (``gnmt_v2``).

The encoder's first layer runs in both directions; residual connections start at the third layer of encoder and decoder;
decoder layers start from the final states of the encoder layers. At every step the output of the decoder's first layer
asks for a context, by additive attention over the encoder's output. The layers above read it at that step, the first
layer at the next. The whole target sentence is given (training, scoring), so that the vocabulary is projected to once,
for all steps.

Every step of a layer is an operation of its own and uses the layer's one set of weights, which a chip holds once:
memory asks for the steps of a layer to stay together, the pipeline asks for the work to be spread. With
``cells="fused"`` a step of a layer is one ONNX ``LSTM`` of sequence length 1; with ``cells="split"`` it is the 14
operations of TensorFlow's LSTM cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from partition.models.tracer import INT64, Tensor, Tracer, Weight
from partition.problem.graph import Graph

LstmState = tuple[Tensor, Tensor]
"""Hidden and cell state, each (1, batch, hidden)."""

Cell = Callable[[Tensor, LstmState | None], LstmState]
"""One step of a recurrent layer: input (1, batch, width) and previous state (None: zeros) to the next state."""


@dataclass(frozen=True)
class Gnmt:
    """Hyper-parameters of GNMT.

    Attributes
    ----------
    batch, seq : sentences per input, and words per sentence (source and target alike), all unrolled.
    layers : of the encoder and of the decoder.
    hidden : width of embeddings, states and attention.
    vocab : words of each language.
    fused : whether one step of a layer is one operation.
    itemsize : bytes of an element of weights and activations.
    """

    batch: int
    seq: int
    layers: int
    hidden: int
    vocab: int
    fused: bool
    itemsize: float

    @property
    def step(self) -> tuple[int, int, int]:
        """Shape of what a layer puts out at one step."""
        return (1, self.batch, self.hidden)

    @property
    def sentence(self) -> tuple[int, int, int]:
        """Shape of what a layer puts out at all steps."""
        return (self.seq, self.batch, self.hidden)

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Tracer(name, self.itemsize)
        with net.scope("encoder"):
            outputs, states = self._encoder(net, self._embedded(net, "source_ids"))
            memory = self._batch_major(net, outputs)
        with net.scope("decoder"):
            outputs = self._decoder(net, self._embedded(net, "target_ids"), states, memory)
            whole = self._whole(net, outputs)
            with net.scope("projection"):
                weight = net.weight("weight", (self.hidden, self.vocab))
                net.op("MatMul", [whole, weight], (self.seq, self.batch, self.vocab))
        return net.build()

    # --- encoder

    def _encoder(self, net: Tracer, x: list[Tensor]) -> tuple[list[Tensor], list[LstmState]]:
        """Outputs of the last layer, and the final state of every layer."""
        finals = []
        with net.scope("layer.0"):
            with net.scope("forward"):
                ahead, _ = self._run(net, x)
            with net.scope("backward"):
                back, final = self._run(net, x[::-1])
            finals.append(final)
            both = (1, self.batch, 2 * self.hidden)
            x = [net.op("Concat", [f, b], both) for f, b in zip(ahead, back[::-1], strict=True)]
        for layer in range(1, self.layers):
            with net.scope(f"layer.{layer}"):
                y, final = self._run(net, x)
                finals.append(final)
                x = [net.op("Add", pair, self.step) for pair in zip(y, x, strict=True)] if layer > 1 else y
        return x, finals

    def _run(self, net: Tracer, x: list[Tensor], start: LstmState | None = None) -> tuple[list[Tensor], LstmState]:
        """All steps of a layer: its outputs in the order of ``x``, and its final state."""
        cell = self._cell(net, x[0].shape[-1])
        state = cell(x[0], start)
        outputs = [state[0]]
        for item in x[1:]:
            state = cell(item, state)
            outputs.append(state[0])
        return outputs, state

    # --- decoder

    def _decoder(self, net: Tracer, x: list[Tensor], states: list[LstmState], memory: Tensor) -> list[Tensor]:
        """Outputs of the last layer."""
        x, contexts = self._first_decoder_layer(net, x, states[0], memory)
        for layer in range(1, self.layers):
            with net.scope(f"layer.{layer}"):
                joined = [self._beside(net, y, context) for y, context in zip(x, contexts, strict=True)]
                y, _ = self._run(net, joined, states[layer])
                x = [net.op("Add", pair, self.step) for pair in zip(y, x, strict=True)] if layer > 1 else y
        return x

    def _first_decoder_layer(
        self, net: Tracer, x: list[Tensor], state: LstmState, memory: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs and contexts: each step of the layer reads the context that the step before asked for."""
        with net.scope("layer.0"):
            cell = self._cell(net, 2 * self.hidden)
        with net.scope("attention"):
            attend = self._attention(net, memory)
            context: Tensor | Weight = net.weight("initial_context", self.step)
        outputs, contexts = [], []
        for word in x:
            with net.scope("layer.0"):
                state = cell(self._beside(net, word, context), state)
            with net.scope("attention"):
                context = attend(state[0])
            outputs.append(state[0])
            contexts.append(context)
        return outputs, contexts

    def _beside(self, net: Tracer, x: Tensor, context: Tensor | Weight) -> Tensor:
        return net.op("Concat", [x, context], (1, self.batch, 2 * self.hidden))

    def _attention(self, net: Tracer, memory: Tensor) -> Callable[[Tensor], Tensor]:
        """Additive attention: from a query (1, batch, hidden) to the context of the same shape."""
        batch, seq, width = self.batch, self.seq, self.hidden
        keys = net.op("MatMul", [memory, net.weight("memory/weight", (width, width))], (batch, seq, width))
        query_weight = net.weight("query/weight", (width, width))
        energy_weight = net.weight("energy/weight", (width, 1))

        def attend(query: Tensor) -> Tensor:
            asked = net.op("Transpose", [net.op("MatMul", [query, query_weight], self.step)], (batch, 1, width))
            mixed = net.op("Tanh", [net.op("Add", [keys, asked], keys.shape)], keys.shape)
            energy = net.op("MatMul", [mixed, energy_weight], (batch, seq, 1))
            share = net.op("Softmax", [net.op("Transpose", [energy], (batch, 1, seq))], (batch, 1, seq))
            return net.op("Transpose", [net.op("MatMul", [share, memory], (batch, 1, width))], self.step)

        return attend

    # --- what both share

    def _embedded(self, net: Tracer, name: str) -> list[Tensor]:
        """The embedded words, one tensor for each step."""
        ids = net.input(name, (self.seq, self.batch), INT64)
        with net.scope("embedding"):
            words = net.op("Gather", [net.weight("weight", (self.vocab, self.hidden)), ids], self.sentence)
            if self.seq == 1:
                return [words]
            return [t for t in net.ops("Split", [words], [self.step] * self.seq) if t]

    def _whole(self, net: Tracer, steps: list[Tensor]) -> Tensor:
        """All steps in one tensor (seq, batch, hidden)."""
        return steps[0] if self.seq == 1 else net.op("Concat", steps, self.sentence)

    def _batch_major(self, net: Tracer, steps: list[Tensor]) -> Tensor:
        return net.op("Transpose", [self._whole(net, steps)], (self.batch, self.seq, self.hidden))

    def _cell(self, net: Tracer, width: int) -> Cell:
        """A layer of the open scope for inputs of ``width`` elements, to be run step by step."""
        return self._fused_cell(net, width) if self.fused else self._split_cell(net, width)

    def _fused_cell(self, net: Tracer, width: int) -> Cell:
        """ONNX's LSTM; its second output, all hidden states, is the third at sequence length 1."""
        rows = 4 * self.hidden
        weights = [
            net.weight("W", (1, rows, width)),
            net.weight("R", (1, rows, self.hidden)),
            net.weight("B", (1, 2 * rows)),
        ]

        def cell(x: Tensor, state: LstmState | None) -> LstmState:
            results = net.ops("LSTM", [x, *weights, None, *(state or ())], [None, self.step, self.step])
            _, hidden, memory = results
            assert hidden is not None and memory is not None
            return hidden, memory

        return cell

    def _split_cell(self, net: Tracer, width: int) -> Cell:
        """TensorFlow's LSTM cell; zero states are a constant that all layers could share."""
        shape, gates = self.step, (1, self.batch, 4 * self.hidden)
        joined = (1, self.batch, width + self.hidden)
        kernel = net.weight("kernel", (width + self.hidden, 4 * self.hidden))
        bias = net.weight("bias", (4 * self.hidden,))
        zero = net.weight("zero_state", shape)

        def cell(x: Tensor, state: LstmState | None) -> LstmState:
            hidden, memory = state or (zero, zero)
            product = net.op("MatMul", [net.op("Concat", [x, hidden], joined), kernel], gates)
            parts = net.ops("Split", [net.op("Add", [product, bias], gates)], [shape] * 4)
            admit = net.op("Sigmoid", [parts[0]], shape)
            proposal = net.op("Tanh", [parts[1]], shape)
            forget = net.op("Sigmoid", [net.op("Add", [parts[2]], shape)], shape)
            emit = net.op("Sigmoid", [parts[3]], shape)
            kept = net.op("Mul", [memory, forget], shape)
            memory = net.op("Add", [kept, net.op("Mul", [admit, proposal], shape)], shape)
            return net.op("Mul", [net.op("Tanh", [memory], shape), emit], shape), memory

        return cell
