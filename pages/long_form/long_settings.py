"""The settings of the Long form page: its widgets and their values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import streamlit as st

from musicvae_core.latent.results import LongTake, ModelInfo
from musicvae_core.music.groove import Groove
from musicvae_core.studio import Studio
from pages.shared.collection import fingerprint
from pages.shared.names import name_of
from pages.shared.play_settings import MAX_SEED, MODEL_WIDTH, WIDTH, take_next_seed
from pages.shared.store import History, SessionVar, int_between, next_number

SHORTEST_PIECE = 8
"""Bars that a model must have to make pieces."""

LONG_MODEL = SessionVar("long_form.model", "", persist_as=str)
"""The name of the chosen model."""
_SEED = SessionVar("long_form.seed", 0, persist_as=int_between(0, MAX_SEED))


@dataclass(frozen=True)
class LongSettings:
    """Values of the widgets; see `Studio.sample_piece`."""

    model: ModelInfo
    temperature: float
    seed: int


def long_models(studio: Studio) -> list[ModelInfo]:
    """Return the models whose pieces can be changed bar by bar, those with feel first."""
    fit = [
        m
        for m in studio.models()
        if m.plays == "drums" and m.n_bars >= SHORTEST_PIECE and m.has_conductor
    ]
    return sorted(fit, key=lambda model: not model.has_feel)


def read_long_settings(models: list[ModelInfo]) -> LongSettings:
    """Draw the widgets of a piece, and return their values."""
    model = _draw_long_models(models)
    wildness = st.slider(
        "Wildness",
        *(0.0, 2.0, 1.0, 0.05),
        key="temperature",
        width=WIDTH,
        persist_state="session",
        help="0 always picks the likeliest hit; 1 plays like a drummer; higher is wilder. "
        "It multiplies the model's sampling temperature.",
    )
    seed = st.number_input(
        "Seed",
        *(0, MAX_SEED),
        key=_SEED.key,
        width=WIDTH,
        persist_state="session",
        help="The same seed and settings give the same piece. Pressing New piece again without "
        "a change takes the next seed.",
    )
    return LongSettings(model, wildness * model.temperature, seed)


def _what_to_sample() -> tuple[object, ...]:
    """Return the values that decide which piece comes out, the seed last."""
    keys = (LONG_MODEL.key, "temperature", _SEED.key)
    return tuple(SessionVar[object](key, None).get() for key in keys)


def _draw_long_models(models: list[ModelInfo]) -> ModelInfo:
    if len(models) == 1:
        return models[0]
    by_name = {model.name: model for model in models}
    name = st.selectbox(
        "Model",
        by_name,
        format_func=lambda name: by_name[name].title,
        key=LONG_MODEL.key,
        width=MODEL_WIDTH,
        persist_state="session",
    )
    return by_name[name]


@dataclass(frozen=True, eq=False)
class Shown:
    """A piece as the page shows it.

    Parameters
    ----------
    id
        Stays the same while a piece changes, so that it plays on.
    piece
        The current piece.
    name, note
        Its name for the user, and where it came from.
    before
        The groove before its last change, to compare.
    sampled
        The settings of the last sampling up to then.
    """

    id: str
    piece: LongTake
    name: str
    note: str
    before: Groove | None = None
    sampled: tuple[object, ...] = ()

    def changed(self, piece: LongTake, note: str) -> Shown:
        """Return the same piece after a change, with the change as its note."""
        return replace(self, piece=piece, note=note, before=self.piece.groove)


_PIECES = SessionVar[History[Shown | None]](
    "kept.long_form.pieces",
    History(None),
    persist_as=tuple[Shown, ...],
    to_saved=lambda history: (history.now,) if history.now else (),
    from_saved=lambda saved: History(saved[-1] if saved else None),
)
_N_MADE = SessionVar("kept.long_form.n_made", 0, persist_as=int)


class Pieces:
    """The pieces that the page has shown in this session."""

    @property
    def now(self) -> Shown | None:
        """The piece on the page; None before the first."""
        return _PIECES.get().now

    def show(self, one: Shown) -> None:
        """Show a piece on the page, or the same piece after a change; `undo` undoes it."""
        history = _PIECES.get()
        _PIECES.set(history.extended(one) if history.now else History(one))

    def show_sampled(self, piece: LongTake, note: str) -> None:
        """Show a piece sampled with these settings."""
        self.show(_new(piece, note, name_of(piece.embeddings), _what_to_sample()))

    def show_new(self, piece: LongTake, note: str, name: str = "") -> None:
        """Show another piece on the page, under its own name."""
        sampled = self.now.sampled if self.now else ()
        self.show(_new(piece, note, name or name_of(piece.embeddings), sampled))

    def show_edited(self, edited: Groove) -> None:
        """Show the edited piece; if the edit was reverted, it does not count as an edit."""
        now, before = self.now, _PIECES.get().undone().now
        if now is None or _is_of(now, edited):
            return
        if before and before.id == now.id and _is_of(before, edited):
            self.undo()
            return
        piece = replace(now.piece, groove=edited)
        self.show(replace(now.changed(piece, "edited by hand"), before=None))

    def rename(self, name: str) -> None:
        """Rename the piece, also in the undo history; this cannot be undone."""
        now = self.now
        if now and name.strip():
            named = partial(_named, id_=now.id, name=name.strip())
            _PIECES.set(_PIECES.get().mapped(named))

    def take_next_seed(self) -> None:
        """Advance to the next seed if these settings were the last to be sampled."""
        if self.now and self.now.sampled == _what_to_sample():
            take_next_seed(_SEED)

    @property
    def can_undo(self) -> bool:
        """Whether there was another piece before, or the same piece before a change."""
        return _PIECES.get().can_undo()

    def undo(self) -> None:
        """Restore what was on the page before, and its seed."""
        before = self.now
        _PIECES.set(_PIECES.get().undone())
        now = self.now
        if before and now and now.sampled and now.sampled != before.sampled:
            _SEED.set(cast(int, now.sampled[-1]))


def _new(piece: LongTake, note: str, name: str, sampled: tuple[object, ...]) -> Shown:
    return Shown(f"piece.{next_number(_N_MADE)}", piece, name, note, sampled=sampled)


def _named(one: Shown | None, *, id_: str, name: str) -> Shown | None:
    return replace(one, name=name) if one and one.id == id_ else one


def _is_of(one: Shown, groove: Groove) -> bool:
    return fingerprint(groove) == fingerprint(one.piece.groove)
