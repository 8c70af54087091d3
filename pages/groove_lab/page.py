"""Groove lab: humanize, drumify, transfer a feel, fill in and continue; given notes are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from musicvae_core.errors import MusicVAEError
from musicvae_core.music.forms import (
    FORMS,
    Music,
    drums_of,
    padded,
    rhythm_of,
    taps_to_groove,
    with_drums,
)
from musicvae_core.music.grid import (
    COMMON_TIME,
    MAX_STEPS_PER_BAR,
    MAX_TEMPO_BPM,
    MIN_TEMPO_BPM,
    Grid,
)
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.maps import DrumMap
from musicvae_core.music.midi.read import MidiReading
from musicvae_core.music.midi.tracks import TrackChoice
from musicvae_core.studio import Studio
from pages.groove_lab.lab_settings import (
    SEED,
    choose_amounts,
    read_request,
)
from pages.groove_lab.request import (
    TOOLS,
    Request,
    Result,
    Results,
)
from pages.shared.actions import Share, action, as_text, component, on_event, run_to_completion
from pages.shared.card import Card, grid_payload
from pages.shared.collection import Source, favourites, library, page_of, slots
from pages.shared.deck import shared_studio, source_deck
from pages.shared.edits import edited_source
from pages.shared.play_settings import WIDTH, draw_undo, take_next_seed
from pages.shared.sources import choose_groove
from pages.shared.store import SessionVar, next_number
from pages.shared.uploads import draw_report, draw_uploader

_MAX_TAPPED_BARS = 8
_MAX_TAPS = 2048
_Place = Annotated[float, Field(strict=True, ge=-0.5, le=_MAX_TAPPED_BARS * MAX_STEPS_PER_BAR)]


class _Taps(BaseModel):
    """A recording of the tap pad: (steps from the first beat, velocity) of each tap."""

    model_config = ConfigDict(frozen=True)

    tempo: Annotated[float, Field(strict=True, ge=MIN_TEMPO_BPM, le=MAX_TEMPO_BPM)]
    bars: Annotated[int, Field(strict=True, ge=1, le=_MAX_TAPPED_BARS)]
    taps: Annotated[list[tuple[_Place, Share]], Field(max_length=_MAX_TAPS)]


_TAPS = TypeAdapter(_Taps)


_GROOVE = "groove_lab.groove"
_N_MADE = SessionVar("kept.groove_lab.made", 0)
"""How many results there were so far: each one plays when it arrives."""


def groove_lab() -> None:
    """Read the request, run it when the button is pressed, and draw before and after."""
    try:
        studio = shared_studio()
        studio.lab()
        tool = _choose_tool()
        settings = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
        buttons = st.container(horizontal=True, vertical_alignment="bottom", key="buttons")
        stage, details = st.container(), st.container(key="details")
        with settings:
            source = choose_groove(
                studio,
                _GROOVE,
                "Groove",
                details=details,
                forms=tuple(form.name for form in FORMS.values()),
                grids=[studio.lab().grid],
            )
            if source is None:
                st.info("Choose a groove to work on.")
                return
            request = read_request(studio, tool, source, details)
        _handle_request(studio, source, request)
        result = Results(source).newest
        with details:
            after = _after(source, request, result)
            if tool == "drumify":
                _draw_rhythms(studio, _GROOVE)
        with buttons:
            _draw_buttons(source, request, after if result else None)
        with stage:
            _draw_deck(studio, source, after)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


def _choose_tool() -> str:
    """Draw the choice of a tool, and return it."""
    return st.segmented_control(
        "What to do",
        TOOLS,
        default="humanize",
        required=True,
        format_func=TOOLS.__getitem__,
        key="groove_lab.tool",
        persist_state="session",
    )


@run_to_completion()
def _handle_request(studio: Studio, source: Source, request: Request) -> None:
    if not _REQUESTED.take():
        return
    try:
        given = _input_for(request.tool, source.groove)
        Results(source).add(request.run(studio.lab(), given))
        next_number(_N_MADE)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


def _after(source: Source, request: Request, result: Result | None) -> Source:
    """Return what the card shows: the newest result, or the groove as it is.

    The amounts belong to the result, even if another tool is selected now, and are by its card.
    """
    shown = result.request if result else request
    what = result.title(source.name) if result else "The result"
    amounts = choose_amounts(what, source.name) if shown.keeps_notes else None
    if result is None:
        return source
    groove = result.played(amounts) if amounts else result.made
    return result.source(source.name, with_drums(source.groove, groove))


def _draw_deck(studio: Studio, source: Source, after: Source) -> None:
    groove = after.groove
    before = None if after is source else _as_long(source.groove, groove.n_bars)
    card = Card(
        *("groove", after.name, groove, after.note),
        kept=favourites.has(groove),
        before=before,
        before_name=source.name,
    )
    n_made = _N_MADE.get()
    source_deck(
        studio,
        [card],
        lambda _: after,
        key="groove_lab.deck",
        play=(card.id, str(n_made)) if n_made else None,
        stage=True,
    )


def _as_long(before: Music, n_bars: int) -> Music:
    """Return the music before the change, followed by silence if it was continued."""
    longer: Music = padded(before, n_bars) if before.n_bars < n_bars else before
    return longer


def _input_for(tool: str, music: Music) -> Groove:
    """Return what a tool works on: the drums, or for drumify the rhythm of any music."""
    return rhythm_of(music) if tool == "drumify" else drums_of(music)


_REQUESTED = SessionVar("groove_lab.asked", False)
"""Whether the button was pressed: the next run of the page carries it out."""


def _draw_buttons(source: Source, request: Request, after: Source | None) -> None:
    """Draw the buttons.

    Parameters
    ----------
    source
        The groove to work on.
    request
        The request in the settings.
    after
        The result that is shown; None if the groove itself is shown.
    """
    nothing = request.tool == "fill" and not request.voices
    st.button(
        TOOLS[request.tool],
        type="primary",
        icon=":material/auto_fix_high:",
        key="groove_lab.do",
        disabled=nothing,
        help="Choose at least one voice to rewrite" if nothing else None,
        on_click=action(_ask, source, request),
    )
    st.button(
        "Work on the result",
        icon=":material/redo:",
        key="groove_lab.use",
        disabled=after is None,
        help="No result yet" if after is None else "Use the result as the new groove",
        on_click=action(_use, after),
    )
    is_past = after is not None or slots.can_undo(page_of(_GROOVE))
    what = "the result" if Results(source).n > 1 else "the groove"
    draw_undo("groove_lab.undo", is_past, what, lambda: _undo(source))


def _ask(source: Source, request: Request) -> None:
    result = Results(source).newest
    if result and result.request == request:
        take_next_seed(SEED)
    _REQUESTED.set(True)


def _use(after: Source | None) -> None:
    if after is None:
        return
    after = edited_source(after)
    library.add(after)
    slots.fill(_GROOVE, after)


def _undo(source: Source) -> None:
    if result := Results(source).newest:
        Results(source).undo()
        SEED.set((Results(source).newest or result).request.sampling.seed)
    else:
        slots.undo(page_of(_GROOVE))


@dataclass(frozen=True)
class _Rhythms:
    """Reads files for the uploader like a `Studio`, but all notes of a track as one voice."""

    studio: Studio

    def read_midi(
        self,
        data: bytes,
        *,
        treat_as_drums: TrackChoice | None = None,
        drum_map: DrumMap | None = None,
        grid: Grid | None = COMMON_TIME,
    ) -> MidiReading:
        return self.studio.read_rhythm(data, track=treat_as_drums, grid=grid or COMMON_TIME)


def _draw_rhythms(studio: Studio, key: str) -> None:
    """Draw the tap pad and a field for MIDI tracks; their rhythm goes into the slot."""

    def place_taps(groove: Groove) -> None:
        taps = "1 tap" if groove.n_hits == 1 else f"{groove.n_hits} taps"
        source = Source("Taps", groove, origin="tapped", note=taps)
        library.add(source)
        slots.fill(key, source)

    with st.expander("Tap or upload a rhythm", icon=":material/touch_app:", expanded=True):
        pad, file = st.columns([2, 1], gap="large")
        with pad:
            _draw_tap_pad("groove_lab.taps", studio.lab().grid, place_taps)
        with file:
            label = "Drop MIDI: a bass line, a melody, or any track with a rhythm"
            reader = _Rhythms(studio)
            draw_uploader(
                reader,
                "groove_lab.rhythm",
                label,
                lambda found: slots.fill(key, found[0]),
                has_map=False,
                grids=[studio.lab().grid],
            )
            draw_report(reader, "groove_lab.rhythm", lambda found: slots.fill(key, found[0]))


_BARS = (1, 2, 4, _MAX_TAPPED_BARS)
_MOST_LATE_MS = 250


def _draw_tap_pad(key: str, grid: Grid, on_taps: Callable[[Groove], None]) -> None:
    """Draw the pad with its settings.

    Parameters
    ----------
    key
        Identifies the widgets in the session.
    grid
        The grid of the metronome and of the rhythm.
    on_taps
        Called with the tapped rhythm, before the page runs again.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        tempo_bpm = st.number_input(
            "Tempo, bpm",
            *(int(MIN_TEMPO_BPM), int(MAX_TEMPO_BPM), 100),
            key=f"{key}.tempo",
            width=WIDTH,
            persist_state="session",
            help="For the metronome and the groove.",
        )
        bars = st.selectbox(
            "Bars", _BARS, 1, key=f"{key}.bars", width=WIDTH, persist_state="session"
        )
        late = st.number_input(
            "Tap latency, ms",
            *(0, _MOST_LATE_MS, 0),
            key=f"{key}.late",
            width=WIDTH,
            persist_state="session",
            help="The sound delay that the browser reports is already compensated; wireless "
            "headphones and keyboards may add more.",
        )

    _mount(
        key=f"{key}.pad",
        data={
            "tempo": tempo_bpm,
            "bars": bars,
            "late": late,
            "grid": grid_payload(grid),
        },
        on_taps_change=on_event(
            *(f"{key}.pad", "taps", _TAPS),
            lambda sent: on_taps(taps_to_groove(sent.taps, sent.bars, sent.tempo, grid)),
        ),
    )


_mount = component("taps")
