"""The whole model with the stage of every node written into it, for those who do not want files cut."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from partition.errors import InvalidInput, InvalidModelFile
from partition.extras import require
from partition.files import replacing
from partition.problem.placement import Placement
from partition.results.result import Result
from partition.split.parts import LARGE, dims_with, placement_of

IR_VERSION = 11
"""Of ONNX, the first that has device configurations and pipeline stages."""

CONFIGURATION = "mcm-partition"
"""Name of the device configuration that the nodes refer to."""


def annotate_model(
    model: str | os.PathLike[str],
    answer: Result | Placement | Mapping[str, Any],
    target: str | os.PathLike[str],
    *,
    dims: Mapping[str, int] | None = None,
) -> int:
    """Write the model with ONNX's ``device_configurations``: one device per chip, a ``pipeline_stage`` on every node.

    The stage is the chip of the operation. Nodes that state constants carry none. Functions are inlined and
    dimensions fixed, as for :func:`~partition.split.split_model`.

    Returns
    -------
    nodes that carry a stage.

    Raises
    ------
    InvalidAssignment : the answer is for another model.
    InvalidInput : the answer replicates or relays, which a stage per node cannot say; or the file cannot be written.
    InvalidModelFile : the model cannot be read, or holds more than a file of ONNX can.
    """
    require("annotating ONNX models", "onnx")
    import onnx

    from partition.split.source import open_whole

    whole = open_whole(model, dims_with(dims, model, answer))
    placement = placement_of(whole.graph, answer)
    if len(placement.replicas) or len(placement.relays):
        raise InvalidInput(
            "the answer replicates operations or relays tensors, which one stage per node cannot say; solve with "
            "--hw NAME:replication=off,relays=off"
        )
    if whole.proto.ByteSize() >= 4 * LARGE:
        raise InvalidModelFile("the model is larger than 2 GiB, which one file of ONNX cannot hold; split it instead")
    proto, chips = whole.proto, placement.assignment.tolist()
    proto.ir_version = max(proto.ir_version, IR_VERSION)
    count = max(chips) + 1
    proto.configuration.add(name=CONFIGURATION, num_devices=count, device=[f"chip {c}" for c in range(count)])
    stages = 0
    for node, v in zip(proto.graph.node, whole.operation, strict=True):
        if v is not None:
            node.device_configurations.add(configuration_id=CONFIGURATION, pipeline_stage=chips[v])
            stages += 1
    with replacing(target) as path:
        onnx.save_model(proto, str(path))
    return stages
