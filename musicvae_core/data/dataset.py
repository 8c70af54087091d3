"""The Groove MIDI Dataset, or any folder of drum MIDI: performances, splits and windows."""

from __future__ import annotations

import csv
import json
import logging
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO, StringIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from musicvae_core.data.files import DAMAGED, write_atomically
from musicvae_core.data.store import Cut, SetReader, describe_skipped, fingerprint
from musicvae_core.data.windows import SPLITS, Label, Split, Windows
from musicvae_core.errors import DamagedDataError, DataError
from musicvae_core.music.drums import N_FEATURES
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.groove import Groove, groove_to_features
from musicvae_core.music.midi.maps import DrumMap
from musicvae_core.music.midi.read import MidiReading, read_midi
from musicvae_core.music.midi.tracks import TrackChoice

_FOLDER_SPLIT_SEED = 0
_MIDI_SUFFIXES = (".mid", ".midi")
_TABLE = "info.csv"
_COLUMNS = ("midi_filename", "split", "drummer", "style", "beat_type", "time_signature")

_log = logging.getLogger(__name__)


@dataclass
class Dataset:
    """All performances that could be read, and counts of the files that could not, by reason."""

    labels: list[Label] = field(default_factory=list)
    grooves: list[Groove] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    metres: Counter[str] = field(default_factory=Counter)

    @property
    def grid(self) -> Grid:
        """The grid of all performances."""
        return self.grooves[0].grid if self.grooves else COMMON_TIME

    def windows(
        self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0
    ) -> Windows:
        """Cut a split into windows of `n_bars` bars, one bar apart, within performances.

        Parameters
        ----------
        split, n_bars
            Which performances, and the length of a window.
        minimum
            The number of windows needed.
        shortest_bars
            Performances shorter than `n_bars` but of at least this many bars are repeated to the
            window's length, starting from each of their bars; 0 leaves them out.

        Raises
        ------
        TooFewExamplesError
            If there are fewer than `minimum`.
        """
        performances = zip(self.labels, self.grooves, strict=True)
        made: Windows = DRUMS.cut_split(
            performances, split, n_bars, minimum, shortest_bars, self.grid
        )
        return made


def load_dataset(
    path: Path,
    cache_folder: Path | None = None,
    *,
    tracks: TrackChoice | None = None,
    drum_map: DrumMap | None = None,
    grid: Grid = COMMON_TIME,
) -> Dataset:
    """Read a data set, from a cache if the source is unchanged.

    Parameters
    ----------
    path
        The Groove MIDI Dataset as a zip or unpacked, or any folder of MIDI files, which are split
        by file, 80/10/10, with a fixed seed.
    cache_folder
        Where to cache the result; by default `musicvae_core` in the user's cache folder.
    tracks
        Which tracks to read, by name or number, in files with nothing on channel 10.
    drum_map
        The voice of each pitch; for the default see `read_midi`.
    grid
        The grid to quantise to; files in another metre are skipped.

    Raises
    ------
    DataError
        If no MIDI file at the path can be read; the message says why.
    DamagedDataError
        If the archive is damaged, or its `info.csv` lacks a column or has a broken row.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(
            f"There is no data set at {path}; give the zip or the unpacked folder, "
            "or fetch it with: python -m musicvae_core data --download"
        )
    folder = cache_folder or _default_cache_folder()
    voices = sorted(drum_map.voices.items()) if drum_map else None
    cached = folder / f"{fingerprint(path, tracks, voices, grid)}.npz"
    if cached.exists():
        try:
            return _load_cache(cached)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            _log.warning("The cache %s is damaged and will be rebuilt.", cached)
    dataset = _read(path, {"tracks": tracks, "drum_map": drum_map, "grid": grid})
    if not dataset.labels:
        raise DataError(
            f"No drum MIDI file at {path} could be read. {describe_skipped(dataset.skipped)}"
        )
    try:
        _save_cache(dataset, cached)
    except OSError as error:
        _log.warning("The data set could not be cached at %s: %s", cached, error)
    return dataset


def _read(path: Path, reading: Mapping[str, Any]) -> Dataset:
    dataset = Dataset()

    def files() -> Iterator[tuple[Label, bytes]]:
        for label, content in _files(path):
            dataset.metres[label.metre] += 1
            yield label, content

    for label, midi in DRUMS.performances(files(), dataset.skipped, **reading):
        dataset.labels.append(label)
        dataset.grooves.append(midi.groove)
        dataset.dropped.update(midi.dropped)
    return dataset


def _read_file(
    content: bytes,
    *,
    grid: Grid,
    tracks: TrackChoice | None = None,
    drum_map: DrumMap | None = None,
) -> MidiReading:
    return read_midi(
        content, treat_as_drums=tracks, drum_map=drum_map, channel_10_first=True, grid=grid
    )


def _cut(performance: MidiReading | Groove, n_bars: int, shortest_bars: int) -> Cut:
    groove = performance.groove if isinstance(performance, MidiReading) else performance
    steps_per_bar = groove.grid.steps_per_bar
    if 0 < shortest_bars <= groove.n_bars < n_bars:
        # Repeated so that a window fits at each of its own bars.
        groove = groove.repeated(n_bars + groove.n_bars - 1)
    n_steps, n_windows = n_bars * steps_per_bar, max(0, groove.n_bars - n_bars + 1)
    features = groove_to_features(groove, groove.grid)
    rows = np.zeros((0, n_steps, N_FEATURES), np.float32)
    if n_windows:
        views = np.lib.stride_tricks.sliding_window_view(features, n_steps, axis=0)
        rows = views[::steps_per_bar].transpose(0, 2, 1)
    return Cut(rows, np.arange(n_windows), groove.tempo_bpm)


def _files(path: Path) -> Iterator[tuple[Label, bytes]]:
    """Yield every MIDI file of a data set with its label, in a fixed order."""
    if path.is_file():
        if not zipfile.is_zipfile(path):
            raise DataError(f"{path} is not a zip archive; give the zip or a folder.")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            table = next((n for n in names if PurePosixPath(n).name == _TABLE), None)
            rows = archive_member(archive, table) if table else None
            prefix = table.removesuffix(_TABLE) if table else ""
            for label in _labels(rows, names, prefix):
                yield label, archive_member(archive, prefix + label.name)
        return
    table_path = next(iter(sorted(path.glob(f"**/{_TABLE}"))), None)
    root = table_path.parent if table_path else path
    files = sorted(file for file in root.rglob("*") if file.is_file())
    names = [file.relative_to(root).as_posix() for file in files]
    for label in _labels(table_path.read_bytes() if table_path else None, names, ""):
        yield label, (root / label.name).read_bytes()


def archive_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the contents of a file in an archive.

    Raises
    ------
    DamagedDataError
        If it cannot be read.
    """
    try:
        return archive.read(name)
    except DAMAGED as error:
        raise DamagedDataError(
            f"The archive cannot be read at {name} ({error}): fetch or copy it again."
        ) from error


