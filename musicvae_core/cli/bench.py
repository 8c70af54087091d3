"""Speed on this machine, and what the machine itself can do."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musicvae_core.errors import DataError, RenderError
from musicvae_core.latent.codes import decode_music, sample_codes
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint
from musicvae_core.models.kinds import build, kind_of
from musicvae_core.models.musicvae import make_batch
from musicvae_core.models.presets import Preset, preset
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import LINE_CLASSES
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi
from musicvae_core.sound.render import Renderer
from musicvae_core.studio import SHIPPED_CHECKPOINTS
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on, pick_device, train_step

_BATCHES = (1, 16, 256)
_ENCODE_BATCH = 512
_TRAIN_BATCHES = (64, 512)
_PIECES = preset("drums_16bar_hier").model.replaced(encoder_size=512, decoder_size=256, z_size=256)
"""The model that pieces of 16 bars are measured with: untrained, of the sizes of Magenta's."""
_PIECE_BATCHES, _PIECE_TRAIN_BATCH = (1, 256), 64
_SECONDS = 1.5
_MATMUL_SHAPE = (256, 1024, 1024)
_N_MIDI_FILES = 200
_FIRST_SAMPLE = """
from musicvae_core.studio import Studio
Studio(__import__("pathlib").Path({folder!r})).sample({name!r}, 1, prior="normal")
"""


def bench(folder: Path | None, data: Path | None, device_name: str = "cpu") -> dict[str, Any]:
    """Measure sampling, encoding, training, rendering, MIDI and start; each the median of runs.

    Parameters
    ----------
    folder
        A checkpoint; by default the shipped `drums_2bar`.
    data
        A zip or folder of MIDI files; by default a written groove is read.
    device_name
        `cpu` or `cuda`.

    Returns
    -------
    A flat dict with units in its names. Rows of pieces are of an untrained model, `_PIECES`.
    `machine_...` rows are the machine's own limit: its
    rate of multiplying matrices of the decoder's shape, in the same run.
    """
    files = _midi_files(data)
    folder = (folder or SHIPPED_CHECKPOINTS / "drums_2bar").resolve()
    device = pick_device(device_name)
    checkpoint = load_checkpoint(folder)
    report: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "parameters": sum(one.numel() for one in checkpoint.model.parameters()),
    }
    report |= _machine(device)
    with torch.inference_mode():
        report |= _sampling(checkpoint, device)
        report |= _encoding(checkpoint, device, _ENCODE_BATCH)
    report["peak_mib_sampling"] = _peak_mib()
    report |= _training(checkpoint, device, _TRAIN_BATCHES)
    report["peak_mib_training"] = _peak_mib()
    report |= _pieces(device)
    report |= _sound_and_files(files)
    report["seconds_from_start_to_first_groove"] = _start_seconds(folder)
    return report


def _per_second(work: Callable[[], object], items: int, device: torch.device) -> float:
    """Return items a second, the median over repeats, after one that is not counted."""
    work()
    rates: list[float] = []
    until = time.perf_counter() + _SECONDS
    while time.perf_counter() < until or len(rates) < 3:
        _wait(device)
        started = time.perf_counter()
        work()
        _wait(device)
        rates.append(items / (time.perf_counter() - started))
    return round(float(np.median(rates)), 1)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _machine(device: torch.device) -> dict[str, float]:
    rows, inner, columns = _MATMUL_SHAPE
    report = {}
    for dtype in (torch.float32, torch.bfloat16):
        left = torch.randn(rows, inner, device=device, dtype=dtype)
        right = torch.randn(inner, columns, device=device, dtype=dtype)
        gflop = 2e-9 * rows * inner * columns
        name = str(dtype).removeprefix("torch.")
        rate = gflop * _per_second(lambda a=left, b=right: a @ b, 1, device)  # type: ignore[misc]
        report[f"machine_matmul_gflops_{name}"] = round(rate, 1)
    return report


def _pieces(device: torch.device) -> dict[str, float]:
    """Measure pieces of 16 bars: decoding, encoding and training."""
    checkpoint = Checkpoint("pieces", "", build(_PIECES).eval())
    one, many = _PIECE_BATCHES
    with torch.inference_mode():
        rates = _sampling(checkpoint, device, _PIECE_BATCHES) | _encoding(checkpoint, device, many)
    rates |= _training(checkpoint, device, (_PIECE_TRAIN_BATCH,))
    trained = f"train_examples_per_second_batch_{_PIECE_TRAIN_BATCH}"
    return {
        "decoder_piece_ms": round(1000 / rates[f"decoder_loops_per_second_batch_{one}"], 2),
        f"decoder_pieces_per_second_batch_{many}": rates[f"decoder_loops_per_second_batch_{many}"],
        f"pieces_encoded_per_second_batch_{many}": rates[f"encoded_per_second_batch_{many}"],
        f"pieces_trained_per_second_batch_{_PIECE_TRAIN_BATCH}": rates[trained],
    }


