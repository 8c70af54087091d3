"""Take the README's screenshots: the Sample page while a groove plays, and the Morph page.

    python -m scripts.take_screenshot [--url http://localhost:8501] [--out assets]

Writes `screenshot.png` and `morph.png`, in 256 colours so that they stay small. The app must
be running already (`make run`); needs Chromium, playwright and Pillow.
"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

_ROOT = Path(__file__).parents[1]
_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu"]
_PAGES = {"screenshot.png": "", "morph.png": "/morph"}
_LOOP_POSITION_MS = 1_400
"""How long the groove plays before the screenshot is taken."""
_N_COLOURS = 256


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8501")
    parser.add_argument("--out", type=Path, default=_ROOT / "assets")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=820)
    arguments = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        size = {"width": arguments.width, "height": arguments.height}
        for name, path in _PAGES.items():
            page = browser.new_page(viewport=size)
            page.set_default_timeout(120_000)
            page.goto(arguments.url + path)
            _play_first(page)
            _write_picture(page.screenshot(), arguments.out / name)
            page.close()
        browser.close()


def _play_first(page: Page) -> None:
    card = page.locator(".card").first
    card.locator(".play").click()
    card.and_(page.locator(".playing")).wait_for()
    page.locator(".transport").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(_LOOP_POSITION_MS)


def _write_picture(screenshot: bytes, path: Path) -> None:
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB").quantize(_N_COLOURS)
    picture.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    _main()
