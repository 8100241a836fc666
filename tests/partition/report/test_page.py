"""The report: self-contained, small, safe whatever names say, and alive in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from instances import chain_of, package
from reading import in_browser, opened, shown

from partition import GraphBuilder, InvalidInput, Result, load_hardware, load_model, partition
from partition.commands.main import main
from partition.report import convergence, loads, sram, traffic
from partition.report.graph_data import MOST_GROUPS, layers


@pytest.fixture(scope="module")
def bert() -> Result:
    return partition(load_model("bert-large").graph, load_hardware("ring36"), time_limit=30)


@in_browser
@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_bert_large_opens_on_a_laptop_and_a_phone(
    bert: Result, browser: Any, tmp_path: Path, width: int, height: int
) -> None:
    path = tmp_path / "report.html"
    assert len(bert.to_html(path)) < 3_000_000
    page = opened(browser, path, width, height)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script("return document.querySelectorAll('#load .bar').length") == 36
    boxes = page.execute_script("return document.querySelectorAll('#canvas .item').length")
    assert 36 <= boxes <= MOST_GROUPS
    assert bert.verdict() in page.execute_script("return document.getElementById('verdict').textContent")


@in_browser
def test_a_box_opens_into_its_operations_and_operations_are_found(bert: Result, browser: Any, tmp_path: Path) -> None:
    page = shown(browser, bert, tmp_path)
    inside = page.execute_script(
        "const rects = [...document.querySelectorAll('#canvas .item rect')];"
        "const sizes = data.graph.boxes.map((b) => b[2]); const most = sizes.indexOf(Math.max(...sizes));"
        "rects[most].dispatchEvent(new MouseEvent('click', {bubbles: true}));"
        "return [sizes[most], document.querySelectorAll('#canvas .item').length]"
    )
    assert inside[0] == inside[1] > 10
    page.execute_script("document.getElementById('back').click()")
    name = bert.graph.names[1000]
    page.execute_script("const f = document.getElementById('find'); f.value = arguments[0];"
                        "f.dispatchEvent(new Event('input'))", name)  # fmt: skip
    told = page.execute_script("return document.getElementById('told').textContent")
    assert told.startswith(name) and f"chip{bert.assignment[name]}" in told
    assert page.execute_script("return document.querySelectorAll('#canvas .current').length") == 1
    before = page.execute_script("return document.getElementById('canvas').getAttribute('viewBox')")
    page.execute_script(
        "const wheel = new WheelEvent('wheel', {deltaY: -200, ctrlKey: true, clientX: 300, clientY: 500});"
        "document.getElementById('canvas').dispatchEvent(wheel)"
    )
    assert page.execute_script("return document.getElementById('canvas').getAttribute('viewBox')") != before


SMALLEST = """
    const s = Math.min(canvas.clientWidth / view.w, canvas.clientHeight / view.h);
    const texts = [...document.querySelectorAll("#canvas text")];
    const shown = texts.filter((t) => t.checkVisibility({ opacityProperty: true }));
    return Math.min(...shown.map((t) => s * parseFloat(getComputedStyle(t).fontSize)));
"""
"""Pixels of the smallest letters of the graph that are shown."""

TEXTS = """
    const cut = [], over = [];
    for (const svg of document.querySelectorAll(".chart svg")) {
      const all = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
      texts.forEach(([text, r], i) => {
        if (r.left < all.left - 1 || r.right > all.right + 1 || r.top < all.top - 1 || r.bottom > all.bottom + 1) cut.push(text);
        for (const [other, q] of texts.slice(i + 1)) {
          const beside = r.right - 1 <= q.left || q.right - 1 <= r.left, apart = r.bottom - 3 <= q.top || q.bottom - 3 <= r.top;
          if (!beside && !apart) over.push([text, other]);
        }
      });
    }
    return [cut, over];
