"""The way back to the app for a page that Streamlit runs by itself."""

import runpy
from pathlib import Path

_APP = Path(__file__).parents[2] / "app.py"


def run_app() -> None:
    """Run the app, which then runs the page that was asked for.

    Streamlit takes every file of a folder called `pages` for a page of its own until
    `st.navigation` is first called: on a fresh server it would run such a file alone, when
    a browser comes back to its address. The file then hands over here.
    """
    runpy.run_path(str(_APP), run_name="__main__")
