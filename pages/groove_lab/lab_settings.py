"""The settings of the groove lab's page: its widgets and their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from musicvae_core.lab.options import Amounts, Preferences, Sampling
from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, OPEN_HAT, SNARE, VOICES
from musicvae_core.music.forms import drums_of
from musicvae_core.studio import Studio
from pages.groove_lab.request import Request
from pages.shared.actions import as_text
from pages.shared.collection import Source, page_of, slots
from pages.shared.names import drummer_title, style_title
from pages.shared.play_settings import MAX_SEED, WIDTH, choose_seed, draw_undo
from pages.shared.sources import choose_groove
from pages.shared.store import SessionVar, float_between, int_between, persist_settings

SEED = SessionVar("groove_lab.seed", 0, persist_as=int_between(0, MAX_SEED))
"""The seed in the widgets."""
_FEEL = "groove_lab_feel.feel"
"""A slot with its own undo: it is not always visible, and undo must not change hidden things."""
_FILLS: dict[str, tuple[str, tuple[int, ...]]] = {
    "hats": ("new hi-hats", (CLOSED_HAT, OPEN_HAT)),
    "kick": ("a new kick", (KICK,)),
    "snare": ("a new snare", (SNARE,)),
    "last": ("a fill in the last bar", tuple(range(N_VOICES))),
    "choose": ("voices I choose", ()),
}
_FEELS = {"groove": "another groove", "style": "a style", "drummer": "a drummer"}
_ANY = ""
"""No style requested. None cannot be an option: Streamlit stores it as no choice at all."""
_MORE_BARS = (1, 2, 4, 8, 16)
_DENSITIES = (None, *range(4, 30, 2))
"""Above 28 notes a bar the model hardly follows."""
_ABOUT = "Roughly how many, counting all voices. "
_KEPT_COUNT = "The notes that are kept count too."
_ONSETS_STAY = "Every onset of the rhythm stays, so this changes little."


persist_settings(
    {
        "groove_lab.tool": str,
        "groove_lab.dynamics": int_between(0, 200),
        "groove_lab.timing": int_between(0, 200),
        "groove_lab.quantise": int_between(0, 100),
        "groove_lab.fill": str,
        "groove_lab.voices": list[int],
        "groove_lab.more": int,
        "groove_lab.feel_of": str,
        "groove_lab.density": int_between(4, 28) | None,
        "groove_lab.style": str,
        "groove_lab.feel_style": str,
        "groove_lab.drummer": str,
        "groove_lab.feel_temperature": float_between(0, 2),
        "groove_lab.temperature": float_between(0, 2),
    }
)


def read_request(studio: Studio, tool: str, source: Source, details: DeltaGenerator) -> Request:
    """Draw the settings of a tool, with further choices in `details`; return the request.

    Raises
    ------
    MusicVAEError
        If there is no lab.
    """
    request = Request(tool)
    with st.container(horizontal=True, vertical_alignment="bottom", width="content", key="lab"):
        if tool == "fill":
            request = _choose_cells(request, source.groove.n_bars)
        elif tool == "continue":
            request = replace(request, n_bars=_choose_more_bars())
        if tool == "transfer":
            request = _choose_feel(studio, request, details)
        else:
            request = replace(request, preferences=_choose_preferences(studio, tool))
        sampling = replace(_choose_temperatures(tool), seed=choose_seed(SEED, "groove_lab.dice"))
    return replace(request, sampling=sampling)


def choose_amounts(result: str, groove: str) -> Amounts:
    """Draw the sliders between the original playing of a groove and the result.

    Parameters
    ----------
    result, groove
        Their names.
    """
    st.caption(f"{as_text(result)}: how far it goes from {as_text(groove)}")
    with st.container(horizontal=True, vertical_alignment="bottom", key="amounts"):
        return _draw_amounts()


def _draw_amounts() -> Amounts:
    percents = []
    for name, most, usual, what in (
        ("Dynamics", 200, 100, "0 keeps the original loudness; 200 doubles the change."),
        ("Timing", 200, 100, "0 keeps the original timing; 200 doubles the change."),
        ("Quantise", 100, 0, "100 puts every hit on the grid."),
    ):
        percents.append(
            st.slider(
                f"{name}, %",
                *(0, most, usual, 5),
                key=f"groove_lab.{name.lower()}",
                width=WIDTH,
                persist_state="session",
                help=what,
            )
        )
    dynamics, timing, quantise = (percent / 100 for percent in percents)
    return Amounts(dynamics, timing, quantise)


def _choose_cells(request: Request, n_bars: int) -> Request:
    fill = st.selectbox(
        "Write",
        _FILLS,
        format_func=lambda name: _FILLS[name][0],
        key="groove_lab.fill",
        width=200,
        persist_state="session",
    )
    every = tuple(range(n_bars))
    if fill != "choose":
        bars = every[-1:] if fill == "last" else every
        return replace(request, voices=_FILLS[fill][1], bars=bars)
    voices = st.pills(
        "Voices",
        range(N_VOICES),
        selection_mode="multi",
        default=(CLOSED_HAT,),
        format_func=VOICES.__getitem__,
        key="groove_lab.voices",
        persist_state="session",
    )
    chosen = st.multiselect(
        "Bars",
        every,
        format_func=lambda bar: str(bar + 1),
        key=f"groove_lab.bars.{n_bars}",
        placeholder="All",
        persist_state="session",
    )
    return replace(request, voices=tuple(sorted(voices)), bars=tuple(sorted(chosen)) or every)


def _choose_more_bars() -> int:
    return st.selectbox(
        "Bars to add", _MORE_BARS, 2, key="groove_lab.more", width=WIDTH, persist_state="session"
    )


def _choose_feel(studio: Studio, request: Request, details: DeltaGenerator) -> Request:
    kind = st.segmented_control(
        "Feel of",
        _FEELS,
        default="groove",
        required=True,
        format_func=_FEELS.__getitem__,
        key="groove_lab.feel_of",
        persist_state="session",
    )
    if kind == "style":
        return replace(request, preferences=Preferences(style=_choose_feel_style(studio)))
    if kind == "drummer":
        return replace(request, preferences=Preferences(drummer=_choose_drummer(studio)))
    feel = choose_groove(studio, _FEEL, "Whose feel", default=2, details=details)
    past = page_of(_FEEL)
    draw_undo("groove_lab.feel_undo", slots.can_undo(past), "the feel", lambda: slots.undo(past))
    if feel is None:
        return request
    return replace(request, feel=drums_of(feel.groove), feel_name=feel.name)


def _choose_preferences(studio: Studio, tool: str) -> Preferences:
    style = _choose_style(studio)
    if tool == "humanize":
        return Preferences(style=style)
    hits_a_bar = st.select_slider(
        "Notes a bar",
        _DENSITIES,
        format_func=lambda number: "any" if number is None else str(number),
        key="groove_lab.density",
        width=WIDTH,
        persist_state="session",
        help=_ABOUT + (_ONSETS_STAY if tool == "drumify" else _KEPT_COUNT),
    )
    return Preferences(style=style, hits_a_bar=hits_a_bar)


def _choose_style(studio: Studio) -> str | None:
    styles = (_ANY, *studio.lab().styles)
    return _draw_styles(styles, "groove_lab.style") or None


def _choose_feel_style(studio: Studio) -> str:
    return _draw_styles(studio.lab().styles, "groove_lab.feel_style")


def _draw_styles(styles: Sequence[str], key: str) -> str:
    return st.selectbox(
        "Style",
        styles,
        format_func=lambda style: "Any" if style == _ANY else style_title(style),
        key=key,
        width=WIDTH,
        persist_state="session",
    )


def _choose_drummer(studio: Studio) -> str:
    return st.selectbox(
        "Drummer",
        studio.lab().drummers,
        format_func=drummer_title,
        key="groove_lab.drummer",
        width=WIDTH,
        persist_state="session",
        help="One of the drummers in the data set.",
    )


def _choose_temperatures(tool: str) -> Sampling:
    with st.popover("Fine-tune", icon=":material/tune:", key="groove_lab.details"):
        feel = st.slider(
            "Wildness of the feel",
            *(0.0, 2.0, 1.0, 0.05),
            key="groove_lab.feel_temperature",
            persist_state="session",
            help="0 plays like the average drummer; 1 varies as a real one does; higher is looser.",
        )
        if tool in ("humanize", "transfer"):
            return Sampling(feel_temperature=feel)
        notes = st.slider(
            "Wildness of the notes",
            *(0.0, 2.0, 1.0, 0.05),
            key="groove_lab.temperature",
            persist_state="session",
            help="0 picks the likeliest notes; above 1 is wilder.",
        )
    return Sampling(notes, feel)
