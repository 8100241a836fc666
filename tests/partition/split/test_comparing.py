"""Values of outputs compared."""

from __future__ import annotations

import numpy as np
import pytest

from partition.split.comparing import difference, one_value


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (np.array(["a", "b"], object), np.array(["a", "b"], object), True),
        (np.array(["a", "b"], object), np.array(["a", "c"], object), False),
        ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(3)], True),
        ([np.ones(2)], [np.ones(2), np.ones(3)], False),
        ([np.ones(2)], [np.ones(3)], False),
        ([{"a": 0.5}], [{"a": 0.5}], True),
        ([{"a": 0.5}], [{"b": 0.5}], False),
        (None, None, True),
        (None, np.ones(2), False),
        (np.array([np.nan, np.inf]), np.array([np.nan, -np.inf]), False),
    ],
)
def test_values_of_any_kind_are_told_apart(a: object, b: object, equal: bool) -> None:
    assert (difference(a, b) == 0.0) is equal


def test_one_number_varies_only_between_seeds() -> None:
    assert one_value([np.float32(3)]) == ""
    assert one_value([np.float32(3), np.float32(3)]) == "all 3"
    assert one_value([np.float32(3), np.float32(4)]) == ""
