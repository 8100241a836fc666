"""mcm-partition: which chip of a Multi-Chip-Module runs which operation, with a proof of how good the answer is.

>>> from partition import load_hardware, load_model, partition
>>> result = partition(load_model("bert-large").graph, load_hardware("ring36"))
>>> print(result)                                   # doctest: +SKIP

Each name is loaded when it is first used (PEP 562), so that who needs the graph alone never imports the solver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from partition.version import VERSION

if TYPE_CHECKING:
    from partition.errors import (
        DoubtfulModel,
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
    from partition.problem.builder import GraphBuilder
    from partition.problem.chip_kind import ChipKind
    from partition.problem.graph import Graph
    from partition.problem.hardware import Hardware, Interconnect, Rules
    from partition.problem.hardware_files import load_hardware
    from partition.problem.placement import Placement
    from partition.problem.wishes import Wishes
    from partition.readers.load import load_model
    from partition.results.lower_bound import LowerBound
    from partition.results.progress import Progress
    from partition.results.result import Result
    from partition.results.sweep_result import SweepResult, SweepRow
    from partition.scoring.cost import Cost, CostModel, evaluate, evaluate_placement
    from partition.scoring.rules import Violation, check, valid
    from partition.solve.front import partition
    from partition.solve.sweep import Sweep

__version__ = VERSION

__all__ = [
    "ChipKind",
    "Cost",
    "CostModel",
    "DoubtfulModel",
    "Graph",
    "GraphBuilder",
    "Hardware",
    "Infeasible",
    "Interconnect",
    "InvalidAssignment",
    "InvalidGraph",
    "InvalidHardware",
    "InvalidInput",
    "InvalidModelFile",
    "LowerBound",
    "NoSolutionInTime",
    "PartitionError",
    "Placement",
    "Progress",
    "RefutedBound",
    "Repair",
    "Repaired",
    "Result",
    "Rules",
    "SearchFault",
    "SolverError",
    "Sweep",
    "SweepResult",
    "SweepRow",
    "Violation",
    "Wishes",
    "check",
    "evaluate",
    "evaluate_placement",
    "load_hardware",
    "load_model",
    "partition",
    "valid",
]  # fmt: skip

_HOME = {
    "partition.errors": (
        "DoubtfulModel", "Infeasible", "InvalidAssignment", "InvalidGraph", "InvalidHardware", "InvalidInput",
        "InvalidModelFile", "NoSolutionInTime", "PartitionError", "RefutedBound", "SearchFault", "SolverError",
    ),
    "partition.heuristics.repair": ("Repair", "Repaired"),
    "partition.readers.doors": ("Graph", "GraphBuilder"),
    "partition.problem.chip_kind": ("ChipKind",),
    "partition.problem.hardware": ("Hardware", "Interconnect", "Rules"),
    "partition.problem.hardware_files": ("load_hardware",),
    "partition.problem.placement": ("Placement",),
    "partition.problem.wishes": ("Wishes",),
    "partition.readers.load": ("load_model",),
    "partition.results.progress": ("Progress",),
    "partition.solve": ("Result",),
    "partition.scoring.cost": ("Cost", "CostModel", "evaluate", "evaluate_placement"),
    "partition.scoring.rules": ("Violation", "check", "valid"),
    "partition.results.lower_bound": ("LowerBound",),
    "partition.results.sweep_result": ("SweepResult", "SweepRow"),
    "partition.solve.front": ("partition",),
    "partition.solve.sweep": ("Sweep",),
}  # fmt: skip
"""The module that each public name is loaded from."""


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module 'partition' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
