"""The guide of the beams: two small networks that see what a beam sees, and one file that holds both.

One network gives each tensor a price, once a beam. The other gives each state two numbers: the time that is lost beyond
the prices if the block goes on with this node, and if the package goes on behind this boundary. A new guide is the
constant :data:`BASE`, so what it learns is what lies between the constants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike

import numpy as np

from learned.policy.network import Array, Parameters, forward, initial_parameters
from learned.policy.policy import FORMAT, arrays_below, checked_network, load_arrays, save_arrays
from milp.search.downsets.guidance import PACKAGE_NAMES, STATE_NAMES, TENSOR_NAMES
from partition.arrays import Array32, FloatArray
from partition.errors import InvalidInput

BASE = 0.5
"""Price of a new guide: what a unit of transfer time that crosses costs later, in a chip's time."""

FACTOR = 4.0
"""Prices are at most so many times the base, and at least one such part of it."""

MOST = 1.0
"""Most time that a state is foreseen to lose or gain beyond its toll, in periods."""

PRICES, LOSSES = "prices", "losses"
"""Names of the networks."""

INPUTS = {PRICES: TENSOR_NAMES, LOSSES: STATE_NAMES}
BLUNT = 4.0
"""By how much less columns of the package are seen than others: a few graphs to learn from have as many packages."""

HIDDEN = {PRICES: (12,), LOSSES: (16,)}
OUTPUTS = {PRICES: 1, LOSSES: 2}


@dataclass(frozen=True, eq=False)
class GuideNetwork:
    """A multilayer perceptron and the scaling of its inputs.

    Attributes
    ----------
    parameters : see :mod:`learned.policy.network`.
    mean, scale : (I,) of the inputs.
    """

    parameters: Parameters
    mean: Array32
    scale: Array32

    @cached_property
    def _folded(self) -> Parameters:
        """Parameters for inputs as they come."""
        folded = dict(self.parameters)
        for name, bias in (("W0", "b0"), ("skip", f"b{sum(n.startswith('W') for n in folded) - 1}")):
            folded[name] = self.parameters[name] / self.scale[:, None]
            folded[bias] = folded[bias] - self.mean @ folded[name]
        return folded

    def scaled(self, table: Array32) -> Array32:
        """(R, I) inputs as the parameters take them."""
        return np.asarray((table - self.mean) / self.scale, dtype=np.float32)

    def __call__(self, table: Array32) -> Array:
        """(R, O) outputs for inputs (R, I)."""
        return forward(self._folded, table)[0]


@dataclass(frozen=True, eq=False)
class BeamGuide:
    """An opinion of tensors and states; see :class:`milp.state.advice.Opinion`.

    Attributes
    ----------
    networks : by name.
    note : how it was made, one line.
    """

    networks: dict[str, GuideNetwork]
    note: str = ""

    @staticmethod
    def new(rng: np.random.Generator, tables: dict[str, Array32]) -> BeamGuide:
        """An untrained guide, which is the constant; its scaling fits tables of inputs by the names of the networks."""
        networks = {}
        for name, table in tables.items():
            spread = table.std(axis=0)
            scale = np.where(spread > np.finfo(np.float32).eps, spread, 1.0).astype(np.float32)
            scale[-len(PACKAGE_NAMES) :] *= BLUNT
            parameters = initial_parameters(len(INPUTS[name]), HIDDEN[name], OUTPUTS[name], rng)
            for last in (f"W{len(HIDDEN[name])}", "skip"):
                parameters[last] *= 0
            networks[name] = GuideNetwork(parameters, table.mean(axis=0), scale)
        return BeamGuide(networks)

    def prices(self, tensors: Array32) -> FloatArray:
        """(M,) prices between :data:`BASE` divided by, and times, :data:`FACTOR`."""
        power = np.tanh(self.networks[PRICES](tensors)[:, 0].astype(np.float64))
        return np.asarray(BASE * FACTOR**power)

    def losses(self, states: Array32) -> FloatArray:
        """(K, 2) at most :data:`MOST` in size."""
        return np.asarray(MOST * np.tanh(self.networks[LOSSES](states)), dtype=np.float64)

    # --- as one vector ----------------------------------------------------------------------------------------

    def vector(self) -> FloatArray:
        """All parameters, network by network."""
        parts = [self.networks[n].parameters[p].ravel() for n in sorted(self.networks) for p in self._names(n)]
        return np.concatenate(parts).astype(np.float64)

    def with_vector(self, vector: FloatArray) -> BeamGuide:
        """The same guide with other parameters."""
        networks, begin = {}, 0
        for name in sorted(self.networks):
            parameters = {}
            for p in self._names(name):
                like = self.networks[name].parameters[p]
                parameters[p] = vector[begin : begin + like.size].reshape(like.shape).astype(np.float32)
                begin += like.size
            networks[name] = replace(self.networks[name], parameters=parameters)
        return replace(self, networks=networks)

    def _names(self, network: str) -> list[str]:
        return sorted(self.networks[network].parameters)

    # --- files ------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """By name, as they are saved."""
        arrays: dict[str, Array] = {"format": np.array(FORMAT), "note": np.array(self.note)}
        for name, network in self.networks.items():
            arrays[f"{name} columns"] = np.array(INPUTS[name])
            arrays |= {f"{name} mean": network.mean, f"{name} scale": network.scale}
            arrays |= {f"{name} parameter {p}": value for p, value in network.parameters.items()}
        return arrays

    def save(self, path: str | PathLike[str]) -> None:
        """Write one ``.npz``."""
        save_arrays(path, self.arrays())

    @staticmethod
    def load(path: str | PathLike[str]) -> BeamGuide:
        """Read one ``.npz``.

        Raises
        ------
        InvalidInput : it cannot be read, is damaged, or was trained on other features.
        """
        return BeamGuide.from_arrays(load_arrays(path), str(path))

    @staticmethod
    def from_arrays(arrays: dict[str, Array], path: str) -> BeamGuide:
        """From named arrays, checked."""
        networks = {}
        for name, columns in INPUTS.items():
            if [str(c) for c in np.ravel(arrays.get(f"{name} columns", np.array([])))] != list(columns):
                raise InvalidInput(f"{path}: not a guide on the features that this version computes; train a new one")
            parameters = arrays_below(arrays, f"{name} parameter ")
            scaling = {part: arrays.get(f"{name} {part}", np.zeros(0)) for part in ("mean", "scale")}
            checked_network(parameters, scaling, (len(columns), len(columns), OUTPUTS[name]), path)
            if not (scaling["scale"] > 0).all():
                raise InvalidInput(f"{path}: the scale of {name} is not above 0; the file is damaged")
            networks[name] = GuideNetwork(parameters, scaling["mean"], scaling["scale"])
        return BeamGuide(networks, str(arrays.get("note", "")))
