"""The atlas: which windows are in it, and that its file is read whole or refused by name."""

import json

import numpy as np
import pytest

from musicvae_core.data.lines import load_lines
from musicvae_core.errors import (
    CheckpointError,
    TooFewExamplesError,
)
from musicvae_core.latent.atlas import (
    ATLAS_FILE,
    _TsneMap,
    directions,
    load_atlas,
    mean_code,
    nearest,
    save_atlas,
)
from musicvae_core.latent.codes import encode_features
from musicvae_core.latent.fit import _fit_principal, _fit_tsne, _spread, build_atlas
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.music.attributes import controls_of
from musicvae_core.music.line import Line, line_to_classes
from musicvae_core.music.line_attributes import TONIC, line_attributes
from musicvae_core.studio import SHIPPED_CHECKPOINTS, Studio


@pytest.fixture(scope="module")
def checkpoint(checkpoints_dir):
    return load_checkpoint(checkpoints_dir / "groove_2bar")


@pytest.fixture(scope="module")
def atlas(checkpoint, tiny_dataset):
    return build_atlas(checkpoint, tiny_dataset, n=34)


@pytest.fixture
def folder(atlas, tmp_path):
    save_atlas(atlas, tmp_path)
    return tmp_path


def damaged(folder, about=None, **arrays):
    """Rewrite the file with some of its arrays replaced, or parts of what it says of itself."""
    path = folder / ATLAS_FILE
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files}
    stored = json.loads(kept["about"].tobytes()) | (about or {})
    kept["about"] = np.frombuffer(json.dumps(stored).encode(), np.uint8)
    np.savez(path, **kept | arrays)


def test_points_are_windows_of_the_train_split(atlas, checkpoint, tiny_dataset):
    windows = tiny_dataset.windows("train", 2)
    assert len(atlas) == 36  # six of each of six performances
    assert [one.name for one in atlas.performances] == [f"train{i}.mid" for i in range(6)]
    for point in (0, 17, 35):
        performance = atlas.performance_of(point)
        assert (performance.style, performance.drummer) == ("funk", "drummer1")
        at = (windows.performance == atlas.performance[point]) & (
            windows.start_bar == atlas.start_bar[point]
        )
        assert windows.labels[atlas.performance[point]].name == performance.name
        expected = encode_features(checkpoint, windows.features[at])[0]
        np.testing.assert_allclose(atlas.codes[point], expected, rtol=2e-3, atol=1e-3)
    assert all(len(values) == 36 for values in atlas.attributes.values())


def test_a_model_without_feel_has_no_attributes_of_feel(checkpoints_dir, tiny_dataset, atlas):
    hits_alone = build_atlas(load_checkpoint(checkpoints_dir / "drums_2bar"), tiny_dataset)
    assert "swing" in atlas.attributes
    assert not {"swing", "velocity_mean"} & set(hits_alone.attributes)
    assert hits_alone.attributes


def test_too_small_a_data_set_is_named(checkpoint, tiny_dataset, monkeypatch):
    monkeypatch.setattr("musicvae_core.latent.fit._MIN_MAP_CODES", 100)
    with pytest.raises(TooFewExamplesError, match="42 windows"):
        build_atlas(checkpoint, tiny_dataset)


@pytest.mark.parametrize("n", [1, 3, 7, 20, 100])
def test_every_performance_counts_alike(n):
    performance = np.repeat([0, 1, 4, 5], [1, 3, 40, 8])
    chosen = _spread(performance, n)
    counts = [int((performance[chosen] == one).sum()) for one in (0, 1, 4, 5)]
    assert len(set(chosen)) == len(chosen) >= min(n, 52)
    assert sorted(chosen) == list(chosen)
    each = max(counts)
    assert counts == [min(each, count) for count in (1, 3, 40, 8)]
    long = chosen[performance[chosen] == 4] - 4
    if each > 1:
        assert {long[0], long[-1]} == {0, 39}
        assert np.ptp(np.diff(long)) <= 1


