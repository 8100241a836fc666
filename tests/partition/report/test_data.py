"""What the report says and draws: each statement is the answer's own, computed here once more."""

# ruff: noqa: E501  (what is asked of the page is one line of its language)

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from instances import package
from reading import in_browser, shown

from partition import GraphBuilder, Placement, Result, load_hardware, load_model, partition
from partition.amounts import bytes_text
from partition.problem.graph import Graph
from partition.report.data import report_data
from partition.report.graph_data import front_coded, layers
from partition.scoring.breakdown import Breakdown
from partition.scoring.cost import evaluate_placement


@pytest.fixture(scope="module")
def mesh() -> Result:
    return partition("resnet50", "mesh2x3", work_limit=3)


@pytest.fixture(scope="module")
def training() -> Result:
    return partition("gpt:training=adam", "ring8:memory=off", work_limit=3)


@pytest.fixture(scope="module")
def transfers() -> Result:
    """A U-Net whose slow links are the bottleneck."""
    return partition("unet", "ring8:link_bandwidth=1e9", work_limit=3)


def texts(page: Any, selector: str) -> list[str]:
    return [
        str(t)
        for t in page.execute_script(f"return [...document.querySelectorAll('{selector}')].map((n) => n.textContent)")
    ]


# --- the data -----------------------------------------------------------------------------------------------------


def decoded(coded: list[Any]) -> list[str]:
    names, before = [], ""
    for same, rest in zip(coded[::2], coded[1::2], strict=True):
        before = before[:same] + rest
        names.append(before)
    return names


def test_names_come_out_of_their_code_as_they_went_in() -> None:
    for names in (
        ["a/b/c", "a/b/d", "a", "", "x"],
        ["\U0001f600a", "\U0001f600b"],
        list(load_model("bert-base").graph.names),
    ):
        assert decoded(front_coded(names)) == names
    assert front_coded(["\U0001f600a", "\U0001f600b"])[2] == 0  # a browser would count two letters


def test_the_graph_of_the_page_is_the_graph(training: Result) -> None:
    graph, told = training.graph, report_data(training, "")["graph"]
    names, tensors = decoded(told["names"]), told["tensors"]
    assert sorted(names) == sorted(graph.names)
    assert dict(zip(names, told["chip"], strict=True)) == training.assignment
    edges = np.repeat(np.arange(graph.m), tensors["readers"])
    found = {
        (names[tensors["producer"][t]], names[v]) for t, v in zip(edges.tolist(), tensors["consumers"], strict=True)
    }
    assert found == {(graph.names[u], graph.names[v]) for u, v in zip(graph.edge_source, graph.consumers, strict=True)}
    assert all(tensors["producer"][t] < v for t, v in zip(edges.tolist(), tensors["consumers"], strict=True))
    assert {names[v] for v in told["backward"]} == {graph.names[v] for v in np.flatnonzero(graph.backward)}
    for i, (label, chip, count, seconds, back) in enumerate(told["boxes"]):
        inside = [v for v, box in enumerate(told["box"]) if box == i]
        assert len(inside) == count and {told["chip"][v] for v in inside} == {chip} and label
        assert seconds == pytest.approx(sum(told["seconds"][v] for v in inside), rel=1e-3)
        assert {v in set(told["backward"]) for v in inside} == {bool(back)}


def test_layers_of_a_cnn_hold_their_convolutions() -> None:
    graph = load_model("resnet50").graph
    found = layers(graph, np.zeros(graph.n, dtype=np.int64))
    block = [kind for kind, label in zip(graph.op_types, found, strict=True) if label == "layer2/1"]
    assert block.count("Conv") == 3 and "Relu" in block and "Add" in block


def twenty_thousand() -> Graph:
    b = GraphBuilder("long")
    for i in range(20_000):
        inputs = [f"model/layer.{(i - 1) // 20}/dense_{i - 1}/MatMul"] if i else []
        name = f"model/layer.{i // 20}/dense_{i}/MatMul"
        b.operation(name, "MatMul", inputs=inputs, outputs={name: 4096 + i}, flops=1e6 + i, weights=1e3 + i)
    return b.build()


