"""Along which axes a call of a functional program can be computed in parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from partition.problem.cut_axis import CutAxis, HandedState, ReadWindow
from partition.readers import cut_axes as of
from partition.readers.cut_axes import CutOperand, Sliding
from partition.readers.torch.calls import TorchCall


@dataclass(frozen=True, eq=False)
class CallOperands:
    """A call with the names of what it reads and makes.

    Attributes
    ----------
    args : by position; a :class:`CutOperand` for a tensor, in lists too, and other arguments as they are.
    results : by position, None for those that are no tensors.
    """

    call: TorchCall
    args: tuple[Any, ...]
    results: tuple[CutOperand | None, ...]

    def operand(self, i: int) -> CutOperand:
        """Argument ``i``; LookupError where it is no tensor."""
        return of.required(self.args, i)

    def maybe(self, i: int) -> CutOperand | None:
        """Argument ``i``, or None."""
        found = self.args[i] if i < len(self.args) else None
        return found if isinstance(found, CutOperand) else None

    def number(self, i: int, default: Any) -> Any:
        """Argument ``i`` that is no tensor."""
        return self.args[i] if i < len(self.args) else default

    @property
    def made(self) -> CutOperand:
        """The first result."""
        return of.required(self.results, 0)

    @property
    def given(self) -> list[CutOperand]:
        """All tensors, those of lists too."""
        return [x for arg in self.args for x in (arg if isinstance(arg, list) else [arg]) if isinstance(x, CutOperand)]


def cut_axes_of(call: TorchCall, args: tuple[Any, ...], results: tuple[CutOperand | None, ...]) -> tuple[CutAxis, ...]:
    """The axes of one call; none where the operator has no rule, or keyword arguments name tensors."""
    if any(isinstance(value, torch.Tensor) for value in call.kwargs.values()):
        return ()
    rule = _RULES.get(call.kind)
    tags = getattr(call.target, "tags", ())
    if rule is None and torch.Tag.pointwise in tags and torch.Tag.nondeterministic_seeded not in tags:
        rule = _elementwise
    if rule is None:
        return ()
    times = Counter(operand.name for operand in CallOperands(call, args, results).given)

    def counted(arg: Any) -> Any:
        if isinstance(arg, list | tuple):
            return type(arg)(map(counted, arg))
        return replace(arg, times=times[arg.name]) if isinstance(arg, CutOperand) else arg

    try:
        return tuple(rule(CallOperands(call, tuple(map(counted, args)), results)))
    except (LookupError, ValueError, TypeError, ArithmeticError):
        return ()  # arguments that do not fit the rule


def _elementwise(call: CallOperands) -> list[CutAxis]:
    return of.elementwise(call.given, call.made) if len(call.results) == 1 else []


def _dropout(call: CallOperands) -> list[CutAxis]:
    return [] if call.number(2, True) else _elementwise(call)  # in training it draws numbers


def _expand(call: CallOperands) -> list[CutAxis]:
    return of.elementwise([call.operand(0)], call.made)


def _but_last(call: CallOperands) -> list[CutAxis]:
    """A normalisation over the last axes."""
    rank = len(call.made.shape)
    return of.elementwise(call.given, call.made, range(rank - len(call.args[1]), rank))


def _softmax(call: CallOperands) -> list[CutAxis]:
    return of.elementwise(call.given, call.made, [int(call.args[1])])


def _reshape(call: CallOperands) -> list[CutAxis]:
    if call.call.kind == "view" and isinstance(call.args[1], torch.dtype):
        return []  # the same bytes under another type
    return of.reshaped(call.operand(0), call.made)


def _transpose(call: CallOperands) -> list[CutAxis]:
    rank = len(call.made.shape)
    axes = list(range(rank))
    first, second = (0, 1) if call.call.kind == "t" else (int(call.args[1]) % rank, int(call.args[2]) % rank)
    axes[first], axes[second] = second, first
    return of.moved(call.operand(0), call.made, axes)


def _permute(call: CallOperands) -> list[CutAxis]:
    return of.moved(call.operand(0), call.made, [axis % len(call.made.shape) for axis in call.args[1]])


def _slice(call: CallOperands) -> list[CutAxis]:
    rank = len(call.made.shape)
    own = int(call.number(1, 0)) % rank
    return of.moved(call.operand(0), call.made, [None if axis == own else axis for axis in range(rank)])


def _select(call: CallOperands) -> list[CutAxis]:
    rank = len(call.operand(0).shape)
    own = int(call.args[1]) % rank
    return of.moved(call.operand(0), call.made, [axis for axis in range(rank) if axis != own])


def _split(call: CallOperands) -> list[CutAxis]:
    data = call.operand(0)
    own = int(call.number(2, 0)) % len(data.shape)
    results = [result for result in call.results if result is not None]
    found: list[CutAxis] = []
    for axis, extent in enumerate(data.shape):
        if axis != own:
            found += of.cut_axis(extent, [(data, axis, 1)], [(result, axis, 1) for result in results])
    return found


def _cat(call: CallOperands) -> list[CutAxis]:
    return of.joined(call.given, call.made, int(call.number(1, 0)))


def _reduce(call: CallOperands) -> list[CutAxis]:
    over = call.number(1, None)
    axes = range(len(call.operand(0).shape)) if over in (None, []) else [over] if isinstance(over, int) else over
    return of.reduced(call.operand(0), call.made, axes)


def _matmul(call: CallOperands) -> list[CutAxis]:
    return of.product(call.operand(0), call.operand(1), call.made)


def _addmm(call: CallOperands) -> list[CutAxis]:
    """The added operand cannot be left out, so inner axes stay whole."""
    found = of.product(call.operand(1), call.operand(2), call.made, call.operand(0))
    return [axis for axis in found if not axis.sums]


def _linear(call: CallOperands) -> list[CutAxis]:
    return of.linear(call.operand(0), call.operand(1), call.made, call.maybe(2))


def _convolution(call: CallOperands) -> list[CutAxis]:
    kind = call.call.kind
    x, weight, bias = call.operand(0), call.operand(1), call.maybe(2)
    d = len(weight.shape) - 2
    if len(x.shape) != d + 2:
        return []
    transposed = kind.startswith("conv_transpose") or (kind == "convolution" and bool(call.number(6, False)))
    group = int(call.number(GROUPS.get(kind, 8), 1))
    padding = call.number(4, 0)
    told = padding != "same"  # which pads by the extents of the whole
    padding = 0 if isinstance(padding, str) else padding
    strides, pads, dilations = (_spread(v, d) for v in (call.number(3, 1), padding, call.number(5, 1)))
    slides = [
        Sliding(k, s, e, p, p) for k, s, e, p in zip(weight.shape[2:], strides, dilations, pads, strict=True)
    ]  # fmt: skip
    figures = [bias] if bias is not None else []
    return of.convolution(
        x, weight, call.made, figures, group=group, transposed=transposed,
        sliding=slides if told and not transposed else (), counts=("groups",),
    )  # fmt: skip


GROUPS = {f"{kind}{d}d": 6 for kind in ("conv", "conv_transpose") for d in (1, 2, 3)} | {"convolution": 8}
"""Convolution -> the argument that says how many groups."""


def _spread(value: Any, d: int) -> list[int]:
    """One number for each axis of space."""
    listed = list(value) if isinstance(value, list | tuple) else [value]
    return [int(x) for x in (listed * d if len(listed) == 1 else listed)]


def _embedding(call: CallOperands) -> list[CutAxis]:
    return of.lookup(call.operand(0), call.operand(1), call.made)


def _attention(call: CallOperands) -> list[CutAxis]:
    query, key, value = (call.operand(i) for i in range(3))
    causal = bool(call.number(5, False)) or bool(call.call.kwargs.get("is_causal", False))
    return of.attention(query, key, value, call.made, call.maybe(3), rows=not causal)


def _per_channel(call: CallOperands) -> list[CutAxis]:
    x, kind = call.operand(0), call.call.kind
    if kind[-1] == "d" and len(x.shape) == int(kind[-2]) + 1:  # a pooling of one input, without a batch
        return of.cut_axis(x.shape[0], [(x, 0, 1)], [(call.made, 0, 1)], word="channels")
    return of.per_channel(x, call.made, call.given[1:], space="batch_norm" in kind)


def _group_norm(call: CallOperands) -> list[CutAxis]:
    x = call.operand(0)
    return of.cut_axis(x.shape[0], [(x, 0, 1)], [(call.made, 0, 1)], word="inputs of a batch")


def _upsample(call: CallOperands) -> list[CutAxis]:
    """Inputs of a batch, channels, and along space where it becomes a whole number of times as large."""
    x, made, nearest = call.operand(0), call.made, "nearest" in call.call.kind
    factors = call.number(2 if nearest else 3, None)
    if isinstance(factors, list | tuple) and any(
        extent * factor != own for extent, factor, own in zip(x.shape[2:], factors, made.shape[2:], strict=True)
    ):
        return []  # it goes by the factor, and parts by sizes
    found = of.cut_axis(x.shape[0], [(x, 0, 1)], [(made, 0, 1)], word="inputs of a batch")
    found += of.cut_axis(x.shape[1], [(x, 1, 1)], [(made, 1, 1)], word="channels")
    if not nearest and bool(call.number(2, False)):
        return found  # aligned corners
    for axis in range(2, len(x.shape)):
        scale, uneven = divmod(made.shape[axis], x.shape[axis])
        if uneven:
            continue
        if scale == 1 or nearest:
            found += of.cut_axis(x.shape[axis], [(x, axis, 1)], [(made, axis, scale)], word="places")
        else:
            found += of.windowed(x, made, axis, ReadWindow(1, 3, 1, x.shape[axis], scale))
    return found


def _recurrent(states: int) -> Callable[[CallOperands], list[CutAxis]]:
    """``states`` : of an LSTM two, else one."""

    def rule(call: CallOperands) -> list[CutAxis]:
        x, first = call.operand(0), call.args[1]
        if len(x.shape) != 3:
            return []
        axis = 0 if call.args[8] else 1
        initial = first if states == 2 else [first]
        places = [(x, axis, 1), *((operand, 1, 1) for operand in initial)]
        results = [(made, axis if i == 0 else 1, 1) for i, made in enumerate(call.results) if made is not None]
        found = of.cut_axis(x.shape[axis], places, results, word="inputs of a batch")
        return found + _steps(call, x, initial, 1 - axis)

    return rule


def _steps(call: CallOperands, x: CutOperand, initial: Sequence[CutOperand], axis: int) -> list[CutAxis]:
    """The sequence of a recurrent operator of one layer and direction: each part hands its states to the next."""
    if call.args[4] != 1 or call.args[7]:
        return []
    carries = tuple(
        HandedState(1 + i, 1, float(value.nbytes), made.name if made else "", operand.name)
        for i, (value, made, operand) in enumerate(zip(call.call.results[1:], call.results[1:], initial, strict=True))
    )
    whole = [(call.results[0], axis, 1)] if call.results[0] is not None else []
    return of.cut_axis(x.shape[axis], [(x, axis, 1)], whole, word="steps", carries=carries)


_RULES: Mapping[str, Callable[[CallOperands], list[CutAxis]]] = {
    **dict.fromkeys(("clone", "contiguous", "alias", "detach", "type_as", "_to_copy", "to"), _elementwise),
    "dropout": _dropout,
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze"), _reshape),
    **dict.fromkeys(("transpose", "t"), _transpose),
    "permute": _permute,
    "expand": _expand,
    "slice": _slice,
    "select": _select,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "cat": _cat,
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduce),
    **dict.fromkeys(("layer_norm", "rms_norm"), _but_last),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("matmul", "mm", "bmm"), _matmul),
    "addmm": _addmm,
    "linear": _linear,
    **dict.fromkeys(GROUPS, _convolution),
    "embedding": _embedding,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("_native_batch_norm_legit_no_training", "max_pool1d", "max_pool2d", "max_pool3d"), _per_channel),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "instance_norm"), _per_channel),
    "group_norm": _group_norm,
    **dict.fromkeys(("upsample_bilinear2d", "upsample_nearest2d"), _upsample),
    "lstm": _recurrent(2),
    **dict.fromkeys(("gru", "rnn_tanh", "rnn_relu"), _recurrent(1)),
}
"""Operator -> its rule; those that PyTorch calls pointwise need none."""
