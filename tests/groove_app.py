"""Two pages that choose and send grooves, over a fake `Studio`: for tests of what pages share."""

import json

import numpy as np
import streamlit as st

from pages.shared.collection import favourites, slots
from pages.shared.deck import shared_studio
from pages.shared.session import destinations, register_pages, send
from pages.shared.sources import choose_groove, show_share_code


def report(name: str, what: object) -> None:
    st.text(json.dumps({name: what}))


def show(page: str, fitted: bool) -> None:
    model = shared_studio().models()[0] if fitted else None
    source = choose_groove(shared_studio(), f"{page}.groove", "Groove", model=model)
    st.number_input("Tempo", 20, 400, 120, key="tempo_bpm", persist_state="session")
    st.selectbox("Kit", shared_studio().kits(), key="kit", persist_state="session")
    names = [model.name for model in shared_studio().models()]
    st.selectbox("Model", names, key="model", persist_state="session")
    assert source is not None
    starred = favourites.has(source.groove)
    st.button("Star", key="star", on_click=lambda: favourites.set(source, not starred))
    st.button(
        "Undo", key="undo", disabled=not slots.can_undo(page), on_click=lambda: slots.undo(page)
    )
    for key in destinations(page):
        st.button(key, key=f"to {key}", on_click=lambda key=key: send(key, source))
    report("page", page)
    report("name", source.name)
    report("origin", source.origin)
    report("note", source.note)
    report("bars", source.groove.n_bars)
    report("tempo", round(source.groove.tempo_bpm, 2))
    report("first", np.argwhere(source.groove.hits)[:5].tolist())
    report("has_z", source.z is not None)
    report("favourites", [kept.name for kept in favourites.all().values()])


PAGES = [
    st.Page(lambda: show("attributes", True), title="Attributes", url_path="a", default=True),
    st.Page(lambda: show("groove_lab", False), title="Groove lab", url_path="b"),
    st.Page(lambda: report("page", "about"), title="About", url_path="c"),
]
register_pages(PAGES)
st.navigation(PAGES).run()
show_share_code(shared_studio)
