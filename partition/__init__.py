"""mcm-partition: which chip of a Multi-Chip-Module runs which operation, with a proof of how good the answer is.

>>> from partition import load_hardware, load_model, partition
>>> result = partition(load_model("bert-large").graph, load_hardware("ring36"))
>>> print(result)                                   # doctest: +SKIP
"""

from partition.cost import Cost, CostModel, evaluate, evaluate_placement
from partition.errors import (
    Infeasible,
    InvalidAssignment,
    InvalidGraph,
    InvalidHardware,
    InvalidInput,
    InvalidModelFile,
    NoSolutionInTime,
    PartitionError,
    RefutedBound,
    SearchFault,
    SolverError,
)
from partition.front import partition
from partition.graph import Graph, GraphBuilder
from partition.hardware import ChipKind, Hardware, Interconnect, Rules
from partition.hardware_files import load_hardware
from partition.placement import Placement
from partition.progress import Progress
from partition.readers.sources import load_model
from partition.repair import Repair, Repaired
from partition.result import Result
from partition.rules import Violation, check, valid

__version__ = "0.1.0"

__all__ = [
    "ChipKind", "Cost", "CostModel", "Graph", "GraphBuilder", "Hardware", "Infeasible", "Interconnect",
    "InvalidAssignment", "InvalidGraph", "InvalidHardware", "InvalidInput", "InvalidModelFile", "NoSolutionInTime",
    "PartitionError", "Placement", "Progress", "RefutedBound", "Repair", "Repaired", "Result", "Rules", "SearchFault",
    "SolverError", "Violation", "check", "evaluate", "evaluate_placement", "load_hardware", "load_model", "partition",
    "valid",
]  # fmt: skip
