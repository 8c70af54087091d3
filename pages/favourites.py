"""Favourites: every groove with a star, from whatever page, to hear, name, send and save."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.studio import Studio
from pages.components.deck.card import Card
from pages.components.deck.piece import draw_zip
from pages.components.deck.source_deck import source_deck
from pages.components.entry import run_app
from pages.components.favourites import can_undo_star, favourites, keep_favourite, undo_star
from pages.components.session import keep_mix, kept_mix
from pages.components.settings import choose_kit
from pages.components.slots import Source
from pages.components.studio import loop_sounds, shared_studio
from pages.components.undoing import draw_undo

_NOTHING_YET = "No favourites yet: give a groove a star on any page, and it waits here."


def starred() -> None:
    """Draw the favourites, the newest first."""
    try:
        studio = shared_studio()
        with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
            kit = choose_kit(studio)
            draw_undo("favourites.undo", can_undo_star(), "the stars", undo_star)
            if favourites():
                _draw_zip(studio, kit)
        if not favourites():
            st.info(_NOTHING_YET)
            return
        _draw_deck(studio, kit)
    except MusicVAEError as error:
        st.error(str(error))


def _newest_first() -> dict[str, Source]:
    return dict(reversed(favourites().items()))


def _draw_zip(studio: Studio, kit: str | None) -> None:
    sources = _newest_first().values()
    draw_zip(
        *(studio, [source.groove for source in sources], "favourites", kit),
        key="favourites.zip",
        label="All",
        mix=kept_mix(),
        names=[source.name for source in sources],
    )


def _draw_deck(studio: Studio, kit: str | None) -> None:
    sources = _newest_first()
    grooves = [source.groove for source in sources.values()]
    sounds, problem = loop_sounds(studio, grooves, kit, mix=kept_mix())
    if problem:
        st.warning(problem, icon=":material/volume_off:")

    def rename(card_id: str, name: str) -> None:
        if name.strip():
            keep_favourite(replace(sources[card_id], name=name.strip()))

    source_deck(
        [
            Card(id_, one.name, one.groove, studio.midi(one.groove), sound, one.note, kept=True)
            for (id_, one), sound in zip(sources.items(), sounds, strict=True)
        ],
        sources.__getitem__,
        key="favourites.deck",
        sound_problem=problem,
        mix=kept_mix(),
        on_rename=rename,
        on_mix=keep_mix,
    )


if __name__ == "__main__":
    run_app()
