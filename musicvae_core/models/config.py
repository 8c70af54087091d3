"""Frozen configurations of models and their training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from musicvae_core.errors import ConfigError
from musicvae_core.music.grid import Grid

_Head = Literal["categorical", "groove", "line", "trio"]
_DirectPaths = Literal["both", "encoder"]
_Feel = Literal["mixture", "mean"]
MAX_TEMPERATURE = 2.0
"""The highest temperature; the lowest, 0, takes the most likely class."""
MAX_SEED = 2**32 - 1
"""The greatest seed that NumPy, PyTorch and scikit-learn all accept."""
_ConfigT = TypeVar("_ConfigT", bound="Config")

Size = Annotated[int, Field(ge=1, le=8192)]
_OptionalSize = Annotated[int, Field(ge=0, le=8192)]
_Count = Annotated[int, Field(ge=1)]
_OptionalCount = Annotated[int, Field(ge=0)]
_Weight = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, lt=1)]
_Positive = Annotated[float, Field(gt=0)]

_LIMITS = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
    "finite_number": "finite",
    "literal_error": "{expected}",
    "string_type": "a text",
    "bool_type": "True or False",
    "bool_parsing": "True or False",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}


def _refusal(error: Mapping[str, Any], name: object) -> ConfigError:
    limit = _LIMITS.get(error["type"], error["msg"]).format(**error.get("ctx", {}))
    return ConfigError(f"{name} is {error['input']!r}; it must be {limit}.")


class Config(BaseModel):
    """A frozen configuration of plain values; a value out of range raises an error naming it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as invalid:
            error = invalid.errors()[0]
            name = ".".join(map(str, error["loc"]))
            if error["type"] == "extra_forbidden":
                fields = ", ".join(type(self).model_fields)
                raise ConfigError(
                    f"{type(self).__name__} has no field {name!r}; it has {fields}."
                ) from invalid
            raise _refusal(error, name) from invalid

    def replaced(self, **changes: Any) -> Self:
        """Return the configuration with some values changed, validated together."""
        return type(self)(**(self.model_dump() | changes))

    def replaced_by_texts(self, texts: Mapping[str, str]) -> Self:
        """Return the configuration with some values parsed from text, validated together."""
        changes = {}
        for name, text in texts.items():
            kind: Any = type(self).model_fields[name].annotation
            try:
                changes[name] = TypeAdapter(kind).validate_strings(text)
            except ValidationError as invalid:
                raise _refusal(invalid.errors()[0], name) from invalid
        return self.replaced(**changes)


class _GridConfig(Config):
    """A configuration of a model that plays on one grid.

    `beats_per_bar` and `steps_per_beat` are those of its `grid`.
    """

    beats_per_bar: int = 4
    steps_per_beat: int = 4

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        Grid(self.beats_per_bar, self.steps_per_beat)  # raises if the values make no valid grid

    @property
    def grid(self) -> Grid:
        """How the steps of the model's music divide time."""
        return Grid(self.beats_per_bar, self.steps_per_beat)


