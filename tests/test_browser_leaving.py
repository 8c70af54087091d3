"""A change that is sent a moment later reaches Python even if the user leaves the page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from real_browser import (
    Browser,
    Locator,
    Page,
    faked,
    on,
    opened,
    playwright,
    state,
    until,
    wait_for_rest,
    wait_for_sound,
    wait_for_state,
)

pytestmark = pytest.mark.browser

_PRESS_AND_LEAVE = """
async (control, [key, title, isPressed]) => {
    const links = [...document.querySelectorAll("a[data-testid=stTopNavLink]")];
    const link = links.find((one) => one.textContent.includes(title));
    control.focus();
    if (key === "ArrowRight") control.value = Number(control.value) + Number(control.step);
    const how = { key, bubbles: true, composed: true };
    control.dispatchEvent(new KeyboardEvent("keydown", how));
    control.dispatchEvent(new Event("input"));
    control.dispatchEvent(new Event("change"));
    if (isPressed) {
        link.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
        await new Promise((resume) => setTimeout(resume, 60));
    }
    link.click();
}
"""
"""A click on a link that begins at once, and lasts less than any timer; or takes no time at all, as
one by the Enter key, a script or a screen reader does."""


_TOLD_AGAIN_SECONDS = 2.0
"""See `TELL_AGAIN_MS` in `assets/deck/revision.js`."""

_EDITED_HITS = """
() => {
    const [deck] = [...document.querySelectorAll(".stBidiComponent, .stBidiComponent *")]
        .map(({ shadowRoot }) => shadowRoot?.querySelector(".deck")).filter(Boolean);
    const card = deck?.deck.state.cards[0];
    return card?.revisions.edit && card.hits;
}
"""
"""The hits of the first card as Python has them, once it has seen an edit."""


def go_to(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).click()
    arrive(page, title)


def arrive(page: Page, title: str) -> None:
    page.wait_for_url(re.compile("/$" if title == "Sample" else title.lower().replace(" ", "_")))
    wait_for_rest(page)


def press_and_leave(control: Locator, key: str, *, is_pressed: bool = True) -> None:
    """Press a key on a control, leave the page at once, and come back."""
    page = control.page
    title = page.locator("[data-testid=stTopNavLink][aria-current=page]").inner_text().split()[-1]
    control.evaluate(_PRESS_AND_LEAVE, [key, "About", is_pressed])
    arrive(page, "About")
    page.get_by_role("heading", name="The drummers").wait_for()
    go_to(page, title)


def shown(page: Page) -> list[list[float]]:
    return state(page)["cards"][0]["shown"]["hits"]


@faked
def test_an_edit_by_a_key_reaches_python_though_the_page_is_left_at_once(page: Page) -> None:
    wait_for_rest(page)
    before = shown(page)
    page.locator(".card .edit").first.click()
    press_and_leave(page.locator(".card canvas.editable").first, "Enter")
    wait_for_sound(page)
    until(lambda: shown(page) != before, "the edit")


@faked
def test_a_link_that_is_clicked_at_once_opens_its_page_and_python_has_the_edit(
    page: Page,
) -> None:
    wait_for_rest(page)
    before = shown(page)
    page.locator(".card .edit").first.click()
    press_and_leave(page.locator(".card canvas.editable").first, "Enter", is_pressed=False)
    wait_for_sound(page)
    until(lambda: page.evaluate(_EDITED_HITS) not in (None, before), "the edit in Python")


@faked
class LossyPage:
    """A page whose messages to its server are lost while `is_on`."""

    def __init__(self, page: Page) -> None:
        self.page, self.is_on, self.n_dropped = page, False, 0
        page.route_web_socket("**/_stcore/stream", self._relay)
        page.reload()
        wait_for_sound(page)
        wait_for_rest(page)

    def _relay(self, line: playwright.WebSocketRoute) -> None:
        server = line.connect_to_server()
        line.on_message(lambda message: self._drop() if self.is_on else server.send(message))

    def _drop(self) -> None:
        self.n_dropped += 1

    def on_leaving(self, act: Callable[[], object], title: str) -> None:
        """Do something that is lost, leave the page, and come back to it."""
        self.is_on = True
        act()
        until(lambda: self.page.evaluate("1") and self.n_dropped > 0, "what was set to be lost")
        self.is_on = False
        go_to(self.page, "About")
        assert self.n_dropped == 1
        go_to(self.page, title)


@pytest.fixture
def lossy(serve: Callable[[str], str], browser: Browser) -> Iterator[LossyPage]:
    with opened(browser, serve("fake")) as page:
        yield LossyPage(page)


def test_an_edit_that_was_lost_with_its_page_is_sent_on_return(lossy: LossyPage) -> None:
    page = lossy.page
    before = shown(page)
    page.locator(".card .edit").first.click()
    page.locator(".card canvas.editable").first.focus()
    lossy.on_leaving(lambda: page.keyboard.press("Enter"), "Sample")
    wait_for_sound(page)
    until(lambda: page.evaluate(_EDITED_HITS) not in (None, before), "the edit in Python")
    assert page.locator(".card .undo").first.is_enabled()


def confirmed(page: Page, event: str) -> int:
    """The number of the last change of an event that Python has seen of the first card."""
    return page.locator(".deck").first.evaluate(
        "(deck, event) => deck.deck.state.cards[0].revisions[event]", event
    )


def test_a_name_that_was_lost_with_its_page_is_sent_on_return(lossy: LossyPage) -> None:
    page = lossy.page
    name = page.locator(".card .name").first
    name.fill("Mine")
    lossy.on_leaving(lambda: name.press("Enter"), "Sample")
    wait_for_sound(page)
    until(lambda: confirmed(page, "rename") > 0, "the name in Python")
    assert name.input_value() == "Mine"


def test_a_place_in_a_morph_that_was_lost_with_its_page_is_sent_on_return(
    lossy: LossyPage,
) -> None:
    page = lossy.page
    go_to(page, "Morph")
    field = page.locator(".card .field:visible").first
    before = int(field.get_attribute("aria-valuenow"))
    field.focus()
    lossy.on_leaving(lambda: page.keyboard.press("ArrowRight"), "Morph")
    until(lambda: confirmed(page, "move") > 0, "the place in Python")
    assert int(field.get_attribute("aria-valuenow")) == before + 1


def test_a_slider_that_was_lost_with_its_page_is_sent_on_return(lossy: LossyPage) -> None:
    page = lossy.page
    go_to(page, "Attributes")
    slider = page.locator(".sliders").get_by_role("slider").first
    note = page.locator(".card .note").first
    before = note.inner_text()
    slider.focus()
    lossy.on_leaving(lambda: page.keyboard.press("ArrowRight"), "Attributes")
    until(lambda: note.inner_text() != before, "the slider in Python")


def test_a_choice_of_kit_that_was_lost_is_sent_with_the_next_run(lossy: LossyPage) -> None:
    page = lossy.page
    kit = page.get_by_role("region", name="Transport").get_by_label("Drum kit")
    lossy.is_on = True
    kit.select_option("jazz")
    until(lambda: page.evaluate("1") and lossy.n_dropped > 0, "the choice to be lost")
    lossy.is_on = False
    page.locator(".st-key-sample button:visible").click()
    wait_for_rest(page)
    assert kit.input_value() == "jazz"
    kits = "window[Symbol.for('groove-space.transport')].kits"
    until(lambda: page.evaluate(f"!{kits}.isUnconfirmed"), "the kit in Python")
    page.reload()
    wait_for_sound(page)
    wait_for_rest(page)
    assert kit.input_value() == "jazz"


def test_changes_by_tools_that_were_lost_are_sent_again_one_after_the_other(
    lossy: LossyPage,
) -> None:
    page = lossy.page
    card = page.locator(".card").first
    card.locator(".shape").click()
    lossy.is_on = True
    card.get_by_role("slider", name="Humanize").fill("0.5")
    card.get_by_role("spinbutton").fill("93")
    page.keyboard.press("Tab")
    until(lambda: page.evaluate("1") and lossy.n_dropped > 0, "the change to be lost")
    lossy.is_on = False
    wait_for_state(page, "now.cards[0].humanized === 0.5 && now.cards[0].tempo === 93")
    assert confirmed(page, "change") == 2


def test_a_tool_waits_for_an_undo_that_was_lost(lossy: LossyPage) -> None:
    page = lossy.page
    before = shown(page)
    card = page.locator(".card").first
    card.locator(".shape").click()
    card.get_by_role("button", name="Change the rest").click()
    card.locator(".undo:not(:disabled)").wait_for()
    wait_for_rest(page)
    lossy.is_on = True
    card.evaluate("card => card.querySelector('.undo').click()")
    card.get_by_role("slider", name="Humanize").fill("0.5")
    until(lambda: page.evaluate("1") and lossy.n_dropped > 1, "the undo to be lost twice")
    lossy.is_on = False
    wait_for_state(page, "now.cards[0].humanized === 0.5 && now.cards[0].revisions.edit > 0")
    assert [hit[:2] for hit in shown(page)] == [hit[:2] for hit in before]


@faked
def test_a_server_that_is_slow_to_answer_opens_the_page_that_was_asked_for_and_keeps_the_change(
    page: Page,
) -> None:
    held: list[bytes | str] = []
    sent: list[bytes | str] = []
    lines: list[playwright.WebSocketRoute] = []
    is_slow = False

    def relay(line: playwright.WebSocketRoute) -> None:
        server = line.connect_to_server()
        line.on_message(lambda message: (sent.append(message), server.send(message)))
        server.on_message(lambda message: held.append(message) if is_slow else line.send(message))
        lines.append(line)

    page.route_web_socket("**/_stcore/stream", relay)
    page.reload()
    wait_for_sound(page)
    wait_for_rest(page)
    tempo = page.get_by_role("textbox", name="Tempo in beats a minute")
    is_slow, n_sent = True, len(sent)
    tempo.fill("87")
    tempo.press("Enter")
    until(lambda: page.evaluate("1") and len(sent) > n_sent, "the tempo to be told")
    n_sent = len(sent)
    page.get_by_role("link", name="About", exact=True).click()
    until(lambda: page.evaluate("1") and len(sent) > n_sent, "the page to be asked for")
    n_sent, left = len(sent), time.monotonic()
    until(
        lambda: page.evaluate("1") and time.monotonic() - left > 1.5 * _TOLD_AGAIN_SECONDS,
        "the time after which an unconfirmed change is told again",
    )
    assert len(sent) == n_sent
    is_slow = False
    for message in held:
        lines[-1].send(message)
    arrive(page, "About")
    page.get_by_role("heading", name="The drummers").wait_for()
    go_to(page, "Sample")
    assert tempo.input_value() == "87"


@faked
def test_a_slider_moved_by_a_key_reaches_python_though_the_page_is_left_at_once(page: Page) -> None:
    go_to(page, "Attributes")
    slider = page.locator(".sliders").get_by_role("slider").first
    before = slider.input_value()
    press_and_leave(slider, "ArrowRight")
    after = page.locator(".sliders").get_by_role("slider").first
    until(lambda: after.input_value() != before, "the slider")


@faked
def test_a_morph_by_a_key_reaches_python_though_the_page_is_left_at_once(page: Page) -> None:
    go_to(page, "Morph")
    field = page.locator(".card .field:visible").first
    before = field.get_attribute("aria-valuenow")
    press_and_leave(field, "ArrowRight")
    until(lambda: int(field.get_attribute("aria-valuenow")) == int(before) + 1, "the place")


@faked
def test_the_tempo_reaches_python_though_the_page_is_left_at_once(page: Page) -> None:
    tempo = page.get_by_role("textbox", name="Tempo in beats a minute")
    wait_for_rest(page)
    tempo.evaluate(_PRESS_AND_LEAVE, ["ArrowUp", "About", True])
    arrive(page, "About")
    page.reload()  # the engine of this window knows it, too
    wait_for_rest(page)
    until(lambda: tempo.input_value() == "121", "the tempo")


@on("deck")
@pytest.mark.parametrize("page", ["?show=edit"], indirect=True)
def test_a_groove_is_sent_as_it_was_edited_a_moment_before(page: Page) -> None:
    page.locator(".card .edit").first.click()
    page.locator(".card canvas.editable").first.evaluate(
        """canvas => {
            canvas.focus();
            canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
            const items = [...canvas.closest(".card").querySelectorAll(".menu .item")];
            items.find(({ textContent }) => textContent === "Morph").click();
        }"""
    )
    log = page.locator("code").first
    until(lambda: '"send"' in log.inner_text(), "the groove to be sent")
    assert log.inner_text().index('"edit"') < log.inner_text().index('"send"')
