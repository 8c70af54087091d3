"""A card as the front of the deck takes it: JSON, and addresses of its sounds."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from streamlit import runtime

from musicvae_core.groove import Groove
from musicvae_core.midi import write_midi
from pages.components.deck.card import Card, Mix, Morph
from pages.components.describe import describe


def file_stem(name: str) -> str:
    """Return a name that every file system takes: letters, digits and dashes."""
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-_") or "groove"


def payload(card: Card, key: str, revisions: Mapping[str, int]) -> dict[str, Any]:
    """Return what the front draws of a card of the deck `key`.

    `revisions` are the numbers of the last edit and the last star that are part of the card.
    """
    place = f"{key}.{card.id}"
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
        "hits": _hits(groove),
        "midi": _text(card.midi),
        "sound": _serve(card.wav, place),
        "editable": card.editable and card.morph is None,
        "revisions": dict(revisions),
        "before": card.before and _before(card, card.before, f"{place}.before"),
        "morph": card.morph and _morph(card.morph, place),
    }


def mix_payload(mix: Mix, revision: int) -> list[Any]:
    """Return what the front shows of a mix, `revision` being the number of the last one."""
    return [sorted(mix.muted), sorted(mix.soloed), mix.volume, revision]


def _before(card: Card, before: Groove, place: str) -> dict[str, Any]:
    """Return what a card shows, plays and saves of what its groove was made from."""
    file = file_stem(card.before_name or f"{card.name} before")
    return {"file": file} | _place(before, card.before_wav, place)


def _morph(morph: Morph, place: str) -> dict[str, Any]:
    """Return what the front draws of a morph."""
    pairs = enumerate(zip(morph.grooves, morph.sounds, strict=True))
    return {
        "rows": morph.n_rows,
        "columns": morph.n_columns,
        "ends": morph.ends,
        "at": morph.at,
        "places": [_place(groove, sound, f"{place}.{index}") for index, (groove, sound) in pairs],
    }


def _place(groove: Groove, sound: bytes | None, place: str) -> dict[str, Any]:
    """Return what a card shows and plays besides its own groove."""
    return {
        "hits": _hits(groove),
        "description": describe(groove),
        "midi": _text(_midi(groove)),
        "sound": _serve(sound, place),
    }


@lru_cache(maxsize=256)
def _midi(groove: Groove) -> bytes:
    return write_midi(groove)


def _hits(groove: Groove) -> list[list[float]]:
    """Return [step, row, velocity, offset] of every hit."""
    return [
        [step, voice, as_sent(groove.velocities[step, voice]), as_sent(groove.offsets[step, voice])]
        for step, voice in np.argwhere(groove.hits).tolist()
    ]


def as_sent(value: np.float32) -> float:
    """Return a velocity or an offset as the browser is told it."""
    return round(float(value), 4)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _serve(sound: bytes | None, place: str) -> str | None:
    """Serve a sound beside the page, as Streamlit's own audio element does.

    Sounds travel by address and not in the component's data, so that a rerun sends none
    twice and a slow line carries only what is played. The server drops the file when no
    page shows it any more.
    """
    if sound is None:
        return None
    return runtime.get_instance().media_file_mgr.add(sound, f"audio/{sound_suffix(sound)}", place)


def sound_suffix(sound: bytes) -> str:
    """Return "flac" or "wav", whichever a sound is."""
    return "flac" if sound.startswith(b"fLaC") else "wav"
