"""The deck: cards of grooves that are drawn, played and saved in the browser.

The front lives in `assets/deck`, as ES modules that are joined into the one script that a
Streamlit component takes. What it expects and what it sends back stands at the top of
`assets/deck/deck.js`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit import runtime

from musicvae_core.groove import Groove
from pages.components.describe import describe

_ASSETS = Path(__file__).parents[2] / "assets" / "deck"
_MODULES = ("drawing.js", "sounds.js", "player.js", "keyboard.js", "card.js", "deck.js")
"""In the order of their imports."""

ROW_LABELS = ("kick", "snare", "hat", "open", "low", "mid", "high", "crash", "ride")
"""Short names of `VOICES`, in their order, for the narrow column beside the grid."""


@dataclass(frozen=True)
class Card:
    """One groove of a deck.

    Parameters
    ----------
    id
        Names the card from run to run: as long as it stays, a loop plays on.
    name
        What the listener calls it; the names of its files follow it.
    groove
        What to draw.
    midi
        A standard MIDI file.
    wav
        A WAV file of exactly one pass, or None where there is no sound.
    note
        One line below the name: where the groove came from.
    kept
        Whether its star is lit.
    """

    id: str
    name: str
    groove: Groove
    midi: bytes
    wav: bytes | None
    note: str = ""
    kept: bool = False


def deck(
    cards: Sequence[Card],
    *,
    key: str,
    sound_problem: str | None = None,
    on_more: Callable[[str], None] | None = None,
    on_keep: Callable[[str], None] | None = None,
    on_rename: Callable[[str, str], None] | None = None,
) -> None:
    """Draw a deck of cards; a control whose callback is None is not drawn.

    Parameters
    ----------
    cards
        In the order of drawing.
    key
        Names the deck on its page, and the widget in the session.
    sound_problem
        Why cards have no sound, said by the buttons that it disables.
    on_more, on_keep
        Called with a card's id, before the page runs again.
    on_rename
        Called with a card's id and its new name, before the page runs again.
    """

    def fire(event: str, callback: Callable[..., None] | None) -> Callable[[], None]:
        def call() -> None:
            value = st.session_state[key].get(event)
            if callback is None or value is None:
                return
            callback(*value) if isinstance(value, list) else callback(value)

        return call

    _mount(
        key=key,
        data={
            "labels": ROW_LABELS,
            "problem": sound_problem,
            "can": {"more": bool(on_more), "keep": bool(on_keep), "rename": bool(on_rename)},
            "cards": [_payload(card, key) for card in cards],
        },
        on_more_change=fire("more", on_more),
        on_keep_change=fire("keep", on_keep),
        on_rename_change=fire("rename", on_rename),
    )


def file_stem(name: str) -> str:
    """Return a name that every file system takes: letters, digits and dashes."""
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-_") or "groove"


def _payload(card: Card, key: str) -> dict[str, Any]:
    """Return what the front draws of a card, as JSON takes it."""
    groove = card.groove
    return {
        "id": card.id,
        "name": card.name,
        "note": card.note,
        "kept": card.kept,
        "file": file_stem(card.name),
        "description": describe(groove),
        "steps": groove.n_steps,
        "tempo": groove.tempo_bpm,
        "hits": [
            [
                int(step),
                int(voice),
                round(float(groove.velocities[step, voice]), 4),
                round(float(groove.offsets[step, voice]), 4),
            ]
            for step, voice in np.argwhere(groove.hits)
        ],
        "midi": base64.b64encode(card.midi).decode("ascii"),
        "sound": None if card.wav is None else _serve(card.wav, f"{key}.{card.id}"),
    }


def _serve(wav: bytes, place: str) -> str:
    """Serve a WAV file beside the page, as Streamlit's own audio element does.

    Sounds travel by address and not in the component's data, so that a rerun sends none
    twice and a slow line carries only what is played. The server drops the file when no
    page shows it any more.
    """
    return runtime.get_instance().media_file_mgr.add(wav, "audio/wav", place)


def _script() -> str:
    """Return the modules of the front as one, without the imports between them."""
    parts = [(_ASSETS / module).read_text("utf-8") for module in _MODULES]
    joined = re.sub(r"^import .*$", "", "\n".join(parts), flags=re.MULTILINE)
    return re.sub(r"^export (?!default)", "", joined, flags=re.MULTILINE)


_mount = st.components.v2.component(
    "groove_deck", js=_script(), css=(_ASSETS / "deck.css").read_text("utf-8")
)
