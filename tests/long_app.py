"""The app over the checkpoints of a folder: `CHECKPOINTS=DIR streamlit run tests/long_app.py`."""

import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import pages.shared.studio as shared  # noqa: E402
from musicvae_core.studio import Studio  # noqa: E402

shared._open_studio = lambda: Studio(Path(os.environ["CHECKPOINTS"]))
runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
