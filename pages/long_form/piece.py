"""A piece on the Long form page: sampled, heard bar by bar, and changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import plotly.graph_objects as go
import streamlit as st

from musicvae_core.errors import CheckpointError, MusicVAEError
from musicvae_core.latent.results import LongTake, ModelInfo
from musicvae_core.music.forms import bar_similarity, drums_of
from musicvae_core.music.groove import Groove
from musicvae_core.studio import Studio
from pages.long_form.long_settings import (
    LongSettings,
    Pieces,
    Shown,
    long_models,
    read_long_settings,
)
from pages.shared.actions import action, as_text, run_to_completion
from pages.shared.card import Card, Morph
from pages.shared.collection import Source, bars_phrase, favourites, fingerprint, slots
from pages.shared.deck import source_deck
from pages.shared.names import name_of
from pages.shared.play_settings import MAX_SEED, WIDTH, draw_undo
from pages.shared.sources import choose_groove
from pages.shared.store import SessionVar, next_number

_NO_LONG_MODEL = (
    "There is no model of 16 bars in the folder checkpoints: train one with `python -m "
    "musicvae_core train --preset groove_16bar --data PATH --out checkpoints/groove_16bar`."
)
_REQUESTED = SessionVar("long_form.asked", False)
"""Whether Sample was pressed: the next run of the page samples."""
_N_CHANGES = SessionVar("kept.long_form.n_changes", 0, persist_as=int)


def draw_long_piece(studio: Studio) -> None:
    """Read the settings, carry out the request, and draw the piece and its controls.

    Raises
    ------
    MusicVAEError
        What the studio raises.
    """
    models = long_models(studio)
    if not models:
        st.info(_NO_LONG_MODEL)
        return
    row = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
    with row:
        _draw_sample_button()
        settings = read_long_settings(models)
    now = Pieces().now
    change = _draw_change(now.piece.groove.n_bars if now else settings.model.n_bars)
    try:
        _handle_request(studio, settings, change)
    except MusicVAEError as error:
        st.error(as_text(str(error)))
    now = Pieces().now
    if now is None:
        return
    with row:
        draw_undo("long_form.undo", Pieces().can_undo, "the piece", Pieces().undo)
    left, right = st.columns([4, 1], gap="small")
    with left:
        _draw_deck(studio, now)
    with right:
        _draw_similarity(now.piece.groove, "long_form.similarity")
    _draw_morph(studio, settings, now)


@run_to_completion()
def _handle_request(studio: Studio, settings: LongSettings, change: _Change | None) -> None:
    """Sample, or change some bars; a first visit samples by itself."""
    asked = _REQUESTED.take()
    now = Pieces().now
    if asked or now is None:
        piece = studio.sample_piece(
            settings.model.name,
            temperature=settings.temperature,
            seed=settings.seed,
        )
        note = f"seed {settings.seed}, temperature {settings.temperature:g}"
        Pieces().show_sampled(piece, note)
    elif change:
        seed = next_number(_N_CHANGES) + 1
        varied = studio.vary_bars(now.piece, change.bars, change.amount, seed=seed)
        Pieces().show(now.changed(varied, f"{change.phrase} changed by {change.amount:.0%}"))


def _draw_sample_button() -> None:
    def ask() -> None:
        Pieces().take_next_seed()
        _REQUESTED.set(True)

    st.button(
        "New piece",
        type="primary",
        icon=":material/graphic_eq:",
        key="long_form.sample",
        help="Draw a new piece",
        on_click=action(ask),
    )


def _draw_deck(studio: Studio, now: Shown) -> None:
    groove = now.piece.groove
    source = Source(now.name, groove, None, now.piece.model, "long form")
    card = Card(now.id, now.name, groove, now.note, favourites.has(groove), editable=True)

    source_deck(
        studio,
        [replace(card, before=now.before)],
        lambda _: source,
        key="long_form.deck",
        on_rename=lambda _, name: Pieces().rename(name),
        on_edit=lambda _, edited: Pieces().show_edited(edited),
        on_bar=lambda _, bar: None if bar is None else _BAR.set(bar),
    )


_BAR = SessionVar("long_form.bar", 0)
"""The bar to change, counted from 0."""
_CHANGE_REQUESTED = SessionVar("long_form.change_asked", False)
"""Whether the button was pressed: the next run of the page changes the bars."""
_SCOPES = {"one": "it alone", "onward": "it and all after"}


@dataclass(frozen=True)
class _Change:
    """Which bars to change, counted from 0, and how far."""

    bars: range
    amount: float

    @property
    def phrase(self) -> str:
        """Return the bars in words, counted from 1."""
        return bars_phrase(self.bars.start, len(self.bars))


def _draw_change(n_bars: int) -> _Change | None:
    """Draw the controls for changing a piece of `n_bars`; return the change when requested."""
    if _BAR.get() >= n_bars:
        _BAR.set(0)
    with st.container(horizontal=True, vertical_alignment="bottom", key="long_form.changes"):
        first = st.selectbox(
            "Bar",
            range(n_bars),
            format_func=lambda at: str(at + 1),
            key=_BAR.key,
            width=96,
            persist_state="session",
            help="Clicking a bar's number below loops it and selects it here.",
        )
        scope = st.segmented_control(
            "Change",
            _SCOPES,
            default="one",
            required=True,
            format_func=_SCOPES.__getitem__,
            key="long_form.scope",
            persist_state="session",
        )
        amount = st.slider(
            "Amount",
            *(0.05, 1.0, 0.6, 0.05),
            key="long_form.amount",
            width=WIDTH,
            persist_state="session",
            help="At 1 the bar is entirely new; the other bars stay as they are.",
        )
        change = _Change(range(first, n_bars if scope == "onward" else first + 1), amount)
        st.button(
            f"Change {change.phrase}",
            icon=":material/autorenew:",
            key="long_form.change",
            help="Each press makes a new variation",
            on_click=action(_CHANGE_REQUESTED.set, True),
        )
    return change if _CHANGE_REQUESTED.take() else None


_HEIGHT_PX = 250
_SCALE = ((0.0, "#161a22"), (0.5, "#5b4a2a"), (1.0, "#f2b544"))


def _draw_similarity(groove: Groove, key: str) -> None:
    """Draw the map, with an explanation below it."""
    st.plotly_chart(
        _similarity_figure(groove),
        key=key,
        config={"displayModeBar": False},
        alt="How similar the bars are to one another",
    )
    st.caption(
        "Every bar compared with every other: bright where their hits are alike. Stripes along "
        "the diagonal are repeats."
    )


def _similarity_figure(groove: Groove) -> go.Figure:
    """Return the map of a groove's bars, counted from 1."""
    similarity = bar_similarity(groove.hits, groove.grid)
    bars = list(range(1, groove.n_bars + 1))
    heatmap = go.Heatmap(
        x=bars,
        y=bars,
        z=similarity,
        zmin=0,
        zmax=1,
        colorscale=_SCALE,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate="bars %{x} and %{y}: %{z:.0%} alike<extra></extra>",
    )
    figure = go.Figure(heatmap)
    ticks = {"tickvals": bars[:: 4 if len(bars) > 8 else 1], "showgrid": False, "zeroline": False}
    figure.update_xaxes(side="top", **ticks)
    figure.update_yaxes(autorange="reversed", scaleanchor="x", **ticks)
    margin = {"l": 28, "r": 4, "t": 28, "b": 4}
    figure.update_layout(height=_HEIGHT_PX, margin=margin)
    return figure


