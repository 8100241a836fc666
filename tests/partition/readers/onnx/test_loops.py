"""Bodies of ONNX models: branches that cannot run, loops whose shapes depend on the iteration, shapes as constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_programs import I64, B, F, const, flops, model, node, size, vi, weight

from partition import DoubtfulModel, Graph, Placement
from partition.readers.onnx import loops
from partition.readers.onnx.model import read_onnx
from partition.split import split_model, verify_parts


def body(nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: str) -> onnx.GraphProto:
    ends = [vi("it", I64, []), vi("go", B, []), *inputs]
    return helper.make_graph(nodes, "body", ends, [helper.make_empty_tensor_value_info(o) for o in outputs.split()])


def traffic(graph: Graph, name: str) -> float:
    return float(graph.bytes_accessed[graph.index[name]])


# --- branches


def rates(x: int) -> onnx.ModelProto:
    """Two branches for two sizes of x: of 8 and of 16, as builds of silero-vad have them; the flag is an input."""
    branches = {
        f"{which}_branch": helper.make_graph(
            [node("MatMul", f"x w{n}", f"{which}_y", name=f"fc{n}")], which, [], [vi(f"{which}_y", F, None)]
        )
        for which, n in (("then", 8), ("else", 16))
    }
    nodes = [node("If", "flag", "h", **branches), node("Relu", "h", "y")]
    weights = [weight("w8", 8, 4), weight("w16", 16, 4)]
    return model(nodes, [vi("flag", B, []), vi("x", F, [2, x])], [vi("y", F, None)], weights)


@pytest.mark.parametrize("x", [8, 16])
def test_a_branch_that_cannot_run_with_these_shapes_is_left_out(x: int) -> None:
    with pytest.warns(DoubtfulModel, match=rf"{'else' if x == 8 else 'then'}_branch of 'if' \(MatMul 'fc"):
        graph = read_onnx(rates(x))
    assert (flops(graph, "if"), graph.guessed) == (2 * 2 * x * 4, ())
    assert size(graph, "h") == 2 * 4 * 4
    assert graph.weights[graph.index["if"]] == (8 + 16) * 4 * 4


def test_what_a_branch_that_is_left_out_declares_is_no_cause_for_a_warning() -> None:
    built = rates(8)
    for attribute in built.graph.node[0].attribute:
        attribute.g.node.insert(0, node("Abs", "x", "seen", name="abs"))
        attribute.g.value_info.append(vi("seen", F, [2, 8 if attribute.name == "then_branch" else 16]))
    with pytest.warns(DoubtfulModel) as found:
        read_onnx(built)
    assert [str(warning.message).count("declares shapes") for warning in found] == [0]


def test_a_model_that_cannot_run_is_said_to_be_one() -> None:
    with pytest.warns(DoubtfulModel, match="cannot run with these dimensions: MatMul 'fc"):
        graph = read_onnx(rates(12))
    assert graph.guessed == ("if", "relu")


# --- loops


def bags(offsets: list[int], rows: int, *, table: int = 1000) -> onnx.ModelProto:
    """EmbeddingBag as torch.onnx writes it: a loop over bags, each a slice of the indices, summed."""
    inner = body(
        [
            node("Gather", "offsets it", "first"), node("Gather", "ends it", "last"),
            node("Unsqueeze", "first zeros", "from"), node("Unsqueeze", "last zeros", "to"),
            node("Slice", "x from to zeros", "some"), node("Gather", "t some", "found"),
            node("ReduceSum", "found zeros", "bag", keepdims=0), node("Cast", "yes", "go_on", to=B),
        ],
        [], "go_on bag",
    )  # fmt: skip
    nodes = [node("Loop", "count yes", "all", body=inner), node("Relu", "all", "y")]
    weights = [
        const("offsets", offsets), const("ends", [*offsets[1:], rows]), const("zeros", [0]),
        const("yes", True, np.bool_), const("count", len(offsets)), weight("t", table, 16),
    ]  # fmt: skip
    return model(nodes, [vi("x", I64, [rows])], [vi("y", F, None)], weights, opset=18)


def test_bags_of_a_loop_touch_each_row_once_whatever_the_table() -> None:
    graph = read_onnx(bags([0, 3, 3, 7], 12))
    assert flops(graph, "loop") == 12 * 16
    rows, written, indices = 12 * 16 * 4, 4 * 16 * 4, 12 * 8
    assert rows + written + indices <= traffic(graph, "loop") <= rows + written + indices + 4 * 100
    assert traffic(graph, "loop") == traffic(read_onnx(bags([0, 3, 3, 7], 12, table=10**6)), "loop")
    assert (size(graph, "all"), graph.guessed) == (4 * 16 * 4, ())


def test_bags_are_found_where_offsets_lie_beside_the_model(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(bags([0, 3, 3, 7], 12), str(path), save_as_external_data=True, location="m.data", size_threshold=0)
    assert flops(Graph.from_onnx(str(path)), "loop") == 12 * 16


def test_loops_that_differ_in_names_alone_are_followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, read = bags([0, 3, 3, 7], 12), []
    both = onnx.compose.add_prefix(one, "b/")
    for field in ("node", "input", "output", "initializer"):
        getattr(both.graph, field).extend(getattr(one.graph, field))
    step = loops._Loop.step
    monkeypatch.setattr(loops._Loop, "step", lambda self, i, states: read.append(i) or step(self, i, states))
    graph = read_onnx(both)
    assert flops(graph, "loop") == flops(graph, "b/loop") == 12 * 16
    assert read == [0, 1, 2, 3]


def growing(trips: int) -> onnx.ModelProto:
    """A state that grows by a row in every iteration, and is multiplied each time."""
    inner = body(
        [node("Concat", "s x", "more", axis=0), node("MatMul", "more w", "seen"), node("ReduceSum", "seen", "sum"),
         node("Identity", "go", "go_on")],
        [vi("s", F, None)], "go_on more sum",
    )  # fmt: skip
    weights = [const("count", trips), const("yes", True, np.bool_), weight("w", 8, 8)]
    nodes = [node("Loop", "count yes x", "last sums", body=inner), node("Relu", "last", "y"), node("Abs", "sums", "z")]
    return model(nodes, [vi("x", F, [1, 8])], [vi("y", F, None), vi("z", F, None)], weights)


def test_a_state_that_grows_is_followed_to_its_end() -> None:
    graph = read_onnx(growing(5))
    products = sum(2 * rows * 8 * 8 + rows * 8 for rows in (2, 3, 4, 5, 6))
    assert flops(graph, "loop") == products
    assert (size(graph, "last"), size(graph, "sums"), graph.guessed) == (6 * 8 * 4, 5 * 4, ())


def test_a_loop_longer_than_is_followed_counts_the_mean_and_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "MOST_FOLLOWED", 2)
    graph = read_onnx(growing(5))
    assert flops(graph, "loop") == 5 / 2 * sum(2 * rows * 8 * 8 + rows * 8 for rows in (2, 3))
    assert "loop" in graph.guessed


def listing(steps: int) -> onnx.ModelProto:
    """As torch's newer exporter writes EmbeddingBag: a sequence, a counter as a state, a branch for empty bags."""
    empty = helper.make_graph([], "empty", [], [vi("none", F, [1, 16])], [weight("none", 1, 16)])
    some = helper.make_graph(
        [node("Slice", "x k k1 zeros", "part"), node("ReduceSum", "part zeros", "row", keepdims=1)],
        "some", [], [vi("row", F, None)],
    )  # fmt: skip
    inner = body(
        [
            node("Reshape", "k_in one", "k"), node("Add", "k one", "k1"), node("Equal", "k k1", "same"),
            node("If", "same", "found", then_branch=empty, else_branch=some),
            node("SequenceInsert", "s found", "s_out"),
            node("Add", "k_in unit", "k_out"), node("Less", "k_out steps", "go_on"),
        ],
        [vi("k_in", I64, []), helper.make_tensor_sequence_value_info("s", F, None)], "go_on k_out s_out",
    )  # fmt: skip
    nodes = [
        node("SequenceEmpty", "", "nothing"), node("Loop", "- yes start nothing", "end all", body=inner),
        node("ConcatFromSequence", "all", "c", axis=0), node("Relu", "c", "y"),
    ]  # fmt: skip
    weights = [const("yes", True, np.bool_), const("start", 0), const("unit", 1), const("one", [1]),
               const("zeros", [0]), const("steps", steps)]  # fmt: skip
    return model(nodes, [vi("x", F, [steps, 16])], [vi("y", F, None)], weights)


