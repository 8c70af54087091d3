"""Named presets: a model and its training under one name, and how the command line changes them."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from musicvae_core.config import LabConfig, ModelConfig, TrainConfig
from musicvae_core.errors import ConfigError

PresetT = typing.TypeVar("PresetT", "Preset", "LabPreset")


@dataclass(frozen=True)
class Preset:
    """A model and its training under one name."""

    name: str
    title: str
    model: ModelConfig
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class LabPreset:
    """A groove lab and its training under one name."""

    name: str
    title: str
    model: LabConfig
    train: TrainConfig


def _tiny(preset: Preset) -> Preset:
    """Return the preset at a width that trains in seconds, for tests."""
    z_size = max(8, preset.model.n_bars)
    sizes = {"encoder_size": 16, "decoder_size": 16, "feel_size": 16, "bar_size": 8}
    sizes["z_size"] = z_size
    return Preset(
        f"{preset.name}_tiny",
        f"{preset.title} (tiny)",
        _resized(preset.model, sizes, encoder_bar_size=8, conductor_size=16),
        dataclasses.replace(
            preset.train, n_steps=20, batch_size=8, validate_every=10, warmup_steps=2
        ),
    )


def _large(preset: Preset) -> Preset:
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
        dataclasses.replace(preset.train, batch_size=256, n_steps=30_000, learning_rate=1e-3),
    )


def _resized(model: ModelConfig, sizes: Mapping[str, int], **optional: int) -> ModelConfig:
    """Return the model at other widths; those of parts that it lacks stay 0."""
    present = {name: size for name, size in optional.items() if getattr(model, name)}
    changes: dict[str, Any] = {**sizes, **present}
    return dataclasses.replace(model, **changes)


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
    dataclasses.replace(_16_BARS, conductor_size=384),
    _LONG,
)
_DRUMS_16BAR_FLAT = Preset(
    "drums_16bar_flat",
    "Drum pieces, 16 bars, without a conductor",
    dataclasses.replace(_16_BARS, decoder_size=288, step_paths="encoder"),
    _LONG,
)
_GROOVE_16BAR = Preset(
    "groove_16bar",
    "Pieces with feel, 16 bars",
    dataclasses.replace(
        _16_BARS, head="groove", conductor_size=384, z_size=1024, step_size=24, bar_size=192
    ),
    dataclasses.replace(_LONG, beta=0.12, feel_weight=0.5),
)

PRESETS: Mapping[str, Preset] = types.MappingProxyType(
    {
        preset.name: preset
        for base in (
            _DRUMS_2BAR,
            _GROOVE_2BAR,
            _DRUMS_16BAR_HIER,
            _DRUMS_16BAR_FLAT,
            _GROOVE_16BAR,
        )
        for preset in (base, _large(base), _tiny(base))
    }
)


_GROOVE_LAB = LabPreset(
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
    model=dataclasses.replace(_GROOVE_LAB.model, feel="mean"),
)
_GROOVE_LAB_TINY = LabPreset(
    "groove_lab_tiny",
    "Groove lab (tiny)",
    LabConfig(
        reader_size=16, context_size=8, encoder_size=16, z_size=4, decoder_size=16, feel_size=16
    ),
    dataclasses.replace(
        _GROOVE_LAB.train, n_steps=20, batch_size=8, validate_every=10, warmup_steps=2
    ),
)

LAB_PRESETS: Mapping[str, LabPreset] = types.MappingProxyType(
    {preset.name: preset for preset in (_GROOVE_LAB, _GROOVE_LAB_MEANS, _GROOVE_LAB_TINY)}
)


def preset(name: str) -> Preset:
    """Return the preset of that name.

    Raises
    ------
    ConfigError
        If there is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def override(preset: PresetT, assignments: Iterable[str]) -> PresetT:
    """Return the preset with `name=value` assignments applied to its typed fields, all at once.

    Raises
    ------
    ConfigError
        If a name is unknown, a value cannot be read as its field's type, or the fields do not
        go together.
    """
    changes: dict[str, dict[str, Any]] = {"model": {}, "train": {}}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        for part, values in changes.items():
            hints = typing.get_type_hints(type(getattr(preset, part)))
            if name in hints:
                values[name] = _parse(name, text, hints[name])
                break
        else:
            raise ConfigError(f"There is no field {name!r} to set; see --help for the fields.")
    parts = {
        part: dataclasses.replace(getattr(preset, part), **values)
        for part, values in changes.items()
    }
    return dataclasses.replace(preset, **parts)


def _parse(name: str, text: str, kind: Any) -> int | float | str:
    if kind not in (int, float):
        return text
    try:
        return typing.cast("int | float", kind(text))
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name} is {text!r}; it must be {wanted}.") from None
