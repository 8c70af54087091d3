"""What tests of the Long form page share: the page with its fake studio, its decks and buttons."""

from __future__ import annotations

import numpy as np
from page_driver import components
from streamlit.testing.v1 import AppTest
from tiny_data import drummed_groove

PAGE = "from pages.long_form.page import long_form\nlong_form()"


def decks(page: AppTest) -> list[dict]:
    """The one card of each of the page's decks: the piece, and the morph where it is open."""
    return [deck["cards"][0] for deck in components(page)]


def bar_of(card: dict, bar: int) -> list[list[float]]:
    return [hit for hit in card["hits"] if hit[0] // 16 == bar]


def press(page: AppTest, name: str) -> AppTest:
    return page.button(key=f"long_form.{name}").click().run()


def groove_of(n_bars: int, seed: int = 0):
    return drummed_groove(np.random.default_rng(seed), n_bars, 97.0)
