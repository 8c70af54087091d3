"""Frozen configurations of model and training, and the named presets made of them."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from musicvae_core.errors import ConfigError
from musicvae_core.vocabulary import STEPS_PER_BAR

Head = Literal["categorical", "groove"]
StepPaths = Literal["both", "encoder"]
Feel = Literal["mixture", "mean"]
ConfigT = typing.TypeVar("ConfigT")
PresetT = typing.TypeVar("PresetT", "Preset", "LabPreset")
_PLAIN_KINDS: dict[Any, tuple[Any, str]] = {
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
}


def _require(holds: bool, name: str, value: object, limit: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {value!r}; it must be {limit}.")


@dataclass(frozen=True)
class ModelConfig:
    """The dimensions of one model; everything needed to build it without its weights.

    Parameters
    ----------
    head
        `categorical`: the paper's 512 drum combinations, without feel. `groove`: the same
        combinations, and for each hit a velocity and an offset drawn from mixtures.
    n_bars
        Length of the sequences, in bars of 16 steps.
    encoder_size, encoder_layers
        Width of one direction of the bidirectional encoder, and its depth.
    decoder_size, decoder_layers
        Width and depth of the decoder.
    z_size
        Dimensions of the latent space; where the encoder or the decoder knows bars, they share
        it evenly.
    step_size
        Width of the direct paths between z, or a bar's embedding, and every single step, both
        ways; 0 for none, as in the paper.
    step_paths
        `both` ways, or `encoder` alone, so that a decoder as in the paper can be compared
        behind the same encoder.
    encoder_bar_size
        Width of one direction of the encoder's LSTM over bars; 0 for one LSTM over all steps.
    conductor_size
        Width of the conductor, which gives every bar its embedding; 0 for a flat decoder.
    bar_size
        Width of a bar's embedding, and of what the encoder says of a bar.
    feel_size, n_mixtures
        Width of the feel network and logistic components a velocity or offset (groove head).
    """

    head: Head = "categorical"
    n_bars: int = 2
    encoder_size: int = 512
    encoder_layers: int = 1
    decoder_size: int = 256
    decoder_layers: int = 2
    z_size: int = 256
    step_size: int = 0
    step_paths: StepPaths = "both"
    encoder_bar_size: int = 0
    conductor_size: int = 0
    bar_size: int = 128
    feel_size: int = 256
    n_mixtures: int = 3

    def __post_init__(self) -> None:
        _require(self.head in typing.get_args(Head), "head", self.head, "categorical or groove")
        _require(1 <= self.n_bars <= 64, "n_bars", self.n_bars, "1 to 64")
        paths = typing.get_args(StepPaths)
        _require(self.step_paths in paths, "step_paths", self.step_paths, "both or encoder")
        _require(0 <= self.step_size <= 1024, "step_size", self.step_size, "0 to 1024")
        for name in ("encoder_bar_size", "conductor_size"):
            _require(0 <= getattr(self, name) <= 8192, name, getattr(self, name), "0 to 8192")
        if self.encoder_bar_size or self.conductor_size:
            shared = self.z_size % self.n_bars == 0
            _require(shared, "z_size", self.z_size, f"a multiple of n_bars, {self.n_bars}")
        sizes = ("encoder_size", "decoder_size", "z_size", "feel_size", "n_mixtures", "bar_size")
        for name in (*sizes, "encoder_layers", "decoder_layers"):
            value = getattr(self, name)
            _require(1 <= value <= 8192, name, value, "1 to 8192")

    @property
    def n_steps(self) -> int:
        """Sequence length in sixteenths."""
        return self.n_bars * STEPS_PER_BAR

    @property
    def has_feel(self) -> bool:
        """Whether the model hears and plays velocity and timing."""
        return self.head == "groove"


@dataclass(frozen=True)
class LabConfig:
    """The dimensions of a groove lab.

    Parameters
    ----------
    n_bars
        Length of the windows that it is trained on, in bars; it plays any length.
    reader_size, context_size
        Width of one direction of the LSTM that reads what is kept, and of what the decoder
        hears of it at every step.
    encoder_size, z_size
        Width of one direction of the posterior's LSTM, and latent dimensions.
    decoder_size, decoder_layers, feel_size, n_mixtures
        As `ModelConfig`.
    feel
        `mixture`: velocities and offsets are drawn from learned distributions. `mean`: they are
        means learned by squared error, as in GrooVAE, to compare; n_mixtures is not used.
    styles, drummers
        Names of what can be asked for, joined by commas.
    """

    n_bars: int = 4
    reader_size: int = 192
    context_size: int = 96
    encoder_size: int = 192
    z_size: int = 32
    decoder_size: int = 256
    decoder_layers: int = 2
    feel_size: int = 256
    n_mixtures: int = 3
    feel: Feel = "mixture"
    styles: str = (
        "afrobeat,afrocuban,blues,country,dance,funk,gospel,highlife,hiphop,jazz,latin,"
        "middleeastern,neworleans,pop,punk,reggae,rock,soul"
    )
    drummers: str = (
        "drummer1,drummer2,drummer3,drummer4,drummer5,drummer6,drummer7,drummer8,drummer9,drummer10"
    )

    def __post_init__(self) -> None:
        _require(2 <= self.n_bars <= 64, "n_bars", self.n_bars, "2 to 64")
        _require(self.feel in typing.get_args(Feel), "feel", self.feel, "mixture or mean")
        for name in ("reader_size", "context_size", "encoder_size", "z_size", "decoder_size"):
            _require(1 <= getattr(self, name) <= 8192, name, getattr(self, name), "1 to 8192")
        for name in ("decoder_layers", "feel_size", "n_mixtures"):
            _require(1 <= getattr(self, name) <= 8192, name, getattr(self, name), "1 to 8192")
        for name in ("styles", "drummers"):
            names = getattr(self, name).split(",")
            _require(len(set(names)) == len(names), name, getattr(self, name), "distinct names")

    @property
    def style_names(self) -> tuple[str, ...]:
        """The styles that can be asked for."""
        return tuple(self.styles.split(","))

    @property
    def drummer_names(self) -> tuple[str, ...]:
        """The drummers that can be asked for."""
        return tuple(self.drummers.split(","))


@dataclass(frozen=True)
class TrainConfig:
    """How one model is trained.

    Parameters
    ----------
    n_steps, batch_size, seed
        Optimiser steps, windows a step, and the seed of every random choice.
    learning_rate, final_learning_rate, warmup_steps
        Peak and end of a cosine decay after a linear warm-up.
    beta, beta_rate
        Weight of the KL term at the end, and the base of its annealing,
        beta * (1 - beta_rate ** step).
    free_bits
        KL an example may spend without cost, in bits, in total over z.
    feel_weight
        Weight of velocity and offset beside hits in the reconstruction.
    word_dropout
        Share of the decoder's inputs that are blanked.
    sampling_rate
        Rate of the inverse sigmoid of scheduled sampling; 0 turns it off.
    dropout
        Dropout on the decoder's outputs.
    augmentation
        Share of examples that are recombined (see `augmentation.augment`).
    shortest_bars
        Performances of at least so many bars, but shorter than a window, are repeated to its
        length and trained on as well; 0 for none.
    initial_sigma
        Deviation of the posterior at the start, where mu is spread over the data as its prior
        is; 0 leaves both as PyTorch initialises them.
    gradient_clip, weight_decay, average_decay
        Norm limit of the gradient, AdamW's decay, and the decay of the running average
        of the weights that is validated and shipped.
    validate_every, patience
        Steps between validations, and validations without a better one before stopping
        (0: never stop early).
    """

    n_steps: int = 20_000
    batch_size: int = 64
    seed: int = 0
    learning_rate: float = 2e-3
    final_learning_rate: float = 1e-5
    warmup_steps: int = 200
    beta: float = 0.03
    beta_rate: float = 0.999
    free_bits: float = 0.0
    feel_weight: float = 1.0
    word_dropout: float = 0.2
    sampling_rate: float = 0.0
    dropout: float = 0.0
    augmentation: float = 0.6
    shortest_bars: int = 0
    initial_sigma: float = 0.0
    gradient_clip: float = 1.0
    weight_decay: float = 0.0
    average_decay: float = 0.998
    validate_every: int = 500
    patience: int = 0

    def __post_init__(self) -> None:
        for name in ("n_steps", "batch_size", "validate_every"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("word_dropout", "dropout", "augmentation"):
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        for name in ("beta_rate", "average_decay"):
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        for name in ("learning_rate", "gradient_clip"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        counts = ("warmup_steps", "patience", "seed", "shortest_bars")
        weights = ("beta", "free_bits", "feel_weight", "sampling_rate", "weight_decay")
        for name in (*counts, *weights, "final_learning_rate", "initial_sigma"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name, value in dataclasses.asdict(self).items():
            _require(value < math.inf, name, value, "finite")


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


def from_dict(cls: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    """Build a configuration from plain values, refusing unknown names and wrong types."""
    fields = typing.get_type_hints(cls)
    for name, value in values.items():
        if name not in fields:
            raise ConfigError(f"{cls.__name__} has no field {name!r}; it has {', '.join(fields)}.")
        kinds, wanted = _PLAIN_KINDS.get(fields[name], (str, "a text"))
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ConfigError(f"{name} is {value!r}; it must be {wanted}.")
    return cls(**values)


def override(preset: PresetT, assignments: Iterable[str]) -> PresetT:
    """Return the preset with `name=value` assignments applied to its typed fields.

    Raises
    ------
    ConfigError
        If a name is unknown, or a value cannot be read as its field's type.
    """
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        for part in ("model", "train"):
            config = getattr(preset, part)
            hints = typing.get_type_hints(type(config))
            if name in hints:
                value = _parse(name, text, hints[name])
                changed = dataclasses.replace(config, **{name: value})
                preset = dataclasses.replace(preset, **{part: changed})
                break
        else:
            raise ConfigError(f"There is no field {name!r} to set; see --help for the fields.")
    return preset


def _parse(name: str, text: str, kind: Any) -> int | float | str:
    if kind not in (int, float):
        return text
    try:
        return typing.cast("int | float", kind(text))
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name} is {text!r}; it must be {wanted}.") from None
