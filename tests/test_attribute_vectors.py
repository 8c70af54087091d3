"""Attribute vectors: what they are fitted to, and the file that keeps them."""

import dataclasses
import json
import shutil
import zipfile

import numpy as np
import pytest

from musicvae_core.cli.main import main
from musicvae_core.errors import (
    CheckpointError,
    MusicVAEError,
    TooFewExamplesError,
)
from musicvae_core.latent.attribute_vectors import (
    FILL,
    VECTORS_FILE,
    AttributeVectors,
    load_vectors,
    save_vectors,
)
from musicvae_core.latent.fit import _correct, _quartile_difference, fit_vectors
from musicvae_core.models.checkpoint import load_checkpoint

Z = 12


@pytest.fixture(scope="module")
def correlated():
    """Correlated codes, and three correlated attributes that depend on them linearly."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((5_000, Z)) @ rng.standard_normal((Z, Z)) + 3.0
    true = rng.standard_normal((Z, 3))
    true[:, 1] += 0.8 * true[:, 0]
    attributes = codes @ true + 0.1 * rng.standard_normal((5_000, 3))
    deviations = attributes.std(axis=0)
    return codes, (attributes - attributes.mean(axis=0)) / deviations, true / deviations


def test_a_corrected_vector_raises_its_own_attribute_and_no_other(correlated):
    codes, attributes, true = correlated
    corrected, _ = _correct(attributes, codes)
    assert corrected @ true == pytest.approx(np.eye(3), abs=0.2)
    plain = np.stack([_quartile_difference(values, codes) for values in attributes.T])
    moved = plain @ true
    assert abs(moved[0, 1]) > 0.5 * moved[0, 0], "the plain vector drags another along"


def test_no_other_move_that_raises_it_alone_is_likelier(correlated):
    codes, attributes, true = correlated
    corrected, metric = _correct(attributes, codes)
    precision = np.linalg.inv(np.cov(codes.T))
    length = corrected[0] @ precision @ corrected[0]
    assert metric[0, 0] == pytest.approx(length, rel=0.15)
    free = np.linalg.svd(true.T)[2][3:]  # moves that leave all three as they are
    for direction in free:
        other = corrected[0] + 0.3 * np.linalg.norm(corrected[0]) * direction
        assert other @ precision @ other > 0.99 * length


def test_the_metric_measures_sums_of_vectors(correlated):
    codes, attributes, _ = correlated
    corrected, metric = _correct(attributes, codes)
    weights = np.array([1.0, -2.0, 0.5])
    move = weights @ corrected
    length = move @ np.linalg.inv(np.cov(codes.T)) @ move
    assert weights @ metric @ weights == pytest.approx(length, rel=0.15)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 6.0),
        ([0, 0, 0, 0, 0, 0, 0, 7], 7.0 - 3.0),
        ([0, 7, 7, 7, 7, 7, 7, 7], 4.0),
        ([0, 0, 0, 0, 7, 7, 7, 7], 5.5 - 1.5),
    ],
    ids=str,
)
def test_quartiles_with_ties(values, expected):
    codes = np.arange(8.0)[:, None] * np.array([1.0, 0.0])
    assert _quartile_difference(np.array(values, float), codes) == pytest.approx([expected, 0.0])


def test_a_label_s_vector_is_added_by_amounts():
    vectors = some_vectors()
    codes = np.ones((2, Z), np.float32)
    styled = vectors.styled(codes, {"funk": 2.0, FILL: -1.0})
    assert styled == pytest.approx(codes + 2 * vectors.styles[0] - vectors.styles[1])
    assert vectors.styled(codes, {}) == pytest.approx(codes)


def some_vectors(fingerprint: str = "abc") -> AttributeVectors:
    rng = np.random.default_rng(1)
    return AttributeVectors(
        fingerprint=fingerprint,
        controls=("kick_activity", "swing"),
        labels=("funk", FILL),
        deviations=np.array([1.5, 0.2]),
        lowest=np.array([0.0, -0.2]),
        highest=np.array([8.0, 0.5]),
        plain=rng.standard_normal((2, Z)),
        corrected=rng.standard_normal((2, Z)),
        metric=np.eye(2),
        styles=rng.standard_normal((2, Z)),
    )


def test_vectors_come_back_from_their_file(tmp_path):
    vectors = some_vectors()
    assert save_vectors(vectors, tmp_path) == tmp_path / VECTORS_FILE
    assert [path.name for path in tmp_path.iterdir()] == [VECTORS_FILE]
    back = load_vectors(tmp_path, "abc")
    for field in dataclasses.fields(AttributeVectors):
        value, stored = getattr(vectors, field.name), getattr(back, field.name)
        if isinstance(value, np.ndarray):
            assert stored == pytest.approx(value, rel=1e-6)
            assert stored.dtype == np.float64
        else:
            assert stored == value


def test_errors_of_a_file_name_the_remedy(tmp_path):
    remedy = "attribute-vectors"
    with pytest.raises(CheckpointError, match=remedy):
        load_vectors(tmp_path, "abc")
    path = save_vectors(some_vectors(), tmp_path)
    with pytest.raises(CheckpointError, match=remedy):
        load_vectors(tmp_path, "other weights")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=remedy):
        load_vectors(tmp_path, "abc")


def test_any_changed_byte_is_named_or_harmless(tmp_path):
    path = save_vectors(some_vectors(), tmp_path)
    whole = path.read_bytes()
    vectors = load_vectors(tmp_path, "abc")
    n_named = 0
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            assert load_vectors(tmp_path, "abc").plain == pytest.approx(vectors.plain)
        except MusicVAEError:
            n_named += 1
    assert n_named > 0.5 * len(whole) / 7


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"format_version": 99}, CheckpointError),
        ({"format": "something else"}, CheckpointError),
        ({"controls": ["kick_activity"]}, CheckpointError),
        ({"labels": []}, CheckpointError),
    ],
    ids=str,
)
def test_a_file_that_promises_something_else_is_refused(tmp_path, changes, error):
    path = save_vectors(some_vectors(), tmp_path)
    with np.load(path) as stored:
        arrays = dict(stored)
    about = json.loads(arrays.pop("about").tobytes()) | changes
    np.savez(path, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
    with pytest.raises(error):
        load_vectors(tmp_path, "abc")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    broken = dataclasses.replace(some_vectors(), metric=np.full((2, 2), np.nan))
    save_vectors(broken, tmp_path)
    with pytest.raises(CheckpointError, match="finite"):
        load_vectors(tmp_path, "abc")


def test_a_pickled_array_is_refused(tmp_path):
    path = save_vectors(some_vectors(), tmp_path)
    np.savez(tmp_path / "pickled.npz", plain=np.array([{}], object))
    with zipfile.ZipFile(tmp_path / "pickled.npz") as evil:
        content = evil.read("plain.npy")
    with zipfile.ZipFile(path, "a") as target:
        target.writestr("extra.npy", content)
    with pytest.raises(CheckpointError):
        load_vectors(tmp_path, "abc")


@pytest.mark.parametrize("name", ["groove_2bar", "drums_2bar"])
def test_vectors_of_a_checkpoint(checkpoints_dir, tiny_dataset, name):
    checkpoint = load_checkpoint(checkpoints_dir / name)
    vectors = fit_vectors(checkpoint, tiny_dataset)
    assert vectors.fingerprint == checkpoint.fingerprint()
    assert "kick_activity" in vectors.controls
    assert ("swing" in vectors.controls) == checkpoint.config.has_feel
    assert "ride_activity" not in vectors.controls, "no groove of the data has a ride"
    n = len(vectors.controls)
    assert vectors.corrected.shape == vectors.plain.shape == (n, checkpoint.config.z_size)
    assert (vectors.lowest <= vectors.highest).all()
    assert (vectors.deviations > 0).all()
    assert np.linalg.eigvalsh(vectors.metric).min() > 0
    assert vectors.labels == (), "one style and no fill part nothing from nothing"


def test_too_few_windows_are_named(checkpoints_dir, tiny_dataset):
    checkpoint = load_checkpoint(checkpoints_dir / "drums_2bar")
    some = dataclasses.replace(
        tiny_dataset, labels=tiny_dataset.labels[-2:], grooves=tiny_dataset.grooves[-2:]
    )
    with pytest.raises(TooFewExamplesError):
        fit_vectors(checkpoint, some)


def test_the_command_writes_the_file_beside_the_weights(
    checkpoints_dir, midi_folder, tmp_path, own_cache, capsys
):
    folder = shutil.copytree(checkpoints_dir / "drums_2bar", tmp_path / "drums_2bar")
    assert main(["attribute-vectors", str(folder), "--data", str(midi_folder)]) == 0
    assert "kick_activity" in capsys.readouterr().out
    assert load_vectors(folder, load_checkpoint(folder).fingerprint()).controls