_OTHER = "long_form.other"
_POINTER = SessionVar("kept.long_form.at", (0.5, 0.0))
"""The position of the morph's pointer."""
_N_STEPS = 5
"""Steps of a morph: each is a whole piece to decode, to render and to load."""


def _draw_morph(studio: Studio, settings: LongSettings, now: Shown) -> None:
    """Draw the choice of another piece and, once opened, the morph between the two.

    Raises
    ------
    MusicVAEError
        What the studio raises.
    """
    title, icon = "Morph with another piece", ":material/timeline:"
    with st.expander(title, icon=icon, key="long_form.morph", on_change="rerun") as opened:
        if not opened.open:
            return
        # not the model chosen for the next sample: codes of two models cannot be mixed
        model = _long_model(studio, now.piece.model)
        _start_with_a_sample(studio, settings, model)
        source = choose_groove(studio, _OTHER, "Other piece", model=model)
        if source is None:
            return
        if fingerprint(source.groove) == fingerprint(now.piece.groove):
            st.info("Both ends are the same piece: choose another one to morph with.")
            return
        z = source.z if source.model == model.name else None
        other = studio.piece_of(model.name, drums_of(source.groove), z)
        steps = studio.morph_pieces(now.piece, other, _N_STEPS)
        at = _draw_strip(studio, settings, (now.name, source.name), steps)
        _draw_buttons(studio, now, other, steps[at], source.name)


