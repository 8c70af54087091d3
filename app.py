"""The app: its pages and the frame around them."""

from pathlib import Path

import streamlit as st

from pages.about.page import about
from pages.attributes.page import attributes
from pages.groove_lab.page import groove_lab
from pages.library.page import starred
from pages.long_form.page import long_form
from pages.map.page import groove_map, prepare_map
from pages.morph.page import morph
from pages.sample.page import sample
from pages.shared.actions import reload_first_link
from pages.shared.deck import shared_studio
from pages.shared.session import register_pages
from pages.shared.sources import show_share_code
from pages.shared.store import restore_session, save_session
from pages.shared.transport import draw_loop_toggle, draw_transport, send_kits

_ASSETS = Path(__file__).parent / "assets"

restore_session()
# Before st.navigation, which otherwise makes the browser fetch the page's symbol from Google.
st.set_page_config(page_icon=str(_ASSETS / "favicon.svg"), layout="wide")
st.html(_ASSETS / "page.css")
_PAGES = [
    st.Page(sample, title="Sample", icon=":material/casino:", default=True),
    st.Page(morph, title="Morph", icon=":material/timeline:"),
    st.Page(attributes, title="Attributes", icon=":material/tune:"),
    st.Page(groove_map, title="Map", url_path="map", icon=":material/map:"),
    st.Page(long_form, title="Long form", url_path="long_form", icon=":material/view_timeline:"),
    st.Page(groove_lab, title="Groove lab", url_path="groove_lab", icon=":material/science:"),
    st.Page(starred, title="Library", url_path="library", icon=":material/star:"),
    st.Page(about, title="About", icon=":material/info:"),
]
register_pages(_PAGES)
_page = st.navigation(_PAGES, position="top")
st.set_page_config(page_title=f"{_page.title} · Groove space")
st.html(f"<style>:root {{ --page-name: '{_page.title}'; }}</style>")  # for assets/page.css
reload_first_link()
send_kits(shared_studio)
_page.run()
if _page.title != "About":
    draw_loop_toggle()
show_share_code(shared_studio)
draw_transport(shared_studio)
save_session()
prepare_map(shared_studio)
