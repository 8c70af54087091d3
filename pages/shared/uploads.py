"""Uploads: several MIDI files at once, each read with the chosen drum map or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Protocol

import streamlit as st
from pydantic import BaseModel, Field, TypeAdapter
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.typing import UploadedFile

from musicvae_core.errors import MidiError, NoDrumsError, NoMelodyError
from musicvae_core.music.drums import VOICES
from musicvae_core.music.forms import FORMS, Music
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.line_midi import read_line, read_piece
from musicvae_core.music.midi.maps import DRUM_MAPS, STANDARD, DrumMap, drum_name, override_map
from musicvae_core.music.midi.read import MidiReading
from musicvae_core.music.midi.tracks import TrackChoice
from musicvae_core.music.piece import Plays
from pages.shared.actions import FILES, TEXT, Name, action, as_text, on_value
from pages.shared.collection import Source, library
from pages.shared.store import SessionVar, next_number

_GUESS, _MINE = "Guess", "My own"
_LEFT_OUT = "left out"
_PITCHES = range(128)


@dataclass(frozen=True)
class _Choice:
    """The chosen drum map: a map's name, `_GUESS` or `_MINE`, and the user's own map.

    Parameters
    ----------
    name
        One of `_options()`.
    mine
        The voice of each edited pitch, None if it is left out.
    n_edits
        How often the table was edited: each edit replaces the table widget.
    """

    name: str = _GUESS
    mine: Mapping[int, int | None] = field(default_factory=dict)
    n_edits: int = 0


_CHOICE = SessionVar("kept.drum_map", _Choice(), persist_as=_Choice)


def _chosen_map() -> DrumMap | None:
    """Return the drum map for reading uploads; None to guess it."""
    choice = _CHOICE.get()
    if choice.name == _MINE:
        return override_map(_MINE, choice.mine)
    return _maps().get(choice.name)


def _draw_map_choice(key: str) -> None:
    """Draw the choice, and the table of the map; editing it makes the user's own map."""
    choice = _CHOICE.get()
    # an expander, since popovers may not be nested
    with st.expander("Drum map", icon=":material/piano:"):
        widget = f"{key}.name"
        SessionVar(widget, _GUESS).set(choice.name)  # several fields of a page share the choice
        st.selectbox(
            "Read pitches with",
            [_GUESS, *_maps(), _MINE],
            key=widget,
            on_change=on_value(widget, TEXT, _choose),
            help="The sampler or drum kit that the files were made for",
        )
        if st.toggle("Show and edit", key=f"{key}.shown"):
            _draw_table(f"{key}.table.{choice.name}.{choice.n_edits}")


class _TableEdits(BaseModel):
    """The edited cells of a table, by row and then by column."""

    edited_rows: Annotated[dict[int, dict[Name, Name | None]], Field(max_length=128)] = {}


_TABLE_EDITS = TypeAdapter(_TableEdits)


def _draw_table(key: str) -> None:
    """Draw the voice of each pitch."""
    voices = (_chosen_map() or STANDARD).voices
    rows = [
        {
            "Pitch": pitch,
            "General MIDI": drum_name(pitch),
            "Drum": VOICES[voices[pitch]] if pitch in voices else _LEFT_OUT,
        }
        for pitch in _PITCHES
    ]
    st.data_editor(
        rows,
        key=key,
        height=280,
        hide_index=True,
        disabled=["Pitch", "General MIDI"],
        column_config={
            "Drum": st.column_config.SelectboxColumn(options=[*VOICES, _LEFT_OUT], required=True)
        },
        on_change=on_value(key, _TABLE_EDITS, partial(_edit, dict(voices))),
    )


def _choose(name: str) -> None:
    if name in (_GUESS, _MINE, *_maps()):
        _CHOICE.set(replace(_CHOICE.get(), name=name))


def _edit(voices: Mapping[int, int], edits: _TableEdits) -> None:
    """Save the map that was shown, with its edited cells, as the user's own."""
    mine: dict[int, int | None] = {pitch: voices.get(pitch) for pitch in _PITCHES}
    for pitch, cells in edits.edited_rows.items():
        drum = cells.get("Drum")
        if pitch in mine and drum in (*VOICES, _LEFT_OUT):
            mine[pitch] = None if drum == _LEFT_OUT else VOICES.index(drum)
    _CHOICE.set(_Choice(_MINE, mine, _CHOICE.get().n_edits + 1))


