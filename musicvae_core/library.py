"""The models of a folder and what lies beside them, each loaded once."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from musicvae_core.checkpoint import CONFIG_FILE, DEFAULT_KIND, Checkpoint, load_checkpoint
from musicvae_core.config import ModelConfig, from_dict
from musicvae_core.errors import CheckpointNotFoundError
from musicvae_core.lab.checkpoint import load_lab_checkpoint
from musicvae_core.lab.tools import Lab
from musicvae_core.space.atlas import Atlas, load_atlas
from musicvae_core.space.attribute_vectors import AttributeVectors, load_vectors
from musicvae_core.takes import ModelInfo

MODEL_ORDER = ("groove_2bar", "drums_2bar")
"""Models are listed in this order, then by name; the first is the app's default."""

LAB_MODEL = "groove_lab"
"""The checkpoint of the groove lab, which is not among `Library.models`."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Library:
    """The checkpoints of a folder; all methods may be called from any thread.

    Parameters
    ----------
    folder
        Of checkpoint folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, Checkpoint] = {}
        self._atlases: dict[str, Atlas] = {}
        self._vectors: dict[str, AttributeVectors] = {}
        self._lab: Lab | None = None
        self._lock = threading.Lock()

    def models(self) -> tuple[ModelInfo, ...]:
        """List the checkpoints that are there, without loading them."""
        names = [path.parent.name for path in self._folder.glob(f"*/{CONFIG_FILE}")]
        known = {name: place for place, name in enumerate(MODEL_ORDER)}
        names.sort(key=lambda name: (known.get(name, len(known)), name))
        return tuple(info for name in names if (info := self._info(name)))

    def _info(self, name: str) -> ModelInfo | None:
        """Return what is said of a model; None, and a line in the log, where it cannot be read.

        A model of another kind, such as the groove lab's, is none of these.
        """
        path = self._folder / name / CONFIG_FILE
        try:
            about = json.loads(path.read_text())
            if about.get("kind", DEFAULT_KIND) != DEFAULT_KIND:
                return None
            config = from_dict(ModelConfig, about["model"])
            has_conductor = config.conductor_size > 0
            return ModelInfo(name, about["title"], config.n_bars, config.has_feel, has_conductor)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("The model %s is left out: %s is damaged (%s).", name, path, error)
            return None

    def checkpoint(self, model: str) -> Checkpoint:
        """Return a model, loaded once.

        Raises
        ------
        CheckpointError
            If it is not there or damaged.
        """
        with self._lock:
            if model not in self._loaded:
                if model == ".." or Path(model).name != model:
                    raise CheckpointNotFoundError(f"There is no model {model!r}.")
                self._loaded[model] = load_checkpoint(self._folder / model)
            return self._loaded[model]

    def lab(self) -> Lab:
        """Return the groove lab, loaded once.

        Raises
        ------
        CheckpointError
            If it is not there or damaged.
        """
        with self._lock:
            if self._lab is None:
                self._lab = Lab(load_lab_checkpoint(self._folder / LAB_MODEL))
            return self._lab

    def atlas(self, model: str) -> Atlas:
        """Return the map of a model's space, loaded once.

        Raises
        ------
        AtlasError, CheckpointError
            If there is none, or it is damaged or of other weights; or the model is.
        """
        return self._beside(model, self._atlases, load_atlas)

    def attribute_vectors(self, model: str) -> AttributeVectors:
        """Return what a model's grooves can be steered along, loaded once.

        Raises
        ------
        VectorsError, CheckpointError
            If there is none, or it is damaged or of other weights; or the model is.
        """
        return self._beside(model, self._vectors, load_vectors)

    def _beside(self, model: str, loaded: dict[str, T], load: Callable[[Path, str], T]) -> T:
        """Return what lies beside a model's weights, which has to be of those weights."""
        checkpoint = self.checkpoint(model)
        with self._lock:
            if model not in loaded:
                loaded[model] = load(self._folder / model, checkpoint.fingerprint())
            return loaded[model]
