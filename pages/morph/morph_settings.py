"""The settings of the Morph page: its widgets, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from musicvae_core.latent.morph import Curve
from musicvae_core.latent.results import ModelInfo, Morphed
from musicvae_core.music.forms import Music
from musicvae_core.studio import Studio
from pages.shared.actions import action, component
from pages.shared.collection import Source, can_undo, fill_all, fill_in_turn, swap, undo
from pages.shared.lasting import lasting_settings, real, whole
from pages.shared.play_settings import HASHED, MAX_SEED, WIDTH, choose_model
from pages.shared.session import draw_undo, take_sent
from pages.shared.sources import choose_groove
from pages.shared.uploads import draw_report, draw_uploader

_SHAPES = {2: "2 ends", 4: "4 corners"}
_CURVES: dict[Curve, str] = {
    "refined": "what is played",
    "slerp": "the curve of the space",
    "lerp": "a straight line",
}
_MAX_MORPHS = 32
_DROP = "morph-drop"


lasting_settings(
    {
        "morph.n_ends": int,
        "morph.n_steps": whole(3, 33),
        "morph.temperature": real(0, 2),
        "morph.exact_ends": bool,
        "morph.curve": str,
        "morph.seed": whole(0, MAX_SEED),
    }
)


@dataclass(frozen=True)
class _MorphSettings:
    """What the widgets say; see `Studio.morph`. `n_ends` is 2 or 4, a path or a pad."""

    model: ModelInfo
    n_ends: int
    n_steps: int
    temperature: float
    curve: Curve
    seed: int
    exact_ends: bool


def read_morph_settings(studio: Studio, more: DeltaGenerator) -> _MorphSettings:
    """Draw the widgets, those that few need in `more`.

    Raises
    ------
    CheckpointNotFoundError
        If there is no model.
    """
    model = choose_model(studio)
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
        "Wildness",
        *(0.0, 2.0, 0.0, 0.05),
        key="morph.temperature",
        width=WIDTH,
        persist_state="session",
        help="0 always takes the likeliest hit, which is the evenest path. It is the temperature "
        "of sampling.",
    )
    with more:
        curve, seed, exact_ends = _choose_details()
    return _MorphSettings(model, n_ends, n_steps, temperature, curve, seed, exact_ends)


def _choose_details() -> tuple[Curve, int, bool]:
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
            help="Halfway between two grooves lies little that anyone plays, so steps are drawn "
            "towards what is. The curve alone keeps evenly between the ends; the straight line "
            "passes nearer to the middle of the space, where grooves are plainer.",
        )
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key="morph.seed",
            persist_state="session",
            help="What chance decides at a temperature above 0, alike for all steps.",
        )
    return curve, seed, exact_ends


@st.cache_resource(max_entries=_MAX_MORPHS, show_spinner=False, hash_funcs=HASHED)
def morphed(_studio: Studio, settings: _MorphSettings, ends: tuple[Music, ...]) -> Morphed:
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


def end_keys(settings: _MorphSettings) -> list[str]:
    """Return the slots of two ends, or of four corners row by row, of the form of the model."""
    page = "morph" if settings.model.plays == "drums" else f"morph.{settings.model.plays}"
    return [f"{page}.{end}" for end in "abcd"[: settings.n_ends]]


def choose_ends(studio: Studio, settings: _MorphSettings) -> list[Source]:
    """Draw the choice of each end, take in what was sent, and return those that are there."""
    keys = end_keys(settings)
    plays = settings.model.plays
    _take_in(keys, [sent for sent in take_sent("morph") if sent.plays == plays])
    left, right, last = st.columns(3)
    chosen = []
    for at, key in enumerate(keys):
        with (left, right)[at % 2]:
            label = key[-1].upper()
            chosen.append(choose_groove(key, label, model=settings.model, default=at))

    def place(found: Sequence[Source]) -> None:
        fill_all(dict(zip(keys, found, strict=False)))

    with last:
        label = f"Drop MIDI files: the first is A, then {', '.join('BCD'[: len(keys) - 1])}"
        with st.container(key=_DROP):
            draw_uploader(studio, "morph.upload", label, place, plays=plays)
        _take_drops(key="morph.drops", data={"field": f".st-key-{_DROP}", "text": label})
        draw_report(studio, "morph.upload", place)
    return [source for source in chosen if source is not None]


_take_drops = component("drop")


def _take_in(keys: Sequence[str], sent: Sequence[Source]) -> None:
    """Put what was sent into the ends: one into the next in turn, several from the first on."""
    if len(sent) == 1:
        fill_in_turn(keys, sent[0])
    else:
        fill_all(dict(zip(keys, sent, strict=False)))


def draw_end_buttons(keys: Sequence[str]) -> None:
    """Draw the buttons that exchange two ends and bring back those from before."""
    st.button(
        "Swap A and B",
        icon=":material/swap_horiz:",
        key="morph.swap",
        on_click=action(swap, keys[0], keys[1]),
    )
    draw_undo("morph.undo", can_undo("morph", keys), "the ends", lambda: undo("morph", keys))
