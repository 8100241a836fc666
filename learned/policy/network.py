"""A multilayer perceptron with a hand-written backward pass, and Adam (Kingma & Ba, ICLR 2015), in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Parameters = dict[str, Array]


def initial_parameters(
    inputs: int, hidden: tuple[int, ...], outputs: int, rng: np.random.Generator, dtype: type = np.float32
) -> Parameters:
    """Weights ``W0, W1, ...``, biases ``b0, ...``, and ``skip`` straight from the inputs to the outputs.

    Hidden layers begin at the scale of Glorot & Bengio (AISTATS 2010); the last one small, so that a new network says
    little.
    """
    sizes = (inputs, *hidden, outputs)
    parameters: Parameters = {}
    for i, (a, b) in enumerate(pairwise(sizes)):
        gain = 0.1 if i == len(hidden) else 1.0
        parameters[f"W{i}"] = (gain * np.sqrt(2.0 / (a + b)) * rng.standard_normal((a, b))).astype(dtype)
        parameters[f"b{i}"] = np.zeros(b, dtype=dtype)
    parameters["skip"] = (0.1 / np.sqrt(inputs) * rng.standard_normal((inputs, outputs))).astype(dtype)
    return parameters


def forward(parameters: Mapping[str, Array], x: Array) -> tuple[Array, list[Array]]:
    """Outputs (R, O) for inputs (R, I), and what the backward pass needs."""
    layers = sum(name.startswith("W") for name in parameters)
    kept = [x]
    for i in range(layers - 1):
        kept.append(np.tanh(kept[-1] @ parameters[f"W{i}"] + parameters[f"b{i}"]))
    last = layers - 1
    return kept[-1] @ parameters[f"W{last}"] + parameters[f"b{last}"] + x @ parameters["skip"], kept


def backward(parameters: Mapping[str, Array], kept: list[Array], slope: Array) -> Parameters:
    """Derivatives of a loss by all parameters, for its derivatives ``slope`` (R, O) by the outputs."""
    gradient: Parameters = {"skip": kept[0].T @ slope}
    for i in reversed(range(len(kept))):
        gradient[f"W{i}"] = kept[i].T @ slope
        gradient[f"b{i}"] = slope.sum(axis=0)
        if i:
            slope = (slope @ parameters[f"W{i}"].T) * (1.0 - kept[i] ** 2)
    return gradient


def clipped(gradient: Parameters, largest_norm: float) -> Parameters:
    """The gradient, shortened if its norm exceeds ``largest_norm``."""
    norm = float(np.sqrt(sum(float(np.sum(g.astype(np.float64) ** 2)) for g in gradient.values())))
    if norm <= largest_norm:
        return gradient
    return {name: g * np.asarray(largest_norm / norm, dtype=g.dtype) for name, g in gradient.items()}


@dataclass
class Adam:
    """Adam with gradients clipped to a largest norm; ``step`` changes parameters in place."""

    rate: float = 1e-3
    decay: tuple[float, float] = (0.9, 0.999)
    largest_norm: float = 1.0
    steps: int = 0
    first: Parameters = field(default_factory=dict)
    second: Parameters = field(default_factory=dict)

    def step(self, parameters: Parameters, gradient: Parameters) -> None:
        """One step against the gradient."""
        self.steps += 1
        a, b = self.decay
        for name, g in clipped(gradient, self.largest_norm).items():
            self.first[name] = a * self.first.get(name, np.zeros_like(g)) + (1 - a) * g
            self.second[name] = b * self.second.get(name, np.zeros_like(g)) + (1 - b) * g * g
            mean = self.first[name] / (1 - a**self.steps)
            spread = np.sqrt(self.second[name] / (1 - b**self.steps)) + 1e-8
            parameters[name] -= (self.rate * mean / spread).astype(parameters[name].dtype)
