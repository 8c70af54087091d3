"""A fake `Studio` that has a model of sixteen bars, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fake_studio import Z_SIZE, FakeStudio, groove_at

from musicvae_core.latent.long_form import _check_one_model, _splice
from musicvae_core.latent.morph import Route, Stop, _check_path
from musicvae_core.latent.results import LongTake, ModelInfo
from musicvae_core.music.groove import Groove

N_BARS = 16
LONG = "groove_16bar"
LONG_DRUMS = "drums_16bar"


class FakeLongStudio(FakeStudio):
    """Bars whose embeddings are random numbers, and decode as `groove_at` says."""

    def __init__(self) -> None:
        super().__init__()
        self.long_models = (ModelInfo(LONG, "Sixteen bars", N_BARS, True, True),)

    def models(self) -> tuple[ModelInfo, ...]:
        return (*super().models(), *self.long_models)

    def add_long_drums(self) -> None:
        drums = ModelInfo(LONG_DRUMS, "Sixteen bars, hits alone", N_BARS, False, True)
        self.long_models = (*self.long_models, drums)

    def sample_piece(
        self, model: str, *, temperature: float = 1.0, tempo_bpm: float = 120.0, seed: int = 0
    ) -> LongTake:
        self.calls.append({"model": model, "temperature": temperature, "seed": seed})
        if self.error:
            raise self.error
        embeddings = np.random.default_rng(seed).standard_normal((N_BARS, Z_SIZE))
        groove = _bars(embeddings, tempo_bpm)
        return LongTake(groove, embeddings.ravel(), embeddings, model, seed, temperature)

    def piece_of(self, model: str, groove: Groove, z: np.ndarray | None = None) -> LongTake:
        self.calls.append({"model": model, "z": z})
        embeddings = np.ones((N_BARS, Z_SIZE))
        return LongTake(groove, embeddings.ravel(), embeddings, model, 0, 0.0)

    def vary_bars(
        self, piece: LongTake, bars: Sequence[int], amount: float, seed: int = 0
    ) -> LongTake:
        self.calls.append({"bars": list(bars), "amount": amount, "seed": seed})
        if self.error:
            raise self.error
        moved = piece.embeddings.copy()
        moved[list(bars)] += amount * seed
        tempo_bpm = piece.groove.tempo_bpm
        groove = _splice(piece.groove, _bars(moved, tempo_bpm), bars)
        return replace(piece, groove=groove, embeddings=moved)

    def morph_pieces(
        self, start: LongTake, end: LongTake, n_steps: int = 5
    ) -> tuple[LongTake, ...]:
        _check_one_model(start, end)
        between = [self.vary_bars(start, range(N_BARS), 1.0, at) for at in range(1, n_steps - 1)]
        return (start, *between, end)

    def cross_over(self, start: LongTake, end: LongTake) -> LongTake:
        _check_one_model(start, end)
        return replace(start, groove=_splice(start.groove, end.groove, range(8, N_BARS)))

    def play_path(
        self, model: str, stops: Sequence[Stop], route: Route, tempo_bpm: float = 120.0
    ) -> Groove:
        self.calls.append({"bars": [stop.n_bars for stop in stops], "route": route})
        _check_path(stops, route)
        return Groove.joined([stop.groove.repeated(stop.n_bars) for stop in stops])


def _bars(embeddings: np.ndarray, tempo_bpm: float) -> Groove:
    return Groove.joined([groove_at(one, tempo_bpm).bars(0, 1) for one in embeddings])
