"""Pages as headless Chromium shows them: what is drawn, what goes wrong, what is wider than the window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever a page asks for, there is no network
)
WAIT_MILLISECONDS = 30_000
"""Milliseconds of the page's own clock, which runs as fast as the browser can."""
PROBE = """
<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message || event.target?.src)), true);
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => problems.push(`policy: ${event.blockedURI}`));
</script>
"""
MEASURE = """
<script>
setTimeout(() => {
  const page = document.documentElement, scrolled = (e) => e.closest(".wide") !== null;
  const shown = (e) => { const box = e.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
  const marks = ".scatterlayer .js-line, .scatterlayer .point, .barlayer .point";
  const found = {
    width: innerWidth,
    pageWidth: page.scrollWidth,
    tooWide: [...document.body.querySelectorAll("*")]
      .filter((e) => shown(e) && !scrolled(e) && e.getBoundingClientRect().right > innerWidth + 0.5)
      .map((e) => `${e.tagName} ${e.className}`),
    plots: [...document.querySelectorAll(".figure")].map((e) => ({
      id: e.id,
      drawn: e.querySelectorAll(".main-svg").length > 0 && shown(e.querySelector(".main-svg")),
      marks: e.querySelectorAll(marks).length,
      width: e.querySelector(".main-svg")?.getBoundingClientRect().width ?? 0,
      room: e.parentElement.clientWidth,
    })),
    problems: window.problems,
    text: document.body.innerText,
  };
  parent.postMessage(JSON.stringify(found), "*");
}, 20000);
</script>
"""
WINDOW = """
<iframe src="page.html" style="width: {width}px; height: 900px; border: 0"></iframe>
<pre id="measured"></pre>
<script>addEventListener("message", (event) => document.getElementById("measured").textContent = event.data);</script>
"""
"""The page in a frame: Chromium's own window is never narrower than 500 pixels."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A page in a window."""

    width: int
    """Width of the window in pixels."""
    page_width: int
    too_wide: list[str]
    """Elements that reach beyond the window and cannot be scrolled."""
    plots: list[dict]
    problems: list[str]
    """Errors of scripts, and what was not loaded."""
    text: str


def show(page: Path, width: int) -> Shown:
    """Open a page in a window of so many pixels, and look at it when its scripts are through."""
    assert CHROMIUM is not None
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="fame-browser-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "page.html").write_text(text.replace("<head>", "<head>" + PROBE, 1) + MEASURE, encoding="utf-8")
        window = Path(folder) / "window.html"
        window.write_text(WINDOW.format(width=width), encoding="utf-8")
        done = subprocess.run(
            [
                *(CHROMIUM, *FLAGS, f"--user-data-dir={folder}/profile", "--window-size=1600,1000"),
                *(f"--virtual-time-budget={WAIT_MILLISECONDS}", "--dump-dom", window.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    found = re.search(r'<pre id="measured">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    measured = json.loads(html.unescape(found[1]))
    return Shown(
        width=measured["width"],
        page_width=measured["pageWidth"],
        too_wide=measured["tooWide"],
        plots=measured["plots"],
        problems=measured["problems"],
        text=measured["text"],
    )
