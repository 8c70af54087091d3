"""A `Studio` for tests of the pages: hand-made grooves and clicks, at once and without models."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from fake_lab import FakeLab

from musicvae_core.attributes import Beats
from musicvae_core.controls import controls_of, measure_controls
from musicvae_core.errors import MusicVAEError
from musicvae_core.groove import Groove
from musicvae_core.midi import MidiReading, read_midi, read_rhythm, write_midi
from musicvae_core.sound.flac import flac_bytes
from musicvae_core.space.atlas import Atlas, Performance
from musicvae_core.space.attribute_vectors import FILL, AttributeVectors
from musicvae_core.space.journey import journey_codes
from musicvae_core.space.morph import Curve, compare, lay_codes, with_exact_ends
from musicvae_core.space.projection import Principal
from musicvae_core.takes import ModelInfo, Morphed, SteeredTake, Take
from musicvae_core.vocabulary import CLOSED_HAT, CRASH, KICK, N_VOICES, SNARE

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
    ) -> list[Take]:
        self.calls.append({"model": model, "n": n, "seed": seed, "prior": prior})
        if self.error:
            raise self.error
        rng = np.random.default_rng(seed)
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
        curve: Curve = "slerp",
        temperature: float = 0.0,
        tempo_bpm: float = 120.0,
        seed: int = 0,
        exact_ends: bool = False,
    ) -> Morphed:
        self.calls.append({"curve": curve, "temperature": temperature, "n_steps": n_steps})
        if self.error:
            raise self.error
        corners = self.encode(model, ends)
        codes, n_rows = lay_codes(corners, n_steps, curve)
        n_bars = ends[0].n_bars
        grooves = tuple(groove_at(z, tempo_bpm).repeated(n_bars) for z in codes)
        played = [groove_at(z, tempo_bpm).repeated(n_bars) for z in corners]
        back = [compare(end, groove) for end, groove in zip(ends, played, strict=True)]
        if exact_ends:
            grooves = with_exact_ends(grooves, ends, n_rows)
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
        beats = Beats(groove.hits, groove.velocities, groove.offsets)
        names = self.attribute_vectors(model).controls
        before = dict(zip(names, measure_controls(beats, names).tolist(), strict=True))
        after = before | dict(targets)
        after["kick_activity"] = min(10.0, after["kick_activity"])
        return SteeredTake(Take(groove, moved, model, 0, 0.0), before, after)

    def read_midi(self, data: bytes, *, treat_as_drums: int | str | None = None) -> MidiReading:
        return read_midi(data, treat_as_drums=treat_as_drums)

    def read_rhythm(self, data: bytes, *, track: int | str | None = None) -> MidiReading:
        return read_rhythm(data, track=track)

    def lab(self) -> FakeLab:
        if self.lab_error:
            raise self.lab_error
        return FakeLab(self.calls)

    def kits(self) -> tuple[str, ...]:
        return () if self.sound_problem else ("standard", "jazz")

    def wav(self, groove: Groove, kit: str | None = None) -> bytes:
        return click_track(groove, gain=0.2 if kit == "jazz" else 0.4)

    def flac(self, groove: Groove, kit: str | None = None) -> bytes:
        with wave.open(io.BytesIO(self.wav(groove, kit))) as reader:
            pcm = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
        return flac_bytes(pcm.reshape(-1, 2) / np.float32(32_767), SAMPLE_RATE)

    def midi(self, groove: Groove) -> bytes:
        return write_midi(groove)


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


def click_track(groove: Groove, gain: float) -> bytes:
    """A WAV file of exactly one pass: a decaying tone a hit, wrapped at the end."""
    n_frames = round(groove.duration_seconds * SAMPLE_RATE)
    sound = np.zeros(n_frames)
    ring = np.arange(SAMPLE_RATE // 8)
    decay = np.exp(-ring / (SAMPLE_RATE / 40))
    for step, voice in np.argwhere(groove.hits):
        onset = (step + groove.offsets[step, voice]) * groove.step_seconds * SAMPLE_RATE
        tone = np.sin(2 * np.pi * _PITCHES_HZ[voice] / SAMPLE_RATE * ring) * decay
        np.add.at(sound, (round(onset) + ring) % n_frames, groove.velocities[step, voice] * tone)
    pcm = (np.clip(gain * sound, -1, 1) * 32_767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(np.repeat(pcm, 2).tobytes())
    return file.getvalue()
