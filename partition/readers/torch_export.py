"""Read a program of ``torch.export`` into a graph; what is counted how is in ``docs/frameworks.md``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from partition.errors import InvalidModelFile
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.problem.operators import OperatorCost, TensorSpec, operator_cost

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_SAME = {
    "relu": "Relu", "relu_": "Relu", "gelu": "Gelu", "silu": "Swish", "silu_": "Swish", "hardswish": "HardSwish",
    "hardswish_": "HardSwish", "sigmoid": "Sigmoid", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "rsqrt": "Sqrt", "neg": "Neg", "abs": "Abs", "erf": "Erf", "sin": "Sin", "cos": "Cos", "add": "Add", "add_": "Add",
    "sub": "Sub", "rsub": "Sub", "mul": "Mul", "mul_": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max",
    "minimum": "Min", "where": "Where", "eq": "Equal", "ne": "Equal", "gt": "Greater", "ge": "GreaterOrEqual",
    "lt": "Less", "le": "LessOrEqual", "logical_not": "Not", "bitwise_not": "Not", "logical_and": "And",
    "bitwise_and": "And", "bitwise_or": "Or", "masked_fill": "Where", "softmax": "Softmax", "_softmax": "Softmax",
    "log_softmax": "LogSoftmax", "_log_softmax": "LogSoftmax", "hardtanh": "Clip", "hardtanh_": "Clip", "clamp": "Clip",
    "clamp_min": "Clip", "leaky_relu": "LeakyRelu", "hardsigmoid": "HardSigmoid", "elu": "Elu", "softplus": "Softplus",
    "max_pool2d": "MaxPool", "avg_pool2d": "AveragePool", "cat": "Concat", "stack": "Concat", "embedding": "Gather",
    "index_select": "Gather", "index": "GatherND", "slice": "Slice", "select": "Slice", "split": "Split",
    "chunk": "Split", "sum": "ReduceSum", "mean": "ReduceMean", "amax": "ReduceMax", "amin": "ReduceMin",
    "argmax": "ArgMax", "cumsum": "CumSum", "arange": "Range", "to": "Cast", "_to_copy": "Cast", "pad": "Pad",
    "constant_pad_nd": "Pad", "tril": "Trilu", "triu": "Trilu", "zeros": "ConstantOfShape", "ones": "ConstantOfShape",
    "full": "ConstantOfShape", "zeros_like": "ConstantOfShape", "ones_like": "ConstantOfShape", "copy_": "Cast",
    "full_like": "ConstantOfShape", "reciprocal": "Reciprocal", "floor_divide": "Div", "remainder": "Mod",
    "repeat": "Tile", "layer_norm": "LayerNormalization", "native_layer_norm": "LayerNormalization",
    "rms_norm": "RMSNormalization", "batch_norm": "BatchNormalization", "group_norm": "GroupNormalization",
    "_native_batch_norm_legit_no_training": "BatchNormalization", "topk": "TopK", "einsum": "Einsum",
    "adaptive_avg_pool2d": "GlobalAveragePool", "_adaptive_avg_pool2d": "GlobalAveragePool", "roll": "Concat",
    "flip": "Concat", "matmul": "MatMul", "mm": "MatMul", "bmm": "MatMul", "upsample_nearest2d": "Resize",
    "mv": "MatMul", "repeat_interleave": "Tile", "tile": "Tile", "new_zeros": "ConstantOfShape", "relu6": "Clip",
    "new_ones": "ConstantOfShape", "new_full": "ConstantOfShape", "scalar_tensor": "ConstantOfShape",
    "square": "Mul", "floor": "Floor", "ceil": "Ceil", "round": "Round", "sign": "Sign", "tan": "Tan", "sinh": "Sinh",
    "cosh": "Cosh", "mish": "Mish", "selu": "Selu", "celu": "Celu", "isnan": "IsNaN", "isinf": "IsInf",
    "logical_or": "Or", "logical_xor": "Xor", "clamp_max": "Clip", "gather": "GatherElements", "narrow": "Slice",
    "scatter": "ScatterElements", "max_pool1d": "MaxPool", "max_pool3d": "MaxPool", "avg_pool1d": "AveragePool",
    "avg_pool3d": "AveragePool", "argmin": "ArgMin", "prod": "ReduceProd", "logsumexp": "ReduceLogSumExp",
    "instance_norm": "InstanceNormalization", "adaptive_max_pool2d": "GlobalMaxPool", "pixel_shuffle": "DepthToSpace",
    "pixel_unshuffle": "SpaceToDepth", "prelu": "PRelu", "outer": "Mul", "fill": "Identity", "one_hot": "OneHot",
}  # fmt: skip
"""ATen operators that cost what an ONNX operator costs."""

_VIEWS = frozenset({
    "view", "reshape", "permute", "transpose", "t", "expand", "expand_as", "unsqueeze", "squeeze", "flatten", "alias",
    "detach", "detach_", "contiguous", "clone", "_unsafe_view", "unflatten", "dropout", "dropout_", "view_as",
    "movedim", "mT", "swapaxes", "swapdims", "native_dropout", "lift_fresh_copy", "unbind", "type_as", "numpy_T",
})  # fmt: skip
"""The same bytes under another shape (or, ``clone`` and ``contiguous``, at most moved)."""

_REFUSED = {"cond": "torch.cond", "while_loop": "torch.while_loop", "map_impl": "map", "scan": "scan"}


def from_torch(program: ExportedProgram, *, name: str | None = None) -> Graph:
    """Convert what ``torch.export.export(module, args)`` returns.

    Operations carry the path of their module (``encoder.layers.0.linear1/linear``). Parameters, buffers and constants
    are weights of whoever reads them, also through views; one that several operations read is held once per chip.

    Raises
    ------
    InvalidModelFile : the program has data-dependent control flow or shapes (the operation is named), or it is not an
        exported program.
    """
    try:
        nodes, signature = list(program.graph.nodes), program.graph_signature
    except AttributeError as error:
        what = type(program).__name__
        raise InvalidModelFile(
            f"{what!r} is not an exported program; give what torch.export.export(module, args) returns"
        ) from error
    return _Reader(program, nodes, signature, name or type(program.graph_module).__name__).graph()


class _Reader:
    def __init__(self, program: Any, nodes: list[Any], signature: Any, name: str) -> None:
        self.nodes, self.builder = nodes, GraphBuilder(name)
        held = dict(signature.inputs_to_parameters) | dict(signature.inputs_to_buffers)
        held |= dict(getattr(signature, "inputs_to_lifted_tensor_constants", {}))
        self.held: dict[str, str] = held
        self.weight: dict[str, tuple[str, float]] = {}  # node -> the weight it is
        self.tensor: dict[str, str] = {}  # node -> tensor of the graph
        self.parts: dict[str, list[str]] = {}  # node with several results -> their tensors

    def graph(self) -> Graph:
        for node in self.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "get_attr":
                self.weight[node.name] = (str(node.target), _bytes(node.meta.get("val")))
            elif node.op == "call_function":
                self._call(node)
        return self.builder.build()

    def _placeholder(self, node: Any) -> None:
        value = node.meta.get("val")
        if node.name in self.held:
            self.weight[node.name] = (self.held[node.name], _bytes(value))
        elif _is_tensor(value):
            self.builder.operation(node.name, "Input", outputs={node.name: _bytes(value)})
            self.tensor[node.name] = node.name

    def _call(self, node: Any) -> None:
        kind = _kind(node)
        if kind in _REFUSED:
            raise InvalidModelFile(
                f"operation {node.name!r} is {_REFUSED[kind]}: control flow that depends on data cannot be "
                "partitioned; export the module without it, or one branch at a time"
            )
        if kind == "getitem":
            self._part(node)
            return
        read = _inputs(node)
        value = node.meta.get("val")
        results = [v for v in (value if isinstance(value, tuple | list) else [value]) if _is_tensor(v)]
        if not results:  # an assertion or a number
            return
        if kind in _VIEWS and len(results) == 1 and read and read[0].name in self.weight:
            self.weight[node.name] = self.weight[read[0].name]
            return
        name = _name(node)
        several = isinstance(value, tuple | list)
        outputs = [f"{node.name}.{i}" for i in range(len(results))] if several else [node.name]
        self.parts[node.name] = outputs
        self.tensor[node.name] = outputs[0]
        cost = _cost(kind, node, results)
        weights: dict[str, float] = dict(self.weight[u.name] for u in read if u.name in self.weight)
        inputs = [t for u in read if u.name not in self.weight for t in self._read(u)]
        self.builder.operation(
            name,
            kind,
            inputs=list(dict.fromkeys(inputs)),
            outputs=dict(zip(outputs, map(_bytes, results), strict=True)),
            flops=cost.flops,
            bytes_accessed=cost.bytes_accessed,
            weights=weights,
            unknown=not cost.known,
        )

    def _read(self, node: Any) -> list[str]:
        if isinstance(node.meta.get("val"), tuple | list):
            return self.parts.get(node.name, [])
        return [self.tensor[node.name]] if node.name in self.tensor else []

    def _part(self, node: Any) -> None:
        """One result of several: the tensor itself, no operation."""
        whole, i = node.args
        if whole.name in self.weight:
            self.weight[node.name] = self.weight[whole.name]
            return
        if whole.name in self.parts and isinstance(i, int) and i < len(self.parts[whole.name]):
            self.tensor[node.name] = self.parts[whole.name][i]


def _kind(node: Any) -> str:
    """``linear`` of ``aten.linear.default``; the function's name otherwise."""
    target = node.target
    packet = getattr(target, "overloadpacket", None)
    text = str(packet) if packet is not None else getattr(target, "__name__", str(target))
    return text.rsplit(".", 1)[-1]


