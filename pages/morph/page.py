"""Morph: blend between two or four grooves, playing while the pointer moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from musicvae_core.errors import MusicVAEError
from musicvae_core.latent.morph import Curve
from musicvae_core.latent.results import ModelInfo, Morphed
from musicvae_core.music.forms import FORMS, Music
from musicvae_core.studio import Studio
from pages.shared.actions import Share, action, component
from pages.shared.card import Card, Morph, draw_zip, piece_card
from pages.shared.collection import Source, favourites, fingerprint, slots
from pages.shared.deck import HASH_FUNCS, deck, shared_studio, source_deck
from pages.shared.play_settings import (
    MAX_SEED,
    WIDTH,
    choose_bars,
    choose_model,
    draw_undo,
    grids_of,
)
from pages.shared.session import take_sent
from pages.shared.sources import choose_groove
from pages.shared.store import SessionVar, float_between, int_between, persist_settings
from pages.shared.uploads import draw_report, draw_uploader


def morph() -> None:
    """Read the settings and the ends, and draw the morph, its ends and its piece."""
    widgets = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
    buttons = st.container(horizontal=True, vertical_alignment="center", gap="small", key="buttons")
    stage = st.container()  # the instrument stays in place, whatever messages the ends have
    try:
        studio = shared_studio()
        with widgets:
            settings = _read_morph_settings(studio, more=buttons)
        st.subheader("The ends, as they are and as the model plays them")
        sources = _choose_ends(studio, settings)
        keys = _end_keys(settings)
        with buttons:
            _draw_end_buttons(keys)
        if len(sources) < settings.n_ends:
            stage.info(f"Choose a {FORMS[settings.model.plays].noun} for each end.")
            return
        result = _morphed(studio, settings, tuple(source.groove for source in sources))
        model = settings.model.name
        played = _Played(result, tuple(sources), model)
        with stage:
            _draw_morph(studio, played)
        _draw_ends(studio, played, keys)
        _draw_piece(studio, played, settings.model.n_bars)
    except MusicVAEError as error:
        stage.error(str(error))


_POINTER = SessionVar("kept.morph.at", (0.5, 0.0), persist_as=tuple[Share, Share])


def _draw_morph(studio: Studio, played: _Played) -> None:
    """Draw the strip or pad that plays under the pointer."""
    card = _morph_card(played, _POINTER.get())
    assert card.morph is not None
    step = played.source_at(card.morph)
    source_deck(
        studio,
        [card],
        lambda _: step,
        key="morph.deck",
        on_move=lambda _, at: _POINTER.set(at),
    )


def _draw_ends(studio: Studio, played: _Played, keys: Sequence[str]) -> None:
    """Draw each end beside the model's version of it; an edited end replaces the old one."""
    cards = _end_cards(played, keys)
    by_id = {card.id: card for card in cards}

    def source_of(card_id: str) -> Source:
        key, is_model, _ = card_id.partition(".model")
        name = played.sources[keys.index(key)].name
        name = f"{name}, as the model plays it" if is_model else name
        return Source(name, by_id[card_id].groove, origin="morph")

    def edit(card_id: str, groove: Music) -> None:
        before = played.sources[keys.index(card_id)]
        if fingerprint(groove) == fingerprint(before.groove):
            return
        if before.origin == "edited" and slots.held_before(card_id, groove):
            slots.undo("morph", [card_id])
            return
        slots.fill(card_id, replace(before, groove=groove, z=None, origin="edited", note=""))

    source_deck(studio, cards, source_of, key="morph.ends", on_edit=edit)


def _draw_piece(studio: Studio, played: _Played, n_bars: int) -> None:
    """Draw the morph as a piece, if that is expanded; n_bars is the model's length."""
    grooves = played.grooves
    piece = st.expander("As a piece", key="morph.piece", on_change="rerun")
    if not piece.open:
        return
    with piece:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            bars = choose_bars(len(grooves), n_bars)
            draw_zip(studio, grooves, played.name, key="morph.zip")
        card = piece_card(grooves, bars, played.name)
        deck(studio, [card], {}, key="morph.piece.deck")


