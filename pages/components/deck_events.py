"""What the browser says happened on a deck, read without trusting a number of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from musicvae_core.errors import InvalidGrooveError
from musicvae_core.groove import Groove
from musicvae_core.vocabulary import N_VOICES, VELOCITY_LEVELS
from pages.components.card import Card, Mix, Morph
from pages.components.deck_payload import as_sent

_LATEST_OFFSET = 0.499
"""Offsets are below half a step: the next step has the rest."""

log = logging.getLogger(__name__)


def known(cards: Mapping[str, Card], card_id: object) -> Card | None:
    """Return the card of that id, or None where it has left the deck meanwhile."""
    return cards.get(card_id) if isinstance(card_id, str) else None


def edit_of(hits: object, before: Groove) -> Groove | None:
    """Return a groove of `before`'s length and tempo with these hits, or None if they are bad."""
    try:
        return read_hits(hits, before)
    except InvalidGrooveError as error:
        log.warning("An edit is left out: %s", error)
        return None


def read_hits(hits: object, like: Groove) -> Groove:
    """Return a groove of `like`'s length and tempo with hits [step, voice, velocity, offset].

    Velocities and offsets are moved into their ranges; of two hits in one cell the last counts.
    The browser knows `like` in rounded numbers: those that it sends back as it had them keep
    all their digits.

    Raises
    ------
    InvalidGrooveError
        If `hits` is no list of four finite numbers each, or a cell is not on the grid.
    """
    if not isinstance(hits, list):
        raise InvalidGrooveError("An edit must be a list of hits.")
    groove = Groove.silent(like.n_bars)
    arrays = [array.copy() for array in (groove.hits, groove.velocities, groove.offsets)]
    for hit in hits:
        if not (isinstance(hit, list) and len(hit) == 4 and all(map(_is_number, hit))):
            raise InvalidGrooveError(f"A hit is {hit!r}; it must be four numbers.")
        step, voice, velocity, offset = hit
        if step not in range(like.n_steps) or voice not in range(N_VOICES):
            raise InvalidGrooveError(f"There is no cell at step {step}, voice {voice}.")
        cell = int(step), int(voice)
        arrays[0][cell] = True
        old_velocity, old_offset = like.velocities[cell], like.offsets[cell]
        if velocity != as_sent(old_velocity):
            old_velocity = _within(velocity, 1 / VELOCITY_LEVELS, 1.0)
        if offset != as_sent(old_offset):
            old_offset = _within(offset, -0.5, _LATEST_OFFSET)
        arrays[1][cell], arrays[2][cell] = old_velocity, old_offset
    return Groove(*arrays, like.tempo_bpm)


def mix_of(value: Any) -> Mix:
    """Return the mix that [muted, soloed, volume] says."""
    muted, soloed, volume = value
    voices = range(N_VOICES)
    return Mix(
        frozenset(voice for voice in muted if voice in voices),
        frozenset(voice for voice in soloed if voice in voices),
        _within(volume, 0.0, 1.0) if _is_number(volume) else 1.0,
    )


def moved_to(morph: Morph, at: Any) -> tuple[float, float]:
    """Return the place of a morph that is nearest to [x, y]."""
    x, y = (_within(value, 0.0, 1.0) if _is_number(value) else 0.0 for value in at)
    return morph.place_of(morph.index_at((x, y)))


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _within(value: float, low: float, high: float) -> float:
    return min(max(float(value), low), high)