def test_saved_atlases_load_unchanged(atlas, folder):
    again = load_atlas(folder, atlas.fingerprint)
    assert (again.n_bars, again.performances) == (atlas.n_bars, atlas.performances)
    for name in ("performance", "start_bar", "tsne"):
        np.testing.assert_array_equal(getattr(again, name), getattr(atlas, name))
    largest = np.abs(atlas.codes).max(axis=0)
    assert (np.abs(again.codes - atlas.codes) <= 0.51 * largest / 31).all()
    save_atlas(again, folder)
    np.testing.assert_allclose(load_atlas(folder, atlas.fingerprint).codes, again.codes, rtol=1e-5)
    assert list(again.attributes) == list(atlas.attributes)
    for name, values in atlas.attributes.items():
        np.testing.assert_allclose(again.attributes[name], values, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(
        again.principal.place(atlas.codes), atlas.principal.place(atlas.codes)
    )


def test_a_missing_atlas_says_how_to_make_it(tmp_path):
    with pytest.raises(CheckpointError, match="musicvae_core atlas"):
        load_atlas(tmp_path, "")


def test_an_atlas_cut_short_anywhere_is_named(atlas, folder):
    whole = (folder / ATLAS_FILE).read_bytes()
    for length in [0, 1, 100, *np.linspace(200, len(whole) - 1, 40).astype(int)]:
        (folder / ATLAS_FILE).write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="make it again"):
            load_atlas(folder, atlas.fingerprint)


def test_flipped_bytes_are_named_or_harmless(atlas, folder):
    whole = (folder / ATLAS_FILE).read_bytes()
    codes = load_atlas(folder, atlas.fingerprint).codes
    refused = 0
    for at in np.linspace(0, len(whole) - 1, 200).astype(int):
        flipped = bytearray(whole)
        flipped[at] ^= 0xFF
        (folder / ATLAS_FILE).write_bytes(flipped)
        try:
            again = load_atlas(folder, atlas.fingerprint)
        except CheckpointError:
            refused += 1
        else:
            np.testing.assert_array_equal(again.codes, codes)
    assert refused > 150


@pytest.mark.parametrize(
    "wrong",
    [
        {"codes": np.zeros((3, 8), np.float16)},
        {"codes": np.full((36, 8), np.nan, np.float16)},
        {"performance": np.full(36, 99, np.int32)},
        {"tsne": np.array([{"a": 1}], dtype=object)},
        {"about": {"format": "something else"}},
        {"about": {"performances": [{"name": "no style"}]}},
    ],
)
def test_parts_that_do_not_fit_are_named(atlas, folder, wrong):
    damaged(folder, **wrong)
    with pytest.raises(CheckpointError):
        load_atlas(folder, atlas.fingerprint)


def test_a_later_version_and_other_weights_are_named(atlas, folder):
    with pytest.raises(CheckpointError, match="other weights"):
        load_atlas(folder, "another")
    damaged(folder, about={"format_version": 99})
    with pytest.raises(CheckpointError, match="update"):
        load_atlas(folder, atlas.fingerprint)


