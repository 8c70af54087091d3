"""Sample: draw new grooves from the latent space, hear them, keep the good ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.latent.codes import PriorName
from musicvae_core.latent.results import ModelInfo, Take
from musicvae_core.music.forms import FORMS, parts_of
from musicvae_core.music.piece import Plays
from musicvae_core.studio import Studio
from pages.shared.actions import COUNT, action, as_text, on_value, run_to_completion
from pages.shared.card import Card
from pages.shared.collection import Source, as_long_as, favourites
from pages.shared.deck import shared_studio, source_deck
from pages.shared.edits import edited, edited_source
from pages.shared.names import style_title
from pages.shared.play_settings import (
    MAX_SEED,
    MODELS,
    PLAYS,
    choose_model,
    choose_seed,
    draw_undo,
    take_next_seed,
)
from pages.shared.session import Entry, Shelf, shelves, take_sent
from pages.shared.store import SessionVar, float_between, int_between, persist_settings

_MAX_GROOVES = 16
_WIDTH = 124
"""Pixels of a widget: all fit in one row."""
_LENGTHS = (1, 2, 4, 8, 16)
_ANY = ""
"""No style, or no number of hits, requested: Streamlit cannot handle None as an option."""
_BUSY = {"sparse": 0.05, "light": 0.25, "medium": 0.5, "busy": 0.75, "packed": 0.95}
"""The meaning of "how busy": the share of the players' windows with fewer notes."""
_PRIORS: dict[PriorName, str] = {
    "learned": "realistic music",
    "normal": "the whole space",
}
_STYLE = SessionVar("sample.style", _ANY, persist_as=str)
_BARS = SessionVar("sample.bars", 0, persist_as=int_between(1, 16))
_BARS_OF = SessionVar("sample.bars_of", "", persist_as=str)
"""The length of grooves, and the model that it was chosen for."""
_SEED = SessionVar("seed", 0, persist_as=int_between(0, MAX_SEED))
_WHAT_TO_SAMPLE = (_STYLE.key, "sample.busy", _BARS.key, "n", "temperature", _SEED.key, "prior")
_SEED_AT = _WHAT_TO_SAMPLE.index(_SEED.key)

persist_settings(
    {
        "sample.busy": str,
        "n": int_between(1, _MAX_GROOVES),
        "temperature": float_between(0, 2),
        "prior": str,
        "amount": float_between(0.05, 1),
    }
)


@dataclass(frozen=True)
class _Settings:
    """Values of the widgets.

    Parameters
    ----------
    model, n, seed, prior, style, busy
        What to sample: see `Studio.sample`.
    wildness
        The temperature, in units of the model's own.
    n_bars
        The length to keep of each, at most the model's.
    amount
        How far "more like this" goes, 0 to 1: see `Studio.similar`.
    parts
        The parts of a band that "more like this" regenerates while the rest stays; empty for all:
        see `Studio.vary`.
    """

    model: ModelInfo
    n: int
    wildness: float
    seed: int
    prior: PriorName
    style: str | None
    busy: str | None
    n_bars: int
    amount: float
    parts: tuple[str, ...] = ()

    @property
    def temperature(self) -> float:
        """The sampling temperature."""
        return self.wildness * self.model.temperature

    @property
    def note(self) -> str:
        """The request in a line."""
        asked = [style_title(self.style)] if self.style else []
        asked += [self.busy] if self.busy else []
        return " · ".join([*asked, f"seed {self.seed}"])


def sample() -> None:
    """Read the settings, carry out the request, and draw the deck."""
    row = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
    with row:
        _draw_sample_button()
    try:
        studio = shared_studio()
        with row:
            settings = _read_settings(studio)
    except MusicVAEError as error:
        st.error(as_text(str(error)))
        return
    try:
        _renew(studio, settings)
    except MusicVAEError as error:
        st.error(as_text(str(error)))
    with row:
        plays = settings.model.plays
        draw_undo("undo", shelves.can_undo(plays), "what was here", lambda: _undo(plays))
    _draw_deck(studio, settings.model.plays)


@run_to_completion()
def _renew(studio: Studio, settings: _Settings) -> None:
    """Do what was requested, each request as a step that can be undone.

    A first visit samples by itself.
    """
    _receive(studio, settings)
    plays = settings.model.plays
    seeds = _REQUESTED.take()[-_MAX_PRESSES:]
    shelves.change(_with_neighbours(studio, settings, shelves.now(plays)), plays)
    if not (seeds or shelves.now(plays).entries):
        seeds = (settings.seed,)
    for seed in seeds:
        renewed = _sampled(studio, replace(settings, seed=seed), shelves.now(plays))
        shelves.change(renewed, plays)


def _undo(plays: Plays) -> None:
    before = shelves.now(plays).sampled
    shelves.undo(plays)
    now = shelves.now(plays).sampled
    if now and now != before:
        _SEED.set(cast(int, now[_SEED_AT]))