def _labels(table: bytes | None, names: list[str], prefix: str) -> list[Label]:
    """Read the labels from `info.csv`; without it, split the files at random with a fixed seed."""
    if table is None:
        return [Label(name, split) for name, split in split_midi(names)]
    present = {name.removeprefix(prefix) for name in names if _is_midi(name)}
    try:
        rows = csv.DictReader(StringIO(table.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise _broken_table("is not text in UTF-8") from error
    missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise _broken_table(f"has no column {', '.join(missing)}")
    return [_label(row) for row in rows if row["midi_filename"] in present]


def _is_midi(name: str) -> bool:
    return name.lower().endswith(_MIDI_SUFFIXES)


def split_midi(names: Iterable[str]) -> list[tuple[str, Split]]:
    """Return the MIDI files among names with random splits, 80/10/10, with a fixed seed."""
    midi = list(filter(_is_midi, names))
    order = np.random.default_rng(_FOLDER_SPLIT_SEED).permutation(len(midi))
    parts = np.minimum(order * 10 // max(1, len(midi)), 9).tolist()
    kinds: dict[int, Split] = {8: "validation", 9: "test"}
    return [(name, kinds.get(part, "train")) for name, part in zip(midi, parts, strict=True)]


def _label(row: dict[str, str | None]) -> Label:
    name, split, drummer, style, beat_type, metre = (row[column] or "" for column in _COLUMNS)
    if split not in SPLITS:
        raise _broken_table(f"puts {name} in the split {split!r}, not in {', '.join(SPLITS)}")
    return Label(name, split, drummer, style.split("/")[0], beat_type, metre)


def _broken_table(what: str) -> DamagedDataError:
    return DamagedDataError(
        f"The {_TABLE} of the data set {what}; restore it, or remove it to have its MIDI files "
        "split at random."
    )


def _default_cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "musicvae_core"


def _save_cache(dataset: Dataset, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "labels": [asdict(label) for label in dataset.labels],
        "skipped": dataset.skipped,
        "dropped": dataset.dropped,
        "metres": dataset.metres,
    }
    arrays = {
        name: np.concatenate([getattr(groove, name) for groove in dataset.grooves])
        for name in ("hits", "velocities", "offsets")
    }
    content = BytesIO()
    np.savez(
        content,
        about=json.dumps(about),
        n_steps=[groove.n_steps for groove in dataset.grooves],
        tempos_bpm=[groove.tempo_bpm for groove in dataset.grooves],
        grid=(dataset.grid.beats_per_bar, dataset.grid.steps_per_beat),
        **arrays,  # type: ignore[arg-type]
    )
    write_atomically(target, lambda part: part.write_bytes(content.getbuffer()))


def _load_cache(source: Path) -> Dataset:
    with np.load(source) as stored:
        about = json.loads(str(stored["about"]))
        ends = np.cumsum(stored["n_steps"])[:-1]
        hits, velocities, offsets = (
            np.split(stored[name], ends) for name in ("hits", "velocities", "offsets")
        )
        tempos, grid = stored["tempos_bpm"], Grid(*stored["grid"].tolist())
    return Dataset(
        labels=[Label(**label) for label in about["labels"]],
        grooves=[
            Groove(*arrays, grid) for arrays in zip(hits, velocities, offsets, tempos, strict=True)
        ],
        skipped=Counter(about["skipped"]),
        dropped=Counter(about["dropped"]),
        metres=Counter(about["metres"]),
    )


DRUMS = SetReader(_files, _read_file, _cut, Windows, Label, "MIDI files")
"""How drum sets are read and cut; a performance is a `Groove` or a `MidiReading`."""
