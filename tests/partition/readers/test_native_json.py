"""Model files: what is written is read back exactly, and what cannot be used is refused in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instances import broadcast_mask, diamond
from same_graphs import assert_same

from partition.errors import InvalidGraph, InvalidInput, InvalidModelFile
from partition.models import build
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.readers.load import load_model
from partition.readers.native_json import from_dict, read_json, write_json

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"


def json_blocks() -> list[dict[str, Any]]:
    return [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    ]


EXAMPLE, SCHEMA = json_blocks()[:2]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any graph at all, not only such as a builder makes: tensors in any order, shared weights without users."""
    n = draw(st.integers(1, 6))
    amount = st.floats(0, 1e30) | st.integers(0, 2**60).map(float)
    text = st.text(st.characters(codec="utf-8"), max_size=4)

    def column(length: int, of: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(of, min_size=length, max_size=length))

    def csr(firsts: list[int]) -> tuple[list[int], list[int]]:
        rows = [sorted(draw(st.sets(st.integers(first, n - 1), max_size=3))) if first < n else [] for first in firsts]
        return [sum(map(len, rows[:i])) for i in range(len(rows) + 1)], [v for row in rows for v in row]

    tensor_names = draw(st.lists(text, max_size=6, unique=True))
    shared_names = draw(st.lists(text, max_size=3, unique=True))
    producer = column(len(tensor_names), st.integers(0, n - 1))
    consumer_ptr, consumers = csr([u + 1 for u in producer])
    shared_ptr, shared_users = csr([0] * len(shared_names))
    times = {}
    for kind in draw(st.sets(text, max_size=2)):
        given_times = column(n, amount | st.just(float("nan")))
        if not np.isnan(given_times).all():
            times[kind] = np.array(given_times)
    return Graph(
        name=draw(text),
        names=tuple(draw(st.lists(text, min_size=n, max_size=n, unique=True))),
        op_types=tuple(column(n, text)),
        flops=column(n, amount),
        bytes_accessed=column(n, amount),
        weights=column(n, amount),
        tensor_names=tuple(tensor_names),
        tensor_bytes=column(len(tensor_names), amount),
        producer=producer,
        consumer_ptr=consumer_ptr,
        consumers=consumers,
        shared_names=tuple(shared_names),
        shared_bytes=column(len(shared_names), amount),
        shared_ptr=shared_ptr,
        shared_users=shared_users,
        group=column(n, st.integers(-1, 9)),
        backward=column(n, st.booleans()),
        profiled_times=times,
        unknown_operators=tuple(draw(st.lists(text, max_size=2))),
    )  # type: ignore[arg-type]


@given(graphs())
def test_every_graph_survives_the_round_trip_and_its_file_keeps_the_schema(graph: Graph) -> None:
    text = write_json(graph)
    jsonschema.validate(json.loads(text), SCHEMA)
    back = read_json(text)
    assert_same(graph, back)
    assert write_json(back) == text


@pytest.mark.parametrize("make", [diamond, broadcast_mask, lambda: build("resnet50"), lambda: build("gnmt:seq=3")])
def test_graphs_survive_a_file(make: Callable[[], Graph], tmp_path: Path) -> None:
    graph = make()
    path = tmp_path / "model.json"
    assert graph.to_json(str(path)) == path.read_text(encoding="utf-8")
    assert_same(graph, Graph.from_json(str(path)))
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"], "nothing temporary stays"


def test_the_schema_is_itself_valid_and_takes_the_example_of_the_page() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(EXAMPLE, SCHEMA)
    assert from_dict(EXAMPLE).names == ("x", "fc")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InvalidInput, match="No space left"):
        diamond().to_json(str(path))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("model.json", "old")]


def test_a_file_in_no_folder_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot write"):
        diamond().to_json(str(tmp_path / "missing" / "model.json"))


def test_only_names_are_required() -> None:
    graph = from_dict({"operations": [{"name": "a"}, {"name": "b"}]}, default_name="file")
    assert graph.name == "file"
    assert graph.op_types == ("Op", "Op")
    assert (graph.flops.sum(), graph.weights.sum(), graph.bytes_accessed.sum()) == (0, 0, 0)
    assert graph.group.tolist() == [-1, -1]
    assert not graph.backward.any()


