"""The device-placement JSON of Tarnawski et al. (NeurIPS 2020): a workload that brings its own hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partition.errors import InvalidInput, InvalidModelFile
from partition.graph import Graph, GraphBuilder
from partition.hardware import ChipKind, Hardware, Interconnect, Rules

ACCELERATOR = "accelerator"


def from_device_placement(data: Mapping[str, Any], *, name: str, max_cpus: int = 0) -> tuple[Graph, Hardware]:
    """Graph and hardware of one file.

    Times are the file's own (``fpgaLatency``) and so is the unit of every result. Transfers go through main
    memory, serial with compute: a tensor's "bytes" are the ``cost`` of its edges and the bandwidth is 1. Nodes of one ``colorClass``
    share a device; ``size`` is memory on the accelerator. Edges of one source with different costs become
    one tensor each.

    Parameters
    ----------
    data : the parsed file.
    max_cpus : CPU devices to use; only 0 is supported so far, whatever the file's ``maxCPUs``.

    Raises
    ------
    InvalidModelFile : a field is missing or of the wrong type, an id repeats, an edge dangles.
    InvalidInput : CPUs are asked for, or a node cannot run on an accelerator.
    """
    if max_cpus:
        raise InvalidInput(f"device-placement file {name!r}: CPUs are not supported yet; use max_cpus=0")
    nodes, edges = _list(data, "nodes", name), _list(data, "edges", name)
    count = _number(data, "maxFPGAs", name, "the file")
    if count != int(count) or count < 1:
        raise InvalidModelFile(f"device-placement file {name!r}: maxFPGAs is {count:g}; it must be a whole number >= 1")
    names = _names(nodes, name)
    outgoing: dict[Any, dict[float, list[Any]]] = {node: {} for node in names}
    for i, edge in enumerate(edges):
        source, target = _field(edge, "sourceId", name, f"edges[{i}]"), _field(edge, "destId", name, f"edges[{i}]")
        for end in (source, target):
            if end not in names:
                raise InvalidModelFile(
                    f"device-placement file {name!r}: edges[{i}] names node {end!r}, which does not exist"
                )
        cost = _number(edge, "cost", name, f"edges[{i}]")
        outgoing[source].setdefault(cost, []).append(target)
    incoming: dict[Any, list[str]] = {node: [] for node in names}
    outputs: dict[Any, dict[str, float]] = {node: {} for node in names}
    for source, by_cost in outgoing.items():
        for k, (cost, targets) in enumerate(by_cost.items()):
            tensor = names[source] if k == 0 else f"{names[source]}:{k}"
            outputs[source][tensor] = cost
            for target in targets:
                incoming[target].append(tensor)
    builder = GraphBuilder(name)
    for i, node in enumerate(nodes):
        where = f"nodes[{i}]"
        if not node.get("supportedOnFpga", True):
            raise InvalidInput(
                f"device-placement file {name!r}: node {node['id']!r} runs on CPUs only, which are not supported yet"
            )
        builder.operation(
            names[node["id"]],
            "Op",
            inputs=incoming[node["id"]],
            outputs=outputs[node["id"]],
            weights=_number(node, "size", name, where),
            bytes_accessed=0.0,
            group=node.get("colorClass"),
            backward=bool(node.get("isBackwardNode", False)),
            times={ACCELERATOR: _number(node, "fpgaLatency", name, where)},
        )
    hardware = Hardware(
        name=f"{int(count)} accelerators of {name}",
        kinds=(ChipKind(ACCELERATOR, peak_flops=1.0, sram_bytes=_number(data, "maxSizePerFPGA", name, "the file")),),
        kind_of_chip=(0,) * int(count),
        interconnect=Interconnect("memory", link_bandwidth=1.0, transfers="serial"),
        rules=Rules(no_skipping=False, triangle=False, replication=False, relays=False),
        time_unit="file unit",
    )
    return builder.build(), hardware


def _names(nodes: list[Any], name: str) -> dict[Any, str]:
    """Node id -> operation name: the node's own where it is unique."""
    ids = [_field(node, "id", name, f"nodes[{i}]") for i, node in enumerate(nodes)]
    if any(isinstance(i, bool) or not isinstance(i, int | str) for i in ids):
        raise InvalidModelFile(f"device-placement file {name!r}: node ids must be whole numbers")
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise InvalidModelFile(f"device-placement file {name!r}: two nodes have id {twice!r}")
    own = [str(node.get("name", "")) for node in nodes]
    unique = len(set(own)) == len(own) and all(own)
    return {i: (given if unique else f"node{i}") for i, given in zip(ids, own, strict=True)}


def _list(data: Mapping[str, Any], key: str, name: str) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidModelFile(f"device-placement file {name!r}: {key} must be a list of objects")
    return value


def _field(item: Mapping[str, Any], key: str, name: str, where: str) -> Any:
    if key not in item:
        raise InvalidModelFile(f"device-placement file {name!r}: {where} lacks {key}")
    return item[key]


def _number(item: Mapping[str, Any], key: str, name: str, where: str) -> float:
    value = _field(item, key, name, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidModelFile(f"device-placement file {name!r}: {where}.{key} is {value!r}; it must be a number")
    return float(value)
