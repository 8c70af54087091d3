"""About: what this is, and whose work it builds on."""

import streamlit as st

from musicvae_core.errors import MusicVAEError
from pages.shared.actions import as_text
from pages.shared.deck import shared_studio

_WHAT = """
Every groove here is a point in the latent space of a variational autoencoder trained on real
drummers. **Sample** draws new points; *More like this* explores around one that you like. Each
hit has its own loudness and its own timing, early or late against the grid. That is what makes
the feel, and the cards show each hit where it was played.

**Morph** blends between two or four grooves: your own MIDI files, or any others.
**Attributes** makes a groove busier, looser or more of a style; **Map** lets you hear and
explore the drummers' grooves; **Long form** makes sixteen-bar pieces and changes single bars of
them; **Groove lab** humanizes, drumifies, fills in and continues your grooves.

A star keeps a groove in the **Library**; *Send to* takes it to another page, or
makes a share code, a text that anyone can paste into this app.
"""
_WHOSE = """
## The drummers
The models learned from the [Groove MIDI Dataset](https://magenta.tensorflow.org/datasets/groove)
by Jon Gillick, Adam Roberts, Jesse Engel, Douglas Eck and David Bamman: *Learning to Groove with
Inverse Sequence Transformations*, ICML 2019. It is licensed under
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/).

## The method
MusicVAE: Roberts, Engel, Raffel, Hawthorne and Eck, *A Hierarchical Latent Vector Model for
Learning Long-Term Structure in Music*, ICML 2018. Sound: FluidSynth and a General MIDI SoundFont.

## The licence
This app and its models: Apache License 2.0. What you make with them is yours.

## The keys
Space plays and stops, except in a text field; Enter presses the focused button. When a card has
the focus, the arrow keys move between cards, and Tab moves through its buttons. Click the picture
to play from there, a bar's number to loop that bar, or a voice's name to mute it; Shift-click the
name to solo it. On a strip or a pad, the arrow keys move the pointer. On an editable grid they
select a cell: Enter adds or removes a hit, Shift with the arrow keys changes its loudness and
timing, and Ctrl+Z undoes the last edit.
"""


def about() -> None:
    """Say what the app is, list its models, and give credit."""
    st.title("Groove space")
    st.markdown(_WHAT)
    st.markdown("## The models")
    try:
        for model in shared_studio().models():
            bars = "1 bar" if model.n_bars == 1 else f"{model.n_bars} bars"
            feel = "with loudness and timing" if model.has_feel else "hits only"
            st.markdown(f"- **{as_text(model.title)}** (`{model.name}`): {bars}, {feel}")
    except MusicVAEError as error:
        st.error(as_text(str(error)))
    st.markdown(_WHOSE)
