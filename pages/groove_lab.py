"""Groove lab: humanize, drumify, transfer a feel, fill in and continue, keeping what was played."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from pages.components.deck.card import Card
from pages.components.deck.source_deck import source_deck
from pages.components.entry import run_app
from pages.components.favourites import is_favourite
from pages.components.lab.buttons import draw_buttons, was_asked
from pages.components.lab.request import Request, Result, keep_result, make, result_of
from pages.components.lab.rhythm import draw_rhythms
from pages.components.lab.settings import choose_amounts, choose_tool, read_request
from pages.components.session import keep_mix, kept_mix
from pages.components.settings import choose_kit, choose_tempo
from pages.components.slots import Source
from pages.components.sources import choose_groove
from pages.components.studio import loop_sounds, shared_studio
from pages.components.whole import whole

_GROOVE = "groove_lab.groove"
_N_MADE = "kept.groove_lab.made"
"""Session key of how many results there were: each is played when it arrives."""
_LONG_BARS = 8
"""Longer grooves travel to the browser in fewer bytes."""


def groove_lab() -> None:
    """Read what is asked, do it when the button is pressed, and draw before and after."""
    try:
        studio = shared_studio()
        studio.lab()
        tool = choose_tool()
        with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
            source = choose_groove(_GROOVE, "Groove")
            if source is None:
                st.info("Choose a groove to work on.")
                return
            tempo_bpm = choose_tempo(_GROOVE, "the groove")
            kit = choose_kit(studio)
        if tool == "drumify":
            draw_rhythms(studio, _GROOVE)
        source = replace(source, groove=source.groove.at_tempo(tempo_bpm))
        request = read_request(studio, tool, source)
        _do_what_was_asked(studio, source, request)
        result = result_of(source)
        buttons = st.container(horizontal=True, vertical_alignment="bottom", key="buttons")
        after = _after(source, request, result)
        with buttons:
            draw_buttons(source, request, after if result else None)
        _draw_deck(studio, source, after, kit)
    except MusicVAEError as error:
        st.error(str(error))


@whole()
def _do_what_was_asked(studio: Studio, source: Source, request: Request) -> None:
    if not was_asked():
        return
    try:
        keep_result(source, make(studio, source.groove, request))
        st.session_state[_N_MADE] = st.session_state.get(_N_MADE, 0) + 1
    except MusicVAEError as error:
        st.error(str(error))


def _after(source: Source, request: Request, result: Result | None) -> Source:
    """Return what the card shows: the newest result, or the groove as it is.

    The amounts are those of the result, whatever tool is chosen by now, and stand at its card.
    """
    shown = result.request if result else request
    what = result.title(source.name) if result else "The result"
    amounts = choose_amounts(what, source.name) if shown.keeps_notes else None
    if result is None:
        return source
    groove = result.played(amounts) if amounts else result.made
    return result.source(source.name, groove.at_tempo(source.groove.tempo_bpm))


def _draw_deck(studio: Studio, source: Source, after: Source, kit: str | None) -> None:
    groove, mix = after.groove, kept_mix()
    before = None if after is source else _as_long(source.groove, groove.n_bars)
    heard = [groove] if before is None else [groove, before]
    compressed = groove.n_bars > _LONG_BARS
    sounds, problem = loop_sounds(studio, heard, kit, mix=mix, compressed=compressed)
    if problem:
        st.warning(problem, icon=":material/volume_off:")
    card = Card(
        *("groove", after.name, groove, studio.midi(groove), sounds[0], after.note),
        kept=is_favourite(groove),
        before=before,
        before_wav=sounds[-1] if before else None,
        before_name=source.name,
    )
    n_made = st.session_state.get(_N_MADE, 0)
    source_deck(
        [card],
        lambda _: after,
        key="groove_lab.deck",
        sound_problem=problem,
        mix=mix,
        play=(card.id, str(n_made)) if n_made else None,
        on_mix=keep_mix,
    )


def _as_long(before: Groove, n_bars: int) -> Groove:
    """Return the groove from before, with silence after it where it was continued."""
    return before.padded(n_bars) if before.n_bars < n_bars else before


if __name__ == "__main__":
    run_app()
