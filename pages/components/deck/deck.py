"""The deck: cards of grooves that are drawn, played and saved in the browser.

The front lives in `assets/deck`, as ES modules that are joined into the one script that a
Streamlit component takes. What it expects and what it sends back stands at the top of
`assets/deck/deck.js`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import streamlit as st

from musicvae_core.groove import Groove
from pages.components.deck.card import Card, Mix
from pages.components.deck.events import MIX, REVISED, calls, revisions_of
from pages.components.deck.payload import mix_payload, payload
from pages.components.front import joined_script
from pages.components.whole import whole

_ASSETS = Path(__file__).parents[3] / "assets" / "deck"
_MODULES = (
    *("elements.js", "score.js", "history.js", "revision.js", "layout.js", "drawing.js"),
    *("grid.js", "editing.js", "fade.js", "player.js", "bars.js", "sounds.js", "ahead.js"),
    *("loading.js", "keyboard.js", "menu.js", "morph.js", "mixing.js", "card.js", "hook.js"),
    "deck.js",
)
"""In the order of their imports."""
_STYLES = ("cards.css", "stage.css", "buttons.css", "morph.css", "mixer.css", "sizes.css")
"""In the order in which they overrule each other."""

ROW_LABELS = ("kick", "snare", "hat", "open", "low", "mid", "high", "crash", "ride")
"""Short names of `VOICES`, in their order, for the narrow column beside the grid."""


def deck(
    cards: Sequence[Card],
    *,
    key: str,
    sound_problem: str | None = None,
    mix: Mix | None = None,
    destinations: Mapping[str, str] | None = None,
    play: tuple[str, str] | None = None,
    on_more: Callable[[str], None] | None = None,
    on_keep: Callable[[str, bool], None] | None = None,
    on_rename: Callable[[str, str], None] | None = None,
    on_move: Callable[[str, tuple[float, float]], None] | None = None,
    on_edit: Callable[[str, Groove], None] | None = None,
    on_mix: Callable[[Mix], None] | None = None,
    on_send: Callable[[str, str], None] | None = None,
    on_bar: Callable[[str, int | None], None] | None = None,
) -> None:
    """Draw a deck of cards; a control whose callback is None is not drawn.

    Every callback is called before the page runs again.

    Parameters
    ----------
    cards
        In the order of drawing.
    key
        Names the deck on its page, and the widget in the session.
    sound_problem
        Why cards have no sound, said by the buttons that it disables.
    mix
        What the mixer shows. The volume is applied by the deck; for the voices, render
        `mix.of(groove)`.
    destinations
        Where a card can be sent: what `on_send` is called with, and what the menu says.
    play
        A card's id and a token: the card plays from its start, once for each new token.
    on_more
        Called with a card's id.
    on_keep
        Called with a card's id and whether its star is to be lit.
    on_rename
        Called with a card's id and its new name.
    on_move
        Called with a card's id and the place where its morph was let go, one of
        `Morph.place_of`. A morph is drawn without it, too.
    on_edit
        Called with a card's id and its groove as edited.
    on_mix
        Called with the mix that the listener set.
    on_send
        Called with a card's id and the destination's.
    on_bar
        Called with a card's id and the bar that loops alone, counted from 0, or None for
        the whole; bars can be chosen without it, too.
    """
    callbacks: dict[str, Callable[..., None] | None] = {
        "more": on_more,
        "keep": on_keep,
        "rename": on_rename,
        "move": on_move,
        "edit": on_edit,
        "mix": on_mix,
        "send": on_send,
        "bar": on_bar,
    }
    _mount(
        key=key,
        data={
            "key": key,
            "labels": ROW_LABELS,
            "problem": sound_problem,
            "can": {event: bool(callback) for event, callback in callbacks.items()},
            "mix": mix_payload(mix or Mix(), _revisions(key, "mix").get(MIX, 0)),
            "destinations": list((destinations or {}).items()),
            "play": play,
            "cards": [payload(card, key, _revisions_of_card(key, card.id)) for card in cards],
        },
        **_tellers(key, callbacks, cards),
    )


def _revisions(key: str, event: str) -> dict[str, int]:
    """Return the numbers of the last changes that Python has seen of a deck, by card, or `MIX`."""
    kept: dict[str, int] = st.session_state.setdefault(f"{key}.revisions.{event}", {})
    return kept


def _revisions_of_card(key: str, card_id: str) -> dict[str, int]:
    return {event: _revisions(key, event).get(card_id, 0) for event in REVISED}


def _tellers(
    key: str, callbacks: Mapping[str, Callable[..., None] | None], cards: Sequence[Card]
) -> dict[str, Callable[[], None]]:
    """Return, by the names that Streamlit gives them, what it calls when a deck's events come."""
    by_id = {card.id: card for card in cards}
    return {
        f"on_{event}_change": _teller(key, event, callback, by_id)
        for event, callback in callbacks.items()
    }


def _teller(
    key: str, event: str, callback: Callable[..., None] | None, cards: Mapping[str, Card]
) -> Callable[[], None]:
    """Return what Streamlit calls when a deck's event may have happened."""

    @whole()
    def tell() -> None:
        value = st.session_state[key].get(event)
        if callback is None or value is None:
            return
        _revisions(key, event).update(revisions_of(event, value))
        for arguments in calls(event, value, cards):
            callback(*arguments)

    return tell


_mount = st.components.v2.component(
    "groove_deck",
    js=joined_script(_ASSETS, _MODULES),
    css="\n".join((_ASSETS / name).read_text("utf-8") for name in _STYLES),
)
