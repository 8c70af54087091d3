"""Library: all starred grooves, to find, hear, rename, tag, send, save and import.

Favourites are saved as a zip of MIDI files and `library.json`. The MIDI files are for other
programs. `library.json` has the same grooves exactly, with names, notes, tags and codes; an import
uses it and ignores the MIDI files that it lists. A zip of only MIDI files can be imported too.
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import streamlit as st
from pydantic import BaseModel, Field, ValidationError
from streamlit.typing import UploadedFile

from musicvae_core.data.files import DAMAGED, file_stem
from musicvae_core.errors import LibraryError, MidiError, MusicVAEError, NoDrumsError
from musicvae_core.music.forms import form_of, n_notes
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.midi.scan import MAX_BYTES
from musicvae_core.studio import Studio
from pages.shared.actions import FILES, action, as_text, on_value
from pages.shared.card import Card, draw_zip
from pages.shared.collection import Source, favourites
from pages.shared.deck import shared_studio, source_deck
from pages.shared.play_settings import WIDTH, draw_undo
from pages.shared.store import SessionVar, library_problem, next_number
from pages.shared.uploads import free_upload, read_file

_NOTHING_YET = "Nothing here yet: give a groove a star on any page, or import MIDI files."
_NOTHING_FOUND = "Nothing in the library fits."
_MAX_UPLOAD_MEBIBYTES = 32
_REPORT = SessionVar[tuple[str, tuple[str, ...]] | None]("kept.favourites.report", None)
"""The report of the last import: what was added, and a sentence for each failure."""
_N_IMPORTS = SessionVar("kept.favourites.imports", 0)
_TO_TAG = SessionVar[Sequence[str]]("favourites.to_tag", ())
_NEW_TAGS = SessionVar[Sequence[str]]("favourites.new_tags", ())

_GRIDS = (COMMON_TIME, None)
"""Imported files are read as sixteenths in 4/4, or else on a grid of their own metre."""
_FIELDS: tuple[tuple[str, Literal[True, "directory"], list[str]], ...] = (
    ("A folder of MIDI files", "directory", ["mid", "midi"]),
    ("MIDI files, or zips of them", True, ["mid", "midi", "zip"]),
)

_Order = tuple[Callable[[Source], Any], bool]
"""The sort key, and whether the largest comes first."""
_ORDERS: dict[str, _Order] = {
    "Newest first": (lambda one: one.kept_at, True),
    "Oldest first": (lambda one: one.kept_at, False),
    "Name": (lambda one: one.name.casefold(), False),
    "Tempo": (lambda one: one.groove.tempo_bpm, False),
    "Length": (lambda one: one.groove.n_bars, False),
    "Busiest first": (lambda one: n_notes(one.groove) / one.groove.n_bars, True),
}


def starred() -> None:
    """Draw the favourites that match the search, and the actions on all of them."""
    try:
        studio = shared_studio()
        if problem := library_problem():
            st.caption(as_text(problem))
        with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
            found = _search() if favourites.all() else {}
            draw_undo("favourites.undo", favourites.can_undo(), "the library", favourites.undo)
            _draw_import(studio)
            if found:
                _draw_tagging(found)
                _draw_export(studio, list(found.values()))
        _draw_report()
        if not found:
            st.info(_NOTHING_FOUND if favourites.all() else _NOTHING_YET)
            return
        _draw_deck(studio, found)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


def _sorted_by(order: str, sources: Mapping[str, Source]) -> dict[str, Source]:
    """Return favourites in an order of `_ORDERS`; ties are sorted newest first."""
    what, reverse = _ORDERS[order]
    newest = list(sources.items())[::-1]
    if order == "Oldest first":
        newest.reverse()
    return dict(sorted(newest, key=lambda item: what(item[1]), reverse=reverse))


def _fits(source: Source, words: str, tags: Sequence[str]) -> bool:
    """Return whether each word is in a groove's name, note, model or tags, and it has each tag."""
    text = " ".join((source.name, source.note, source.model or "", *source.tags)).casefold()
    return all(word in text for word in words.casefold().split()) and set(tags) <= set(source.tags)


def _all_tags() -> list[str]:
    """Return the tags of all favourites, in alphabetical order."""
    return sorted({one for source in favourites.all().values() for one in source.tags})


