"""Named presets of a model and its training, and how the command line changes them."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from musicvae_core.errors import ConfigError
from musicvae_core.models.config import Config, LabConfig, ModelConfig, TrainConfig

_ConfigT = TypeVar("_ConfigT", bound=Config)


@dataclass(frozen=True)
class Preset(Generic[_ConfigT]):
    """A model and its training under one name."""

    name: str
    title: str
    model: _ConfigT
    train: TrainConfig = field(default_factory=TrainConfig)


def _tiny(preset: Preset[ModelConfig]) -> Preset[ModelConfig]:
    """Return the preset with layers small enough to train in seconds, for tests."""
    n_portions = preset.model.n_bars * (3 if preset.model.head == "trio" else 1)
    z_size = max(8, n_portions)
    sizes = {"encoder_size": 16, "decoder_size": 16, "feel_size": 16, "bar_size": 8}
    sizes["z_size"] = z_size
    return Preset(
        f"{preset.name}_tiny",
        f"{preset.title} (tiny)",
        _resized(preset.model, sizes, encoder_bar_size=8, conductor_size=16),
        preset.train.replaced(n_steps=20, batch_size=8, validate_every=10, warmup_steps=2),
    )


def _large(preset: Preset[ModelConfig]) -> Preset[ModelConfig]:
    """Return the preset at the size of the paper, for a GPU."""
    sizes = {
        "encoder_size": 2048,
        "decoder_size": 1024,
        "z_size": max(512, preset.model.z_size),
        "feel_size": 512,
        "bar_size": 512,
    }
    return Preset(
        f"{preset.name}_large",
        f"{preset.title} (GPU size)",
        _resized(preset.model, sizes, encoder_bar_size=1024, conductor_size=1024),
        preset.train.replaced(batch_size=256, n_steps=30_000, learning_rate=1e-3),
    )


def _resized(model: ModelConfig, sizes: Mapping[str, int], **optional: int) -> ModelConfig:
    """Return the model with other widths; optional parts that it lacks stay at 0."""
    present = {name: size for name, size in optional.items() if getattr(model, name)}
    changes: dict[str, Any] = {**sizes, **present}
    return model.replaced(**changes)


_DRUMS_2BAR = Preset("drums_2bar", "Drum loops, 2 bars", ModelConfig(head="categorical"))
_GROOVE_2BAR = Preset(
    "groove_2bar",
    "Grooves with feel, 2 bars",
    ModelConfig(head="groove", step_size=24),
    TrainConfig(n_steps=9_000, beta=0.15, feel_weight=0.5),
)

_16_BARS = ModelConfig(
    n_bars=16,
    encoder_size=256,
    encoder_bar_size=192,
    decoder_size=256,
    z_size=512,
    step_size=16,
    bar_size=128,
)
_LONG = TrainConfig(n_steps=4_000, batch_size=16, shortest_bars=4, initial_sigma=0.13)
_DRUMS_16BAR_HIER = Preset(
    "drums_16bar_hier",
    "Drum pieces, 16 bars",
    _16_BARS.replaced(conductor_size=384),
    _LONG,
)
_PAPERS_16_BARS = _16_BARS.replaced(decoder_layers=1, direct_paths="encoder")
_DRUMS_16BAR_FLAT = Preset(
    "drums_16bar_flat",
    "Drum pieces, 16 bars, without a conductor",
    _PAPERS_16_BARS.replaced(decoder_size=352),
    _LONG,
)
_DRUMS_16BAR_ONE_Z = Preset(
    "drums_16bar_one_z",
    "Drum pieces, 16 bars, a conductor of one z",
    _PAPERS_16_BARS.replaced(conductor_size=384),
    _LONG,
)
_GROOVE_16BAR = Preset(
    "groove_16bar",
    "Pieces with feel, 16 bars",
    _16_BARS.replaced(head="groove", conductor_size=384, z_size=1024, step_size=24, bar_size=192),
    _LONG.replaced(beta=0.12, feel_weight=0.5),
)

_MELODY_2BAR = Preset(
    "melody_2bar",
    "Melodies, 2 bars",
    ModelConfig(
        head="line",
        encoder_size=256,
        decoder_size=256,
        decoder_layers=1,
        z_size=192,
        step_size=16,
    ),
    TrainConfig(n_steps=3_000, beta=0.05, augmentation=0.9, initial_sigma=0.15, average_decay=0.99),
)

_MELODY_16BAR = Preset(
    "melody_16bar",
    "Melodies, 16 bars",
    _16_BARS.replaced(head="line", conductor_size=256, decoder_layers=1, z_size=1024, bar_size=192),
    TrainConfig(
        n_steps=2_000,
        batch_size=16,
        beta=0.05,
        augmentation=0.9,
        initial_sigma=0.15,
        average_decay=0.99,
        validate_every=250,
    ),
)

_TRIO_16BAR = Preset(
    "trio_16bar",
    "Melody, bass and drums, 16 bars",
    _MELODY_16BAR.model.replaced(
        head="trio",
        z_size=16 * 3 * 64,
        drums_layers=2,
        encoder_bar_size=96,
        conductor_size=128,
    ),
    _MELODY_16BAR.train.replaced(
        n_steps=150,
        batch_size=8,
        beta=0.1,
        beta_rate=0.95,
        learning_rate=1e-3,
        warmup_steps=10,
        validate_every=50,
        average_decay=0.95,
    ),
)

_GROOVE_LAB = Preset(
    "groove_lab",
    "Groove lab",
    LabConfig(),
    TrainConfig(
        n_steps=6_000, batch_size=32, beta=0.5, word_dropout=0.1, feel_weight=1.0, augmentation=0.0
    ),
)
_GROOVE_LAB_MEANS = dataclasses.replace(
    _GROOVE_LAB,
    name="groove_lab_means",
    title="Groove lab with averaged feel, to compare",
    model=_GROOVE_LAB.model.replaced(feel="mean"),
)
_GROOVE_LAB_TINY = Preset(
    "groove_lab_tiny",
    "Groove lab (tiny)",
    LabConfig(
        reader_size=16, context_size=8, encoder_size=16, z_size=4, decoder_size=16, feel_size=16
    ),
    _GROOVE_LAB.train.replaced(n_steps=20, batch_size=8, validate_every=10, warmup_steps=2),
)

_MUSICVAES = (
    _DRUMS_2BAR,
    _GROOVE_2BAR,
    _DRUMS_16BAR_HIER,
    _DRUMS_16BAR_FLAT,
    _DRUMS_16BAR_ONE_Z,
    _GROOVE_16BAR,
    _MELODY_2BAR,
    _MELODY_16BAR,
    _TRIO_16BAR,
)
_ALL: tuple[Preset[Any], ...] = (
    *(sized for base in _MUSICVAES for sized in (base, _large(base), _tiny(base))),
    *(_GROOVE_LAB, _GROOVE_LAB_MEANS, _GROOVE_LAB_TINY),
)

PRESETS: Mapping[str, Preset[Any]] = types.MappingProxyType(
    {preset.name: preset for preset in _ALL}
)


def preset(name: str) -> Preset[Any]:
    """Return the preset of that name.

    Raises
    ------
    ConfigError
        If there is no such preset; the message lists them.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def override(preset: Preset[_ConfigT], assignments: Iterable[str]) -> Preset[_ConfigT]:
    """Return the preset with `name=value` assignments applied to its fields, all at once.

    Raises
    ------
    ConfigError
        If a name is unknown, a value cannot be parsed as its field's type, or the fields are
        inconsistent.
    """
    texts = {name: text for name, _, text in (one.partition("=") for one in assignments)}
    parts: dict[str, Config] = {"model": preset.model, "train": preset.train}
    known = {name for config in parts.values() for name in type(config).model_fields}
    unknown = [name for name in texts if name not in known]
    if unknown:
        raise ConfigError(f"There is no field {unknown[0]!r} to set; see --help for the fields.")
    changed: dict[str, Any] = {
        part: config.replaced_by_texts(
            {name: text for name, text in texts.items() if name in type(config).model_fields}
        )
        for part, config in parts.items()
    }
    return dataclasses.replace(preset, **changed)
