"""Morph: what lies between two grooves, or four, played while the pointer moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from pages.components.deck import deck
from pages.components.entry import run_app
from pages.components.favourites import toggle_favourite
from pages.components.morph_cards import Played, end_cards, morph_card
from pages.components.morph_settings import (
    MorphSettings,
    morphed,
    read_morph_settings,
)
from pages.components.piece import choose_bars, draw_zip, piece_card
from pages.components.sending import destinations, send, take_sent
from pages.components.session import keep_mix, kept_mix
from pages.components.settings import choose_tempo
from pages.components.slots import Source, can_undo, fill, fill_all, fill_in_turn, swap, undo
from pages.components.sources import choose_groove
from pages.components.studio import shared_studio
from pages.components.uploads import draw_report, draw_uploader

_ENDS = ("morph.a", "morph.b", "morph.c", "morph.d")
"""Slots of two ends, or of four corners row by row."""
_AT = "kept.morph.at"
"""Session key of where the pointer of the morph is."""


def morph() -> None:
    """Read the settings and the ends, and draw the morph, its ends and its piece."""
    widgets = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
    buttons = st.container(horizontal=True, vertical_alignment="center", gap="small", key="buttons")
    try:
        studio = shared_studio()
        with widgets:
            settings = read_morph_settings(studio, more=buttons)
        sources = _choose_ends(studio, settings)
        with buttons:
            _draw_buttons()
        if len(sources) < settings.n_ends:
            st.info("Choose a groove for each end.")
            return
        with widgets:
            tempo_bpm = choose_tempo("morph", sources[0].groove, "A")
        result = morphed(studio, settings, tuple(source.groove for source in sources))
        model = settings.model.name
        played = Played(result, tuple(sources), model, tempo_bpm, settings.kit, kept_mix())
        _draw_morph(studio, played)
        _draw_ends(studio, played)
        _draw_piece(studio, played, settings.model.n_bars)
    except MusicVAEError as error:
        st.error(str(error))


def _choose_ends(studio: Studio, settings: MorphSettings) -> list[Source]:
    """Draw the choice of each end, take in what was sent, and return those that are there."""
    keys = _ENDS[: settings.n_ends]
    sent = take_sent("morph")
    if len(sent) == 1:
        fill_in_turn(keys, sent[0])
    else:
        fill_all(dict(zip(keys, sent, strict=False)))
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


def _draw_buttons() -> None:
    st.button(
        "Swap A and B",
        icon=":material/swap_horiz:",
        key="morph.swap",
        on_click=lambda: swap(_ENDS[0], _ENDS[1]),
    )
    st.button(
        "Undo",
        icon=":material/undo:",
        key="morph.undo",
        disabled=not can_undo("morph"),
        help="Bring back the ends from before" if can_undo("morph") else "Nothing to undo yet",
        on_click=lambda: undo("morph"),
    )


def _draw_morph(studio: Studio, played: Played) -> None:
    card = morph_card(studio, played, st.session_state.get(_AT, (0.5, 0.0)))
    assert card.morph is not None
    step = played.step(card.morph.index_at(card.morph.at))
    if studio.sound_problem:
        st.warning(studio.sound_problem, icon=":material/volume_off:")
    deck(
        [card],
        key="morph.deck",
        sound_problem=studio.sound_problem,
        mix=played.mix,
        destinations=destinations("morph"),
        on_move=lambda _, at: st.session_state.update({_AT: at}),
        on_keep=lambda _: toggle_favourite(step),
        on_send=lambda _, destination: send(destination, step),
        on_mix=keep_mix,
    )


def _draw_ends(studio: Studio, played: Played) -> None:
    st.subheader("The ends, and as the model plays them")
    is_editing = st.toggle(
        "Edit",
        key="morph.edit",
        persist_state="session",
        help="Click a cell for a hit; drag it up or down for loudness, sideways for timing.",
    )
    keys = _ENDS[: len(played.sources)]
    cards = end_cards(studio, played, keys, editable=is_editing)
    by_id = {card.id: card for card in cards}

    def source(card_id: str) -> Source:
        return Source(by_id[card_id].name, by_id[card_id].groove, origin="morph")

    def edit(card_id: str, groove: Groove) -> None:
        before = played.sources[keys.index(card_id)]
        fill(card_id, replace(before, groove=groove, z=None, origin="edited", note=""))

    deck(
        cards,
        key="morph.ends",
        sound_problem=studio.sound_problem,
        destinations=destinations("morph"),
        on_keep=lambda card_id: toggle_favourite(source(card_id)),
        on_send=lambda card_id, destination: send(destination, source(card_id)),
        on_edit=edit,
    )


def _draw_piece(studio: Studio, played: Played, n_bars: int) -> None:
    grooves = played.grooves
    piece = st.expander("As a piece", key="morph.piece", on_change="rerun")
    if not piece.open:
        return
    with piece:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            bars = choose_bars(len(grooves), n_bars)
            draw_zip(studio, grooves, played.name, played.kit, key="morph.zip")
        card = piece_card(studio, grooves, bars, played.name, played.kit)
        deck([card], key="morph.piece.deck", sound_problem=studio.sound_problem)


if __name__ == "__main__":
    run_app()
