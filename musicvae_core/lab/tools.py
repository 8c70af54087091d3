"""The groove lab: humanize, drumify, transfer, fill in and continue; grooves in, a groove out.

Whatever a player keeps comes back exactly as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.lab.completion import Example, complete
from musicvae_core.lab.options import (
    ANYTHING,
    FULLY,
    USUAL,
    Amounts,
    Chance,
    Wishes,
    match_feel,
)
from musicvae_core.models.checkpoint import LabCheckpoint
from musicvae_core.models.conditioning import (
    UNKNOWN,
    Controls,
    Floats,
    Kept,
    taps_of,
)
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove, groove_to_features

_MAX_CONTINUED_BARS = 64
_CONTEXT_BARS = 2
"""What is written anew follows on from so many bars; what is played anew, from one."""
_DENSITY_BARS = 4
_N_DRAWS = 4
"""How a continuation keeps its density. Of eight bars that follow four (means over a split), the
density differs from that of the four, in octaves, by .21 where the model is told it, and by .09
with four draws; by .32 where it is not told, and by .12 as the drummers went on (validation)."""
_EXAMPLE_BARS = 2
"""Bars of the groove whose feel is transferred that are heard before every stretch."""
_MAX_HEARD_WINDOWS = 16


class Lab:
    """A groove lab, ready to use from any thread.

    Parameters
    ----------
    checkpoint
        The model.
    """

    def __init__(self, checkpoint: LabCheckpoint) -> None:
        self.checkpoint = checkpoint

    @property
    def grid(self) -> Grid:
        """The grid of the grooves that it plays."""
        return self.checkpoint.config.grid

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that can be asked for."""
        return self.checkpoint.config.style_names

    @property
    def drummers(self) -> tuple[str, ...]:
        """The drummers that can be asked for."""
        return self.checkpoint.config.drummer_names

    def humanize(
        self,
        groove: Groove,
        *,
        amounts: Amounts = FULLY,
        wishes: Wishes = ANYTHING,
        chance: Chance = USUAL,
    ) -> Groove:
        """Play a groove anew: every note stays, its velocity and timing are drawn.

        Parameters
        ----------
        groove
            Of any length.
        amounts
            How far to move from how it was played.
        wishes
            A style or a drummer to play like; the number of hits is the groove's own.
        chance
            Seed, and temperature of the feel.

        Raises
        ------
        ConfigError
            If there is no such style or drummer.
        """
        kept = Kept.notes(_features(groove))
        played = self._complete(groove, kept, replace(wishes, hits_a_bar=None), chance, 1)
        return amounts.apply(groove, played)

    def drumify(
        self, rhythm: Groove, *, wishes: Wishes = ANYTHING, chance: Chance = USUAL
    ) -> Groove:
        """Make a part for the whole kit of a rhythm, that plays where it does.

        Parameters
        ----------
        rhythm
            Any groove: all its voices are heard as one, the loudest at each step. Where all
            its hits are equally loud it has no accents, and the model sets them.
        wishes
            Style, drummer, number of hits.
        chance
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
        kept = replace(Kept.nothing(features), taps=taps.astype(np.float32))
        return self._complete(rhythm, kept, wishes, chance, _CONTEXT_BARS)

    def transfer(
        self,
        feel: Groove,
        groove: Groove,
        *,
        amounts: Amounts = FULLY,
        chance: Chance = USUAL,
    ) -> Groove:
        """Play the notes of one groove with the feel of another.

        Parameters
        ----------
        feel
            Whose loudness and timing to take, of any length.
        groove
            Whose notes to keep, of any length.
        amounts
            How far to move from how it was played.
        chance
            Seed, and temperature of the feel.

        Raises
        ------
        InvalidMusicError
            If the first groove is silent.

        The posterior mean of the first groove's most typical window stands in for z, and two of
        its bars are heard before every stretch of the second; what is drawn is then brought to
        the first groove's means, see `match_feel`. What each of these adds is measured by the
        experiment `feel`.
        """
        _check_sounds(feel, "groove whose feel is wanted")
        played = self.play_like(self.listen(feel), groove, chance)
        return amounts.apply(groove, match_feel(played, feel))

    def play_like(self, example: Example, groove: Groove, chance: Chance = USUAL) -> Groove:
        """Play a groove anew, by the code of another and after bars of it; see `listen`."""
        return self._complete(groove, Kept.notes(_features(groove)), ANYTHING, chance, 1, example)

    def fill_in(
        self,
        groove: Groove,
        *,
        voices: Collection[int] = range(N_VOICES),
        bars: Collection[int] | None = None,
        wishes: Wishes = ANYTHING,
        chance: Chance = USUAL,
    ) -> Groove:
        """Write some voices, or some bars, anew, and hold all else exactly.

        Parameters
        ----------
        groove
            Of any length.
        voices
            Rows of `VOICES` to write anew.
        bars
            Where to, counted from 0; None for all.
        wishes
            Style, drummer, number of hits of all voices together.
        chance
            Seed and temperatures.

        Raises
        ------
        ConfigError
            If a voice or a bar is not there, none is chosen, or there is no such style or
            drummer.
        """
        where = range(groove.n_bars) if bars is None else bars
        _check_choice("voice", voices, N_VOICES)
        _check_choice("bar", where, groove.n_bars)
        kept = _all_but(groove, voices, where)
        return self._complete(groove, kept, wishes, chance, _CONTEXT_BARS)

    def carry_on(
        self,
        groove: Groove,
        n_bars: int,
        *,
        wishes: Wishes = ANYTHING,
        chance: Chance = USUAL,
    ) -> Groove:
        """Return a groove with so many bars after it, that go on from where it ends.

        Where no number of hits is asked for, it is that of the groove's last four bars: of four
        draws that are told it, the one that keeps it best is taken.

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
        if wishes.hits_a_bar is not None or hits_a_bar is None:
            return self.fill_in(longer, bars=new, wishes=wishes, chance=chance)
        wishes = replace(wishes, hits_a_bar=hits_a_bar)
        kept = _all_but(longer, range(N_VOICES), new)
        draws = self._draw(longer, kept, wishes, chance, _CONTEXT_BARS, n_draws=_N_DRAWS)
        return min(draws, key=lambda draw: _unevenness(draw, groove.n_bars, hits_a_bar))

    def _complete(
        self,
        groove: Groove,
        kept: Kept,
        wishes: Wishes,
        chance: Chance,
        context_bars: int,
        like: Example | None = None,
    ) -> Groove:
        """Complete a groove of which something is kept."""
        [made] = self._draw(groove, kept, wishes, chance, context_bars, like)
        return made

    def _draw(
        self,
        groove: Groove,
        kept: Kept,
        wishes: Wishes,
        chance: Chance,
        context_bars: int,
        like: Example | None = None,
        n_draws: int = 1,
    ) -> list[Groove]:
        """Complete a groove in several ways, and put back what is kept as it was."""
        self.grid.check(groove.grid)
        draws = np.zeros(n_draws, np.int64)
        features = complete(
            self.checkpoint.model,
            kept.take(draws),
            self._controls(groove, wishes).take(draws),
            chance,
            context_bars=context_bars,
            like=like,
        )
        made = [self.checkpoint.to_music(one, groove.tempo_bpm) for one in features]
        return [_put_back(groove, kept, one) for one in made]

    def _controls(self, groove: Groove, wishes: Wishes) -> Controls:
        hits_a_bar = np.nan if wishes.hits_a_bar is None else wishes.hits_a_bar
        density = hits_a_bar / groove.grid.steps_per_bar
        return Controls(
            np.array([groove.tempo_bpm], np.float32),
            np.array([density], np.float32),
            np.array([_place("style", wishes.style, self.styles)]),
            np.array([_place("drummer", wishes.drummer, self.drummers)]),
        )

    @torch.inference_mode()
    def listen(self, feel: Groove) -> Example:
        """Return what the model hears in a groove, at the window most like all others."""
        config, model = self.checkpoint.config, self.checkpoint.model
        self.grid.check(feel.grid)
        windows = _sounding_windows(feel, config.n_bars)
        features = np.concatenate([_features(window) for window in windows])
        controls = self._controls(feel, ANYTHING).take(np.zeros(len(windows), np.int64))
        condition = model.condition(Kept.notes(features), controls)
        mu, _ = model.encode(torch.from_numpy(features), condition)
        distances = (mu - mu.mean(dim=0)).norm(dim=-1)
        typical = int(distances.argmin())
        n_steps = _EXAMPLE_BARS * config.grid.steps_per_bar
        return Example(mu[typical : typical + 1], features[typical : typical + 1, :n_steps])


