"""Joining the ES modules of a component's front into the one script that Streamlit takes."""

import re
from collections.abc import Sequence
from pathlib import Path


def joined_script(folder: Path, modules: Sequence[str]) -> str:
    """Return modules as one script, without the imports between them.

    Parameters
    ----------
    folder
        Where they lie.
    modules
        Names of files, in the order of their imports; the last has the default export.
    """
    joined = "\n".join((folder / module).read_text("utf-8") for module in modules)
    joined = re.sub(r"^import .*$", "", joined, flags=re.MULTILINE)
    return re.sub(r"^export (?!default)", "", joined, flags=re.MULTILINE)
