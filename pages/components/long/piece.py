"""A piece on the Long form page: sampled, heard bar by bar, and changed."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from pages.components.deck.card import Card
from pages.components.deck.source_deck import source_deck
from pages.components.favourites import is_favourite
from pages.components.long.changes import Change, choose_bar, draw_change
from pages.components.long.morph import draw_morph
from pages.components.long.settings import (
    LongSettings,
    long_models,
    read_long_settings,
    remember_long_sampled,
    take_next_long_seed,
)
from pages.components.long.similarity_map import draw_similarity
from pages.components.long.state import (
    Shown,
    can_take_back,
    rename,
    show,
    show_new,
    shown,
    take_back,
)
from pages.components.session import keep_mix, kept_mix
from pages.components.slots import Source
from pages.components.studio import loop_sounds
from pages.components.undoing import draw_undo
from pages.components.whole import whole

NO_LONG_MODEL = (
    "There is no model of 16 bars in the folder checkpoints: train one with `python -m "
    "musicvae_core train --preset groove_16bar --data PATH --out checkpoints/groove_16bar`."
)
_ASKED = "long_form.asked"
"""Session key, set when Sample was pressed: the next run of the page samples."""


def draw_long_piece(studio: Studio) -> None:
    """Read the settings, do what was asked, and draw the piece and what can be done with it.

    Raises
    ------
    MusicVAEError
        What the studio raises.
    """
    models = long_models(studio)
    if not models:
        st.info(NO_LONG_MODEL)
        return
    settings = read_long_settings(studio, models)
    buttons = st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", key="buttons"
    )
    with buttons:
        _draw_sample_button(settings)
    now = shown()
    change = draw_change(now.piece.groove.n_bars if now else settings.model.n_bars)
    try:
        _do_what_was_asked(studio, settings, change)
    except MusicVAEError as error:
        st.error(str(error))
    now = shown()
    if now is None:
        return
    with buttons:
        draw_undo("long_form.undo", can_take_back(), "the piece", take_back)
        editable = st.toggle(
            "Edit notes",
            key="long_form.edit",
            persist_state="session",
            help="Set, move and remove hits on the grid",
        )
    left, right = st.columns([4, 1], gap="small")
    with left:
        _draw_deck(studio, settings, now, editable)
    with right:
        draw_similarity(now.piece.groove, "long_form.similarity")
    draw_morph(studio, settings, now)


@whole()
def _do_what_was_asked(studio: Studio, settings: LongSettings, change: Change | None) -> None:
    """Sample, or change some bars; a first visit samples by itself."""
    asked = st.session_state.pop(_ASKED, False)
    now = shown()
    if asked or now is None:
        piece = studio.sample_piece(
            settings.model.name,
            temperature=settings.temperature,
            tempo_bpm=settings.tempo_bpm,
            seed=settings.seed,
        )
        remember_long_sampled()
        show_new(piece, f"seed {settings.seed}, temperature {settings.temperature:g}")
    elif change:
        seed = st.session_state.get("kept.long_form.n_changes", 0) + 1
        st.session_state["kept.long_form.n_changes"] = seed
        varied = studio.vary_bars(now.piece, change.bars, change.amount, seed=seed)
        show(now.changed(varied, f"{change.phrase} changed by {change.amount:.0%}"))


def _draw_sample_button(settings: LongSettings) -> None:
    @whole()
    def ask() -> None:
        take_next_long_seed()
        st.session_state[_ASKED] = True

    st.button(
        "Sample",
        type="primary",
        icon=":material/graphic_eq:",
        key="long_form.sample",
        help=f"Draw a new piece of {settings.model.n_bars} bars",
        on_click=ask,
    )


def _draw_deck(studio: Studio, settings: LongSettings, now: Shown, editable: bool) -> None:
    mix = kept_mix()
    groove = now.piece.groove.at_tempo(settings.tempo_bpm)
    before = now.before and now.before.at_tempo(settings.tempo_bpm)
    heard = [groove] if before is None else [groove, before]
    sounds, problem = loop_sounds(studio, heard, settings.kit, mix=mix, compressed=True)
    if problem:
        st.warning(problem, icon=":material/volume_off:")
    source = Source(now.name, groove, None, now.piece.model, "long form")
    midi, kept = studio.midi(groove), is_favourite(groove)
    card = Card(now.id, now.name, groove, midi, sounds[0], now.note, kept, editable=editable)

    def edit(_: str, edited: Groove) -> None:
        show(replace(now.changed(replace(now.piece, groove=edited), "edited by hand"), before=None))

    source_deck(
        [replace(card, before=before, before_wav=None if before is None else sounds[1])],
        lambda _: source,
        key="long_form.deck",
        sound_problem=problem,
        mix=mix,
        on_rename=lambda _, name: rename(name),
        on_edit=edit,
        on_mix=keep_mix,
        on_bar=lambda _, bar: None if bar is None else choose_bar(bar),
    )