_MORPH = "morph"


@dataclass(frozen=True, eq=False)
class _Played:
    """A morph with its ends.

    Parameters
    ----------
    result
        The morph.
    sources
        Its ends, of the model's length.
    model
        The name of the model.
    """

    result: Morphed
    sources: tuple[Source, ...]
    model: str

    @property
    def name(self) -> str:
        """Return the names of the ends as one."""
        *others, last = (source.name for source in self.sources)
        return f"{', '.join(others)} to {last}"

    @property
    def grooves(self) -> tuple[Music, ...]:
        """Return the steps."""
        return self.result.grooves

    def morph(self, at: tuple[float, float]) -> Morph:
        """Return the steps on a strip or a pad, the pointer at (x, y)."""
        return Morph(
            self.grooves,
            self.result.n_rows,
            self.result.n_columns,
            tuple(source.name for source in self.sources),
            at,
        )

    def source_at(self, morph: Morph) -> Source:
        """Return the music under the pointer, for favourites and other pages."""
        index = morph.index_at(morph.at)
        groove = morph.groove_at(morph.at)
        if groove is not self.grooves[index]:
            return Source(f"{self.name}, between steps", groove, origin=_MORPH)
        name = f"{self.name}, step {index + 1}"
        return Source(name, groove, self.result.codes[index], self.model, _MORPH)


def _morph_card(played: _Played, at: tuple[float, float]) -> Card:
    """Return the card that morphs."""
    morph = played.morph(at)
    groove = morph.groove_at(at)
    note = "Drag between the corners" if morph.n_rows > 1 else f"{morph.n_columns} steps"
    return Card(
        *(_MORPH, played.name, groove, note),
        kept=favourites.has(groove),
        morph=morph,
    )


def _end_cards(played: _Played, keys: Sequence[str]) -> list[Card]:
    """Return a card for each end, with its slot's id, and one for the model's version of it."""
    backs = played.result.reconstructions
    originals = [back.original for back in backs]
    decoded = [back.groove for back in backs]
    cards = []
    for at, (key, source, back) in enumerate(zip(keys, played.sources, backs, strict=True)):
        letter = key[-1].upper()
        cards.append(
            Card(
                *(key, f"{letter}: {source.name}", originals[at]),
                note=source.origin,
                kept=favourites.has(originals[at]),
                editable=True,
            )
        )
        cards.append(
            Card(
                *(f"{key}.model", f"{letter} as the model plays it", decoded[at]),
                note=back.summary,
                kept=favourites.has(decoded[at]),
                before=originals[at],
                before_name=cards[-1].name,
            )
        )
    return cards


_SHAPES = {2: "2 ends", 4: "4 corners"}
_CURVES: dict[Curve, str] = {
    "refined": "what is played",
    "slerp": "a curve",
    "lerp": "a straight line",
}
_MAX_MORPHS = 32
_DROP = "morph-drop"


persist_settings(
    {
        "morph.n_ends": int,
        "morph.n_steps": int_between(3, 33),
        "morph.temperature": float_between(0, 2),
        "morph.exact_ends": bool,
        "morph.curve": str,
        "morph.seed": int_between(0, MAX_SEED),
    }
)


@dataclass(frozen=True)
class _MorphSettings:
    """Values of the widgets; see `Studio.morph`. `n_ends` is 2 or 4: a strip or a pad."""

    model: ModelInfo
    n_ends: int
    n_steps: int
    temperature: float
    curve: Curve
    seed: int
    exact_ends: bool


