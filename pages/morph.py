"""Morph: what lies between two grooves, or four, played while the pointer moves."""

from __future__ import annotations

import streamlit as st

from musicvae_core.errors import MusicVAEError
from pages.components.entry import run_app
from pages.components.morph.cards import Played
from pages.components.morph.decks import draw_ends, draw_morph, draw_piece
from pages.components.morph.ends import END_KEYS, choose_ends, draw_end_buttons
from pages.components.morph.settings import morphed, read_morph_settings
from pages.components.session import kept_mix
from pages.components.settings import choose_tempo
from pages.components.studio import shared_studio


def morph() -> None:
    """Read the settings and the ends, and draw the morph, its ends and its piece."""
    widgets = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
    buttons = st.container(horizontal=True, vertical_alignment="center", gap="small", key="buttons")
    try:
        studio = shared_studio()
        with widgets:
            settings = read_morph_settings(studio, more=buttons)
        sources = choose_ends(studio, settings)
        with buttons:
            draw_end_buttons(settings.n_ends)
        if len(sources) < settings.n_ends:
            st.info("Choose a groove for each end.")
            return
        with widgets:
            tempo_bpm = choose_tempo(END_KEYS[0], "A")
        result = morphed(studio, settings, tuple(source.groove for source in sources))
        model = settings.model.name
        played = Played(result, tuple(sources), model, tempo_bpm, settings.kit, kept_mix())
        draw_morph(studio, played)
        draw_ends(studio, played)
        draw_piece(studio, played, settings.model.n_bars)
    except MusicVAEError as error:
        st.error(str(error))


if __name__ == "__main__":
    run_app()