def test_tensors_without_names_are_called_after_their_producer() -> None:
    tensors = [{"producer": "a", "bytes": 1}, {"producer": "b", "bytes": 1}, {"producer": "a", "bytes": 2}]
    graph = from_dict({"operations": [{"name": "a"}, {"name": "b"}], "tensors": tensors})
    assert graph.tensor_names == ("a", "b", "a:1")


def test_traffic_by_default_is_what_the_builder_would_say() -> None:
    graph = build("bert-base:layers=1")
    data = json.loads(write_json(graph))
    b = GraphBuilder(graph.name)
    for v, row in enumerate(data["operations"]):
        del row["bytes_accessed"]
        private = {f"own {row['name']}": row["weights"]} if row["weights"] else {}
        shared = {w["name"]: w["bytes"] for w in data["shared_weights"] if row["name"] in w["users"]}
        b.operation(
            row["name"],
            row["op_type"],
            inputs=[graph.tensor_names[t] for t in graph.edge_tensor[graph.consumers == v]],
            outputs={t["name"]: t["bytes"] for t in data["tensors"] if t["producer"] == row["name"]},
            weights={**private, **shared},
        )
    expected = b.build().bytes_accessed
    assert expected.max() > 0
    np.testing.assert_allclose(from_dict(data).bytes_accessed, expected)


def test_groups_may_be_numbers_or_text() -> None:
    names = "abcde"
    rows = [{"name": n, "group": g} for n, g in zip(names, [4, "blue", None, "blue", 4], strict=True)]
    a, b, c, d, e = from_dict({"operations": rows}).group.tolist()
    assert a == e == 4
    assert b == d
    assert b not in (-1, 4)
    assert c == -1


def tiny() -> dict[str, Any]:
    return {
        "name": "tiny",
        "operations": [{"name": "a"}, {"name": "b", "flops": 1.0, "times": {"npu": 1.0}}],
        "tensors": [{"name": "t", "producer": "a", "bytes": 1.0, "consumers": ["b"]}],
        "shared_weights": [{"name": "W", "bytes": 1.0, "users": ["a", "b"]}],
    }


BAD: list[tuple[str, list[str | int], Any, str]] = [
    # what is put, where, and what the sentence must name
    ("text for a number", ["operations", 1, "flops"], "many", r"operations\[1\]\.flops is 'many'; it must be a number"),
    ("true for a number", ["operations", 1, "flops"], True, r"operations\[1\]\.flops is True; it must be a number"),
    ("null for a number", ["operations", 1, "flops"], None, r"operations\[1\]\.flops is None"),
    ("negative", ["operations", 1, "flops"], -1, r"operations\[1\]\.flops is -1; it must be a finite number >= 0"),
    ("NaN", ["operations", 1, "weights"], float("nan"), r"operations\[1\]\.weights is nan"),
    ("infinite", ["operations", 1, "bytes_accessed"], float("inf"), r"operations\[1\]\.bytes_accessed is inf"),
    ("beyond a double", ["operations", 1, "flops"], 10**400, r"operations\[1\]\.flops is 1000.*finite"),
    ("NaN time", ["operations", 1, "times", "npu"], float("nan"), r"operations\[1\]\.times\.npu is nan"),
    ("times as a list", ["operations", 1, "times"], [1], r"operations\[1\]\.times is \[1\]"),
    ("number for text", ["operations", 0, "op_type"], 3, r"operations\[0\]\.op_type is 3; it must be text"),
    ("number for a name", ["operations", 0, "name"], 3, r"operations\[0\]\.name is 3"),
    ("text for a switch", ["operations", 0, "backward"], "no", r"operations\[0\]\.backward is 'no'"),
    ("one for a switch", ["operations", 0, "backward"], 1, r"operations\[0\]\.backward is 1; it must be true or false"),
    ("fraction as group", ["operations", 0, "group"], 1.5, r"operations\[0\]\.group is 1\.5"),
    ("negative group", ["operations", 0, "group"], -1, r"operations\[0\]\.group is -1"),
    ("unknown field", ["operations", 0, "flop"], 1, r"unknown field operations\[0\]\.flop; known are backward"),
    ("unknown field on top", ["graph"], 1, "unknown field graph"),
    ("unknown tensor field", ["tensors", 0, "size"], 1, r"unknown field tensors\[0\]\.size"),
    ("unknown shared field", ["shared_weights", 0, "size"], 1, r"unknown field shared_weights\[0\]\.size"),
    ("repeated operation", ["operations", 1, "name"], "a", r"operations\[1\]\.name is 'a', as operations\[0\]"),
    ("dangling producer", ["tensors", 0, "producer"], "ghost", r"tensors\[0\]\.producer names operation 'ghost'"),
    ("dangling consumer", ["tensors", 0, "consumers"], ["b", "ghost"], r"tensors\[0\]\.consumers\[1\] names .*'ghost'"),
    ("dangling user", ["shared_weights", 0, "users"], ["ghost"], r"shared_weights\[0\]\.users\[0\] names .*'ghost'"),
    (
        "repeated consumer",
        ["tensors", 0, "consumers"],
        ["b", "b"],
        r"tensors\[0\]\.consumers names operation 'b' twice",
    ),
    ("consumers as text", ["tensors", 0, "consumers"], "b", r"tensors\[0\]\.consumers is 'b'; it must be a list"),
    ("own reader", ["tensors", 0, "consumers"], ["a"], "'a' reads its own output"),
    ("operations as an object", ["operations"], {}, "operations is {}; it must be a list"),
    ("operation as text", ["operations", 0], "a", r"operations\[0\] is 'a'; it must be an object"),
    ("no operations", ["operations"], [], "(does not exist|no operations)"),
    ("another format", ["format"], "onnx", "format 'onnx'"),
    ("another version", ["version"], 2, "version 2"),
    ("a long value", ["name"], ["x" * 500], "^name is .{,70}; it must be text$"),
]


