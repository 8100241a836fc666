"""mcm-partition: which chip of a Multi-Chip-Module runs which operation, with a proof of how good the answer is.

>>> from partition import load_hardware, load_model, partition
>>> result = partition(load_model("bert-large").graph, load_hardware("ring36"))
>>> print(result)                                   # doctest: +SKIP
"""

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
from partition.heuristics.repair import Repair, Repaired
from partition.problem.graph import Graph, GraphBuilder
from partition.problem.hardware import ChipKind, Hardware, Interconnect, Rules
from partition.problem.hardware_files import load_hardware
from partition.problem.placement import Placement
from partition.readers.load import load_model
from partition.results.progress import Progress
from partition.results.result import Result
from partition.scoring.cost import Cost, CostModel, evaluate, evaluate_placement
from partition.scoring.rules import Violation, check, valid
from partition.solve.front import partition

__version__ = "0.1.0"

__all__ = [
    "ChipKind", "Cost", "CostModel", "Graph", "GraphBuilder", "Hardware", "Infeasible", "Interconnect",
    "InvalidAssignment", "InvalidGraph", "InvalidHardware", "InvalidInput", "InvalidModelFile", "NoSolutionInTime",
    "PartitionError", "Placement", "Progress", "RefutedBound", "Repair", "Repaired", "Result", "Rules", "SearchFault",
    "SolverError", "Violation", "check", "evaluate", "evaluate_placement", "load_hardware", "load_model", "partition",
    "valid",
]  # fmt: skip
