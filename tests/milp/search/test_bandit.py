"""The bandit: useless ways get little, good ones most, and it draws nothing."""

from __future__ import annotations

import pytest

from milp.search.bandit import Bandit


def turns(gains: list[float], count: int) -> list[int]:
    bandit, had = Bandit(len(gains)), [0] * len(gains)
    for _ in range(count):
        way = bandit.choose([1.0] * len(gains))
        had[way] += 1
        bandit.learn(way, gains[way])
    return had


def test_every_way_has_a_turn_first_in_their_order() -> None:
    bandit = Bandit(3)
    seen = []
    for _ in range(3):
        seen.append(bandit.choose([1.0, 1.0, 1.0]))
        bandit.learn(seen[-1], 0.0)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("useless", range(4))
def test_a_way_that_gains_nothing_costs_less_than_an_equal_share(useless: int) -> None:
    gains = [0.4] * 4
    gains[useless] = 0.0
    assert turns(gains, 80)[useless] < 80 / 4


def test_ways_that_all_gain_nothing_share_equally() -> None:
    had = turns([0.0] * 4, 80)
    assert max(had) - min(had) <= 1


def test_the_best_way_gets_most() -> None:
    had = turns([0.05, 0.5, 0.05], 60)
    assert had[1] > 30


def test_a_dear_turn_must_promise_more() -> None:
    bandit = Bandit(2)
    bandit.learn(0, 0.3)
    bandit.learn(1, 0.3)
    assert bandit.choose([8.0, 1.0]) == 1
    assert bandit.choose([1.0, 8.0]) == 0
