"""Sizes of operands."""

from operator_costs import f32

from partition.problem.operator_call import TensorSpec


def test_a_spec_knows_its_size_and_bytes() -> None:
    assert (f32(2, 3).size, f32(2, 3).bytes) == (6, 24.0)
    assert (f32().size, f32().bytes) == (1, 4.0)
    assert f32(0, 3).bytes == 0.0


def test_packed_types_fill_their_last_byte() -> None:
    assert TensorSpec((5,), 0.5).bytes == 3.0
    assert TensorSpec((4,), 0.5).bytes == 2.0
