"""The device-placement JSON of Tarnawski et al. (NeurIPS 2020): a workload that brings its own hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partition.errors import Infeasible, InvalidInput, InvalidModelFile
from partition.problem.builder import GraphBuilder
from partition.problem.chip_kind import ChipKind
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect, Rules
from partition.readers import json_fields as field
from partition.text import shown

ACCELERATOR, CPU = "accelerator", "cpu"
TIME_UNIT = "file unit"
MOST_ACCELERATORS = 4096


def from_device_placement(data: Mapping[str, Any], *, name: str, max_cpus: int | None = None) -> tuple[Graph, Hardware]:
    """Graph and hardware of one file.

    Times are the file's own (``fpgaLatency``) and so is the unit of every result. Transfers go through main
    memory, serial with compute: a tensor's "bytes" are the ``cost`` of its edges and the bandwidth is 1. Nodes
    of one ``colorClass`` share a device; ``size`` is memory on the accelerator. Edges of one source with
    different costs become one tensor each.

    Parameters
    ----------
    data : the parsed file.
    name : of the model.
    max_cpus : CPU devices that may be used, anywhere along the pipeline; the file's ``maxCPUs`` by default. A CPU takes
        ``cpuLatency`` for a node, nothing for transfers, and holds any amount.

    Raises
    ------
    InvalidModelFile, InvalidGraph : a field is missing or of the wrong type, an id repeats, an edge dangles,
        the graph is cyclic.
    InvalidInput : ``max_cpus`` is no whole number >= 0.
    Infeasible : a node cannot run on an accelerator, and the file has no CPUs.
    """
    try:
        return _read(data, name, max_cpus)
    except Infeasible:
        raise
    except InvalidInput as error:
        raise type(error)(f"device-placement file {name!r}: {error}") from error


def _read(data: Mapping[str, Any], name: str, max_cpus: int | None) -> tuple[Graph, Hardware]:
    cpus = _count(data, "maxCPUs", least=0, default=0.0) if max_cpus is None else max_cpus
    if isinstance(cpus, bool) or not isinstance(cpus, int) or not 0 <= cpus <= MOST_ACCELERATORS:
        raise InvalidInput(f"max_cpus is {max_cpus!r}; it must be a whole number from 0 to {MOST_ACCELERATORS}")
    hardware = _hardware(data, name, cpus)
    nodes, edges = field.objects(data, "nodes", required=True), field.objects(data, "edges", required=True)
    names = _names(nodes)
    if not cpus:
        _refuse_cpu_nodes(nodes, names)
    inputs, outputs = _tensors(edges, names)
    builder = GraphBuilder(name)
    for i, node in enumerate(nodes):
        where, identity = f"nodes[{i}]", node["id"]
        color = node.get("colorClass")
        if color is not None and (isinstance(color, bool) or not isinstance(color, int | str)):
            raise InvalidModelFile(f"{where}.colorClass is {shown(color)}; it must be a whole number")
        builder.operation(
            names[identity],
            "Op",
            inputs=inputs[identity],
            outputs=outputs[identity],
            weights=field.amount(node, "size", where),
            bytes_accessed=0.0,
            group=color,
            backward=field.flag(node, "isBackwardNode", where, False, numeric=True),
            times=_times(node, where, cpus > 0),
        )
    return builder.build(), hardware


def _times(node: dict[str, Any], where: str, with_cpus: bool) -> dict[str, float]:
    supported = field.flag(node, "supportedOnFpga", where, True, numeric=True)
    on_accelerator = field.amount(node, "fpgaLatency", where) if supported else float("inf")
    return {ACCELERATOR: on_accelerator} | ({CPU: field.amount(node, "cpuLatency", where)} if with_cpus else {})


def _count(data: Mapping[str, Any], key: str, *, least: int, default: float | None = None) -> int:
    count = field.amount(data, key, "", default)
    if not (count.is_integer() and least <= count <= MOST_ACCELERATORS):
        raise InvalidModelFile(f"{key} is {count:g}; it must be a whole number from {least} to {MOST_ACCELERATORS}")
    return int(count)


def _hardware(data: Mapping[str, Any], name: str, cpus: int) -> Hardware:
    count = _count(data, "maxFPGAs", least=1)
    kinds = [ChipKind(ACCELERATOR, peak_flops=1.0, sram_bytes=field.amount(data, "maxSizePerFPGA", ""))]
    if cpus:
        kinds.append(ChipKind(CPU, peak_flops=1.0, free_transfers=True))
    return Hardware(
        name=f"{count} accelerators" + (f" and {cpus} CPUs" if cpus else "") + f" of {name}",
        kinds=tuple(kinds),
        kind_of_chip=(0,) * count + (1,) * cpus,
        interconnect=Interconnect("memory", link_bandwidth=1.0, transfers="serial"),
        rules=Rules(no_skipping=False, triangle=False, replication=False, relays=False),
        time_unit=TIME_UNIT,
        kind_order="free" if cpus else "fixed",
    )


def _names(nodes: list[dict[str, Any]]) -> dict[int | str, str]:
    """Node id -> operation name: the nodes' own where all have one and no two the same, else ``node<id>``."""
    position: dict[int | str, int] = {}
    for i, node in enumerate(nodes):
        identity = _identity(node, "id", f"nodes[{i}]")
        if position.setdefault(identity, i) != i:
            raise InvalidModelFile(
                f"nodes[{i}].id is {shown(identity)}, as nodes[{position[identity]}].id is; ids must be unique"
            )
    own = [field.text(node, "name", f"nodes[{i}]", "") for i, node in enumerate(nodes)]
    unique = len(set(own)) == len(own) and all(own)
    return {identity: own[i] if unique else f"node{identity}" for identity, i in position.items()}


def _identity(row: Mapping[str, Any], key: str, where: str) -> int | str:
    if key not in row:
        raise InvalidModelFile(f"{where}.{key} is missing; give it")
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidModelFile(f"{where}.{key} is {shown(value)}; it must be a whole number")
    return value


def _refuse_cpu_nodes(nodes: list[dict[str, Any]], names: Mapping[int | str, str]) -> None:
    only_cpu = [
        names[node["id"]]
        for i, node in enumerate(nodes)
        if not field.flag(node, "supportedOnFpga", f"nodes[{i}]", True, numeric=True)
    ]
    if only_cpu:
        raise Infeasible(
            f"node {only_cpu[0]!r} ({len(only_cpu)} in all) runs on CPUs only, and there are none",
            rule="support",
            operations=tuple(only_cpu),
        )


def _tensors(
    edges: list[dict[str, Any]], names: Mapping[int | str, str]
) -> tuple[dict[int | str, list[str]], dict[int | str, dict[str, float]]]:
    """For each node the tensors it reads, and those it produces with their transfer times."""
    inputs: dict[int | str, list[str]] = {identity: [] for identity in names}
    by_cost: dict[int | str, dict[float, str]] = {identity: {} for identity in names}
    for i, edge in enumerate(edges):
        where = f"edges[{i}]"
        source, target = _identity(edge, "sourceId", where), _identity(edge, "destId", where)
        for key, end in (("sourceId", source), ("destId", target)):
            if end not in names:
                raise InvalidModelFile(f"{where}.{key} names node {shown(end)}, which does not exist; add it to nodes")
        tensors = by_cost[source]
        name = names[source] if not tensors else f"{names[source]}:{len(tensors)}"
        inputs[target].append(tensors.setdefault(field.amount(edge, "cost", where), name))
    outputs = {u: {name: cost for cost, name in tensors.items()} for u, tensors in by_cost.items()}
    return inputs, outputs
