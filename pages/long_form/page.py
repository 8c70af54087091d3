"""Long form: a path through grooves, as one evolving piece; or a long piece."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.latent.morph import MAX_PATH_BARS, MAX_STOPS, Route, Stop
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.forms import drums_of
from musicvae_core.music.groove import Groove
from musicvae_core.studio import Studio
from pages.long_form.long_settings import (
    LONG_MODEL,
    SHORTEST_PIECE,
    Pieces,
    long_models,
)
from pages.long_form.piece import draw_long_piece
from pages.shared.actions import COUNT, action, as_text, icon_button, on_value
from pages.shared.card import Card
from pages.shared.collection import Source, as_long_as, favourites, slots
from pages.shared.deck import HASH_FUNCS, shared_studio, source_deck
from pages.shared.play_settings import MAX_SEED, WIDTH, choose_model, draw_undo, grids_of
from pages.shared.session import take_sent
from pages.shared.sources import choose_groove, demo_sources
from pages.shared.store import (
    History,
    SessionVar,
    float_between,
    int_between,
    next_number,
    persist_settings,
)
from pages.shared.uploads import draw_report, draw_uploader

_VIEWS = {"piece": "A piece", "path": "A path"}
_VIEW = SessionVar("long_form.view", "piece", persist_as=str)


def long_form() -> None:
    """Draw the piece or the path, whichever is selected, with anything sent by other pages."""
    try:
        studio = shared_studio()
        for sent in take_sent("long_form"):
            _take_in(studio, sent)
        if not _VIEW.is_set:
            _VIEW.set(_VIEW.get())
        view = st.segmented_control(
            "Make",
            _VIEWS,
            required=True,
            format_func=_VIEWS.__getitem__,
            key=_VIEW.key,
            persist_state="session",
            label_visibility="collapsed",
        )
        if view == "path":
            _draw_long_path(studio)
        else:
            draw_long_piece(studio)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


def _take_in(studio: Studio, sent: Source) -> None:
    """Use a long groove as the piece, and a short one as a stop of the path.

    The piece keeps its code and the model that it came from, if that is a long-form model.
    """
    chosen = _chosen_long_model(studio)
    if chosen is None or sent.groove.n_bars < SHORTEST_PIECE:
        _add_parts([sent])
        _VIEW.set("path")
        return
    model = next((one for one in long_models(studio) if one.name == sent.model), chosen)
    is_whole = sent.model == model.name and sent.groove.n_bars == model.n_bars
    groove = as_long_as(sent.groove, model.n_bars)
    piece = studio.piece_of(model.name, drums_of(groove), sent.z if is_whole else None)
    Pieces().show_new(piece, sent.origin or "sent here", sent.name)
    if model != chosen:  # otherwise Sample would see a change, and use its last seed again
        LONG_MODEL.set(model.name)
    _VIEW.set("piece")


def _chosen_long_model(studio: Studio) -> ModelInfo | None:
    """Return the chosen model, before its widget is drawn; None if there is none."""
    models = {model.name: model for model in long_models(studio)}
    first = next(iter(models.values()), None)
    return models.get(LONG_MODEL.get(), first)


_NEXT = "long_form.next"
_FILES = "long_form.path_files"
_MAX_PATHS = 16


def _draw_long_path(studio: Studio) -> None:
    """Draw the stops, how to move between them, and the resulting piece.

    Raises
    ------
    MusicVAEError
        If the studio raises it.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
        model = choose_model(studio.models(), lambda model: model.plays == "drums")
        route = _read_route()
    _start_path_with(demo_sources(studio)[:3])
    above = st.container()
    _draw_parts()
    _draw_adding(studio, model)
    with above:
        if len(_parts()) < 2:
            st.info("Add a second groove: a path leads from one to the next.")
            return
        _draw_deck(studio, model, route)