@pytest.mark.parametrize(("path", "value", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_data_is_refused_with_the_path_of_its_field(path: list[str | int], value: Any, message: str) -> None:
    data = tiny()
    from_dict(data)
    parent: Any = data
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with pytest.raises((InvalidGraph, InvalidModelFile), match=message) as caught:
        from_dict(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (["operations"], "^operations is missing"),
        (["operations", 0, "name"], r"operations\[0\]\.name is missing"),
        (["tensors", 0, "producer"], r"tensors\[0\]\.producer is missing"),
        (["tensors", 0, "bytes"], r"tensors\[0\]\.bytes is missing"),
        (["shared_weights", 0, "name"], r"shared_weights\[0\]\.name is missing"),
        (["shared_weights", 0, "bytes"], r"shared_weights\[0\]\.bytes is missing"),
    ],
)
def test_a_missing_field_is_named(path: list[str | int], message: str) -> None:
    data = tiny()
    parent: Any = data
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    with pytest.raises(InvalidModelFile, match=message):
        from_dict(data)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_refused_with_their_field(constant: str) -> None:
    with pytest.raises(InvalidGraph, match=r"operations\[0\]\.flops"):
        read_json(f'{{"operations": [{{"name": "a", "flops": {constant}}}]}}')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "as JSON"),
        (b'{"operations": [', "as JSON"),
        (b"[1, 2]", "holds a JSON list; it must hold an object"),
        (b"\xff\xfe\x00", "as JSON"),
        (b"[" * 100_000, "as JSON"),
        (b'{"operations": [{"name": "a", "name": "b"}]}', "field 'name' twice"),
        (b'{"operations": [{"name": "a", "flops": ' + b"1" * 5000 + b"}]}", "as JSON"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused_by_name(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(InvalidModelFile, match=message) as caught:
        read_json(path)
    assert "model.json" in str(caught.value)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b"\xef\xbb\xbf" + write_json(diamond()).encode())
    assert_same(load_model(str(path)).graph, diamond())


def test_thirty_thousand_operations_are_written_and_read() -> None:
    rng = np.random.default_rng(0)
    layers, width = 30, 1000
    b = GraphBuilder("layered")
    for layer in range(layers):
        above = rng.integers(0, width, size=(width, 2)) + (layer - 1) * width
        for k in range(width):
            inputs = [f"t{u}" for u in above[k]] if layer else []
            v = layer * width + k
            b.operation(f"v{v}", "Op", inputs=inputs, outputs={f"t{v}": 1.0 + k}, flops=float(v))
    graph = b.build()
    assert len(graph.consumers) > 57_000
    assert_same(graph, read_json(write_json(graph)))
