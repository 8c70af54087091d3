"""Events from a card, and manual edits of its groove.

On every page the original groove stays unchanged, and the edited one replaces it on the card, in
files, among the favourites and when sent to other pages.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field, TypeAdapter

from musicvae_core.lab.options import Amounts, Sampling
from musicvae_core.lab.tools import Lab
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.forms import AnyMusic, Music, form_of, parts_of
from musicvae_core.music.grid import (
    MAX_STEPS_PER_BAR,
    MAX_TEMPO_BPM,
    MIN_TEMPO_BPM,
    VELOCITY_LEVELS,
)
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line, Note
from musicvae_core.music.piece import Part
from pages.shared.actions import Flag, Name, Revision, Share, Voice
from pages.shared.card import Card, rounded_for_browser
from pages.shared.collection import Source, fingerprint
from pages.shared.store import SessionVar

_MAX_BARS = 256
"""In the longest piece that a deck shows."""
_MAX_STEPS = _MAX_BARS * MAX_STEPS_PER_BAR
_MAX_HITS, _MAX_NOTES = 2**16, 2**14
"""In an edit: more than the fullest 4/4 piece on a sixteenth-note grid has."""
_MAX_CARDS = 1024
_Bar = Annotated[int, Field(strict=True, ge=0, lt=_MAX_BARS)]
_LATEST_OFFSET = 0.499
"""As in `assets/deck/score.js`: offsets stay below half a step; later is the next step's."""


class _Hit(NamedTuple):
    """One hit of an edited groove, its offset in steps."""

    step: Annotated[int, Field(strict=True, ge=0, lt=_MAX_STEPS)]
    voice: Voice
    velocity: Share
    offset: Annotated[float, Field(strict=True, ge=-0.5, le=0.5)]


class _EditedNote(NamedTuple):
    """One note of an edited line, as in a card."""

    step: Annotated[int, Field(strict=True, ge=0, lt=_MAX_STEPS)]
    n_steps: Annotated[int, Field(strict=True, ge=1, le=_MAX_STEPS)]
    pitch: Annotated[int, Field(strict=True, ge=0, le=127)]
    velocity: Share


_EditedLine = Annotated[list[_EditedNote], Field(max_length=_MAX_NOTES)]
_MAX_LINES = 16


class _More(NamedTuple):
    """The user asked for more grooves like a card's."""

    card: Name


class _Keep(NamedTuple):
    """A card was starred or unstarred."""

    card: Name
    revision: Revision
    kept: Flag


class _Rename(NamedTuple):
    """A card was renamed."""

    card: Name
    revision: Revision
    name: Name


class _Move(NamedTuple):
    """The pointer of a card's morph was released."""

    card: Name
    revision: Revision
    x: Share
    y: Share


class _Edit(NamedTuple):
    """The hits of a card were edited, or the notes of its lines."""

    card: Name
    revision: Revision
    hits: Annotated[list[_Hit], Field(max_length=_MAX_HITS)]
    lines: Annotated[list[_EditedLine], Field(max_length=_MAX_LINES)] = []  # noqa: RUF012


class _Send(NamedTuple):
    """A card is to be sent to another page."""

    card: Name
    destination: Name


class _LoopBar(NamedTuple):
    """One bar is looped, or the whole groove again."""

    card: Name
    bar: _Bar | None


class _Save(NamedTuple):
    """A file of one of a card's grooves was requested: see `card.Which`."""

    card: Name
    which: Literal["now", "before"] | tuple[Share, Share]


class Change(NamedTuple):
    """A tool of a card was used: a tempo, an amount to humanize, or voices to keep.

    With voices to keep, all others are regenerated.
    """

    card: Name
    revision: Revision
    tempo: Annotated[float, Field(strict=True, ge=MIN_TEMPO_BPM, le=MAX_TEMPO_BPM)] | None
    humanize: Share | None
    locked: Annotated[list[Voice], Field(max_length=N_VOICES)]


CardEvent = _More | _Keep | _Rename | _Move | _Edit | _Send | _LoopBar | _Save | Change


def _one(value: Any) -> list[Any]:
    return [value]


_OF_ONE = BeforeValidator(_one)
_OF_SEVERAL = Field(max_length=_MAX_CARDS)
CARD_EVENTS: dict[str, TypeAdapter[Any]] = {
    "more": TypeAdapter(Annotated[list[Annotated[_More, _OF_ONE]], _OF_ONE]),
    "keep": TypeAdapter(Annotated[list[_Keep], _OF_SEVERAL]),
    "rename": TypeAdapter(Annotated[list[_Rename], _OF_SEVERAL]),
    "move": TypeAdapter(Annotated[list[_Move], _OF_SEVERAL]),
    "edit": TypeAdapter(Annotated[list[_Edit], _OF_SEVERAL]),
    "send": TypeAdapter(Annotated[list[_Send], _OF_ONE]),
    "bar": TypeAdapter(Annotated[list[_LoopBar], _OF_ONE]),
    "wav": TypeAdapter(Annotated[list[_Save], _OF_ONE]),
    "midi": TypeAdapter(Annotated[list[_Save], _OF_ONE]),
    "change": TypeAdapter(Annotated[list[Change], _OF_SEVERAL]),
    "stems": TypeAdapter(Annotated[list[_Save], _OF_ONE]),
}
"""The events of a deck, as lists of `CardEvent`, by their names in `deck.js`."""


