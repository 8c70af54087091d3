"""Sample: draw new grooves from the latent space, hear them, keep the good ones."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.studio import Studio
from musicvae_core.takes import Take
from pages.components.deck import Card, deck
from pages.components.entry import run_app
from pages.components.favourites import is_favourite, keep_favourite, toggle_favourite
from pages.components.sending import destinations, send, take_sent
from pages.components.session import keep_shelf, shelf
from pages.components.settings import (
    Settings,
    read_settings,
    remember_sampled,
    take_next_seed_if_unchanged,
)
from pages.components.shelf import Entry, Shelf
from pages.components.slots import Source
from pages.components.sources import as_long_as
from pages.components.studio import loop_sounds, shared_studio

_N_NEIGHBOURS = 4
_SAMPLE = "sample.asked"
"""Session key, set when Sample was pressed: the next run of the page samples."""
_MORE = "sample.more"
"""Session key of an entry's id: the next run of the page looks for its neighbours."""


def sample() -> None:
    """Read the settings, do what was asked, and draw the deck."""
    widgets, buttons = st.container(), st.container(horizontal=True, gap="xsmall", key="buttons")
    with buttons:
        _draw_sample_button()
    try:
        studio = shared_studio()
        with widgets:
            settings = read_settings(studio, more=buttons)
    except MusicVAEError as error:
        st.error(str(error))
        return
    try:
        keep_shelf(_receive(studio, settings, shelf()))
        keep_shelf(_do_what_was_asked(studio, settings, shelf()))
    except MusicVAEError as error:
        st.error(str(error))
    with buttons:
        _draw_undo_button(shelf())
    _draw_deck(studio, settings, shelf())


def _do_what_was_asked(studio: Studio, settings: Settings, now: Shelf) -> Shelf:
    """Return the shelf after Sample or "more like this"; a first visit samples by itself."""
    asked = st.session_state.pop(_SAMPLE, False)
    source = now.find(st.session_state.pop(_MORE, ""))
    if source:
        seed = settings.seed + now.n_made
        takes = studio.similar(source.take, _N_NEIGHBOURS, amount=settings.amount, seed=seed)
        return now.with_neighbours(source, takes)
    if not asked and now.entries:
        return now
    takes = studio.sample(
        settings.model,
        settings.n,
        temperature=settings.temperature,
        tempo_bpm=settings.tempo_bpm,
        seed=settings.seed,
        prior=settings.prior,
    )
    remember_sampled()
    kept = {entry.id for entry in now.entries if is_favourite(entry.take.groove)}
    return now.renewed(takes, f"seed {settings.seed}, temperature {settings.temperature:g}", kept)


def _receive(studio: Studio, settings: Settings, now: Shelf) -> Shelf:
    """Return the shelf with what other pages sent, as takes of the model that is chosen."""
    lengths = {model.name: model.n_bars for model in studio.models()}
    for source in take_sent("sample"):
        model = source.model if source.z is not None and source.model in lengths else settings.model
        groove = as_long_as(source.groove, lengths[model])
        z = source.z if model == source.model else None
        if z is None:
            [z] = studio.encode(model, [groove])
        take = Take(groove, z, model, settings.seed, settings.temperature)
        now = now.with_received(take, source.name, source.note or f"from {source.origin}")
    return now


def _draw_sample_button() -> None:
    st.button(
        "Sample",
        type="primary",
        icon=":material/graphic_eq:",
        key="sample",
        help="Draw new grooves; those with a star stay",
        on_click=_ask_to_sample,
    )


def _draw_undo_button(now: Shelf) -> None:
    st.button(
        "Undo",
        icon=":material/undo:",
        key="undo",
        disabled=not now.past,
        help="Bring back the grooves from before" if now.past else "Nothing to undo yet",
        on_click=lambda: keep_shelf(shelf().undone()),
    )


def _ask_to_sample() -> None:
    take_next_seed_if_unchanged()
    st.session_state[_SAMPLE] = True


def _ask_for_more(entry_id: str) -> None:
    st.session_state[_MORE] = entry_id


def _source_of(entry: Entry, settings: Settings) -> Source:
    take = entry.take
    groove = take.groove.at_tempo(settings.tempo_bpm)
    return Source(entry.name, groove, take.z, take.model, "sample", entry.note)


def _draw_deck(studio: Studio, settings: Settings, now: Shelf) -> None:
    grooves = [entry.take.groove.at_tempo(settings.tempo_bpm) for entry in now.entries]
    sounds, problem = loop_sounds(studio, grooves, settings.kit)
    if problem:
        st.warning(problem, icon=":material/volume_off:")

    def source(entry_id: str) -> Source:
        return _source_of(next(entry for entry in now.entries if entry.id == entry_id), settings)

    def rename(entry_id: str, name: str) -> None:
        keep_shelf(shelf().renamed(entry_id, name))
        if name.strip():
            keep_favourite(replace(source(entry_id), name=name.strip()))

    deck(
        [
            Card(
                *(entry.id, entry.name, groove, studio.midi(groove), wav, entry.note),
                kept=is_favourite(groove),
            )
            for entry, groove, wav in zip(now.entries, grooves, sounds, strict=True)
        ],
        key="sample.deck",
        sound_problem=problem,
        on_more=_ask_for_more,
        destinations=destinations("sample"),
        on_keep=lambda entry_id: toggle_favourite(source(entry_id)),
        on_rename=rename,
        on_send=lambda entry_id, destination: send(destination, source(entry_id)),
    )


if __name__ == "__main__":
    run_app()
