"""The façade of the app and of scripts: grooves, NumPy and bytes in and out.

studio = Studio()
take = studio.sample("groove_2bar", 1, seed=7)[0]
Path("groove.mid").write_bytes(studio.midi(take.groove))
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.decoding import check_temperature, decode_grooves
from musicvae_core.errors import ConfigError, RenderError
from musicvae_core.groove import Groove
from musicvae_core.lab.tools import Lab
from musicvae_core.latent import PriorName, encode_grooves, nearby_codes, sample_codes
from musicvae_core.library import Library
from musicvae_core.midi import MidiReading, read_midi, read_rhythm, write_midi
from musicvae_core.sound.flac import flac_bytes
from musicvae_core.sound.render import Renderer, wav_bytes
from musicvae_core.space import long_form
from musicvae_core.space.atlas import Atlas
from musicvae_core.space.attribute_vectors import AttributeVectors
from musicvae_core.space.journey import journey_codes
from musicvae_core.space.latent_path import play_path
from musicvae_core.space.morph import Curve, morph
from musicvae_core.space.route import Route, Stop
from musicvae_core.space.steering import steer_take
from musicvae_core.takes import ModelInfo, Morphed, Piece, SteeredTake, Take

SHIPPED_CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
MAX_TAKES = 1024


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
        self._library = Library(Path(checkpoints_dir))
        self._soundfont = soundfont
        self._renderer: Renderer | None = None
        self._lock = threading.Lock()

    def models(self) -> tuple[ModelInfo, ...]:
        """List the checkpoints that are there, without loading them; see `Library`."""
        return self._library.models()

    def checkpoint(self, model: str) -> Checkpoint:
        """Return a model, loaded once; see `Library.checkpoint`."""
        return self._library.checkpoint(model)

    def lab(self) -> Lab:
        """Return the groove lab, loaded once; see `Library.lab`."""
        return self._library.lab()

    def atlas(self, model: str) -> Atlas:
        """Return the map of a model's space, loaded once; see `Library.atlas`."""
        return self._library.atlas(model)

    def attribute_vectors(self, model: str) -> AttributeVectors:
        """Return what a model's grooves can be steered along; see `Library.attribute_vectors`."""
        return self._library.attribute_vectors(model)

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
        """Decode codes (n, Z) into as many takes; see `sample`, `decoding.decode_alike`."""
        checkpoint = self.checkpoint(model)
        grooves = decode_grooves(checkpoint, codes, temperature, tempo_bpm, seed, alike=alike)
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
        """Morph between two grooves, or on a 5 x 5 pad between four.

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
        return morph(
            self.checkpoint(model),
            ends,
            n_steps,
            curve=curve,
            temperature=temperature,
            tempo_bpm=tempo_bpm,
            seed=seed,
            exact_ends=exact_ends,
        )

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
        """Move a code so that its groove measures as asked; see `steering`.

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
        checkpoint = self.checkpoint(model)
        return steer_take(checkpoint, vectors, model, z, targets, styles or {}, tempo_bpm)

    def sample_piece(
        self,
        model: str,
        *,
        temperature: float = 1.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
    ) -> Piece:
        """Draw a piece whose bars can be changed alone; see `sample` and `long_form`."""
        check_temperature(temperature)
        return long_form.sample_piece(self.checkpoint(model), model, seed, temperature, tempo_bpm)

    def piece_of(self, model: str, groove: Groove, z: NDArray[np.float32] | None = None) -> Piece:
        """Take up a groove as a piece; see `long_form.piece_of`."""
        return long_form.piece_of(self.checkpoint(model), model, groove, z)

    def vary_bars(self, piece: Piece, bars: Sequence[int], amount: float, seed: int = 0) -> Piece:
        """Change some bars and hold all others exactly; see `long_form.vary_bars`."""
        return long_form.vary_bars(self.checkpoint(piece.model), piece, bars, amount, seed)

    def morph_pieces(self, start: Piece, end: Piece, n_steps: int = 5) -> tuple[Piece, ...]:
        """Return pieces from one to another, both included; see `long_form.morph_pieces`."""
        return long_form.morph_pieces(self.checkpoint(start.model), start, end, n_steps)

    def cross_over(self, start: Piece, end: Piece) -> Piece:
        """Return one piece that leads from one to another; see `long_form.cross_over`."""
        return long_form.cross_over(self.checkpoint(start.model), start, end)

    def play_path(
        self, model: str, stops: Sequence[Stop], route: Route, tempo_bpm: float = 120.0
    ) -> Groove:
        """Return the piece that a path through z makes; see `latent_path.play_path`."""
        check_temperature(route.temperature)
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

    def check_sound(self, groove: Groove, kit: str | None = None) -> None:
        """Refuse what `wav` and `flac` would, before any sound is made."""
        self._sound().check(groove, kit)

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
