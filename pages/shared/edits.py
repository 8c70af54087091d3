"""What the listener makes of a card's groove by hand: notes, tempo, a part drawn anew, more feel.

On every page alike: the groove that the page shows stays what it is, and the edited one takes its
place on the card, in files, among the favourites and on its way to other pages.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from musicvae_core.lab.options import Amounts, Chance
from musicvae_core.lab.tools import Lab
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.forms import AnyMusic, Music
from musicvae_core.music.groove import Groove
from pages.shared.card import Card
from pages.shared.collection import Source, fingerprint
from pages.shared.events import Change
from pages.shared.lasting import lasting

_EDITS = "kept.edits"
_MAX_EDITS = 256
lasting(_EDITS, dict[str, AnyMusic])
_HUMANIZED = "edits.humanized"
"""Session key of what each humanized groove was made from, and by how much, by its fingerprint."""


def edited(groove: Music) -> Music:
    """Return what the listener made of a groove; the groove itself where that is nothing."""
    return _edits().get(fingerprint(groove), groove)


def edited_card(card: Card) -> Card:
    """Return a card with its groove as edited, to be edited further; a morph stays as it is."""
    if card.morph:
        return card
    amount = _humanized().get(fingerprint(edited(card.groove)), (card.groove, 0.0))[1]
    lineage = fingerprint(card.groove)
    shown = replace(card, groove=edited(card.groove), editable=True)
    return replace(shown, lineage=lineage, humanized=amount)


def edited_source(source: Source) -> Source:
    """Return a source with its groove as edited."""
    groove = edited(source.groove)
    if groove is source.groove:
        return source
    is_played_anew = fingerprint(groove) != fingerprint(source.groove)
    return replace(source, groove=groove, z=None if is_played_anew else source.z)


def keep_edit(groove: Music, made: Music) -> None:
    """Let another groove stand in a groove's place; itself takes all edits back."""
    others = {key: one for key, one in _edits().items() if key != fingerprint(groove)}
    if made != groove:
        others[fingerprint(groove)] = made
    st.session_state[_EDITS] = dict(list(others.items())[-_MAX_EDITS:])


def changed(groove: Music, change: Change, open_lab: Callable[[], Lab]) -> Music:
    """Return drums as a tool of their card changes them.

    Raises
    ------
    MusicVAEError
        If the groove lab is needed and not there.
    """
    assert isinstance(groove, Groove), "the deck offers tools for drums alone"
    if change.tempo is not None:
        return groove.at_tempo(change.tempo)
    if change.humanize is not None:
        return _humanize(groove, change.humanize, open_lab())
    anew = [voice for voice in range(N_VOICES) if voice not in change.locked]
    chance = Chance(seed=random.randrange(2**31))
    return open_lab().fill_in(groove, voices=anew, chance=chance)


def _humanize(groove: Groove, amount: float, lab: Lab) -> Groove:
    """Play a groove anew by an amount, counted from what it was before it was humanized."""
    start, _ = _humanized().get(fingerprint(groove), (groove, 0.0))
    start = start.at_tempo(groove.tempo_bpm)
    made = lab.humanize(start, amounts=Amounts(amount, amount))
    _humanized()[fingerprint(made)] = (start, amount)
    return made


def _edits() -> dict[str, Music]:
    kept: dict[str, Music] = st.session_state.setdefault(_EDITS, {})
    return kept


def _humanized() -> dict[str, tuple[Groove, float]]:
    kept: dict[str, tuple[Groove, float]] = st.session_state.setdefault(_HUMANIZED, {})
    return kept
