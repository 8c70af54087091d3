"""Grooves and arrays as texts: exact, short, and refused where they are damaged."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from tiny_data import drummed_groove, random_groove

from musicvae_core.latent.results import Take
from musicvae_core.music.groove import Groove
from musicvae_core.music.packed import _pack_floats, _unpack_floats, pack_bytes, unpack_bytes

TAKE = TypeAdapter(Take)


def take(seed: int) -> Take:
    rng = np.random.default_rng(seed)
    return Take(random_groove(rng, 2), rng.normal(size=8).astype(np.float32), "a model", 3, 0.9)


@pytest.mark.parametrize("seed", range(20))
def test_a_groove_comes_back_exactly(seed):
    rng = np.random.default_rng(seed)
    make = (random_groove, drummed_groove)[seed % 2]
    groove = make(rng, 1 + seed % 5, 77.123456789)
    assert Groove.from_text(groove.to_text()) == groove


def test_a_silent_groove_and_a_long_piece_come_back_too():
    long = drummed_groove(np.random.default_rng(0), 256)
    for groove in (Groove.silent(3), long):
        assert Groove.from_text(groove.to_text()) == groove


def test_two_bars_of_a_drummer_are_a_few_hundred_letters():
    assert len(drummed_groove(np.random.default_rng(0), 2).to_text()) < 800


@pytest.mark.parametrize("shape", [(0,), (7,), (3, 4), ()])
def test_an_array_comes_back_with_its_shape(shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = _unpack_floats(_pack_floats(array))
    assert found.dtype == np.float32
    assert np.array_equal(found, array)
    assert found.shape == array.shape


def test_a_dataclass_with_both_goes_through_json_as_it_is():
    before = take(0)
    after = TAKE.validate_json(TAKE.dump_json(before))
    assert after.groove == before.groove
    assert np.array_equal(after.z, before.z)
    assert (after.model, after.seed, after.temperature) == ("a model", 3, 0.9)
    assert TAKE.validate_python(before) is before


@pytest.mark.parametrize("field", ["groove", "z"])
@pytest.mark.parametrize("at", [0, 5, 20, -3])
def test_truncated_or_changed_codes_are_refused(field, at):
    payload = TAKE.dump_python(take(1), mode="json")
    for broken in (payload[field][:at], "?" + payload[field][1:], payload[field] + "AAAA", 3, None):
        with pytest.raises(ValidationError):
            TAKE.validate_json(TypeAdapter(dict).dump_json(payload | {field: broken}))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", b"\x00" * 12, np.float32([np.nan]).tobytes(), b"\xff" * 40, b"\x02" * 11],
)
def test_intact_codes_without_a_valid_groove_are_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        Groove.from_text(pack_bytes(data))
    with pytest.raises(ValueError):  # noqa: PT011
        _unpack_floats(pack_bytes(b"\x01\x01\x00\x00\x00" + np.float32([np.inf]).tobytes()))


def test_a_text_that_inflates_too_far_is_refused():
    with pytest.raises(ValueError, match="end"):
        unpack_bytes(pack_bytes(bytes(2**24)))
