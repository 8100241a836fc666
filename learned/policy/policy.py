"""The policy: from features of nodes to a distribution over chips for each, for any number of chips.

Non-autoregressive and refined over rounds as in Xie et al. (MLSys 2022): all nodes are placed at once, and from the
second round on the network sees what it proposed before and what that cost.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np

from learned.policy.distribution import probabilities
from learned.policy.features import FIXED_NAMES, SEEN_NAMES, NodeFeatures
from learned.policy.network import Array, Parameters, backward, forward, initial_parameters
from partition.arrays import Array32, FloatArray, IntArray
from partition.errors import InvalidInput
from partition.files import write_atomically
from partition.text import meant

FORMAT = 1
"""Version of the file format; a file of another version is refused."""

INPUTS = len(FIXED_NAMES) + len(SEEN_NAMES)
OUTPUTS = 2
"""Shift in chips, and log-scale."""

HIDDEN = (64, 64)
NEW_OUTPUT = (0.0, 1.0)
"""What a new network says of every node: where an even share of the work would put it, give or take a few chips."""

LOG_SCALE = (-2.5, 1.5)
"""Least and largest log of the scale, in chips."""

LEAST_SPREAD = 1e-4
"""Standard deviation below which a feature counts as constant over the training graphs."""

MOST_LAYERS, MOST_HIDDEN = 16, 4096
"""Of a network that is read; and units of its layers."""

LARGEST_WEIGHT = 1e6
"""In size, of a network that is read: outputs stay finite."""

LARGEST_POLICY = 2**26
"""Bytes of a policy file, unpacked."""

SPREAD = 5.0
"""Scaled features are clipped to this many standard deviations: unknown graphs must not throw the network off."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Distributions of a batch: ``location`` and ``log_scale`` (B, N) in chips, and what the backward pass needs.

    ``passes`` (B, N, 2) is 0 where an output of the network has no influence.
    """

    chips: int
    location: Array
    log_scale: Array
    kept: list[Array]
    passes: Array

    def probabilities(self) -> FloatArray:
        """(B, N, C)."""
        return probabilities(self.location.astype(np.float64), self.log_scale.astype(np.float64), self.chips)


@dataclass(frozen=True, eq=False)
class Policy:
    """Network and scaling.

    Attributes
    ----------
    parameters : of the network, see :mod:`learned.policy.network`.
    mean, scale : (F,) of the fixed features over the training graphs.
    note : how it was made, one line.
    calibration : (2, K) probabilities that the policy gives, ascending, and how often the chip is then that of a
        proven optimum; see :mod:`learned.training.calibration`. Empty: taken as they are.
    """

    parameters: Parameters
    mean: Array32
    scale: Array32
    note: str = ""
    calibration: Array32 = field(default_factory=lambda: np.zeros((2, 0), dtype=np.float32))

    @staticmethod
    def new(graphs: list[NodeFeatures], rng: np.random.Generator, hidden: tuple[int, ...] = HIDDEN) -> Policy:
        """An untrained policy whose scaling fits some graphs, each weighing the same."""
        from sklearn.preprocessing import StandardScaler  # takes a second to import, and only training needs it

        rows = np.concatenate([features.fixed for features in graphs]).astype(np.float64)
        weight = np.concatenate([np.full(len(f.fixed), 1.0 / len(f.fixed)) for f in graphs])
        centre = rows.mean(axis=0)
        scaler = StandardScaler().fit(rows - centre, sample_weight=weight)
        parameters = initial_parameters(INPUTS, hidden, OUTPUTS, rng)
        parameters[f"b{len(hidden)}"][:] = NEW_OUTPUT
        scale = np.where(scaler.scale_ > LEAST_SPREAD, scaler.scale_, 1.0)
        return Policy(parameters, (centre + scaler.mean_).astype(np.float32), scale.astype(np.float32))

    def copy(self) -> Policy:
        """With parameters of its own."""
        return replace(self, parameters={name: value.copy() for name, value in self.parameters.items()})

    def propose(self, features: NodeFeatures, seen: Array32, previous: IntArray | None) -> Proposal:
        """Distributions for a batch.

        Parameters
        ----------
        seen : (B, N, S) from :meth:`NodeFeatures.seen`, or zeros in the first round.
        previous : (B, N) the proposals they describe; None in the first round.
        """
        rows, nodes = seen.shape[:2]
        dtype = self.parameters["W0"].dtype
        fixed = np.clip((features.fixed - self.mean) / self.scale, -SPREAD, SPREAD).astype(dtype)
        x = np.concatenate([np.broadcast_to(fixed, (rows, *fixed.shape)), seen.astype(dtype)], axis=2)
        out, kept = forward(self.parameters, x.reshape(rows * nodes, -1))
        out = out.reshape(rows, nodes, OUTPUTS)
        chips = features.instance.chips
        base = chips * features.position if previous is None else previous + 0.5
        clipped = np.clip(out[..., 1], *LOG_SCALE)
        passes = np.ones(out.shape, dtype=dtype)
        passes[..., 1] = clipped == out[..., 1]
        return Proposal(chips, base.astype(dtype) + out[..., 0], clipped, kept, passes)

    def gradient(self, proposal: Proposal, by_location: Array, by_scale: Array) -> Parameters:
        """Derivatives of a loss by the parameters, for its derivatives (B, N) by location and log-scale."""
        slope = np.stack([by_location, by_scale], axis=-1) * proposal.passes
        return backward(self.parameters, proposal.kept, slope.reshape(-1, OUTPUTS).astype(by_location.dtype))

    def confidence(self, said: FloatArray) -> FloatArray:
        """How often a chip to which the policy gives probability ``said`` is that of a proven optimum."""
        if not self.calibration.shape[1]:
            return said
        return np.asarray(np.interp(said, self.calibration[0], self.calibration[1]), dtype=np.float64)

    # --- files ----------------------------------------------------------------------------------------------

    def saved(self) -> dict[str, Array]:
        """Everything as named arrays."""
        arrays: dict[str, Array] = {"mean": self.mean, "scale": self.scale, "calibration": self.calibration}
        return _header(self.note) | arrays | {f"parameter {name}": a for name, a in self.parameters.items()}

    def save(self, path: str | PathLike[str]) -> None:
        """Write one ``.npz`` (atomically).

        Raises
        ------
        InvalidInput : the file cannot be written.
        """
        save_arrays(path, self.saved())

    @staticmethod
    def load(path: str | PathLike[str]) -> Policy:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InvalidInput : no such file, not a policy, of another version, or with arrays of the wrong shape.
        """
        return Policy.from_arrays(load_arrays(path), str(path))

    @staticmethod
    def from_arrays(arrays: dict[str, Array], path: str) -> Policy:
        """From named arrays, checked."""
        names = [str(name) for name in np.ravel(arrays.get("columns", np.array([])))]
        if names != [*FIXED_NAMES, *SEEN_NAMES]:
            raise InvalidInput(f"{path}: trained on other features than this version computes; train a new policy")
        parameters = arrays_below(arrays, "parameter ")
        scaling = {name: arrays.get(name, np.zeros(0)) for name in ("mean", "scale")}
        checked_network(parameters, scaling, (INPUTS, len(FIXED_NAMES), OUTPUTS), path)
        calibration = arrays.get("calibration", np.zeros((2, 0)))
        if calibration.ndim != 2 or calibration.shape[0] != 2 or calibration.dtype.kind != "f":
            raise InvalidInput(
                f"{path}: the calibration has shape {calibration.shape}, not (2, K); the file is damaged"
            )
        if not ((calibration >= 0) & (calibration <= 1)).all() or (np.diff(calibration[0]) < 0).any():
            raise InvalidInput(f"{path}: the calibration does not hold ascending probabilities; the file is damaged")
        note = str(arrays["note"]) if "note" in arrays else ""
        scale = np.maximum(arrays["scale"], LEAST_SPREAD)
        return Policy(parameters, arrays["mean"], scale, note, calibration.astype(np.float32))


