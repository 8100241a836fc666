"""Layers that several architectures share, as PyTorch exports them to ONNX; batch normalisations folded away."""

from __future__ import annotations

from collections.abc import Sequence

from partition.models.tracer import Operand, Tensor, Tracer


def linear(net: Tracer, name: str, x: Tensor, width: int, *, bias: bool = True) -> Tensor:
    """A linear layer over the last dimension: MatMul, and Add of the bias."""
    shape = (*x.shape[:-1], width)
    with net.scope(name):
        y = net.op("MatMul", [x, net.weight("weight", (x.shape[-1], width))], shape)
        return net.op("Add", [y, net.weight("bias", (width,))], shape) if bias else y


def norm(net: Tracer, name: str, x: Tensor, op_type: str = "LayerNormalization") -> Tensor:
    """Normalisation over the last dimension, with scale (and shift, unless it is ``RMSNormalization``)."""
    with net.scope(name):
        weights = [net.weight("weight", (x.shape[-1],))]
        if op_type == "LayerNormalization":
            weights.append(net.weight("bias", (x.shape[-1],)))
        return net.op(op_type, [x, *weights], x.shape, axis=-1)


def add(net: Tracer, a: Tensor, b: Tensor) -> Tensor:
    """The sum of two tensors of one shape."""
    return net.op("Add", [a, b], a.shape)


def apply(net: Tracer, op_type: str, x: Tensor) -> Tensor:
    """An elementwise function of one tensor."""
    return net.op(op_type, [x], x.shape)


def attention(
    net: Tracer, queries: Tensor, memory: Tensor, heads: int, kv_heads: int, mask: Tensor | None, *, bias: bool,
    rotary: tuple[Tensor, Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """Attention of ``queries`` (batch, s, hidden) to ``memory`` (batch, t, hidden), projections included."""
    batch, s, hidden = queries.shape
    t, depth = memory.shape[1], hidden // heads
    q = _heads(net, linear(net, "q", queries, hidden, bias=bias), heads)
    k = _heads(net, linear(net, "k", memory, depth * kv_heads, bias=bias), kv_heads)
    v = _heads(net, linear(net, "v", memory, depth * kv_heads, bias=bias), kv_heads)
    if rotary is not None:
        q, k = (net.op("RotaryEmbedding", [x, *rotary], x.shape) for x in (q, k))
    if kv_heads < heads:
        k, v = (net.op("Expand", [x], (batch, heads, t, depth)) for x in (k, v))
    k = net.op("Transpose", [k], (batch, heads, depth, t))
    scores = net.op("Mul", [net.op("MatMul", [q, k], (batch, heads, s, t))], (batch, heads, s, t))
    if mask is not None:
        scores = net.op("Add", [scores, mask], scores.shape)
    scores = net.op("Softmax", [scores], scores.shape)
    context = net.op("MatMul", [scores, v], (batch, heads, s, depth))
    context = net.op("Transpose", [context], (batch, s, heads, depth))
    return linear(net, "o", net.op("Reshape", [context], (batch, s, hidden)), hidden, bias=bias)


def _heads(net: Tracer, x: Tensor, heads: int) -> Tensor:
    batch, length, width = x.shape
    x = net.op("Reshape", [x], (batch, length, heads, width // heads))
    return net.op("Transpose", [x], (batch, heads, length, width // heads))


def conv(
    net: Tracer, name: str, x: Tensor, channels: int, kernel: int | tuple[int, int] = 1, stride: int = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """A padded convolution with bias."""
    batch, inputs, height, width = x.shape
    window = (kernel, kernel) if isinstance(kernel, int) else kernel
    shape = (batch, channels, strided(height, stride), strided(width, stride))
    with net.scope(name):
        weight = net.weight("weight", (channels, inputs // groups, *window))
        return net.op("Conv", [x, weight, net.weight("bias", (channels,))], shape, kernel_shape=window, group=groups)


def pool(net: Tracer, op_type: str, x: Tensor, kernel: int, stride: int) -> Tensor:
    """A padded ``MaxPool`` or ``AveragePool``."""
    batch, channels, height, width = x.shape
    shape = (batch, channels, strided(height, stride), strided(width, stride))
    return net.op(op_type, [x], shape, kernel_shape=(kernel, kernel), strides=(stride, stride))


def concat(net: Tracer, parts: Sequence[Tensor], axis: int) -> Tensor:
    """Several tensors one after the other along an axis."""
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return net.op("Concat", list(parts), shape)


def classifier(net: Tracer, x: Tensor, classes: int) -> Tensor:
    """Mean over the image, then a linear layer."""
    batch, channels = x.shape[:2]
    x = net.op("GlobalAveragePool", [x], (batch, channels, 1, 1))
    x = net.op("Flatten", [x], (batch, channels))
    with net.scope("fc"):
        operands: list[Operand] = [x, net.weight("weight", (classes, channels)), net.weight("bias", (classes,))]
        return net.op("Gemm", operands, (batch, classes), transB=1)


def strided(size: int, stride: int) -> int:
    """Extent of what a padded window of this stride makes of an extent."""
    return -(-size // stride)
