"""ResNet-50 (He et al., 2016), as PyTorch exports torchvision's to ONNX for inference.

The exporter folds every batch normalisation into the convolution before it, which so has a bias. The stride of a
stage sits in its 3x3 convolution, as in torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass

from partition.graph import Graph
from partition.models.tracer import Network, Tensor

STAGES = (3, 4, 6, 3)
"""Blocks of each stage."""


@dataclass(frozen=True)
class ResNet50:
    """Hyper-parameters.

    Attributes
    ----------
    batch, size : images per input, and their height and width in pixels.
    classes : of the classifier.
    itemsize : bytes of an element of weights and activations.
    """

    batch: int
    size: int
    classes: int
    itemsize: float

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Network(name, self.itemsize)
        x = net.input("images", (self.batch, 3, self.size, self.size))
        x = _relu(net, _conv(net, "conv1", x, 64, kernel=7, stride=2))
        pooled = _strided(x.shape[-1], 2)
        x = net.op("MaxPool", [x], (self.batch, 64, pooled, pooled), kernel_shape=(3, 3), strides=(2, 2))
        for stage, blocks in enumerate(STAGES):
            for block in range(blocks):
                with net.scope(f"layer{stage + 1}/{block}"):
                    x = _bottleneck(net, x, 64 * 2**stage, stride=2 if stage and not block else 1)
        features = x.shape[1]
        x = net.op("GlobalAveragePool", [x], (self.batch, features, 1, 1))
        x = net.op("Flatten", [x], (self.batch, features))
        with net.scope("fc"):
            weight = net.weight("weight", (self.classes, features))
            net.op("Gemm", [x, weight, net.weight("bias", (self.classes,))], (self.batch, self.classes), transB=1)
        return net.build()


def _bottleneck(net: Network, x: Tensor, width: int, stride: int) -> Tensor:
    """1x1, 3x3, 1x1, added to the input (projected where the shape changes)."""
    y = _relu(net, _conv(net, "conv1", x, width))
    y = _relu(net, _conv(net, "conv2", y, width, kernel=3, stride=stride))
    y = _conv(net, "conv3", y, 4 * width)
    shortcut = x if x.shape == y.shape else _conv(net, "downsample", x, 4 * width, stride=stride)
    return _relu(net, net.op("Add", [y, shortcut], y.shape))


def _conv(net: Network, name: str, x: Tensor, channels: int, kernel: int = 1, stride: int = 1) -> Tensor:
    """A padded convolution with bias."""
    batch, inputs, size, _ = x.shape
    out = _strided(size, stride)
    with net.scope(name):
        weight = net.weight("weight", (channels, inputs, kernel, kernel))
        bias = net.weight("bias", (channels,))
        return net.op("Conv", [x, weight, bias], (batch, channels, out, out), kernel_shape=(kernel, kernel))


def _relu(net: Network, x: Tensor) -> Tensor:
    return net.op("Relu", [x], x.shape)


def _strided(size: int, stride: int) -> int:
    return -(-size // stride)
