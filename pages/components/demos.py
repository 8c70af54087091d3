"""The demo grooves: MIDI files of our own writing, made by `scripts/make_demo_grooves.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from musicvae_core.studio import Studio
from pages.components.slots import Source

_FOLDER = Path(__file__).parents[2] / "assets" / "demo"


@st.cache_resource(show_spinner=False)
def demo_sources(_studio: Studio) -> tuple[Source, ...]:
    """Return the demo grooves in the order of their files, which are numbered."""
    return tuple(_read(_studio, path) for path in sorted(_FOLDER.glob("*.mid")))


def _read(studio: Studio, path: Path) -> Source:
    """Read `10_New_Orleans.mid` as the source called New Orleans."""
    name = path.stem.partition("_")[2].replace("_", " ")
    return Source(name, studio.read_midi(path.read_bytes()).groove, origin="demo")