def _maps() -> dict[str, DrumMap]:
    """Return the maps by their display names."""
    return {one.name: one for one in DRUM_MAPS.values()}


_Place = Callable[[Sequence[Source]], None]
"""Receives what was read, in the order of the files."""
_Grids = Sequence[Grid | None]
"""Grids to read a file on, in order of preference; None for the file's own grid."""


class _Reader(Protocol):
    """What reads uploaded files: a `Studio`, or what stands in for one."""

    def read_midi(
        self,
        data: bytes,
        *,
        treat_as_drums: TrackChoice | None = None,
        drum_map: DrumMap | None = None,
        grid: Grid | None = COMMON_TIME,
    ) -> MidiReading:
        """Read a file as `Studio.read_midi` does."""
        ...


@dataclass(frozen=True)
class _Undrummed:
    """A file without recognizable drums or melody; the user can choose which tracks are."""

    name: str
    data: bytes
    tracks: tuple[str, ...]
    plays: Plays = "drums"
    grids: _Grids = (COMMON_TIME,)


@dataclass(frozen=True)
class _Report:
    """The result of the last upload: a sentence for each failure, and files with unclear tracks."""

    failures: tuple[str, ...] = ()
    undrummed: tuple[_Undrummed, ...] = ()


def read_file(
    reader: _Reader,
    name: str,
    data: bytes,
    tracks: Sequence[str] | None = None,
    plays: Plays = "drums",
    grids: _Grids = (COMMON_TIME,),
) -> Source:
    """Read music of a form in a MIDI file, from its first bar with a note.

    It is read on the first of the grids that has the file's metre. The source's note summarizes
    the reading.

    Raises
    ------
    MidiError
        What `Studio.read_midi`, `read_line` and `read_piece` raise, on the first of the grids.
    """
    refusals = []
    for grid in grids:
        try:
            music, summary = _READERS[plays](reader, data, tracks, grid)
        except MidiError as error:
            refusals.append(error)
        else:
            stem = name.rpartition(".")[0] or name
            return Source(stem, music, origin="upload", note=as_text(summary))
    raise refusals[0]


_Tracks = Sequence[str] | None


def _read_drums(
    reader: _Reader, data: bytes, tracks: _Tracks, grid: Grid | None
) -> tuple[Music, str]:
    reading = reader.read_midi(
        data, treat_as_drums=tracks, drum_map=_chosen_map(), grid=grid
    ).from_first_hit()
    return reading.groove, reading.summary


def _read_melody(_: _Reader, data: bytes, tracks: _Tracks, grid: Grid | None) -> tuple[Music, str]:
    reading = read_line(data, track=tracks[0] if tracks else None, grid=grid)
    line = reading.line
    first_bar = int(line.onsets.argmax()) // line.grid.steps_per_bar
    return line.bars(first_bar, line.n_bars - first_bar), reading.summary


def _read_band(_: _Reader, data: bytes, __: _Tracks, grid: Grid | None) -> tuple[Music, str]:
    reading = read_piece(data, grid=grid or COMMON_TIME)
    return reading.piece, reading.summary


_ReadMusic = Callable[[_Reader, bytes, _Tracks, Grid | None], tuple[Music, str]]
_READERS: Mapping[Plays, _ReadMusic] = {
    "drums": _read_drums,
    "line": _read_melody,
    "piece": _read_band,
}
_TRACKS_WANTED: Mapping[Plays, tuple[str, str, int | None]] = {
    "drums": ("no drums found. Choose which tracks to read as drums.", "Read as drums", None),
    "line": (
        "every instrument plays chords. Choose one; its highest notes become the melody.",
        "Read as melody",
        1,
    ),
}
"""For a file whose tracks are unclear, by the form wanted: the message, the button, and how many
tracks can be chosen."""


def draw_uploader(
    reader: _Reader,
    key: str,
    label: str,
    place: _Place,
    *,
    has_map: bool = True,
    plays: Plays = "drums",
    grids: _Grids = (COMMON_TIME,),
) -> None:
    """Draw a field to drop MIDI files on, below the choice of a drum map if `has_map`.

    Each file is read as music of the form `plays`, on the first of the grids that has its metre; a
    file in another metre is refused. The field empties once the files have been read.
    It is drawn last, so that the messages of `draw_report` are beside it.
    """
    if has_map and plays == "drums":
        _draw_map_choice(f"{key}.map")
    field = _field(key)
    st.file_uploader(
        label,
        accept_multiple_files=True,
        key=field,
        help=f"Standard MIDI files, one or more; the {FORMS[plays].noun} in each is read.",
        on_change=on_value(
            field, FILES, partial(_read_all, reader, key, field, place, plays, grids)
        ),
    )


