"""Trios: their data, their model, and how one z decodes to parts that go together."""

import csv
import io
import json
import zipfile

import numpy as np
import pytest
import torch
from test_piece import band
from tiny_data import dataset_of, drummed_groove

from musicvae_core.data.lines import _transpose
from musicvae_core.data.trios import form_of_set, load_trios
from musicvae_core.errors import ConfigError, DataError, InvalidMusicError
from musicvae_core.evaluation.experiments.reconstruction import reconstruction
from musicvae_core.evaluation.metrics import _attributes, _copied_share, evaluate_lines
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.models.config import ModelConfig
from musicvae_core.models.kinds import build, kind_of
from musicvae_core.models.presets import override, preset
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.drums import DRUM_CLASSES
from musicvae_core.music.line import FIRST_PITCH_CLASS
from musicvae_core.music.line_attributes import _harmony, _together
from musicvae_core.music.midi.write import write_piece
from musicvae_core.music.piece import TRIO, TRIO_CLASSES, Piece, classes_to_trio, trio_to_classes
from musicvae_core.studio import Studio
from musicvae_core.training.fit_prior import PriorTraining, fit_prior
from musicvae_core.training.train import train

TINY = preset("trio_16bar_tiny")


def song(n_bars=18, seed=0):
    """Return a trio whose bars differ."""
    rng = np.random.default_rng(seed)
    classes = trio_to_classes(band(n_bars))
    melody, drums = classes[:, 0], classes[:, 2]
    melody[melody >= FIRST_PITCH_CLASS] += rng.integers(-5, 5, (melody >= FIRST_PITCH_CLASS).sum())
    drums[rng.integers(0, len(drums), 4 * n_bars)] = rng.integers(1, 8, 4 * n_bars)
    return classes_to_trio(classes, 100.0)


def write_zip(path, windows=True, n_songs=10):
    """Write songs as a data set has them: two tracks that can be the melody, and tables."""
    index, table = io.StringIO(), io.StringIO()
    songs = csv.writer(index)
    songs.writerow(["file", "title", "collection", "split", "credit"])
    rows = csv.writer(table)
    rows.writerow(["file", "bar", "melody", "polyphony", "split"])
    with zipfile.ZipFile(path, "w") as made:
        for i in range(n_songs):
            split = ("validation", "test")[i] if i < 2 else "train"
            piece, name = song(seed=i), f"midi/{i}.mid"
            second = piece["melody"].transposed(2)
            parts = {"melody 1": piece["melody"], "melody 2": second}
            parts |= {"bass": piece["bass"], "drums": piece.drums}
            made.writestr(name, write_piece(Piece(parts)))
            songs.writerow([name, f"Song {i}", "trio_test", split, "nobody"])
            rows.writerow([name, 0, "Melody 1", 1.0, split])
            rows.writerow([name, 2, "Melody 2", 1.0, split])
        made.writestr("index.csv", index.getvalue())
        if windows:
            made.writestr("windows16.csv", table.getvalue())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("trios")
    write_zip(path / "trio_test.zip")
    return path


@pytest.fixture(scope="module")
def dataset(folder):
    return load_trios(folder)


def test_classes_and_a_trio_are_two_ways_to_write_one_thing():
    piece = song()
    classes = trio_to_classes(piece)
    assert classes.shape == (18 * 16, 3)
    assert np.array_equal(trio_to_classes(classes_to_trio(classes)), classes)
    again = classes_to_trio(classes, 100.0, {"melody": 81, "bass": 33})
    assert [note.pitch for note in again["bass"].notes()] == [
        note.pitch for note in piece["bass"].notes()
    ]
    with pytest.raises(InvalidMusicError, match="drums"):
        trio_to_classes(piece.only(["melody", "bass"]))


def test_a_set_says_by_its_tables_what_is_in_it(folder, tmp_path):
    assert form_of_set(folder / "trio_test.zip") == "piece"
    assert form_of_set(tmp_path) == "drums"
    (tmp_path / "melody_folk.zip").touch()
    assert form_of_set(tmp_path) == "line"


def test_windows_are_those_of_the_table_with_their_melody(dataset):
    assert len(dataset.songs) == 10
    windows = dataset.windows("train", 16)
    assert (len(windows), dataset.n_windows("test", 16)) == (16, 2)
    assert windows.classes.shape == (16, 256, 3)
    assert windows.start_bar[:2].tolist() == [0, 2]
    first = trio_to_classes(song(seed=2).bars(0, 16))
    assert np.array_equal(windows.classes[0], first)
    second = trio_to_classes(song(seed=2).bars(2, 16))
    second[second[:, 0] >= FIRST_PITCH_CLASS, 0] += 2
    assert np.array_equal(windows.classes[1], second)
    assert windows.by_collection().keys() == {f"Song {i}" for i in range(2, 10)}


