"""The façade for the app and for scripts: music, NumPy arrays and bytes in and out.

studio = Studio()
take = studio.sample("groove_2bar", 1, seed=7)[0]
Path("groove.mid").write_bytes(studio.midi(take.groove))
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError, RenderError
from musicvae_core.lab.tools import Lab
from musicvae_core.latent import long_form
from musicvae_core.latent.atlas import Atlas
from musicvae_core.latent.attribute_vectors import AttributeVectors
from musicvae_core.latent.codes import (
    PriorName,
    check_temperature,
    decode_music,
    encode_music,
    sample_codes,
    sample_codes_like,
    slerp,
)
from musicvae_core.latent.model_folder import Library
from musicvae_core.latent.morph import Curve, Route, Stop, journey_codes, morph, play_path
from musicvae_core.latent.results import LongTake, ModelInfo, Morphed, SteeredTake, Take
from musicvae_core.latent.steering import look_ahead, steer_take
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.music.forms import Music, form_of
from musicvae_core.music.groove import Groove
from musicvae_core.music.line_midi import read_line, read_piece
from musicvae_core.music.midi.read import read_midi, read_rhythm
from musicvae_core.music.piece import Plays
from musicvae_core.sound.render import Renderer, render_music, wav_bytes

SHIPPED_CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
_MAX_TAKES = 1024


def limit_threads() -> None:
    """Limit PyTorch to one thread, for a process that serves many sessions.

    A single request is too small to gain from several threads, and many may arrive at once.
    """
    torch.set_num_threads(1)


class Studio:
    """All models, the audio renderer and file reading, shared by many sessions.

    Models are loaded on first use and then kept in memory. All methods are thread-safe.

    A `model` is the name of one of `models()`. A method that takes one, or a take of one, raises
    `CheckpointError` if the model does not exist or lacks a file that is needed, and `ConfigError`
    if a value is out of range.

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
        self._library = Library(Path(checkpoints_dir))
        self._soundfont = soundfont
        self._renderer: Renderer | None = None
        self._lock = threading.Lock()

    def models(self, plays: Plays | None = None) -> tuple[ModelInfo, ...]:
        """List the checkpoints, or those of one form of music, without loading them."""
        return self._library.models(plays)

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
        """Return a model's attribute vectors, loaded once; see `Library.attribute_vectors`."""
        return self._library.attribute_vectors(model)

    def sample(
        self,
        model: str,
        n: int,
        *,
        temperature: float | None = None,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        prior: PriorName = "learned",
        style: str | None = None,
        busy: float | None = None,
    ) -> list[Take]:
        """Draw n new pieces of the music the model plays: grooves, lines or trios.

        Parameters
        ----------
        n
            How many, 1 to 1024.
        temperature
            0 to 2; by default the model's own (`Kind.temperature`). At 0 each z gives its most
            likely notes and mean feel; at 1 they are sampled from the model's own distribution;
            higher values are wilder.
        tempo_bpm
            Tempo of the grooves; the model has no tempo of its own.
        seed
            The same seed, model and settings give the same grooves.
        prior
            `learned` or `normal`; see `latent.sample_codes`.
        style, busy
            What the grooves should be like; see `latent.sample_codes_like`. Either one implies
            the learned prior and needs the model's atlas.
        """
        _check_number(n)
        checkpoint = self.checkpoint(model)
        if temperature is None:
            temperature = kind_of(checkpoint.config).temperature
        if style is None and busy is None:
            codes = sample_codes(checkpoint, n, prior, seed)
        else:
            atlas = self.atlas(model)
            codes = sample_codes_like(checkpoint, atlas, n, style, busy, seed)
        return self.decode(model, codes, temperature=temperature, tempo_bpm=tempo_bpm, seed=seed)

    def similar(self, take: Take, n: int, *, amount: float = 0.3, seed: int = 0) -> list[Take]:
        """Return n variations of a take, each partway from it to a fresh sample.

        Parameters
        ----------
        take
            Where to start; its model, temperature and tempo are kept.
        n
            How many.
        amount
            How far to go: 0 gives the take's own z, 1 gives unrelated samples.
        seed
            Selects the fresh samples.
        """
        _check_number(n)
        if not 0 <= amount <= 1:
            raise ConfigError(f"The amount is {amount:g}; it must lie in 0 to 1.")
        checkpoint = self.checkpoint(take.model)
        others = sample_codes(checkpoint, n, checkpoint.best_prior, seed)
        codes = np.stack([slerp(take.z, other, amount) for other in others])
        return self.decode(
            take.model,
            codes,
            temperature=take.temperature,
            tempo_bpm=take.groove.tempo_bpm,
            seed=seed,
        )

    def encode(self, model: str, music: Sequence[Music]) -> NDArray[np.float32]:
        """Encode music into posterior means (n, Z) float32; see `latent.encode_music`."""
        return encode_music(self.checkpoint(model), music)

    def decode(
        self,
        model: str,
        codes: NDArray[np.float32],
        *,
        temperature: float = 1.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        share_noise: bool = False,
    ) -> list[Take]:
        """Decode each code of (n, Z) into a take; see `sample` and `latent.codes.decode_music`."""
        checkpoint = self.checkpoint(model)
        grooves = decode_music(
            checkpoint, codes, temperature, tempo_bpm, seed, share_noise=share_noise
        )
        pairs = zip(grooves, codes, strict=True)
        return [Take(groove, z, model, seed, temperature) for groove, z in pairs]

    def morph(
        self,
        model: str,
        ends: Sequence[Music],
        n_steps: int = 9,
        *,
        curve: Curve = "refined",
        temperature: float = 0.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        exact_ends: bool = False,
    ) -> Morphed:
        """Morph between two grooves, or on a 5 x 5 pad between four.

        Parameters
        ----------
        ends
            Two grooves, or four: upper left, upper right, lower left, lower right. They must
            have the model's length.
        n_steps
            3 to 33, both ends included; ignored for a pad.
        curve
            `refined` pulls the codes between the ends towards those of real music; without a
            learned prior it is the same as `slerp`. `slerp` and `lerp` are there to compare.
        temperature, tempo_bpm, seed
            See `sample`. All steps share the same noise, so that the path changes smoothly.
        exact_ends
            Return the ends themselves instead of their reconstructions.

        Raises
        ------
        InvalidMusicError
            If an end has another length than the model's.
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
        self, model: str, stops: NDArray[np.float32], steps_a_leg: int, *, tempo_bpm: float = 120.0
    ) -> list[Take]:
        """Decode a path through codes (n, Z) at temperature 0; see `journey_codes`."""
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
        """Move a code until its groove's attributes reach their targets; see `steering`.

        Parameters
        ----------
        z
            (Z,): where to start.
        targets
            Target values by attribute, in each attribute's unit; the other attributes are held.
        styles
            How much of each label's vector to add first.
        tempo_bpm
            Tempo of the groove.
        """
        vectors = self.attribute_vectors(model)
        checkpoint = self.checkpoint(model)
        return steer_take(checkpoint, vectors, model, z, targets, styles or {}, tempo_bpm)

    def steer_ahead(
        self,
        model: str,
        z: NDArray[np.float32],
        n_positions: int,
        *,
        tempo_bpm: float = 120.0,
    ) -> dict[str, tuple[tuple[float, Music], ...]]:
        """Decode a code moved along each attribute vector on its own; see `look_ahead`."""
        vectors = self.attribute_vectors(model)
        return look_ahead(self.checkpoint(model), vectors, z, n_positions, tempo_bpm)

    def vary(
        self,
        take: Take,
        *,
        bars: Collection[int] | None = None,
        parts: Collection[str] | None = None,
        amount: float = 1.0,
        seed: int = 0,
    ) -> Take:
        """Redraw some bars of some parts and keep the rest; see `long_form.vary`."""
        checkpoint = self.checkpoint(take.model)
        return long_form.vary(checkpoint, take, bars=bars, parts=parts, amount=amount, seed=seed)

    def sample_piece(
        self,
        model: str,
        *,
        temperature: float = 1.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
    ) -> LongTake:
        """Draw a piece whose bars can be changed one by one; see `sample` and `long_form`."""
        check_temperature(temperature)
        return long_form.sample_piece(self.checkpoint(model), model, seed, temperature, tempo_bpm)

    def piece_of(
        self, model: str, groove: Groove, z: NDArray[np.float32] | None = None
    ) -> LongTake:
        """Turn a groove into an editable piece; see `long_form.piece_of`."""
        return long_form.piece_of(self.checkpoint(model), model, groove, z)

    def vary_bars(
        self, piece: LongTake, bars: Sequence[int], amount: float, seed: int = 0
    ) -> LongTake:
        """Change some bars and keep all others exactly; see `long_form.vary_bars`."""
        return long_form.vary_bars(self.checkpoint(piece.model), piece, bars, amount, seed)

    def morph_pieces(
        self, start: LongTake, end: LongTake, n_steps: int = 5
    ) -> tuple[LongTake, ...]:
        """Morph from one piece to another, both included; see `long_form.morph_pieces`."""
        return long_form.morph_pieces(self.checkpoint(start.model), start, end, n_steps)

    def cross_over(self, start: LongTake, end: LongTake) -> LongTake:
        """Return one piece that starts as one and ends as another; see `long_form.cross_over`."""
        return long_form.cross_over(self.checkpoint(start.model), start, end)

    def play_path(
        self, model: str, stops: Sequence[Stop], route: Route, tempo_bpm: float = 120.0
    ) -> Groove:
        """Return the piece that a path through z plays; see `morph.play_path`."""
        check_temperature(route.temperature)
        return play_path(self.checkpoint(model), stops, route, tempo_bpm)

    @property
    def sound_problem(self) -> str | None:
        """Why there is no sound and how to fix it, in one sentence; None if there is sound."""
        try:
            self._sound()
        except RenderError as error:
            return str(error)
        return None

    def kits(self) -> tuple[str, ...]:
        """List the drum kits of the SoundFont by name; the first is the default."""
        return self._sound().kits

    def check_sound(self, groove: Groove, kit: str | None = None) -> None:
        """Raise the errors that `wav` would, without rendering anything."""
        self._sound().check(groove, kit)

    def described_kits(self) -> dict[str, str]:
        """Return a description of each kit's sound by name, the most common kits first."""
        return self._sound().described_kits

    def kit_pack(self, kit: str) -> bytes:
        """Return a kit as one file for playback in a browser; see `Renderer.kit_pack`."""
        return self._sound().kit_pack(kit)

    def instrument_pack(self, program: int) -> bytes:
        """Return an instrument as one file; see `Renderer.instrument_pack`."""
        return self._sound().instrument_pack(program)

    def wav(
        self,
        music: Music,
        kit: str | None = None,
        gains: Sequence[float] | None = None,
        voice_kits: Mapping[int, str] | None = None,
    ) -> bytes:
        """Return one pass of music as a WAV file that loops seamlessly.

        `kit` plays the drums; `voice_kits` overrides it for single drum voices. `gains` are the
        mix amplitudes of the nine drum voices, then of the lines; None means 1 for each.
        """
        return wav_bytes(render_music(self._sound(), music, kit, gains, voice_kits))

    # Reading files needs no model; each reader takes the grid to quantise to.
    read_midi = staticmethod(read_midi)
    read_rhythm = staticmethod(read_rhythm)
    read_line = staticmethod(read_line)
    read_parts = staticmethod(read_piece)

    def midi(self, music: Music, *, loop: bool = False) -> bytes:
        """Return music as a standard MIDI file, for playing once or looping."""
        return form_of(music).write(music, loop)

    def _sound(self) -> Renderer:
        with self._lock:
            if self._renderer is None:
                self._renderer = Renderer(self._soundfont)
            return self._renderer


def _check_number(n: int) -> None:
    if not 1 <= n <= _MAX_TAKES:
        raise ConfigError(f"{n} samples were asked for; ask for 1 to {_MAX_TAKES}.")