def _search() -> dict[str, Source]:
    """Draw search, tags and order, and return the matching favourites in that order."""
    words = st.text_input(
        "Search",
        key="favourites.search",
        width=WIDTH,
        persist_state="session",
        help="In names, notes, models and tags",
    )
    tags = []
    if _all_tags():
        tags = st.multiselect(
            "With tags", _all_tags(), key="favourites.tags", width=WIDTH, placeholder="Any"
        )
    order = st.selectbox(
        "Sort by", _ORDERS, key="favourites.order", width=WIDTH, persist_state="session"
    )
    found = _sorted_by(order, favourites.all())
    return {id_: one for id_, one in found.items() if _fits(one, words or "", tags)}


def _draw_tagging(found: dict[str, Source]) -> None:
    """Draw the choice of grooves and tags, and the buttons that add and remove tags."""
    with st.popover("Tags", icon=":material/sell:", help="Label grooves so that you can find them"):
        st.multiselect(
            "Grooves",
            found,
            format_func=lambda id_: found[id_].name if id_ in found else "",
            key=_TO_TAG.key,
            placeholder=f"All {len(found)} that are shown",
        )
        st.multiselect(
            "Tags", _all_tags(), key=_NEW_TAGS.key, accept_new_options=True, placeholder=""
        )
        with st.container(horizontal=True, gap="xsmall"):
            shown = tuple(found)
            st.button("Add", key="favourites.tag", on_click=action(_tag, shown, True))
            st.button("Remove", key="favourites.untag", on_click=action(_tag, shown, False))


def _tag(shown: Sequence[str], add: bool) -> None:
    tags = [one.strip() for one in _NEW_TAGS.get()]
    favourites.tag(_TO_TAG.get() or shown, [one for one in tags if one], add=add)


def _draw_export(studio: Studio, sources: Sequence[Source]) -> None:
    with st.popover("Save", icon=":material/download:", help="All grooves shown, as one file"):
        st.download_button(
            "MIDI and JSON",
            data=lambda: _write_archive(sources),
            file_name="groove-library.zip",
            mime="application/zip",
            key="favourites.export",
            on_click="ignore",
            help="A zip for Import, with names, notes and tags",
        )
        draw_zip(
            *(studio, [source.groove for source in sources], "favourites"),
            key="favourites.zip",
            label="MIDI and WAV",
            names=[source.name for source in sources],
        )


def _draw_import(studio: Studio) -> None:
    generation = _N_IMPORTS.get()
    with st.popover("Import", icon=":material/upload:", help="MIDI files, a folder, or a zip"):
        for label, several, kinds in _FIELDS:
            field = f"favourites.import.{kinds[-1]}.{generation}"
            st.file_uploader(
                label,
                type=kinds,
                accept_multiple_files=several,
                key=field,
                max_upload_size=_MAX_UPLOAD_MEBIBYTES,
                on_change=on_value(field, FILES, partial(_import, studio)),
            )


def _import(studio: Studio, files: Sequence[Any]) -> None:
    """Add what was uploaded; grooves already in the library stay as they are."""
    next_number(_N_IMPORTS)
    given: list[tuple[str, bytes]] = []
    for file in files:
        if isinstance(file, UploadedFile):
            given.append((file.name, file.getvalue()))
            free_upload(file.file_id)

    def read(name: str, data: bytes) -> Source:
        try:
            return read_file(studio, name, data, grids=_GRIDS)
        except NoDrumsError as error:
            try:
                return read_file(studio, name, data, plays="line", grids=_GRIDS)
            except MidiError:
                raise error from None

    zips = [data for name, data in given if name.lower().endswith(".zip")]
    parts = [_read_files(given, read)]
    try:
        parts += [_read_archive(data, read) for data in zips]
    except MusicVAEError as error:
        parts.append(_Imported((), (as_text(str(error)),)))
    sources = [source for part in parts for source in part.sources]
    n_new = favourites.keep_all(sources)
    failures = [failure for part in parts for failure in part.failures]
    said = f"{n_new} {'groove' if n_new == 1 else 'grooves'} imported"
    if len(sources) > n_new:
        said += f"; here already: {len(sources) - n_new}"
    _REPORT.set((said, tuple(failures)))


def _draw_report() -> None:
    report = _REPORT.take()
    if report is None:
        return
    said, failures = report
    st.success(f"{said}.")
    if failures:
        st.error("\n".join(f"- {failure}" for failure in failures))


def _draw_deck(studio: Studio, found: dict[str, Source]) -> None:
    def rename(card_id: str, name: str) -> None:
        if name.strip():
            favourites.keep(replace(found[card_id], name=name.strip()))

    source_deck(
        studio,
        [Card(id_, one.name, one.groove, _note(one), kept=True) for id_, one in found.items()],
        found.__getitem__,
        key="favourites.deck",
        on_rename=rename,
    )