def test_other_lengths_and_plain_folders_exclude_long_silences(dataset, tmp_path):
    assert dataset.n_windows("test", 4) == 15
    bare = write_zip(tmp_path / "plain.zip", windows=False, n_songs=3)
    assert form_of_set(bare) == "line"
    for i in range(10):
        piece = song(20, seed=i)
        if i == 0:
            drums = piece.drums.bars(0, 10).padded(20)
            piece = piece.with_parts({"drums": drums})
        (tmp_path / f"{i}.mid").write_bytes(write_piece(piece))
    (tmp_path / "solo.mid").write_bytes(write_piece(song().only(["melody"])))
    plain = load_trios(tmp_path)
    assert plain.skipped.total() == 1
    counts = sum(plain.n_windows(split, 16) for split in ("train", "validation", "test"))
    assert counts == 9 * 5  # the song whose drums fall silent has no window of 16 bars
    with pytest.raises(DataError):
        load_trios(tmp_path / "nowhere")


def test_lines_are_transposed_together_and_drums_never(dataset):
    classes = dataset.windows("train", 16).classes
    is_line = np.array([True, True, False])
    moved, _ = _transpose(classes, 1.0, np.random.default_rng(0), is_line)
    assert np.array_equal(moved[..., 2], classes[..., 2])
    change = (moved - classes)[..., :2]
    pitched = classes[..., :2] >= FIRST_PITCH_CLASS
    for window, sounds in zip(change, pitched, strict=True):
        assert len(np.unique(window[sounds])) == 1
        assert not window[~sounds].any()
    assert len(np.unique(change)) > 3
    batch = dataset.windows("train", 16).batch(3, 5, augmentation=1.0, seed=0)
    assert batch.shape == (5, 256, sum(one.n_features for one in TRIO_CLASSES.values()))


def test_a_trio_trains_from_trained_parts_keeps_and_samples(dataset, folder, tmp_path):
    alone = {"melody": "melody_16bar_tiny", "bass": "melody_16bar_tiny"}
    paths = {}
    for part, name in alone.items():
        chosen = override(preset(name), [f"z_size={16}"])
        save_checkpoint(Checkpoint.new(chosen), tmp_path / part)
        paths[part] = tmp_path / part
    short = override(TINY, ["n_steps=4", "validate_every=2"])
    metrics = train(short, dataset, tmp_path / "run", start_parts=paths)
    assert {f"validation/sampling_accuracy_{part}" for part in TRIO} <= set(metrics)
    trained = load_checkpoint(tmp_path / "run" / "best")
    assert kind_of(trained.config).plays == "piece"
    windows = dataset.windows("train", 16)
    fitted = fit_prior(trained, windows, PriorTraining(n_steps=3, batch_size=4))
    assert fitted.prior.config.n_parts == 16 * len(TRIO)
    report = evaluate_lines(fitted, dataset, "test", limit=2)
    assert report["prior"]["name"] == "learned"
    assert {"melody_note_density", "chord_fit", "drums_step_density"} <= set(
        report["prior"]["features"]
    )
    with pytest.raises(ConfigError, match="strings"):
        train(short, dataset, tmp_path / "other", start_parts={"strings": paths["bass"]})


def test_a_taken_part_decodes_its_bars_as_the_model_it_is_of():
    torch.manual_seed(0)
    line = build(override(preset("melody_16bar_tiny"), ["z_size=16"]).model).eval()
    trio = build(TINY.model).eval()
    trio.initialise_part("bass", line)
    z = torch.randn(2, TINY.model.z_size)
    own = z.view(2, 16, 3, -1)[:, :, 1].flatten(0, 1)
    with torch.no_grad():
        embeddings = line.decoder.to_bars(own)
        expected = line.decoder.bottom.generate(embeddings, line.head, 0.0)
        drawn = trio.head.split_features(trio.decode(z, 0.0))[1]
    assert torch.equal(drawn.reshape(expected.shape), expected)
    with pytest.raises(ConfigError, match="drums"):
        trio.initialise_part("drums", line)


@torch.no_grad()
def test_all_parts_come_from_one_z_alone_or_in_a_batch():
    torch.manual_seed(0)
    model = build(TINY.model).eval()
    with torch.no_grad():
        for part in model.decoder.bottom.parts:
            part.to_initial.weight.mul_(30)
    z = torch.randn(3, TINY.model.z_size)
    drawn = [model.decode(z[:n], 1.0, torch.Generator().manual_seed(5)) for n in (3, 2)]
    assert torch.equal(drawn[0][:2], drawn[1])
    alike = model.decode(
        z[:1].repeat(4, 1), 1.0, torch.Generator().manual_seed(5), share_noise=True
    )
    assert torch.equal(alike, alike[:1].expand_as(alike))
    moved = z.clone().view(3, 16, 3, -1)
    moved[:, :, 2] += 5  # what the drums alone hear of z directly
    base, other = model.decode(z, 0.0), model.decode(moved.flatten(1), 0.0)
    parts = zip(model.head.split_features(base), model.head.split_features(other), strict=True)
    changed = [bool((one != two).any()) for one, two in parts]
    assert changed[2]


