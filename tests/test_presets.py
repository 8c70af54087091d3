"""Presets by name, their sizes, and overrides of their fields."""

import pytest

from musicvae_core.errors import ConfigError
from musicvae_core.models.presets import PRESETS, override, preset


def test_presets_are_found_by_their_own_names():
    for name, found in PRESETS.items():
        assert found.name == name
        assert preset(name) is found
    assert preset("drums_2bar").model.head == "categorical"
    assert preset("groove_2bar").model.head == "groove"
    assert {
        f"{base}{size}"
        for base in ("drums_2bar", "groove_2bar")
        for size in ("", "_large", "_tiny")
    } <= set(PRESETS)


def test_sizes_of_a_preset_differ_in_size_alone():
    for base in ("drums_2bar", "groove_2bar"):
        sizes = [PRESETS[f"{base}{size}"].model for size in ("_tiny", "", "_large")]
        assert sizes[0].decoder_size < sizes[1].decoder_size < sizes[2].decoder_size
        assert len({(model.head, model.n_bars) for model in sizes}) == 1


def test_an_unknown_preset_is_refused_with_a_list():
    with pytest.raises(ConfigError, match=r"no preset 'drums'.*drums_2bar, "):
        preset("drums")


def test_overrides_reach_typed_fields_of_model_and_training():
    changed = override(preset("drums_2bar"), ["z_size=32", "beta=2e-1", "head=groove"])
    assert (changed.model.z_size, changed.train.beta, changed.model.head) == (32, 0.2, "groove")
    assert type(changed.model.z_size) is int
    assert type(changed.train.beta) is float
    assert changed.train.n_steps == preset("drums_2bar").train.n_steps
    assert preset("drums_2bar").model.z_size != 32


def test_a_later_override_wins_and_none_changes_nothing():
    assert override(preset("drums_2bar"), ["seed=1", "seed=2"]).train.seed == 2
    assert override(preset("drums_2bar"), []) == preset("drums_2bar")


def test_fields_that_depend_on_each_other_are_set_in_any_order():
    together = ["n_bars=12", "z_size=396", "seed=1"]
    for assignments in (together, together[::-1]):
        changed = override(preset("drums_16bar_hier"), assignments)
        assert (changed.model.n_bars, changed.model.z_size, changed.train.seed) == (12, 396, 1)
    with pytest.raises(ConfigError, match="z_size is 400; it must be a multiple of n_bars, 12"):
        override(preset("drums_16bar_hier"), ["n_bars=12", "z_size=400"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("z_sise=3", "no field 'z_sise'"),
        ("=3", "no field ''"),
        ("z_size=3.5", "z_size is '3.5'; it must be a whole number"),
        ("z_size", "z_size is ''; it must be a whole number"),
        ("beta=much", "beta is 'much'; it must be a number"),
        ("z_size=0", "z_size is 0; it must be at least 1"),
        ("head=melody", "head is 'melody'; it must be 'categorical', 'groove', 'line' or 'trio'"),
        ("learning_rate=nan", "learning_rate is nan; it must be finite"),
        ("beta=inf", "beta is inf; it must be finite"),
    ],
)
def test_a_bad_override_is_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        override(preset("drums_2bar"), [assignment])
