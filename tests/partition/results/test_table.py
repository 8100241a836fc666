"""The table of an answer."""

from __future__ import annotations

from instances import broadcast_mask, long_skip, package

from partition import partition


def test_the_table_has_a_row_per_chip_and_says_what_was_copied() -> None:
    result = partition(broadcast_mask(4), package(4, relays=False))
    table = result.to_table()
    assert table.count("%") >= 4 and "replicated operations" in table and "<- the busiest" in table
    relayed = partition(long_skip(4, time=10.0), package(4, replication=False)).to_table()
    assert "relayed tensors: 1 over 2 hops: t0" in relayed
