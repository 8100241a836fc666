"""ResNet (He et al., 2016), as PyTorch exports torchvision's to ONNX for inference.

The exporter folds every batch normalisation into the convolution before it, which so has a bias. The stride of a
stage sits in its 3x3 convolution, as in torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from partition.models.layers import apply, classifier, conv, pool
from partition.models.tracer import Tensor, Tracer
from partition.problem.graph import Graph

DEPTHS = MappingProxyType(
    {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
)
"""Blocks of each stage by depth; up to 34, blocks have two 3x3 convolutions, from 50 on they are bottlenecks."""


@dataclass(frozen=True)
class ResNet:
    """Hyper-parameters.

    Attributes
    ----------
    depth : key of ``DEPTHS``.
    batch, size : images per input, and their height and width in pixels.
    classes : of the classifier.
    itemsize : bytes of an element of weights and activations.
    """

    depth: str
    batch: int
    size: int
    classes: int
    itemsize: float

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Tracer(name, self.itemsize)
        x = net.input("images", (self.batch, 3, self.size, self.size))
        x = pool(net, "MaxPool", apply(net, "Relu", conv(net, "conv1", x, 64, 7, 2)), 3, 2)
        block = _bottleneck if int(self.depth) >= 50 else _basic
        for stage, blocks in enumerate(DEPTHS[self.depth]):
            for i in range(blocks):
                with net.scope(f"layer{stage + 1}/{i}"):
                    x = block(net, x, 64 * 2**stage, 2 if stage and not i else 1)
        classifier(net, x, self.classes)
        return net.build()


def _bottleneck(net: Tracer, x: Tensor, width: int, stride: int) -> Tensor:
    """1x1, 3x3, 1x1, added to the input (projected where the shape changes)."""
    y = apply(net, "Relu", conv(net, "conv1", x, width))
    y = apply(net, "Relu", conv(net, "conv2", y, width, 3, stride))
    return _joined(net, x, conv(net, "conv3", y, 4 * width), stride)


def _basic(net: Tracer, x: Tensor, width: int, stride: int) -> Tensor:
    """Two 3x3, added to the input (projected where the shape changes)."""
    y = apply(net, "Relu", conv(net, "conv1", x, width, 3, stride))
    return _joined(net, x, conv(net, "conv2", y, width, 3), stride)


def _joined(net: Tracer, x: Tensor, y: Tensor, stride: int) -> Tensor:
    shortcut = x if x.shape == y.shape else conv(net, "downsample", x, y.shape[1], stride=stride)
    return apply(net, "Relu", net.op("Add", [y, shortcut], y.shape))