class ModelConfig(_GridConfig):
    """The dimensions of a model: everything needed to build it, apart from its weights.

    Parameters
    ----------
    head
        `categorical`: the paper's 512 drum combinations, without feel. `groove`: the same
        combinations, with a velocity and an offset for each hit drawn from mixtures. `line`: 88
        pitches, note-off, and no event, for one voice. `trio`: two such lines and drums; each
        has its own bar encoder and bar decoder, and all share one LSTM over bars and one
        conductor.
    n_bars
        Length of the sequences, in bars.
    beats_per_bar, steps_per_beat
        The grid; sixteenths in 4/4 by default.
    encoder_size, encoder_layers
        Width of one direction of the bidirectional encoder, and its depth.
    decoder_size, decoder_layers
        Width and depth of the decoder.
    drums_layers
        Depth of the decoder for a trio's drums; 0 for the same as the other parts.
    z_size
        Dimensions of the latent space.
    step_size
        Width of the direct paths between every step and z, or a bar's embedding, in both
        encoder and decoder; 0 for none, as in the paper.
    direct_paths
        `both`, or `encoder` only: this pairs the paper's decoder, in which nothing reads a part
        of z directly, neither a step nor a bar, with the same encoder, for comparison.
    encoder_bar_size
        Width of one direction of the encoder's LSTM over bars; 0 for a single LSTM over all
        steps.
    conductor_size
        Width of the conductor, which gives every bar its embedding; 0 for a flat decoder.
    bar_size
        Width of a bar's embedding, and of the encoder's vector for a bar.
    feel_size, n_mixtures
        Width of the feel network, and number of logistic components per velocity or offset
        (groove head).
    """

    head: _Head = "categorical"
    n_bars: Annotated[int, Field(ge=1, le=64)] = 2
    encoder_size: Size = 512
    encoder_layers: Size = 1
    decoder_size: Size = 256
    decoder_layers: Size = 2
    drums_layers: _OptionalSize = 0
    z_size: Size = 256
    step_size: Annotated[int, Field(ge=0, le=1024)] = 0
    direct_paths: _DirectPaths = "both"
    encoder_bar_size: _OptionalSize = 0
    conductor_size: _OptionalSize = 0
    bar_size: Size = 128
    feel_size: Size = 256
    n_mixtures: Size = 3

    def __init__(self, **values: Any) -> None:
        super().__init__(**_renamed(values))
        if self.head == "trio" and not (self.encoder_bar_size and self.conductor_size):
            raise ConfigError(
                "A trio needs a conductor and an encoder with an LSTM over bars: conductor_size is "
                f"{self.conductor_size} and encoder_bar_size {self.encoder_bar_size}."
            )
        if self.head == "trio" and self.direct_paths != "both":
            raise ConfigError(
                f"direct_paths is {self.direct_paths!r}; it must be 'both' for a trio."
            )
        if self.head == "trio" and self.z_size % (3 * self.n_bars):
            raise ConfigError(
                f"z_size is {self.z_size}; it must be a multiple of 3 * n_bars, {3 * self.n_bars}."
            )
        if self._knows_bars and self.z_size % self.n_bars:
            raise ConfigError(
                f"z_size is {self.z_size}; it must be a multiple of n_bars, {self.n_bars}."
            )

    @property
    def kind(self) -> str:
        """The model's kind, see `kinds`."""
        return self.head

    @property
    def n_z_parts(self) -> int:
        """How many bars divide z evenly; 1 if the decoder takes z as a whole."""
        return self.n_bars if self._knows_bars and self.direct_paths == "both" else 1

    @property
    def _knows_bars(self) -> bool:
        return self.encoder_bar_size > 0 or self.conductor_size > 0

    @property
    def n_steps(self) -> int:
        """Sequence length in steps."""
        return self.n_bars * self.grid.steps_per_bar

    @property
    def has_feel(self) -> bool:
        """Whether the model covers velocity and timing."""
        return self.head == "groove"


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a `ModelConfig` by today's names.

    Older checkpoints call `direct_paths` `step_paths`, and have
    `bars_share_z`, which was true for every model but two that were never shipped.
    """
    values = dict(values)
    if not values.pop("bars_share_z", True):
        raise ConfigError(
            "bars_share_z is False: a model whose encoder does not divide z by bars can no longer "
            "be loaded; train it again."
        )
    if "step_paths" in values:
        values["direct_paths"] = values.pop("step_paths")
    return values


class LabConfig(_GridConfig):
    """The dimensions of a groove lab.

    Parameters
    ----------
    n_bars
        Length of its training windows, in bars; it plays any length.
    beats_per_bar, steps_per_beat
        See `ModelConfig`.
    reader_size, context_size
        Width of one direction of the LSTM that reads the conditioning, and width of the context
        it passes to the decoder at every step.
    encoder_size, z_size
        Width of one direction of the posterior's LSTM, and latent dimensions.
    decoder_size, decoder_layers, feel_size, n_mixtures
        See `ModelConfig`.
    feel
        `mixture`: velocities and offsets are drawn from learned distributions. `mean`: they are
        means learned by squared error, as in GrooVAE, for comparison; n_mixtures is not used.
    styles, drummers
        Names that can be chosen, separated by commas.
    """

    n_bars: Annotated[int, Field(ge=2, le=64)] = 4
    reader_size: Size = 192
    context_size: Size = 96
    encoder_size: Size = 192
    z_size: Size = 32
    decoder_size: Size = 256
    decoder_layers: Size = 2
    feel_size: Size = 256
    n_mixtures: Size = 3
    feel: _Feel = "mixture"
    styles: str = (
        "afrobeat,afrocuban,blues,country,dance,funk,gospel,highlife,hiphop,jazz,latin,"
        "middleeastern,neworleans,pop,punk,reggae,rock,soul"
    )
    drummers: str = (
        "drummer1,drummer2,drummer3,drummer4,drummer5,drummer6,drummer7,drummer8,drummer9,drummer10"
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        for name in ("styles", "drummers"):
            names = getattr(self, name).split(",")
            if len(set(names)) < len(names):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be distinct names.")

    @property
    def kind(self) -> str:
        """The model's kind, see `kinds`."""
        return "lab"

    @property
    def has_feel(self) -> bool:
        """Whether the model covers velocity and timing: a lab always does."""
        return True

    @property
    def style_names(self) -> tuple[str, ...]:
        """The styles that can be chosen."""
        return tuple(self.styles.split(","))

    @property
    def drummer_names(self) -> tuple[str, ...]:
        """The drummers that can be chosen."""
        return tuple(self.drummers.split(","))