def _long_model(studio: Studio, name: str) -> ModelInfo:
    """Return the one of `long_models` that has this name.

    Raises
    ------
    CheckpointError
        If it is no longer there.
    """
    models = {model.name: model for model in long_models(studio)}
    if name not in models:
        raise CheckpointError(f"The model {name} is gone: put it back into the folder checkpoints.")
    return models[name]


def _start_with_a_sample(studio: Studio, settings: LongSettings, model: ModelInfo) -> None:
    if _OTHER in slots.contents("long_form"):
        return
    piece = studio.sample_piece(
        model.name,
        temperature=settings.temperature,
        seed=MAX_SEED + 1 + settings.seed,  # beyond all seeds of Sample, so never its piece
    )
    name = name_of(piece.embeddings)
    slots.start_with(_OTHER, Source(name, piece.groove, None, piece.model, "sample"))


def _draw_strip(
    studio: Studio, settings: LongSettings, ends: tuple[str, str], steps: tuple[LongTake, ...]
) -> int:
    """Draw the morph between the ends of these names; return the step under its pointer."""
    name = " to ".join(ends)
    grooves = tuple(step.groove for step in steps)
    pointer = _POINTER.get()
    morph = Morph(grooves, 1, len(steps), ends, pointer)
    at = morph.index_at(pointer)
    source = _source(name, grooves, at, steps[at].model)
    source_deck(
        studio,
        [
            Card(
                *("morph", name, grooves[at]),
                note=f"{len(steps)} pieces on the way, morphing bar by bar",
                kept=favourites.has(grooves[at]),
                morph=morph,
            )
        ],
        lambda _: source,
        key="long_form.strip",
        on_move=lambda _, place: _POINTER.set(place),
    )
    return at


def _source(name: str, grooves: tuple[Groove, ...], at: int, model: str) -> Source:
    return Source(f"{name}, step {at + 1}", grooves[at], None, model, "long form")


def _draw_buttons(studio: Studio, now: Shown, other: LongTake, step: LongTake, name: str) -> None:
    def cross() -> None:
        crossing = studio.cross_over(now.piece, other)
        Pieces().show_new(crossing, f"leads from {now.name} to {name}", f"{now.name} into {name}")

    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Work on this step",
            icon=":material/arrow_upward:",
            key="long_form.take",
            help="Open the step under the pointer as the piece above, to change its bars",
            on_click=action(Pieces().show_new, step, f"between {now.name} and {name}"),
        )
        st.button(
            "Transition from one to the other",
            icon=":material/trending_flat:",
            key="long_form.cross",
            help="A piece that starts as the first and ends as the second",
            on_click=action(cross),
        )
