"""A path on the Long form page: grooves one after the other, as one piece that moves."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.groove import Groove
from musicvae_core.space.route import MAX_PATH_BARS, MAX_STOPS, Route, Stop
from musicvae_core.studio import Studio
from musicvae_core.takes import ModelInfo
from pages.components.deck.card import Card
from pages.components.deck.source_deck import source_deck
from pages.components.demos import demo_sources
from pages.components.favourites import is_favourite
from pages.components.long.path_state import (
    Part,
    add_parts,
    can_undo_path,
    drop_part,
    move_part_up,
    n_bars_of_path,
    parts,
    set_bars,
    start_path_with,
    undo_path,
)
from pages.components.long.route_settings import read_route
from pages.components.long.settings import choose_shared_tempo
from pages.components.names import as_text
from pages.components.session import keep_mix, kept_mix
from pages.components.settings import choose_kit, choose_model
from pages.components.slots import Source, contents
from pages.components.sources import as_long_as, choose_groove
from pages.components.studio import identity, loop_sounds
from pages.components.undoing import draw_undo
from pages.components.uploads import draw_report, draw_uploader

_NEXT = "long_form.next"
_FILES = "long_form.path_files"
_MAX_PATHS = 16


def draw_long_path(studio: Studio) -> None:
    """Draw the stops, how to move between them, and the piece that comes of it.

    Raises
    ------
    MusicVAEError
        What the studio raises.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
        name = choose_model(studio)
        model = next(model for model in studio.models() if model.name == name)
        tempo_bpm, kit = choose_shared_tempo(), choose_kit(studio)
        route = read_route()
    start_path_with(demo_sources(studio)[:3])
    above = st.container()
    _draw_parts()
    _draw_adding(studio, model)
    with above:
        if len(parts()) < 2:
            st.info("Add a second groove: a path leads from one to the next.")
            return
        _draw_deck(studio, model, route, tempo_bpm, kit)


def _draw_parts() -> None:
    """Draw a row for each stop: its bars, and the buttons that move it or take it out."""
    for at, part in enumerate(parts()):
        with st.container(
            horizontal=True, vertical_alignment="center", gap="xsmall", key=f"long_form.row.{at}"
        ):
            st.markdown(f"**{at + 1}** {as_text(part.source.name)}", width=200)
            _draw_bars(part, at)
            st.markdown("bars" if part.n_bars > 1 else "bar", width=40)
            st.button(
                "",
                icon=":material/arrow_upward:",
                key=f"long_form.up.{part.id}",
                disabled=at == 0,
                help="Play it earlier" if at else "It is the first",
                on_click=move_part_up,
                args=(part.id,),
            )
            st.button(
                "",
                icon=":material/close:",
                key=f"long_form.drop.{part.id}",
                help=f"Take {as_text(part.source.name)} out of the path",
                on_click=drop_part,
                args=(part.id,),
            )


def _draw_bars(part: Part, at: int) -> None:
    key = f"long_form.bars.{part.id}"
    st.session_state[key] = part.n_bars
    st.number_input(
        f"Bars of part {at + 1}",
        min_value=1,
        max_value=part.n_bars + MAX_PATH_BARS - n_bars_of_path(),
        key=key,
        width=120,
        label_visibility="collapsed",
        help="Bars",
        on_change=lambda: set_bars(part.id, st.session_state[key]),
    )


def _draw_adding(studio: Studio, model: ModelInfo) -> None:
    """Draw the choice of a groove and the buttons that put it on the path, and take that back."""
    choose_groove(_NEXT, "Another groove", default=len(parts()))
    with st.container(horizontal=True, gap="xsmall"):
        is_full = len(parts()) == MAX_STOPS or n_bars_of_path() == MAX_PATH_BARS
        full = f"A path has {MAX_STOPS} grooves and {MAX_PATH_BARS} bars at most"
        st.button(
            "Add to the path",
            icon=":material/add_road:",
            key="long_form.add",
            disabled=is_full,
            help=full if is_full else "Play it after the others",
            on_click=lambda: add_parts([contents("long_form")[_NEXT]]),
        )
        with st.popover("Several files", icon=":material/upload_file:"):
            draw_uploader(studio, _FILES, "Drop MIDI files", add_parts)
        draw_undo("long_form.path_undo", can_undo_path(), "the path", undo_path)
    draw_report(studio, _FILES, add_parts)


@st.cache_resource(max_entries=_MAX_PATHS, show_spinner=False, hash_funcs={Groove: identity})
def _played(
    _studio: Studio, model: str, grooves: tuple[Groove, ...], bars: tuple[int, ...], route: Route
) -> Groove:
    """Return the piece of a path, made once for all sessions."""
    stops = [Stop(groove, n) for groove, n in zip(grooves, bars, strict=True)]
    return _studio.play_path(model, stops, route)


def _draw_deck(
    studio: Studio, model: ModelInfo, route: Route, tempo_bpm: float, kit: str | None
) -> None:
    fitted = tuple(as_long_as(part.source.groove, model.n_bars) for part in parts())
    bars = tuple(part.n_bars for part in parts())
    groove = _played(studio, model.name, fitted, bars, route).at_tempo(tempo_bpm)
    mix = kept_mix()
    [sound], problem = loop_sounds(studio, [groove], kit, mix=mix, compressed=True)
    if problem:
        st.warning(problem, icon=":material/volume_off:")
    names = [part.source.name for part in parts()]
    note = f"{groove.n_bars} bars: " + ", ".join(
        f"{name} {n}" for name, n in zip(names, bars, strict=True)
    )
    name = f"{names[0]} to {names[0] if route.returns else names[-1]}"
    card = Card("path", name, groove, studio.midi(groove), sound, note)
    source = Source(name, groove, origin="path")
    source_deck(
        [replace(card, kept=is_favourite(groove))],
        lambda _: source,
        key="long_form.path",
        sound_problem=problem,
        mix=mix,
        on_mix=keep_mix,
    )
