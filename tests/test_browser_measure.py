"""`scripts.measure_app` works on every page; its figures here mean nothing."""

from __future__ import annotations

import pytest
from real_browser import Page, on, real

from scripts.measure_app import _measure

pytestmark = [pytest.mark.browser, pytest.mark.slow, on(real("groove_2bar"))]

ROWS = ("New grooves", "Tempo", "Kit", "Page change", "Slider", "Map", "Two uploads")


def test_every_row_is_measured(page: Page) -> None:
    rows = _measure(page, tries=1)
    print(rows)
    assert all(any(row.startswith(start) for row in rows) for start in ROWS)
    assert all(0 <= seconds < 60 for seconds in rows.values()), rows
