"""One groove, with the drum kit and some instruments of the real renderer.

`streamlit run tests/fake_player_app.py`
"""

import sys
from pathlib import Path

import numpy as np
import streamlit as st

ROOT = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests")) if path not in sys.path]

from fake_studio import FakeStudio, groove_at  # noqa: E402

import pages.shared.deck as shared  # noqa: E402
from musicvae_core.sound.render import Renderer  # noqa: E402
from pages.shared.card import Card  # noqa: E402
from pages.shared.deck import deck  # noqa: E402
from pages.shared.transport import draw_transport, load_instruments, send_kits  # noqa: E402

PROGRAMS = (0, 33, 48)  # a piano, a bass, strings


@st.cache_resource
def renderer() -> Renderer:
    return Renderer()


class RealSounds(FakeStudio):
    """A fake studio that sounds like the real one."""

    def kits(self) -> tuple[str, ...]:
        return renderer().kits

    def described_kits(self) -> dict[str, str]:
        return renderer().described_kits

    def kit_pack(self, kit: str) -> bytes:
        return renderer().kit_pack(kit)

    def instrument_pack(self, program: int) -> bytes:
        return renderer().instrument_pack(program)


st.set_page_config(layout="wide")
shared._open_studio = RealSounds
deck(shared.shared_studio(), [Card("one", "one", groove_at(np.ones(4), 100.0))], {}, key="deck")
load_instruments(PROGRAMS)
send_kits(shared.shared_studio)
draw_transport(shared.shared_studio)
