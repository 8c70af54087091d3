"""The models in a folder, with their atlases and attribute vectors, each loaded once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from musicvae_core.data.files import parse_json
from musicvae_core.errors import CheckpointError
from musicvae_core.lab.tools import Lab
from musicvae_core.latent.atlas import ATLAS_FILE, Atlas, load_atlas
from musicvae_core.latent.attribute_vectors import VECTORS_FILE, AttributeVectors, load_vectors
from musicvae_core.latent.results import ModelInfo
from musicvae_core.models.checkpoint import CONFIG_FILE, Checkpoint, family_of, load_checkpoint
from musicvae_core.models.config import ModelConfig
from musicvae_core.models.kinds import CONFIGS, kind_of
from musicvae_core.models.lab import GrooveLab
from musicvae_core.music.piece import Plays

_MODEL_ORDER = ("groove_2bar", "drums_2bar", "melody_2bar")
"""Models are listed in this order, then by name; the first is the app's default."""

_LAB_MODEL = "groove_lab"
"""The groove lab's checkpoint, which `Library.models` does not list."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Library:
    """The checkpoints in a folder; all methods are thread-safe.

    Parameters
    ----------
    folder
        A folder of checkpoint folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, Checkpoint] = {}
        self._atlases: dict[str, Atlas] = {}
        self._vectors: dict[str, AttributeVectors] = {}
        self._lab: Lab | None = None
        self._lock = threading.Lock()

    def models(self, plays: Plays | None = None) -> tuple[ModelInfo, ...]:
        """List the checkpoints, or those of one form of music, without loading them."""
        names = [path.parent.name for path in self._folder.glob(f"*/{CONFIG_FILE}")]
        known = {name: place for place, name in enumerate(_MODEL_ORDER)}
        names.sort(key=lambda name: (known.get(name, len(known)), name))
        infos = (self._info(name) for name in names)
        return tuple(info for info in infos if info and plays in (None, info.plays))

    def _info(self, name: str) -> ModelInfo | None:
        """Return a model's information; log a warning and return None if it is unreadable.

        Models other than MusicVAEs, such as the groove lab, also give None.
        """
        path = self._folder / name / CONFIG_FILE
        try:
            about = parse_json(path.read_text())
            config = CONFIGS[family_of(about)](**about["model"])
            if not isinstance(config, ModelConfig):
                return None
            kind = kind_of(config)
            return ModelInfo(
                name,
                about["title"],
                config.n_bars,
                config.has_feel,
                has_conductor=config.conductor_size > 0 and config.n_z_parts > 1,
                plays=kind.plays,
                has_atlas=(self._folder / name / ATLAS_FILE).exists(),
                parts=tuple(kind.alphabets),
                grid=config.grid,
                temperature=kind.temperature,
                has_vectors=(self._folder / name / VECTORS_FILE).exists(),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("The model %s is left out: %s is damaged (%s).", name, path, error)
            return None

    def checkpoint(self, model: str) -> Checkpoint:
        """Return a model, loaded once.

        Raises
        ------
        CheckpointError
            If it is missing or damaged.
        """
        with self._lock:
            if model not in self._loaded:
                if model == ".." or Path(model).name != model:
                    raise CheckpointError(f"There is no model {model!r}.")
                self._loaded[model] = load_checkpoint(self._folder / model)
            return self._loaded[model]

    def lab(self) -> Lab:
        """Return the groove lab, loaded once.

        Raises
        ------
        CheckpointError
            If it is missing or damaged.
        """
        with self._lock:
            if self._lab is None:
                self._lab = Lab(load_checkpoint(self._folder / _LAB_MODEL, GrooveLab))
            return self._lab

    def atlas(self, model: str) -> Atlas:
        """Return the map of a model's latent space, loaded once.

        Raises
        ------
        CheckpointError
            If the model or its map is missing or damaged, or the map belongs to other weights.
        """
        return self._beside(model, self._atlases, load_atlas)

    def attribute_vectors(self, model: str) -> AttributeVectors:
        """Return a model's attribute vectors, loaded once.

        Raises
        ------
        CheckpointError
            If the model or its vectors are missing or damaged, or the vectors belong to other
            weights.
        """
        return self._beside(model, self._vectors, load_vectors)

    def _beside(self, model: str, loaded: dict[str, _T], load: Callable[[Path, str], _T]) -> _T:
        """Return a side file of a model, checked against the model's weights."""
        checkpoint = self.checkpoint(model)
        with self._lock:
            if model not in loaded:
                loaded[model] = load(self._folder / model, checkpoint.fingerprint())
            return loaded[model]
