"""Controls shared by several pages: what to play, its model, seed and length, and undo."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from musicvae_core.errors import CheckpointError
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.piece import Plays
from pages.shared.actions import action, icon_button
from pages.shared.store import SessionVar

MAX_SEED = 2**31 - 1
WIDTH, MODEL_WIDTH = 168, 232
"""Pixels of a widget: two fit side by side on a phone."""
_NO_MODEL = (
    "There is no model in the folder checkpoints: train one with "
    "`python -m musicvae_core train --preset groove_2bar --download --out checkpoints/groove_2bar`."
)


_FORM_TITLES: Mapping[Plays, str] = {"drums": "Drums", "line": "Melody", "piece": "Band"}
PLAYS = SessionVar[Plays]("plays", "drums", persist_as=str)
"""The chosen form of music, on pages that offer a choice."""

MODELS: Mapping[Plays, SessionVar[str]] = {
    plays: SessionVar("model" if plays == "drums" else f"model.{plays}", "", persist_as=str)
    for plays in _FORM_TITLES
}
"""The name of the model chosen for each form of music."""


def grids_of(
    models: Sequence[ModelInfo], plays: Plays, model: ModelInfo | None = None
) -> list[Grid]:
    """Return the grids of the models that play a form of music, that of one model first."""
    playing = [*([model] if model else []), *(one for one in models if one.plays == plays)]
    return list(dict.fromkeys(one.grid for one in playing)) or [COMMON_TIME]


def draw_undo(key: str, can_undo: bool, what: str, undo: Callable[[], None]) -> None:
    """Draw the undo button; its help says what it restores, or that there is nothing to undo."""
    st.button(
        "Undo",
        icon=":material/undo:",
        key=key,
        disabled=not can_undo,
        help=f"Bring back {what} from before" if can_undo else "Nothing to undo yet",
        on_click=action(undo),
    )


def take_next_seed(seed: SessionVar[int]) -> None:
    """Advance a field to the next seed, for a callback."""
    seed.set((seed.get() + 1) % MAX_SEED)


def choose_model(
    models: Sequence[ModelInfo],
    serves: Callable[[ModelInfo], bool] = lambda model: True,
    details: DeltaGenerator | None = None,
) -> ModelInfo:
    """Draw the choice of what to play and of its model, shared by all pages; return the model.

    Parameters
    ----------
    models
        The available models.
    serves
        Whether the page can use a model.
    details
        Where to draw the choice of the model; None to put it beside the choice of what to play.

    Raises
    ------
    CheckpointError
        If there is no such model.
    """
    served = [model for model in models if serves(model)]
    if not served:
        raise CheckpointError(_NO_MODEL)
    plays = _choose_form([form for form in _FORM_TITLES if any(m.plays == form for m in served)])
    offered = {model.name: model for model in served if model.plays == plays}
    if len(offered) == 1:
        return next(iter(offered.values()))
    with details or nullcontext():
        name = st.selectbox(
            "Model",
            offered,
            format_func=lambda name: offered[name].title,
            key=MODELS[plays].key,
            width=MODEL_WIDTH,
            persist_state="session",
        )
    return offered[name]


def _choose_form(forms: Sequence[Plays]) -> Plays:
    """Draw the choice between several forms of music, and return it."""
    if len(forms) == 1:
        return forms[0]
    PLAYS.set(PLAYS.get() if PLAYS.get() in forms else forms[0])
    # each run: on another page it is another control, with nothing chosen
    st.segmented_control(
        "Play",
        forms,
        required=True,
        format_func=_FORM_TITLES.__getitem__,
        key=PLAYS.key,
        persist_state="session",
    )
    return PLAYS.get()


def choose_seed(field: SessionVar[int], dice: str) -> int:
    """Draw the seed with dice beside it, and return it.

    Parameters
    ----------
    field
        The seed shown in the widget.
    dice
        The key of the button.
    """
    with st.container(
        horizontal=True, wrap=False, vertical_alignment="bottom", width=WIDTH, gap="xsmall"
    ):
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key=field.key,
            persist_state="session",
            help="The same seed and settings give the same music. Pressing again without a "
            "change takes the next seed.",
        )
        icon_button(
            "New seed",
            ":material/casino:",
            key=dice,
            help="Draw a new seed",
            on_click=action(lambda: field.set(random.randrange(10_000))),
        )
    return seed


_BARS = (1, 2, 4, 8, 16)
_MAX_BARS = 256
"""Longest piece: nine minutes at 120 bpm."""


def choose_bars(n_steps: int, n_bars: int) -> int:
    """Draw the choice of how many bars each step lasts, and return it."""
    offered = [bars for bars in _BARS if bars * n_steps <= _MAX_BARS]
    usual = max(bars for bars in offered if bars <= max(n_bars, 1))
    return st.selectbox(
        "Bars per step",
        offered,
        offered.index(usual),
        key=f"morph.bars.{n_steps}.{n_bars}",
        width=WIDTH,
        persist_state="session",
        help="How long each step of the piece is played.",
    )
