"""The deck: cards of grooves that are drawn, played and saved in the browser.

The front lives in `assets/deck`, as ES modules that are joined into the one script that a
Streamlit component takes. What it expects and what it sends back stands at the top of
`assets/deck/deck.js`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from musicvae_core.groove import Groove
from pages.components.card import Card, Mix, Morph
from pages.components.deck_events import edit_of, known, mix_of, moved_to
from pages.components.deck_payload import file_stem, payload
from pages.components.front import joined_script

__all__ = ["ROW_LABELS", "Card", "Mix", "Morph", "deck", "file_stem"]

_ASSETS = Path(__file__).parents[2] / "assets" / "deck"
_MODULES = (
    *("elements.js", "score.js", "history.js", "layout.js", "drawing.js", "grid.js", "editing.js"),
    *("fade.js", "player.js", "bars.js", "sounds.js", "ahead.js", "keyboard.js", "menu.js"),
    *("morph.js", "mixing.js", "card.js", "deck.js"),
)
"""In the order of their imports."""

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
    on_keep: Callable[[str], None] | None = None,
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
    on_more, on_keep
        Called with a card's id.
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
    by_id = {card.id: card for card in cards}

    def when(event: str, act: Callable[[Any], None]) -> Callable[[], None]:
        def call() -> None:
            value = st.session_state[key].get(event)
            if value is not None:
                act(value)

        return call

    def edit(value: Any) -> None:
        for card_id, revision, hits in value:
            card = known(by_id, card_id)
            if card and on_edit:
                revisions[card_id] = int(revision)
                groove = edit_of(hits, card.groove)
                if groove is not None:
                    on_edit(card_id, groove)

    def move(value: Any) -> None:
        card = known(by_id, value[0])
        if card and card.morph and on_move:
            on_move(card.id, moved_to(card.morph, value[1:]))

    revisions: dict[str, int] = st.session_state.setdefault(f"{key}.revisions", {})
    callbacks = {
        "more": on_more,
        "keep": on_keep,
        "rename": on_rename and (lambda value: on_rename(*value)),
        "move": on_move and move,
        "edit": on_edit and edit,
        "mix": on_mix and (lambda value: on_mix(mix_of(value))),
        "send": on_send and (lambda value: on_send(*value)),
        "bar": on_bar and (lambda value: on_bar(*value)),
    }
    shown = mix or Mix()
    _mount(
        key=key,
        data={
            "key": key,
            "labels": ROW_LABELS,
            "problem": sound_problem,
            "can": {event: bool(callback) for event, callback in callbacks.items()},
            "mix": [sorted(shown.muted), sorted(shown.soloed), shown.volume],
            "destinations": list((destinations or {}).items()),
            "play": play,
            "cards": [payload(card, key, revisions.get(card.id, 0)) for card in cards],
        },
        **{f"on_{event}_change": when(event, act or _ignore) for event, act in callbacks.items()},
    )


def _ignore(value: object) -> None:
    """Do nothing: the page does not listen to this event."""


_mount = st.components.v2.component(
    "groove_deck",
    js=joined_script(_ASSETS, _MODULES),
    css=(_ASSETS / "deck.css").read_text("utf-8"),
)
