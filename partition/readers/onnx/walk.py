"""Everything a parsed ONNX model consists of: bodies of operations, nodes and tensors, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The bodies of If, Loop, Scan and their like."""
    bodies = [attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]
    for attribute in node.attribute:
        bodies.extend(attribute.graphs)
    return bodies


def reads(node: NodeProto) -> Iterator[str]:
    """The tensors that a node reads, those of outer graphs that its bodies use included; with repeats."""
    yield from (tensor for tensor in node.input if tensor)
    for body in subgraphs(node):
        yield from _captured(body)


def _captured(body: GraphProto) -> Iterator[str]:
    """Tensors of outer graphs that a body uses."""
    own = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
    own |= {tensor.values.name for tensor in body.sparse_initializer}
    own |= {tensor for node in body.node for tensor in node.output}
    for node in body.node:
        yield from (tensor for tensor in reads(node) if tensor not in own)
    yield from (value.name for value in body.output if value.name not in own)


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those of their bodies."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        yield node
        for body in subgraphs(node):
            stack += body.node


def all_graphs(model: ModelProto) -> Iterator[GraphProto]:
    """The graph and all bodies, those in functions included."""
    yield model.graph
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in all_nodes(nodes):
            yield from subgraphs(node)


def all_tensors(model: ModelProto) -> Iterator[TensorProto | SparseTensorProto]:
    """Weights and constants; of a sparse one also its values and indices."""
    for graph in all_graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse, sparse.values, sparse.indices)
    for attribute in _attributes(model):
        # By what is there and not by the stated type: other readers of the file go by that too.
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t
        for sparse in (*attribute.sparse_tensors, *([attribute.sparse_tensor] if _is_sparse(attribute) else [])):
            yield from (sparse, sparse.values, sparse.indices)


def _attributes(model: ModelProto) -> Iterator[AttributeProto]:
    for function in model.functions:
        yield from function.attribute_proto
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in all_nodes(nodes):
            yield from node.attribute


def _is_sparse(attribute: AttributeProto) -> bool:
    return bool(attribute.HasField("sparse_tensor"))
