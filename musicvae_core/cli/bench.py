"""Speed on this machine, and what the machine itself can do."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musicvae_core.errors import DataError, RenderError
from musicvae_core.latent.codes import decode_music, sample_codes
from musicvae_core.models.arithmetic import product_dtype
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint
from musicvae_core.models.compiled import compile_model
from musicvae_core.models.decoders import FlatDecoder
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
_GPU_BATCH = 16_384
_ENCODE_BATCH = 512
_TRAIN_BATCHES = (64, 512)
_PIECES = preset("drums_16bar_hier").model.replaced(encoder_size=512, decoder_size=256, z_size=256)
"""The model that pieces of 16 bars are measured with: untrained, of the sizes of Magenta's."""
_PIECE_BATCHES, _PIECE_TRAIN_BATCH = (1, 256), 64
_SECONDS = 1.5
_MATMUL_SHAPE = (256, 1024, 1024)
_COPIED_BYTES = 2**28
_N_MIDI_FILES = 200
_FIRST_SAMPLE = """
from musicvae_core.studio import Studio
Studio(__import__("pathlib").Path({folder!r})).sample({name!r}, 1, prior="normal")
"""


def bench(
    folder: Path | None, data: Path | None, device_name: str = "cpu", *, compiled: bool = False
) -> dict[str, Any]:
    """Measure sampling, encoding, training, rendering, MIDI and start; each the median of runs.

    Parameters
    ----------
    folder
        A checkpoint; by default the shipped `drums_2bar`.
    data
        A zip or folder of MIDI files; by default a written groove is read.
    device_name
        `cpu` or `cuda`.
    compiled
        Whether models are compiled first; see `compile_model`.

    Returns
    -------
    A flat dict with units in its names. Rows of pieces are of an untrained model, `_PIECES`.
    `machine_...` rows are the machine's own limit: its
    rate of multiplying matrices of the decoder's shape, in the same run.
    """
    files = _midi_files(data)
    folder = (folder or SHIPPED_CHECKPOINTS / "drums_2bar").resolve()
    device = pick_device(device_name)
    checkpoint = _loaded(folder, device, compiled=compiled)
    report: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "device": _device_name(device),
        "compiled": compiled,
        "threads": torch.get_num_threads(),
        "parameters": sum(one.numel() for one in checkpoint.model.parameters()),
    }
    report |= _machine(device)
    with torch.inference_mode():
        report |= _sampling(checkpoint, device)
        report |= _encoding(checkpoint, device, _ENCODE_BATCH)
    report["peak_mib_sampling"] = _peak_mib()
    report |= _training(checkpoint, device, _TRAIN_BATCHES, compiled=compiled)
    report["peak_mib_training"] = _peak_mib()
    report |= _pieces(device, compiled=compiled)
    report |= _sound_and_files(files)
    report["seconds_from_start_to_first_groove"] = _start_seconds(folder)
    return report


