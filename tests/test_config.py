"""Configurations: what each field refuses, presets, and overrides by name."""

import dataclasses
import math

import pytest

from musicvae_core.config import (
    PRESETS,
    ModelConfig,
    TrainConfig,
    from_dict,
    override,
    preset,
)
from musicvae_core.errors import ConfigError

REFUSED_BY_MODEL = {
    "head": ["softmax"],
    "n_bars": [0, 65],
    "encoder_size": [0, 8193],
    "encoder_layers": [0],
    "decoder_size": [0, 8193],
    "decoder_layers": [0],
    "z_size": [0, 8193],
    "step_size": [-1, 1025],
    "step_paths": ["decoder"],
    "encoder_bar_size": [-1, 8193],
    "conductor_size": [-1, 8193],
    "bar_size": [0, 8193],
    "feel_size": [0, 8193],
    "n_mixtures": [0],
}
REFUSED_BY_TRAIN = {
    "n_steps": [0],
    "batch_size": [0],
    "seed": [-1],
    "learning_rate": [0.0, -1e-3, float("nan")],
    "final_learning_rate": [-1e-9],
    "warmup_steps": [-1],
    "beta": [-0.1],
    "beta_rate": [-0.1, 1.0],
    "free_bits": [-1.0],
    "feel_weight": [-0.1],
    "word_dropout": [-0.1, 1.0],
    "sampling_rate": [-1.0],
    "dropout": [-0.1, 1.0],
    "augmentation": [-0.1, 1.0],
    "shortest_bars": [-1],
    "initial_sigma": [-0.1],
    "gradient_clip": [0.0],
    "weight_decay": [-0.1],
    "average_decay": [-0.1, 1.0],
    "validate_every": [0],
    "patience": [-1],
}
REFUSALS = [
    pytest.param(cls, name, value, id=f"{name}={value}")
    for cls, refused in ((ModelConfig, REFUSED_BY_MODEL), (TrainConfig, REFUSED_BY_TRAIN))
    for name, values in refused.items()
    for value in values
]


def test_every_field_has_a_limit_that_is_tested():
    for cls, refused in ((ModelConfig, REFUSED_BY_MODEL), (TrainConfig, REFUSED_BY_TRAIN)):
        assert {field.name for field in dataclasses.fields(cls)} == set(refused)


@pytest.mark.parametrize(("cls", "name", "value"), REFUSALS)
def test_a_bad_value_is_refused_with_its_name_its_value_and_the_limit(cls, name, value):
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}; it must be "):
        cls(**{name: value})


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(TrainConfig) if field.type == "float"]
)
def test_numbers_that_are_not_finite_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}; it must be "):
        TrainConfig(**{name: value})
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}; it must be "):
        override(preset("drums_2bar"), [f"{name}={value}"])


def test_configurations_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().z_size = 3


def test_derived_dimensions():
    assert ModelConfig(n_bars=4).n_steps == 64
    assert ModelConfig(head="groove").has_feel
    assert not ModelConfig(head="categorical").has_feel


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


def test_an_unknown_preset_is_refused_with_those_there_are():
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


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("z_sise=3", "no field 'z_sise'"),
        ("=3", "no field ''"),
        ("z_size=3.5", "z_size is '3.5'; it must be a whole number"),
        ("z_size", "z_size is ''; it must be a whole number"),
        ("beta=much", "beta is 'much'; it must be a number"),
        ("z_size=0", "z_size is 0; it must be 1 to 8192"),
        ("head=melody", "head is 'melody'; it must be categorical or groove"),
        ("learning_rate=nan", "learning_rate is nan; it must be above 0"),
    ],
)
def test_a_bad_override_is_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        override(preset("drums_2bar"), [assignment])


def test_a_configuration_comes_back_from_its_plain_values():
    config = TrainConfig(beta=0.25, seed=7)
    assert from_dict(TrainConfig, dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"z_sise": 3}, "ModelConfig has no field 'z_sise'; it has head, "),
        ({"z_size": 3.5}, "z_size is 3.5; it must be a whole number"),
        ({"z_size": 0}, "z_size is 0"),
        ({"z_size": "3"}, "z_size is '3'; it must be a whole number"),
        ({"n_bars": None}, "n_bars is None"),
        ({"n_bars": True}, "n_bars is True"),
        ({"head": 1}, "head is 1; it must be a text"),
    ],
)
def test_plain_values_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(ModelConfig, values)


def test_bars_that_share_z_share_it_evenly():
    with pytest.raises(ConfigError, match="z_size is 100; it must be a multiple of n_bars, 16"):
        ModelConfig(n_bars=16, z_size=100, conductor_size=8)
    assert ModelConfig(n_bars=16, z_size=100).z_size == 100