def test_a_sequence_that_a_while_loop_fills_is_followed() -> None:
    graph = read_onnx(listing(6))
    assert graph.guessed == ()
    assert size(graph, "c") == size(graph, "all") == 6 * 16 * 4
    assert flops(graph, "loop") >= 6 * 16


def over_elements() -> onnx.ModelProto:
    """A loop over the elements of a sequence, whose trip count is the length of the sequence."""
    inner = body(
        [node("SequenceAt", "s it", "e"), node("MatMul", "e w", "m"), node("Add", "a m", "a_out"),
         node("Identity", "go", "go_on")],
        [vi("a", F, [4])], "go_on a_out",
    )  # fmt: skip
    nodes = [
        node("SplitToSequence", "x", "s", axis=0, keepdims=0), node("SequenceLength", "s", "n"),
        node("Loop", "n yes a0", "y", body=inner),
    ]  # fmt: skip
    weights = [const("yes", True, np.bool_), weight("a0", 4), weight("w", 8, 4)]
    return model(nodes, [vi("x", F, [6, 8])], [vi("y", F, [4])], weights)


def test_a_loop_over_a_sequence_runs_for_each_element() -> None:
    graph = read_onnx(over_elements())
    assert (flops(graph, "loop"), graph.guessed) == (6 * (2 * 8 * 4 + 4), ())


