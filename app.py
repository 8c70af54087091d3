"""The app: its pages and the frame around them."""

from pathlib import Path

import streamlit as st

from pages.about import about
from pages.sample import sample

_ASSETS = Path(__file__).parent / "assets"

st.set_page_config(page_title="Groove space", page_icon=str(_ASSETS / "favicon.svg"), layout="wide")
st.html(_ASSETS / "page.css")
st.navigation(
    [
        st.Page(sample, title="Sample", icon=":material/casino:", default=True),
        st.Page(about, title="About", icon=":material/info:"),
    ],
    position="top",
).run()