def _draw_parts() -> None:
    """Draw a row for each stop: its bars, and the buttons that move or remove it."""
    for at, part in enumerate(_parts()):
        with st.container(
            horizontal=True, vertical_alignment="center", gap="xsmall", key=f"long_form.row.{at}"
        ):
            st.markdown(f"**{at + 1}** {as_text(part.source.name)}", width=200)
            _draw_bars(part, at)
            st.markdown("bars" if part.n_bars > 1 else "bar", width=40)
            icon_button(
                f"Move {as_text(part.source.name)} up",
                ":material/arrow_upward:",
                key=f"long_form.up.{part.id}",
                disabled=at == 0,
                help="Play it earlier" if at else "It is already first",
                on_click=action(_move_part_up, part.id),
            )
            icon_button(
                f"Remove {as_text(part.source.name)}",
                ":material/close:",
                key=f"long_form.drop.{part.id}",
                help=f"Remove {as_text(part.source.name)} from the path",
                on_click=action(_drop_part, part.id),
            )


def _draw_bars(part: _Part, at: int) -> None:
    bars = SessionVar(f"long_form.bars.{part.id}", part.n_bars)
    bars.set(part.n_bars)
    st.number_input(
        f"Bars of part {at + 1}",
        min_value=1,
        max_value=part.n_bars + MAX_PATH_BARS - _n_bars_of_path(),
        key=bars.key,
        width=120,
        label_visibility="collapsed",
        help="Bars",
        on_change=on_value(bars.key, COUNT, partial(_set_bars, part.id)),
    )


def _draw_adding(studio: Studio, model: ModelInfo) -> None:
    """Draw the choice of a groove, and the buttons that add it to the path and undo that."""
    grids = grids_of(studio.models(), "drums", model)
    choose_groove(studio, _NEXT, "Another groove", default=len(_parts()), grids=grids)
    with st.container(horizontal=True, gap="xsmall"):
        is_full = len(_parts()) == MAX_STOPS or _n_bars_of_path() == MAX_PATH_BARS
        full = f"A path can have at most {MAX_STOPS} grooves and {MAX_PATH_BARS} bars"
        st.button(
            "Add to the path",
            icon=":material/add_road:",
            key="long_form.add",
            disabled=is_full,
            help=full if is_full else "Play it after the others",
            on_click=action(_add_chosen),
        )
        with st.popover("Several files", icon=":material/upload_file:"):
            draw_uploader(studio, _FILES, "Drop MIDI files", _add_parts, grids=grids)
        draw_undo("long_form.path_undo", _PATH.get().can_undo(), "the path", _undo_path)
    draw_report(studio, _FILES, _add_parts)


def _add_chosen() -> None:
    if chosen := slots.contents("long_form").get(_NEXT):
        _add_parts([chosen])


@st.cache_resource(max_entries=_MAX_PATHS, show_spinner=False, hash_funcs=HASH_FUNCS)
def _played(
    _studio: Studio, model: str, grooves: tuple[Groove, ...], bars: tuple[int, ...], route: Route
) -> Groove:
    """Return the piece of a path, made once for all sessions."""
    stops = [Stop(groove, n) for groove, n in zip(grooves, bars, strict=True)]
    return _studio.play_path(model, stops, route)


def _draw_deck(studio: Studio, model: ModelInfo, route: Route) -> None:
    fitted = tuple(drums_of(as_long_as(part.source.groove, model.n_bars)) for part in _parts())
    bars = tuple(part.n_bars for part in _parts())
    groove = _played(studio, model.name, fitted, bars, route)
    names = [part.source.name for part in _parts()]
    note = f"{groove.n_bars} bars: " + ", ".join(
        f"{name} {n}" for name, n in zip(names, bars, strict=True)
    )
    name = f"{names[0]} to {names[0] if route.returns else names[-1]}"
    card = Card("path", name, groove, note)
    source = Source(name, groove, origin="path")
    source_deck(
        studio,
        [replace(card, kept=favourites.has(groove))],
        lambda _: source,
        key="long_form.path",
    )


_USUAL_BARS = 4


@dataclass(frozen=True, eq=False)
class _Part:
    """A stop of the path: its groove, the bars of its part, and a number that identifies it."""

    id: int
    source: Source
    n_bars: int


