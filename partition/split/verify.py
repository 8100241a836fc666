"""Proof by running: the parts one after the other against the whole model, on the same inputs, by onnxruntime."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from partition.errors import DoubtfulModel, InvalidInput, InvalidModelFile
from partition.split.comparing import ROUNDING, UNITS, UNITS_PER_CUT, Comparison, difference, one_value
from partition.split.inputs import HOW, checked_inputs, element_of, random_inputs
from partition.split.manifest import Manifest
from partition.split.running import RUN_LIMIT, open_session, run_session


def verify_parts(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    seeds: int = 1,
    inputs: Mapping[str, Any] | None = None,
    optimised: bool = False,
) -> list[Comparison]:
    """Run the whole model and the parts that :func:`~partition.split.split_model` wrote, and compare every output.

    Results of kernels that fuse differently count as equal within :data:`~partition.split.comparing.UNITS` roundings to
    32-bit floats. Where narrower floats enter or leave parts, onnxruntime rounds at the cut what it does not round
    inside a model: :data:`~partition.split.comparing.UNITS_PER_CUT` roundings to that type for each such tensor.

    Parameters
    ----------
    seed, seeds : of random inputs, drawn ``seeds`` times: floats normal, integers and booleans 0 or 1.
    inputs : name -> values, instead.
    optimised : let onnxruntime fuse operators, in the whole and in the parts: faster, and no longer bit for bit.

    Returns
    -------
    One comparison per output, over all seeds the worst.

    Raises
    ------
    InvalidInput : no such folder, an input is missing, a run would not fit into memory, no onnxruntime.
    InvalidModelFile : onnxruntime cannot run the model (the operator is named) or a part.
    """
    proof = _PartsCheck(Path(model), Path(folder), optimised)
    whole = open_session(proof.model, optimised)
    if inputs:
        runs = [checked_inputs(whole, inputs)]
    else:
        proof.check_memory()
        runs = [random_inputs(whole, proof.manifest.dims, s) for s in range(seed, seed + max(1, seeds))]
    expected = [proof.run_whole(whole, feeds, drawn=not inputs) for feeds in runs]
    del whole  # before the parts, which hold the same weights
    try:
        found = proof.run_parts(runs)
        compared = [proof.compared(name, expected, found) for name in proof.manifest.outputs]
    except KeyError as error:
        raise InvalidInput(
            f"the manifest in {str(folder)!r} is incomplete: {error} comes from nowhere; split again"
        ) from error
    different = [each.output for each in compared if not each.equal]
    if different and (drawn := proof.drawn_by()):
        raise InvalidInput(
            f"output {different[0]!r} differs, but operation {drawn!r} of the model draws random numbers, so no two "
            "runs agree; export the model for inference, or with a seed at that operation"
        )
    return compared


class _PartsCheck:
    """The parts of a model, and what was seen of them."""

    def __init__(self, model: Path, folder: Path, optimised: bool) -> None:
        self.model, self.folder, self.optimised = model, folder, optimised
        self.manifest = Manifest.read(folder)
        self.crossing: list[str] = []  # types of floats that enter or leave parts

    def tolerance(self) -> tuple[float, str]:
        """Largest relative difference that counts as equal, and the type whose rounding explains it."""
        narrow = [kind for kind in self.crossing if ROUNDING[kind] > ROUNDING["float"]]
        if not narrow:
            return UNITS * ROUNDING["float"], "float"
        kind = max(narrow, key=lambda kind: ROUNDING[kind])
        return min(UNITS, UNITS_PER_CUT * narrow.count(kind)) * ROUNDING[kind], kind

    def check_memory(self) -> None:
        """Refuse a run that no memory of this machine can hold."""
        from partition.readers.onnx.model import read_onnx

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtfulModel)
            graph = read_onnx(self.model, dims=dict(self.manifest.dims))
        touched = np.bincount(graph.producer, weights=graph.tensor_bytes, minlength=graph.n)
        touched += np.bincount(graph.consumers, weights=graph.tensor_bytes[graph.edge_tensor], minlength=graph.n)
        need = float(touched.max() + graph.weights.sum() + graph.shared_bytes.sum())
        have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else float("inf")
        if need > have:
            raise InvalidInput(
                f"running {str(self.model)!r} takes at least {need / 2**30:.1f} GiB, this machine has "
                f"{have / 2**30:.1f}; verify with smaller dimensions"
            )

    def drawn_by(self) -> str:
        """The first operation that draws random numbers without a seed; empty if there is none."""
        from partition.readers.onnx.file import open_model
        from partition.readers.onnx.shapes import GraphScope
        from partition.readers.onnx.walk import all_graphs, subgraphs

        model = open_model(self.model)
        scope = GraphScope(model)
        nodes = [node for graph in all_graphs(model) for node in graph.node]
        return next((n.name or n.output[0] for n in nodes if not subgraphs(n) and not scope.is_deterministic(n)), "")

    def run_whole(self, session: Any, feeds: Mapping[str, Any], *, drawn: bool) -> dict[str, Any]:
        """The model's outputs."""
        names = list(self.manifest.outputs)
        try:
            return dict(zip(names, run_session(session, names, feeds, self.model, within=RUN_LIMIT), strict=True))
        except InvalidModelFile as error:
            if not drawn:
                raise
            counted = [value.name for value in session.get_inputs() if "int" in value.type]
            likely = (
                f"integers are drawn as 0 or 1 ({', '.join(map(repr, counted))})" if counted else "values are random"
            )
            raise InvalidInput(
                f"the model itself does not run on drawn inputs: {likely}, which may not suit it; {HOW}; {error}"
            ) from error

    def run_parts(self, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same from the parts, one after the other, for each set of inputs."""
        results: list[dict[str, Any]] = [{} for _ in runs]
        arrived: list[dict[tuple[str, int], Any]] = [{} for _ in runs]
        for part in self.manifest.parts:
            if not part.outputs:  # replicas that nobody reads
                continue
            path = self.folder / part.file
            session = open_session(path, self.optimised)
            kinds = [element_of(value.type) for value in (*session.get_inputs(), *session.get_outputs())]
            self.crossing += [kind for kind in kinds if kind in ROUNDING]
            for k, feeds in enumerate(runs):
                given = {p.name: feeds[p.tensor] if p.host else arrived[k][p.tensor, part.chip] for p in part.inputs}
                values = run_session(session, [p.name for p in part.outputs], given, path, within=RUN_LIMIT)
                for port, value in zip(part.outputs, values, strict=True):
                    arrived[k].update({(port.tensor, chip): value for chip in port.chips})
                    if port.host:
                        results[k][port.tensor] = value
        return results

    def compared(self, name: str, expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> Comparison:
        """One output over all sets of inputs, with its worst difference."""
        worst = max(difference(a[name], b[name]) for a, b in zip(expected, found, strict=True))
        tolerance, rounding = self.tolerance()
        return Comparison(name, worst == 0.0, worst, tolerance, rounding, one_value([a[name] for a in expected]))
