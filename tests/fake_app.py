"""The app with a fake `Studio` behind it, for `streamlit run` without checkpoints."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "tests")) if path not in sys.path]

from fake_studio import FakeStudio  # noqa: E402

import pages.shared.deck as shared  # noqa: E402

shared._open_studio = FakeStudio
runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
