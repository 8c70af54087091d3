"""A `Studio` for tests of the pages: hand-made grooves and clicks, at once and without models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from fake_lab import FakeLab

from musicvae_core.errors import MusicVAEError
from musicvae_core.latent.atlas import Atlas, Performance, Principal
from musicvae_core.latent.attribute_vectors import FILL, AttributeVectors
from musicvae_core.latent.morph import Curve, _compare, _lay_codes, _with_exact_ends, journey_codes
from musicvae_core.latent.results import ModelInfo, Morphed, SteeredTake, Take
from musicvae_core.music.attributes import _Beats, controls_of, measure_controls
from musicvae_core.music.drums import CLOSED_HAT, CRASH, KICK, N_VOICES, OPEN_HAT, SNARE
from musicvae_core.music.groove import Groove
from musicvae_core.music.line_midi import LineReading, read_line
from musicvae_core.music.midi.read import MidiReading, read_midi, read_rhythm
from musicvae_core.music.midi.write import write_midi
from musicvae_core.sound.kit_pack import _level_gain, write_instrument_pack, write_kit_pack
from musicvae_core.sound.render import softened, wav_bytes

SAMPLE_RATE = 44_100
Z_SIZE = 4
_N_BARS = 2
_PITCHES_HZ = np.geomspace(60, 6_000, N_VOICES)


class FakeStudio:
    """Takes the place of `Studio`: two models, two kits, a groove for each z."""

    def __init__(self, sound_problem: str | None = None) -> None:
        self.sound_problem = sound_problem
        self.error: MusicVAEError | None = None
        self.lab_error: MusicVAEError | None = None
        self.calls: list[dict[str, object]] = []

    def models(self) -> tuple[ModelInfo, ...]:
        return (
            ModelInfo("groove_2bar", "Two bars with feel", _N_BARS, True),
            ModelInfo("drums_2bar", "Two bars, hits alone", _N_BARS, False),
        )

    def sample(
        self,
        model: str,
        n: int,
        *,
        temperature: float = 1.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        prior: str = "learned",
        style: str | None = None,
        busy: float | None = None,
    ) -> list[Take]:
        call = {"model": model, "n": n, "seed": seed, "prior": prior}
        asked = {"style": style, "busy": busy}
        self.calls.append(call | {name: one for name, one in asked.items() if one is not None})
        if self.error:
            raise self.error
        rng = np.random.default_rng([seed, len(style or ""), round(100 * (busy or 0))])
        points = rng.standard_normal((n, Z_SIZE)).astype(np.float32)
        return [Take(groove_at(z, tempo_bpm), z, model, seed, temperature) for z in points]

    def similar(self, take: Take, n: int, *, amount: float = 0.3, seed: int = 0) -> list[Take]:
        rng = np.random.default_rng(seed)
        steps = amount * rng.standard_normal((n, Z_SIZE)).astype(np.float32)
        tempo_bpm = take.groove.tempo_bpm
        return [
            Take(groove_at(take.z + step, tempo_bpm), take.z + step, take.model, seed, 1.0)
            for step in steps.astype(np.float32)
        ]

    def encode(self, model: str, grooves: Sequence[Groove]) -> np.ndarray:
        """Z numbers drawn from what is played: equal grooves have equal codes."""
        seeds = [np.packbits(groove.hits).astype(np.uint32) for groove in grooves]
        codes = [np.random.default_rng(seed).standard_normal(Z_SIZE) for seed in seeds]
        return np.array(codes, np.float32).reshape(-1, Z_SIZE)

    def decode(
        self, model: str, codes: np.ndarray, *, tempo_bpm: float = 120.0, **settings: object
    ) -> list[Take]:
        return [Take(groove_at(z, tempo_bpm), z, model, 0, 0.0) for z in codes]

    def atlas(self, model: str) -> Atlas:
        if self.error:
            raise self.error
        return fake_atlas(model)

    def journey(
        self, model: str, stops: np.ndarray, steps_a_leg: int, *, tempo_bpm: float = 120.0
    ) -> list[Take]:
        return self.decode(model, journey_codes(stops, steps_a_leg), tempo_bpm=tempo_bpm)

    def morph(
        self,
        model: str,
        ends: Sequence[Groove],
        n_steps: int = 9,
        *,
        curve: Curve = "refined",
        temperature: float = 0.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        exact_ends: bool = False,
    ) -> Morphed:
        self.calls.append({"curve": curve, "temperature": temperature, "n_steps": n_steps})
        if self.error:
            raise self.error
        corners = self.encode(model, ends)
        codes, n_rows = _lay_codes(corners, n_steps, curve)
        n_bars = ends[0].n_bars
        grooves = tuple(groove_at(z, tempo_bpm).repeated(n_bars) for z in codes)
        played = [groove_at(z, tempo_bpm).repeated(n_bars) for z in corners]
        back = [_compare(end, groove) for end, groove in zip(ends, played, strict=True)]
        if exact_ends:
            grooves = _with_exact_ends(grooves, ends, n_rows)
        return Morphed(grooves, codes, n_rows, len(codes) // n_rows, tuple(back))

    def attribute_vectors(self, model: str) -> AttributeVectors:
        if self.error:
            raise self.error
        return fake_vectors(model == "groove_2bar")

    def steer(
        self,
        model: str,
        z: np.ndarray,
        targets: Mapping[str, float],
        *,
        styles: Mapping[str, float] | None = None,
        tempo_bpm: float = 120.0,
    ) -> SteeredTake:
        """Another groove for other wishes; what is set measures as asked, up to a kick of 10."""
        self.calls.append({"targets": dict(targets), "styles": dict(styles or {})})
        moved = z + np.float32(sum(targets.values()) + sum((styles or {}).values()))
        groove = groove_at(moved, tempo_bpm)
        beats = _Beats(groove.hits, groove.velocities, groove.offsets)
        names = self.attribute_vectors(model).controls
        before = dict(zip(names, measure_controls(beats, names).tolist(), strict=True))
        after = before | dict(targets)
        after["kick_activity"] = min(10.0, after["kick_activity"])
        return SteeredTake(Take(groove, moved, model, 0, 0.0), before, after)

    def steer_ahead(
        self, model: str, z: np.ndarray, n_positions: int, *, tempo_bpm: float = 120.0
    ) -> dict[str, tuple[tuple[float, Groove], ...]]:
        vectors = self.attribute_vectors(model)
        return {
            name: tuple(
                (float(value), groove_at(z + np.float32(value), tempo_bpm))
                for value in np.linspace(low, high, n_positions)
            )
            for name, low, high in zip(
                vectors.controls, vectors.lowest, vectors.highest, strict=True
            )
        }

    def read_midi(self, data: bytes, **how: Any) -> MidiReading:
        return read_midi(data, **how)

    def read_line(self, data: bytes, *, track: int | str | None = None) -> LineReading:
        return read_line(data, track=track)

    def read_rhythm(self, data: bytes, **how: Any) -> MidiReading:
        return read_rhythm(data, **how)

    def lab(self) -> FakeLab:
        if self.lab_error:
            raise self.lab_error
        return FakeLab(self.calls)

    def kits(self) -> tuple[str, ...]:
        return () if self.sound_problem else ("standard", "jazz")

    def described_kits(self) -> dict[str, str]:
        return {kit: f"{kit.title()}: of tones" for kit in self.kits()}

    def kit_pack(self, kit: str) -> bytes:
        mastering = {"knee": 0.5, "ceiling": 0.99}
        return write_kit_pack(partial(fake_note, kit), SAMPLE_RATE, mastering)

    def instrument_pack(self, program: int) -> bytes:
        return write_instrument_pack(partial(fake_line_note, program), SAMPLE_RATE)

    def wav(
        self,
        groove: Groove,
        kit: str | None = None,
        gains: Sequence[float] | None = None,
        voice_kits: Mapping[int, str] | None = None,
    ) -> bytes:
        drums = None if gains is None else gains[:N_VOICES]
        return wav_bytes(fake_loop(groove, kit or "standard", drums))

    def midi(self, groove: Groove, *, loop: bool = False) -> bytes:
        return write_midi(groove, loop=loop)


@cache
def fake_atlas(model: str) -> Atlas:
    """96 points of six performances in three styles, each style a corner of the map."""
    rng = np.random.default_rng(5)
    styles = ("rock", "funk", "neworleans")
    performances = tuple(
        Performance(
            name=f"drummer{at % 2 + 1}/{at}.mid",
            style=styles[at // 2],
            drummer=f"drummer{at % 2 + 1}",
            beat_type=("beat", "fill")[at % 2],
            tempo_bpm=80.0 + 10 * at,
        )
        for at in range(6)
    )
    performance = np.repeat(np.arange(6), 16)
    corners = 4 * np.eye(Z_SIZE, dtype=np.float32)[performance // 2]
    codes = corners + rng.standard_normal((96, Z_SIZE)).astype(np.float32)
    principal = Principal(
        codes.mean(axis=0), np.eye(3, Z_SIZE, dtype=np.float32), np.float32([0.4, 0.3, 0.2])
    )
    return Atlas(
        fingerprint=model,
        n_bars=_N_BARS,
        codes=codes,
        performance=performance,
        start_bar=np.tile(np.arange(16), 6),
        performances=performances,
        attributes={"kick_activity": rng.uniform(1, 6, 96).astype(np.float32)},
        principal=principal,
        tsne=4 * codes[:, :2],
    )


def fake_vectors(has_feel: bool) -> AttributeVectors:
    """Every attribute but the ride, and three labels."""
    names = tuple(name for name in controls_of(has_feel) if name != "ride_activity")
    n = len(names)
    lowest = np.array([-0.3 if name in ("swing", "laid_backness") else 0.0 for name in names])
    ends = {"activity": 12.0, "swing": 0.5, "backness": 0.2, "looseness": 0.3}
    highest = np.array([ends.get(name.split("_")[-1], 0.9) for name in names])
    return AttributeVectors(
        fingerprint="",
        controls=names,
        labels=("funk", "neworleans", FILL),
        deviations=np.ones(n),
        lowest=lowest,
        highest=highest,
        plain=np.ones((n, Z_SIZE)),
        corrected=np.ones((n, Z_SIZE)),
        metric=np.eye(n),
        styles=np.ones((3, Z_SIZE)),
    )


def groove_at(z: np.ndarray, tempo_bpm: float) -> Groove:
    """A beat of kick, snare and hats, with hits, loudness and timing strewn by z."""
    rng = np.random.default_rng(np.abs(z * 1e4).astype(np.uint32))
    hits = np.zeros((16 * _N_BARS, N_VOICES), bool)
    hits[::2, CLOSED_HAT] = True
    hits[::8, KICK] = True
    hits[4::8, SNARE] = True
    hits[0, CRASH] = rng.random() < 0.5
    hits |= rng.random(hits.shape) < 0.05
    velocities = rng.uniform(0.15, 1.0, hits.shape)
    offsets = np.clip(rng.normal(0.0, 0.12, hits.shape), -0.45, 0.45)
    return Groove.from_hits(hits, velocities, offsets, tempo_bpm)


def pulse(voice: int, tempo_bpm: float, every: int = 1, loose: bool = False) -> Groove:
    """One voice on every so many steps, as loud as can be; `loose` strews its timing."""
    hits = np.zeros((16 * _N_BARS, N_VOICES), bool)
    hits[::every, voice] = True
    looseness = np.random.default_rng(7).uniform(-0.2, 0.45, hits.shape)
    return Groove.from_hits(hits, 1.0, looseness if loose else 0.0, tempo_bpm)


def fake_line_note(program: int, pitch: int, level: int, n_samples: int) -> np.ndarray:
    """A tone of its pitch, held for so many samples and then gone in a tenth of a second."""
    seconds = np.arange(n_samples + SAMPLE_RATE // 10) / SAMPLE_RATE
    ending = np.maximum(0, seconds - n_samples / SAMPLE_RATE)
    tone = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * seconds)
    sound = (0.3 * (level / 127) ** 2 * tone * 10 ** (-30 * ending)).astype(np.float32)
    return np.stack([sound, sound], axis=1)


def fake_note(kit: str, voice: int, level: int) -> np.ndarray:
    """A decaying tone, (n_samples, 2): a pitch for each voice, half as loud in the jazz kit."""
    ring = np.arange(SAMPLE_RATE // 8)
    tone = np.sin(2 * np.pi * _PITCHES_HZ[voice] / SAMPLE_RATE * ring)
    gain = (0.2 if kit == "jazz" else 0.4) * _level_gain(level, 127)
    sound = gain * tone * np.exp(-ring / (SAMPLE_RATE / 40))
    return np.repeat(sound.astype(np.float32)[:, None], 2, axis=1)


def fake_loop(
    groove: Groove, kit: str = "standard", gains: Sequence[float] | None = None
) -> np.ndarray:
    """One pass of a groove played with `fake_note`, (n_samples, 2), wrapped at the end."""
    loop = np.zeros((round(groove.duration_seconds * SAMPLE_RATE), 2), np.float32)
    mix = np.ones(N_VOICES) if gains is None else np.array(gains)[:N_VOICES]  # lines aside
    heard = groove.hits & mix.astype(bool)
    cells = np.argwhere(heard)
    places = cells[:, 0] + groove.offsets[tuple(cells.T)].astype(float)
    onsets = np.rint(places * groove.step_seconds * SAMPLE_RATE).astype(int) % len(loop)
    hats = np.isin(cells[:, 1], (CLOSED_HAT, OPEN_HAT))
    for onset, (step, voice) in zip(onsets, cells, strict=True):
        level = max(1, round(127 * float(groove.velocities[step, voice])))
        note = fake_note(kit, voice, level) * mix[voice]
        if voice in (CLOSED_HAT, OPEN_HAT):
            until_next = (onsets[hats] - onset - 1) % len(loop) + 1
            note = note * _choke(until_next.min(), len(note))[:, None]
        np.add.at(loop, (onset + np.arange(len(note))) % len(loop), note)
    return softened(loop)


def _choke(start: int, n_samples: int) -> np.ndarray:
    """The gain of a cymbal that another ends at a sample: 96 dB down in 0.89 s."""
    late = np.maximum(np.arange(n_samples) - start, 0) / SAMPLE_RATE
    return 10 ** (-96 / 20 * late / 2 ** (-200 / 1200))
