"""The kinds of model: how each represents, samples, trains on and measures its music.

A new kind is one more entry of `_KINDS`; no other code should ask which kind a model is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from musicvae_core.models import lab_tasks, musicvae, reconstruction
from musicvae_core.models.config import LabConfig, ModelConfig, TrainConfig
from musicvae_core.models.heads import AnyHead, CategoricalHead, GrooveHead, PartsHead
from musicvae_core.models.lab import GrooveLab, LabHead, MeansHead
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.music.attributes import beats_of, controls_of, measure_controls
from musicvae_core.music.drums import DRUM_CLASSES, DRUMS, Alphabet
from musicvae_core.music.grid import DEFAULT_TEMPO_BPM, Grid
from musicvae_core.music.groove import features_to_groove, groove_to_features
from musicvae_core.music.line import LINE_CLASSES, features_to_line, line_to_features
from musicvae_core.music.line_attributes import TONIC, best_scale, line_attributes, trio_attributes
from musicvae_core.music.piece import (
    MELODY,
    TRIO_CLASSES,
    Plays,
    features_to_trio,
    trio_to_features,
)

_Config = ModelConfig | LabConfig


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Parameters
    ----------
    name
        A configuration's `kind`.
    family
        The `kind` in a checkpoint's header; kinds of one family share a configuration class.
    config
        The class of its configuration.
    plays
        The form of its music, one of `music.forms`; `data.trios.load_data` reads data sets of it.
    to_features, to_music
        Convert music to features (T, F) float32 on a grid, and features back to music at a
        tempo.
    alphabets
        The classes of a step, by part name.
    network
        The class of its network, whose `forward` takes a batch and returns the loss terms, each
        (B,) in nats.
    head
        Builds the output head, which samples a step and scores it.
    draw_batch
        Returns the batch of a training step: windows, and all random numbers the step uses.
    measure
        Returns the metrics of held-out windows; training keeps the model with the lowest `loss`.
    attributes
        Measures windows, given as features (N, T, F): attributes by name, each (N,), by which
        maps are coloured and searched.
    temperature
        The sampling temperature at which its samples are nearest to real music.
    """

    name: str
    family: str
    config: type[_Config]
    plays: Plays
    to_features: Callable[[Any, Grid], NDArray[np.float32]]
    to_music: Callable[[NDArray[np.float32], float, Grid], Any]
    alphabets: Mapping[str, Alphabet]
    network: Callable[[Any, Any], nn.Module]
    head: Callable[[Any], AnyHead]
    draw_batch: Callable[[Any, Any, TrainConfig, int], tuple[Any, ...]]
    measure: Callable[[Any, Any, TrainConfig], Mapping[str, float]]
    attributes: Callable[[NDArray[np.float32], Any], Mapping[str, NDArray[np.float64]]]
    temperature: float = 1.0

    def build(self, config: _Config) -> Any:
        """Return an untrained network of a configuration."""
        return self.network(config, self.head(config))


def _drums_head(config: ModelConfig) -> CategoricalHead:
    return CategoricalHead(config.decoder_size, DRUM_CLASSES)


def _groove_head(config: ModelConfig) -> CategoricalHead:
    return GrooveHead(config.decoder_size, config.feel_size, config.n_mixtures, config.grid)


def _line_head(config: ModelConfig) -> CategoricalHead:
    return CategoricalHead(config.decoder_size, LINE_CLASSES)


def _trio_head(config: ModelConfig) -> AnyHead:
    return PartsHead(config.decoder_size, TRIO_CLASSES)


def _lab_head(config: LabConfig) -> CategoricalHead:
    if config.feel == "mean":
        return MeansHead(config.decoder_size, config.feel_size, config.grid)
    return LabHead(config.decoder_size, config.feel_size, config.n_mixtures, config.grid)


def _drum_attributes(
    features: NDArray[np.float32], config: _Config
) -> dict[str, NDArray[np.float64]]:
    names = controls_of(config.has_feel)
    table = measure_controls(beats_of(features, config.grid), names)
    return dict(zip(names, table.T, strict=True))


def _line_attributes(
    features: NDArray[np.float32], config: _Config
) -> dict[str, NDArray[np.float64]]:
    lines = [features_to_line(one, DEFAULT_TEMPO_BPM, config.grid) for one in features]
    return _columns([{TONIC: best_scale(line)[0], **line_attributes(line)} for line in lines])


def _trio_attributes(
    features: NDArray[np.float32], config: _Config
) -> dict[str, NDArray[np.float64]]:
    pieces = [features_to_trio(one, DEFAULT_TEMPO_BPM, config.grid) for one in features]
    return _columns([trio_attributes(piece) for piece in pieces])


def _columns(rows: list[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


_FORMS: Mapping[Plays, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "drums": (groove_to_features, features_to_groove, _drum_attributes),
    "line": (line_to_features, features_to_line, _line_attributes),
    "piece": (trio_to_features, features_to_trio, _trio_attributes),
}
"""For each form of music: the conversions to and from features, and the attributes."""


def _musicvae(
    name: str,
    alphabets: Mapping[str, Alphabet],
    head: Callable[[ModelConfig], AnyHead],
    plays: Plays = "drums",
    temperature: float = 1.0,
) -> Kind:
    """Return a kind of MusicVAE; these differ only in their form, classes and head."""
    to_features, to_music, attributes = _FORMS[plays]
    return Kind(
        name,
        family="musicvae",
        config=ModelConfig,
        plays=plays,
        to_features=to_features,
        to_music=to_music,
        alphabets=alphabets,
        network=MusicVAE,
        head=head,
        draw_batch=musicvae.draw_batch,
        measure=reconstruction.measure,
        attributes=attributes,
        temperature=temperature,
    )


_OF_LINES = 0.5
"""Chosen on the validation split, for melodies and trios with a flow: at 1 they leap too much, and
below 0.5 they hardly come nearer to real music."""

_ALL = (
    _musicvae("categorical", {DRUMS: DRUM_CLASSES}, _drums_head),
    _musicvae("groove", {DRUMS: DRUM_CLASSES}, _groove_head),
    _musicvae("line", {MELODY: LINE_CLASSES}, _line_head, "line", _OF_LINES),
    _musicvae("trio", TRIO_CLASSES, _trio_head, "piece", _OF_LINES),
    Kind(
        "lab",
        family="lab",
        config=LabConfig,
        plays="drums",
        to_features=groove_to_features,
        to_music=features_to_groove,
        alphabets={DRUMS: DRUM_CLASSES},
        network=GrooveLab,
        head=_lab_head,
        draw_batch=lab_tasks.draw_batch,
        measure=lab_tasks.measure,
        attributes=_drum_attributes,
    ),
)

_KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
CONFIGS: Mapping[str, type[_Config]] = MappingProxyType({kind.family: kind.config for kind in _ALL})
"""The configuration class of each family."""


def kind_of(config: _Config) -> Kind:
    """Return the kind of the model with this configuration."""
    return _KINDS[config.kind]


def build(config: _Config) -> Any:
    """Return an untrained network of a configuration; see `Kind.build`."""
    return kind_of(config).build(config)
