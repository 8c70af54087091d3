"""The deck: cards of music that are drawn, played and saved in the browser; and the app's studio.

The browser side is in `assets/deck`: ES modules, bundled into the single script that a Streamlit
component takes. The top of `assets/deck/deck.js` describes the data it expects and sends back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from musicvae_core.data.files import file_stem
from musicvae_core.music.forms import Music, music_to_text
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.music.piece import Piece
from musicvae_core.studio import Studio, limit_threads
from pages.shared.actions import component, on_event
from pages.shared.card import Card, payload
from pages.shared.collection import Source, favourites, page_of
from pages.shared.edits import (
    CARD_EVENTS,
    CardEvent,
    Change,
    arguments_of,
    changed,
    edited_card,
    edited_source,
    keep_edit,
)
from pages.shared.session import accepted_forms, destinations, send
from pages.shared.store import SessionVar
from pages.shared.transport import (
    VOICE_LABELS,
    load_instruments,
    offer_download,
    performed_midi,
    performed_stems,
    performed_wav,
)

_log = logging.getLogger(__name__)

_Callback = Callable[..., None]


def _open_studio() -> Studio:
    """Load the shipped models and the system's SoundFont."""
    limit_threads()
    return Studio()


@st.cache_resource(show_spinner="Loading the models…")
def shared_studio() -> Studio:
    """Return the app's `Studio`, loaded once."""
    return _open_studio()


HASH_FUNCS: dict[str | type[Any], Callable[[Any], Any]] = dict.fromkeys(
    (Groove, Line, Piece), music_to_text
)
"""How caches identify music: by everything that its sound depends on."""


def deck(
    studio: Studio,
    cards: Sequence[Card],
    callbacks: Mapping[str, _Callback],
    *,
    key: str,
    destinations: Mapping[str, str] | None = None,
    play: tuple[str, str] | None = None,
    follow: bool = False,
    stage: bool = False,
) -> None:
    """Draw a deck of cards.

    Parameters
    ----------
    studio
        Knows what can be played and sent, and makes files.
    cards
        In drawing order.
    callbacks
        By event; a control without a callback is not drawn, except that morphs and loops of a bar
        work without one. Each is called before the page runs again, with a card's id and

        - `more`: nothing else;
        - `keep`: whether the card is to be starred;
        - `rename`: its new name;
        - `move`: the (x, y) where its morph's pointer was released, see `Morph.settled`;
        - `edit`: its groove as edited;
        - `send`: the destination's id;
        - `bar`: the bar that is looped, counted from 0, or None for the whole groove;
        - `change`: the change requested with one of its tools, see `edits.changed`.
    key
        Identifies the deck on its page, and the widget in the session.
    destinations
        Where a card can be sent: the value passed to `send`, and the menu text.
    play
        A card's id and a token: the card plays from its start, once for each new token.
    follow
        If the playing card is gone, whether the first card takes over on the next beat.
    stage
        Whether one card (the first, or the one playing) is shown large and the others small.
    """
    handlers: dict[str, _Callback | None] = dict.fromkeys(CARD_EVENTS)
    handlers |= {**callbacks, **_savers(studio)}
    offered = destinations or {}
    data = {
        "problem": studio.sound_problem,
        "can": {event: callback is not None for event, callback in handlers.items()},
        "destinations": _destinations_payload(studio, offered),
        "play": play,
        "follow": follow,
        "stage": stage,
    }
    deliver = partial(_deliver, key, {card.id: card for card in cards}, offered)
    load_instruments(sorted(set().union(*(card.programs for card in cards))))
    _mount(
        key=key,
        data={**data, **_cards_payload(cards, key)},
        **{
            f"on_{event}_change": on_event(
                key, event, CARD_EVENTS[event], partial(deliver, event, callback)
            )
            for event, callback in handlers.items()
        },
    )


def _cards_payload(cards: Sequence[Card], key: str) -> dict[str, Any]:
    sent = [payload(card, _revisions_of_card(key, card.id)) for card in cards]
    return {"key": key, "labels": VOICE_LABELS, "cards": sent}


def _destinations_payload(
    studio: Studio, destinations: Mapping[str, str]
) -> list[tuple[str, str, list[str]]]:
    """Return the page, menu text and forms of music of each destination."""
    models = studio.models()
    return [(id_, label, accepted_forms(models, id_)) for id_, label in destinations.items()]


_REVISED = ("edit", "keep", "rename", "move", "change")
"""Events of several cards, each with a revision number, that are sent until they are confirmed."""


