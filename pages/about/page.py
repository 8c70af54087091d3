"""About: what this is, and whose work it stands on."""

import streamlit as st

from musicvae_core.errors import MusicVAEError
from pages.shared.actions import as_text
from pages.shared.studio import shared_studio

_WHAT = """
Every groove here is a point in the latent space of a variational autoencoder that has listened
to drummers. **Sample** draws new points; *More like this* looks around one that you like. Each
hit has its own loudness and its own timing, early or late against the grid: that is where the
feel lives, and the cards draw it where it was played.

**Morph** plays what lies between two grooves, or four: yours, dropped as MIDI files, or any other.
**Attributes** makes a groove busier, looser or more of a style; **Map** shows where the drummers'
grooves lie, to hear and to travel; **Long form** makes pieces of sixteen bars and changes some of
them alone; **Groove lab** humanizes, drumifies, fills in and continues what you bring.

A star keeps a groove in the **Library**; *Send to* takes it to another page, or
gives you a share code, a text that anyone can paste here.
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
Space plays and stops, except in a text field; Enter presses the button in focus. With a card in
focus, the arrow keys move between cards, and Tab moves through its buttons. A click on the picture
plays from there; a click on a bar's number loops that bar; a click on a voice's name mutes it,
with Shift it plays alone. On a strip or a pad the arrow keys move. On a grid that can be edited
they choose a cell: Enter sets or removes a hit, with Shift they change its loudness and timing,
and Ctrl+Z takes the last edit back.
"""


def about() -> None:
    """Say what the app is, list its models, and give credit."""
    st.title("Groove space")
    st.markdown(_WHAT)
    st.markdown("## The models")
    try:
        for model in shared_studio().models():
            bars = "1 bar" if model.n_bars == 1 else f"{model.n_bars} bars"
            feel = "loudness and timing of its own" if model.has_feel else "hits alone"
            st.markdown(f"- **{as_text(model.title)}** (`{model.name}`): {bars}, {feel}")
    except MusicVAEError as error:
        st.error(as_text(str(error)))
    st.markdown(_WHOSE)
