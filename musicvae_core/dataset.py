"""The Groove MIDI Dataset, or any folder of drum MIDI: performances, windows, splits."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO, StringIO
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from musicvae_core.codec import CODEC_VERSION, stack_features
from musicvae_core.errors import (
    DamagedDataError,
    DataNotFoundError,
    MusicVAEError,
    TooFewExamplesError,
)
from musicvae_core.files import DAMAGED, write_atomically
from musicvae_core.groove import Groove
from musicvae_core.midi import read_midi
from musicvae_core.vocabulary import STEPS_PER_BAR

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_FOLDER_SPLIT_SEED = 0
_MIDI_SUFFIXES = (".mid", ".midi")
_TABLE = "info.csv"
_COLUMNS = ("midi_filename", "split", "drummer", "style", "beat_type", "time_signature")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Label:
    """What is known of one file: where it belongs and what was played.

    name is its path inside the data set; beat_type is `beat`, `fill` or empty.
    """

    name: str
    split: Split
    drummer: str = ""
    style: str = ""
    beat_type: str = ""
    metre: str = "4-4"


@dataclass(frozen=True)
class Windows:
    """Sequences of equal length cut from performances a bar apart.

    Parameters
    ----------
    features
        (N, T, 27) float32, see `codec`.
    tempos_bpm
        (N,) float32.
    performance
        (N,) int64: the index in `labels` of the performance each was cut from.
    start_bar
        (N,) int64: the bar each begins at.
    labels
        One for each performance of the split.
    """

    features: NDArray[np.float32]
    tempos_bpm: NDArray[np.float32]
    performance: NDArray[np.int64]
    start_bar: NDArray[np.int64]
    labels: tuple[Label, ...]

    def __len__(self) -> int:
        return len(self.features)

    def take(self, indices: NDArray[np.floating] | NDArray[np.integer]) -> Windows:
        """Return the windows at the indices, which are rounded down."""
        chosen = indices.astype(np.int64)
        arrays = ("features", "tempos_bpm", "performance", "start_bar")
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})


@dataclass
class Dataset:
    """All performances that could be read, and the count of what could not, by reason."""

    labels: list[Label] = field(default_factory=list)
    grooves: list[Groove] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    metres: Counter[str] = field(default_factory=Counter)

    def windows(
        self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0
    ) -> Windows:
        """Cut a split into windows of `n_bars` bars, a bar apart, never across performances.

        Parameters
        ----------
        split, n_bars
            Which performances, and the length of a window.
        minimum
            How many windows are needed.
        shortest_bars
            Performances of at least so many bars, but of fewer than `n_bars`, are repeated
            to the window's length from each of their bars on; 0 leaves them out.

        Raises
        ------
        TooFewExamplesError
            If there are fewer than `minimum`.
        """
        labels, grooves = [], []
        for label, groove in zip(self.labels, self.grooves, strict=True):
            if label.split == split:
                labels.append(label)
                is_short = 0 < shortest_bars <= groove.n_bars < n_bars
                # Repeated so that a window fits from each of its own bars on.
                grooves.append(groove.repeated(n_bars + groove.n_bars - 1) if is_short else groove)
        starts = [np.arange(groove.n_bars - n_bars + 1) for groove in grooves]
        counts = [len(bars) for bars in starts]
        if sum(counts) < minimum:
            raise TooFewExamplesError(
                f"The {split} split has {sum(counts)} windows of {n_bars} bars and "
                f"{minimum} are needed; add MIDI files of at least {n_bars} bars in 4/4."
            )
        cut = [_cut(groove, n_bars) for groove in grooves if groove.n_bars >= n_bars]
        return Windows(
            features=np.concatenate(cut),
            tempos_bpm=np.repeat([g.tempo_bpm for g in grooves], counts).astype(np.float32),
            performance=np.repeat(np.arange(len(grooves)), counts),
            start_bar=np.concatenate(starts),
            labels=tuple(labels),
        )


def _cut(groove: Groove, n_bars: int) -> NDArray[np.float32]:
    features = stack_features(groove.hits, groove.velocities, groove.offsets)
    views = np.lib.stride_tricks.sliding_window_view(features, n_bars * STEPS_PER_BAR, axis=0)
    return views[::STEPS_PER_BAR].transpose(0, 2, 1)  # (windows, T, 27)


def load_dataset(path: Path, cache_folder: Path | None = None) -> Dataset:
    """Read a data set, from a cache of an earlier reading where the source is unchanged.

    Parameters
    ----------
    path
        The Groove MIDI Dataset as a zip or unpacked, or any folder of MIDI files; those are
        split by file, 80/10/10, by a fixed seed.
    cache_folder
        Where to keep what was read; by default `musicvae_core` in the user's cache folder.

    Raises
    ------
    DataNotFoundError
        If there is no MIDI file at the path.
    DamagedDataError
        If the archive is not whole, or its `info.csv` lacks a column or has a broken row.
    """
    path = Path(path)
    if not path.exists():
        raise DataNotFoundError(
            f"There is no data set at {path}; give the zip or the unpacked folder, "
            "or fetch it with: python -m musicvae_core data --download"
        )
    folder = cache_folder or _default_cache_folder()
    cached = folder / f"{_fingerprint(path)}.npz"
    if cached.exists():
        try:
            return _load_cache(cached)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            log.warning("The cache %s is damaged and is made anew.", cached)
    dataset = _read(path)
    if not dataset.labels:
        raise DataNotFoundError(
            f"No drum MIDI file at {path} could be read ({_reasons(dataset.skipped)})."
        )
    try:
        _save_cache(dataset, cached)
    except OSError as error:
        log.warning("The data set could not be cached at %s: %s", cached, error)
    return dataset


def _read(path: Path) -> Dataset:
    dataset = Dataset()
    for label, content in _files(path):
        dataset.metres[label.metre] += 1
        try:
            reading = read_midi(content)
        except MusicVAEError as error:
            dataset.skipped[type(error).__name__] += 1
            log.info("%s skipped: %s", label.name, error)
            continue
        dataset.labels.append(label)
        dataset.grooves.append(reading.groove)
        dataset.dropped.update(reading.dropped)
    return dataset


def _files(path: Path) -> Iterator[tuple[Label, bytes]]:
    """Yield every MIDI file of a data set with its label, in a fixed order."""
    if path.is_file():
        if not zipfile.is_zipfile(path):
            raise DataNotFoundError(f"{path} is not a zip archive; give the zip or a folder.")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            table = next((n for n in names if PurePosixPath(n).name == _TABLE), None)
            rows = _member(archive, table) if table else None
            prefix = table.removesuffix(_TABLE) if table else ""
            for label in _labels(rows, names, prefix):
                yield label, _member(archive, prefix + label.name)
        return
    table_path = next(iter(sorted(path.glob(f"**/{_TABLE}"))), None)
    root = table_path.parent if table_path else path
    files = sorted(file for file in root.rglob("*") if file.is_file())
    names = [file.relative_to(root).as_posix() for file in files]
    for label in _labels(table_path.read_bytes() if table_path else None, names, ""):
        yield label, (root / label.name).read_bytes()


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except DAMAGED as error:
        raise DamagedDataError(
            f"The archive cannot be read at {name} ({error}): fetch or copy it again."
        ) from error


def _labels(table: bytes | None, names: list[str], prefix: str) -> list[Label]:
    """Read the labels of `info.csv`, or split bare files at random by a fixed seed."""
    midi = [n.removeprefix(prefix) for n in names if n.lower().endswith(_MIDI_SUFFIXES)]
    if table is None:
        order = np.random.default_rng(_FOLDER_SPLIT_SEED).permutation(len(midi))
        parts = np.minimum(order * 10 // max(1, len(midi)), 9)
        kinds: dict[int, Split] = {8: "validation", 9: "test"}
        return [Label(n, kinds.get(int(p), "train")) for n, p in zip(midi, parts, strict=True)]
    present = set(midi)
    try:
        rows = csv.DictReader(StringIO(table.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise _broken_table("is not text in UTF-8") from error
    missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise _broken_table(f"has no column {', '.join(missing)}")
    return [_label(row) for row in rows if row["midi_filename"] in present]


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


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in counts.most_common()) or "none there"


def _default_cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "musicvae_core"


def _fingerprint(path: Path) -> str:
    """Name a source by its files' paths, sizes and times, and by the codec."""
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    digest = hashlib.sha256(f"{CODEC_VERSION} {path.resolve()}".encode())
    for file in files:
        status = file.stat()
        digest.update(f"{file} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:24]


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
        tempos = stored["tempos_bpm"]
    return Dataset(
        labels=[Label(**label) for label in about["labels"]],
        grooves=[Groove(*arrays) for arrays in zip(hits, velocities, offsets, tempos, strict=True)],
        skipped=Counter(about["skipped"]),
        dropped=Counter(about["dropped"]),
        metres=Counter(about["metres"]),
    )