def looping_as_often_as_an_input_says() -> onnx.ModelProto:
    inner = body([node("MatMul", "s w", "s_out"), node("Identity", "go", "go_on")], [vi("s", F, [4, 8])], "go_on s_out")
    nodes = [node("Loop", "n yes x", "y", body=inner)]
    weights = [const("yes", True, np.bool_), weight("w", 8, 8)]
    return model(nodes, [vi("x", F, [4, 8]), vi("n", I64, [])], [vi("y", F, [4, 8])], weights)


def test_a_loop_of_an_unknown_count_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops._Loop, "step", lambda *_: pytest.fail("followed"))
    graph = read_onnx(looping_as_often_as_an_input_says())
    assert (flops(graph, "loop"), graph.guessed) == (2 * 4 * 64, ("loop",))


def test_an_optional_tensor_is_the_tensor() -> None:
    nodes = [
        node("Optional", "x", "o"), node("OptionalHasElement", "o", "h", name="has"),
        node("OptionalGetElement", "o", "e", name="get"), node("MatMul", "e w", "y"),
    ]  # fmt: skip
    graph = read_onnx(model(nodes, [vi("x", F, [4, 8])], [vi("y", F, None)], [weight("w", 8, 2)], opset=18))
    assert graph.guessed == ()
    assert size(graph, "o") == size(graph, "e") == 4 * 8 * 4


def test_what_a_body_computes_from_constants_alone_costs_nothing() -> None:
    inner = body(
        [node("Transpose", "w", "t"), node("Mul", "t half", "scaled"), node("MatMul", "s scaled", "s_out"),
         node("Identity", "go", "go_on")],
        [vi("s", F, [4, 8])], "go_on s_out",
    )  # fmt: skip
    weights = [const("count", 3), const("yes", True, np.bool_), weight("w", 8, 8), const("half", 0.5, np.float32)]
    graph = read_onnx(
        model([node("Loop", "count yes x", "y", body=inner)], [vi("x", F, [4, 8])], [vi("y", F, None)], weights)
    )
    assert flops(graph, "loop") == 3 * 2 * 4 * 8 * 8
    assert traffic(graph, "loop") == 3 * (4 * 8 + 8 * 8 + 4 * 8) * 4


