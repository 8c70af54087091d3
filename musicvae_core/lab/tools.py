"""The groove lab: humanize, drumify, transfer, fill in and continue; grooves in, a groove out.

Everything the player keeps comes back exactly as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.lab.completion import Example, complete
from musicvae_core.lab.options import (
    DEFAULT_AMOUNTS,
    DEFAULT_SAMPLING,
    NO_PREFERENCES,
    Amounts,
    Preferences,
    Sampling,
    match_feel,
)
from musicvae_core.models.checkpoint import LabCheckpoint
from musicvae_core.models.conditioning import (
    UNKNOWN,
    Conditioning,
    Controls,
    Floats,
    taps_of,
)
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove, groove_to_features

_MAX_CONTINUED_BARS = 64
_CONTEXT_BARS = 2
"""Bars of context when new notes are written; when only the feel is new, one bar is enough."""
_DENSITY_BARS = 4
_N_DRAWS = 4
"""Draws per continuation, of which the one closest in density is taken. Between four bars and the
eight that follow, density changes by this many octaves (means over the validation split): .32 if
the model is not given the density, .21 if it is, .09 with four draws; the drummers' own, .12."""
_EXAMPLE_BARS = 2
"""Bars of the groove whose feel is transferred that precede every stretch as context."""
_MAX_EXAMPLE_WINDOWS = 16


