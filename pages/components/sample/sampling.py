"""What the Sample page puts on its shelf: new grooves, neighbours, and what other pages sent."""

from __future__ import annotations

import streamlit as st

from musicvae_core.studio import Studio
from musicvae_core.takes import Take
from pages.components.favourites import is_favourite
from pages.components.sample.shelf import Shelf
from pages.components.sending import take_sent
from pages.components.settings import Settings, remember_sampled, take_next_seed_if_unchanged
from pages.components.sources import as_long_as
from pages.components.whole import whole

_N_NEIGHBOURS = 4
_SAMPLE = "sample.asked"
"""Session key, set when Sample was pressed: the next run of the page samples."""
_MORE = "sample.more"
"""Session key of an entry's id: the next run of the page looks for its neighbours."""


def draw_sample_button() -> None:
    """Draw the button that asks for new grooves."""
    st.button(
        "Sample",
        type="primary",
        icon=":material/graphic_eq:",
        key="sample",
        help="Draw new grooves; those with a star stay",
        on_click=_ask_to_sample,
    )


@whole()
def _ask_to_sample() -> None:
    take_next_seed_if_unchanged()
    st.session_state[_SAMPLE] = True


def ask_for_more(entry_id: str) -> None:
    """Ask for neighbours of the entry of that id."""
    st.session_state[_MORE] = entry_id


def do_what_was_asked(studio: Studio, settings: Settings, now: Shelf) -> Shelf:
    """Return the shelf after Sample or "more like this"; a first visit samples by itself."""
    asked = st.session_state.pop(_SAMPLE, False)
    source = now.find(st.session_state.pop(_MORE, ""))
    if source:
        seed = settings.seed + now.n_made
        takes = studio.similar(source.take, _N_NEIGHBOURS, amount=settings.amount, seed=seed)
        return now.with_neighbours(source, takes)
    if not asked and now.entries:
        return now
    takes = studio.sample(
        settings.model,
        settings.n,
        temperature=settings.temperature,
        tempo_bpm=settings.tempo_bpm,
        seed=settings.seed,
        prior=settings.prior,
    )
    remember_sampled()
    kept = {entry.id for entry in now.entries if is_favourite(entry.take.groove)}
    return now.renewed(takes, f"seed {settings.seed}, temperature {settings.temperature:g}", kept)


def receive(studio: Studio, settings: Settings, now: Shelf) -> Shelf:
    """Return the shelf with what other pages sent, as takes of the model that is chosen."""
    lengths = {model.name: model.n_bars for model in studio.models()}
    for source in take_sent("sample"):
        model = source.model if source.z is not None and source.model in lengths else settings.model
        groove = as_long_as(source.groove, lengths[model])
        z = source.z if model == source.model else None
        if z is None:
            [z] = studio.encode(model, [groove])
        take = Take(groove, z, model, settings.seed, settings.temperature)
        now = now.with_received(take, source.name, source.note or f"from {source.origin}")
    return now