def test_the_body_of_a_sequence_map_runs_for_each_element() -> None:
    each = helper.make_graph([node("MatMul", "e w", "o")], "each", [vi("e", F, None)], [vi("o", F, None)])
    nodes = [
        node("SplitToSequence", "x lengths", "s", axis=0), node("SequenceMap", "s", "s2", body=each, name="map"),
        node("ConcatFromSequence", "s2", "y", axis=0),
    ]  # fmt: skip
    graph = read_onnx(
        model(nodes, [vi("x", F, [6, 8])], [vi("y", F, None)], [const("lengths", [1, 2, 3]), weight("w", 8, 4)])
    )
    assert flops(graph, "map") == 2 * 6 * 8 * 4
    assert (size(graph, "y"), graph.guessed) == (6 * 4 * 4, ())


# --- shapes


def reshaping() -> onnx.ModelProto:
    nodes = [
        node("MatMul", "x w", "h"), node("Shape", "h", "s"), node("Gather", "s zero", "rows"),
        node("Concat", "rows minus", "shape", axis=0), node("Reshape", "h shape", "flat"), node("Relu", "flat", "y"),
    ]  # fmt: skip
    weights = [weight("w", 8, 4), const("zero", [0]), const("minus", [-1])]
    return model(nodes, [vi("x", F, ["batch", 3, 8])], [vi("y", F, None)], weights)


def test_what_follows_from_shapes_alone_is_computed_once(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(reshaping(), str(path))
    graph = Graph.from_onnx(str(path), dims={"batch": 2})
    assert graph.names == ("x", "matmul", "reshape", "relu")
    placement = Placement.from_names(graph, {"x": 0, "matmul": 0, "reshape": 1, "relu": 1}, chips=2)
    split_model(path, placement, tmp_path / "parts", dims={"batch": 2})
    part = onnx.load(str(tmp_path / "parts/chip_1.onnx"))
    assert [n.op_type for n in part.graph.node] == ["Reshape", "Relu"]
    assert [numpy_helper.to_array(t).tolist() for t in part.graph.initializer] == [[2, -1]]
    assert all(output.identical for output in verify_parts(path, tmp_path / "parts"))


def test_a_shape_that_depends_on_data_is_no_constant() -> None:
    nodes = [node("NonZero", "x", "places"), node("Shape", "places", "s"), node("Cast", "s", "y", to=F)]
    graph = read_onnx(model(nodes, [vi("x", F, [4, 8])], [vi("y", F, None)]))
    assert "shape" in graph.names


def choosing(by: str) -> onnx.ModelProto:
    """Five iterations, each a product or a sum: by the number of the iteration, or by data."""
    product = helper.make_graph([node("MatMul", "h w", "p")], "product", [], [vi("p", F, [4, 16])])
    added = helper.make_graph([node("Add", "h h", "a")], "added", [], [vi("a", F, [4, 16])])
    inner = [
        node("ReduceSum", "h", "total", keepdims=0), node("Cast", "total", "data", to=I64),
        node("Greater", f"{by} one", "late"), node("Identity", "go", "on"),
        node("If", "late", "next", then_branch=added, else_branch=product),
    ]  # fmt: skip
    loop = node("Loop", "five yes x", "y", body=body(inner, [vi("h", F, [4, 16])], "on next"), name="loop")
    weights = [weight("w", 16, 16), const("one", 1), const("five", 5), const("yes", True, np.bool_)]
    return model([loop], [vi("x", F, [4, 16])], [vi("y", F, [4, 16])], weights)


def test_a_branch_that_the_number_of_the_iteration_chooses_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every iteration was charged the dearer branch."""
    product, other = 2 * 4 * 16 * 16, 64 + 2
    assert flops(read_onnx(choosing("it")), "loop") == pytest.approx(2 * product + 3 * 64 + 5 * other, abs=20)
    monkeypatch.setattr(loops, "MOST_READ", 30)  # what data chooses is read once more, not five times
    assert flops(read_onnx(choosing("data")), "loop") == pytest.approx(5 * (product + other), abs=20)
