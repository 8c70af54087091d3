"""The façade of the app and of scripts: grooves, NumPy and bytes in and out.

studio = Studio()
take = studio.sample("groove_2bar", 1, seed=7)[0]
Path("groove.mid").write_bytes(studio.midi(take.groove))
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.atlas import Atlas, load_atlas
from musicvae_core.attribute_vectors import AttributeVectors, load_vectors
from musicvae_core.checkpoint import CONFIG_FILE, DEFAULT_KIND, Checkpoint, load_checkpoint
from musicvae_core.codec import features_to_groove
from musicvae_core.config import ModelConfig, from_dict
from musicvae_core.errors import CheckpointNotFoundError, ConfigError, RenderError
from musicvae_core.flac import flac_bytes
from musicvae_core.groove import Groove
from musicvae_core.journey import journey_codes
from musicvae_core.lab import Lab
from musicvae_core.lab_checkpoint import load_lab_checkpoint
from musicvae_core.latent import PriorName, encode_grooves, nearby_codes, sample_codes
from musicvae_core.latent_path import play_path
from musicvae_core.long_form import (
    Piece,
    cross_over,
    morph_pieces,
    piece_of,
    sample_piece,
    vary_bars,
)
from musicvae_core.midi import MidiReading, read_midi, read_rhythm, write_midi
from musicvae_core.morph import (
    Curve,
    Morphed,
    compare,
    decode_alike,
    lay_codes,
    with_exact_ends,
)
from musicvae_core.render import Renderer, wav_bytes
from musicvae_core.route import Route, Stop
from musicvae_core.steering import steer

SHIPPED_CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
MAX_TAKES = 1024
MAX_TEMPERATURE = 2.0
MODEL_ORDER = ("groove_2bar", "drums_2bar")
"""Models are listed in this order, then by name; the first is the app's default."""

