"""A name is text on every page, whatever links, icons, Markdown or HTML would make of it."""

from __future__ import annotations

import re

import pytest
from real_browser import Page, faked, wait_for_rest, wait_for_sound, wait_for_state

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "1. www.a.de me@b.de :material/home: &lt;b&gt; **y** _z_"
FILE = "2. www.c.de me@d.de &lt;b&gt; **y** _z_.mid"
DESTINATIONS = ("Morph", "Attributes", "Map", "Long form", "Groove lab")
_SEEN = """
() => {
    const texts = [], made = [];
    const walk = (root) => {
        for (const node of root.querySelectorAll("*")) {
            if (node.shadowRoot) walk(node.shadowRoot);
            if (node instanceof HTMLInputElement) texts.push(node.value);
            else if (!node.children.length) texts.push(node.textContent);
            const own = node.textContent.trim();
            if (node.matches("a[href*='.de'], a[href^='mailto']")) made.push(node.outerHTML);
            if (node.matches("strong, em, b, i") && ["y", "z"].includes(own)) made.push(own);
            if (node.matches("[data-testid=stMarkdownContainer] ol")) made.push(node.outerHTML);
            if (node.matches("[data-testid=stIconMaterial]") && own === "home") made.push(own);
        }
    };
    walk(document);
    return { text: texts.join("\\n").replaceAll("\\u2060", ""), made };
}
"""


def look(page: Page, name: str) -> None:
    """Check that a name is seen on a page, and nothing was made of it."""
    wait_for_rest(page)
    seen = page.evaluate(_SEEN)
    assert name in seen["text"]
    assert not seen["made"]


@faked
def test_names_are_text_on_every_page(page: Page) -> None:
    page.locator(".card .name").first.fill(NAME)
    page.keyboard.press("Enter")
    wait_for_state(page, f"now.cards[0].name === {NAME!r}")
    look(page, NAME)
    for title in DESTINATIONS:
        page.get_by_role("link", name="Sample", exact=True).click()
        wait_for_sound(page)
        wait_for_rest(page)
        card = page.locator(".card.large")
        card.get_by_role("button", name="Send").click()
        card.get_by_role("menuitem", name=title, exact=True).click()
        page.wait_for_url(re.compile(f"/{title.lower().replace(' ', '_')}$"))
        if title == "Long form":  # one groove is no path yet: it stands in the list alone
            page.get_by_text("Add a second groove").wait_for()
        else:
            page.locator(".card:visible").first.wait_for()
        look(page, NAME)
    page.get_by_role("link", name="Library", exact=True).click()
    page.locator(".card:visible").first.wait_for()
    look(page, NAME)


@faked
def test_names_of_files_are_text_where_they_are_refused(page: Page) -> None:
    page.get_by_role("link", name="Morph", exact=True).click()
    page.locator(".morph:visible").wait_for()
    page.locator("input[type=file]").last.set_input_files(
        {"name": FILE, "mimeType": "audio/midi", "buffer": b"no music"}
    )
    page.get_by_test_id("stAlert").first.wait_for()
    look(page, FILE)
