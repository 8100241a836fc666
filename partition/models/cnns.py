"""Convolutional networks other than U-Net, for inference: DenseNet, Inception-v1, MobileNetV2, VGG.

Sources: Huang et al., CVPR 2017 (DenseNet); Szegedy et al., CVPR 2015 (GoogLeNet, Inception-v1); Sandler et al., CVPR
2018 (MobileNetV2); Simonyan & Zisserman, ICLR 2015 (VGG). Batch normalisations are folded into convolutions, but for
DenseNet's, which come before theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from partition.models.layers import add, apply, classifier, concat, conv, pool
from partition.models.tracer import Tensor, Tracer
from partition.problem.graph import Graph

DENSE_BLOCKS = MappingProxyType({"121": (6, 12, 24, 16), "169": (6, 12, 32, 32), "201": (6, 12, 48, 32)})
"""Layers of DenseNet's blocks by depth."""

VGG_STAGES = MappingProxyType(
    {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}
)
"""Convolutions of VGG's stages by depth."""

INCEPTION = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
)  # fmt: skip
"""Channels of GoogLeNet's modules: 1x1; 3x3 and before it; 5x5 and before it; behind the pooling."""

MOBILE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2's stages: expansion, channels, blocks, stride of the first."""


@dataclass(frozen=True)
class Images:
    """What all of them have: images per input, their size, the classes, and bytes of an element."""

    batch: int
    size: int
    classes: int
    itemsize: float

    def begin(self, name: str) -> tuple[Tracer, Tensor]:
        """The network and its input."""
        net = Tracer(name, self.itemsize)
        return net, net.input("images", (self.batch, 3, self.size, self.size))


def densenet(images: Images, name: str, *, depth: str, growth: int) -> Graph:
    """Every layer of a block reads all layers before it in the block."""
    net, x = images.begin(name)
    x = apply(net, "Relu", conv(net, "conv0", x, 2 * growth, 7, 2))
    x = pool(net, "MaxPool", x, 3, 2)
    blocks = DENSE_BLOCKS[depth]
    for b, layers in enumerate(blocks):
        parts = [x]
        for i in range(layers):
            with net.scope(f"block{b + 1}/{i}"):
                y = concat(net, parts, 1) if len(parts) > 1 else x
                y = apply(net, "Relu", conv(net, "conv1", _norm(net, y), 4 * growth))
                parts.append(conv(net, "conv2", y, growth, 3))
        x = concat(net, parts, 1)
        if b + 1 < len(blocks):
            with net.scope(f"transition{b + 1}"):
                x = pool(net, "AveragePool", conv(net, "conv", _norm(net, x), x.shape[1] // 2), 2, 2)
    classifier(net, _norm(net, x), images.classes)
    return net.build()


def _norm(net: Tracer, x: Tensor) -> Tensor:
    """A batch normalisation that has no convolution before it, and ReLU."""
    weights = [net.weight(f"norm{x.name}.{part}", (x.shape[1],)) for part in ("scale", "bias", "mean", "variance")]
    return apply(net, "Relu", net.op("BatchNormalization", [x, *weights], x.shape))


def inception(images: Images, name: str) -> Graph:
    """Four branches in every module, joined."""
    net, x = images.begin(name)
    x = pool(net, "MaxPool", apply(net, "Relu", conv(net, "conv1", x, 64, 7, 2)), 3, 2)
    x = apply(net, "Relu", conv(net, "conv2", x, 64))
    x = pool(net, "MaxPool", apply(net, "Relu", conv(net, "conv3", x, 192, 3)), 3, 2)
    for i, (one, before3, three, before5, five, pooled) in enumerate(INCEPTION):
        with net.scope(f"inception{i}"):
            a = apply(net, "Relu", conv(net, "1x1", x, one))
            b = apply(net, "Relu", conv(net, "3x3_reduce", x, before3))
            b = apply(net, "Relu", conv(net, "3x3", b, three, 3))
            c = apply(net, "Relu", conv(net, "5x5_reduce", x, before5))
            c = apply(net, "Relu", conv(net, "5x5", c, five, 5))
            d = apply(net, "Relu", conv(net, "pool_proj", pool(net, "MaxPool", x, 3, 1), pooled))
            x = concat(net, [a, b, c, d], 1)
        if i in (1, 6):
            x = pool(net, "MaxPool", x, 3, 2)
    classifier(net, x, images.classes)
    return net.build()


def mobilenet(images: Images, name: str, *, width: int) -> Graph:
    """Inverted residuals of separable convolutions; ``width`` in percent."""
    net, x = images.begin(name)
    x = apply(net, "Clip", conv(net, "stem", x, _rounded(32 * width // 100), 3, 2))
    for s, (expansion, channels, blocks, stride) in enumerate(MOBILE):
        for i in range(blocks):
            with net.scope(f"stage{s}/{i}"):
                out = _rounded(channels * width // 100)
                y, hidden = x, x.shape[1] * expansion
                if expansion > 1:
                    y = apply(net, "Clip", conv(net, "expand", y, hidden))
                y = conv(net, "depthwise", y, hidden, 3, stride if i == 0 else 1, groups=hidden)
                y = conv(net, "project", apply(net, "Clip", y), out)
                x = add(net, x, y) if x.shape == y.shape else y
    x = apply(net, "Clip", conv(net, "last", x, max(1280, 1280 * width // 100)))
    classifier(net, x, images.classes)
    return net.build()


def _rounded(channels: int) -> int:
    return max(8, (channels + 4) // 8 * 8)


def vgg(images: Images, name: str, *, depth: str, hidden: int) -> Graph:
    """Convolutions in a row, three linear layers; ``hidden`` is the width of the first two (4096 in the paper)."""
    net, x = images.begin(name)
    for s, convolutions in enumerate(VGG_STAGES[depth]):
        for i in range(convolutions):
            x = apply(net, "Relu", conv(net, f"stage{s}/{i}", x, min(512, 64 * 2**s), 3))
        x = pool(net, "MaxPool", x, 2, 2)
    batch, channels, height, width = x.shape
    x = net.op("Flatten", [x], (batch, channels * height * width))
    for i, out in enumerate((hidden, hidden, images.classes)):
        with net.scope(f"fc{i}"):
            weights = [net.weight("weight", (out, x.shape[1])), net.weight("bias", (out,))]
            x = net.op("Gemm", [x, *weights], (batch, out), transB=1)
        if i < 2:
            x = apply(net, "Relu", x)
    return net.build()