def _read_settings(studio: Studio) -> _Settings:
    """Draw the widgets in a row, and return their values.

    Raises
    ------
    CheckpointError
        If there is no model.
    """
    place = st.container(horizontal=True, vertical_alignment="bottom", width="content")
    details = st.popover("Settings", icon=":material/tune:", key="details")
    with place:
        model = choose_model(studio.models(), details=details)
        style = busy = None
        if model.has_atlas:
            style, busy = _choose_style(studio, model), _choose_busy()
        wildness = st.slider(
            "Wildness",
            *(0.0, 2.0, 1.0, 0.05),
            key="temperature",
            width=_WIDTH,
            persist_state="session",
            help="0 always picks the likeliest notes; 1 plays like real players; higher is wilder. "
            "It multiplies the model's sampling temperature.",
        )
        n_bars = _choose_bars(studio, model)
    with details:
        n, seed, prior, amount = _choose_details(FORMS[model.plays].nouns)
        parts = _choose_parts(model) if len(model.parts) > 1 else ()
    return _Settings(model, n, wildness, seed, prior, style, busy, n_bars, amount, parts)


def _choose_style(studio: Studio, model: ModelInfo) -> str | None:
    try:
        styles = studio.atlas(model.name).styles
    except MusicVAEError:
        styles = ()  # without a map, a model knows no styles
    if _STYLE.get() not in styles:
        _STYLE.set(_ANY)  # a style of another model
    style = st.selectbox(
        "Style",
        (_ANY, *styles),
        format_func=lambda name: "Any style" if name == _ANY else style_title(name),
        key=_STYLE.key,
        width=_WIDTH,
        persist_state="session",
    )
    return style or None


def _choose_busy() -> str | None:
    busy = st.select_slider(
        "How busy",
        (_ANY, *_BUSY),
        format_func=lambda name: name or "any",
        key="sample.busy",
        width=_WIDTH,
        persist_state="session",
        help="How many notes, compared with what real players play.",
    )
    return busy or None


def _choose_bars(studio: Studio, model: ModelInfo) -> int:
    """Draw the choice of a length; if it is too long for the model, another model takes over."""
    if _BARS_OF.get() != model.name:
        _BARS_OF.set(model.name)
        _BARS.set(model.n_bars)
    others = [other for other in studio.models() if other.plays == model.plays]
    longest = max(other.n_bars for other in others)
    n_bars = st.segmented_control(
        "Bars",
        [length for length in _LENGTHS if length <= longest],
        required=True,
        key=_BARS.key,
        persist_state="session",
        on_change=on_value(_BARS.key, COUNT, lambda n_bars: _take_model_for(others, model, n_bars)),
    )
    return min(n_bars or model.n_bars, model.n_bars)


def _take_model_for(models: Sequence[ModelInfo], now: ModelInfo, n_bars: int) -> None:
    """Choose the shortest model for this many bars, preferably with feel if this one has it."""
    able = [model for model in models if model.n_bars >= n_bars]
    if not able:
        return
    best = min(able, key=lambda model: (model.has_feel != now.has_feel, model.n_bars))
    if (best.has_feel, best.n_bars) == (now.has_feel, now.n_bars):
        best = now
    MODELS[now.plays].set(best.name)
    _BARS_OF.set(best.name)


def _choose_details(nouns: str) -> tuple[int, int, PriorName, float]:
    n = st.slider(f"How many {nouns}", 1, _MAX_GROOVES, 8, key="n", persist_state="session")
    seed = choose_seed(_SEED, "dice")
    prior = st.radio(
        "Draw from",
        _PRIORS,
        format_func=_PRIORS.__getitem__,
        key="prior",
        persist_state="session",
        help="Realistic music: the prior fitted to real performances; always used if you choose a "
        "style or “how busy”. The whole space: the paper's normal distribution, stranger and less "
        "realistic.",
    )
    amount = st.slider(
        "How far “more like this” goes",
        *(0.05, 1.0, 0.3, 0.05),
        key="amount",
        persist_state="session",
        help="Near 0 almost nothing changes; at 1 little of the original is left.",
    )
    return n, seed, prior, amount


def _choose_parts(model: ModelInfo) -> tuple[str, ...]:
    """Draw the choice of the parts that change while the others stay; none means all."""
    chosen = st.pills(
        "“More like this” changes",
        model.parts,
        selection_mode="multi",
        format_func=str.capitalize,
        key="sample.parts",
        persist_state="session",
        help="The other parts stay as they are: select only the bass for a new bass under the same "
        "melody and drums. With nothing selected, all parts change a little.",
    )
    return tuple(part for part in model.parts if part in chosen)


def _what_to_sample(seed: int) -> tuple[object, ...]:
    """Return the values that decide what comes out."""
    keys = (*_WHAT_TO_SAMPLE, MODELS[PLAYS.get()].key)
    return tuple(seed if key == _SEED.key else SessionVar[object](key, None).get() for key in keys)


def _source_of(entry: Entry, studio: Studio) -> Source:
    take = entry.take
    lengths = {model.name: model.n_bars for model in studio.models()}
    z = take.z if lengths.get(take.model) == take.groove.n_bars else None
    return Source(entry.name, take.groove, z, take.model, "sample", entry.note)