def draw_report(reader: _Reader, key: str, place: _Place) -> None:
    """Draw the report of the last upload of that key."""
    report = _report(key).get()
    if not (report.failures or report.undrummed):
        return
    with st.container(key=f"report-{key}"):
        if report.failures:
            st.error("\n".join(f"- {failure}" for failure in report.failures))
        for at, file in enumerate(report.undrummed):
            _offer_tracks(reader, key, at, file, place)
        st.button(
            "Dismiss",
            key=f"{key}.dismiss",
            type="tertiary",
            on_click=action(_report(key).take),
        )


def _field(key: str) -> str:
    """Return the session key of the field, a new one after each upload."""
    return f"{key}.files.{_generation(key).get()}"


def _generation(key: str) -> SessionVar[int]:
    return SessionVar(f"{key}.generation", 0)


def _report(key: str) -> SessionVar[_Report]:
    """Return the report of the last upload of that key."""
    return SessionVar(f"kept.{key}.report", _Report())


def _read_all(
    reader: _Reader,
    key: str,
    field: str,
    place: _Place,
    plays: Plays,
    grids: _Grids,
    files: Sequence[UploadedFile | Any],
) -> None:
    """Read all dropped files; failures are reported and do not affect the others.

    Files that the server has refused, or has already freed, have no content and are skipped.
    """
    if field != _field(key):
        return
    failures: list[str] = []
    undrummed: list[_Undrummed] = []
    found: list[Source] = []
    for file in files:
        if not isinstance(file, UploadedFile):
            continue
        data = file.getvalue()
        free_upload(file.file_id)
        try:
            found.append(read_file(reader, file.name, data, plays=plays, grids=grids))
        except (NoDrumsError, NoMelodyError) as error:
            if error.tracks and plays in _TRACKS_WANTED:
                undrummed.append(_Undrummed(file.name, data, error.tracks, plays, grids))
            else:
                failures.append(f"{as_text(file.name)}: {as_text(str(error))}")
        except MidiError as error:
            failures.append(f"{as_text(file.name)}: {as_text(str(error))}")
    _report(key).set(_Report(tuple(failures), tuple(undrummed)))
    next_number(_generation(key))
    _take(found, place)


def free_upload(file_id: str) -> None:
    """Drop an uploaded file from the server's memory, where Streamlit keeps it with the session.

    There is no public way to do that; this is what Streamlit's own chat input does.
    """
    if context := get_script_run_ctx():
        manager: Any = context.uploaded_file_mgr  # its declared type lacks the method
        manager.remove_file(context.session_id, file_id)


def _take(found: Sequence[Source], place: _Place) -> None:
    for source in reversed(found):
        library.add(source)
    if found:
        place(found)


def _offer_tracks(reader: _Reader, key: str, at: int, file: _Undrummed, place: _Place) -> None:
    """Draw the choice of tracks for a file whose drums or melody are unclear."""
    sentence, button, most = _TRACKS_WANTED[file.plays]
    st.warning(f"{as_text(file.name)}: {sentence}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choice = f"{key}.track.{at}"
        st.multiselect(
            "Tracks", file.tracks, file.tracks[:1], key=choice, width=320, max_selections=most
        )
        st.button(
            button,
            key=f"{key}.read.{at}",
            on_click=action(_read_track, reader, key, file, choice, place),
        )


def _read_track(reader: _Reader, key: str, file: _Undrummed, choice: str, place: _Place) -> None:
    report, tracks = _report(key).get(), SessionVar[Sequence[str]](choice, ()).get()
    if file not in report.undrummed or not tracks or not set(tracks) <= set(file.tracks):
        return
    rest = tuple(other for other in report.undrummed if other is not file)
    try:
        source = read_file(reader, file.name, file.data, tracks, file.plays, file.grids)
    except MidiError as error:
        failures = (*report.failures, f"{as_text(file.name)}: {as_text(str(error))}")
        _report(key).set(replace(report, failures=failures))
        return
    _report(key).set(replace(report, undrummed=rest))
    _take([source], place)