def _read_morph_settings(studio: Studio, more: DeltaGenerator) -> _MorphSettings:
    """Draw the widgets, the rarely used ones in `more`.

    Raises
    ------
    CheckpointError
        If there is no model.
    """
    model = choose_model(studio.models())
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
        help="0 always picks the likeliest hit, for the smoothest path. This is the sampling "
        "temperature.",
    )
    with more:
        curve, seed, exact_ends = _choose_details()
    return _MorphSettings(model, n_ends, n_steps, temperature, curve, seed, exact_ends)


def _choose_details() -> tuple[Curve, int, bool]:
    exact_ends = st.toggle(
        "Exact ends",
        key="morph.exact_ends",
        persist_state="session",
        help="Play the ends exactly as they are, not as the model reconstructs them.",
    )
    with st.popover("Fine-tune", icon=":material/tune:", key="morph.details"):
        curve = st.radio(
            "Move along",
            _CURVES,
            format_func=_CURVES.__getitem__,
            key="morph.curve",
            persist_state="session",
            help="Music halfway between two ends is often not what anyone would play, so the first "
            "option pulls each step towards real playing. The curve only keeps the steps even; "
            "the straight line passes nearer to the middle of the space, where music is plainer.",
        )
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key="morph.seed",
            persist_state="session",
            help="Sets the random choices if the wildness is above 0, the same for all steps.",
        )
    return curve, seed, exact_ends


@st.cache_resource(max_entries=_MAX_MORPHS, show_spinner=False, hash_funcs=HASH_FUNCS)
def _morphed(_studio: Studio, settings: _MorphSettings, ends: tuple[Music, ...]) -> Morphed:
    """Return the morph between ends of the model's length, computed once for all sessions.

    It has the tempo of the first end.

    Raises
    ------
    MusicVAEError
        If `Studio.morph` raises it.
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


def _end_keys(settings: _MorphSettings) -> list[str]:
    """Return the slots of two ends, or of four corners row by row, for the model's form."""
    return slots.keys("morph", settings.model.plays, "abcd"[: settings.n_ends])


def _choose_ends(studio: Studio, settings: _MorphSettings) -> list[Source]:
    """Draw the choice of each end, take in what was sent, and return the ends that are filled."""
    keys = _end_keys(settings)
    plays = settings.model.plays
    _take_in(keys, [sent for sent in take_sent("morph") if sent.plays == plays])
    left, right, last = st.columns(3)
    chosen = []
    for at, key in enumerate(keys):
        with (left, right)[at % 2]:
            label = key[-1].upper()
            chosen.append(choose_groove(studio, key, label, model=settings.model, default=at))

    def place(found: Sequence[Source]) -> None:
        slots.fill_all(dict(zip(keys, found, strict=False)))

    with last:
        label = f"Drop MIDI files: the first is A, then {', '.join('BCD'[: len(keys) - 1])}"
        with st.container(key=_DROP):
            grids = grids_of(studio.models(), plays, settings.model)
            draw_uploader(studio, "morph.upload", label, place, plays=plays, grids=grids)
        _take_drops(key="morph.drops", data={"field": f".st-key-{_DROP}", "text": label})
        draw_report(studio, "morph.upload", place)
    return [source for source in chosen if source is not None]


_take_drops = component("drop")


def _take_in(keys: Sequence[str], sent: Sequence[Source]) -> None:
    """Put what was sent into the ends: a single groove into the next in turn, several from A on."""
    if len(sent) == 1:
        slots.fill_in_turn(keys, sent[0])
    else:
        slots.fill_all(dict(zip(keys, sent, strict=False)))


def _draw_end_buttons(keys: Sequence[str]) -> None:
    """Draw the buttons that swap two ends and undo changes of the ends."""
    st.button(
        "Swap A and B",
        icon=":material/swap_horiz:",
        key="morph.swap",
        on_click=action(slots.swap, keys[0], keys[1]),
    )
    draw_undo(
        "morph.undo", slots.can_undo("morph", keys), "the ends", lambda: slots.undo("morph", keys)
    )