class Lab:
    """A groove lab; all methods are thread-safe.

    Parameters
    ----------
    checkpoint
        The model.
    """

    def __init__(self, checkpoint: LabCheckpoint) -> None:
        self.checkpoint = checkpoint

    @property
    def grid(self) -> Grid:
        """The grid of the grooves it plays."""
        return self.checkpoint.config.grid

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles it can play in."""
        return self.checkpoint.config.style_names

    @property
    def drummers(self) -> tuple[str, ...]:
        """The drummers it can play like."""
        return self.checkpoint.config.drummer_names

    def humanize(
        self,
        groove: Groove,
        *,
        amounts: Amounts = DEFAULT_AMOUNTS,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        """Give a groove new feel: keep every note, and redraw its velocity and timing.

        Parameters
        ----------
        groove
            A groove of any length.
        amounts
            How far to move from the original feel.
        preferences
            A style or a drummer to play like; the number of hits is always the groove's own.
        sampling
            Seed, and temperature of the feel.

        Raises
        ------
        ConfigError
            If there is no such style or drummer.
        """
        given = Conditioning.notes(_features(groove))
        played = self._complete(groove, given, replace(preferences, hits_a_bar=None), sampling, 1)
        return amounts.apply(groove, played)

    def drumify(
        self,
        rhythm: Groove,
        *,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        """Turn a rhythm into a full drum part that plays at the same steps.

        Parameters
        ----------
        rhythm
            Any groove: its voices are merged into one, the loudest at each step. If all its
            hits are equally loud, it has no accents and the model adds them.
        preferences
            Style, drummer, number of hits.
        sampling
            Seed and temperatures.

        Raises
        ------
        InvalidMusicError
            If the rhythm is silent.
        ConfigError
            If there is no such style or drummer.
        """
        _check_sounds(rhythm, "rhythm")
        features = _features(rhythm)
        taps = taps_of(features)
        if np.ptp(rhythm.velocities[rhythm.hits]) == 0:
            taps = taps * np.array([1, 0, 1], np.float32)
        given = replace(Conditioning.nothing(features), taps=taps.astype(np.float32))
        return self._complete(rhythm, given, preferences, sampling, _CONTEXT_BARS)

    def transfer(
        self,
        feel: Groove,
        groove: Groove,
        *,
        amounts: Amounts = DEFAULT_AMOUNTS,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        """Play the notes of one groove with the feel of another.

        Parameters
        ----------
        feel
            The groove whose dynamics and timing to take, of any length.
        groove
            The groove whose notes to keep, of any length.
        amounts
            How far to move from the original feel.
        sampling
            Seed, and temperature of the feel.

        Raises
        ------
        InvalidMusicError
            If the first groove is silent.

        z is the posterior mean of the first groove's most typical window, and two bars of that
        window precede every stretch of the second groove as context. The result is then matched
        to the first groove's statistics; see `match_feel`. The experiment `feel` measures what
        each of these steps adds.
        """
        _check_sounds(feel, "groove whose feel is wanted")
        played = self.play_like(self.example_from(feel), groove, sampling)
        return amounts.apply(groove, match_feel(played, feel))

    def play_like(
        self, example: Example, groove: Groove, sampling: Sampling = DEFAULT_SAMPLING
    ) -> Groove:
        """Give a groove new feel, conditioned on an example's code and bars; see `example_from`."""
        return self._complete(
            groove, Conditioning.notes(_features(groove)), NO_PREFERENCES, sampling, 1, example
        )

    def fill_in(
        self,
        groove: Groove,
        *,
        voices: Collection[int] = range(N_VOICES),
        bars: Collection[int] | None = None,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        """Rewrite some voices in some bars, and keep everything else exactly.

        Parameters
        ----------
        groove
            A groove of any length.
        voices
            Rows of `VOICES` to rewrite.
        bars
            Bars in which to rewrite them, counted from 0; None for all.
        preferences
            Style, drummer, and number of hits over all voices.
        sampling
            Seed and temperatures.

        Raises
        ------
        ConfigError
            If a voice or a bar does not exist, none is chosen, or there is no such style or
            drummer.
        """
        where = range(groove.n_bars) if bars is None else bars
        _check_choice("voice", voices, N_VOICES)
        _check_choice("bar", where, groove.n_bars)
        given = _all_but(groove, voices, where)
        return self._complete(groove, given, preferences, sampling, _CONTEXT_BARS)

    def continue_groove(
        self,
        groove: Groove,
        n_bars: int,
        *,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        """Continue a groove for `n_bars` bars; return the groove followed by the new bars.

        If `preferences` gives no number of hits, the density of the groove's last four bars is
        used: four continuations are drawn with that density as a control, and the closest is taken.

        Raises
        ------
        ConfigError
            If `n_bars` is not 1 to 64, or there is no such style or drummer.
        """
        if not 1 <= n_bars <= _MAX_CONTINUED_BARS:
            raise ConfigError(
                f"{n_bars} bars were asked for; ask for 1 to {_MAX_CONTINUED_BARS} more."
            )
        longer = groove.padded(groove.n_bars + n_bars)
        new = range(groove.n_bars, longer.n_bars)
        hits_a_bar = _recent_hits_a_bar(groove)
        if preferences.hits_a_bar is not None or hits_a_bar is None:
            return self.fill_in(longer, bars=new, preferences=preferences, sampling=sampling)
        preferences = replace(preferences, hits_a_bar=hits_a_bar)
        given = _all_but(longer, range(N_VOICES), new)
        draws = self._draw(longer, given, preferences, sampling, _CONTEXT_BARS, n_draws=_N_DRAWS)
        return min(draws, key=lambda draw: _unevenness(draw, groove.n_bars, hits_a_bar))

    def _complete(
        self,
        groove: Groove,
        given: Conditioning,
        preferences: Preferences,
        sampling: Sampling,
        context_bars: int,
        like: Example | None = None,
    ) -> Groove:
        """Complete a groove, given its known parts."""
        [made] = self._draw(groove, given, preferences, sampling, context_bars, like)
        return made

    def _draw(
        self,
        groove: Groove,
        given: Conditioning,
        preferences: Preferences,
        sampling: Sampling,
        context_bars: int,
        like: Example | None = None,
        n_draws: int = 1,
    ) -> list[Groove]:
        """Complete a groove in several ways, and restore the known parts exactly."""
        self.grid.check(groove.grid)
        draws = np.zeros(n_draws, np.int64)
        features = complete(
            self.checkpoint.model,
            given.take(draws),
            self._controls(groove, preferences).take(draws),
            sampling,
            context_bars=context_bars,
            like=like,
        )
        made = [self.checkpoint.to_music(one, groove.tempo_bpm) for one in features]
        return [_put_back(groove, given, one) for one in made]

    def _controls(self, groove: Groove, preferences: Preferences) -> Controls:
        hits_a_bar = np.nan if preferences.hits_a_bar is None else preferences.hits_a_bar
        density = hits_a_bar / groove.grid.steps_per_bar
        return Controls(
            np.array([groove.tempo_bpm], np.float32),
            np.array([density], np.float32),
            np.array([_place("style", preferences.style, self.styles)]),
            np.array([_place("drummer", preferences.drummer, self.drummers)]),
        )

    @torch.inference_mode()
    def example_from(self, feel: Groove) -> Example:
        """Return the code and the first bars of a groove's most typical window."""
        config, model = self.checkpoint.config, self.checkpoint.model
        self.grid.check(feel.grid)
        windows = _sounding_windows(feel, config.n_bars)
        features = np.concatenate([_features(window) for window in windows])
        controls = self._controls(feel, NO_PREFERENCES).take(np.zeros(len(windows), np.int64))
        condition = model.condition(Conditioning.notes(features), controls)
        mu, _ = model.encode(torch.from_numpy(features), condition)
        distances = (mu - mu.mean(dim=0)).norm(dim=-1)
        typical = int(distances.argmin())
        n_steps = _EXAMPLE_BARS * config.grid.steps_per_bar
        return Example(mu[typical : typical + 1], features[typical : typical + 1, :n_steps])


def _all_but(groove: Groove, voices: Collection[int], bars: Collection[int]) -> Conditioning:
    """Return the conditioning on all of a groove except some voices in some bars."""
    is_unknown = np.zeros(groove.hits.shape, bool)
    steps_per_bar = groove.grid.steps_per_bar
    for bar in bars:
        steps = slice(bar * steps_per_bar, (bar + 1) * steps_per_bar)
        is_unknown[steps, sorted(voices)] = True
    known = ~is_unknown[None]
    return replace(
        Conditioning.nothing(_features(groove)), hits=known, velocities=known, offsets=known
    )


def _put_back(groove: Groove, given: Conditioning, made: Groove) -> Groove:
    """Return a completed groove with the original's known parts restored exactly."""
    return Groove.from_hits(
        np.where(given.hits[0], groove.hits, made.hits),
        np.where(given.velocities[0], groove.velocities, made.velocities),
        np.where(given.offsets[0], groove.offsets, made.offsets),
        groove.tempo_bpm,
        groove.grid,
    )


def _unevenness(groove: Groove, start_bar: int, hits_a_bar: float) -> float:
    """Return the mean difference between each bar's hits, from a bar on, and a target."""
    counts = groove.hits.reshape(groove.n_bars, -1).sum(axis=1)[start_bar:]
    return float(np.abs(counts - hits_a_bar).mean())


def _recent_hits_a_bar(groove: Groove) -> float | None:
    """Return the mean number of hits in the last bars; None, for any number, if they are silent.

    The mean is limited to the most that `Preferences` allows.
    """
    n_bars = min(groove.n_bars, _DENSITY_BARS)
    n_hits = groove.bars(groove.n_bars - n_bars, n_bars).n_hits
    return min(n_hits / n_bars, Preferences.MAX_HITS_A_BAR) if n_hits else None


def _features(groove: Groove) -> Floats:
    """Return a groove as a batch of one, (1, T, 27)."""
    return groove_to_features(groove, groove.grid)[None]


def _sounding_windows(feel: Groove, n_bars: int) -> Sequence[Groove]:
    """Return a groove's windows with at least half the hits of its busiest one.

    A groove shorter than a window is repeated to fill it.
    """
    windows = feel.windows(n_bars) or [feel.repeated(n_bars)]
    most = max(window.n_hits for window in windows)
    lively = [window for window in windows if 2 * window.n_hits >= most]
    return lively[:: -(-len(lively) // _MAX_EXAMPLE_WINDOWS)]


def _place(kind: str, name: str | None, names: tuple[str, ...]) -> int:
    if name is None:
        return UNKNOWN
    if name not in names:
        raise ConfigError(f"There is no {kind} {name!r}; choose one of {', '.join(names)}.")
    return names.index(name)


def _check_sounds(groove: Groove, name: str) -> None:
    if not groove.n_hits:
        raise InvalidMusicError(f"The {name} is silent: choose one that has notes.")


def _check_choice(kind: str, chosen: Collection[int], n: int) -> None:
    """Check that something is chosen and that it exists; messages count from 1."""
    if not chosen:
        raise ConfigError(f"No {kind} is chosen: choose one or more to regenerate.")
    beyond = [place for place in chosen if not 0 <= place < n]
    if beyond:
        raise ConfigError(f"There is no {kind} {beyond[0] + 1}; there are {kind}s 1 to {n}.")
