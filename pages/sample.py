"""Sample: draw new grooves from the latent space, hear them, keep the good ones."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.studio import Studio
from pages.components.deck.card import Card
from pages.components.deck.source_deck import source_deck
from pages.components.entry import run_app
from pages.components.favourites import is_favourite, keep_favourite
from pages.components.sample.sampling import (
    ask_for_more,
    do_what_was_asked,
    draw_sample_button,
    receive,
)
from pages.components.sample.shelf import Entry, Shelf
from pages.components.session import keep_mix, keep_shelf, kept_mix, shelf
from pages.components.settings import Settings, read_settings
from pages.components.slots import Source
from pages.components.studio import loop_sounds, shared_studio
from pages.components.undoing import draw_undo
from pages.components.whole import whole


def sample() -> None:
    """Read the settings, do what was asked, and draw the deck."""
    widgets, buttons = st.container(), st.container(horizontal=True, gap="xsmall", key="buttons")
    with buttons:
        draw_sample_button()
    try:
        studio = shared_studio()
        with widgets:
            settings = read_settings(studio, more=buttons)
    except MusicVAEError as error:
        st.error(str(error))
        return
    try:
        _renew(studio, settings)
    except MusicVAEError as error:
        st.error(str(error))
    with buttons:
        draw_undo("undo", bool(shelf().past), "the grooves", _undo)
    _draw_deck(studio, settings, shelf())


@whole()
def _renew(studio: Studio, settings: Settings) -> None:
    keep_shelf(receive(studio, settings, shelf()))
    keep_shelf(do_what_was_asked(studio, settings, shelf()))


def _undo() -> None:
    keep_shelf(shelf().undone())


def _source_of(entry: Entry, settings: Settings) -> Source:
    take = entry.take
    groove = take.groove.at_tempo(settings.tempo_bpm)
    return Source(entry.name, groove, take.z, take.model, "sample", entry.note)


def _draw_deck(studio: Studio, settings: Settings, now: Shelf) -> None:
    mix = kept_mix()
    grooves = [entry.take.groove.at_tempo(settings.tempo_bpm) for entry in now.entries]
    sounds, problem = loop_sounds(studio, grooves, settings.kit, mix=mix)
    if problem:
        st.warning(problem, icon=":material/volume_off:")

    def source(entry_id: str) -> Source:
        return _source_of(next(entry for entry in now.entries if entry.id == entry_id), settings)

    def rename(entry_id: str, name: str) -> None:
        keep_shelf(shelf().renamed(entry_id, name))
        if name.strip():
            keep_favourite(replace(source(entry_id), name=name.strip()))

    source_deck(
        [
            Card(
                *(entry.id, entry.name, groove, studio.midi(groove), wav, entry.note),
                kept=is_favourite(groove),
            )
            for entry, groove, wav in zip(now.entries, grooves, sounds, strict=True)
        ],
        source,
        key="sample.deck",
        sound_problem=problem,
        mix=mix,
        on_mix=keep_mix,
        on_more=ask_for_more,
        on_rename=rename,
    )


if __name__ == "__main__":
    run_app()
