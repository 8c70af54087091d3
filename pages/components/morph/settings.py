"""The settings of the Morph page: its widgets, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from musicvae_core.takes import ModelInfo, Morphed
from pages.components.settings import MAX_SEED, WIDTH, choose_kit, choose_model
from pages.components.studio import identity

_SHAPES = {2: "2 ends", 4: "4 corners"}
_CURVES = {"slerp": "the curve of the space (slerp)", "lerp": "a straight line (lerp)"}
_MAX_MORPHS = 32


@dataclass(frozen=True)
class MorphSettings:
    """What the widgets say; see `Studio.morph`. `n_ends` is 2 or 4, a path or a pad."""

    model: ModelInfo
    n_ends: int
    n_steps: int
    temperature: float
    kit: str | None
    curve: str
    seed: int
    exact_ends: bool


def read_morph_settings(studio: Studio, more: DeltaGenerator) -> MorphSettings:
    """Draw the widgets, those that few need in `more`.

    Raises
    ------
    CheckpointNotFoundError
        If there is no model.
    """
    name = choose_model(studio)
    n_ends = st.segmented_control(
        "Morph between",
        _SHAPES,
        default=2,
        required=True,
        format_func=_SHAPES.__getitem__,
        key="morph.n_ends",
        persist_state="session",
    )
    n_steps = st.slider(
        "Steps",
        *(3, 33, 9),
        key="morph.n_steps",
        width=WIDTH,
        persist_state="session",
        disabled=n_ends == 4,
        help="Four corners make a pad of 5 by 5." if n_ends == 4 else "Both ends included.",
    )
    temperature = st.slider(
        "Temperature",
        *(0.0, 2.0, 0.0, 0.05),
        key="morph.temperature",
        width=WIDTH,
        persist_state="session",
        help="0 always takes the likeliest hit, which is the evenest path.",
    )
    kit = choose_kit(studio)
    with more:
        curve, seed, exact_ends = _choose_details()
    model = next(model for model in studio.models() if model.name == name)
    return MorphSettings(model, n_ends, n_steps, temperature, kit, curve, seed, exact_ends)


def _choose_details() -> tuple[str, int, bool]:
    exact_ends = st.toggle(
        "Exact ends",
        key="morph.exact_ends",
        persist_state="session",
        help="Keep the ends as they are, in place of what the model makes of them.",
    )
    with st.popover("Fine-tune", icon=":material/tune:", key="morph.details"):
        curve = st.radio(
            "Move along",
            _CURVES,
            format_func=_CURVES.__getitem__,
            key="morph.curve",
            persist_state="session",
            help="The straight line passes nearer to the middle of the space, where grooves are "
            "plainer.",
        )
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key="morph.seed",
            persist_state="session",
            help="What chance decides at a temperature above 0, alike for all steps.",
        )
    return curve, seed, exact_ends


@st.cache_resource(max_entries=_MAX_MORPHS, show_spinner=False, hash_funcs={Groove: identity})
def morphed(_studio: Studio, settings: MorphSettings, ends: tuple[Groove, ...]) -> Morphed:
    """Return the morph between ends of the model's length, computed once for all sessions.

    Its tempo is that of the first end.

    Raises
    ------
    MusicVAEError
        What `Studio.morph` raises.
    """
    return _studio.morph(
        settings.model.name,
        ends,
        settings.n_steps,
        curve=settings.curve,
        temperature=settings.temperature,
        tempo_bpm=ends[0].tempo_bpm,
        seed=settings.seed,
        exact_ends=settings.exact_ends,
    )
