"""Figures of experiments as files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from musicvae_core.files import write_content

log = logging.getLogger(__name__)


def write_figure(figure: Any, path: Path) -> Path:
    """Write a Plotly figure as a picture, or as HTML where nothing can draw one.

    Parameters
    ----------
    figure
        A `plotly.graph_objects.Figure`.
    path
        Its suffix says of which kind, such as `.svg`.

    Returns
    -------
    The file that was written: the path, or the same with the suffix `.html`.
    """
    try:
        write_content(path, figure.to_image(format=path.suffix.removeprefix(".")))
    except (ImportError, ValueError, RuntimeError) as error:
        log.warning("%s needs kaleido and Chromium (%s); HTML is written instead.", path, error)
        path = path.with_suffix(".html")
        write_content(path, figure.to_html(include_plotlyjs="cdn"))
    return path
