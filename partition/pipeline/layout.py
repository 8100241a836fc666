"""From the parts of a split model to stages: what they exchange, how far apart they are, on which core each runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from partition.arguments import whole
from partition.errors import InvalidInput
from partition.pipeline.channel import slot_size
from partition.pipeline.stage import HostInput
from partition.split.manifest import Manifest, Part

LARGEST_SLOT = 2**26
"""Bytes of a slot; a larger tensor goes through it in pieces."""


@dataclass(frozen=True)
class Stream:
    """A tensor that one stage sends to others, each once.

    Attributes
    ----------
    source : number of the sending stage.
    readers : of the receiving ones.
    sent : its name among the outputs of the source.
    tensor : among the inputs of the readers, and in the whole model.
    slots, slot_bytes : of the ring between them.
    """

    source: int
    readers: tuple[int, ...]
    sent: str
    tensor: str
    slots: int
    slot_bytes: int


@dataclass(frozen=True)
class Layout:
    """The stages of a pipeline, in an order in which they can run.

    Attributes
    ----------
    parts : the part of each stage.
    cores : its core, None where the system chooses.
    depth : transfers on the longest way from a source to the stage.
    streams : all tensors that move.
    host : for each stage the inputs that the host delivers.
    delivers : for each stage names of the outputs that the host wants.
    outputs : (name, tensor) of those.
    """

    parts: tuple[Part, ...]
    cores: tuple[int | None, ...]
    depth: tuple[int, ...]
    streams: tuple[Stream, ...]
    host: tuple[tuple[HostInput, ...], ...]
    outputs: tuple[tuple[tuple[str, str], ...], ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """Stages that wait for no other."""
        fed = {reader for stream in self.streams for reader in stream.readers}
        return tuple(s for s in range(len(self.parts)) if s not in fed)

    @property
    def upstream(self) -> tuple[frozenset[int], ...]:
        """For each stage those that send it something."""
        return tuple(frozenset(x.source for x in self.streams if s in x.readers) for s in range(len(self.parts)))


def lay_out(manifest: Manifest, *, buffers: int | None = None, cores: Sequence[int] | None = None) -> Layout:
    """Stages from a manifest.

    Parameters
    ----------
    buffers : inputs for which a tensor can wait between two stages; by default one for each transfer on the way from
        the one to the other, and one more: as many as a pipeline without hiccups needs.
    cores : that stages take in turn; by default those this process may use. Empty: stages are not pinned.

    Raises
    ------
    InvalidInput : the manifest is incomplete, or a number does not make sense.
    """
    if buffers is not None:
        whole("buffers", buffers, least=1, most=256)
    parts = tuple(part for part in manifest.parts if part.outputs)  # replicas that nobody reads yield nothing
    if not parts:
        raise InvalidInput("the manifest has no part with an output; split again")
    stage_of = {part.chip: s for s, part in enumerate(parts)}
    flows = [(s, port) for s, part in enumerate(parts) for port in part.outputs if port.chips]
    depth = [0] * len(parts)
    for s, port in flows:
        for chip in port.chips:
            reader = stage_of.get(chip)
            if reader is None or reader <= s or port.tensor not in {p.tensor for p in parts[reader].inputs}:
                raise InvalidInput(f"the manifest sends {port.tensor!r} to chip {chip}, which does not read it")
            depth[reader] = max(depth[reader], depth[s] + 1)
    streams = []
    for s, port in flows:
        readers = tuple(stage_of[chip] for chip in port.chips)
        slots = buffers or 1 + max(depth[r] - depth[s] for r in readers)
        size = min(slot_size(port.bytes), LARGEST_SLOT)
        streams.append(Stream(s, readers, port.name, port.tensor, slots, size))
    sent = {(stream.tensor, reader) for stream in streams for reader in stream.readers}
    for s, part in enumerate(parts):
        for port in part.inputs:
            if not port.host and (port.tensor, s) not in sent:
                raise InvalidInput(f"the manifest has {part.file} read {port.tensor!r}, which nothing sends it")
    return Layout(
        parts=parts,
        cores=_pinned(len(parts), cores),
        depth=tuple(depth),
        streams=tuple(streams),
        host=tuple(tuple(HostInput(p.name, p.tensor) for p in part.inputs if p.host) for part in parts),
        outputs=tuple(tuple((p.name, p.tensor) for p in part.outputs if p.host) for part in parts),
    )


def usable_cores() -> tuple[int, ...]:
    """Cores this process may use; none where processes cannot be pinned."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _pinned(stages: int, cores: Sequence[int] | None) -> tuple[int | None, ...]:
    usable = usable_cores()
    chosen = usable if cores is None else tuple(cores)
    for core in chosen:
        if core not in usable:
            raise InvalidInput(f"core {core} cannot be used; this process may use {', '.join(map(str, usable))}")
    return tuple(chosen[s % len(chosen)] if chosen else None for s in range(stages))
