"""Small programs of the architectures people export: name -> (module, arguments)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return x + self.inner(x)


def normed(into: int, out: int, size: int, **options: Any) -> list[nn.Module]:
    return [nn.Conv2d(into, out, size, bias=False, **options), nn.BatchNorm2d(out), nn.ReLU()]


def resnet() -> nn.Module:
    stem = [*normed(3, 32, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1)]
    bottleneck = [*normed(32, 16, 1), *normed(16, 16, 3, padding=1), *normed(16, 32, 1)]
    down = normed(32, 64, 3, stride=2, padding=1)
    body = [Residual(nn.Sequential(*bottleneck)), *down, Residual(nn.Sequential(*normed(64, 64, 3, padding=1)))]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def mobile() -> nn.Module:
    separable = [*normed(24, 24, 3, padding=1, groups=24), nn.Conv2d(24, 48, 1), nn.Hardswish()]
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, stride=2, padding=1), nn.SiLU(), *separable, nn.Conv2d(48, 8, 3, dilation=2)
    )


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.up, self.out = nn.ConvTranspose2d(32, 16, 2, stride=2), nn.Conv2d(32, 4, 1)

    def forward(self, x: Any) -> Any:
        near = functional.relu(self.down(x))
        far = functional.relu(self.deep(near))
        return self.out(torch.cat([near, self.up(far)], 1))


class Decoder(nn.Module):
    """Rotary positions, grouped queries, a gated feed-forward: a language model of today."""

    def __init__(self, width: int = 128, heads: int = 8, groups: int = 2) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.norm, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.q, self.kv = nn.Linear(width, width, bias=False), nn.Linear(width, 2 * groups * self.size, bias=False)
        self.o, self.gate = nn.Linear(width, width, bias=False), nn.Linear(width, 4 * width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Any) -> Any:
        h = self.norm(x)
        b, n, _ = x.shape
        q = self.q(h).view(b, n, self.heads, self.size).transpose(1, 2)
        k, v = self.kv(h).view(b, n, 2, self.groups, self.size).permute(2, 0, 3, 1, 4)
        angles = torch.arange(n)[:, None] / 10.0 ** torch.arange(self.size // 2)
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        q = q * cos + torch.cat([-q[..., self.size // 2 :], q[..., : self.size // 2]], -1) * sin
        k, v = (t.repeat_interleave(self.heads // self.groups, 1) for t in (k, v))
        a = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, n, -1))
        h = self.norm2(x)
        return x + self.down(functional.silu(self.gate(h)) * self.up(h))


class Attention(nn.Module):
    """By hand: products of batches, a mask, a softmax."""

    def forward(self, q: Any, k: Any, v: Any) -> Any:
        scores = torch.bmm(q, k.transpose(1, 2)) / 8.0
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        return torch.softmax(scores.masked_fill(~mask, float("-inf")), -1) @ v


class Einsums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(4, 32, 16))

    def forward(self, x: Any) -> Any:
        heads = torch.einsum("bnd,hde->bhne", x, self.w)
        return torch.einsum("bhne,bhme->bhnm", heads, heads)


class Products(nn.Module):
    """Every way to say a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.zeros(32, 48)), nn.Parameter(torch.zeros(48))

    def forward(self, x: Any) -> Any:
        y = torch.addmm(self.b, x, self.w)
        z = torch.baddbmm(y[None].expand(3, -1, -1), x.expand(3, -1, -1), self.w.expand(3, -1, -1))
        return torch.mm(y.t(), x) + torch.matmul(z.transpose(1, 2), z).sum((0, 2))[:, None] + (x.T @ x).sum()


class Tagger(nn.Module):
    def __init__(self, kind: type[nn.Module], width: int = 32, **options: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 24)
        self.cell = kind(24, 32, num_layers=2, batch_first=True, bidirectional=True, **options)
        self.out = nn.Linear(2 * width, 5)

    def forward(self, tokens: Any) -> Any:
        return self.out(self.cell(self.embed(tokens))[0])


class Cells(nn.Module):
    """A recurrence written out step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.rnn = nn.LSTMCell(16, 24), nn.GRUCell(24, 24), nn.RNNCell(24, 24)

    def forward(self, xs: Any) -> Any:
        h = c = g = r = xs.new_zeros(xs.shape[1], 24)
        for x in xs.unbind(0):
            h, c = self.lstm(x, (h, c))
            g = self.gru(h, g)
            r = self.rnn(g, r)
        return r


def tokens() -> Any:
    return (torch.zeros(2, 7, dtype=torch.long),)


def image(size: int = 32) -> Any:
    return (torch.zeros(2, 3, size, size),)


def bert() -> nn.Module:
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 2, enable_nested_tensor=False
    )


PROGRAMS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "resnet": (resnet, image),
    "mobile": (mobile, image),
    "unet": (Unet, image),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(3, 8, 5, padding="same"), nn.ReLU(), nn.ConvTranspose1d(8, 4, 4, 2)),
               lambda: (torch.zeros(2, 3, 40),)),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.ConvTranspose3d(4, 2, 3)),
               lambda: (torch.zeros(1, 1, 6, 6, 6),)),
    "bert": (bert, lambda: (torch.zeros(2, 12, 64),)),
    "decoder": (Decoder, lambda: (torch.zeros(2, 10, 128),)),
    "attention": (Attention, lambda: tuple(torch.zeros(6, 20, 64) for _ in range(3))),
    "einsum": (Einsums, lambda: (torch.zeros(2, 9, 32),)),
    "products": (Products, lambda: (torch.zeros(20, 32),)),
    "lstm": (lambda: Tagger(nn.LSTM), tokens),
    "projected": (lambda: Tagger(nn.LSTM, 16, proj_size=16), tokens),
    "gru": (lambda: Tagger(nn.GRU), tokens),
    "rnn": (lambda: Tagger(nn.RNN), tokens),
    "rnn_relu": (lambda: Tagger(nn.RNN, nonlinearity="relu"), tokens),
    "cells": (Cells, lambda: (torch.zeros(5, 3, 16),)),
}  # fmt: skip


@cache
def exported(name: str) -> Any:
    """The program of one of them, exported once."""
    make, args = PROGRAMS[name]
    return torch.export.export(make().eval(), args())
