"""Attributes: sliders that say what a groove should be, and the groove that is so."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from musicvae_core.takes import ModelInfo, SteeredTake
from pages.components.attributes.sliders import Panel, draw_sliders, draw_styles, in_words
from pages.components.attributes.wishes import Wishes, can_take_back, reset, take_back, wishes_of
from pages.components.deck.card import Card
from pages.components.deck.source_deck import source_deck
from pages.components.entry import run_app
from pages.components.favourites import is_favourite
from pages.components.session import keep_mix, kept_mix
from pages.components.settings import choose_kit, choose_model, choose_tempo
from pages.components.slots import Source
from pages.components.sources import choose_groove
from pages.components.studio import identity, loop_sounds, shared_studio
from pages.components.undoing import draw_undo

_GROOVE = "attributes.groove"
PRESS = 1.0
"""How much of a style's vector one press of its button adds."""
_MAX_STEERED = 64


def attributes() -> None:
    """Read what is asked of the groove, steer it there, and draw it above the sliders."""
    try:
        studio = shared_studio()
        with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
            name = choose_model(studio)
            model = next(model for model in studio.models() if model.name == name)
            kit = choose_kit(studio)
            source = choose_groove(_GROOVE, "Groove", model=model)
            if source is None:
                st.info("Choose a groove to steer.")
                return
            tempo_bpm = choose_tempo(_GROOVE, "the groove")
        vectors = studio.attribute_vectors(name)
        followed = wishes_of(source.id).limited_to(vectors.names)
        steered = _steered(studio, model, source.groove, *followed.as_key())
        panel = Panel(source.id, model, vectors, followed, steered)
        left, right = st.columns(2, gap="large")
        with left:
            _draw_deck(studio, steered, source, followed, tempo_bpm, kit)
        with right:
            _draw_buttons(panel)
            draw_styles(panel)
        draw_sliders(panel)
    except MusicVAEError as error:
        st.error(str(error))


@st.cache_resource(max_entries=_MAX_STEERED, show_spinner=False, hash_funcs={Groove: identity})
def _steered(
    _studio: Studio,
    model: ModelInfo,
    groove: Groove,
    targets: tuple[tuple[str, float], ...],
    presses: tuple[tuple[str, int], ...],
) -> SteeredTake:
    """Return a groove steered as asked, computed once for all sessions."""
    [z] = _studio.encode(model.name, [groove])
    styles = {label: PRESS * count for label, count in presses}
    tempo_bpm = groove.tempo_bpm
    return _studio.steer(model.name, z, dict(targets), styles=styles, tempo_bpm=tempo_bpm)


def _draw_deck(
    studio: Studio,
    steered: SteeredTake,
    source: Source,
    wishes: Wishes,
    tempo_bpm: float,
    kit: str | None,
) -> None:
    take, mix = steered.take, kept_mix()
    before, groove = source.groove.at_tempo(tempo_bpm), take.groove.at_tempo(tempo_bpm)
    [own, wav], problem = loop_sounds(studio, [before, groove], kit, mix=mix)
    if problem:
        st.warning(problem, icon=":material/volume_off:")
    name = f"{source.name}, steered" if wishes else source.name
    result = Source(name, groove, take.z, take.model, "steered")
    midi, kept = studio.midi(groove), is_favourite(groove)
    card = Card("steered", name, groove, midi, wav, in_words(wishes), kept)
    source_deck(
        [replace(card, before=before, before_wav=own, before_name=source.name)],
        lambda _: result,
        key="attributes.deck",
        sound_problem=problem,
        mix=mix,
        on_mix=keep_mix,
    )


def _draw_buttons(panel: Panel) -> None:
    known = panel.vectors.names
    with st.container(horizontal=True, gap="xsmall", key="buttons"):
        st.button(
            "Reset all",
            icon=":material/restart_alt:",
            key="attributes.reset",
            disabled=not panel.wishes,
            help="Let every slider rest" if panel.wishes else "Everything rests",
            on_click=lambda: reset(panel.groove, known),
        )
        draw_undo(
            "attributes.undo",
            can_take_back(panel.groove, known),
            "the sliders",
            lambda: take_back(panel.groove, known),
        )
    if waiting := wishes_of(panel.groove).beyond(known):
        st.caption(f"Waits for a model that can follow: {in_words(waiting)}")


if __name__ == "__main__":
    run_app()