def test_a_stop_while_saving_leaves_the_old_atlas(atlas, folder, monkeypatch):
    def stop(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(OSError, match="no space"):
        save_atlas(atlas, folder)
    assert [path.name for path in folder.iterdir()] == [ATLAS_FILE]
    assert len(load_atlas(folder, atlas.fingerprint)) == len(atlas)


def test_the_studio_loads_an_atlas_once_and_refuses_one_of_other_weights(
    checkpoints_dir, atlas, tmp_path, checkpoint
):
    for name in ("groove_2bar", "a_flow"):
        (tmp_path / name).mkdir()
        weights = checkpoints_dir / name / "model.safetensors"
        (tmp_path / name / "model.safetensors").write_bytes(weights.read_bytes())
        save_atlas(atlas, tmp_path / name)
    studio = Studio(tmp_path)
    assert studio.atlas("groove_2bar") is studio.atlas("groove_2bar")
    with pytest.raises(CheckpointError):
        studio.atlas("a_flow")


LONG_DRUMS = ("drums_16bar_hier", "groove_16bar")
shipped = pytest.mark.parametrize(
    "name", [path.parent.name for path in sorted(SHIPPED_CHECKPOINTS.glob(f"*/{ATLAS_FILE}"))]
)


@shipped
def test_a_shipped_atlas_has_many_points_in_little_room(name):
    atlas = Studio().atlas(name)
    fewest = {"melody_16bar": 1200, "trio_16bar": 400} | dict.fromkeys(LONG_DRUMS, 1300)
    assert len(atlas) >= fewest.get(name, 3000)
    assert (SHIPPED_CHECKPOINTS / name / ATLAS_FILE).stat().st_size <= 6 * 2**20
    config = Studio().checkpoint(name).config
    of_a_line = line_attributes(Line.from_notes([], config.n_bars))
    if kind_of(config).plays == "line":
        n_styles, n_drummers, names = 5, 1, (TONIC, *of_a_line)
    elif kind_of(config).plays == "piece":
        n_styles, n_drummers = 100, 1
        of_lines = (f"{part}_{name}" for part in ("melody", "bass") for name in of_a_line)
        names = (*of_lines, "chord_fit", "octave_fit", "bass_with_kick", "kick_with_bass")
    else:
        n_styles, n_drummers, names = 11, 6, controls_of(config.has_feel)
    assert len({one.style for one in atlas.performances}) >= n_styles
    assert len({one.drummer for one in atlas.performances}) >= n_drummers
    assert tuple(atlas.attributes) == names, "make the atlas again"


@shipped
def test_a_train_point_placed_anew_on_a_shipped_map_lands_within_its_neighbours(name):
    atlas = Studio().atlas(name)
    some = np.arange(0, len(atlas), 10)
    placed = atlas.tsne_map.place(atlas.codes[some])
    away = np.linalg.norm(placed[:, None] - atlas.tsne[None], axis=2)
    own = away[np.arange(len(some)), some]
    rank = (away < own[:, None]).sum(axis=1)
    assert (rank < 5).all()


@pytest.mark.parametrize("name", ["drums_2bar", "groove_2bar", "drums_16bar_hier", "groove_16bar"])
def test_a_point_of_a_shipped_atlas_decodes_to_the_window_it_is_of(name, real_dataset):
    studio = Studio()
    atlas = studio.atlas(name)
    windows = real_dataset.windows("train", atlas.n_bars)
    names = np.array([label.name for label in windows.labels])[windows.performance]
    some = np.arange(0, len(atlas), len(atlas) // 64)
    takes = studio.decode(name, atlas.codes[some], temperature=0.0)
    exact = []
    for point, take in zip(some, takes, strict=True):
        [at] = np.flatnonzero(
            (names == atlas.performance_of(point).name)
            & (windows.start_bar == atlas.start_bar[point])
        )
        hits = windows.features[at, :, :9] > 0.5
        exact.append((take.groove.hits == hits).all(axis=1).mean())
    assert np.mean(exact) > 0.97


def test_a_point_of_the_map_of_melodies_decodes_to_a_window_of_its_tune(real_archive):
    studio = Studio()
    atlas = studio.atlas("melody_2bar")
    windows = load_lines(real_archive.parent).windows("train", 2)
    titles = np.array([tune.title or tune.name for tune in windows.labels])[windows.performance]
    some = np.arange(0, len(atlas), len(atlas) // 64)
    exact = []
    for point, take in zip(
        some, studio.decode("melody_2bar", atlas.codes[some], temperature=0.0), strict=True
    ):
        of_title = titles == atlas.performance_of(point).name
        found = windows.classes[of_title & (windows.start_bar == atlas.start_bar[point])]
        exact.append((found == line_to_classes(take.groove)).mean(axis=1).max())
    assert np.mean(exact) > 0.97


@pytest.fixture(scope="module")
def groups():
    """Three groups of 60 codes each, far apart in direction, and the group of each."""
    rng = np.random.default_rng(0)
    centres = 8 * np.eye(16)[:3]
    codes = np.concatenate([centre + rng.standard_normal((60, 16)) for centre in centres])
    return codes.astype(np.float32), np.repeat(np.arange(3), 60)


@pytest.fixture(scope="module")
def fitted(groups):
    codes, _ = groups
    positions = _fit_tsne(codes)
    return positions, _TsneMap(codes, positions)


def distances(some, others):
    return np.linalg.norm(some[:, None] - others[None], axis=2)


def test_principal_components_are_those_of_the_singular_values(groups):
    codes, _ = groups
    principal = _fit_principal(codes)
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(
        principal.explained, (singular**2 / (singular**2).sum())[:3], rtol=1e-4
    )
    placed = principal.place(codes)
    assert placed.shape == (180, 3)
    np.testing.assert_allclose(np.abs(placed), np.abs(centred @ rows[:3].T), atol=1e-3)


def test_directions_have_length_one_and_zero_stays():
    made = directions(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(made, [[0.6, 0.8], [0.0, 0.0]])


def test_the_middle_of_codes_is_as_long_as_they_are():
    codes = np.array([[2.0, 0.0], [0.0, 4.0]], np.float32)
    np.testing.assert_allclose(mean_code(codes), 3 * np.sqrt(0.5) * np.ones(2), rtol=1e-6)
    np.testing.assert_allclose(mean_code(codes[:1]), codes[0])
    np.testing.assert_allclose(mean_code(np.zeros((3, 2), np.float32)), [0, 0])


def test_the_nearest_codes_are_those_at_the_smallest_angle(groups):
    codes, _ = groups
    one = codes[7] * 5  # length is of no account
    angles = [
        np.arccos(np.clip(code @ one / np.linalg.norm(code) / np.linalg.norm(one), -1, 1))
        for code in codes.astype(np.float64)
    ]
    assert list(nearest(codes, one, 9)) == list(np.argsort(angles)[:9])
    assert nearest(codes, one, 9)[0] == 7
    assert len(nearest(codes, one, 1000)) == len(codes)


def test_groups_stay_together_on_the_tsne_map(groups, fitted):
    _, group = groups
    positions, _ = fitted
    away = distances(positions, positions) + np.diag(np.full(len(group), np.inf))
    assert (group[away.argsort(axis=1)[:, :5]] == group[:, None]).all()
    np.testing.assert_allclose(positions.max(axis=0), -positions.min(axis=0), atol=1e-3)


def test_the_tsne_map_is_the_same_again(groups, fitted):
    np.testing.assert_array_equal(_fit_tsne(groups[0]), fitted[0])


def test_codes_of_the_map_placed_anew_land_where_they_were(groups, fitted):
    codes, group = groups
    positions, tsne_map = fitted
    away = distances(tsne_map.place(codes), positions)
    rank = (away < away.diagonal()[:, None]).sum(axis=1)
    assert np.median(rank) == 0
    assert np.quantile(rank, 0.9) < 10
    assert (group[away.argmin(axis=1)] == group).all()


def test_unseen_codes_land_in_their_group(groups, fitted):
    codes, group = groups
    positions, tsne_map = fitted
    unseen = codes + np.random.default_rng(1).standard_normal(codes.shape).astype(np.float32)
    away = distances(tsne_map.place(unseen), positions)
    assert (group[away.argmin(axis=1)] == group).mean() > 0.98


def test_a_code_lands_in_the_same_place_alone_and_in_company(groups, fitted):
    codes, _ = groups
    _, tsne_map = fitted
    together = tsne_map.place(codes[:5])
    for code, place in zip(codes[:5], together, strict=True):
        np.testing.assert_allclose(tsne_map.place(code[None])[0], place, atol=1e-4)
    assert tsne_map.place(codes[:0]).shape == (0, 2)
