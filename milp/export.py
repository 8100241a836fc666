"""Write the whole model, rules and all, as LP or MPS for another solver."""

from __future__ import annotations

import os
import re
from pathlib import Path

from milp.embedding import partition_block
from milp.formulation.pyomo_import import ProblemFormat
from partition.errors import InvalidInput
from partition.files import replacing
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware

FORMATS = {".lp": ProblemFormat.cpxlp, ".mps": ProblemFormat.mps}


def write_model(graph: Graph, hw: Hardware, path: str | os.PathLike[str], *, threshold: float | None = None) -> None:
    """Write the MILP of ``graph`` on ``hw`` to ``path`` (``.lp`` or ``.mps``), atomically.

    Variables and rows carry the names of :mod:`milp.formulation.build`. The objective ``T`` is in units of the trivial
    bound; multiply by ``contract(graph, hw).unit`` for seconds. Nodes are numbered as in that instance.

    Parameters
    ----------
    threshold : period (seconds, or the file's unit) that placements of interest do not exceed: the model is
        restricted to the windows it implies, and ``T`` to it. By default every placement counts.

    Raises
    ------
    InvalidInput : another file ending, a threshold that no placement can meet, or a file that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InvalidInput(f"cannot tell the format of {str(path)!r}; end the file name in .lp or .mps")
    model = partition_block(graph, hw, longest=threshold).block
    model.goal.activate()
    model.name = re.sub(r"[^\w.:=,-]+", "_", graph.name)[:200]  # stands in a comment, which other names could end
    with replacing(path) as temporary:
        model.write(str(temporary), format=FORMATS[path.suffix.lower()], io_options={"symbolic_solver_labels": True})
