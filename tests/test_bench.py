"""The benchmark: every row is there, finite, and named with its unit."""

import math
from pathlib import Path

import pytest

from musicvae_core.commands import bench as bench_module
from musicvae_core.commands.bench import bench
from musicvae_core.errors import DataNotFoundError
from musicvae_core.presets import preset


@pytest.fixture
def brief(monkeypatch):
    """Measure each row three times and no longer, at sizes that take no time."""
    monkeypatch.setattr(bench_module, "_SECONDS", 0.0)
    monkeypatch.setattr(bench_module, "TRAIN_BATCHES", (8,))
    monkeypatch.setattr(bench_module, "PIECES", preset("drums_16bar_hier_tiny").model)
    monkeypatch.setattr(bench_module, "PIECE_TRAIN_BATCH", 4)
    monkeypatch.setattr(bench_module, "_MATMUL_SHAPE", (16, 16, 16))
    monkeypatch.setattr(bench_module, "_N_MIDI_FILES", 3)


@pytest.mark.usefixtures("brief")
def test_every_row_is_measured(checkpoints_dir, midi_folder):
    report = bench(checkpoints_dir / "a_flow", midi_folder)
    loops = [f"loops_per_second_batch_{size}" for size in (1, 16, 256)]
    wanted = {
        *loops,
        *(f"{name}_arrays" for name in loops),
        "encoded_per_second_batch_512",
        "train_examples_per_second_batch_8",
        "piece_ms",
        "piece_ms_arrays",
        "pieces_per_second_batch_256",
        "pieces_per_second_batch_256_arrays",
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
    assert min(report["piece_ms"], report["piece_ms_arrays"]) > 0
    assert report["peak_mib_training"] >= report["peak_mib_sampling"] > 50
    assert 0.1 < report["seconds_from_start_to_first_groove"] < 60


def test_a_place_without_files_is_refused_before_anything_is_measured(tmp_path):
    for place in (tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(DataNotFoundError, match="no zip and no folder"):
            bench(None, place)


def test_a_rate_counts_items_and_leaves_the_first_run_out(monkeypatch):
    clock = iter([0.0, 0.0, 10.0, 10.5, 10.6, 20.0, 20.5, 20.6, 30.0, 34.0, 99.0])
    monkeypatch.setattr(bench_module.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(bench_module, "_SECONDS", 0.0)
    runs = []
    rate = bench_module._per_second(lambda: runs.append(1), 8, bench_module.torch.device("cpu"))
    assert len(runs) == 4
    assert rate == 16.0  # the median of 16, 16 and 2