def _draw_deck(studio: Studio, plays: Plays) -> None:
    now = shelves.now(plays)

    def source(entry_id: str) -> Source:
        return _source_of(next(entry for entry in now.entries if entry.id == entry_id), studio)

    def rename(entry_id: str, name: str) -> None:
        shelves.rename(entry_id, name, plays)
        if name.strip():
            favourites.keep(replace(edited_source(source(entry_id)), name=name.strip()))

    source_deck(
        studio,
        [Card(entry.id, entry.name, entry.take.groove, entry.note) for entry in now.entries],
        source,
        key="sample.deck" if plays == "drums" else f"sample.{plays}",
        follow=True,
        stage=True,
        on_more=lambda entry: _MORE.set((*_MORE.get(), entry)),
        on_rename=rename,
    )


_N_NEIGHBOURS = 4
_REQUESTED = SessionVar[tuple[int, ...]]("sample.asked", ())
"""The seed of each press of the button since the last run: the next run samples once for each."""
_MAX_PRESSES = 8
"""Of more presses during a run, such as by a key that is held down, only the last ones count."""
_MORE = SessionVar[tuple[str, ...]]("sample.more", ())
"""Ids of entries: the next run of the page looks for their neighbours."""


def _draw_sample_button() -> None:
    """Draw the button that requests new grooves, melodies or songs."""
    nouns = FORMS[PLAYS.get()].nouns
    st.button(
        f"New {nouns}",
        type="primary",
        icon=":material/graphic_eq:",
        key="sample",
        help=f"Make new {nouns}; starred ones stay",
        on_click=action(_request_samples),
    )


def _request_samples() -> None:
    # Pressing again gives new ones; a seed that was typed in is used as it is.
    seed = _SEED.get()
    if seed in _REQUESTED.get() or shelves.now(PLAYS.get()).sampled == _what_to_sample(seed):
        take_next_seed(_SEED)
    _REQUESTED.set((*_REQUESTED.get(), _SEED.get()))


def _with_neighbours(studio: Studio, settings: _Settings, now: Shelf) -> Shelf:
    """Return the shelf with neighbours of the entries for which "more like this" was pressed."""
    for entry in _MORE.take():
        if source := now.find(entry):
            seed = settings.seed + now.n_made
            takes = _neighbours(studio, settings, _as_edited(studio, source.take), seed)
            n_bars = source.take.groove.n_bars
            now = now.with_neighbours(source, [_cut(take, n_bars) for take in takes])
    return now


def _sampled(studio: Studio, settings: _Settings, now: Shelf) -> Shelf:
    """Return the shelf with new takes; starred entries stay."""
    takes = studio.sample(
        settings.model.name,
        settings.n,
        temperature=settings.temperature,
        seed=settings.seed,
        prior=settings.prior,
        style=settings.style,
        busy=_BUSY[settings.busy] if settings.busy else None,
    )
    kept = {entry.id for entry in now.entries if favourites.has(edited(entry.take.groove))}
    takes = [_cut(take, settings.n_bars) for take in takes]
    return now.renewed(takes, settings.note, kept, _what_to_sample(settings.seed))


def _neighbours(studio: Studio, settings: _Settings, take: Take, seed: int) -> list[Take]:
    """Return takes like another, or with some of its parts regenerated under the rest."""
    parts = [name for name in settings.parts if name in parts_of(take.groove)]
    if not parts or take.groove.n_bars != settings.model.n_bars:
        return studio.similar(take, _N_NEIGHBOURS, amount=settings.amount, seed=seed)
    return [studio.vary(take, parts=parts, seed=seed + at) for at in range(_N_NEIGHBOURS)]


def _as_edited(studio: Studio, take: Take) -> Take:
    """Return a take with its edited groove, and that groove's code."""
    made = edited(take.groove)
    if made is take.groove:
        return take
    n_bars = next(model.n_bars for model in studio.models() if model.name == take.model)
    [z] = studio.encode(take.model, [as_long_as(made, n_bars)])
    return replace(take, groove=made, z=z)


def _cut(take: Take, n_bars: int) -> Take:
    """Return a take with the first bars of its groove."""
    if take.groove.n_bars <= n_bars:
        return take
    return replace(take, groove=take.groove.bars(0, n_bars))


def _receive(studio: Studio, settings: _Settings) -> None:
    """Put music sent by other pages on its shelf, as takes of a model that plays it."""
    for source in take_sent("sample"):
        models = {model.name: model for model in studio.models() if model.plays == source.plays}
        known = source.z is not None and source.model in models
        name = source.model if known else settings.model.name
        model = models.get(name or "", next(iter(models.values())))
        groove = as_long_as(source.groove, model.n_bars)
        z = source.z if model.name == source.model else None
        if z is None:
            [z] = studio.encode(model.name, [groove])
        take = Take(groove, z, model.name, settings.seed, settings.temperature)
        there = shelves.now(source.plays)
        note = source.note or f"from {source.origin}"
        shelves.change(there.with_received(take, source.name, note), source.plays)
