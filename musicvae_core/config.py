"""Frozen configurations of models and of their training."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from musicvae_core.errors import ConfigError
from musicvae_core.vocabulary import STEPS_PER_BAR

Head = Literal["categorical", "groove"]
StepPaths = Literal["both", "encoder"]
Feel = Literal["mixture", "mean"]
MAX_SEED = 2**32 - 1
"""The greatest seed that everything takes which draws: NumPy's, PyTorch's and scikit-learn's."""
ConfigT = typing.TypeVar("ConfigT")
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
    beta_of_feel
        What the groove lab multiplies beta by for examples of which all hits are known.
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
        Share of examples that are recombined, or by the lab are played with another feel (see
        `augmentation`).
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
    beta_of_feel: float = 1.0
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
        _require(0 <= self.seed <= MAX_SEED, "seed", self.seed, f"0 to {MAX_SEED}")
        counts = ("warmup_steps", "patience", "shortest_bars")
        weights = (
            "beta",
            "beta_of_feel",
            "free_bits",
            "feel_weight",
            "sampling_rate",
            "weight_decay",
        )
        for name in (*counts, *weights, "final_learning_rate", "initial_sigma"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name, value in dataclasses.asdict(self).items():
            _require(value < math.inf, name, value, "finite")


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
