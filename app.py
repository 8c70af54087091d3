"""The app: its pages and the frame around them."""

import streamlit as st

from pages.about import about
from pages.sample import sample

st.set_page_config(page_title="Groove space", page_icon=":material/graphic_eq:", layout="wide")
st.navigation(
    [
        st.Page(sample, title="Sample", icon=":material/casino:", default=True),
        st.Page(about, title="About", icon=":material/info:"),
    ],
    position="top",
).run()
