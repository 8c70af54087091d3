"""A prior over melodies and bands: an autoregressive model of their notes, whose music is encoded.

The codes of real tunes fill a space of hundreds of dimensions very unevenly, and a flow fitted to
them (`prior`) misses by enough to make a decoder leap and hesitate. Notes are easier to learn one
after another. So new music is drawn note by note, and its code is the encoder's: the prior over z
is the distribution of q(z | x) over the x of this model, and the music that the decoder makes of
such a code is nearly the music that was drawn.

Source: Tomczak and Welling 2018 (arXiv 1705.07120), equation 9, show that the best prior of a VAE
is the mean of its posteriors over the data; here the data is a model's. At each step an LSTM also
sees what was played one, two, four and eight bars before, and whether the music is repeating it:
Magenta's lookback RNN (Waite 2016, "Generating Long-Term Structure in Songs and Stories"), which
looks back by one and two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from musicvae_core.models.arithmetic import PlanCache, in_integers, on_whole_blocks, step_dtype
from musicvae_core.models.config import Config, ModelConfig, Size
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.music.drums import Alphabet
from musicvae_core.music.line import MAX_TRANSPOSITION

_LOOKBACK_BARS = (1, 2, 4, 8)


class NotesConfig(Config):
    """Dimensions of the network, and the temperature at which it is sampled.

    Parameters
    ----------
    size
        Width of the LSTM.
    embedding_size
        Width of what the network is told of one part at one lag.
    head_size
        Width of the hidden layer from which each part's class is chosen.
    temperature
        Logit divisor, chosen on the validation split.
    """

    size: Size = 384
    embedding_size: Size = 24
    head_size: Size = 192
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0


class _Past(NamedTuple):
    """What was played before each step, padded for the largest lag.

    played, events: (B, padding + T, P) the classes, and the last event up to each step. lags:
    (lags,) where to look, from the start of the padding. n_rows: (P,) classes and the padding's.
    offsets: (lags, P) the first row of `NotesPrior.past` for each.
    """

    played: Tensor
    events: Tensor
    lags: Tensor
    n_rows: Tensor
    offsets: Tensor


class NotesPrior(nn.Module):
    """The distribution of each step's classes given all steps before it.

    At each step an LSTM reads, for every part and lag, the class at that lag, the last event up to
    it, and whether the step after it was then repeated; the place in the bar; and the bar. Each
    part's class is chosen from its state and from the classes of the parts that were chosen
    before it. The parts are learned in every order, so any of them can be drawn for the others.

    Parameters
    ----------
    config
        Dimensions of the network.
    model
        The model whose music is learned: its bars and grid.
    alphabets
        The classes of each part, by name.
    """

    def __init__(
        self, config: NotesConfig, model: ModelConfig, alphabets: Mapping[str, Alphabet]
    ) -> None:
        super().__init__()
        self.config, self.alphabets = config, tuple(alphabets.values())
        self.n_steps, self._steps_per_bar = model.n_steps, model.grid.steps_per_bar
        bars = [bars for bars in _LOOKBACK_BARS if bars < model.n_bars]
        self._lags = [1, *(bars * self._steps_per_bar for bars in bars)]
        n_parts, width = len(self.alphabets), config.embedding_size
        # For every part and lag: classes that repeat or do not, and last events; one more of each
        # stands for the time before the first step.
        n_rows = sum(len(self._lags) * 3 * (one.n_classes + 1) for one in self.alphabets)
        self.past = nn.Embedding(n_rows, width)
        self.place = nn.Embedding(self._steps_per_bar, width)
        self.bar = nn.Embedding(model.n_bars, width)
        self.shift = nn.Embedding(2 * MAX_TRANSPOSITION + 1, width)
        self.present = nn.Embedding(sum(one.n_classes + 1 for one in self.alphabets), width)
        n_inputs = (n_parts * len(self._lags) * 2 + 3) * width
        self.lstm = nn.LSTM(n_inputs, config.size, batch_first=True)
        n_seen = n_inputs + config.size + (n_parts * width if n_parts > 1 else 0)
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(n_seen, config.head_size),
                nn.SiLU(),
                nn.Linear(config.head_size, one.n_classes),
            )
            for one in self.alphabets
        )
        self._steppers: PlanCache[_Stepper] = PlanCache()

    @property
    def noise_size(self) -> int:
        """How many numbers `sample` needs for one piece of music: one for every part and step."""
        return self.n_steps * len(self.alphabets)

    def log_prob(
        self, classes: Tensor, shifts: Tensor, ranks: Tensor, dropout: float = 0.0
    ) -> Tensor:
        """Return the log likelihood (B, T, P), in nats, of each class given the steps before it.

        Parameters
        ----------
        classes
            (B, T, P) int64.
        shifts
            (B,) int64: by how many semitones the music was transposed.
        ranks
            (B, P) int64: each part is also given the present classes of those of lower rank.
        dropout
            Share of the inputs and states that are zeroed.
        """
        past = self._past(classes)
        steps = torch.arange(classes.shape[1], device=classes.device)
        inputs = torch.cat([self._recalled(past, steps), self._places(shifts)], dim=-1)
        inputs = functional.dropout(inputs, dropout)  # (B, T, I)
        states = functional.dropout(self.lstm(inputs)[0], dropout)
        log_probs = []
        for part, head in enumerate(self.heads):
            is_known = (ranks < ranks[:, part : part + 1]).unsqueeze(1)  # (B, 1, P)
            seen = [inputs, states, *self._present(classes, is_known)]
            logits: Tensor = head(torch.cat(seen, dim=-1))
            own = classes[..., part : part + 1]
            log_probs.append(logits.float().log_softmax(dim=-1).gather(-1, own))
        return torch.cat(log_probs, dim=-1)

    @torch.no_grad()
    def sample(
        self, noise: Tensor, held: Tensor | None = None, is_held: Tensor | None = None
    ) -> Tensor:
        """Draw music, step by step.

        Parameters
        ----------
        noise
            (B, `noise_size`) standard normal.
        held, is_held
            (B, T, P) classes, and which of them the music must have; None for none. Parts that
            are held throughout, in all examples, are seen by the others at their own step.

        Returns
        -------
        (B, T, P) int64 classes.
        """
        shape = (len(noise), self.n_steps, len(self.alphabets))
        if held is None or is_held is None:
            held = torch.zeros(shape, dtype=torch.int64, device=noise.device)
            is_held = torch.zeros_like(held, dtype=torch.bool)
        uniform = torch.special.ndtr(noise).view(shape)
        drawn: Tensor
        if step_dtype(noise.device) == torch.int8:  # exact for any number of rows
            stepper = self._steppers.get(
                "integers", self.parameters(), lambda: in_integers(_Stepper(self))
            )
            drawn = self._run(stepper, uniform, held, is_held)
        else:
            stepper = self._steppers.get("floats", self.parameters(), lambda: _Stepper(self))
            drawn = on_whole_blocks(lambda *rows: self._run(stepper, *rows), uniform, held, is_held)
        return drawn

    @torch.no_grad()
    def redraw(self, model: MusicVAE, codes: Tensor, is_new: Tensor, noise: Tensor) -> Tensor:
        """Play some bars of the music of codes anew, to what the rest plays.

        New bars follow from the bars before them and, where a part is not played anew at all,
        from what it plays at the same time.

        Parameters
        ----------
        model
            The model of the codes.
        codes
            (B, Z).
        is_new
            (B, U, P) bool: the bars of each part to play anew.
        noise
            (B, `noise_size`) standard normal.

        Returns
        -------
        The codes (B, Z) of the music with the new bars.
        """
        is_held = ~is_new.repeat_interleave(self._steps_per_bar, dim=1)
        played = model.head.classes(model.decode(codes, 0.0)).view(is_held.shape)
        drawn = self.sample(noise, played, is_held)
        return model.encode(self.to_features(drawn))[0]

    def _run(self, stepper: _Stepper, uniform: Tensor, held: Tensor, is_held: Tensor) -> Tensor:
        n_examples, n_steps, n_parts = uniform.shape
        # The last part first, as drums lead; parts that are held throughout before those.
        order = sorted(range(n_parts), key=lambda part: (not is_held[..., part].all(), -part))
        past = self._past(torch.zeros_like(held))
        start = past.played.shape[1] - n_steps
        places = self._places(held.new_zeros(n_examples)).unbind(dim=1)
        steps = torch.arange(n_steps, device=held.device).unsqueeze(1)
        state = uniform.new_zeros(2, n_examples, self.config.size)
        event = torch.zeros_like(held[:, 0])
        for step in range(n_steps):
            recalled = self._recalled(past, steps[step])[:, 0]
            inputs = torch.cat([recalled, places[step]], dim=-1)
            state = stepper.advance(inputs, state)
            present = torch.zeros_like(event)
            is_known = torch.zeros_like(event, dtype=torch.bool)
            for part in order:
                seen = [inputs, state[0], *self._present(present, is_known)]
                logits = stepper.heads[part](torch.cat(seen, dim=-1)) / self.config.temperature
                drawn = _pick(logits, uniform[:, step, part])
                own = torch.where(is_held[:, step, part], held[:, step, part], drawn)
                present[:, part], is_known[:, part] = own, True
            event = torch.where(present > 0, present, event)
            past.played[:, start + step], past.events[:, start + step] = present, event
        return past.played[:, start:]

    def to_features(self, classes: Tensor) -> Tensor:
        """Return the model's features (B, T, F) of classes (B, T, P)."""
        tables = [torch.from_numpy(one.table) for one in self.alphabets]
        each = zip(tables, classes.unbind(dim=-1), strict=True)
        return torch.cat([functional.embedding(own, table) for table, own in each], dim=-1)

    def _past(self, classes: Tensor) -> _Past:
        """Return the past of every step of classes (B, T, P)."""
        n_classes = classes.new_tensor([one.n_classes for one in self.alphabets])  # (P,)
        n_rows, n_lags = 3 * (n_classes + 1), len(self._lags)
        steps = torch.arange(classes.shape[1], device=classes.device).unsqueeze(1)
        latest = torch.where(classes > 0, steps, -1).cummax(dim=1).values
        events = torch.where(latest >= 0, classes.gather(1, latest.clamp(min=0)), 0)
        padding = n_classes.expand(len(classes), max(self._lags) + 1, -1)
        first = (n_lags * n_rows).cumsum(0) - n_lags * n_rows  # (P,)
        return _Past(
            torch.cat([padding, classes], dim=1),
            torch.cat([padding, events], dim=1),
            padding.shape[1] - classes.new_tensor(self._lags),
            n_classes + 1,
            first + classes.new_tensor(range(n_lags)).unsqueeze(1) * n_rows,
        )

    def _recalled(self, past: _Past, steps: Tensor) -> Tensor:
        """Return embeddings (B, S, P * lags * 2 * E) of what was played before steps (S,)."""
        at = steps.unsqueeze(1) + past.lags  # (S, lags)
        repeats = past.played[:, at - 1] == past.played[:, at[:, :1]]  # (B, S, lags, P)
        classes = past.played[:, at] + past.n_rows * repeats
        rows = torch.stack([classes, past.events[:, at] + 2 * past.n_rows], dim=-1)
        embedded: Tensor = self.past(rows + past.offsets.unsqueeze(-1))
        return embedded.flatten(2)

    def _places(self, shifts: Tensor) -> Tensor:
        """Return embeddings (B, T, 3 * E) of the place in the bar, the bar, and the shift."""
        steps = torch.arange(self.n_steps, device=shifts.device)
        shape = (len(shifts), self.n_steps, -1)
        each = [
            self.place(steps % self._steps_per_bar).expand(shape),
            self.bar(steps // self._steps_per_bar).expand(shape),
            self.shift(shifts + MAX_TRANSPOSITION).unsqueeze(1).expand(shape),
        ]
        return torch.cat(each, dim=-1)

    def _present(self, classes: Tensor, is_known: Tensor) -> list[Tensor]:
        """Return embeddings (..., P * E) of classes (..., P) where they are known, in a list.

        With a single part there is nothing to know, and the list is empty.
        """
        if len(self.alphabets) == 1:
            return []
        n_classes = classes.new_tensor([one.n_classes for one in self.alphabets])
        first = torch.cat([n_classes.new_zeros(1), (n_classes + 1).cumsum(0)[:-1]])
        return [self.present(torch.where(is_known, classes, n_classes) + first).flatten(-2)]


class _Stepper(nn.Module):
    """The weights that one step multiplies by, as linear layers; see `in_integers`."""

    def __init__(self, prior: NotesPrior) -> None:
        super().__init__()
        lstm: Any = prior.lstm
        self.gates = nn.Linear(lstm.input_size + lstm.hidden_size, 4 * lstm.hidden_size)
        self.gates.weight.data = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1).detach()
        self.gates.bias.data = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach()
        self.heads = prior.heads

    def advance(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return the hidden and cell states (2, B, H) after one more step of inputs (B, I)."""
        hidden, cell = state
        gates = self.gates(torch.cat([inputs, hidden], dim=-1))
        enter, forget, candidate, out = gates.chunk(4, dim=-1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        return torch.stack([out.sigmoid() * cell.tanh(), cell])


def _pick(logits: Tensor, uniform: Tensor) -> Tensor:
    """Return the class (B,) at which the cumulative probability of logits (B, C) passes (B,)."""
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    n_below = (cumulative < uniform.unsqueeze(-1)).sum(dim=-1)
    return n_below.clamp(max=logits.shape[-1] - 1)
