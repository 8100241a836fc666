"""Numbers of parts, with and without the word of an axis."""

from __future__ import annotations

import numpy as np
import pytest

from partition.problem.cut_axis import joined_parts, split_parts


@pytest.mark.parametrize(("asked", "parts"), [(4, (4, "")), ("4", (4, "")), ("4:rows", (4, "rows")), ("4:", (4, ""))])
def test_a_number_of_parts_is_told_from_the_word_of_its_axis(asked, parts):
    assert split_parts(asked) == parts
    assert split_parts(joined_parts(*parts)) == parts


@pytest.mark.parametrize("asked", [0, -1, True, 2.5, "many", "0:rows", "-2", "", ":rows", None, np.float64(2)])
def test_what_is_no_number_of_parts_is_refused(asked):
    with pytest.raises(ValueError, match="number of parts"):
        split_parts(asked)
