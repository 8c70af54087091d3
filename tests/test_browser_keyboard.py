"""Every page by keyboard alone, in a real Chromium: all is reached, shows its focus, and works."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from real_browser import (
    Browser,
    Page,
    on,
    opened,
    real,
    state,
    until,
    wait_for_rest,
    wait_for_sound,
    wait_for_state,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, on(real("groove_2bar"))]

PAGES = ("", "morph", "attributes", "map", "long_form", "groove_lab", "library", "about")
WITH_CARDS = PAGES[:-2]
MOST_PRESSES = 400
_LOOK = """
window.keys = (() => {
    const STYLES = ["outlineStyle", "outlineColor", "boxShadow", "borderColor", "backgroundColor",
        "color", "stroke", "strokeWidth", "opacity", "textDecorationLine", "visibility"];
    const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]";
    const inside = (root) => [...root.querySelectorAll("*")]
        .flatMap((one) => [one, ...(one.shadowRoot ? inside(one.shadowRoot) : [])]);
    const near = (control) => {
        // A hidden input has what is seen of it beside it.
        const beside = control.localName === "input" ? control.parentElement.children : [];
        const around = [control, ...control.querySelectorAll("*"), ...beside];
        let at = control;
        for (let up = 0; up < 4 && at.parentElement; up += 1) {
            at = at.parentElement;
            around.push(at);
        }
        return around;
    };
    const look = (control) => JSON.stringify(near(control).map((one) => {
        const style = getComputedStyle(one);
        return STYLES.map((name) => style[name]);
    }));
    const name = (control) => [
        control.localName,
        control.className.baseVal ?? control.className,
        control.ariaLabel ?? control.textContent.trim().slice(0, 40),
    ].join(" | ");
    const isShown = (one) => one.checkVisibility({ visibilityProperty: true }) &&
        one.getClientRects().length > 0;
    const looks = new Map();
    let last = null;
    return {
        get focused() {
            let at = document.activeElement;
            while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
            return at === document.body || at === document.documentElement ? null : at;
        },
        unseen: [],
        // Takes down what has the focus; returns whether it has it for the first time.
        async note() {
            await new Promise(requestAnimationFrame);
            for (const one of document.getAnimations()) if (one.playState === "running") {
                const end = one.effect?.getComputedTiming().endTime;
                if (Number.isFinite(end)) one.finish();
            }
            if (last && looks.get(last) === look(last)) this.unseen.push(name(last));
            last = this.focused;
            if (!last || looks.has(last)) return false;
            looks.set(last, look(last));
            return true;
        },
        // Of a group of choices Tab reaches one; the arrow keys lead to the others.
        get missed() {
            const isOfGroup = (one) => {
                const others = one.closest("[role=radiogroup]")?.querySelectorAll("[role=radio]");
                return [...(others ?? [])].some((other) => looks.has(other));
            };
            return inside(document).filter((one) => one.matches(CONTROLS) && one.tabIndex >= 0 &&
                !one.disabled && isShown(one) && !looks.has(one) && !isOfGroup(one)).map(name);
        },
        get names() {
            return [...looks.keys()].map(name);
        },
    };
})()
"""
"""Follows the focus: what has it, and whether that can be seen."""


@pytest.fixture(scope="module")
def page(address: str, browser: Browser) -> Iterator[Page]:
    """A page that the tests lead from one address to the next."""
    with opened(browser, address) as page:
        yield page


def visit(page: Page, name: str) -> None:
    page.goto(urljoin(page.url, f"/{name}"))
    page.locator(".transport").wait_for()
    wait_for_rest(page)
    if name in WITH_CARDS:
        wait_for_sound(page)


def tab_through(page: Page) -> list[str]:
    """Press Tab from the top of a page to its end; return the names of what had the focus."""
    page.evaluate(_LOOK)
    for _ in range(MOST_PRESSES):
        page.keyboard.press("Tab")
        if not page.evaluate("keys.note()"):
            break
    return page.evaluate("keys.names")


@pytest.mark.parametrize("name", PAGES)
def test_tab_reaches_every_control_and_the_focus_is_seen(page: Page, name: str) -> None:
    visit(page, name)
    names = tab_through(page)
    assert len(names) > 10
    missed, unseen = page.evaluate("[keys.missed, keys.unseen]")
    assert (missed, unseen) == ([], [])


def test_what_is_not_reached_or_hides_its_focus_would_be_found(page: Page) -> None:
    visit(page, "about")
    page.evaluate(
        """() => {
            const plain = document.createElement("button");
            plain.textContent = "plain";
            plain.style = "outline: none";
            document.querySelector("a[data-testid=stTopNavLink]").before(plain);
        }"""
    )
    tab_through(page)
    page.evaluate(
        """() => {
            const late = document.createElement("button");
            late.textContent = "late";
            document.body.append(late);
        }"""
    )
    assert [name for name in page.evaluate("keys.unseen") if "plain" in name]
    assert [name for name in page.evaluate("keys.missed") if "late" in name]


def test_arrow_keys_choose_in_a_group_and_enter_presses_a_button(page: Page) -> None:
    visit(page, "")
    page.get_by_role("radio", name="Drums", exact=True).focus()
    page.keyboard.press("ArrowRight")
    melody = page.get_by_role("radio", name="Melody", exact=True)
    until(lambda: melody.evaluate("one => one.matches(':focus')"), "the focus to move")
    page.keyboard.press("Enter")
    wait_for_state(page, "now.cards[0].plays === 'line'")
    page.keyboard.press("Shift+Tab")
    new_ones = page.locator(".st-key-sample button").first
    until(lambda: new_ones.evaluate("one => one.matches(':focus')"), "the button before it")
    wait_for_rest(page)
    drawn = state(page)["cards"][0]["lines"]
    page.keyboard.press("Enter")
    until(lambda: state(page)["cards"][0]["lines"] != drawn, "new ones")
    page.keyboard.press("Space")
    wait_for_state(page, "now.playing !== null")