def _all_but(groove: Groove, voices: Collection[int], bars: Collection[int]) -> Kept:
    """Return that all is known of a groove but some voices in some bars."""
    anew = np.zeros(groove.hits.shape, bool)
    steps_per_bar = groove.grid.steps_per_bar
    for bar in bars:
        steps = slice(bar * steps_per_bar, (bar + 1) * steps_per_bar)
        anew[steps, sorted(voices)] = True
    known = ~anew[None]
    return replace(Kept.nothing(_features(groove)), hits=known, velocities=known, offsets=known)


def _put_back(groove: Groove, kept: Kept, made: Groove) -> Groove:
    """Return a completed groove with what is kept of another as it was."""
    return Groove.from_hits(
        np.where(kept.hits[0], groove.hits, made.hits),
        np.where(kept.velocities[0], groove.velocities, made.velocities),
        np.where(kept.offsets[0], groove.offsets, made.offsets),
        groove.tempo_bpm,
        groove.grid,
    )


def _unevenness(groove: Groove, start_bar: int, hits_a_bar: float) -> float:
    """Return how far the bars from one on are, on average, from a number of hits."""
    counts = groove.hits.reshape(groove.n_bars, -1).sum(axis=1)[start_bar:]
    return float(np.abs(counts - hits_a_bar).mean())


def _recent_hits_a_bar(groove: Groove) -> float | None:
    """Return the mean number of hits in the last bars; None, for any number, where all are silent.

    More than can be asked for are the most.
    """
    n_bars = min(groove.n_bars, _DENSITY_BARS)
    n_hits = groove.bars(groove.n_bars - n_bars, n_bars).n_hits
    return min(n_hits / n_bars, Wishes.MAX_HITS_A_BAR) if n_hits else None


def _features(groove: Groove) -> Floats:
    """Return a groove as a batch of one, (1, T, 27)."""
    return groove_to_features(groove, groove.grid)[None]


def _sounding_windows(feel: Groove, n_bars: int) -> Sequence[Groove]:
    """Return windows of a groove, repeated where it is shorter, that have about its most hits."""
    windows = feel.windows(n_bars) or [feel.repeated(n_bars)]
    most = max(window.n_hits for window in windows)
    lively = [window for window in windows if 2 * window.n_hits >= most]
    return lively[:: -(-len(lively) // _MAX_HEARD_WINDOWS)]


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
    """Refuse no choice at all, and one that is not there; bars are told from 1 on."""
    if not chosen:
        raise ConfigError(f"No {kind} is chosen: choose one or more to write anew.")
    beyond = [place for place in chosen if not 0 <= place < n]
    if beyond:
        raise ConfigError(f"There is no {kind} {beyond[0] + 1}; there are {kind}s 1 to {n}.")
