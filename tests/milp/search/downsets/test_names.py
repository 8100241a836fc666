"""Names of numbers and amounts: the same for what is alike, different for what differs."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.names import mixed, names_of_amounts, names_of_numbers


def test_numbers_in_a_row_get_names_that_share_no_leading_bits():
    names = names_of_numbers(np.arange(4_096))
    assert len(np.unique(names)) == 4_096
    assert len(np.unique(names >> np.uint64(52))) > 4_096 / 2


def test_the_first_name_is_that_of_splitmix64():
    """The first number that the published generator gives from the seed 0."""
    assert int(mixed(np.zeros(1, np.uint64))[0]) == 0xE220A8397B1DCDAF == int(names_of_numbers(np.zeros(1, int))[0])


def test_amounts_that_differ_by_rounding_alone_have_one_name():
    third = 1 / 3
    one, other, more, never = names_of_amounts(np.array([third, third * (1 + 1e-15), third * (1 + 1e-6), np.inf]))
    assert one == other != more != never