def checked_network(parameters: Parameters, scaling: dict[str, Array], sizes: tuple[int, int, int], path: str) -> None:
    """Raise InvalidInput unless parameters are those of a network of finite floats that is not too large.

    Parameters
    ----------
    scaling : other arrays of floats, by name.
    sizes : number of inputs, length of each array of ``scaling``, number of outputs.
    path : of the file that they are from.
    """
    inputs, scaled, outputs = sizes
    width, layers = inputs, sum(name.startswith("W") for name in parameters)
    expected: dict[str, tuple[int, ...]] = {"skip": (inputs, outputs)} | dict.fromkeys(scaling, (scaled,))
    for i in range(layers):
        shape = np.shape(parameters.get(f"W{i}", 0))
        out = outputs if i == layers - 1 or len(shape) != 2 else shape[1]
        expected |= {f"W{i}": (width, out), f"b{i}": (out,)}
        width = out
    if layers > MOST_LAYERS or width_of(parameters) > MOST_HIDDEN:
        raise InvalidInput(
            f"{path}: the network has {layers} layers of up to {width_of(parameters)} units; at most {MOST_LAYERS} "
            f"of {MOST_HIDDEN} are read"
        )
    given = {**parameters, **scaling}
    for name, wanted in expected.items():
        if name not in given or np.shape(given[name]) != wanted:
            found = np.shape(given[name]) if name in given else None
            raise InvalidInput(f"{path}: array {name!r} has shape {found}, not {wanted}; the file is damaged")
    for name, array in given.items():
        if array.dtype not in (np.float32, np.float64):
            raise InvalidInput(f"{path}: array {name!r} holds {array.dtype}, not floats; the file is damaged")
        if not np.isfinite(array).all():
            raise InvalidInput(f"{path}: array {name!r} is not finite; the file is damaged")
    if layers == 0 or any(np.abs(a).max(initial=0.0) > LARGEST_WEIGHT for a in parameters.values()):
        raise InvalidInput(f"{path}: the network is empty or has weights above {LARGEST_WEIGHT:g}; the file is damaged")


