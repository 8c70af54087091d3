"""Where music comes from: the widget with which every page asks for it, and share codes.

    source = choose_groove(studio, "attributes.groove", "Music", model=model)

Music sent from another page arrives by itself, see `session`. The key is the page's key, a dot,
and the name of the slot, see `collection`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from musicvae_core.errors import CheckpointError, InvalidMusicError, MusicVAEError, ShareCodeError
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.forms import FORMS, Music, padded, windows
from musicvae_core.music.grid import Grid
from musicvae_core.music.piece import Plays
from musicvae_core.music.share import (
    MAX_CODE_LENGTH,
    VERSION,
    Shared,
    read_share_code,
    write_share_code,
)
from musicvae_core.studio import Studio
from pages.shared.actions import TEXT, as_text, component, on_value, run_to_completion
from pages.shared.collection import (
    Source,
    bars_phrase,
    favourites,
    first_lively_window,
    library,
    page_of,
    slots,
)
from pages.shared.names import name_of
from pages.shared.play_settings import MODELS, PLAYS, grids_of
from pages.shared.session import take_sent, take_share_request
from pages.shared.store import SessionVar
from pages.shared.transport import choose_kit, chosen_kit, transport
from pages.shared.uploads import draw_report, draw_uploader

_MAX_SEED = 2**31 - 1
_WINDOW_WIDTH = 336
_FILLINGS = {"repeats": "it is repeated", "silence": "silence follows"}


def choose_groove(
    studio: Studio,
    key: str,
    label: str,
    *,
    model: ModelInfo | None = None,
    default: int = 0,
    details: DeltaGenerator | None = None,
    forms: Sequence[Plays] = ("drums",),
    grids: Sequence[Grid | None] | None = None,
) -> Source | None:
    """Draw the choice of a groove and return it; the choice survives page changes.

    Parameters
    ----------
    studio
        Reads uploads and draws samples.
    key
        The slot's key: `page.slot`.
    label
        The text above the choice.
    model
        Fit the groove to this model's length, by choosing a window or adding bars, and draw
        fresh samples from it. None takes a groove of any length.
    default
        Which demo groove to show on a first visit.
    details
        Where to draw the details of the choice: refused files, which bars to take. None for
        right below it; if the choice is in a row, pass the container below the row.
    forms
        The forms offered if there is no model; uploads are read as the first.
    grids
        The grids to read uploads on, see `draw_uploader`; by default those of `grids_of`.

    Returns
    -------
    The source, fitted to the model's length if a model is given; its `z` is None if that is not
    exactly what was decoded. None if there is nothing to choose from.

    Raises
    ------
    MusicVAEError
        If a demo groove cannot be read.
    """
    wanted: Sequence[Plays] = [model.plays] if model else forms
    plays = wanted[0]
    demos = [source for source in demo_sources(studio) if source.plays in wanted]
    if demos:
        slots.start_with(key, demos[default % len(demos)])
    for sent in take_sent(page_of(key)):
        if sent.plays in wanted:
            slots.fill(key, sent)

    def place(found: Sequence[Source]) -> None:
        take(found[0])

    def take(found: Source) -> None:
        if found.plays not in wanted:
            raise InvalidMusicError(
                f"This is a {FORMS[found.plays].noun}; a {FORMS[plays].noun} is needed here."
            )
        slots.fill(key, found)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", width="content"):
        _draw_choice(key, label, demos, wanted)
        with st.popover("Add", icon=":material/add:", help="Upload, or draw a sample"):
            read_on = grids or grids_of(studio.models(), plays, model)
            drop = "Drop MIDI files"
            draw_uploader(studio, f"{key}.upload", drop, place, plays=plays, grids=read_on)
            _draw_sampler(studio, key, model)
            _draw_code_field(studio, key, take)
    with details or nullcontext():
        draw_report(studio, f"{key}.upload", place)
        source = slots.contents(page_of(key)).get(key)
        if source is None or model is None:
            return source
        return _fit_to(source, model, key)


def _fit_to(source: Source, model: ModelInfo, key: str) -> Source:
    """Fit a source to the model's length, asking how if there is more than one way."""
    n_bars = model.n_bars
    if source.groove.n_bars > n_bars:
        return _choose_window(source, n_bars, key)
    if source.groove.n_bars < n_bars:
        return _fill_up(source, n_bars, key)
    if source.note:
        st.caption(as_text(source.note))
    return source