_PATH = SessionVar[History[tuple[_Part, ...]]](
    "kept.long_form.paths",
    History(()),
    persist_as=tuple[_Part, ...],
    to_saved=lambda history: history.now,
    from_saved=History,
)
_N_PARTS = SessionVar("kept.long_form.n_parts", 0, persist_as=int)
persist_settings(
    {
        "long_form.glide": int_between(0, 100),
        "long_form.returns": bool,
        "long_form.exact": bool,
        "long_form.refined": bool,
        "long_form.temperature": float_between(0, 2),
        "long_form.route_seed": int_between(0, MAX_SEED),
    }
)


def _parts() -> tuple[_Part, ...]:
    """Return the stops in order."""
    return _PATH.get().now


def _n_bars_of_path() -> int:
    """Return how many bars the path has."""
    return sum(part.n_bars for part in _parts())


def _start_path_with(sources: Sequence[Source]) -> None:
    """Fill a path that was never changed; this cannot be undone."""
    if not (_PATH.get().past or _parts()):
        _PATH.set(History(_extended((), sources)))


def _add_parts(sources: Sequence[Source]) -> None:
    """Add as many grooves to the end of the path as there is room for."""
    _keep(_extended(_parts(), sources))


def _set_bars(part_id: int, n_bars: int) -> None:
    """Change the length of a part: at least a bar, and at most what the path has room for."""
    if n_bars == 0:
        return
    own = sum(part.n_bars for part in _parts() if part.id == part_id)
    n_bars = min(n_bars, own + MAX_PATH_BARS - _n_bars_of_path())
    _keep(replace(part, n_bars=n_bars) if part.id == part_id else part for part in _parts())


def _drop_part(part_id: int) -> None:
    """Remove a stop from the path."""
    if any(part.id == part_id for part in _parts()):
        _keep(part for part in _parts() if part.id != part_id)


def _move_part_up(part_id: int) -> None:
    """Swap a stop with the one before it."""
    order = list(_parts())
    at = next((index for index, part in enumerate(order) if part.id == part_id), 0)
    if at:
        order[at - 1 : at + 1] = order[at], order[at - 1]
        _keep(order)


def _undo_path() -> None:
    """Restore the path as before the last change."""
    _PATH.set(_PATH.get().undone())


def _extended(before: Sequence[_Part], sources: Sequence[Source]) -> tuple[_Part, ...]:
    made = list(before)
    for source in sources:
        n_left = MAX_PATH_BARS - sum(part.n_bars for part in made)
        if len(made) == MAX_STOPS or not n_left:
            break
        made.append(_Part(next_number(_N_PARTS), source, min(_USUAL_BARS, n_left)))
    return tuple(made)


def _keep(changed: Iterable[_Part]) -> None:
    _PATH.set(_PATH.get().extended(tuple(changed)))


def _read_route() -> Route:
    """Draw the widgets, the rarely used ones behind a button, and return their values."""
    glide = st.slider(
        "Moving",
        *(0, 100, 100, 5),
        format="%d%%",
        key="long_form.glide",
        width=WIDTH,
        persist_state="session",
        help="How much of each part is spent changing into the next groove: at 100% it changes all "
        "the time, at 0% it jumps at the bar line.",
    )
    returns = st.toggle(
        "Return to the start",
        key="long_form.returns",
        persist_state="session",
        help="The last part changes into the first groove, so that the piece loops.",
    )
    return Route(glide / 100, returns, *_choose_details())


def _choose_details() -> tuple[bool, bool, float, int]:
    with st.popover("Fine-tune", icon=":material/tune:", key="long_form.route"):
        exact = st.toggle(
            "Keep the grooves' own notes",
            value=True,
            key="long_form.exact",
            persist_state="session",
            help="Play each groove exactly as it is, not as the model reconstructs it.",
        )
        refined = st.toggle(
            "Stay near what drummers play",
            value=True,
            key="long_form.refined",
            persist_state="session",
            help="Much of what lies between two grooves is never played; this avoids it.",
        )
        temperature = st.slider(
            "Wildness",
            *(0.0, 2.0, 0.0, 0.05),
            key="long_form.temperature",
            persist_state="session",
            help="0 always picks the likeliest hit, for the smoothest path.",
        )
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key="long_form.route_seed",
            persist_state="session",
            help="Sets the random choices if the wildness is above 0, the same for all bars.",
        )
    return exact, refined, temperature, seed
