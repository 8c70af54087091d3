"""Configurations: what each field refuses, and building one from plain values."""

import math

import pytest
from pydantic import ValidationError

from musicvae_core.errors import ConfigError
from musicvae_core.models.config import LabConfig, ModelConfig, TrainConfig
from musicvae_core.models.presets import preset
from musicvae_core.music.grid import COMMON_TIME

REFUSED_BY_MODEL = {
    "head": ["softmax"],
    "n_bars": [0, 65],
    "beats_per_bar": [0, 17],
    "steps_per_beat": [0, 7, 25],
    "encoder_size": [0, 8193],
    "encoder_layers": [0],
    "decoder_size": [0, 8193],
    "decoder_layers": [0],
    "z_size": [0, 8193],
    "step_size": [-1, 1025],
    "direct_paths": ["decoder"],
    "encoder_bar_size": [-1, 8193],
    "conductor_size": [-1, 8193],
    "bar_size": [0, 8193],
    "drums_layers": [-1, 8193],
    "feel_size": [0, 8193],
    "n_mixtures": [0],
}
REFUSED_BY_TRAIN = {
    "n_steps": [0],
    "batch_size": [0],
    "seed": [-1, 2**32],
    "learning_rate": [0.0, -1e-3, float("nan")],
    "final_learning_rate": [-1e-9],
    "warmup_steps": [-1],
    "beta": [-0.1],
    "beta_rate": [-0.1, 1.0],
    "beta_of_feel": [-0.1],
    "free_bits": [-1.0],
    "feel_weight": [-0.1],
    "word_dropout": [-0.1, 1.0],
    "sampling_rate": [-1.0],
    "dropout": [-0.1, 1.0],
    "augmentation": [-0.1, 1.0],
    "shortest_bars": [-1],
    "initial_sigma": [-0.1],
    "fixed_encoder": ["yes"],
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


def test_a_configuration_by_its_former_names_is_read_and_one_without_successor_refused():
    former = preset("drums_16bar_hier").model.model_dump() | {"bars_share_z": True}
    former["step_paths"] = former.pop("direct_paths")
    assert ModelConfig(**former) == preset("drums_16bar_hier").model
    with pytest.raises(ConfigError, match=r"bars_share_z is False.*train it again"):
        ModelConfig(**former | {"bars_share_z": False})


def test_a_trio_has_direct_paths():
    with pytest.raises(
        ConfigError, match=r"^direct_paths is 'encoder'; it must be 'both' for a trio"
    ):
        preset("trio_16bar").model.replaced(direct_paths="encoder")


def test_every_field_has_a_limit_that_is_tested():
    for cls, refused in ((ModelConfig, REFUSED_BY_MODEL), (TrainConfig, REFUSED_BY_TRAIN)):
        assert set(cls.model_fields) == set(refused)


@pytest.mark.parametrize(("cls", "name", "value"), REFUSALS)
def test_a_bad_value_is_refused_with_its_name_its_value_and_the_limit(cls, name, value):
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}; it must be "):
        cls(**{name: value})


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    "name", [name for name, field in TrainConfig.model_fields.items() if field.annotation is float]
)
def test_numbers_that_are_not_finite_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}; it must be "):
        TrainConfig(**{name: value})


def test_configurations_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        ModelConfig().z_size = 3


def test_derived_dimensions():
    assert ModelConfig(n_bars=4).n_steps == 64
    assert ModelConfig(n_bars=4, beats_per_bar=3, steps_per_beat=6).n_steps == 72
    assert ModelConfig().grid == LabConfig().grid == COMMON_TIME
    assert ModelConfig(head="groove").has_feel
    assert not ModelConfig(head="categorical").has_feel


def test_a_configuration_comes_back_from_its_plain_values():
    config = TrainConfig(beta=0.25, seed=7)
    assert TrainConfig(**config.model_dump()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"z_sise": 3}, "ModelConfig has no field 'z_sise'; it has .*head, "),
        ({"z_size": 3.5}, "z_size is 3.5; it must be a whole number"),
        ({"z_size": 0}, "z_size is 0"),
        ({"z_size": "3"}, "z_size is '3'; it must be a whole number"),
        ({"n_bars": None}, "n_bars is None"),
        ({"n_bars": True}, "n_bars is True"),
        ({"head": 1}, "head is 1; it must be 'categorical'"),
    ],
)
def test_plain_values_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**values)


def test_bars_that_share_z_share_it_evenly():
    with pytest.raises(ConfigError, match="z_size is 100; it must be a multiple of n_bars, 16"):
        ModelConfig(n_bars=16, z_size=100, conductor_size=8)
    assert ModelConfig(n_bars=16, z_size=100).z_size == 100
