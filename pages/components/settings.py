"""The settings of the Sample page: its widgets, and what they say."""

from __future__ import annotations

import random
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from musicvae_core.errors import CheckpointNotFoundError
from musicvae_core.studio import Studio
from musicvae_core.vocabulary import MAX_TEMPO_BPM, MIN_TEMPO_BPM
from pages.components.slots import contents, page_of

MAX_GROOVES = 16
MAX_SEED = 2**31 - 1
WIDTH, MODEL_WIDTH = 168, 232
"""Pixels of a widget: two stand side by side on a phone."""
_SAMPLED = "kept.sample.sampled"
"""Session key of the settings that the last sampling used."""
_NO_MODEL = (
    "There is no model in the folder checkpoints: train one with "
    "`python -m musicvae_core train --preset groove_2bar --download --out checkpoints/groove_2bar`."
)
_PRIORS = {"learned": "what drummers play", "normal": "the whole space"}


@dataclass(frozen=True)
class Settings:
    """What the widgets say.

    Parameters
    ----------
    model, n, temperature, seed, prior
        What to sample: see `Studio.sample`.
    tempo_bpm, kit
        How to play it; `kit` is None where there is no sound.
    amount
        How far "more like this" goes, 0 to 1: see `Studio.similar`.
    """

    model: str
    n: int
    temperature: float
    seed: int
    prior: str
    tempo_bpm: float
    kit: str | None
    amount: float


def read_settings(studio: Studio, more: DeltaGenerator) -> Settings:
    """Draw the widgets in rows that wrap, and return what they say.

    Parameters
    ----------
    studio
        Says which models and kits there are.
    more
        Where to tuck away the settings that few need.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
        model = choose_model(studio)
        n = st.slider("Grooves", 1, MAX_GROOVES, 8, key="n", width=WIDTH, persist_state="session")
        temperature = st.slider(
            "Temperature",
            *(0.0, 2.0, 1.0, 0.05),
            key="temperature",
            width=WIDTH,
            persist_state="session",
            help="0 always takes the likeliest hit; 1 plays as drummers do; above that, wilder.",
        )
        tempo_bpm = st.number_input(
            "Tempo, bpm",
            *(int(MIN_TEMPO_BPM), int(MAX_TEMPO_BPM), 120),
            key="tempo_bpm",
            width=WIDTH,
            persist_state="session",
            help="Also changes the grooves below, without drawing new ones.",
        )
        kit = choose_kit(studio)
        seed = choose_seed("seed", "dice")
    with more:
        prior, amount = _choose_details()
    return Settings(model, n, temperature, seed, prior, float(tempo_bpm), kit, amount)


def take_next_seed_if_unchanged() -> None:
    """Move on to the next seed when these very settings were the last to be sampled.

    For the callback of a button: pressing Sample again then gives new grooves, while a seed
    that was typed in is used as it is.
    """
    if st.session_state.get(_SAMPLED) == _what_to_sample():
        st.session_state.seed = (st.session_state.seed + 1) % MAX_SEED


def remember_sampled() -> None:
    """Keep what was sampled, for `take_next_seed_if_unchanged`."""
    st.session_state[_SAMPLED] = _what_to_sample()


def _what_to_sample() -> tuple[object, ...]:
    """Return the values that decide which grooves come out."""
    return tuple(
        st.session_state.get(key) for key in ("model", "n", "temperature", "seed", "prior")
    )


def choose_model(studio: Studio) -> str:
    """Draw the choice of a model, one for all pages, and return its name.

    Raises
    ------
    CheckpointNotFoundError
        If there is none.
    """
    models = {model.name: model for model in studio.models()}
    if not models:
        raise CheckpointNotFoundError(_NO_MODEL)
    if len(models) == 1:
        return next(iter(models))
    return st.selectbox(
        "Model",
        models,
        format_func=lambda name: models[name].title,
        key="model",
        width=MODEL_WIDTH,
        persist_state="session",
    )


def choose_kit(studio: Studio) -> str | None:
    """Draw the choice of a drum kit, one for all pages; None where there is no sound."""
    problem = studio.sound_problem
    return st.selectbox(
        "Drum kit",
        () if problem else studio.kits(),
        key="kit",
        width=WIDTH,
        persist_state="session",
        disabled=problem is not None,
        placeholder="No sound",
        help=problem or "Changes the sound of the grooves that are there.",
    )


def choose_tempo(slot: str, of: str) -> float:
    """Draw the tempo of a page, at first that of the groove in a slot, and return it.

    Parameters
    ----------
    slot
        The key of a slot that is filled. Another groove in it comes with its own tempo.
    of
        What the groove is called in the help.
    """
    source = contents(page_of(slot))[slot]
    own = round(source.groove.tempo_bpm)
    return float(
        st.number_input(
            "Tempo, bpm",
            *(int(MIN_TEMPO_BPM), int(MAX_TEMPO_BPM), own),
            key=f"{page_of(slot)}.tempo_bpm.{own}.{source.id}",
            width=WIDTH,
            persist_state="session",
            help=f"At first the tempo of {of}.",
        )
    )


def choose_seed(key: str, dice: str) -> int:
    """Draw the seed with dice beside it, and return it.

    Parameters
    ----------
    key, dice
        Session keys of the field and of the button.
    """
    with st.container(
        horizontal=True, wrap=False, vertical_alignment="bottom", width=WIDTH, gap="xsmall"
    ):
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key=key,
            persist_state="session",
            help="The same seed and settings give the same music. Pressing again without a "
            "change takes the next seed.",
        )
        st.button(
            "",
            icon=":material/casino:",
            key=dice,
            help="Throw the dice for a new seed",
            on_click=lambda: st.session_state.update({key: random.randrange(10_000)}),
        )
    return seed


def _choose_details() -> tuple[str, float]:
    with st.popover("Fine-tune", icon=":material/tune:", key="details"):
        prior = st.radio(
            "Draw from",
            _PRIORS,
            format_func=_PRIORS.__getitem__,
            key="prior",
            persist_state="session",
            help="What drummers play: the prior that was fitted to real performances. "
            "The whole space: the normal distribution of the paper, stranger and less real.",
        )
        amount = st.slider(
            "How far “more like this” goes",
            *(0.05, 1.0, 0.3, 0.05),
            key="amount",
            persist_state="session",
            help="Near 0 a groove hardly changes; at 1 little of it is left.",
        )
    return prior, amount