def speed_table(folder: Path | None, device_name: str = "cuda") -> str:
    """Measure decoding and training, as they are and compiled, as a table in Markdown.

    Beside the loops a second that are decoded stands what the memory allows: as many as it can
    carry the weights, once a step, and each loop's states, noise and features for.

    Parameters
    ----------
    folder, device_name
        As `bench`.
    """
    folder = (folder or SHIPPED_CHECKPOINTS / "drums_2bar").resolve()
    device = pick_device(device_name)
    sizes = _BATCHES if device.type == "cpu" else (*_BATCHES, _GPU_BATCH)
    plain, fast = (
        _speeds(_loaded(folder, device, compiled=compiled), device, sizes, compiled=compiled)
        for compiled in (False, True)
    )
    per_second = _bytes_per_second(device)
    lines = [
        f"{folder.name}, {_device_name(device)}, memory {per_second / 1e9:,.0f} GB/s",
        "",
        "| a second | batch | as it is | compiled | memory allows | reached |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    model = load_checkpoint(folder).model
    for size in sizes:
        own, best = (each[f"decoder_loops_per_second_batch_{size}"] for each in (plain, fast))
        limit = per_second / _bytes_per_loop(model, size, device)
        share = max(own, best) / limit
        lines.append(f"| loops | {size} | {own:,.0f} | {best:,.0f} | {limit:,.0f} | {share:.1%} |")
    for size in _TRAIN_BATCHES:
        own, best = (each[f"train_examples_per_second_batch_{size}"] for each in (plain, fast))
        lines.append(f"| trained on | {size} | {own:,.0f} | {best:,.0f} | | |")
    return "\n".join(lines)


def _speeds(
    checkpoint: Checkpoint, device: torch.device, sizes: Sequence[int], *, compiled: bool
) -> dict[str, float]:
    without_prior = replace(checkpoint, prior=None)
    with torch.inference_mode():
        rates = _sampling(without_prior, device, sizes)
    return rates | _training(checkpoint, device, _TRAIN_BATCHES, compiled=compiled)


def _loaded(folder: Path, device: torch.device, *, compiled: bool) -> Checkpoint:
    checkpoint = load_checkpoint(folder)
    checkpoint.model.to(device)
    if compiled:
        compile_model(checkpoint.model)
    return checkpoint


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else "cpu"


def _bytes_per_second(device: torch.device) -> float:
    """Return how fast the device's memory is read and written, by copying a tensor."""
    source = torch.zeros(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = _per_second(lambda: target.copy_(source), _COPIED_BYTES, device)
    return 2 * copied


def _bytes_per_loop(model: Any, size: int, device: torch.device) -> float:
    """Return what decoding must at least read and write for each of so many loops."""
    item = torch.empty(0, dtype=product_dtype(device)).element_size()
    noise = sum(part.numel() for part in model.head.draw_noise((1, 1)) if part is not None)
    total = 4.0 * model.config.n_steps * (noise + model.n_features)
    for decoder in (one for one in model.decoder.modules() if isinstance(one, FlatDecoder)):
        weights = sum(one.numel() for one in decoder.lstm.parameters())
        total += item * decoder.n_steps * weights / size
        states = decoder.n_layers * decoder.size * (item + 4)  # hidden, and cells in float32
        total += 2 * model.config.n_steps * states
    head = sum(one.numel() for one in model.head.parameters())
    return float(total + item * model.config.n_steps * head / size)


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


def _pieces(device: torch.device, *, compiled: bool) -> dict[str, float]:
    """Measure pieces of 16 bars: decoding, encoding and training."""
    checkpoint = Checkpoint("pieces", "", build(_PIECES).eval().to(device))
    if compiled:
        compile_model(checkpoint.model)
    one, many = _PIECE_BATCHES
    with torch.inference_mode():
        rates = _sampling(checkpoint, device, _PIECE_BATCHES) | _encoding(checkpoint, device, many)
    rates |= _training(checkpoint, device, (_PIECE_TRAIN_BATCH,), compiled=compiled)
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
        sizes = (*sizes, _GPU_BATCH)
    n_threads = torch.get_num_threads()
    for size in sizes:
        torch.set_num_threads(1 if size == 1 else n_threads)  # a single loop is not shared out
        z = torch.randn(size, checkpoint.config.z_size, device=device)

        def decoded(z: torch.Tensor = z) -> np.ndarray[Any, Any]:
            return model.decode(z).cpu().numpy()

        report[f"decoder_loops_per_second_batch_{size}"] = _per_second(decoded, size, device)
        if checkpoint.best_prior == "normal" or device.type != "cpu":
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
    checkpoint: Checkpoint, device: torch.device, sizes: Sequence[int], *, compiled: bool
) -> dict[str, float]:
    report = {}
    for size in sizes:
        config = checkpoint.train.__class__(batch_size=size)
        run = Run(Preset("bench", "", checkpoint.config, config), fabric_on(device.type), compiled)
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
