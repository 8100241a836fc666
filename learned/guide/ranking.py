"""Learning from pairs: the logistic loss of how much less the better state of each pair seems to lose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned.guide.guide import BASE, FACTOR, LOSSES, MOST, PRICES, BeamGuide
from learned.guide.lessons import Lesson
from learned.policy.distribution import sigmoid
from learned.policy.network import Adam, Parameters, backward, forward

TEMPERATURE = 0.1
"""Difference of two losses, in periods, that a pair is told apart by."""

BATCH = 512
"""Pairs of one step."""

DECAY = 3e-2
"""Pull of all parameters towards nothing, beside the loss."""


def fit(guide: BeamGuide, lessons: Sequence[Lesson], epochs: int, rate: float, rng: np.random.Generator) -> BeamGuide:
    """The guide after so many passes over all lessons in random order; every lesson weighs the same."""
    trained = guide.with_vector(guide.vector())
    adams = {name: Adam(rate=rate) for name in trained.networks}
    for epoch in range(epochs):
        for adam in adams.values():
            adam.rate = rate * (1.0 - epoch / epochs)
        for number in rng.permutation(len(lessons)):
            lesson = lessons[number]
            rows = rng.choice(len(lesson.lost), min(BATCH, len(lesson.lost)), replace=False)
            for name, gradient in loss_gradient(trained, lesson, rows)[1].items():
                parameters = trained.networks[name].parameters
                held = {p: g + DECAY * parameters[p] for p, g in gradient.items()}
                adams[name].step(parameters, held)
    return trained


def loss_gradient(guide: BeamGuide, lesson: Lesson, rows: np.ndarray) -> tuple[float, dict[str, Parameters]]:
    """Loss over some pairs, and its derivatives by the parameters of both networks."""
    prices, losses = guide.networks[PRICES], guide.networks[LOSSES]
    said, kept = forward(prices.parameters, prices.scaled(lesson.tensors))
    power = np.tanh(said[:, 0])
    price = BASE * FACTOR**power
    states = losses.scaled(np.concatenate([lesson.better[rows], lesson.worse[rows]]))
    out, seen = forward(losses.parameters, states)
    foreseen = MOST * np.tanh(out)
    column, count = lesson.behind[rows].astype(np.int64), len(rows)
    first, second = np.arange(count), np.arange(count) + count
    beyond = foreseen[first, column] - foreseen[second, column]
    more = lesson.crosses[rows] @ (price * lesson.tau) + lesson.lost[rows] + beyond
    wrong = sigmoid(more / TEMPERATURE)
    loss = float(np.mean(np.logaddexp(0.0, more / TEMPERATURE)))
    slope = (wrong / (TEMPERATURE * count)).astype(np.float32)
    by_price = (slope @ lesson.crosses[rows]) * lesson.tau * price * np.log(FACTOR) * (1.0 - power**2)
    by_state = np.zeros_like(out)
    by_state[first, column], by_state[second, column] = slope, -slope
    by_state *= MOST * (1.0 - np.tanh(out) ** 2)
    return loss, {
        PRICES: backward(prices.parameters, kept, by_price[:, None].astype(np.float32)),
        LOSSES: backward(losses.parameters, seen, by_state.astype(np.float32)),
    }


def right(guide: BeamGuide, lessons: Sequence[Lesson]) -> float:
    """Share of the pairs whose better state seems to lose less, every lesson weighing the same."""
    shares = []
    for lesson in lessons:
        toll = lesson.crosses @ (guide.prices(lesson.tensors) * lesson.tau)
        beyond = guide.losses(lesson.better) - guide.losses(lesson.worse)
        more = toll + lesson.lost + beyond[np.arange(len(beyond)), lesson.behind.astype(np.int64)]
        shares.append(float((more < 0).mean()))
    return float(np.mean(shares))
