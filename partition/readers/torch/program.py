"""The program that is read: functional, with regions inlined, every write a new tensor."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from partition.errors import InvalidModelFile
from partition.readers.torch.layers import write_layers
from partition.readers.torch.signature import is_joint, unstated_training
from partition.readers.torch.unroll import unroll

if TYPE_CHECKING:
    from torch.export import ExportedProgram

REFUSED = {"cond": "torch.cond", "while_loop": "torch.while_loop", "while_loop_stack_output": "torch.while_loop"}
"""Control flow that depends on data: higher-order operator -> what the user wrote."""


def functional(program: Any) -> ExportedProgram:
    """The same program without writes in place, without regions and without loops.

    ``run_decompositions({})`` keeps every operator, but turns a write into a new tensor that later readers read. So it
    does with writes through a chain of views, and by operators whose schema says that they write. It inlines
    ``no_grad``, ``autocast`` and checkpointed regions, and writes ``associative_scan`` out. What it leaves of loops
    whose number of steps is known is written out here. So are the layers and directions of recurrent operators. A
    joint program of forward and backward pass is functional already.

    Raises
    ------
    InvalidModelFile : ``program`` is no exported program, or cannot be made functional. It holds control flow that
        depends on data, or a backward pass of which its signature says nothing.
    """
    _refuse_other_kinds(program)
    _refuse_control_flow(program.graph_module)
    if is_joint(program):
        return program  # type: ignore[no-any-return]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about how it traces
            plain = program.run_decompositions({})
    except Exception as error:  # torch traces the program again: whatever its operators raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidModelFile(
            f"the program cannot be made functional by run_decompositions ({type(error).__name__}: {reason}); "
            "the order of its writes in place is not known without that"
        ) from error
    _refuse_unstated_training(plain)
    unroll(plain)
    write_layers(plain)
    return plain  # type: ignore[no-any-return]


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


def _refuse_unstated_training(program: Any) -> None:
    if reason := unstated_training(program):
        raise InvalidModelFile(
            f"the program trains, but its signature does not say which gradient is whose: {reason}; export the module "
            "with its loss as the result, and give what torch.export.experimental._export_forward_backward makes of it"
        )


def _refuse_control_flow(module: Any) -> None:
    for node in module.graph.nodes:
        kind = getattr(node.target, "__name__", "")
        if node.op == "call_function" and kind in REFUSED and not hasattr(node.target, "overloadpacket"):
            raise InvalidModelFile(
                f"operation {node.name!r} is {REFUSED[kind]}, control flow that depends on data, and cannot be "
                "partitioned; export one branch at a time, or a loop with a known number of steps (scan)"
            )
        if node.op == "get_attr" and hasattr(inner := getattr(module, str(node.target), None), "graph"):
            _refuse_control_flow(inner)