def _name(node: Any) -> str:
    """The path of the innermost module, and the node's own name."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return str(node.name)
    path = str(list(stack.values())[-1][0])
    path = path.removeprefix("L['self'].").replace("L['self']", "")
    return f"{path}/{node.name}" if path else str(node.name)


def _inputs(node: Any) -> list[Any]:
    """Nodes among all arguments, in order."""
    return list(dict.fromkeys(node.all_input_nodes))


def _operands(argument: Any) -> list[Any]:
    """Nodes among the arguments by position, one that comes twice twice: ``x @ x`` has two operands."""
    if isinstance(argument, tuple | list):
        return [node for part in argument for node in _operands(part)]
    return [argument] if hasattr(argument, "all_input_nodes") else []


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _bytes(value: Any) -> float:
    return _spec(value).bytes if _is_tensor(value) else 0.0


def _spec(value: Any) -> TensorSpec:
    return TensorSpec(tuple(_extent(e) for e in value.shape), float(value.dtype.itemsize))


def _extent(extent: Any) -> int:
    """A number; of a symbolic dimension the value that the example had."""
    if isinstance(extent, int):
        return extent
    hint = getattr(getattr(extent, "node", None), "hint", None)
    if hint is None:
        raise InvalidModelFile(f"the extent {extent} depends on data; export the module with shapes that do not")
    return int(hint)


def _cost(kind: str, node: Any, results: list[Any]) -> OperatorCost:
    try:
        outputs: list[TensorSpec | None] = [_spec(value) for value in results]
        inputs: list[TensorSpec | None] = [
            _spec(value)
            for u in _operands((*node.args, *node.kwargs.values()))
            if _is_tensor(value := u.meta.get("val"))
        ]
    except InvalidModelFile as error:
        raise InvalidModelFile(f"operation {node.name!r} ({kind}): {error}") from error
    traffic = sum(spec.bytes for spec in (*inputs, *outputs) if spec)
    if kind in _VIEWS:
        return OperatorCost(0.0, 0.0, True)
    special = _SPECIAL.get(kind)
    if special is not None:
        try:
            return OperatorCost(float(special(_Arguments(node, outputs[0]))), traffic, True)
        except (LookupError, TypeError, ValueError, AttributeError):
            return OperatorCost(float(outputs[0].size if outputs[0] else 0), traffic, False)
    return operator_cost(_SAME.get(kind, f"aten.{kind}"), inputs, outputs, _attributes(kind, node))


def _attributes(kind: str, node: Any) -> dict[str, Any]:
    if kind.startswith(("max_pool", "avg_pool")):
        size, d = node.args[1], int(kind[-2])
        return {"kernel_shape": list(size) * (d // len(size)) if isinstance(size, tuple | list) else [size] * d}
    if kind == "einsum":
        return {"equation": node.args[0]}
    return {}


class _Arguments:
    """Shapes of the tensor arguments of a call by position."""

    def __init__(self, node: Any, output: TensorSpec | None) -> None:
        self.node, self.output = node, output or TensorSpec((), 0.0)

    def shape(self, i: int) -> tuple[int, ...]:
        return _spec(self.node.args[i].meta["val"]).shape

    def argument(self, i: int, default: Any) -> Any:
        return self.node.args[i] if i < len(self.node.args) else default


def _linear(call: _Arguments) -> float:
    return 2.0 * call.output.size * call.shape(0)[-1]


def _addmm(call: _Arguments) -> float:
    return 2.0 * call.output.size * call.shape(1)[-1]


def _convolution(call: _Arguments) -> float:
    return 2.0 * call.output.size * math.prod(call.shape(1)[1:])


def _general_convolution(call: _Arguments) -> float:
    if call.argument(6, False):  # transposed
        return 2.0 * math.prod(call.shape(0)) * math.prod(call.shape(1)[1:])
    return _convolution(call)


def _transposed_convolution(call: _Arguments) -> float:
    return 2.0 * math.prod(call.shape(0)) * math.prod(call.shape(1)[1:])


def _attention(call: _Arguments) -> float:
    """Two products per pair of query and key, and a softmax."""
    query, key, value = call.shape(0), call.shape(1), call.shape(2)
    pairs = math.prod(query[:-1]) * key[-2]
    return pairs * (2.0 * query[-1] + 2.0 * value[-1] + 6.0)


def _cell(call: _Arguments) -> float:
    """One step of a recurrent layer: both of its matrices with every row of the input."""
    return 2.0 * math.prod(call.shape(0)[:-1]) * (math.prod(call.shape(2)) + math.prod(call.shape(3)))


def _recurrent(call: _Arguments) -> float:
    """Per step and layer 2 x gates x hidden x (input + hidden), from the weights themselves."""
    weights = [_spec(w.meta["val"]).shape for arg in call.node.args if isinstance(arg, tuple | list)
               for w in arg if hasattr(w, "meta")]  # fmt: skip
    steps = math.prod(call.shape(0)[:-1])
    return 2.0 * steps * sum(math.prod(shape) for shape in weights if len(shape) == 2)


_SPECIAL = {
    "linear": _linear, "addmm": _addmm, "baddbmm": _addmm, "conv1d": _convolution, "conv2d": _convolution,
    "conv3d": _convolution, "convolution": _general_convolution, "conv_transpose2d": _transposed_convolution,
    "conv_transpose1d": _transposed_convolution, "conv_transpose3d": _transposed_convolution,
    "scaled_dot_product_attention": _attention, "lstm": _recurrent, "gru": _recurrent, "rnn_tanh": _recurrent,
    "rnn_relu": _recurrent, "lstm_cell": _cell, "gru_cell": _cell, "rnn_tanh_cell": _cell, "rnn_relu_cell": _cell,
}  # fmt: skip
