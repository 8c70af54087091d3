"""The settings of the Long form page: its widgets, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from musicvae_core.errors import CheckpointNotFoundError
from musicvae_core.studio import Studio
from musicvae_core.takes import ModelInfo
from musicvae_core.vocabulary import MAX_TEMPO_BPM, MIN_TEMPO_BPM
from pages.components.settings import MAX_SEED, MODEL_WIDTH, WIDTH, choose_kit

SHORTEST_PIECE = 8
"""Bars that a model must have to make pieces."""

_MODEL = "long_form.model"
_SEED = "long_form.seed"
_SAMPLED = "kept.long_form.sampled"
"""Session key of the settings that the last sampling used."""


@dataclass(frozen=True)
class LongSettings:
    """What the widgets say; see `Studio.sample_piece`. `kit` is None where there is no sound."""

    model: ModelInfo
    temperature: float
    seed: int
    tempo_bpm: float
    kit: str | None


def long_models(studio: Studio) -> list[ModelInfo]:
    """Return the models whose pieces can be changed bar by bar, those with feel first."""
    fit = [m for m in studio.models() if m.n_bars >= SHORTEST_PIECE and m.has_conductor]
    return sorted(fit, key=lambda model: not model.has_feel)


def long_model(studio: Studio, name: str) -> ModelInfo:
    """Return the one of `long_models` that has this name.

    Raises
    ------
    CheckpointNotFoundError
        If it is no longer there.
    """
    models = {model.name: model for model in long_models(studio)}
    if name not in models:
        raise CheckpointNotFoundError(
            f"The model {name} is gone: put it back into the folder checkpoints."
        )
    return models[name]


def chosen_long_model(studio: Studio) -> ModelInfo | None:
    """Return the model that is chosen, before its choice is drawn; None where there is none."""
    models = {model.name: model for model in long_models(studio)}
    first = next(iter(models.values()), None)
    return models.get(st.session_state.get(_MODEL, ""), first)


def choose_long_model(name: str) -> None:
    """Choose the model, before its choice is drawn."""
    st.session_state[_MODEL] = name


def read_long_settings(studio: Studio, models: list[ModelInfo]) -> LongSettings:
    """Draw the widgets of a piece in a row that wraps, and return what they say."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
        model = _draw_long_models(models)
        temperature = st.slider(
            "Temperature",
            *(0.0, 2.0, 1.0, 0.05),
            key="temperature",
            width=WIDTH,
            persist_state="session",
            help="0 always takes the likeliest hit; 1 plays as drummers do; above that, wilder.",
        )
        tempo_bpm = choose_shared_tempo()
        kit = choose_kit(studio)
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key=_SEED,
            width=WIDTH,
            persist_state="session",
            help="The same seed and settings give the same piece. Pressing Sample again without "
            "a change takes the next seed.",
        )
    return LongSettings(model, temperature, seed, tempo_bpm, kit)


def choose_shared_tempo() -> float:
    """Draw the tempo, one for this page and for Sample, and return it."""
    return float(
        st.number_input(
            "Tempo, bpm",
            *(int(MIN_TEMPO_BPM), int(MAX_TEMPO_BPM), 120),
            key="tempo_bpm",
            width=WIDTH,
            persist_state="session",
            help="Also changes what is there, without drawing anew.",
        )
    )


def remember_long_sampled() -> None:
    """Keep what was sampled, for `take_next_long_seed`."""
    st.session_state[_SAMPLED] = _what_to_sample()


def take_next_long_seed() -> None:
    """Move on to the next seed when these settings were the last to be sampled."""
    if st.session_state.get(_SAMPLED) == _what_to_sample():
        st.session_state[_SEED] = (st.session_state[_SEED] + 1) % MAX_SEED


def _what_to_sample() -> tuple[object, ...]:
    """Return the values that decide which piece comes out."""
    return tuple(st.session_state.get(key) for key in (_MODEL, "temperature", _SEED))


def _draw_long_models(models: list[ModelInfo]) -> ModelInfo:
    if len(models) == 1:
        return models[0]
    by_name = {model.name: model for model in models}
    name = st.selectbox(
        "Model",
        by_name,
        format_func=lambda name: by_name[name].title,
        key=_MODEL,
        width=MODEL_WIDTH,
        persist_state="session",
    )
    return by_name[name]
