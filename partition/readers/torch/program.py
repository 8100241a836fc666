"""The program that is read: functional, with regions inlined, every write a new tensor."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from partition.errors import InvalidModelFile
from partition.readers.torch.signature import is_joint

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_DATA = "control flow that depends on data"
_LOOP = "a loop with a body of its own"

REFUSED = {
    "cond": f"torch.cond, {_DATA}",
    "while_loop": f"torch.while_loop, {_DATA}",
    "map_impl": f"map, {_LOOP}",
    "scan": f"scan, {_LOOP}",
    "associative_scan": f"associative_scan, {_LOOP}",
}
"""Control flow: higher-order operator -> what the user wrote, and what it is."""


def functional(program: Any) -> ExportedProgram:
    """The same program without writes in place and without regions.

    ``run_decompositions({})`` keeps every operator, but turns a write, also one through a chain of views or one by an
    operator whose schema says that it writes, into a new tensor that later readers read. It inlines ``no_grad``,
    ``autocast`` and checkpointed regions. A joint program of forward and backward pass is functional already.

    Raises
    ------
    InvalidModelFile : ``program`` is no exported program, holds control flow that depends on data, or cannot be made
        functional.
    """
    _refuse_other_kinds(program)
    _refuse_control_flow(program.graph_module)
    if is_joint(program):
        return program  # type: ignore[no-any-return]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about how it traces
            return program.run_decompositions({})  # type: ignore[no-any-return]
    except Exception as error:  # torch traces the program again: whatever its operators raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidModelFile(
            f"the program cannot be made functional by run_decompositions ({type(error).__name__}: {reason}); "
            "the order of its writes in place is not known without that"
        ) from error


def _refuse_other_kinds(program: Any) -> None:
    kind = type(program)
    if kind.__module__.startswith("torch.jit") or kind.__name__ in ("ScriptFunction", "ScriptModule"):
        raise InvalidModelFile(
            f"a {kind.__name__} of torch.jit holds no operations with shapes; give what "
            "torch.export.export(module, args) returns for the module that was traced or scripted"
        )
    if not all(hasattr(program, name) for name in ("graph_module", "graph_signature", "run_decompositions")):
        raise InvalidModelFile(
            f"{kind.__name__!r} is not an exported program; give what torch.export.export(module, args) returns"
        )


def _refuse_control_flow(module: Any) -> None:
    for node in module.graph.nodes:
        kind = getattr(node.target, "__name__", "")
        if node.op == "call_function" and kind in REFUSED and not hasattr(node.target, "overloadpacket"):
            raise InvalidModelFile(
                f"operation {node.name!r} is {REFUSED[kind]}, and cannot be partitioned; export the module without it: "
                "one branch at a time, or the steps of a loop written out"
            )
        if node.op == "get_attr" and hasattr(inner := getattr(module, str(node.target), None), "graph"):
            _refuse_control_flow(inner)