def width_of(parameters: Parameters) -> int:
    """Most units of a hidden layer."""
    return max((np.size(value) for name, value in parameters.items() if name.startswith("b")), default=0)


def _header(note: str) -> dict[str, Array]:
    return {
        "format": np.array(FORMAT),
        "columns": np.array([*FIXED_NAMES, *SEEN_NAMES]),
        "note": np.array(note),
    }


def save_arrays(path: str | PathLike[str], arrays: dict[str, Array]) -> None:
    """Write arrays as one ``.npz``, atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def arrays_below(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Those arrays whose names begin with a prefix, by what follows it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def load_arrays(path: str | PathLike[str], at_most: int = LARGEST_POLICY) -> dict[str, Array]:
    """Read an ``.npz`` of this format version, of at most so many bytes unpacked.

    Nothing in it is ever executed (no pickles). Compressed, a gigabyte of zeros is a megabyte: sizes are looked at
    first, and no more than a member's stated size is ever unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > at_most:
            raise InvalidInput(f"{path}: unpacked it takes {size} bytes, a policy file at most {at_most}")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asanyarray(file[name]) for name in file.files}
    except FileNotFoundError:
        hint = meant(str(path), ("pretrained", "none"))
        raise InvalidInput(f"there is no policy file {str(path)!r}{hint}; give pretrained, none or a file") from None
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(f"{path}: not a policy file ({error})") from None
    version = arrays.get("format")
    if version is None or np.shape(version) != () or version.dtype.kind not in "iu" or int(version) != FORMAT:
        raise InvalidInput(f"{path}: a policy file of format {version}, but this version reads format {FORMAT}")
    return arrays
