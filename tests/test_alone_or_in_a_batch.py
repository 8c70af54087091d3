"""The same z and seed give the same music on every shipped model, alone or among others.

The music is the same to the hit, the velocity and the tick; codes are compared within 1e-5, as a
processor of another kind may add up otherwise in the last bit.
"""

import numpy as np
import pytest
import torch

from musicvae_core.lab.completion import complete
from musicvae_core.lab.options import Sampling
from musicvae_core.latent.codes import decode_music, encode_music, refine_path
from musicvae_core.models.conditioning import Conditioning, tempo_only
from musicvae_core.studio import SHIPPED_CHECKPOINTS, Studio

MODELS = [info.name for info in Studio().models()]
N = 20
FEW = (1, 3, 8, 13)


@pytest.fixture(scope="module")
def real_studio():
    return Studio()


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return request.param


@pytest.fixture(scope="module")
def together(real_studio, model):
    return real_studio.sample(model, N, seed=5)


def music_of(takes):
    return [take.groove for take in takes]


@pytest.mark.parametrize("n", FEW)
def test_the_first_samples_are_the_same_however_many_follow(real_studio, model, together, n):
    few = real_studio.sample(model, n, seed=5)
    assert music_of(few) == music_of(together)[:n]
    for alone, among in zip(few, together, strict=False):
        np.testing.assert_allclose(alone.z, among.z, rtol=0, atol=1e-5)


def test_the_first_samples_of_a_style_or_density_do_not_depend_on_the_others(real_studio, model):
    if not (SHIPPED_CHECKPOINTS / model / "atlas.npz").exists():
        pytest.skip("this model has no atlas to start from")
    many = real_studio.sample(model, N, seed=5, busy=0.4)
    assert music_of(real_studio.sample(model, 3, seed=5, busy=0.4)) == music_of(many)[:3]


def test_a_code_is_decoded_and_encoded_alike_alone_and_in_any_order(real_studio, model, together):
    checkpoint = real_studio.checkpoint(model)
    codes = np.stack([take.z for take in together])
    cold = decode_music(checkpoint, codes, 0.0, 100)
    heard = encode_music(checkpoint, cold)
    order = np.random.default_rng(0).permutation(N)
    assert decode_music(checkpoint, codes[order], 0.0, 100) == [cold[index] for index in order]
    reordered = encode_music(checkpoint, [cold[index] for index in order])
    np.testing.assert_allclose(reordered, heard[order], rtol=0, atol=1e-5)
    for index in range(0, N, 5):
        assert decode_music(checkpoint, codes[index : index + 1], 0.0, 100) == [cold[index]]
        alone = encode_music(checkpoint, [cold[index]])[0]
        np.testing.assert_allclose(alone, heard[index], rtol=0, atol=1e-5)


def test_a_step_of_a_path_is_refined_and_drawn_alike_with_fewer_steps(real_studio, model, together):
    checkpoint = real_studio.checkpoint(model)
    codes, fractions = np.stack([take.z for take in together[:9]]), np.linspace(0, 1, 9)
    path = refine_path(checkpoint, codes, fractions)
    drawn = decode_music(checkpoint, path, 1.0, 100, seed=3, share_noise=True)
    for index in range(0, 9, 2):
        own = refine_path(checkpoint, codes[[index]], fractions[[index]])
        np.testing.assert_allclose(own[0], path[index], rtol=0, atol=1e-5)
        assert decode_music(checkpoint, own, 1.0, 100, seed=3, share_noise=True) == [drawn[index]]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_number_of_threads_changes_nothing(real_studio, model, together, n_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        assert music_of(real_studio.sample(model, 2, seed=5)) == music_of(together)[:2]
    finally:
        torch.set_num_threads(before)


def test_the_lab_completes_a_groove_alike_alone_and_among_others(real_studio):
    model = real_studio.lab().checkpoint.model
    rng = np.random.default_rng(1)
    n, n_steps = 9, 6 * 16
    hits = rng.random((n, n_steps, 9)) < 0.1
    features = np.concatenate([hits, 0.8 * hits, 0 * hits], axis=-1).astype(np.float32)
    tempos_bpm = np.full(n, 100, np.float32)

    def completed(rows):
        given = Conditioning.notes(features[:rows])
        return complete(model, given, tempo_only(tempos_bpm[:rows]), Sampling(seed=4))

    many = completed(n)
    for rows in (1, 4):
        assert np.array_equal(completed(rows), many[:rows])