def _note(source: Source) -> str:
    return " · ".join(filter(None, (source.note, *(f"#{one}" for one in source.tags))))


_ABOUT = "library.json"
_MAX_FILES = 2000
_MAX_UNPACKED_BYTES = 64 * 2**20
_MIDI = (".mid", ".midi")

_ReadMidi = Callable[[str, bytes], Source]
"""Reads one MIDI file with a name; raises `MidiError`."""


class _Entry(BaseModel):
    file: str
    source: Source


class _About(BaseModel):
    """The contents of `library.json`."""

    format: Literal["groove-library"] = "groove-library"
    version: Literal[1] = 1
    favourites: Annotated[list[_Entry], Field(max_length=_MAX_FILES)]


@dataclass(frozen=True)
class _Imported:
    """The contents of an archive: grooves, and a sentence for each file that failed."""

    sources: tuple[Source, ...]
    failures: tuple[str, ...] = ()


def _write_archive(sources: Sequence[Source]) -> bytes:
    """Return a zip of grooves, in their order."""
    names = [f"{at:03d}-{file_stem(one.name)}.mid" for at, one in enumerate(sources, start=1)]
    entries = [_Entry(file=name, source=one) for name, one in zip(names, sources, strict=True)]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_ABOUT, _About(favourites=entries).model_dump_json(indent=1))
        for name, source in zip(names, sources, strict=True):
            archive.writestr(name, form_of(source.groove).write(source.groove, False))
    return file.getvalue()


def _read_archive(data: bytes, read_midi: _ReadMidi) -> _Imported:
    """Return the grooves of a zip that `_write_archive` or anybody else made.

    Raises
    ------
    LibraryError
        If it is not a zip, is too large, or has a path that leaves its folder.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = dict(_unpacked(archive))
    except DAMAGED as error:
        raise LibraryError("This file is not a valid zip, or it is damaged.") from error
    listed = _listed(files.pop(_ABOUT)) if _ABOUT in files else ()
    known = {entry.file for entry in listed}
    rest = [(name, content) for name, content in files.items() if name not in known]
    midi = _read_files(rest, read_midi)
    return _Imported((*(entry.source for entry in listed), *midi.sources), midi.failures)


def _read_files(files: Sequence[tuple[str, bytes]], read_midi: _ReadMidi) -> _Imported:
    """Read MIDI files; failures are reported and do not affect the others."""
    sources, failures = [], []
    for name, content in files:
        path = PurePosixPath(name)
        if path.suffix.lower() not in _MIDI or path.name.startswith("."):
            continue
        try:
            sources.append(read_midi(path.name, content))
        except MidiError as error:
            failures.append(f"{as_text(path.name)}: {as_text(str(error))}")
    return _Imported(tuple(sources), tuple(failures))


def _listed(content: bytes) -> list[_Entry]:
    try:
        return _About.model_validate_json(content).favourites
    except ValidationError as error:
        first, *_ = error.errors(include_input=False, include_url=False, include_context=False)
        where = ".".join(map(str, first["loc"]))
        raise LibraryError(
            f"{_ABOUT} in the zip is damaged, at {where}: {first['msg']}."
        ) from error


def _unpacked(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """Yield the relevant files with their names; the zip's declared sizes are not trusted."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > _MAX_FILES + 1:
        raise LibraryError(f"The zip has {len(infos)} files; the limit is {_MAX_FILES}.")
    left = _MAX_UNPACKED_BYTES
    for info in infos:
        _check_path(info)
        if info.filename != _ABOUT and not info.filename.lower().endswith(_MIDI):
            continue
        most = left if info.filename == _ABOUT else min(left, MAX_BYTES)
        with archive.open(info) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise LibraryError(
                f"{as_text(info.filename)} in the zip is too large: the limit "
                f"is {MAX_BYTES // 2**20} MiB for a MIDI file and "
                f"{_MAX_UNPACKED_BYTES // 2**20} MiB for all together."
            )
        left -= len(content)
        yield info.filename, content


def _check_path(info: zipfile.ZipInfo) -> None:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    has_drive = ":" in path.parts[0] if path.parts else True
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or has_drive or is_link:
        raise LibraryError(
            f"The zip is refused: {as_text(info.filename)} leads out of its own folder."
        )
