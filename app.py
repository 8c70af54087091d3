"""The app: its pages and the frame around them."""

from pathlib import Path

import streamlit as st

from pages.about import about
from pages.attributes import attributes
from pages.components.sending import offer_pages
from pages.components.sharing import show_share_code
from pages.components.whole import wait_for_actions
from pages.favourites import starred
from pages.groove_lab import groove_lab
from pages.long_form import long_form
from pages.map import groove_map
from pages.morph import morph
from pages.sample import sample

_ASSETS = Path(__file__).parent / "assets"

wait_for_actions()
st.set_page_config(page_title="Groove space", page_icon=str(_ASSETS / "favicon.svg"), layout="wide")
st.html(_ASSETS / "page.css")
_PAGES = [
    st.Page(sample, title="Sample", icon=":material/casino:", default=True),
    st.Page(morph, title="Morph", icon=":material/timeline:"),
    st.Page(attributes, title="Attributes", icon=":material/tune:"),
    st.Page(groove_map, title="Map", url_path="map", icon=":material/map:"),
    st.Page(long_form, title="Long form", url_path="long_form", icon=":material/view_timeline:"),
    st.Page(groove_lab, title="Groove lab", url_path="groove_lab", icon=":material/science:"),
    st.Page(starred, title="Favourites", url_path="favourites", icon=":material/star:"),
    st.Page(about, title="About", icon=":material/info:"),
]
offer_pages(_PAGES)
st.navigation(_PAGES, position="top").run()
show_share_code()
