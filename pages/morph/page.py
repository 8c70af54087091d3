"""Morph: what lies between two grooves, or four, played while the pointer moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.latent.results import Morphed
from musicvae_core.music.forms import FORMS, Music
from musicvae_core.studio import Studio
from pages.morph.morph_settings import (
    choose_ends,
    draw_end_buttons,
    end_keys,
    morphed,
    read_morph_settings,
)
from pages.shared.card import Card, Morph, draw_zip, piece_card
from pages.shared.collection import Source, fill, fingerprint, held_before, is_favourite, undo
from pages.shared.deck import deck, source_deck
from pages.shared.events import Share
from pages.shared.lasting import lasting
from pages.shared.play_settings import choose_bars, shared_studio


def morph() -> None:
    """Read the settings and the ends, and draw the morph, its ends and its piece."""
    widgets = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
    buttons = st.container(horizontal=True, vertical_alignment="center", gap="small", key="buttons")
    stage = st.container()  # the instrument stays where it is, whatever the ends have to say
    try:
        studio = shared_studio()
        with widgets:
            settings = read_morph_settings(studio, more=buttons)
        st.subheader("The ends, and as the model plays them")
        sources = choose_ends(studio, settings)
        keys = end_keys(settings)
        with buttons:
            draw_end_buttons(keys)
        if len(sources) < settings.n_ends:
            stage.info(f"Choose a {FORMS[settings.model.plays].noun} for each end.")
            return
        result = morphed(studio, settings, tuple(source.groove for source in sources))
        model = settings.model.name
        played = _Played(result, tuple(sources), model)
        with stage:
            _draw_morph(played)
        _draw_ends(played, keys)
        _draw_piece(studio, played, settings.model.n_bars)
    except MusicVAEError as error:
        stage.error(str(error))


_AT = "kept.morph.at"
"""Session key of where the pointer of the morph is."""


lasting(_AT, tuple[Share, Share])


def _draw_morph(played: _Played) -> None:
    """Draw the strip or pad that plays under the pointer."""
    card = _morph_card(played, st.session_state.get(_AT, (0.5, 0.0)))
    assert card.morph is not None
    step = played.source_at(card.morph)
    source_deck(
        [card],
        lambda _: step,
        key="morph.deck",
        on_move=lambda _, at: st.session_state.update({_AT: at}),
    )


def _draw_ends(played: _Played, keys: Sequence[str]) -> None:
    """Draw each end beside what the model makes of it; an edited end takes the old one's place."""
    cards = _end_cards(played, keys)
    by_id = {card.id: card for card in cards}

    def source_of(card_id: str) -> Source:
        key, is_model, _ = card_id.partition(".model")
        name = played.sources[keys.index(key)].name
        name = f"{name}, as the model plays it" if is_model else name
        return Source(name, by_id[card_id].groove, origin="morph")

    def edit(card_id: str, groove: Music) -> None:
        before = played.sources[keys.index(card_id)]
        if fingerprint(groove) == fingerprint(before.groove):
            return
        if before.origin == "edited" and held_before(card_id, groove):
            undo("morph", [card_id])
            return
        fill(card_id, replace(before, groove=groove, z=None, origin="edited", note=""))

    source_deck(
        cards,
        source_of,
        key="morph.ends",
        on_edit=edit,
    )


def _draw_piece(studio: Studio, played: _Played, n_bars: int) -> None:
    """Draw, where it is unfolded, the morph as a piece; n_bars is the model's length."""
    grooves = played.grooves
    piece = st.expander("As a piece", key="morph.piece", on_change="rerun")
    if not piece.open:
        return
    with piece:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            bars = choose_bars(len(grooves), n_bars)
            draw_zip(studio, grooves, played.name, key="morph.zip")
        card = piece_card(grooves, bars, played.name)
        deck([card], key="morph.piece.deck")


_MORPH = "morph"


@dataclass(frozen=True, eq=False)
class _Played:
    """A morph with its ends.

    Parameters
    ----------
    result
        The morph.
    sources
        Its ends, of the model's length.
    model
        The name of the model.
    """

    result: Morphed
    sources: tuple[Source, ...]
    model: str

    @property
    def name(self) -> str:
        """Return the names of the ends as one."""
        *others, last = (source.name for source in self.sources)
        return f"{', '.join(others)} to {last}"

    @property
    def grooves(self) -> tuple[Music, ...]:
        """Return the steps."""
        return self.result.grooves

    def morph(self, at: tuple[float, float]) -> Morph:
        """Return the steps on a strip or a pad, the pointer at (x, y)."""
        return Morph(
            self.grooves,
            self.result.n_rows,
            self.result.n_columns,
            tuple(source.name for source in self.sources),
            at,
        )

    def source_at(self, morph: Morph) -> Source:
        """Return what is heard under the pointer, for a favourite or another page."""
        index = morph.index_at(morph.at)
        groove = morph.groove_at(morph.at)
        if groove is not self.grooves[index]:
            return Source(f"{self.name}, between steps", groove, origin=_MORPH)
        name = f"{self.name}, step {index + 1}"
        return Source(name, groove, self.result.codes[index], self.model, _MORPH)


def _morph_card(played: _Played, at: tuple[float, float]) -> Card:
    """Return the card that morphs."""
    morph = played.morph(at)
    groove = morph.groove_at(at)
    note = "Drag between the corners" if morph.n_rows > 1 else f"{morph.n_columns} steps"
    return Card(
        *(_MORPH, played.name, groove, note),
        kept=is_favourite(groove),
        morph=morph,
    )


def _end_cards(played: _Played, keys: Sequence[str]) -> list[Card]:
    """Return a card for each end, of the id of its slot, and one as the model plays it."""
    backs = played.result.reconstructions
    originals = [back.original for back in backs]
    decoded = [back.groove for back in backs]
    cards = []
    for at, (key, source, back) in enumerate(zip(keys, played.sources, backs, strict=True)):
        letter = key[-1].upper()
        cards.append(
            Card(
                *(key, f"{letter}: {source.name}", originals[at]),
                note=source.origin,
                kept=is_favourite(originals[at]),
                editable=True,
            )
        )
        cards.append(
            Card(
                *(f"{key}.model", f"{letter} as the model plays it", decoded[at]),
                note=back.summary,
                kept=is_favourite(decoded[at]),
                before=originals[at],
                before_name=cards[-1].name,
            )
        )
    return cards
