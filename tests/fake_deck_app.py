"""A deck with everything on, over a fake `Studio`: `streamlit run tests/fake_deck_app.py`.

The address says what is on it: `?show=strip` (or `pad`, `real`, `noise`, `edit`, `compare`,
`long`), several with commas between. What came back to Python stands in a code block at the end.
"""

import json
import sys
from pathlib import Path

import numpy as np
import streamlit as st

ROOT = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests")) if path not in sys.path]

from fake_studio import SAMPLE_RATE, FakeStudio, groove_at  # noqa: E402
from noise_loops import noise_loop  # noqa: E402

import pages.components.studio as shared  # noqa: E402
from musicvae_core.groove import Groove  # noqa: E402
from musicvae_core.sound.flac import flac_bytes  # noqa: E402
from musicvae_core.studio import Studio  # noqa: E402
from pages.components.deck.card import Card, Mix, Morph  # noqa: E402
from pages.components.deck.deck import deck  # noqa: E402
from pages.components.session import keep_mix, kept_mix  # noqa: E402

TEMPO_BPM = 120.0
studio = FakeStudio()
said = st.session_state.setdefault("said", [])


def sounds(grooves: list[Groove], compressed: bool = False) -> list[bytes | None]:
    return shared.loop_sounds(studio, grooves, None, mix=kept_mix(), compressed=compressed)[0]


def card(name: str, groove: Groove, **more: object) -> Card:
    return Card(name, name, groove, studio.midi(groove), sounds([groove])[0], **more)


def morph(rows: int, columns: int) -> Card:
    weights = np.linspace(0, 1, rows * columns)
    z = np.random.default_rng(5).standard_normal((2, 4))
    grooves = [groove_at((1 - w) * z[0] + w * z[1], tempo_bpm) for w in weights]
    ends = ("Rock", "Bossa", "Disco", "Reggae")[: 2 if rows == 1 else 4]
    name = "strip" if rows == 1 else "pad"
    files = tuple(sounds(grooves, compressed=True))
    made = Morph(tuple(grooves), files, rows, columns, ends, place(name))
    return card(name, grooves[0], morph=made)


def real() -> Card:
    """A strip over the shipped model and the system's SoundFont; new ends for each tempo."""
    real_studio = st.cache_resource(Studio)()
    ends = real_studio.sample("groove_2bar", 2, seed=round(tempo_bpm))
    weights = np.linspace(0, 1, 33, dtype=np.float32)[:, None]
    codes = (1 - weights) * ends[0].z + weights * ends[1].z
    takes = real_studio.decode("groove_2bar", codes, temperature=0.0)
    grooves = tuple(take.groove for take in takes)
    files, _ = shared.loop_sounds(real_studio, grooves, None, compressed=True)
    return card("real", grooves[0], morph=Morph(grooves, tuple(files), 1, 33, ("A", "B")))


def noise() -> Card:
    """A strip of seven loops that are told apart by a moment of their sound."""
    groove = groove_at(np.ones(4), tempo_bpm)
    n_samples = round(groove.duration_seconds * SAMPLE_RATE)
    loops = [noise_loop(index, n_samples) for index in range(7)]
    files = tuple(flac_bytes(np.stack([loop, loop], 1), SAMPLE_RATE) for loop in loops)
    grooves = tuple(groove_at(np.full(4, x), tempo_bpm) for x in range(7))
    return card("noise", groove, morph=Morph(grooves, files, 1, 7, ("A", "B"), place("noise")))


def edited() -> Card:
    groove = st.session_state.get("edited") or groove_at(np.ones(4), tempo_bpm)
    return card("edit", groove.at_tempo(tempo_bpm), editable=True)


def compared() -> Card:
    before, after = (groove_at(np.full(4, x), tempo_bpm) for x in (1.0, 2.0))
    own = sounds([before])[0]
    return card("compare", after, before=before, before_wav=own, before_name="The original")


def long() -> Card:
    return card("long", groove_at(np.ones(4), tempo_bpm).repeated(16))


def place(card_id: str) -> tuple[float, float]:
    return st.session_state.get(f"at.{card_id}", (0.0, 0.0))


def moved(card_id: str, at: tuple[float, float]) -> None:
    st.session_state[f"at.{card_id}"] = at
    said.append(["move", card_id, at])


def edit(card_id: str, groove: Groove) -> None:
    st.session_state["edited"] = groove
    said.append(["edit", card_id, groove.n_hits])


def mixed(mix: Mix) -> None:
    keep_mix(mix)
    said.append(["mix", sorted(mix.muted), sorted(mix.soloed), mix.volume])


st.set_page_config(layout="wide")
tempo_bpm = st.number_input("Tempo, bpm", 40, 240, int(TEMPO_BPM))
makers = {
    "strip": lambda: morph(1, 33),
    "pad": lambda: morph(5, 5),
    "real": real,
    "noise": noise,
    "edit": edited,
    "compare": compared,
    "long": long,
}
shown = st.query_params.get("show", "strip,pad,edit,compare,long").split(",")
deck(
    [makers[name]() for name in shown],
    key="deck",
    mix=kept_mix(),
    destinations={"morph": "Morph", "map": "Map"},
    on_keep=lambda card_id, kept: said.append(["keep", card_id, kept]),
    on_move=moved,
    on_edit=edit,
    on_mix=mixed,
    on_send=lambda card_id, destination: said.append(["send", card_id, destination]),
    on_bar=lambda card_id, bar: said.append(["bar", card_id, bar]),
)
st.code(json.dumps(said))
