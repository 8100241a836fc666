"""A minute of what benchmarks/soak.py does for an hour."""

from __future__ import annotations

from soak import grown, soak, table


def test_random_instances_in_one_process_leave_nothing_behind() -> None:
    record = soak(60.0)
    print(table(record))
    assert grown(record) == []
    assert record.solves > 50 and record.proved > 30