@pytest.fixture(scope="module")
def studio(dataset, tmp_path_factory):
    """Return a studio of a tiny trio with a prior that was barely fitted."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    checkpoint = Checkpoint.new(TINY)
    checkpoint.model.spread_codes(torch.from_numpy(dataset.windows("train", 16).features[:]), 0.1)
    training = PriorTraining(n_steps=2, batch_size=4)
    fitted = fit_prior(checkpoint, dataset.windows("train", 16), training)
    save_checkpoint(fitted, folder / "trio_16bar")
    return Studio(folder)


def test_a_studio_samples_encodes_morphs_and_writes_pieces(studio):
    (info,) = studio.models("piece")
    assert (info.name, info.has_conductor) == ("trio_16bar", True)
    first, second = studio.sample("trio_16bar", 2, tempo_bpm=90.0, seed=4)
    (again,) = studio.sample("trio_16bar", 1, tempo_bpm=90.0, seed=4)
    assert again.groove == first.groove
    assert tuple(first.groove.parts) == TRIO
    assert first.groove.tempo_bpm == 90.0
    codes = studio.encode("trio_16bar", [first.groove, second.groove])
    assert codes.shape == (2, TINY.model.z_size)
    morph = studio.morph("trio_16bar", [first.groove, second.groove], 5)
    assert [step.n_bars for step in morph.grooves] == [16] * 5
    with pytest.raises(InvalidMusicError, match="15 bars"):
        studio.encode("trio_16bar", [first.groove.bars(0, 15)])


def test_held_bars_stay_exactly_and_the_rest_is_new(studio):
    (take,) = studio.sample("trio_16bar", 1, seed=2)
    new = studio.vary(take, parts=["bass"], seed=9)
    assert new.groove["melody"] == take.groove["melody"]
    assert new.groove.drums == take.groove.drums
    assert new.groove["bass"] != take.groove["bass"]
    z, moved = take.z.reshape(16, 3, -1), new.z.reshape(16, 3, -1)
    assert np.array_equal(z[:, [0, 2]], moved[:, [0, 2]])
    bar = studio.vary(take, bars=[3], parts=["drums"], seed=9).groove
    assert bar["bass"] == take.groove["bass"]
    changed = (bar.drums.hits != take.groove.drums.hits).any(axis=1).reshape(16, -1).any(axis=1)
    assert set(np.flatnonzero(changed)) <= {3}
    melody = studio.vary(take, bars=[5, 6], parts=["melody"], seed=9).groove["melody"]
    for first, n_bars in ((0, 5), (7, 9)):
        assert melody.bars(first, n_bars) == take.groove["melody"].bars(first, n_bars)
    for wrong in ({"bars": [16]}, {"parts": ["flute"]}, {"amount": 2}):
        with pytest.raises(ConfigError):
            studio.vary(take, **wrong)


def test_a_trio_without_a_conductor_or_an_even_z_is_refused():
    with pytest.raises(ConfigError, match="conductor"):
        ModelConfig(head="trio")
    with pytest.raises(ConfigError, match="multiple of"):
        TINY.model.replaced(z_size=64)


def test_attributes_describe_how_parts_go_together():
    piece = song()
    found = _harmony(piece["melody"], piece["melody"].transposed(-12))
    assert found == {"chord_fit": 1.0, "octave_fit": 1.0}
    assert _harmony(piece["melody"], piece["melody"].transposed(-1))["chord_fit"] == 0.0
    assert _harmony(piece["melody"], piece["melody"].transposed(-7))["chord_fit"] == 1.0
    kicks = piece["bass"].onsets
    assert _together(piece["bass"], kicks) == {"bass_with_kick": 1.0, "kick_with_bass": 1.0}
    classes = np.array([trio_to_classes(song(16, seed)) for seed in range(3)])
    columns = _attributes(classes)
    assert {len(values) for values in columns.values()} == {3}
    higher = classes.copy()
    for part in (0, 1):
        higher[..., part] += 3 * (classes[..., part] >= FIRST_PITCH_CLASS)
    assert _copied_share(higher, classes) == 1.0
    other_drums = classes.copy()
    other_drums[..., 2] = (classes[..., 2] + 1) % DRUM_CLASSES.n_classes
    assert _copied_share(other_drums, classes) == 0.0


def test_the_papers_table_has_a_row_for_every_part(dataset, tmp_path):
    trio, drums = Checkpoint.new(TINY), Checkpoint.new(preset("drums_2bar_tiny"))
    drummed = dataset_of({"test": [drummed_groove(np.random.default_rng(0), 4)]})

    def read(kind):
        return dataset if kind.plays == "piece" else drummed

    rows = reconstruction([trio, drums], read, tmp_path, limit=2)
    assert [row["part"] for row in rows] == [*TRIO, "drums"]
    assert [row["paper_sampling"] for row in rows] == [0.753, 0.773, 0.863, 0.917]
    windows = dataset.windows("test", 16)
    own = reconstruction_metrics(trio.model.eval(), windows.features[:], windows.tempos_bpm)
    assert rows[1]["sampling"] == own["sampling_accuracy_bass"]
    assert "| `trio_16bar_tiny` | bass, 16 bars |" in (tmp_path / "reconstruction.md").read_text()
    assert json.loads((tmp_path / "reconstruction.json").read_text()) == rows
    assert (tmp_path / "reconstruction.svg").exists()