def _draw_choice(key: str, label: str, demos: Sequence[Source], forms: Sequence[Plays]) -> None:
    """Draw the list of all available sources, with the slot's contents selected."""
    now = slots.contents(page_of(key)).get(key)
    offered = [*favourites.all().values(), *library.all().values(), *demos, *([now] if now else [])]
    sources = {source.id: source for source in offered if source.plays in forms}
    labels = _labels(sources)
    chosen = now.id if now else None
    name = f"{key}.choice"
    choice = _key_where(name, lambda id_: id_ == chosen)

    def take(source_id: str) -> None:
        if choice == _newest_key(name) and source_id in sources:
            slots.fill(key, sources[source_id])

    st.selectbox(
        label,
        sources,
        list(sources).index(chosen) if chosen else None,
        format_func=labels.__getitem__,
        key=choice,
        width=240,
        placeholder=f"Choose a {FORMS[forms[0]].noun}",
        on_change=on_value(choice, TEXT, take),
    )


def _labels(sources: Mapping[str, Source]) -> dict[str, str]:
    """Return the label of each source in the list, by their ids.

    If several have the same name, later ones are numbered, and come first: Streamlit
    distinguishes list entries only by their text.
    """
    labels: dict[str, str] = {}
    counts = Counter[str]()
    for id_, source in reversed(list(sources.items())):
        label = _describe(source)
        counts[label] += 1
        labels[id_] = label if counts[label] == 1 else f"{label} ({counts[label]})"
    return labels


def _describe(source: Source) -> str:
    mark = "★ " if source.origin == "favourite" else ""
    origin = f" · {source.origin}" if source.origin not in ("favourite", "") else ""
    return f"{mark}{source.name}{origin}"


def _draw_sampler(studio: Studio, key: str, model: ModelInfo | None) -> None:
    """Draw a button for a new sample, and make the sample when it is pressed."""
    pressed = st.button(
        "Draw a sample",
        icon=":material/casino:",
        key=f"{key}.sample",
        help="A new groove from the model",
    )
    if not pressed:
        return
    try:
        _add_sample(studio, key, model)
    except MusicVAEError as error:
        st.error(as_text(str(error)))
        return
    st.rerun()


@run_to_completion()
def _add_sample(studio: Studio, key: str, model: ModelInfo | None) -> None:
    """Draw a sample from the model, or from the first available, and put it into the slot.

    Raises
    ------
    MusicVAEError
        If there is no model, or what `Studio.sample` raises.
    """
    models = [one for one in studio.models() if one.plays == "drums"]
    if not (model or models):
        raise CheckpointError("There is no model to sample from. Train one first.")
    [take] = studio.sample((model or models[0]).name, 1, seed=random.randrange(_MAX_SEED))
    source = Source(name_of(take.z), take.groove, take.z, take.model, "sample")
    library.add(source)
    slots.fill(key, source)


def _choose_window(source: Source, n_bars: int, key: str) -> Source:
    found = windows(source.groove, n_bars)
    start_bar = st.select_slider(
        "Window",
        range(len(found)),
        first_lively_window(found),
        format_func=lambda start: bars_phrase(start, n_bars),
        key=slots.choice_key(key, "window", source),
        width=_WINDOW_WIDTH,
        persist_state="session",
        help="Which bars to take",
    )
    bars = bars_phrase(start_bar, n_bars)
    st.caption(f"{_lengths(source, n_bars)} at a time: {bars}. {as_text(source.note)}")
    return replace(source, name=f"{source.name}, {bars}", groove=found[start_bar], z=None)


def _fill_up(source: Source, n_bars: int, key: str) -> Source:
    filling = st.segmented_control(
        "Fill up with",
        _FILLINGS,
        default="repeats",
        required=True,
        key=slots.choice_key(key, "filling", source),
        persist_state="session",
        help="How to extend a groove that is too short",
    )
    st.caption(f"{_lengths(source, n_bars)}: {_FILLINGS[filling]}. {as_text(source.note)}")
    groove = source.groove
    longer = padded(groove, n_bars) if filling == "silence" else groove.repeated(n_bars)
    return replace(source, groove=longer, z=None)


def _lengths(source: Source, n_bars: int) -> str:
    own = source.groove.n_bars
    bars = "bar" if own == 1 else "bars"
    return f"{as_text(source.name)} has {own} {bars}; the model takes {n_bars}"


