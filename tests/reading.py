"""Opens reports in a headless browser, for the tests that read what the page says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partition import Result

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
in_browser = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver")


def started() -> Iterator[Any]:
    """A browser, closed in the end."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
                 "disable-background-networking", "disable-component-update", "disable-dev-shm-usage"):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    driver.set_script_timeout(10)
    yield driver
    driver.quit()


def opened(browser: Any, path: Path, width: int, height: int) -> Any:
    """The page at a path, ready and without an error."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(path.as_uri())
    assert browser.execute_script("return document.body.dataset.ready") == "yes"
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    return browser


def shown(browser: Any, result: Result, folder: Path, width: int = 1366, height: int = 900) -> Any:
    """The page about a result."""
    path = folder / "report.html"
    result.to_html(path)
    return opened(browser, path, width, height)
