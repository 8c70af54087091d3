"""What every page must have, in a real Chromium: names, keys, contrast, the first screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from real_browser import (
    PATIENCE_MS,
    ROOT,
    Browser,
    Locator,
    Page,
    faked,
    on,
    real,
    state,
    until,
    wait_for_rest,
    wait_for_sound,
    wait_for_state,
)

pytestmark = pytest.mark.browser

PAGES = ("", "morph", "attributes", "map", "long_form", "groove_lab", "library", "about")
WITH_CARDS = PAGES[:-2]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
MOST_SETTINGS_PX, LEAST_PICTURE_PX = 360, 120
AA_CONTRAST = 4.5
_CONTROLS = ("button", "link", "slider", "checkbox", "radio", "combobox", "textbox", "spinbutton")
_CONTRAST = """
async (button) => {
    await Promise.all(button.getAnimations().map((animation) => animation.finished));
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const over = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const path = [];
    for (let at = button; at; at = at.parentElement ?? at.getRootNode().host) path.unshift(at);
    const background = path.map((at) => over(getComputedStyle(at).backgroundColor)).at(-1);
    const text = over(getComputedStyle(button).color);
    const linear = (value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    const luminance = (colour) => {
        const [red, green, blue] = colour.map(linear);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const [dark, light] = [luminance(background), luminance(text)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
}
"""
"""The contrast of a button's text with what lies behind it, by WCAG 2.1, section 1.4.3."""


_TEXT_AFTER = "header => getComputedStyle(header, '::after').content.replaceAll(/['\"]/g, '')"


@pytest.fixture(scope="module")
def page(address: str, browser: Browser) -> Iterator[Page]:
    """A page that the tests lead from one address to the next, which cancels requests."""
    page = browser.new_page(viewport=DESK)
    page.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.locator(".card").first.wait_for()
    wait_for_rest(page)
    yield page
    page.close()
    assert errors == []


def visit(page: Page, name: str) -> None:
    page.goto(urljoin(page.url, f"/{name}"))
    if name in WITH_CARDS:
        page.locator(".card").first.wait_for()
    else:
        page.locator("[data-testid=stMain] .stElementContainer:visible").first.wait_for()
    wait_for_rest(page)
    assert page.get_by_role("dialog").count() == 0


def controls(page: Page) -> list[tuple[str, str]]:
    """Return (role, accessible name) of everything on a page that can be operated."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node["ignored"]
    ]
    return [(role, name) for role, name in told if role in _CONTROLS]


def icons() -> set[str]:
    """Return the names of all icons that the pages and Streamlit's own controls use."""
    sources = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]
    used = {name for path in sources for name in re.findall(r":material/(\w+):", path.read_text())}
    return used | {"keyboard_double_arrow_right", "expand_more", "arrow_drop_down", "upload"}


@on(real("groove_2bar"))
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_a_play_button_first_on_a_phone_and_names_without_icons(
    page: Page, name: str
) -> None:
    page.set_viewport_size(PHONE)
    visit(page, name)
    shown = page.locator(".stAppHeader").evaluate(_TEXT_AFTER)
    assert shown == (name or "sample").replace("_", " ").capitalize()
    if name in WITH_CARDS:
        wait_for_sound(page)
        check_first_screen(page, "map-area" if name == "map" else None)
        wide = "document.scrollingElement.scrollWidth > innerWidth"
        assert not page.evaluate(wide), "the page is wider than the screen"
    if name == "long_form":
        page.get_by_text("A path", exact=True).click()
        page.get_by_role("button", name="Add to the path").wait_for()
    check_names(page)
    page.set_viewport_size(DESK)
    page.get_by_test_id("stTopNavLink").first.wait_for()  # in place of a phone's menu
    check_names(page)


def check_first_screen(page: Page, first: str | None) -> None:
    """Check that the first card can be seen and played without scrolling.

    Parameters
    ----------
    page
        As it has opened.
    first
        The key of what is above the card; None if that is only settings.
    """
    card = page.locator(".card").first
    top, picture, play, foot = (
        shown.bounding_box()
        for shown in (
            page.locator(f".st-key-{first}") if first else card,
            card.locator("canvas").first,
            card.locator(".play"),
            page.locator(".transport"),
        )
    )
    assert top["y"] <= MOST_SETTINGS_PX, "settings come before the music"
    if first:
        assert top["y"] + top["height"] <= card.bounding_box()["y"]
    assert picture["y"] + LEAST_PICTURE_PX <= play["y"]
    assert play["y"] + play["height"] <= foot["y"]


def check_names(page: Page) -> None:
    """Check that every control has a name, and that none is an icon's."""
    found = controls(page)
    assert len(found) > 5
    assert [role for role, text in found if not text] == []
    words = re.compile(rf"\b({'|'.join(sorted(icons()))})\b|\bicon\b")
    assert [text for _, text in found if words.match(text)] == []


@on(real("groove_2bar"))
def test_buttons_without_words_say_in_a_tooltip_what_they_do(page: Page) -> None:
    page.set_viewport_size(DESK)
    visit(page, "")
    page.get_by_role("button", name="Settings").first.click()
    dice(page).hover()
    page.get_by_role("tooltip").filter(has_text="new seed").wait_for()
    wordless = "els => els.filter(e => !e.innerText.trim() && !e.title).map(e => e.outerHTML)"
    assert page.locator(".deck button:visible").evaluate_all(wordless) == []


def dice(page: Page) -> Locator:
    return page.get_by_role("button", name="New seed")


@faked
def test_space_plays_and_stops_whatever_was_clicked_last(page: Page) -> None:
    visit(page, "")
    wait_for_sound(page)
    for click in (
        lambda: page.get_by_role("button", name="New grooves").click(),
        lambda: (
            page.get_by_role("region", name="Transport").get_by_label("Mute kick").first.click()
        ),
        lambda: page.locator(".card .keep").nth(1).click(),
    ):
        click()
        wait_for_rest(page)
        before = page.locator("[data-testid=stMain]").inner_text()
        page.keyboard.press("Space")
        wait_for_state(page, "now.playing !== null")
        page.keyboard.press("Space")
        wait_for_state(page, "now.playing === null")
        wait_for_rest(page)
        assert page.locator("[data-testid=stMain]").inner_text() == before, "a button was pressed"


@faked
def test_space_plays_a_new_groove_if_the_one_played_last_is_gone(page: Page) -> None:
    visit(page, "")
    wait_for_sound(page)
    page.keyboard.press("Space")
    wait_for_state(page, "now.playing !== null")
    page.keyboard.press("Space")
    wait_for_state(page, "now.playing === null")
    old = state(page)["cards"][0]["id"]
    page.get_by_role("button", name="New grooves").click()
    wait_for_state(page, f"now.cards[0].id !== '{old}'")
    page.keyboard.press("Space")
    wait_for_state(page, "now.playing === now.cards[0].id")


@faked
def test_space_stops_what_plays_from_another_deck(page: Page) -> None:
    visit(page, "morph")
    first, second = page.locator(".deck").nth(0), page.locator(".deck").nth(1)
    wait_for_sound(page)
    first.locator(".card .play").first.click()
    page.wait_for_function("deck => deck.deck.state.playing", arg=first.element_handle())
    second.locator(".card .keep").first.click()
    page.keyboard.press("Space")
    page.wait_for_function("deck => !deck.deck.state.playing", arg=first.element_handle())
    assert second.evaluate("deck => deck.deck.state.playing") is None


@faked
def test_a_toggle_that_was_reached_by_keyboard_keeps_the_space_bar(page: Page) -> None:
    visit(page, "morph")
    toggle = page.get_by_role("switch", name="Exact ends").or_(
        page.get_by_role("checkbox", name="Exact ends")
    )
    was = toggle.is_checked()
    page.get_by_role("button", name="Swap A and B").click()
    page.keyboard.press("Shift+Tab")
    while not toggle.evaluate("box => box.matches(':focus')"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    until(lambda: toggle.is_checked() != was, "the toggle to change")


@faked
def test_a_pressed_button_is_legible_under_the_pointer_too(page: Page) -> None:
    visit(page, "")
    for name in ("Metronome", "A bar of clicks before the start"):
        button = page.locator(f".transport button[title='{name}']")
        button.click()  # the pointer stays on it
        page.locator(f".transport button[title='{name}'][aria-pressed=true]").wait_for()
        assert button.evaluate(_CONTRAST) >= AA_CONTRAST
        button.click()


BAD_FILE = {"name": "bad.mid", "mimeType": "audio/midi", "buffer": b"no music"}
_LINE = """
(row) => {
    const boxes = [...row.children].map((child) => child.getBoundingClientRect());
    const shown = boxes.filter(({ height }) => height > 0);
    const bottoms = shown.map(({ bottom }) => bottom);
    return { spread: Math.max(...bottoms) - Math.min(...bottoms), height: row.clientHeight };
}
"""
"""How far apart the lower edges of a row's widgets are, and how high it is, in pixels."""


def upload_bad_file(page: Page) -> Locator:
    """Give the last uploader of a page a file that cannot be read; return what is said of it."""
    page.locator("input[type=file]").last.set_input_files([BAD_FILE])
    alert = page.get_by_role("alert").filter(has_text="bad.mid")
    alert.wait_for()
    wait_for_rest(page)
    return alert


@on(real("groove_2bar"))
def test_the_settings_of_the_map_are_one_row(page: Page) -> None:
    page.set_viewport_size(DESK)
    visit(page, "map")
    assert page.locator(".st-key-settings").evaluate(_LINE)["spread"] <= 2


@on(real("groove_16bar"))
def test_a_refused_file_and_a_long_model_leave_the_row_of_settings_in_one_line(page: Page) -> None:
    page.set_viewport_size(DESK)
    visit(page, "attributes")
    row = page.locator(".st-key-settings")
    before = row.evaluate(_LINE)
    page.get_by_role("button", name="Add", exact=True).click()
    upload_bad_file(page)
    page.keyboard.press("Escape")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name=re.compile("16 bars")).first.click()
    page.get_by_text("Fill up with").wait_for()
    wait_for_rest(page)
    after = row.evaluate(_LINE)
    assert after["spread"] <= 2
    assert after["height"] <= before["height"] + 2
    assert page.locator(".card .play").first.bounding_box()["y"] < 900


@on(real("groove_2bar"))
def test_what_the_ends_have_to_say_leaves_the_morph_in_its_place(page: Page) -> None:
    page.set_viewport_size(DESK)
    visit(page, "morph")
    before = page.locator(".card .play").first.bounding_box()
    uploader = page.locator("[data-testid=stFileUploader]").last
    alert = upload_bad_file(page)
    assert page.locator(".card .play").first.bounding_box() == before
    below, error = uploader.bounding_box(), alert.bounding_box()
    assert abs(error["y"] - (below["y"] + below["height"])) < 40, "the error is beside the field"
    assert abs(error["x"] - below["x"]) < 40
