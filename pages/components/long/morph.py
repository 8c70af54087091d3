"""A morph between the piece of the Long form page and another one."""

from __future__ import annotations

import streamlit as st

from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from musicvae_core.takes import ModelInfo, Piece
from pages.components.deck.card import Card, Morph
from pages.components.deck.source_deck import source_deck
from pages.components.favourites import is_favourite
from pages.components.long.settings import LongSettings, long_model
from pages.components.long.state import Shown, show_new
from pages.components.names import name_of
from pages.components.session import kept_mix
from pages.components.settings import MAX_SEED
from pages.components.slots import Source, contents, fingerprint, start_with
from pages.components.sources import choose_groove
from pages.components.studio import loop_sounds

_OTHER = "long_form.other"
_AT = "kept.long_form.at"
"""Session key of where the pointer of the morph is."""
_N_STEPS = 5
"""Of a morph: each is a whole piece to decode, to render and to load."""


def draw_morph(studio: Studio, settings: LongSettings, now: Shown) -> None:
    """Draw the choice of another piece, and, once opened, what lies between.

    Raises
    ------
    MusicVAEError
        What the studio raises.
    """
    title, icon = "Morph with another piece", ":material/timeline:"
    with st.expander(title, icon=icon, key="long_form.morph", on_change="rerun") as opened:
        if not opened.open:
            return
        # not the model that is chosen for the next sample: codes of two models do not meet
        model = long_model(studio, now.piece.model)
        _start_with_a_sample(studio, settings, model)
        source = choose_groove(_OTHER, "Other piece", model=model)
        if source is None:
            return
        if fingerprint(source.groove) == fingerprint(now.piece.groove):
            st.info("Both ends are the same piece: choose another one to morph with.")
            return
        z = source.z if source.model == model.name else None
        other = studio.piece_of(model.name, source.groove, z)
        steps = studio.morph_pieces(now.piece, other, _N_STEPS)
        at = _draw_strip(studio, settings, (now.name, source.name), steps)
        _draw_buttons(studio, now, other, steps[at], source.name)


def _start_with_a_sample(studio: Studio, settings: LongSettings, model: ModelInfo) -> None:
    if _OTHER in contents("long_form"):
        return
    piece = studio.sample_piece(
        model.name,
        temperature=settings.temperature,
        tempo_bpm=settings.tempo_bpm,
        seed=MAX_SEED + 1 + settings.seed,  # past all that Sample takes, so never its piece
    )
    name = name_of(piece.embeddings)
    start_with(_OTHER, Source(name, piece.groove, None, piece.model, "sample"))


def _draw_strip(
    studio: Studio, settings: LongSettings, ends: tuple[str, str], steps: tuple[Piece, ...]
) -> int:
    """Draw the morph between the ends of these names; return at which step its pointer is."""
    name = " to ".join(ends)
    grooves = tuple(step.groove.at_tempo(settings.tempo_bpm) for step in steps)
    mix = kept_mix()
    sounds, problem = loop_sounds(studio, grooves, settings.kit, mix=mix, compressed=True)
    pointer = st.session_state.get(_AT, (0.5, 0.0))
    morph = Morph(grooves, tuple(sounds), 1, len(steps), ends, pointer)
    at = morph.index_at(pointer)
    source = _source(name, grooves, at, steps[at].model)
    source_deck(
        [
            Card(
                *("morph", name, grooves[at], studio.midi(grooves[at]), None),
                note=f"{len(steps)} pieces on the way, every bar towards its own",
                kept=is_favourite(grooves[at]),
                morph=morph,
            )
        ],
        lambda _: source,
        key="long_form.strip",
        sound_problem=problem,
        mix=mix,
        on_move=lambda _, place: st.session_state.update({_AT: place}),
    )
    return at


def _source(name: str, grooves: tuple[Groove, ...], at: int, model: str) -> Source:
    return Source(f"{name}, step {at + 1}", grooves[at], None, model, "long form")


def _draw_buttons(studio: Studio, now: Shown, other: Piece, step: Piece, name: str) -> None:
    def cross() -> None:
        crossing = studio.cross_over(now.piece, other)
        show_new(crossing, f"leads from {now.name} to {name}", f"{now.name} into {name}")

    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Work on this step",
            icon=":material/arrow_upward:",
            key="long_form.take",
            help="Put the step under the pointer above, to hear and change its bars",
            on_click=lambda: show_new(step, f"between {now.name} and {name}"),
        )
        st.button(
            "Lead from one to the other",
            icon=":material/trending_flat:",
            key="long_form.cross",
            help="A piece whose first bar is of the one, its last of the other",
            on_click=cross,
        )
