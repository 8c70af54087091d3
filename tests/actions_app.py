"""Two actions, and a button that lets Streamlit break off the run that does them."""

import sys
import time
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from pages.shared.actions import action, run_to_completion

SECONDS = 1.0


@run_to_completion()
def act(name: str) -> None:
    count = st.session_state.get(name, 0)
    time.sleep(SECONDS)
    st.session_state[name] = count + 1


st.button("Call back", on_click=action(act, "called"))
if st.button("Act"):
    act("acted")
st.button("Something else")
counts = [st.session_state.get(name, 0) for name in ("called", "acted")]
st.write(f"Called back {counts[0]}, acted {counts[1]}")