LAB_MODEL = "groove_lab"
"""The checkpoint of the groove lab, which is not among `Studio.models`."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """What a page need know of a model before it is loaded."""

    name: str
    title: str
    n_bars: int
    has_feel: bool
    has_conductor: bool = False


@dataclass(frozen=True, eq=False)
class Take:
    """One result: a groove, and what it takes to make it again or to find its neighbours.

    z is (Z,) float32.
    """

    groove: Groove
    z: NDArray[np.float32]
    model: str
    seed: int
    temperature: float


@dataclass(frozen=True, eq=False)
class SteeredTake:
    """A take that was steered, and its attributes before and after, by `controls.CONTROLS`."""

    take: Take
    before: Mapping[str, float]
    after: Mapping[str, float]


class Studio:
    """Every model, the renderer and the files, for many sessions at once.

    Models are loaded when first asked for and then kept; all methods may be called from any
    thread.

    Parameters
    ----------
    checkpoints_dir
        A folder of checkpoint folders; by default the shipped ones.
    soundfont
        A SoundFont file; by default the system's General MIDI one.
    """

    def __init__(
        self, checkpoints_dir: Path = SHIPPED_CHECKPOINTS, soundfont: Path | None = None
    ) -> None:
        # A request is too small to share out, and many sessions ask at once.
        torch.set_num_threads(1)
        self._folder = Path(checkpoints_dir)
        self._soundfont = soundfont
        self._loaded: dict[str, Checkpoint] = {}
        self._atlases: dict[str, Atlas] = {}
        self._vectors: dict[str, AttributeVectors] = {}
        self._lab: Lab | None = None
        self._renderer: Renderer | None = None
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
        checkpoint = self.checkpoint(model)
        with self._lock:
            if model not in self._atlases:
                self._atlases[model] = load_atlas(self._folder / model, checkpoint.fingerprint())
            return self._atlases[model]

    def attribute_vectors(self, model: str) -> AttributeVectors:
        """Return what a model's grooves can be steered along, loaded once.

        Raises
        ------
        VectorsError, CheckpointError
            If there is none, or it is damaged or of other weights; or the model is.
        """
        checkpoint = self.checkpoint(model)
        with self._lock:
            if model not in self._vectors:
                self._vectors[model] = load_vectors(self._folder / model, checkpoint.fingerprint())
            return self._vectors[model]

    def sample(
        self,
        model: str,
        n: int,
        *,
        temperature: float = 1.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        prior: PriorName = "learned",
    ) -> list[Take]:
        """Draw n new grooves.

        Parameters
        ----------
        model
            One of `models()`, by name.
        n
            How many, 1 to 1024.
        temperature
            0 takes the most likely notes and the mean feel of each z; 1 draws them as the
            model learned them; more is wilder, up to 2.
        tempo_bpm
            Of the grooves; the model knows none.
        seed
            The same seed, model and settings give the same grooves.
        prior
            `learned` or `normal`, see `latent.sample_codes`.

        Raises
        ------
        ConfigError, CheckpointError
            If a value is out of its range, or there is no such model.
        """
        _check_number(n)
        codes = sample_codes(self.checkpoint(model), n, prior, seed)
        return self.decode(model, codes, temperature=temperature, tempo_bpm=tempo_bpm, seed=seed)

    def similar(self, take: Take, n: int, *, amount: float = 0.3, seed: int = 0) -> list[Take]:
        """Return n neighbours of a take: each part of the way from it to a fresh sample.

        Parameters
        ----------
        take
            Where to start; its model, temperature and tempo are kept.
        n
            How many.
        amount
            0 gives the take's own z, 1 unrelated samples.
        seed
            Which neighbours.

        Raises
        ------
        ConfigError, CheckpointError
            If a value is out of its range, or the take's model is gone.
        """
        _check_number(n)
        if not 0 <= amount <= 1:
            raise ConfigError(f"The amount is {amount:g}; it must lie in 0 to 1.")
        checkpoint = self.checkpoint(take.model)
        prior: PriorName = "normal" if checkpoint.prior is None else "learned"
        codes = nearby_codes(take.z, sample_codes(checkpoint, n, prior, seed), amount)
        return self.decode(
            take.model,
            codes,
            temperature=take.temperature,
            tempo_bpm=take.groove.tempo_bpm,
            seed=seed,
        )

    def encode(self, model: str, grooves: Sequence[Groove]) -> NDArray[np.float32]:
        """Return the posterior means (n, Z) float32 of grooves; see `latent.encode_grooves`."""
        return encode_grooves(self.checkpoint(model), grooves)

    def decode(
        self,
        model: str,
        codes: NDArray[np.float32],
        *,
        temperature: float = 1.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        alike: bool = False,
    ) -> list[Take]:
        """Decode codes (n, Z) into as many takes; see `sample`, and `decode_alike`."""
        _check_temperature(temperature)
        generator = torch.Generator().manual_seed(seed)
        network = self.checkpoint(model).model
        with torch.inference_mode():
            z = torch.from_numpy(codes)
            if alike:
                features = decode_alike(network, z, temperature, generator).numpy()
            else:
                features = network.decode(z, temperature, generator).numpy()
        grooves = [features_to_groove(one, tempo_bpm) for one in features]
        pairs = zip(grooves, codes, strict=True)
        return [Take(groove, z, model, seed, temperature) for groove, z in pairs]

    def morph(
        self,
        model: str,
        ends: Sequence[Groove],
        n_steps: int = 9,
        *,
        curve: Curve = "slerp",
        temperature: float = 0.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        exact_ends: bool = False,
    ) -> Morphed:
        """Morph between two grooves, or on a 5 x 5 pad between four; see `morph`.

        Parameters
        ----------
        model
            One of `models()`, by name.
        ends
            Two, or four: upper left and right, lower left and right; of the model's length.
        n_steps
            3 to 33, both ends included; a pad does not use it.
        curve
            `slerp` or `lerp`.
        temperature, tempo_bpm, seed
            See `sample`; all steps share their chance, so that a path stays even.
        exact_ends
            Keep the ends themselves in place of what the model makes of them.

        Raises
        ------
        ConfigError, CheckpointError, GrooveLengthError
            If a value is out of its range, there is no such model, or an end has another length.
        """
        corners = self.encode(model, ends)
        codes, n_rows = lay_codes(corners, n_steps, curve)
        takes = self.decode(
            model, codes, temperature=temperature, tempo_bpm=tempo_bpm, seed=seed, alike=True
        )
        played = self.decode(model, corners, temperature=0.0, tempo_bpm=tempo_bpm)
        grooves = tuple(take.groove for take in takes)
        if exact_ends:
            grooves = with_exact_ends(grooves, ends, n_rows)
        pairs = zip(ends, played, strict=True)
        back = tuple(compare(end, take.groove) for end, take in pairs)
        return Morphed(grooves, codes, n_rows, len(codes) // n_rows, back)

    def journey(
        self,
        model: str,
        stops: NDArray[np.float32],
        steps_a_leg: int,
        *,
        tempo_bpm: float = 120.0,
    ) -> list[Take]:
        """Decode a path through codes (n, Z), likeliest hits alone; see `journey_codes`."""
        codes = journey_codes(stops, steps_a_leg)
        return self.decode(model, codes, temperature=0.0, tempo_bpm=tempo_bpm)

    def steer(
        self,
        model: str,
        z: NDArray[np.float32],
        targets: Mapping[str, float],
        *,
        styles: Mapping[str, float] | None = None,
        tempo_bpm: float = 120.0,
    ) -> SteeredTake:
        """Move a code so that its groove measures as asked; see `steering.steer`.

        Parameters
        ----------
        model
            One of `models()`, by name.
        z
            (Z,): where to start.
        targets
            What attributes should measure, in their own units; the others are held.
        styles
            How much of each label's vector to add first.
        tempo_bpm
            Of the groove.

        Raises
        ------
        ConfigError
            If the model has no such attribute or label.
        VectorsError, CheckpointError
            See `attribute_vectors`.
        """
        vectors = self.attribute_vectors(model)
        asked, known = {*targets, *(styles or {})}, {*vectors.controls, *vectors.labels}
        if asked - known:
            raise ConfigError(f"{model} cannot be steered by {', '.join(sorted(asked - known))}.")
        start = vectors.styled(z[None], styles or {}).astype(np.float32)
        goal = np.array([[targets.get(name, np.nan) for name in vectors.controls]])
        found = steer(self.checkpoint(model), vectors, start, goal)
        groove = features_to_groove(found.features[0], tempo_bpm)
        before, after = (
            dict(zip(vectors.controls, (float(value) for value in row[0]), strict=True))
            for row in (found.before, found.after)
        )
        return SteeredTake(Take(groove, found.codes[0], model, 0, 0.0), before, after)

    def sample_piece(
        self,
        model: str,
        *,
        temperature: float = 1.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
    ) -> Piece:
        """Draw a piece whose bars can be changed alone; see `sample` and `long_form`."""
        _check_temperature(temperature)
        return sample_piece(self.checkpoint(model), model, seed, temperature, tempo_bpm)

    def piece_of(self, model: str, groove: Groove, z: NDArray[np.float32] | None = None) -> Piece:
        """Take up a groove as a piece; see `long_form.piece_of`."""
        return piece_of(self.checkpoint(model), model, groove, z)

    def vary_bars(self, piece: Piece, bars: Sequence[int], amount: float, seed: int = 0) -> Piece:
        """Change some bars and hold all others exactly; see `long_form.vary_bars`."""
        return vary_bars(self.checkpoint(piece.model), piece, bars, amount, seed)

    def morph_pieces(self, start: Piece, end: Piece, n_steps: int = 5) -> tuple[Piece, ...]:
        """Return pieces from one to another, both included; see `long_form.morph_pieces`."""
        return morph_pieces(self.checkpoint(start.model), start, end, n_steps)

    def cross_over(self, start: Piece, end: Piece) -> Piece:
        """Return one piece that leads from one to another; see `long_form.cross_over`."""
        return cross_over(self.checkpoint(start.model), start, end)

    def play_path(
        self, model: str, stops: Sequence[Stop], route: Route, tempo_bpm: float = 120.0
    ) -> Groove:
        """Return the piece that a path through z makes; see `latent_path.play_path`."""
        _check_temperature(route.temperature)
        return play_path(self.checkpoint(model), stops, route, tempo_bpm)

    @property
    def sound_problem(self) -> str | None:
        """Why there is no sound, in one sentence with what to do; None where there is."""
        try:
            self._sound()
        except RenderError as error:
            return str(error)
        return None

    def kits(self) -> tuple[str, ...]:
        """List the drum kits of the SoundFont by name; the first is the default."""
        return self._sound().kits

    def wav(self, groove: Groove, kit: str | None = None) -> bytes:
        """Return one pass of a groove as a WAV file that loops without a seam."""
        renderer = self._sound()
        return wav_bytes(renderer.render(groove, kit))

    def flac(self, groove: Groove, kit: str | None = None) -> bytes:
        """Return the samples of `wav` as a FLAC file, in about half the bytes."""
        renderer = self._sound()
        return flac_bytes(renderer.render(groove, kit), renderer.sample_rate)

    def read_midi(self, data: bytes, *, treat_as_drums: int | str | None = None) -> MidiReading:
        """Read a MIDI file as a groove, and say what was dropped or merged; see `midi`."""
        return read_midi(data, treat_as_drums=treat_as_drums)

    def read_rhythm(self, data: bytes, *, track: int | str | None = None) -> MidiReading:
        """Read all notes of a track of a MIDI file as a rhythm; see `midi.read_rhythm`."""
        return read_rhythm(data, track=track)

    def midi(self, groove: Groove) -> bytes:
        """Return a groove as a standard MIDI file."""
        return write_midi(groove)

    def _sound(self) -> Renderer:
        with self._lock:
            if self._renderer is None:
                self._renderer = Renderer(self._soundfont)
            return self._renderer


def _check_number(n: int) -> None:
    if not 1 <= n <= MAX_TAKES:
        raise ConfigError(f"{n} grooves were asked for; ask for 1 to {MAX_TAKES}.")


def _check_temperature(temperature: float) -> None:
    if not 0 <= temperature <= MAX_TEMPERATURE:
        raise ConfigError(
            f"The temperature is {temperature:g}; it must lie in 0 to {MAX_TEMPERATURE:g}."
        )
