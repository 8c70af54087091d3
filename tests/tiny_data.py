"""Builders of small grooves and data sets that sound a little like drumming."""

from pathlib import Path

import numpy as np

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.windows import Label
from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, OPEN_HAT, SNARE
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.groove import Groove, groove_to_features
from musicvae_core.music.midi.write import write_midi

STEPS_PER_BAR = COMMON_TIME.steps_per_bar
TICKS_PER_STEP = COMMON_TIME.ticks_per_step

REAL_ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "groove-midionly.zip"


def random_groove(rng: np.random.Generator, n_bars: int = 2, tempo_bpm: float = 120.0) -> Groove:
    """Return any groove that a MIDI file can hold, its last bar struck."""
    shape = (n_bars * STEPS_PER_BAR, N_VOICES)
    hits = rng.random(shape) < 0.15
    hits[-3, SNARE] = True
    levels = rng.integers(1, VELOCITY_LEVELS + 1, shape)
    ticks = rng.integers(-TICKS_PER_STEP // 2, TICKS_PER_STEP // 2, shape)
    return Groove.from_hits(hits, levels / VELOCITY_LEVELS, ticks / TICKS_PER_STEP, tempo_bpm)


def drummed_groove(rng: np.random.Generator, n_bars: int = 2, tempo_bpm: float = 120.0) -> Groove:
    """Return a backbeat with its own kicks and fills: hats swing, accents are louder."""
    hits = np.zeros((n_bars, STEPS_PER_BAR, N_VOICES), bool)
    hits[:, ::2, CLOSED_HAT] = True
    hits[:, [4, 12], SNARE] = True
    hits[:, 0, KICK] = True
    hits[..., KICK] |= rng.random((n_bars, STEPS_PER_BAR)) < 0.15
    hits[..., OPEN_HAT] = rng.random((n_bars, STEPS_PER_BAR)) < 0.1
    hits = hits.reshape(-1, N_VOICES)
    levels = np.clip(rng.normal(80, 20, hits.shape), 1, VELOCITY_LEVELS).round()
    ticks = np.clip(rng.normal(5, 10, hits.shape), -50, 50).round()
    return Groove.from_hits(hits, levels / VELOCITY_LEVELS, ticks / TICKS_PER_STEP, tempo_bpm)


def dataset_of(grooves: dict[str, list[Groove]]) -> Dataset:
    """Return a data set in memory, of performances by split."""
    dataset = Dataset()
    for split, performances in grooves.items():
        for index, groove in enumerate(performances):
            dataset.labels.append(Label(f"{split}{index}.mid", split, "drummer1", "funk", "beat"))
            dataset.grooves.append(groove)
            dataset.metres["4-4"] += 1
    return dataset


def features_of(grooves: list[Groove]) -> np.ndarray:
    """Return grooves of equal length as (N, T, 27) float32."""
    return np.stack([groove_to_features(groove) for groove in grooves])


def write_folder(folder: Path, grooves: list[Groove]) -> Path:
    """Write one MIDI file a groove, `00.mid` and on, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, groove in enumerate(grooves):
        (folder / f"{index:02d}.mid").write_bytes(write_midi(groove))
    return folder
