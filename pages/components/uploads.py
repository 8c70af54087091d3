"""Uploads: several MIDI files at once, each read or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from musicvae_core.errors import MidiError, NoDrumsError
from musicvae_core.studio import Studio
from pages.components.library import add_to_library
from pages.components.names import as_text
from pages.components.slots import Source
from pages.components.whole import whole

Place = Callable[[Sequence[Source]], None]
"""Takes what was read, in the order of the files."""


@dataclass(frozen=True)
class Undrummed:
    """A file without a drum channel, whose other tracks may be read as drums."""

    name: str
    data: bytes
    tracks: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What the last upload left to say: one sentence a failure, and files to choose tracks of."""

    failures: tuple[str, ...] = ()
    undrummed: tuple[Undrummed, ...] = ()


def read_file(studio: Studio, name: str, data: bytes, treat_as_drums: str | None = None) -> Source:
    """Read a MIDI file as a source of any length, its note saying what was left out.

    Raises
    ------
    MidiError
        What `Studio.read_midi` raises.
    """
    reading = studio.read_midi(data, treat_as_drums=treat_as_drums)
    stem = name.rpartition(".")[0] or name
    return Source(stem, reading.groove, origin="upload", note=reading.summary)


def draw_uploader(studio: Studio, key: str, label: str, place: Place) -> None:
    """Draw a field to drop MIDI files on; it is empty again when they have been read."""
    generation = st.session_state.setdefault(f"{key}.generation", 0)
    field = f"{key}.files.{generation}"
    st.file_uploader(
        label,
        accept_multiple_files=True,
        key=field,
        help="Standard MIDI files, several at once; the drums of each are read.",
        on_change=lambda: _read_all(studio, key, field, place),
    )


def draw_report(studio: Studio, key: str, place: Place) -> None:
    """Draw what the last upload of that key left to say."""
    report = _report(key)
    if not (report.failures or report.undrummed):
        return
    with st.container(key=f"report-{key}"):
        if report.failures:
            st.error("\n".join(f"- {failure}" for failure in report.failures))
        for at, file in enumerate(report.undrummed):
            _offer_tracks(studio, key, at, file, place)
        st.button(
            "Dismiss",
            key=f"{key}.dismiss",
            type="tertiary",
            on_click=lambda: st.session_state.pop(_key(key), None),
        )


@whole()
def _read_all(studio: Studio, key: str, field: str, place: Place) -> None:
    """Read every file that was dropped; one that fails is reported and the others stay."""
    failures: list[str] = []
    undrummed: list[Undrummed] = []
    found: list[Source] = []
    for file in st.session_state[field]:
        data = file.getvalue()
        try:
            found.append(read_file(studio, file.name, data))
        except NoDrumsError as error:
            if error.tracks:
                undrummed.append(Undrummed(file.name, data, error.tracks))
            else:
                failures.append(f"{as_text(file.name)}: {error}")
        except MidiError as error:
            failures.append(f"{as_text(file.name)}: {error}")
    st.session_state[_key(key)] = Report(tuple(failures), tuple(undrummed))
    st.session_state[f"{key}.generation"] += 1
    _take(found, place)


def _take(found: Sequence[Source], place: Place) -> None:
    for source in reversed(found):
        add_to_library(source)
    if found:
        place(found)


def _offer_tracks(studio: Studio, key: str, at: int, file: Undrummed, place: Place) -> None:
    """Draw the choice of a track of a file that has no drum channel."""
    st.warning(
        f"{as_text(file.name)}: no note is on the drum channel (10). "
        "Choose a track to read as drums."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choice = f"{key}.track.{at}"
        st.selectbox("Track", file.tracks, key=choice, width=240)
        st.button(
            "Read as drums",
            key=f"{key}.read.{at}",
            on_click=lambda: _read_track(studio, key, file, st.session_state[choice], place),
        )


@whole()
def _read_track(studio: Studio, key: str, file: Undrummed, track: str, place: Place) -> None:
    report = _report(key)
    rest = tuple(other for other in report.undrummed if other is not file)
    try:
        source = read_file(studio, file.name, file.data, track)
    except MidiError as error:
        failures = (*report.failures, f"{as_text(file.name)}, {as_text(track)}: {error}")
        st.session_state[_key(key)] = replace(report, failures=failures)
        return
    st.session_state[_key(key)] = replace(report, undrummed=rest)
    _take([source], place)


def _report(key: str) -> Report:
    kept: Report = st.session_state.get(_key(key), Report())
    return kept


def _key(key: str) -> str:
    return f"kept.{key}.report"
