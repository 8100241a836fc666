"""Bisection narrows an interval, ends where it is told to, and says whether it gave up."""

from __future__ import annotations

import pytest

from milp.state.bisect import Interval, bisect, off_the_middle


def below(least: float, asked: list[float]):  # type: ignore[no-untyped-def]
    """The question whether a threshold is below the least value."""

    def ask(threshold: float, low: float, high: float) -> tuple[float, float]:
        asked.append(threshold)
        return (threshold, high) if threshold < least else (low, threshold)

    return ask


@pytest.mark.parametrize("least", [1.0, 3.3, 7.99, 10.0])
def test_the_least_value_is_enclosed_as_finely_as_asked_for(least: float) -> None:
    ends = bisect(0.0, 10.0, below(least, []), precision=1e-6)
    assert ends.low <= least <= ends.high
    assert ends.high - ends.low <= 1e-6 * ends.high
    assert not ends.given_up


def test_whole_numbers_are_asked_about_once_each() -> None:
    asked: list[float] = []
    ends = bisect(0, 16, below(11, asked), split=lambda low, high: (low + 1 + high) // 2, step=1)
    assert (ends.low, ends.high) == (10, 11)
    assert len(asked) == len(set(asked)) <= 5


def test_an_open_question_ends_it_with_the_ends_known() -> None:
    def ask(threshold: float, low: float, high: float) -> tuple[float, float] | None:
        return None if threshold < 3 else (low, threshold)

    assert bisect(0.0, 10.0, ask) == Interval(0.0, 5.0, given_up=True)


def test_no_question_worth_asking_ends_it() -> None:
    assert bisect(0.0, 10.0, below(5.0, []), split=lambda low, high: None) == Interval(0.0, 10.0, given_up=True)


def test_it_is_asked_before_every_question_whether_to_stop() -> None:
    asked: list[float] = []
    ends = bisect(0.0, 10.0, below(5.0, asked), stop=lambda: len(asked) >= 3)
    assert len(asked) == 3
    assert not ends.given_up
    assert ends.low <= 5.0 <= ends.high


def test_off_the_middle_is_never_on_it() -> None:
    assert 0.4 < off_the_middle(0.0, 1.0) < 0.5


def test_it_ends_where_no_number_lies_between_the_ends() -> None:
    asked: list[float] = []
    ends = bisect(5e-324, 1e-323, below(1e-323, asked), split=off_the_middle, precision=1e-3)
    assert (ends.low, ends.high) == (5e-324, 1e-323)
    assert len(asked) == 1
