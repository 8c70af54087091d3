"""A deck whose cards can be kept as favourites and sent to other pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pages.components.deck.card import Card
from pages.components.deck.deck import deck
from pages.components.favourites import set_favourite
from pages.components.sending import destinations, send
from pages.components.slots import Source, page_of


def source_deck(
    cards: Sequence[Card], source_of: Callable[[str], Source], *, key: str, **controls: Any
) -> None:
    """Draw a deck with a star and a menu of destinations on every card.

    Parameters
    ----------
    cards
        See `deck`.
    source_of
        Returns what the card of an id is to a favourite or another page.
    key
        The page's key, a dot, and the deck's own name.
    controls
        What else `deck` takes.
    """
    deck(
        cards,
        key=key,
        destinations=destinations(page_of(key)),
        on_keep=lambda card_id, kept: set_favourite(source_of(card_id), kept),
        on_send=lambda card_id, destination: send(destination, source_of(card_id)),
        **controls,
    )
