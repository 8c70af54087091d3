"""The map's grooves as cards and lists: a spot's, a path's, and those inside a lasso."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import ClassVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.latent.atlas import Atlas, directions, nearest
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.forms import FORMS, Music, parts_of
from musicvae_core.music.line import Line
from musicvae_core.studio import Studio
from pages.map.figure import fields_of
from pages.map.points import Actions, MapSelection, MapSettings, Path, Spot
from pages.shared.actions import SELECTION, Selection, action, as_text, in_background, on_value
from pages.shared.card import Card, Morph, grid_payload, packed_notes
from pages.shared.collection import bars_phrase, favourites
from pages.shared.deck import source_deck
from pages.shared.edits import edited
from pages.shared.names import drummer_title, style_title
from pages.shared.store import SessionVar
from pages.shared.transport import send_bytes

_MAX_DECODED = 256


@dataclass(frozen=True, eq=False)
class SpotDecoder:
    """Decodes the spots of the map with a model of the studio."""

    DECK: ClassVar[str] = "map.deck"
    """The key of the deck that shows what is selected."""

    studio: Studio
    model: str

    @property
    def edited(self) -> SessionVar[frozenset[str]]:
        """The ids of the spots that have been drawn as cards and were edited."""
        return SessionVar(f"map.edited.{self.model}", frozenset())

    def grooves(self, spots: Sequence[Spot]) -> list[Music]:
        """Return what each spot plays: its own groove, or what its code decodes to."""
        codes = [spot.z for spot in spots if spot.groove is None]
        made = iter(_decoded(self.studio, self.model, np.stack(codes)) if codes else ())
        return [(spot.groove or next(made)).at_tempo(spot.tempo_bpm) for spot in spots]

    def cards(self, spots: Sequence[Spot]) -> list[Card]:
        """Return a card for each spot, of its id."""
        grooves = self.grooves(spots)
        pairs = list(zip(spots, grooves, strict=True))
        changed = {spot.id for spot, groove in pairs if edited(groove) is not groove}
        self.edited.set(self.edited.get() - {spot.id for spot in spots} | changed)
        return [
            Card(
                *(spot.id, spot.name, groove, spot.note),
                kept=favourites.has(groove),
            )
            for spot, groove in pairs
        ]

    def prepare(self, model: ModelInfo, atlas: Atlas) -> None:
        """Decode the notes of all points in the background."""
        _decoded_ahead(self.studio, model, atlas)

    def send_ahead(self, settings: MapSettings) -> None:
        """Send the deck the notes of all points, so that a click sounds before its card is drawn.

        Until they are decoded, a click waits for Python.
        """
        if settings.model.n_bars <= _MAX_AHEAD_BARS:
            for header, notes in _decoded_ahead(self.studio, settings.model, settings.atlas):
                send_bytes({"ahead": self.DECK, **header}, notes, key="map.ahead")


@st.cache_resource(max_entries=_MAX_DECODED, show_spinner=False)
def _decoded(_studio: Studio, model: str, codes: NDArray[np.float32]) -> tuple[Music, ...]:
    """Return the grooves at codes (n, Z), their likeliest hits, decoded once for all sessions."""
    return tuple(take.groove for take in _studio.decode(model, codes, temperature=0.0))


_MAX_AHEAD_BARS = 4
"""Longer grooves are too many notes to send them all."""
_AHEAD_BATCH = 256


@st.cache_resource(
    show_spinner=False,
    hash_funcs={Atlas: lambda atlas: atlas.fingerprint, ModelInfo: lambda model: model.name},
)
def _decoded_ahead(_studio: Studio, model: ModelInfo, atlas: Atlas) -> list[_Notes]:
    """Return a list that will hold the notes of all points of an atlas, once for all sessions."""
    found: list[_Notes] = []
    in_background(lambda: found.append(_decode_all(_studio, model, atlas)))
    return found


_Notes = tuple[dict[str, object], bytes]
"""The notes of all points, and their header: see `assets/player/ahead.js`."""


def _decode_all(studio: Studio, model: ModelInfo, atlas: Atlas) -> _Notes:
    music: list[Music] = []
    for start in range(0, len(atlas), _AHEAD_BATCH):
        codes = atlas.codes[start : start + _AHEAD_BATCH]
        music += [take.groove for take in studio.decode(model.name, codes, temperature=0.0)]
    lines = {name: part for name, part in parts_of(music[0]).items() if isinstance(part, Line)}
    header = {
        "model": model.name,
        "cards": Spot.POINT,
        "count": len(music),
        "steps": music[0].n_steps,
        "grid": grid_payload(music[0].grid),
        "line": next(({"name": name, "program": lines[name].program} for name in lines), None),
    }
    tempos = np.array([one.tempo_bpm for one in atlas.performances])[atlas.performance]
    notes = [packed_notes(one) for one in music]
    ends = np.cumsum([len(one) for one in notes])
    arrays = (tempos.astype("<f8"), ends.astype("<u4"), np.concatenate(notes).T.astype("<i4"))
    return header, b"".join(array.tobytes() for array in arrays)


def strip_card(path: Path, at: tuple[float, float]) -> Card:
    """Return the card that morphs along a path, its pointer at (x, 0)."""
    morph = Morph(path.grooves, 1, len(path.grooves), path.ends, at)
    groove = path.grooves[morph.index_at(at)]
    note = f"{len(path.grooves)} steps"
    return Card(Path.STRIP, path.name, groove, note, favourites.has(groove), morph=morph)


def _path_of(decoder: SpotDecoder, selection: MapSelection, steps_a_leg: int) -> Path | None:
    """Return the path through the selected stops, at the median of their tempos."""
    stops = selection.path
    if len(stops) < 2:
        return None
    tempo_bpm = float(round(float(np.median([stop.tempo_bpm for stop in stops]))))
    codes = np.stack([stop.z for stop in stops])
    takes = _decoded_path(decoder.studio, decoder.model, codes, steps_a_leg, tempo_bpm)
    ends = (stops[0].name, stops[-1].name)
    name = f"{ends[0]} to {ends[1]}"
    return Path(name, ends, np.stack([z for _, z in takes]), tuple(groove for groove, _ in takes))


@st.cache_resource(max_entries=32, show_spinner=False)
def _decoded_path(
    _studio: Studio, model: str, stops: NDArray[np.float32], steps_a_leg: int, tempo_bpm: float
) -> list[tuple[Music, NDArray[np.float32]]]:
    """Return grooves and codes from stop to stop, computed once for all sessions."""
    takes = _studio.journey(model, stops, steps_a_leg, tempo_bpm=tempo_bpm)
    return [(take.groove, take.z) for take in takes]


_MAX_STRIP = 33
"""Steps of a path: as many as a strip of the deck can have."""


def draw_path_controls(decoder: SpotDecoder, actions: Actions) -> Path | None:
    """Draw the controls of the path if there is one; return the path through its stops."""
    now = actions.now
    n_stops = len(now.path)
    if not n_stops:
        if actions.settings.to_path:
            st.caption("Click two points to morph between them, or more for a journey.")
        return None
    names = [as_text(stop.name) for stop in now.path]
    stops = " → ".join(f"**{at}** {name}" for at, name in enumerate(names, start=1))
    full = " The path is full." if n_stops == MapSelection.MAX_STOPS else ""
    st.caption(f"{stops}{full}")
    steps = _choose_steps(n_stops) if n_stops > 1 else 1
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Play the journey",
            icon=":material/route:",
            key="map.play_path",
            disabled=n_stops < 2,
            help="All steps one after the other" if n_stops > 1 else "Click a second point first",
            on_click=action(actions.play_path),
        )
        st.button(
            "Undo",
            icon=":material/undo:",
            key="map.back",
            help="Remove the last stop",
            on_click=action(actions.go_back),
        )
        st.button(
            "Clear",
            icon=":material/close:",
            key="map.clear",
            help="Remove all stops",
            on_click=action(actions.clear_path),
        )
    return _path_of(decoder, now, steps)


def _choose_steps(n_stops: int) -> int:
    most = (_MAX_STRIP - 1) // (n_stops - 1)
    return int(
        st.slider(
            "Steps between stops",
            *(1, min(16, most), min(4, most)),
            key=f"map.steps.{n_stops}",
            persist_state="session",
        )
    )


_MAX_ROWS = 500
_N_STYLES = 4
_HEIGHT = 320


def draw_list(settings: MapSettings, actions: Actions) -> None:
    """List the grooves inside the last lasso, or found by search and filter; a row plays."""
    now = actions.now
    inside = [point for point in now.inside if settings.shown[point]]
    if inside:
        points, title = inside, "Inside"
    elif settings.is_filtered:
        points, title = np.flatnonzero(settings.shown).tolist(), "Found"
    else:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        form = FORMS[settings.model.plays]
        heading = f"{title}: {len(points):,} {form.noun if len(points) == 1 else form.nouns}"
        st.subheader(heading, width="content")
        if inside:
            st.button(
                "Deselect",
                key="map.clear_lasso",
                type="tertiary",
                help="Clear the lasso or box selection",
                on_click=action(actions.clear_lasso),
            )
    if not points:
        st.caption("Nothing matches: change the search or the filter.")
        return
    st.caption(_summary(settings.atlas, points))
    listed = points[:_MAX_ROWS]
    digest = blake2b(np.array(listed).tobytes(), digest_size=6).hexdigest()
    key = f"map.list.{digest}"

    def choose(selected: Selection) -> None:
        row = next(iter(selected.rows), len(listed))
        if row < len(listed):
            actions.select(f"point.{listed[row]}")

    st.dataframe(
        _rows_of(settings.atlas, listed),
        hide_index=True,
        height=min(_HEIGHT, 36 * (len(listed) + 1)),
        key=key,
        on_select=on_value(key, SELECTION, choose),
        selection_mode="single-row",
    )
    if len(points) > len(listed):
        st.caption(f"Only the first {len(listed)} are listed.")


def _rows_of(atlas: Atlas, points: Sequence[int]) -> dict[str, Sequence[object]]:
    """Return the columns of the list."""
    performances = [atlas.performance_of(point) for point in points]
    bars = [bars_phrase(int(atlas.start_bar[point]), atlas.n_bars) for point in points]
    columns: dict[str, Sequence[object]] = {
        "Style": [style_title(one.style) for one in performances],
        "Drummer": [drummer_title(one.drummer) for one in performances],
        "Tempo, bpm": [round(one.tempo_bpm) for one in performances],
        "Kind": [one.beat_type for one in performances],
        "Window": bars,
        "Performance": [one.name for one in performances],
    }
    known = fields_of(atlas)
    missing = {
        name for name, key in {"Drummer": "drummer", "Kind": "kind"}.items() if key not in known
    }
    return {name: values for name, values in columns.items() if name not in missing}


def _summary(atlas: Atlas, points: Sequence[int]) -> str:
    """Return the most frequent styles, how many drummers, and the range of tempos."""
    performances = [atlas.performance_of(point) for point in points]
    counts = Counter(style_title(one.style) for one in performances)
    styles = [f"{style} {count}" for style, count in counts.most_common(_N_STYLES)]
    rest = len(counts) - len(styles)
    if rest:
        styles.append(f"{rest} more {'style' if rest == 1 else 'styles'}")
    tempos = [one.tempo_bpm for one in performances]
    said = [f"{min(tempos):.0f} to {max(tempos):.0f} bpm"]
    if "drummer" in fields_of(atlas):
        n_drummers = len({one.drummer for one in performances})
        said.insert(0, "1 drummer" if n_drummers == 1 else f"{n_drummers} drummers")
    return f"{', '.join(styles)}. {'; '.join(said)}."


_N_NEIGHBOURS = 6


def draw_neighbours(decoder: SpotDecoder, actions: Actions) -> None:
    """Draw the points of the atlas nearest to the selected spot."""
    spot = actions.now.spot
    if spot is None:
        return
    near = _neighbours_of(actions.settings, spot)
    if not near:
        return
    st.subheader(f"Nearest to {as_text(spot.name)}")
    cards = _near_cards(decoder, spot, near)
    sources = {
        one.id: one.source(card.groove, decoder.model)
        for one, card in zip(near, cards, strict=True)
    }
    source_deck(
        decoder.studio,
        cards,
        sources.__getitem__,
        key="map.near",
        on_more=actions.select,
    )


def _neighbours_of(settings: MapSettings, spot: Spot) -> list[Spot]:
    """Return the shown points of the atlas that are nearest in angle to a spot."""
    points = np.flatnonzero(settings.shown)
    if not len(points):
        return []
    atlas = settings.atlas
    near = points[nearest(atlas.codes[points], spot.z, _N_NEIGHBOURS + 1)]
    return [Spot.of_point(atlas, int(point)) for point in near if spot.id != f"point.{point}"][
        :_N_NEIGHBOURS
    ]


def _near_cards(decoder: SpotDecoder, spot: Spot, neighbours: Sequence[Spot]) -> list[Card]:
    """Return the cards of a spot's neighbours, with their distances."""
    noted = [
        replace(one, note=f"{_degrees_between(spot, one):.0f}° away · {one.note}")
        for one in neighbours
    ]
    return decoder.cards(noted)


def _degrees_between(one: Spot, other: Spot) -> float:
    """Return the angle between two spots' codes."""
    cosine = float(directions(one.z) @ directions(other.z))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