def _key_where(name: str, stands: Callable[[Any], bool], limits: Hashable = None) -> str:
    """Return the key of a widget: a new one whenever its value has to be set from outside.

    Parameters
    ----------
    name
        The widget's name in the session, constant through all its keys.
    stands
        Whether a value is the one that the widget should show.
    limits
        The limits of its values; new limits make a new widget, too.
    """
    placed = _placed(name)
    number, before = placed.get() if placed.is_set else (0, limits)
    newest = SessionVar[object](_newest_key(name), None)
    is_moved = newest.is_set and not stands(newest.get())
    if is_moved or before != limits:
        number += 1
    placed.set((number, limits))
    return _newest_key(name)


def _newest_key(name: str) -> str:
    """Return the key of the current widget."""
    return f"{name}.{_placed(name).get()[0]}"


def _placed(name: str) -> SessionVar[tuple[int, Hashable]]:
    """Return how often a widget was replaced, and the limits of its values."""
    return SessionVar(name, (0, None))


_FOLDER = Path(__file__).parents[2] / "assets" / "demo"


@st.cache_resource(show_spinner=False)
def demo_sources(_studio: Studio) -> tuple[Source, ...]:
    """Return the demo grooves and melodies in the order of their numbered files."""
    grooves = [
        _demo(path, _studio.read_midi(path.read_bytes()).groove)
        for path in sorted(_FOLDER.glob("*.mid"))
    ]
    melodies = [
        _demo(path, _studio.read_line(path.read_bytes()).line)
        for path in sorted(_FOLDER.glob("melodies/*.mid"))
    ]
    return (*grooves, *melodies)


def _demo(path: Path, music: Music) -> Source:
    """Return the music of `10_New_Orleans.mid` as the source called New Orleans."""
    return Source(path.stem.partition("_")[2].replace("_", " "), music, origin="demo")


def show_share_code(open_studio: Callable[[], Studio]) -> None:
    """Show the share code that was requested, at the end of a page."""
    source = take_share_request()
    if source is not None:
        _show(source, open_studio())


@st.dialog("Share code")
def _show(source: Source, studio: Studio) -> None:
    """Show a code with a button that copies it."""
    kit = chosen_kit(studio) or ""
    model = source.model or MODELS[source.plays].get()
    try:
        music = transport().performed(source.groove)
        code = write_share_code(Shared(music, model, kit, source.name))
    except ShareCodeError as error:
        st.error(as_text(str(error)))
        return
    st.caption(
        f"{as_text(source.name)} in {len(code)} characters, with its name, model, tempo and kit. "
        "Paste the code under “Add”, next to any groove menu."
    )
    st.code(code, language=None, wrap_lines=True)
    _draw_copy_button(key="share.copy", data={"text": code, "label": "Copy the code"})


def _draw_code_field(studio: Studio, key: str, place: Callable[[Source], None]) -> None:
    """Draw a field to paste a share code into; it takes effect at once."""
    field = f"{key}.code"
    st.text_input(
        "Paste a share code",
        key=field,
        max_chars=MAX_CODE_LENGTH,
        placeholder=f"gs{VERSION}.…",
        on_change=on_value(field, TEXT, lambda text: _read(studio, key, text, place)),
    )
    if problem := _problem(key).get():
        st.error(as_text(problem))


def _read(studio: Studio, key: str, text: str, place: Callable[[Source], None]) -> None:
    """Place the groove of a code, and adopt its model, tempo and kit if they are available."""
    _problem(key).set("")
    if not text.strip():
        return
    try:
        shared = read_share_code(text)
    except ShareCodeError as error:
        _problem(key).set(str(error))
        return
    name = shared.name.strip() or "Shared groove"
    source = Source(name, shared.music, model=shared.model or None, origin="code")
    library.add(source)
    place(source)
    _take_over(studio, shared)
    SessionVar(f"{key}.code", "").set("")


def _problem(key: str) -> SessionVar[str]:
    """Return why the last code of a field could not be read; empty if it could."""
    return SessionVar(f"{key}.problem", "")


def _take_over(studio: Studio, shared: Shared) -> None:
    """Set the settings that pages share as the code says."""
    for model in studio.models():
        if model.name == shared.model:
            PLAYS.set(model.plays)
            MODELS[model.plays].set(model.name)
    if studio.sound_problem is None and shared.kit in studio.kits():
        choose_kit(shared.kit)


_draw_copy_button = component("copy")
