"""Calls side by side: answers of the finished ones are never lost, and workers do not hear Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Any

import joblib
import pytest
from joblib import delayed

import partition.processes
from partition.processes import side_by_side


def stopping(number: int) -> int:
    if number == 2:
        raise KeyboardInterrupt
    return number * number


def test_what_was_finished_before_an_interruption_is_told_first() -> None:
    answers = side_by_side(map(delayed(stopping), range(4)), 1)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        next(answers)


def test_answers_come_in_the_order_of_the_calls() -> None:
    with joblib.parallel_config(backend="threading"):
        assert list(side_by_side(map(delayed(pow), range(5), [2] * 5), 2)) == [0, 1, 4, 9, 16]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="there are no signal masks here")
def test_processes_start_deaf_to_interrupts_and_the_caller_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = []

    class Noting:
        def __init__(self, **how: Any) -> None:
            assert how["n_jobs"] == 2

        def __call__(self, calls: Iterable[partition.processes.Delayed]) -> Iterator[int]:
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            return (function(*given, **named) for function, given, named in calls)

    monkeypatch.setattr(partition.processes, "Parallel", Noting)
    assert list(side_by_side(map(delayed(pow), [3], [2]), 2)) == [9]
    assert signal.SIGINT in masks[0]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