def arguments_of(
    said: CardEvent, card: Card, destinations: Mapping[str, str]
) -> tuple[Any, ...] | None:
    """Return the arguments of a page's callback after the card's id; None if they are invalid."""
    match said:
        case _More():
            return ()
        case _Keep(kept=kept):
            return (kept,)
        case _Rename(name=name):
            return (name,)
        case _Send(destination=destination) if destination in destinations:
            return (destination,)
        case _Move(x=x, y=y) if card.morph:
            return (card.morph.settled((x, y)),)
        case _LoopBar(bar=bar) if bar is None or bar < card.groove.n_bars:
            return (bar,)
        case _Save(which=which) if (groove := card.groove_of(which)) is not None:
            return (groove, card.file_name_of(which))
        case _Edit() if card.editable and _fits(said, card.groove):
            return (_edited(said, card.groove),)
        case Change() if card.editable and isinstance(card.groove, Groove):
            return (said,)
    return None


def _fits(said: _Edit, music: Music) -> bool:
    """Return whether an edit fits this music: its length and number of lines."""
    n_lines = sum(isinstance(part, Line) for part in parts_of(music).values())
    ends = [hit.step + 1 for hit in said.hits]
    ends += [note.step + note.n_steps for line in said.lines for note in line]
    return len(said.lines) == n_lines and max(ends, default=0) <= music.n_steps


def _edited(said: _Edit, like: Music) -> Music:
    """Return music of `like`'s length, tempo, grid and parts with other notes.

    The browser has `like` in rounded numbers: notes that it returns unchanged keep their full
    precision.

    Raises
    ------
    InvalidMusicError
        If two notes of a line start together.
    """
    lines = iter(said.lines)
    parts: dict[str, Part] = {
        name: _edited_drums(said.hits, part)
        if isinstance(part, Groove)
        else _edited_line(next(lines), part)
        for name, part in parts_of(like).items()
    }
    music: Music = form_of(like).of_parts(parts)
    return music


def _edited_line(notes: Sequence[_EditedNote], like: Line) -> Line:
    exact = {
        (note.step, rounded_for_browser(note.velocity)): note.velocity for note in like.notes()
    }
    made = []
    for note in notes:
        velocity = exact.get((note.step, note.velocity), max(note.velocity, 1 / VELOCITY_LEVELS))
        made.append(Note(note.step, note.n_steps, note.pitch, velocity))
    return Line.from_notes(made, like.n_bars, like.tempo_bpm, like.program, like.grid)


def _edited_drums(hits: Sequence[_Hit], like: Groove) -> Groove:
    """Return drums with these hits; if two are in one cell, the last one counts."""
    are_hit = np.zeros_like(like.hits)
    velocities, offsets = np.zeros_like(like.velocities), np.zeros_like(like.offsets)
    for hit in hits:
        cell = hit.step, hit.voice
        velocity, offset = float(like.velocities[cell]), float(like.offsets[cell])
        if not (like.hits[cell] and hit.velocity == rounded_for_browser(velocity)):
            velocity = max(hit.velocity, 1 / VELOCITY_LEVELS)
        if not (like.hits[cell] and hit.offset == rounded_for_browser(offset)):
            offset = min(hit.offset, _LATEST_OFFSET)
        are_hit[cell], velocities[cell], offsets[cell] = True, velocity, offset
    return Groove(are_hit, velocities, offsets, like.tempo_bpm, like.grid)


_MAX_EDITS = 256
_EDITS = SessionVar[Mapping[str, Music]]("kept.edits", {}, persist_as=dict[str, AnyMusic])
_HUMANIZED = SessionVar[Mapping[str, tuple[Groove, float]]]("edits.humanized", {})
"""The original of each humanized groove, and the amount, by its fingerprint."""


def edited(groove: Music) -> Music:
    """Return the edited version of a groove; the groove itself if it was not edited."""
    return _EDITS.get().get(fingerprint(groove), groove)


def edited_card(card: Card) -> Card:
    """Return an editable card with its edited groove; a morph stays as it is."""
    if card.morph:
        return card
    amount = _HUMANIZED.get().get(fingerprint(edited(card.groove)), (card.groove, 0.0))[1]
    lineage = fingerprint(card.groove)
    shown = replace(card, groove=edited(card.groove), editable=True)
    return replace(shown, lineage=lineage, humanized=amount)


def edited_source(source: Source) -> Source:
    """Return a source with its edited groove."""
    groove = edited(source.groove)
    if groove is source.groove:
        return source
    is_played_anew = fingerprint(groove) != fingerprint(source.groove)
    return replace(source, groove=groove, z=None if is_played_anew else source.z)


def keep_edit(groove: Music, made: Music) -> None:
    """Replace a groove by an edited version; the groove itself reverts all edits."""
    others = {key: one for key, one in _EDITS.get().items() if key != fingerprint(groove)}
    if made != groove:
        others[fingerprint(groove)] = made
    _EDITS.set(dict(list(others.items())[-_MAX_EDITS:]))


def changed(groove: Music, change: Change, open_lab: Callable[[], Lab]) -> Music:
    """Return drums changed by a tool of their card.

    Raises
    ------
    MusicVAEError
        If the groove lab is needed but missing.
    """
    assert isinstance(groove, Groove), "the deck offers tools for drums alone"
    if change.tempo is not None:
        return groove.at_tempo(change.tempo)
    if change.humanize is not None:
        return _humanize(groove, change.humanize, open_lab())
    unlocked = [voice for voice in range(N_VOICES) if voice not in change.locked]
    sampling = Sampling(seed=random.randrange(2**31))
    return open_lab().fill_in(groove, voices=unlocked, sampling=sampling)


def _humanize(groove: Groove, amount: float, lab: Lab) -> Groove:
    """Humanize a groove by an amount, relative to the original before any humanizing."""
    start, _ = _HUMANIZED.get().get(fingerprint(groove), (groove, 0.0))
    start = start.at_tempo(groove.tempo_bpm)
    made = lab.humanize(start, amounts=Amounts(amount, amount))
    _HUMANIZED.set({**_HUMANIZED.get(), fingerprint(made): (start, amount)})
    return made