def test_twenty_thousand_operations_are_less_than_three_megabytes() -> None:
    graph, hardware = twenty_thousand(), load_hardware("ring36")
    placement = Placement(np.arange(graph.n) * 36 // graph.n)
    cost = evaluate_placement(graph, hardware, placement)
    period = float(cost.period[0])
    result = Result(graph, hardware, placement, "feasible", period, period / 2, 1.0, 0, cost=cost)
    assert len(result.to_html()) < 3_000_000


def test_begins_on_the_timeline_are_those_of_the_latency(mesh: Result) -> None:
    rows = report_data(mesh, "")["per_chip"]
    assert mesh.cost is not None
    out = max(c["begin"] + max(c["compute"], c["stream"]) + c["receive"] + c["send"] for c in rows)
    assert out == pytest.approx(float(mesh.cost.latency[0]), rel=1e-9) and min(c["begin"] for c in rows) == 0


def test_links_of_the_page_carry_what_the_cost_model_says(transfers: Result) -> None:
    links = report_data(transfers, "")["package"]["links"]
    assert transfers.cost is not None and transfers.placement is not None
    assert [link["load"] for link in links] == pytest.approx(transfers.cost.link[0].tolist(), abs=1e-9)
    loads = Breakdown(transfers.problem, transfers.placement)
    for i, link in enumerate(links):
        assert (link["from"], link["to"], link["count"]) == (i, (i + 1) % 8, len(loads.link(i).rows))
        assert link["bytes"] == pytest.approx(link["load"] * 1e9)


# --- the two answers ----------------------------------------------------------------------------------------------


@in_browser
def test_the_bottleneck_is_named_marked_and_taken_apart(
    browser: Any, training: Result, transfers: Result, tmp_path: Path
) -> None:
    for result in (training, transfers):
        page = shown(browser, result, tmp_path)
        assert result.wall is not None
        said, busiest = texts(page, "#where .said")[0], result.wall.busiest
        assert said.lower() == result.wall.sentence.lower() + "."
        marked = page.execute_script(
            "return [...document.querySelectorAll('#load .bar')].filter((b) => b.innerHTML.includes('--hot')).map((b) => +b.dataset.chip)"
        )
        assert tuple(marked) == busiest.chips
        rows = texts(page, "#where .part")
        assert len(rows) == len(busiest.parts) + (busiest.count > 0)
        assert all(part.name in row for part, row in zip(busiest.parts, rows, strict=False))
        told = [float(m[1]) for row in rows if (m := re.search(r"· ([0-9.e-]+)%", row))]
        assert sum(told) == pytest.approx(100, abs=0.5)
        hot = page.execute_script(
            "return [...document.querySelectorAll('.drawing .wire[role]')].map((w, i) => [i, w.innerHTML.includes('rgb(224 122 47)')]).filter(([, h]) => h).map(([i]) => i)"
        )
        assert tuple(hot) == busiest.links


@in_browser
def test_why_no_better_is_the_sentence_of_the_answer_and_its_shares(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    assert mesh.why is not None
    assert texts(page, "#reason .said")[0].lower() == mesh.why.sentence.lower() + "."
    shares = page.execute_script(
        "return [...document.querySelectorAll('#reason .stack i')].map((i) => +i.style.flexGrow)"
    )
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert shares[0] == pytest.approx(min(mesh.why.share, mesh.bound / mesh.period), abs=1e-6)


@in_browser
def test_where_nothing_fits_the_page_weighs_weights_against_sram(browser: Any, tmp_path: Path) -> None:
    b = GraphBuilder("heavy")
    for i, weights in enumerate((7e6, 30e6, 1e6)):
        b.operation(f"v{i}", "Op", flops=1, bytes_accessed=0, weights=weights)
    result = partition(b.build(), package(3, sram=10e6))
    page = shown(browser, result, tmp_path, 390)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    rows = texts(page, "#reason .part")
    assert rows[:3] == ["all weights38.000 MB", "SRAM of all chips30.000 MB", "SRAM of the largest chip10.000 MB"]
    assert rows[3:] == ["v130.000 MB", "v07.0000 MB", "v21.0000 MB"]
    assert texts(page, "#reason .advice")[0].lower() == result.advice.lower() + "."
    assert page.execute_script(
        "return document.getElementById('where').hidden && document.getElementById('graph').hidden"
    )


# --- the package, the timeline ------------------------------------------------------------------------------------


@in_browser
def test_a_mesh_is_drawn_as_a_mesh_with_its_stages_in_their_places(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    spots = page.execute_script(
        "return [...document.querySelectorAll('.drawing .chip')].map((c) => [+c.dataset.chip, +c.firstChild.getAttribute('x'), +c.firstChild.getAttribute('y')])"
    )
    columns, rows = sorted({x for _, x, _ in spots}), sorted({y for _, _, y in spots})
    assert (len(columns), len(rows)) == (3, 2)
    found = {chip: rows.index(y) * 3 + columns.index(x) for chip, x, y in spots}
    assert [found[c] for c in range(6)] == list(mesh.hardware.stage_positions)
    assert page.execute_script("return document.querySelectorAll('.drawing .wire[role]').length") == mesh.hardware.links


@in_browser
@pytest.mark.parametrize("hardware", ["ring2", "ring7", "biring6", "chain5", "bichain3", "crossbar4", "cpu3", "ring1"])
def test_every_topology_is_drawn_without_two_chips_in_one_place(browser: Any, hardware: str, tmp_path: Path) -> None:
    result = partition("resnet50", hardware, work_limit=0.2)
    page = shown(browser, result, tmp_path, 390)
    spots = page.execute_script(
        "return [...document.querySelectorAll('.drawing .chip rect')].map((c) => c.getAttribute('x') + ',' + c.getAttribute('y'))"
    )
    assert len(set(spots)) == result.hardware.chips
    assert page.execute_script("return document.querySelectorAll('.drawing g.wire').length") == result.hardware.links
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390


@in_browser
def test_the_timeline_is_as_long_as_the_work(browser: Any, transfers: Result, tmp_path: Path) -> None:
    page = shown(browser, transfers, tmp_path)
    assert transfers.cost is not None
    ends = page.execute_script(
        "const at = {}; for (const r of document.querySelectorAll('#timeline .block')) { const y = Math.floor(r.getAttribute('y') / 24);"
        "if (r.style.fill.includes('--bar)')) at[y] = +r.getAttribute('width'); } const w = document.querySelector('#timeline .limit').getAttribute('x1') - 52; return [Object.values(at), w]"
    )
    used = transfers.cost.compute[0][transfers.cost.load[0] > 0]
    assert ends[0] == pytest.approx((used / transfers.period * ends[1]).tolist(), abs=0.7)
    page.execute_script("document.querySelector('#timeline input[value=fill]').click()")
    assert "enters every" in texts(page, "#timeline .note")[0]
    assert page.execute_script("return document.querySelectorAll('#timeline .block').length") == 4 * len(used)


# --- the graph ----------------------------------------------------------------------------------------------------


@in_browser
def test_find_lists_every_hit_and_goes_through_them(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    page.execute_script(
        "const f = document.getElementById('find'); f.value = 'layer3/1'; f.dispatchEvent(new Event('input'))"
    )
    wanted = [name for name in mesh.graph.names if "layer3/1" in name]
    assert sorted(texts(page, "#list .go")) == sorted(wanted)
    seen = []
    for _ in range(len(wanted)):
        seen.append(texts(page, "#told h3")[0])
        page.execute_script("document.getElementById('after').click()")
    assert sorted(seen) == sorted(wanted) and texts(page, "#told h3")[0] == seen[0]
    assert texts(page, "#hits") == [f"1 of {len(wanted)}"]
    page.execute_script("document.getElementById('before').click()")
    assert texts(page, "#told h3")[0] == seen[-1]


@in_browser
def test_the_wheel_alone_leaves_the_graph_as_it_is(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    turn = "const e = new WheelEvent('wheel', {deltaY: -200, ctrlKey: %s, cancelable: true}); canvas.dispatchEvent(e); return [e.defaultPrevented, view.w]"
    before = page.execute_script("return view.w")
    assert page.execute_script(turn % "false") == [False, before]
    prevented, after = page.execute_script(turn % "true")
    assert prevented and after < before


@in_browser
def test_forward_and_backward_are_told_apart_and_boxes_are_as_high_as_their_time(
    browser: Any, training: Result, tmp_path: Path
) -> None:
    page = shown(browser, training, tmp_path)
    boxes = page.execute_script("return place.map((p) => [p.back, p.rect.style.fill, p.h, data.graph.boxes[p.box][3]])")
    fills = {back: {fill for b, fill, _, _ in boxes if b == back} for back in (False, True)}
    assert len(fills[False]) == len(fills[True]) == 1 and fills[False] != fills[True]
    high = [(h, seconds) for _, _, h, seconds in boxes if h > 38]
    assert high and all(h / 260 == pytest.approx(seconds / training.period, rel=1e-3) for h, seconds in high)
    for mode in ("load", "kind", "layer", "chip"):
        page.execute_script(
            "const c = document.getElementById('colours'); c.value = arguments[0]; c.dispatchEvent(new Event('change'))",
            mode,
        )
        groups: dict[Any, set[str]] = {}
        for chip, label, fill in page.execute_script(
            "return place.map((p) => [p.chip, data.graph.boxes[p.box][0], p.rect.style.fill])"
        ):
            groups.setdefault(label if mode == "layer" else chip, set()).add(fill)
        assert mode == "kind" or all(len(found) == 1 for found in groups.values())


@in_browser
def test_charts_package_and_graph_choose_the_same_chip_also_by_keyboard(
    browser: Any, mesh: Result, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    page = shown(browser, mesh, tmp_path)
    page.execute_script("document.querySelector('#load .bar').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.execute_script("return document.activeElement.dataset.chip") == "2"
    assert "chip 2" in texts(page, "#tip")[0]
    page.switch_to.active_element.send_keys(Keys.ENTER)
    chosen = page.execute_script("return [...document.querySelectorAll('.chosen')].map((n) => n.dataset.chip)")
    assert set(chosen) == {"2"} and len(chosen) >= 3
    kinds = page.execute_script("return [...document.querySelectorAll('.chosen')].map((n) => n.closest('section').id)")
    assert {"load", "package", "graph"} <= set(kinds)


@in_browser
def test_an_arrow_tells_the_tensors_that_it_stands_for(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    flows = page.execute_script("return boxFlows().map(([a, b, size, which]) => [a, b, size, which.size])")
    told = report_data(mesh, "")["graph"]
    box, tensors = told["box"], told["tensors"]
    between: dict[tuple[int, int], set[int]] = {}
    readers = iter(tensors["consumers"])
    for t, count in enumerate(tensors["readers"]):
        for _ in range(count):
            pair = box[tensors["producer"][t]], box[next(readers)]
            if pair[0] != pair[1]:
                between.setdefault(pair, set()).add(t)
    assert {(a, b): n for a, b, _, n in flows} == {pair: len(which) for pair, which in between.items()}
    assert all(size == pytest.approx(sum(tensors["bytes"][t] for t in between[a, b])) for a, b, size, _ in flows)


@in_browser
def test_the_graph_is_saved_as_a_picture(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    text = page.execute_async_script(
        "const done = arguments[0]; URL.createObjectURL = (blob) => { blob.text().then(done); return '#'; }; document.getElementById('save').click()"
    )
    import xml.etree.ElementTree as ET

    tree = ET.fromstring(text)
    assert tree.tag.endswith("svg") and "layer1/0" in "".join(tree.itertext())
    assert not tree.findall(".//*[@class='tile']")


@in_browser
def test_the_page_tells_the_hardware_in_figures(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    row = texts(page, "#hardware tbody td")
    kind = mesh.hardware.kinds[0]
    assert row[:2] == [kind.name, "6"] and row[2] == "4.000 TFLOP/s" and row[3] == bytes_text(kind.sram_bytes)
    assert (
        "16.00 GB/s" in texts(page, "#hardware .note")[0]
        and "triangle" in texts(page, "#hardware .note")[0].split("off:")[1]
    )


@in_browser
def test_convergence_begins_with_the_first_event_on_a_logarithmic_axis(
    browser: Any, transfers: Result, tmp_path: Path
) -> None:
    """The tick marks stand at the logarithms of their times, and the curve begins where the search's first event is."""
    page = shown(browser, transfers, tmp_path)
    lines = "[...document.querySelectorAll('#history line.grid')].filter((l) => l.getAttribute('x1') === l.getAttribute('x2'))"
    marks = page.execute_script(f"return {lines}.map((l) => [+l.getAttribute('x1'), l.nextSibling.textContent])")
    at = [x for x, _ in marks]
    when = [np.log(float(t.split()[0]) * (1e-3 if t.endswith("ms") else 1)) for _, t in marks]
    assert len(marks) >= 2
    slope, offset = np.polyfit(when, at, 1)
    assert at == pytest.approx((slope * np.array(when) + offset).tolist(), abs=12)
    path = page.execute_script("return document.querySelector('#history path').getAttribute('d')")
    first = next(p.seconds for p in transfers.history if p.period is not None)
    start = re.match(r"M([0-9.]+)", path)
    assert start is not None and float(start[1]) == pytest.approx(slope * np.log(first) + offset, abs=12)


def test_shapes_of_tensors_are_those_of_the_model() -> None:
    result = partition("resnet50", "ring4", work_limit=1)
    graph, told = result.graph, report_data(result, "")["graph"]["tensors"]
    at = graph.tensor_names.index("conv1/Conv")
    assert graph.shapes[at] == (1, 64, 112, 112) and told["shapes"][told["shape"][at]] == "1x64x112x112"
    known = [shape is not None for shape in graph.shapes]
    assert all(known) and len(told["shape"]) == graph.m


@in_browser
def test_an_operation_tells_its_shapes_and_bytes(browser: Any, mesh: Result, tmp_path: Path) -> None:
    page = shown(browser, mesh, tmp_path)
    page.execute_script("showNamed('layer1/0/conv1/Conv')")
    assert "1x64x56x56, 401.41 kB" in texts(page, "#told")[0]
