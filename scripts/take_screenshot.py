"""Take the README's picture: the app at 1280 pixels, a groove playing.

    python -m scripts.take_screenshot [--url http://localhost:8501] [--out assets/screenshot.png]

The app has to run already (`make run`); Chromium and the playwright package are needed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu"]
LOOP_POSITION_MS = 1_400
"""How long the groove plays before the picture is taken."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8501")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "screenshot.png")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=820)
    arguments = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        size = {"width": arguments.width, "height": arguments.height}
        page = browser.new_page(viewport=size)
        page.set_default_timeout(120_000)
        page.goto(arguments.url)
        play_first(page)
        page.screenshot(path=arguments.out)
        browser.close()
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1024:.0f} kB")


def play_first(page: Page) -> None:
    card = page.locator(".card").first
    card.and_(page.locator("[data-sound=ready]")).wait_for()
    card.locator(".play").click()
    card.and_(page.locator(".playing")).wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(LOOP_POSITION_MS)


if __name__ == "__main__":
    main()