def _sampling(
    checkpoint: Checkpoint, device: torch.device, sizes: Sequence[int] = _BATCHES
) -> dict[str, float]:
    """Measure music a second at temperature 1: as a user gets it, and part by part.

    `loops_…` is end to end: a code from the learned prior, decoded, as grooves or lines.
    `decoder_loops_…` are the arrays that the decoder alone makes of codes.
    """
    report = {}
    model = checkpoint.model.to(device)
    if device.type != "cpu" and sizes is _BATCHES:
        sizes = (*sizes, 16_384)
    n_threads = torch.get_num_threads()
    for size in sizes:
        torch.set_num_threads(1 if size == 1 else n_threads)  # a single loop is not shared out
        z = torch.randn(size, checkpoint.config.z_size, device=device)

        def decoded(z: torch.Tensor = z) -> np.ndarray[Any, Any]:
            return model.decode(z).cpu().numpy()

        report[f"decoder_loops_per_second_batch_{size}"] = _per_second(decoded, size, device)
        if checkpoint.prior is None or device.type != "cpu":
            continue

        def codes(n: int = size) -> np.ndarray[Any, Any]:
            return sample_codes(checkpoint, n, "learned", 0)

        def music(codes: Callable[[], np.ndarray[Any, Any]] = codes) -> object:
            return decode_music(checkpoint, codes(), 1.0, 120.0)

        report[f"prior_codes_per_second_batch_{size}"] = _per_second(codes, size, device)
        report[f"loops_per_second_batch_{size}"] = _per_second(music, size, device)
    return report


def _plays_lines(checkpoint: Checkpoint) -> bool:
    return kind_of(checkpoint.config).plays == "line"


def _encoding(checkpoint: Checkpoint, device: torch.device, size: int) -> dict[str, float]:
    features = _random_features(checkpoint, size).to(device)
    rate = _per_second(lambda: checkpoint.model.encode(features)[0].cpu(), size, device)
    return {f"encoded_per_second_batch_{size}": rate}


def _training(
    checkpoint: Checkpoint, device: torch.device, sizes: Sequence[int]
) -> dict[str, float]:
    report = {}
    for size in sizes:
        config = checkpoint.train.__class__(batch_size=size)
        run = Run(Preset("bench", "", checkpoint.config, config), fabric_on(device.type))
        features = _random_features(checkpoint, size).numpy()

        def step(run: Run = run, features: np.ndarray[Any, Any] = features) -> object:
            return train_step(run, make_batch(run.model, features, run.config, run.step))

        rate = _per_second(step, size, device)
        report[f"train_examples_per_second_batch_{size}"] = rate
    return report


def _random_features(checkpoint: Checkpoint, n: int) -> torch.Tensor:
    if _plays_lines(checkpoint):
        rng = np.random.default_rng(0)
        classes = rng.integers(0, LINE_CLASSES.n_classes, (n, checkpoint.config.n_steps))
        return torch.from_numpy(LINE_CLASSES.table[classes])
    shape = (n, checkpoint.config.n_steps, checkpoint.model.n_features)
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.13).float()


def _sound_and_files(files: list[bytes]) -> dict[str, float]:
    cpu = torch.device("cpu")
    rng = np.random.default_rng(0)
    groove = Groove.from_hits(rng.random((32, 9)) < 0.13, rng.uniform(0.2, 1, (32, 9)))
    report: dict[str, float] = {}
    try:
        renderer = Renderer()
        seconds = groove.duration_seconds
        rate = _per_second(lambda: renderer.render(groove), 1, cpu)
        report["render_times_realtime"] = round(rate * seconds, 1)
    except RenderError:
        report["render_times_realtime"] = 0.0
    files = files or [write_midi(groove)] * _N_MIDI_FILES
    rate = _per_second(lambda: [read_midi(one) for one in files], len(files), cpu)
    return report | {"midi_files_per_second": rate}


def _midi_files(data: Path | None) -> list[bytes]:
    """Return some 4/4 files of a zip or of a folder."""
    if data is None:
        return []
    if not (data.is_dir() or zipfile.is_zipfile(data)):
        raise DataError(f"There is no zip and no folder at {data}.")
    if data.is_file():
        with zipfile.ZipFile(data) as archive:
            names = [n for n in archive.namelist() if n.endswith("4-4.mid")]
            return [archive.read(name) for name in names[:_N_MIDI_FILES]]
    return [file.read_bytes() for file in sorted(data.rglob("*4-4.mid"))[:_N_MIDI_FILES]]


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _start_seconds(folder: Path) -> float:
    """Return the median time of a fresh process that loads the model and draws one sample."""
    program = _FIRST_SAMPLE.format(folder=str(folder.parent), name=folder.name)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        seconds.append(time.perf_counter() - started)
    return round(float(np.median(seconds)), 2)
