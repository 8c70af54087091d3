"""A deck with all its controls, over a fake `Studio`: `streamlit run tests/fake_deck_app.py`.

The address selects the cards: `?show=strip` (or `pad`, `voices`, `pulse`, `edit`, `compare`,
`long`, `fresh`), several separated by commas. Two code blocks at the end show what Python received,
and the playback settings.
"""

import json
import sys
from pathlib import Path

import numpy as np
import streamlit as st

ROOT = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests")) if path not in sys.path]

from fake_studio import FakeStudio, groove_at, pulse  # noqa: E402

import pages.shared.deck as shared  # noqa: E402
from musicvae_core.music.drums import KICK, RIDE  # noqa: E402
from musicvae_core.music.groove import Groove  # noqa: E402
from musicvae_core.music.line import Line, Note  # noqa: E402
from musicvae_core.music.piece import Piece  # noqa: E402
from pages.shared.card import Card, Morph  # noqa: E402
from pages.shared.deck import deck  # noqa: E402
from pages.shared.transport import draw_transport, send_kits, transport  # noqa: E402

TEMPO_BPM = 120.0
shared._open_studio = FakeStudio
sent = st.session_state.setdefault("sent", [])


def morph(name: str, grooves: tuple[Groove, ...], rows: int, columns: int) -> Card:
    ends = ("Rock", "Bossa", "Disco", "Reggae")[: 2 if rows == 1 else 4]
    at = st.session_state.get(f"at.{name}", (0.0, 0.0))
    return Card(name, name, grooves[0], morph=Morph(grooves, rows, columns, ends, at))


def between(n: int) -> tuple[Groove, ...]:
    z = np.random.default_rng(5).standard_normal((2, 4))
    return tuple(groove_at((1 - w) * z[0] + w * z[1], TEMPO_BPM) for w in np.linspace(0, 1, n))


def edited() -> Card:
    groove = st.session_state.get("edited") or groove_at(np.ones(4), TEMPO_BPM)
    return Card("edit", "edit", groove, editable=True)


def compared() -> Card:
    before, after = (groove_at(np.full(4, x), TEMPO_BPM) for x in (1.0, 2.0))
    return Card("compare", "compare", after, before=before, before_name="The original")


def fresh() -> Card:
    """A card that a press of the button replaces by another."""
    number = st.session_state.setdefault("number", 0)
    return Card(f"fresh-{number}", f"fresh {number}", pulse(2 + number, TEMPO_BPM))


def band() -> Piece:
    """A melody on A4, a bass on A2 and a kick, in turn."""
    melody = Line.from_notes([Note(0, 8, 69, 0.8)], 2, TEMPO_BPM)
    bass = Line.from_notes([Note(8, 8, 45, 0.8)], 2, TEMPO_BPM, program=33)
    kick = np.zeros((32, 9), bool)
    kick[24:32:4, KICK] = True
    drums = Groove.from_hits(kick, tempo_bpm=TEMPO_BPM)
    return Piece({"melody": melody, "bass": bass, "drums": drums})


def replace_card() -> None:
    st.session_state["number"] += 1


def moved(card_id: str, at: tuple[float, float]) -> None:
    st.session_state[f"at.{card_id}"] = at
    sent.append(["move", card_id, at])


def edit(card_id: str, groove: Groove) -> None:
    st.session_state["edited"] = groove
    sent.append(["edit", card_id, groove.n_hits])


st.set_page_config(layout="wide")
makers = {
    "strip": lambda: morph("strip", between(33), 1, 33),
    "pad": lambda: morph("pad", between(25), 5, 5),
    "voices": lambda: morph("voices", tuple(pulse(v, TEMPO_BPM) for v in range(2, 9)), 1, 7),
    "pulse": lambda: Card("pulse", "pulse", pulse(RIDE, TEMPO_BPM, 2, loose=True)),
    "edit": edited,
    "compare": compared,
    "long": lambda: Card("long", "long", groove_at(np.ones(4), TEMPO_BPM).repeated(16)),
    "fresh": fresh,
    "band": lambda: Card("band", "band", band()),
}
st.button("Replace", on_click=replace_card)
shown = st.query_params.get("show", "strip,pad,edit,compare,long").split(",")
deck(
    shared.shared_studio(),
    [makers[name]() for name in shown],
    {
        "keep": lambda card_id, kept: sent.append(["keep", card_id, kept]),
        "move": moved,
        "edit": edit,
        "send": lambda card_id, destination: sent.append(["send", card_id, destination]),
        "bar": lambda card_id, bar: sent.append(["bar", card_id, bar]),
    },
    key="deck",
    follow=True,
    destinations={"morph": "Morph", "map": "Map"},
)
st.code(json.dumps(sent))
st.code(transport().model_dump_json())
send_kits(shared.shared_studio)
draw_transport(shared.shared_studio)
