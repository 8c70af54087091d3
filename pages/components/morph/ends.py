"""The ends of the Morph page: choosing them, exchanging them, and bringing back the last."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from musicvae_core.studio import Studio
from pages.components.morph.settings import MorphSettings
from pages.components.sending import take_sent
from pages.components.slots import Source, can_undo, fill_all, fill_in_turn, swap, undo
from pages.components.sources import choose_groove
from pages.components.undoing import draw_undo
from pages.components.uploads import draw_report, draw_uploader

END_KEYS = ("morph.a", "morph.b", "morph.c", "morph.d")
"""Slots of two ends, or of four corners row by row."""


def choose_ends(studio: Studio, settings: MorphSettings) -> list[Source]:
    """Draw the choice of each end, take in what was sent, and return those that are there."""
    keys = END_KEYS[: settings.n_ends]
    _take_in(keys, take_sent("morph"))
    left, right, last = st.columns(3)
    chosen = []
    for at, key in enumerate(keys):
        with (left, right)[at % 2]:
            label = key[-1].upper()
            chosen.append(choose_groove(key, label, model=settings.model, default=at))

    def place(found: Sequence[Source]) -> None:
        fill_all(dict(zip(keys, found, strict=False)))

    with last:
        label = f"Drop MIDI files: the first is A, then {', '.join('BCD'[: len(keys) - 1])}"
        draw_uploader(studio, "morph.upload", label, place)
    draw_report(studio, "morph.upload", place)
    return [source for source in chosen if source is not None]


def _take_in(keys: Sequence[str], sent: Sequence[Source]) -> None:
    """Put what was sent into the ends: one into the next in turn, several from the first on."""
    if len(sent) == 1:
        fill_in_turn(keys, sent[0])
    else:
        fill_all(dict(zip(keys, sent, strict=False)))


def draw_end_buttons(n_ends: int) -> None:
    """Draw the buttons that exchange two ends and bring back those from before."""
    keys = END_KEYS[:n_ends]
    st.button(
        "Swap A and B",
        icon=":material/swap_horiz:",
        key="morph.swap",
        on_click=lambda: swap(END_KEYS[0], END_KEYS[1]),
    )
    draw_undo("morph.undo", can_undo("morph", keys), "the ends", lambda: undo("morph", keys))
