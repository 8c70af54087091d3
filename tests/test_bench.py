"""The benchmark: every row is there, finite, and named with its unit."""

import math
from pathlib import Path

import pytest

from musicvae_core.cli import bench as bench_module
from musicvae_core.cli.bench import bench
from musicvae_core.errors import DataError
from musicvae_core.models.checkpoint import Checkpoint, save_checkpoint
from musicvae_core.models.presets import preset


@pytest.fixture
def brief(monkeypatch):
    """Measure each row three times and no longer, at sizes that take no time."""
    monkeypatch.setattr(bench_module, "_SECONDS", 0.0)
    monkeypatch.setattr(bench_module, "_TRAIN_BATCHES", (8,))
    monkeypatch.setattr(bench_module, "_PIECES", preset("drums_16bar_hier_tiny").model)
    monkeypatch.setattr(bench_module, "_PIECE_TRAIN_BATCH", 4)
    monkeypatch.setattr(bench_module, "_MATMUL_SHAPE", (16, 16, 16))
    monkeypatch.setattr(bench_module, "_N_MIDI_FILES", 3)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_every_row_is_measured(checkpoints_dir, midi_folder):
    report = bench(checkpoints_dir / "a_flow", midi_folder)
    wanted = {
        *(f"loops_per_second_batch_{size}" for size in (1, 16, 256)),
        *(f"decoder_loops_per_second_batch_{size}" for size in (1, 16, 256)),
        *(f"prior_codes_per_second_batch_{size}" for size in (1, 16, 256)),
        "encoded_per_second_batch_512",
        "train_examples_per_second_batch_8",
        "decoder_piece_ms",
        "decoder_pieces_per_second_batch_256",
        "pieces_encoded_per_second_batch_256",
        "pieces_trained_per_second_batch_4",
        "render_times_realtime",
        "midi_files_per_second",
        "seconds_from_start_to_first_groove",
        "machine_matmul_gflops_float32",
        "machine_matmul_gflops_bfloat16",
        "peak_mib_sampling",
        "peak_mib_training",
    }
    assert wanted <= report.keys()
    numbers = [value for value in report.values() if not isinstance(value, str)]
    assert all(math.isfinite(number) and number >= 0 for number in numbers)
    assert report["loops_per_second_batch_256"] > report["loops_per_second_batch_1"]
    assert report["decoder_piece_ms"] > 0
    assert report["peak_mib_training"] >= report["peak_mib_sampling"] > 50
    assert 0.1 < report["seconds_from_start_to_first_groove"] < 60


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_models_of_melodies_are_measured_too(tmp_path):
    save_checkpoint(Checkpoint.new(preset("melody_2bar_tiny")), tmp_path / "tune")
    report = bench(tmp_path / "tune", None)
    decoded = [report[f"decoder_loops_per_second_batch_{size}"] for size in (1, 256)]
    assert 0 < decoded[0] < decoded[1]
    assert report["encoded_per_second_batch_512"] > 0
    assert report["train_examples_per_second_batch_8"] > 0
    assert report["seconds_from_start_to_first_groove"] > 0.1


def test_a_place_without_files_is_refused_before_anything_is_measured(tmp_path):
    for place in (tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(DataError, match="no zip and no folder"):
            bench(None, place)


def test_a_rate_counts_items_and_leaves_the_first_run_out(monkeypatch):
    clock = iter([0.0, 0.0, 10.0, 10.5, 10.6, 20.0, 20.5, 20.6, 30.0, 34.0, 99.0])
    monkeypatch.setattr(bench_module.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(bench_module, "_SECONDS", 0.0)
    runs = []
    rate = bench_module._per_second(lambda: runs.append(1), 8, bench_module.torch.device("cpu"))
    assert len(runs) == 4
    assert rate == 16.0  # the median of 16, 16 and 2
