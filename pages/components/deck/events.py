"""What the browser says happened on a deck, read without trusting a number of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, TypeGuard

from musicvae_core.errors import InvalidGrooveError
from musicvae_core.groove import Groove
from musicvae_core.vocabulary import N_VOICES, VELOCITY_LEVELS
from pages.components.deck.card import Card, Mix
from pages.components.deck.payload import as_sent

MIX = "the mix"
"""In place of a card's id, among revisions."""
_LATEST_OFFSET = 0.499
"""Offsets are below half a step: the next step has the rest."""

log = logging.getLogger(__name__)


def calls(event: str, value: Any, cards: Mapping[str, Card]) -> list[tuple[Any, ...]]:
    """Return with what the page's callback is to be called, once for each tuple.

    Parameters
    ----------
    event
        One of those at the top of `assets/deck/deck.js`.
    value
        What came with it.
    cards
        The deck's, by id: what is said of others is passed over, they have left the deck
        meanwhile. So is what makes no sense, with a line in the log.
    """
    try:
        if event == "mix":
            return [(_mix(*value),)]
        if event in REVISED:
            said = [(cards[id_], what) for id_, _, what in value if id_ in cards]
            return [call for card, what in said for call in REVISED[event](card, what)]
        card_id, *rest = [value] if isinstance(value, str) else value
        card = cards[card_id]
        return [(card.id, *_READERS[event](card, *rest))]
    except KeyError:
        return []
    except (InvalidGrooveError, TypeError, ValueError) as error:
        log.warning("A deck's %s is passed over: %s", event, error)
        return []


def revisions_of(event: str, value: Any) -> dict[str, int]:
    """Return the numbers of the edits, stars and mixes that were seen, by card, or `MIX`.

    The browser is told them, so that it knows what is older than what it shows.
    """
    try:
        if event == "mix":
            return {MIX: int(value[3])}
        return {one[0]: int(one[1]) for one in value} if event in REVISED else {}
    except (TypeError, ValueError, IndexError):
        return {}


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


def _edit(card: Card, hits: object) -> list[tuple[Any, ...]]:
    return [(card.id, read_hits(hits, card.groove))] if card.editable else []


def _keep(card: Card, kept: object) -> list[tuple[Any, ...]]:
    if not isinstance(kept, bool):
        raise ValueError(f"A star is {kept!r}.")
    return [(card.id, kept)]


REVISED: dict[str, Callable[[Card, object], list[tuple[Any, ...]]]] = {"edit": _edit, "keep": _keep}
"""Readers of events that tell, with a number, what several cards are like by now."""


def _mix(muted: list[int], soloed: list[int], volume: object, _revision: object) -> Mix:
    voices = range(N_VOICES)
    return Mix(
        frozenset(voice for voice in muted if voice in voices),
        frozenset(voice for voice in soloed if voice in voices),
        _share(volume),
    )


def _place(card: Card, x: object, y: object) -> tuple[tuple[float, float]]:
    """Return the place of a card's morph that is nearest to (x, y)."""
    if card.morph is None:
        raise ValueError(f"{card.id} has no morph.")
    return (card.morph.place_of(card.morph.index_at((_share(x), _share(y)))),)


def _bar(card: Card, bar: object) -> tuple[int | None]:
    if bar is not None and bar not in range(card.groove.n_bars):
        raise ValueError(f"{card.id} has no bar {bar}.")
    return (None if bar is None else int(bar),)


_READERS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "more": lambda card: (),
    "rename": lambda card, name: (str(name),),
    "send": lambda card, destination: (str(destination),),
    "move": _place,
    "bar": _bar,
}


def _share(value: object) -> float:
    if not _is_number(value):
        raise ValueError(f"{value!r} is no number.")
    return _within(value, 0.0, 1.0)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _within(value: float, low: float, high: float) -> float:
    return min(max(float(value), low), high)
