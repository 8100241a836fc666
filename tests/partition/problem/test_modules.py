"""Modules read from the names of operations."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper
from wished_lines import line

from partition import Graph, InvalidInput, partition
from partition.problem.modules import module_paths, modules_of
from partition.problem.wishes import Wishes


def test_modules_are_read_from_paths() -> None:
    names = ("input", "h.0.attn/mul", "h.0.mlp/mul", "h.1.attn/mul", "block1/a", "Dense_0/dot")
    graph = line(*names)
    assert module_paths(graph)[1] == ("h", "0", "attn") and module_paths(graph)[0] == ()
    assert [[names[v] for v in some] for some in modules_of(graph, "layer")] == [list(names[1:3]), [names[3]]]
    assert len(modules_of(graph, "module:1")) == 3
    assert [len(some) for some in modules_of(line("block1/a", "block1/b", "block2/a", "x"), "layer")] == [2, 1]
    with pytest.raises(InvalidInput, match="no operation of 'line' is in such a module"):
        partition(line("a", "b"), "ring2", granularity="module:1")


def test_modules_of_a_torch_export_come_from_its_metadata() -> None:
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name=f"node_relu_{i}") for i in range(3)]
    for i, node in enumerate(nodes):
        scopes = f"['', 'layers.{i}', 'layers.{i}.act', 'relu_{i}']" if i < 2 else "[not a list"
        node.metadata_props.append(onnx.StringStringEntryProto(key="pkg.torch.onnx.name_scopes", value=scopes))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("t0", "t3")]
    graph = Graph.from_onnx(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])))
    assert graph.modules == ("", "layers.0.act", "layers.1.act", "")
    assert len(modules_of(graph, "layer")) == 2
    assert Wishes.of(pins={"layers.1.*": 0}).on(graph, 1)[0].groups[0].tolist() == [2]
