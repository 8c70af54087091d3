"""Maps of codes: against plain linear algebra, and new codes among their neighbours."""

import numpy as np
import pytest

from musicvae_core.space.projection import (
    TsneMap,
    directions,
    fit_principal,
    fit_tsne,
    mean_code,
    nearest,
)


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
    positions = fit_tsne(codes)
    return positions, TsneMap(codes, positions)


def distances(some, others):
    return np.linalg.norm(some[:, None] - others[None], axis=2)


def test_principal_components_are_those_of_the_singular_values(groups):
    codes, _ = groups
    principal = fit_principal(codes)
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
    np.testing.assert_array_equal(fit_tsne(groups[0]), fitted[0])


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
