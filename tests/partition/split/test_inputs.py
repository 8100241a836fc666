"""Inputs drawn and given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_programs import ML, F, S, vi
from split_models import SIZES, node, split

from partition import InvalidInput
from partition.split import load_inputs, verify_parts


def test_inputs_that_are_sizes_can_be_given(tmp_path: Path) -> None:
    model = split(tmp_path, *SIZES)
    values = {"x": np.ones((4, 12)), "shape": np.array([2, 4, 12])}
    np.savez(tmp_path / "values.npz", **values)
    assert all(c.identical for c in verify_parts(*model, inputs=load_inputs(tmp_path / "values.npz")))


def test_strings_are_not_drawn_but_can_be_given(tmp_path: Path) -> None:
    nodes = [node("OneHotEncoder", "city", "o", domain=ML, cats_strings=[b"oslo", b"rome"]), node("Neg", "o", "y")]
    model = split(tmp_path, nodes, [vi("city", S, [3, 1])], [vi("y", F, None)])
    with pytest.raises(InvalidInput, match=r"'city' is of type tensor\(string\), of which none are drawn; give values"):
        verify_parts(*model)
    np.savez(tmp_path / "v.npz", city=np.array([["oslo"], ["rome"], ["lima"]]))
    assert all(c.identical for c in verify_parts(*model, inputs=load_inputs(tmp_path / "v.npz")))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"x": np.ones((4, 12))}, "no values for input 'shape'"),
        ({"x": np.ones((4, 13)), "shape": np.ones(3, int)}, "'x' wants the shape 4x12"),
        ({"x": np.ones((4, 12)), "shape": np.ones(3)}, "'shape' wants int64"),
        ({"x": np.ones((4, 12)), "shape": np.ones(3, int), "z": np.ones(1)}, "no input 'z'"),
    ],
)
def test_given_inputs_that_do_not_fit_are_named(values: dict[str, np.ndarray], what: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=what):
        verify_parts(*split(tmp_path, *SIZES), inputs=values)


def test_a_file_that_holds_no_values_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "v.npz").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="holds no values of inputs"):
        load_inputs(tmp_path / "v.npz")
    np.savez(tmp_path / "o.npz", x=np.array([{}], dtype=object))
    with pytest.raises(InvalidInput, match="holds no values of inputs"):
        load_inputs(tmp_path / "o.npz")