def _revisions(key: str, event: str) -> SessionVar[Mapping[str, int]]:
    """Return the numbers of the last changes of a deck that Python has seen, by card.

    The browser compares them with its own, and ignores data older than what it shows.
    """
    return SessionVar(f"{key}.revisions.{event}", {})


def _revisions_of_card(key: str, card_id: str) -> dict[str, int]:
    return {event: _revisions(key, event).get().get(card_id, 0) for event in _REVISED}


def _savers(studio: Studio) -> dict[str, _Callback]:
    """Return the callbacks that have the browser save files, by their events."""
    return {
        "wav": partial(_save_wav, studio),
        "midi": _save_midi,
        "stems": partial(_save_stems, studio),
    }


def _save_wav(studio: Studio, _: str, groove: Music, name: str) -> None:
    """Have the browser save a groove as it is heard."""
    offer_download(f"{file_stem(name)}.wav", performed_wav(studio, groove))


def _save_midi(_: str, groove: Groove, name: str) -> None:
    """Have the browser save the notes of a groove as they are heard."""
    offer_download(f"{file_stem(name)}.mid", performed_midi(groove))


def _save_stems(studio: Studio, _: str, groove: Music, name: str) -> None:
    """Have the browser save each voice of a groove as it is heard, in one zip."""
    offer_download(f"{file_stem(name)}-stems.zip", performed_stems(studio, groove))


def _deliver(
    key: str,
    cards: Mapping[str, Card],
    destinations: Mapping[str, str],
    event: str,
    callback: _Callback | None,
    card_events: Sequence[CardEvent],
) -> None:
    """Call the page's callback for every card that is still on the deck."""
    for one in card_events:
        card = cards.get(one.card)
        if callback is None or card is None:
            _log.info("A %s of %s came for a card that is gone.", event, key)
            continue
        revision = getattr(one, "revision", None)
        if revision is not None:
            seen = _revisions(key, event)
            if revision <= seen.get().get(card.id, 0):
                continue  # sent again: it was carried out, and may have been undone since
            seen.set({**seen.get(), card.id: revision})
        arguments = arguments_of(one, card, destinations)
        if arguments is None:
            _log.warning("A %s of %s does not fit its card and is ignored.", event, key)
        else:
            callback(card.id, *arguments)


_mount = component("deck")


def source_deck(
    studio: Studio,
    cards: Sequence[Card],
    source_of: Callable[[str], Source],
    *,
    key: str,
    on_more: Callable[[str], None] | None = None,
    on_rename: Callable[[str, str], None] | None = None,
    on_move: Callable[[str, tuple[float, float]], None] | None = None,
    on_edit: Callable[[str, Any], None] | None = None,
    on_bar: Callable[[str, int | None], None] | None = None,
    play: tuple[str, str] | None = None,
    follow: bool = False,
    stage: bool = False,
) -> None:
    """Draw a deck with a star, tools, and a menu of destinations on every card.

    Parameters
    ----------
    studio, cards
        See `deck`; what can be edited is shown as edited.
    source_of
        Returns a card's source, for favourites and other pages, by the card's id.
    key
        The page's key, a dot, and the deck's own name.
    on_more, on_rename, on_move, on_bar
        See the callbacks of `deck`.
    on_edit
        See the callbacks of `deck`; None if the page need not know that an edit replaces the
        groove.
    play, follow, stage
        See `deck`.
    """
    if on_edit is None:
        originals = {card.id: card.groove for card in cards}
        cards = [edited_card(card) for card in cards]
        cards = [replace(card, kept=favourites.has(card.groove)) for card in cards]
    by_id = {card.id: card for card in cards}
    put = on_edit or (lambda card_id, made: keep_edit(originals[card_id], made))

    def source(card_id: str) -> Source:
        return source_of(card_id) if on_edit else edited_source(source_of(card_id))

    def change(card_id: str, requested: Change) -> None:
        put(card_id, changed(by_id[card_id].groove, requested, studio.lab))

    callbacks: dict[str, _Callback | None] = {
        "more": on_more,
        "keep": lambda card_id, kept: favourites.set(source(card_id), kept),
        "rename": on_rename,
        "move": on_move,
        "edit": put,
        "send": lambda card_id, destination: send(destination, source(card_id)),
        "bar": on_bar,
        "change": change,
    }
    deck(
        studio,
        cards,
        {event: callback for event, callback in callbacks.items() if callback is not None},
        key=key,
        destinations=destinations(page_of(key)),
        play=play,
        follow=follow,
        stage=stage,
    )
