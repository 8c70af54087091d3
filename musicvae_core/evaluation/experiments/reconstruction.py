"""How accurately models reconstruct the test split, beside the paper's own table.

Source: Roberts et al. 2018, table 2: the share of steps whose class is exactly right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from musicvae_core.data.files import make_folder, write_content
from musicvae_core.data.windows import WindowSource
from musicvae_core.evaluation.experiments.reports import write_figure
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.config import ModelConfig
from musicvae_core.models.kinds import Kind, kind_of
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.drums import DRUMS
from musicvae_core.music.piece import BASS, MELODY

_PAPER: dict[tuple[str, int, bool], dict[str, tuple[float, float]]] = {
    ("drums", 2, False): {DRUMS: (0.979, 0.917)},
    ("line", 2, False): {MELODY: (0.986, 0.951)},
    ("line", 16, False): {MELODY: (0.883, 0.620)},
    ("line", 16, True): {MELODY: (0.919, 0.812)},
    ("drums", 16, False): {DRUMS: (0.884, 0.549)},
    ("drums", 16, True): {DRUMS: (0.928, 0.879)},
    ("piece", 16, False): {
        MELODY: (0.796, 0.579),
        BASS: (0.829, 0.565),
        DRUMS: (0.903, 0.641),
    },
    ("piece", 16, True): {
        MELODY: (0.848, 0.753),
        BASS: (0.880, 0.773),
        DRUMS: (0.912, 0.863),
    },
}
"""The paper's accuracy of each part under teacher forcing and in sampling, by form, bars and
conductor."""

_Read = Callable[[Kind], WindowSource[Any]]


def reconstruction(
    checkpoints: Sequence[Checkpoint], read: _Read, out: Path, limit: int | None = None
) -> list[dict[str, Any]]:
    """Measure checkpoints, and write `reconstruction.json`, `.md` and `.svg`.

    Parameters
    ----------
    checkpoints
        MusicVAEs of any kind.
    read
        Returns the data set for a kind; called once per kind.
    out
        Folder for the files.
    limit
        Windows of the test split for each model, evenly spread; None for all.

    Returns
    -------
    A row for every part of every model: `checkpoint`, `part`, `n_bars`, `decoder`, `n_windows`,
    `kl_nats`, `z_size`, `teacher_forcing` and `sampling`, and the paper's values of these two
    where it reports them.
    """
    make_folder(out)
    sources: dict[str, WindowSource[Any]] = {}
    rows = []
    for checkpoint in checkpoints:
        kind = kind_of(checkpoint.config)
        source = sources.setdefault(kind.name, sources.get(kind.name) or read(kind))
        rows += _rows(checkpoint, kind, source, limit)
    write_content(out / "reconstruction.json", json.dumps(rows, indent=1) + "\n")
    write_content(out / "reconstruction.md", _table(rows))
    write_figure(_figure(rows), out / "reconstruction.svg")
    return rows


def _rows(
    checkpoint: Checkpoint, kind: Kind, source: WindowSource[Any], limit: int | None
) -> list[dict[str, Any]]:
    config = checkpoint.config
    windows = source.windows("test", config.n_bars)
    if limit is not None and limit < len(windows):
        windows = windows.take(np.linspace(0, len(windows) - 1, limit))
    metrics = reconstruction_metrics(checkpoint.model, windows.features[:], windows.tempos_bpm)
    has_conductor = config.conductor_size > 0
    paper = _PAPER.get((kind.plays, config.n_bars, has_conductor), {})
    alone = len(kind.alphabets) == 1
    rows = []
    for part in kind.alphabets:
        suffix = "" if alone else f"_{part}"
        forced, sampled = paper.get(part, (None, None))
        rows.append(
            {
                "checkpoint": checkpoint.name,
                "part": part,
                "n_bars": config.n_bars,
                "decoder": _decoder(config),
                "n_windows": len(windows),
                "kl_nats": metrics["kl_nats"],
                "z_size": config.z_size,
                "teacher_forcing": metrics[f"teacher_forcing_accuracy{suffix}"],
                "sampling": metrics[f"sampling_accuracy{suffix}"],
                "paper_teacher_forcing": forced,
                "paper_sampling": sampled,
            }
        )
    return rows


def _decoder(config: ModelConfig) -> str:
    if not config.conductor_size:
        return "flat, one z"
    if config.n_z_parts == 1:
        return "hierarchical, one z"
    return "hierarchical, a part of z for every bar"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| model | part | decoder | z | KL, nats | windows | teacher forcing | the paper's "
        "| sampling | the paper's |",
        "| --- " * 10 + "|",
    ]
    for row in rows:
        papers = [
            "" if row[name] is None else f"{row[name]:.3f}"
            for name in ("paper_teacher_forcing", "paper_sampling")
        ]
        lines.append(
            f"| `{row['checkpoint']}` | {row['part']}, {row['n_bars']} bars | {row['decoder']} "
            f"| {row['z_size']} | {row['kl_nats']:.0f} | {row['n_windows']:,} "
            f"| {row['teacher_forcing']:.4f} | {papers[0]} | {row['sampling']:.4f} | {papers[1]} |"
        )
    return "\n".join(lines) + "\n"


def _figure(rows: Sequence[dict[str, Any]]) -> go.Figure:
    names = [f"{row['checkpoint']}: {row['part']}" for row in rows]
    figure = go.Figure()
    for key, name in (("sampling", "here"), ("paper_sampling", "the paper's, on its own data")):
        figure.add_trace(go.Bar(x=names, y=[row[key] for row in rows], name=name))
    figure.update_layout(
        barmode="group", width=1000, height=400, yaxis_title="steps right, free-running"
    )
    return figure
