"""Draw the pictures of the report and of the terminal in ``docs``: two of the page, and what ``solve`` prints.

Needs Chromium with its driver, selenium, Pillow and rich.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.text import Text
from selenium import webdriver

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from partition import Result, partition  # noqa: E402

WIDTH, COLOURS = 1280, 192

QUERY = "names.find((name, v) => data.graph.chip[v] === 12 && name.endsWith('query/MatMul'))"
"""An operation of chip 12, in the language of the page."""

PICTURES = {
    "report": ("header", "#history", "choose(0)"),
    "report-graph": ("#timeline", "#graph", f"showNamed({QUERY})"),
}
"""Name: the first and the last part of the page that are shown, and what is done before."""


def page_pictures(result: Result, folder: Path) -> None:
    """Parts of the page about a result, as a reader with a laptop sees them."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        with tempfile.TemporaryDirectory() as place:
            page = Path(place) / "report.html"
            result.to_html(page, command=f"mcm-partition solve {result.graph.name} --hw {result.hardware.name}")
            for name, (first, last, before) in PICTURES.items():
                picture = _picture(browser, page, first, last, before)
                picture.quantize(COLOURS, dither=Image.Dither.NONE).save(folder / f"{name}.png", optimize=True)
    finally:
        browser.quit()


def _picture(browser: Any, page: Path, first: str, last: str, before: str) -> Image.Image:
    size = {"width": WIDTH, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    browser.execute_script(f"{before}; scrollTo(0, 0); hideTip()")
    place = (
        "const r = document.querySelector('{}').getBoundingClientRect(); return [r.top + scrollY, r.bottom + scrollY]"
    )
    top, bottom = browser.execute_script(place.format(first))[0], browser.execute_script(place.format(last))[1]
    clip = {"x": 0, "y": max(0, top - 8), "width": WIDTH - 15, "height": bottom - top + 16, "scale": 1}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    return Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")


def terminal_picture(result: Result, path: Path) -> None:
    """What ``solve`` prints, in a window of 80 columns."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    command = f"mcm-partition solve {result.graph.name} --hw {result.hardware.name}"
    console.print(Text(f"$ {command}\n{result.to_table()}"))
    console.save_svg(str(path), title=command, unique_id="terminal")


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    chosen = parser.parse_args()
    terminal_picture(partition("resnet50", "ring8"), chosen.folder / "terminal.svg")
    page_pictures(partition("bert-large", "ring36"), chosen.folder)


if __name__ == "__main__":
    main()
