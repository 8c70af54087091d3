"""How a path moves from groove to groove: its widgets, and what they say."""

from __future__ import annotations

import streamlit as st

from musicvae_core.space.route import Route
from pages.components.settings import MAX_SEED, WIDTH


def read_route() -> Route:
    """Draw the widgets, those that few need behind a button, and return what they say."""
    glide = st.slider(
        "Moving",
        *(0, 100, 100, 5),
        format="%d%%",
        key="long_form.glide",
        width=WIDTH,
        persist_state="session",
        help="How much of each part moves on to the next groove: at 100% it moves all the time, "
        "at 0% it jumps at the bar line.",
    )
    returns = st.toggle(
        "Come back",
        key="long_form.returns",
        persist_state="session",
        help="The last part moves on to the first groove, so that the piece loops.",
    )
    return Route(glide / 100, returns, *_choose_details())


def _choose_details() -> tuple[bool, bool, float, int]:
    with st.popover("Fine-tune", icon=":material/tune:", key="long_form.route"):
        exact = st.toggle(
            "The grooves' own notes",
            value=True,
            key="long_form.exact",
            persist_state="session",
            help="Where a groove stands, play it as it is, and not as the model hears it.",
        )
        refined = st.toggle(
            "Stay near what drummers play",
            value=True,
            key="long_form.refined",
            persist_state="session",
            help="Between two grooves lies much that nobody plays; this keeps to the rest.",
        )
        temperature = st.slider(
            "Temperature",
            *(0.0, 2.0, 0.0, 0.05),
            key="long_form.temperature",
            persist_state="session",
            help="0 always takes the likeliest hit, which is the evenest path.",
        )
        seed = st.number_input(
            "Seed",
            *(0, MAX_SEED),
            key="long_form.route_seed",
            persist_state="session",
            help="What chance decides at a temperature above 0, alike for all bars.",
        )
    return exact, refined, temperature, seed
