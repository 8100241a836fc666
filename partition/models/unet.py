"""U-Net (Ronneberger et al., 2015), with convolutions padded so that the skips need no cropping."""

from __future__ import annotations

from dataclasses import dataclass

from partition.errors import InvalidInput
from partition.models.tracer import Tensor, Tracer
from partition.problem.graph import Graph


@dataclass(frozen=True)
class UNet:
    """Hyper-parameters.

    Attributes
    ----------
    batch, size : images per input, and their height and width in pixels.
    channels : of the first level; every level below has twice as many.
    depth : number of times the image is halved, and of skip connections.
    inputs, classes : channels of the image and of the segmentation.
    itemsize : bytes of an element of weights and activations.
    """

    batch: int
    size: int
    channels: int
    depth: int
    inputs: int
    classes: int
    itemsize: float

    def __post_init__(self) -> None:
        if self.size % 2**self.depth:
            raise InvalidInput(
                f"U-Net's size={self.size} cannot be halved {self.depth} times; choose a multiple of {2**self.depth}"
            )

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Tracer(name, self.itemsize)
        x = net.input("images", (self.batch, self.inputs, self.size, self.size))
        skips = []
        for level in range(self.depth):
            with net.scope(f"down{level + 1}"):
                x = _two_convolutions(net, x, self.channels * 2**level)
                skips.append(x)
                x = _halve(net, x)
        with net.scope("bottom"):
            x = _two_convolutions(net, x, self.channels * 2**self.depth)
        for level in reversed(range(self.depth)):
            with net.scope(f"up{level + 1}"):
                x = _double(net, x)
                skip = skips[level]
                both = (self.batch, skip.shape[1] + x.shape[1], *x.shape[2:])
                x = _two_convolutions(net, net.op("Concat", [skip, x], both), self.channels * 2**level)
        with net.scope("segmentation"):
            _conv(net, "conv", x, self.classes, kernel=1)
        return net.build()


def _two_convolutions(net: Tracer, x: Tensor, channels: int) -> Tensor:
    for name in ("conv1", "conv2"):
        x = _conv(net, name, x, channels, kernel=3)
        x = net.op("Relu", [x], x.shape)
    return x


def _conv(net: Tracer, name: str, x: Tensor, channels: int, kernel: int) -> Tensor:
    """A padded convolution with bias."""
    batch, inputs, height, width = x.shape
    with net.scope(name):
        weight = net.weight("weight", (channels, inputs, kernel, kernel))
        bias = net.weight("bias", (channels,))
        return net.op("Conv", [x, weight, bias], (batch, channels, height, width), kernel_shape=(kernel, kernel))


def _halve(net: Tracer, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    return net.op("MaxPool", [x], (batch, channels, height // 2, width // 2), kernel_shape=(2, 2), strides=(2, 2))


def _double(net: Tracer, x: Tensor) -> Tensor:
    """The up-convolution: twice the size, half the channels."""
    batch, inputs, height, width = x.shape
    with net.scope("upconv"):
        weight = net.weight("weight", (inputs, inputs // 2, 2, 2))
        bias = net.weight("bias", (inputs // 2,))
        shape = (batch, inputs // 2, 2 * height, 2 * width)
        return net.op("ConvTranspose", [x, weight, bias], shape, strides=(2, 2))
