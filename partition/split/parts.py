"""Cut an ONNX model into one model per chip, replicas and relays in place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from partition.errors import InvalidAssignment, InvalidInput, InvalidModelFile
from partition.extras import require
from partition.problem.graph import Graph
from partition.problem.placement import Placement
from partition.readers.several import rates_in
from partition.results.result import Result
from partition.results.saved import dims_of
from partition.split.flows import Flows
from partition.split.manifest import FILE, Manifest, Part, Port, Prediction
from partition.text import shown

LARGE = 2**29
"""Bytes of weights from which a part keeps them in a file of its own (a protobuf ends at 2 GiB)."""

SMALL = 1024
"""Bytes up to which a weight stays inside the model in any case."""


def split_model(
    model: str | os.PathLike[str],
    answer: Result | Placement | Mapping[str, Any],
    folder: str | os.PathLike[str],
    *,
    dims: Mapping[str, int] | None = None,
    inputs: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Manifest:
    """Write ``chip_00.onnx``, ``chip_01.onnx``, ... and ``manifest.json`` into a folder.

    Every part is a valid ONNX model of fixed shapes with the weights it needs. Constants are repeated where they are
    read; a tensor that a chip hands on without having made it leaves the part under a name of its own.

    Parameters
    ----------
    answer : a result, a placement, or the JSON object of a solve.
    folder : must not exist, or be empty, unless ``force``.
    dims : values of symbolic dimensions; by default those of the solve.
    inputs : name -> values, for the run that shows the types of tensors that inference leaves open; drawn by default.

    Raises
    ------
    InvalidInput : the folder is in use or cannot be written; nothing is left half-written.
    InvalidAssignment : the answer is for another model or another version of it, or its chips feed one another in a
        circle.
    InvalidModelFile : the model cannot be read or cut, or onnx is not installed.
    """
    require("splitting ONNX models", "onnx")
    from partition.split.source import open_whole

    target = Path(folder)
    _check_free(target, force)
    dims = dims_with(dims, model, answer)
    whole = open_whole(model, dims)
    placement = placement_of(whole.graph, answer)
    cut = _PartBoundaries(whole, placement)
    parts = tuple(cut.part(chip) for chip in cut.order)
    whole.learn_types({port.tensor for part in parts for port in (*part.inputs, *part.outputs)}, inputs)
    manifest = Manifest(
        model=whole.graph.name,
        fingerprint=whole.graph.fingerprint,
        dims=dims,
        inputs=tuple(value.name for value in whole.proto.graph.input),
        outputs=tuple(value.name for value in whole.proto.graph.output),
        parts=parts,
        prediction=_prediction(answer),
    )
    _write(target, manifest, cut)
    return manifest


def _check_free(target: Path, force: bool) -> None:
    if target.exists() and not target.is_dir():
        raise InvalidInput(f"{str(target)!r} is a file; give a folder for the parts")
    if not force and target.is_dir() and any(target.iterdir()):
        raise InvalidInput(f"the folder {str(target)!r} is not empty; give another one, or --force to replace it")


def _prediction(answer: Result | Placement | Mapping[str, Any]) -> Prediction | None:
    if isinstance(answer, Placement):
        return None
    try:
        return Prediction.of_answer(answer.to_dict() if isinstance(answer, Result) else answer)
    except (AttributeError, KeyError, TypeError, ValueError):  # a bare map of names, or an answer edited by hand
        return None


def dims_with(
    given: Mapping[str, int] | None, model: str | os.PathLike[str], answer: Result | Placement | Mapping[str, Any]
) -> dict[str, int]:
    """Values of the symbolic dimensions: those of the solve, and in their place what is given here."""
    if isinstance(answer, Placement):
        told: Mapping[str, int] = {}
    else:
        told = answer.graph.dims if isinstance(answer, Result) else dims_of(answer, model)
    return {**told, **(given or {})}


def placement_of(graph: Graph, answer: Result | Placement | Mapping[str, Any]) -> Placement:
    """The placement that an answer gives of this very graph; InvalidAssignment if there is none."""
    if isinstance(answer, Result):
        _check_one(graph, answer.graph.name, answer.graph.fingerprint, in_parts=answer.shards is not None)
        if answer.graph.fingerprint != graph.fingerprint:
            raise InvalidAssignment(_OTHER.format(graph.name))
        if answer.placement is None:
            raise InvalidAssignment("this answer is infeasible: there is no placement in it")
        return answer.placement
    if isinstance(answer, Placement):
        if len(answer.assignment) != graph.n:
            raise InvalidAssignment(_OTHER.format(graph.name))
        return answer
    _check_one(graph, str(answer.get("model", "")), answer.get("fingerprint"), in_parts=bool(answer.get("shards")))
    return Placement.from_answer(graph, answer)


def _check_one(graph: Graph, name: str, fingerprint: object, in_parts: bool) -> None:
    """InvalidAssignment if the answer is not for this graph, but for several models or one with operations in parts."""
    if fingerprint == graph.fingerprint:
        return
    if in_parts:
        raise InvalidAssignment(
            "this answer has operations in parts, and the model has none; write the model with parts "
            "(mcm-partition shard), solve that and split it"
        )
    count = len(rates_in(name))
    if count > 1:
        raise InvalidAssignment(
            f"an answer for {'two' if count == 2 else count} models cannot be cut ({shown(name, 300)}); "
            f"solve {graph.name!r} alone"
        )


_OTHER = "the answer is for another model than {!r}, or for another version of it; solve again"


class _PartBoundaries:
    """What every part holds, reads and hands on."""

    def __init__(self, whole: Any, placement: Placement) -> None:
        self.whole, self.graph, self.placement = whole, whole.graph, placement
        flows = Flows.of(whole.graph, placement)
        self.chips, self.here, self.sent, self.source, self.order = (
            flows.chips, flows.here, flows.sent, flows.source, flows.order,
        )  # fmt: skip
        self.tensor = {name: t for t, name in enumerate(self.graph.tensor_names)}
        self.inputs = {value.name for value in whole.proto.graph.input}
        self.wanted = self._wanted_by_host()

    def _wanted_by_host(self) -> dict[int, list[str]]:
        """Chip -> outputs of the model that it delivers; constants and inputs by the first part."""
        wanted: dict[int, list[str]] = defaultdict(list)
        for value in self.whole.proto.graph.output:
            t = self.tensor.get(value.name)
            home = None if t is None else int(self.placement.assignment[self.graph.producer[t]])
            wanted[home if home in self.order else self.order[0]].append(value.name)
        return wanted

    def nodes(self, chip: int) -> tuple[list[int], dict[str, Any]]:
        """Nodes of the part in the model's order, its operations and what states the constants they read; and the
        constants that are computed from others, by name."""
        whole = self.whole
        chosen = {i for i, v in enumerate(whole.operation) if v is not None and v in self.here[chip]}
        read = [tensor for i in chosen for tensor in whole.reads[i]] + self.wanted[chip]
        constant = [
            t for t in dict.fromkeys(read) if (i := whole.maker.get(t)) is not None and whole.operation[i] is None
        ]
        folded = whole.fold(constant)
        return sorted(chosen | set(whole.constant_nodes(constant, folded))), folded

    def part(self, chip: int) -> Part:
        """The ports of one part."""
        nodes, folded = self.nodes(chip)
        made = {tensor for i in nodes for tensor in self.whole.proto.graph.node[i].output}
        leaving = [t for t, a in self.sent if a == chip]
        read = [tensor for i in nodes for tensor in self.whole.reads[i]]
        read += [self.graph.tensor_names[t] for t in leaving] + self.wanted[chip]
        held = self.whole.weights | folded
        outer = [t for t in dict.fromkeys(read) if t not in made and t not in held]
        inputs = tuple(self._input(tensor, chip) for tensor in outer)
        outputs = []
        for t in sorted(leaving):
            tensor = self.graph.tensor_names[t]
            host = tensor in self.wanted[chip]
            outputs.append(self._output(tensor, made, tuple(sorted(self.sent[t, chip])), host=host))
        done = {port.tensor for port in outputs}
        outputs += [self._output(tensor, made, (), host=True) for tensor in self.wanted[chip] if tensor not in done]
        copies = self.placement.replicas[self.placement.replicas[:, 1] == chip, 0]
        relays = self.placement.relays[self.placement.relays[:, 1] == chip, 0]
        return Part(
            chip=chip,
            file=f"chip_{chip:0{len(str(self.chips - 1))}d}.onnx",
            operations=len(self.here[chip]),
            weight_bytes=self._weight_bytes(chip),
            inputs=inputs,
            outputs=tuple(outputs),
            replicas=tuple(self.graph.names[v] for v in copies.tolist()),
            relays=tuple(self.graph.tensor_names[t] for t in relays.tolist()),
        )

    def _weight_bytes(self, chip: int) -> float:
        """Bytes of the weights that the chip's operations use, a shared one once, as the memory rule counts them."""
        g, here = self.graph, np.array(sorted(self.here[chip]), dtype=np.int64)
        shared = np.repeat(np.arange(len(g.shared_bytes)), np.diff(g.shared_ptr))
        used = np.unique(shared[np.isin(g.shared_users, here)])
        return float(g.weights[here].sum() + g.shared_bytes[used].sum())

    def _bytes(self, tensor: str) -> float:
        t = self.tensor.get(tensor)
        return 0.0 if t is None else float(self.graph.tensor_bytes[t])

    def _input(self, tensor: str, chip: int) -> Port:
        source = self.source.get((self.tensor[tensor], chip))
        if source is not None and source in self.order:
            return Port(tensor, tensor, self._bytes(tensor), (source,), host=False)
        return Port(tensor, tensor, self._bytes(tensor), (), host=True)

    def _output(self, tensor: str, made: set[str], chips: tuple[int, ...], *, host: bool) -> Port:
        name = tensor if tensor in made else f"{tensor}/handed_on"
        return Port(tensor, name, self._bytes(tensor), chips, host)

    def model(self, part: Part) -> Any:
        """The ONNX model of one part."""
        from onnx import helper

        whole, proto = self.whole, self.whole.proto
        chosen, folded = self.nodes(part.chip)
        nodes = [proto.graph.node[i] for i in chosen]
        nodes += [
            helper.make_node("Identity", [port.tensor], [port.name], name=port.name)
            for port in part.outputs
            if port.name != port.tensor
        ]
        read = {tensor for i in chosen for tensor in whole.reads[i]} | {p.tensor for p in part.outputs}
        graph = helper.make_graph(
            nodes,
            f"{proto.graph.name or self.graph.name} on chip {part.chip}",
            [whole.value_info(port.tensor, port.name) for port in part.inputs],
            [whole.value_info(port.tensor, port.name) for port in part.outputs],
            [*(tensor for tensor in proto.graph.initializer if tensor.name in read), *folded.values()],
            sparse_initializer=[tensor for tensor in proto.graph.sparse_initializer if tensor.values.name in read],
        )
        model = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=max(proto.ir_version, 4))
        for said in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
            setattr(model, said, getattr(proto, said))
        model.metadata_props.extend(proto.metadata_props)
        return model


def _check_part(path: str) -> None:
    """Check a part; operators of the main domain that onnxruntime alone knows are the model's own."""
    import onnx

    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        if "No Op registered for" not in str(error):
            raise


def _write(target: Path, manifest: Manifest, cut: _PartBoundaries) -> None:
    """All files in a folder beside the target, moved into place at the end."""
    import onnx

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise InvalidInput(f"cannot write to {str(target)!r}: {error.strerror or error}") from error
    try:
        for part in manifest.parts:
            model, path = cut.model(part), work / part.file
            apart = sum(weight.ByteSize() for weight in model.graph.initializer) >= LARGE
            beside = f"{part.file}.data" if apart else None
            onnx.save_model(model, str(path), save_as_external_data=apart, location=beside, size_threshold=SMALL)
            _check_part(str(path))
        (work / FILE).write_text(manifest.to_json() + "\n", encoding="utf-8")
        work.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        work.rename(target)
    except OSError as error:
        raise InvalidInput(f"cannot write to {str(target)!r}: {error.strerror or error}") from error
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidModelFile(f"part {part.file} of {manifest.model!r} is not valid ONNX: {reason}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
