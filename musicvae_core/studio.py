"""The façade of the app and of scripts: grooves, NumPy and bytes in and out.

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
    nearby_codes,
    sample_codes,
    sample_codes_like,
)
from musicvae_core.latent.model_folder import Library
from musicvae_core.latent.morph import Curve, Route, Stop, journey_codes, morph, play_path
from musicvae_core.latent.results import (
    LongTake,
    ModelInfo,
    Morphed,
    SteeredTake,
    Take,
)
from musicvae_core.latent.steering import look_ahead, steer_take
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.music.forms import Music, form_of
from musicvae_core.music.groove import Groove
from musicvae_core.music.line_midi import read_line, read_piece
from musicvae_core.music.midi.read import read_midi, read_rhythm
from musicvae_core.music.piece import Plays
from musicvae_core.sound.lines import render_music
from musicvae_core.sound.render import Renderer, wav_bytes

SHIPPED_CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
_MAX_TAKES = 1024


def limit_threads() -> None:
    """Let PyTorch use one thread, for a process that makes music for people.

    A request is too small to share out, and many sessions may ask at once.
    """
    torch.set_num_threads(1)


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
        style: str | None = None,
        busy: float | None = None,
    ) -> list[Take]:
        """Draw n new grooves, or what else the model plays.

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
        style, busy
            What the grooves should be like, see `latent.sample_codes_like`; with either, the
            prior is the learned one.

        Raises
        ------
        ConfigError, CheckpointError
            If a value is out of its range, there is no such model, or its atlas is needed and
            missing.
        """
        _check_number(n)
        checkpoint = self.checkpoint(model)
        if style is None and busy is None:
            codes = sample_codes(checkpoint, n, prior, seed)
        else:
            atlas = self.atlas(model)
            codes = sample_codes_like(checkpoint, atlas, n, style, busy, seed)
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

    def encode(self, model: str, music: Sequence[Music]) -> NDArray[np.float32]:
        """Return the posterior means (n, Z) float32 of music; see `latent.encode_music`."""
        return encode_music(self.checkpoint(model), music)

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
        grooves = decode_music(checkpoint, codes, temperature, tempo_bpm, seed, alike=alike)
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
        model
            One of `models()`, by name.
        ends
            Two, or four: upper left and right, lower left and right; of the model's length.
        n_steps
            3 to 33, both ends included; a pad does not use it.
        curve
            `refined`, which draws what lies between the ends towards what is played; without a
            learned prior it is `slerp`. Or `slerp` or `lerp`, to compare.
        temperature, tempo_bpm, seed
            See `sample`; all steps share their chance, so that a path stays even.
        exact_ends
            Keep the ends themselves in place of what the model makes of them.

        Raises
        ------
        ConfigError, CheckpointError, InvalidMusicError
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
        CheckpointError
            See `attribute_vectors`.
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
        """Return what each attribute's vector alone makes of a code; see `look_ahead`.

        Raises
        ------
        CheckpointError
            See `attribute_vectors`.
        """
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
        """Draw some bars of some parts anew, and hold the rest; see `long_form.vary`."""
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
        """Draw a piece whose bars can be changed alone; see `sample` and `long_form`."""
        check_temperature(temperature)
        return long_form.sample_piece(self.checkpoint(model), model, seed, temperature, tempo_bpm)

    def piece_of(
        self, model: str, groove: Groove, z: NDArray[np.float32] | None = None
    ) -> LongTake:
        """Take up a groove as a piece; see `long_form.piece_of`."""
        return long_form.piece_of(self.checkpoint(model), model, groove, z)

    def vary_bars(
        self, piece: LongTake, bars: Sequence[int], amount: float, seed: int = 0
    ) -> LongTake:
        """Change some bars and hold all others exactly; see `long_form.vary_bars`."""
        return long_form.vary_bars(self.checkpoint(piece.model), piece, bars, amount, seed)

    def morph_pieces(
        self, start: LongTake, end: LongTake, n_steps: int = 5
    ) -> tuple[LongTake, ...]:
        """Return pieces from one to another, both included; see `long_form.morph_pieces`."""
        return long_form.morph_pieces(self.checkpoint(start.model), start, end, n_steps)

    def cross_over(self, start: LongTake, end: LongTake) -> LongTake:
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
        """Refuse what `wav` would, before any sound is made."""
        self._sound().check(groove, kit)

    def described_kits(self) -> dict[str, str]:
        """Return the kits by name with what each sounds like, the usual ones first."""
        return self._sound().described_kits

    def kit_pack(self, kit: str) -> bytes:
        """Return a kit as one file, with which a browser plays; see `Renderer.kit_pack`."""
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
        """Return one pass of music as a WAV file that loops without a seam.

        `kit` plays the drums, `voice_kits` single voices of them. `gains` are the amplitudes in
        the mix, of the nine drums and then of the lines; None for 1 each.
        """
        return wav_bytes(render_music(self._sound(), music, kit, gains, voice_kits))

    # Files are read without a model, on the grid that is asked for.
    read_midi = staticmethod(read_midi)
    read_rhythm = staticmethod(read_rhythm)
    read_line = staticmethod(read_line)
    read_parts = staticmethod(read_piece)

    def midi(self, music: Music, *, loop: bool = False) -> bytes:
        """Return music as a standard MIDI file, to be played once or as a loop."""
        return form_of(music).write(music, loop)

    def _sound(self) -> Renderer:
        with self._lock:
            if self._renderer is None:
                self._renderer = Renderer(self._soundfont)
            return self._renderer


def _check_number(n: int) -> None:
    if not 1 <= n <= _MAX_TAKES:
        raise ConfigError(f"{n} samples were asked for; ask for 1 to {_MAX_TAKES}.")
