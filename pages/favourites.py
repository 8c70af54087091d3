"""Favourites: every groove with a star, from whatever page, to hear, name, send and save."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.studio import Studio
from pages.components.deck import Card, deck
from pages.components.entry import run_app
from pages.components.favourites import (
    can_undo_star,
    favourites,
    keep_favourite,
    toggle_favourite,
    undo_star,
)
from pages.components.piece import draw_zip
from pages.components.sending import destinations, send
from pages.components.session import keep_mix, kept_mix
from pages.components.settings import choose_kit
from pages.components.studio import loop_sounds, shared_studio

_NOTHING_YET = "No favourites yet: give a groove a star on any page, and it waits here."


def starred() -> None:
    """Draw the favourites, the newest first."""
    try:
        studio = shared_studio()
        with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
            kit = choose_kit(studio)
            _draw_undo_button()
            if favourites():
                grooves = [source.groove for source in favourites().values()]
                draw_zip(*(studio, grooves, "favourites", kit), key="favourites.zip", label="All")
        if not favourites():
            st.info(_NOTHING_YET)
            return
        _draw_deck(studio, kit)
    except MusicVAEError as error:
        st.error(str(error))


def _draw_undo_button() -> None:
    st.button(
        "Undo",
        icon=":material/undo:",
        key="favourites.undo",
        disabled=not can_undo_star(),
        help="Bring back the stars from before" if can_undo_star() else "Nothing to undo yet",
        on_click=undo_star,
    )


def _draw_deck(studio: Studio, kit: str | None) -> None:
    sources = dict(reversed(favourites().items()))
    grooves = [source.groove for source in sources.values()]
    sounds, problem = loop_sounds(studio, grooves, kit, mix=kept_mix())
    if problem:
        st.warning(problem, icon=":material/volume_off:")

    def rename(card_id: str, name: str) -> None:
        if name.strip():
            keep_favourite(replace(sources[card_id], name=name.strip()))

    deck(
        [
            Card(id_, one.name, one.groove, studio.midi(one.groove), sound, one.note, kept=True)
            for (id_, one), sound in zip(sources.items(), sounds, strict=True)
        ],
        key="favourites.deck",
        sound_problem=problem,
        mix=kept_mix(),
        destinations=destinations("favourites"),
        on_keep=lambda card_id: toggle_favourite(sources[card_id]),
        on_rename=rename,
        on_send=lambda card_id, destination: send(destination, sources[card_id]),
        on_mix=keep_mix,
    )


if __name__ == "__main__":
    run_app()
