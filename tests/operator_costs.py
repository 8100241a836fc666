"""Operands of an operator."""

from partition.problem.operator_call import TensorSpec


def f32(*shape: int) -> TensorSpec:
    return TensorSpec(shape, 4.0)
