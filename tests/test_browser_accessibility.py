"""Every page in a real Chromium, as axe-core judges it: names, contrast, roles, keyboard."""

from __future__ import annotations

import pytest
from real_browser import ROOT, Browser, Page, on, opened, real, wait_for_rest

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("", "morph", "attributes", "map", "long_form", "groove_lab", "library", "about")
# So high that the transport covers nothing: to axe-core, a target that is partly covered is a
# small one.
SIZES = {"desk": {"width": 1440, "height": 2600}, "phone": {"width": 390, "height": 2600}}
GRAVE = ("serious", "critical")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: npm ci"),
    on(real("groove_2bar")),
]


def faults(page: Page) -> list[str]:
    """What axe-core finds grave on a page, in words."""
    page.evaluate(AXE.read_text("utf-8"))
    # Targets of 24 pixels are level AA of WCAG 2.2, which axe-core leaves out unless asked.
    rules = "{ 'target-size': { enabled: true } }"
    found = page.evaluate(f"axe.run(document, {{ resultTypes: ['violations'], rules: {rules} }})")
    return [
        f"{fault['id']}: {fault['nodes'][0]['target']}"
        for fault in found["violations"]
        if fault["impact"] in GRAVE
    ]


def test_no_page_has_a_grave_fault(address: str, browser: Browser) -> None:
    found = {}
    with opened(browser, address, viewport=SIZES["desk"]) as page:
        page.locator(".large .shape").click()  # the tools of a card are judged too
        for name in PAGES:
            if name:
                page.set_viewport_size(SIZES["desk"])
                page.goto(f"{address}/{name}")
            page.locator(".transport").wait_for()
            wait_for_rest(page)
            for size, viewport in SIZES.items():
                page.set_viewport_size(viewport)
                found[name, size] = faults(page)
    assert not any(found.values()), found


def test_a_fault_would_be_found(address: str, browser: Browser) -> None:
    with opened(browser, address) as page:
        page.evaluate("document.body.append(document.createElement('button'))")
        assert any(fault.startswith("button-name") for fault in faults(page))