class TrainConfig(Config):
    """How a model is trained.

    Parameters
    ----------
    n_steps, batch_size, seed
        Optimiser steps, windows per step, and the seed of every random choice.
    learning_rate, final_learning_rate, warmup_steps
        Peak and end of a cosine decay after a linear warm-up.
    beta, beta_rate
        Final weight of the KL term, and the base of its annealing,
        beta * (1 - beta_rate ** step).
    beta_of_feel
        Multiplies the groove lab's beta for examples in which all hits are known.
    free_bits
        KL per example that is not penalised, in bits, in total over z.
    feel_weight
        Weight of velocity and offset relative to hits in the reconstruction loss.
    word_dropout
        Share of the decoder's previous-step inputs that are zeroed.
    sampling_rate
        Rate of the inverse sigmoid of scheduled sampling; 0 turns it off.
    dropout
        Dropout on the decoder's outputs.
    augmentation
        Share of examples that are recombined (see `windows.augment`) or, for the lab, given
        another feel.
    shortest_bars
        Performances of at least this many bars, but shorter than a window, are repeated to fill
        a window and used for training too; 0 for none.
    initial_sigma
        Initial standard deviation of the posterior; mu is then also rescaled to mean 0 and
        deviation 1 over the data. 0 leaves both as PyTorch initialises them.
    fixed_encoder
        Whether the encoder keeps its initial weights, which come from another model, so that
        decoders can be compared on the same codes.
    gradient_clip, weight_decay, average_decay
        Maximum gradient norm, AdamW's weight decay, and the decay of the running average of the
        weights that is validated and shipped.
    validate_every, patience
        Steps between validations, and the number of validations without improvement before
        stopping (0: never stop early).
    """

    n_steps: _Count = 20_000
    batch_size: _Count = 64
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    learning_rate: _Positive = 2e-3
    final_learning_rate: _Weight = 1e-5
    warmup_steps: _OptionalCount = 200
    beta: _Weight = 0.03
    beta_rate: _Share = 0.999
    beta_of_feel: _Weight = 1.0
    free_bits: _Weight = 0.0
    feel_weight: _Weight = 1.0
    word_dropout: _Share = 0.2
    sampling_rate: _Weight = 0.0
    dropout: _Share = 0.0
    augmentation: _Share = 0.6
    shortest_bars: _OptionalCount = 0
    initial_sigma: _Weight = 0.0
    fixed_encoder: bool = False
    gradient_clip: _Positive = 1.0
    weight_decay: _Weight = 0.0
    average_decay: _Share = 0.998
    validate_every: _Count = 500
    patience: _OptionalCount = 0

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then cosine decay.

        Deviation: the paper decays by 0.9999 per step from 1e-3 to 1e-5. In a short run of known
        length, a cosine reaches the same floor at the end, whatever that length is.
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.n_steps - self.warmup_steps)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return self.final_learning_rate + fall * (self.learning_rate - self.final_learning_rate)

    def beta_at(self, step: int) -> float:
        """Return the weight of the KL term at a step: beta * (1 - beta_rate ** step).

        Source: Roberts et al. 2018, section 4, and Magenta's `lstm_models`; there the rate is
        0.99999 over 50,000 steps.
        """
        return self.beta * (1 - self.beta_rate**step)

    def sampling_probability_at(self, step: int) -> float:
        """Return the share of decoder inputs sampled from the model itself at a step.

        Teacher forcing decays as an inverse sigmoid, so this is
        1 - rate / (rate + exp(step / rate)); with a rate of 0 it is always 0.

        Source: Bengio et al. 2015, section 2.4; MusicVAE's 2-bar models use a rate of 1000.
        """
        rate = self.sampling_rate
        if rate == 0:
            return 0.0
        return 1 - rate / (rate + math.exp(min(step / rate, 700.0)))


def step_seed(config: TrainConfig, step: int) -> int:
    """Return the random seed of a training step."""
    return config.seed * 1_000_003 + step