"""  # noqa: E501
"""Texts of the charts that leave the picture, and pairs that overlap."""


@in_browser
@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_or_too_small_to_read(
    bert: Result, browser: Any, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    page = shown(browser, bert, tmp_path, width, height)
    cut, over = page.execute_script(TEXTS)
    assert cut == [] and over == []
    assert page.execute_script(SMALLEST) >= 7.5
    page.execute_script("zoomMiddle(4)")
    assert page.execute_script("return canvas.classList.contains('far')")
    page.execute_script("document.querySelector('.tile').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert not page.execute_script("return canvas.classList.contains('far')")
    assert page.execute_script(SMALLEST) >= 10


@in_browser
def test_the_graph_is_used_without_a_mouse(bert: Result, browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page = shown(browser, bert, tmp_path)
    page.execute_script("document.getElementById('save').focus()")

    def focused() -> str:
        return str(page.execute_script("return document.activeElement.getAttribute('aria-label')"))

    def press(*keys: str) -> str:
        page.switch_to.active_element.send_keys(*keys)
        return focused()

    first = press(Keys.TAB)
    assert "chip 0" in first
    beside = press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert beside != first
    scale = page.execute_script("return view.w")
    press("+")
    assert page.execute_script("return view.w") < scale
    inside = press(Keys.ENTER)
    assert " on chip " in inside and page.execute_script("return shown") is not None
    press(Keys.ENTER)
    name = page.execute_script("return document.querySelector('#told h3').textContent")
    assert inside.startswith(f"{name}: ")
    assert press(Keys.ESCAPE) == beside and page.execute_script("return shown") is None


def hostile() -> Result:
    b = GraphBuilder("</script><script>document.title='owned'</script>")
    b.operation("<img src=x onerror=alert(1)>", "Op</script>", outputs={"a\u2028&amp;": 1}, flops=1, bytes_accessed=0)
    b.operation("b\x00\x1b[31m\ud800", "Op", inputs=["a\u2028&amp;"], flops=1, bytes_accessed=0)
    return partition(b.build(), package(2))


def test_names_cannot_leave_their_place(tmp_path: Path) -> None:
    text = hostile().to_html(tmp_path / "hostile.html", command="<script>")
    assert text.count("<script") == 2 and text.count("</script>") == 2 and "<img" not in text


@in_browser
def test_markup_that_got_into_the_page_all_the_same_would_not_run(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "injected.html"
    text = partition(chain_of([1.0]), package(1)).to_html()
    path.write_text(text.replace("<main>", "<script>document.title = 'owned'</script><main>"))
    browser.get(path.as_uri())
    assert browser.execute_script("return document.body.dataset.ready") == "yes" and browser.title == "chain on ring1"
    browser.get_log("browser")  # says what was refused


@in_browser
def test_hostile_names_run_nothing(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    hostile().to_html(path, command="<script>")
    page = opened(browser, path, 1000, 800)
    assert page.title.startswith("</script>") and page.execute_script("return document.images.length") == 0


def test_the_page_needs_no_network(bert: Result) -> None:
    text = bert.to_html()
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


@in_browser
def test_infeasible_and_empty_results_have_a_page_too(browser: Any, tmp_path: Path) -> None:
    b = GraphBuilder("heavy")
    b.operation("v", "Op", flops=1, bytes_accessed=0, weights=10)
    result = partition(b.build(), package(1, sram=1))
    assert result.status == "infeasible"
    page = shown(browser, result, tmp_path, 800, 600)
    assert "infeasible" in page.execute_script("return document.getElementById('verdict').textContent")
    shown(browser, partition(chain_of([0.0]), package(1)), tmp_path, 800, 600)


def test_layers_are_few_and_never_span_chips() -> None:
    for spec, hardware in (("bert-base", "ring16"), ("resnet50", "ring4"), ("rnn", "ring4:memory=off")):
        result = partition(load_model(spec).graph, load_hardware(hardware), time_limit=5)
        assert result.placement is not None
        found = layers(result.graph, result.placement.assignment)
        assert len({*zip(result.placement.assignment.tolist(), found, strict=True)}) <= MOST_GROUPS


def test_names_without_a_scheme_are_grouped_by_stretches_of_the_order() -> None:
    chip = np.arange(700) * 3 // 700
    found = layers(chain_of([1.0] * 700), chip)
    groups = {*zip(chip.tolist(), found, strict=True)}
    assert 3 <= len(groups) <= MOST_GROUPS and found[0] == "v0 … (39 Op)"


def test_figures_are_axes() -> None:
    result = partition(load_model("resnet50").graph, load_hardware("ring4:dynamic_memory=on"))
    for draw in (loads, traffic, sram, convergence):
        ax = draw(result)
        assert ax.get_title() and ax.get_xlabel() and ax.get_ylabel() and (ax.patches or ax.lines)
        assert ax.get_legend() is not None
        assert draw(result, ax) is ax
    with pytest.raises(InvalidInput, match="nothing to draw"):
        loads(Result.infeasible(result.graph, result.hardware, reason="", seconds=0, seed=0))


def test_the_command_line_writes_a_report(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    done = CliRunner().invoke(main, ["solve", "resnet50", "--hw", "ring4", "--report", str(path)])
    assert done.exit_code == 0 and path.read_text().startswith("<!doctype html>")
    assert f"solve resnet50 --report {path} --hw ring4" in path.read_text()
    done = CliRunner().invoke(
        main, ["solve", "resnet50", "--hw", "ring4", "--report", str(tmp_path / "no" / "out.html")]
    )
    assert done.exit_code == 2 and "cannot write" in done.stderr
