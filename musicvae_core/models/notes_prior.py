"""A prior over melodies and bands: an autoregressive model of their notes, whose music is encoded.

A flow fitted to the codes of real tunes (`prior`) makes too many errors in their hundreds of
dimensions: its samples have too many leaps and too many long notes. Here new music is drawn note by
note, and then encoded. So the prior over z is the distribution of q(z | x) over the music x of this
model, and the decoder makes nearly the music that was drawn.

Source: Tomczak and Welling 2018 (arXiv 1705.07120) show that the best prior of a VAE is the mean of
its posteriors over the data; here the data comes from a model. As in Magenta's lookback RNN (Waite
2016, "Generating Long-Term Structure in Songs and Stories"), an LSTM also sees what was played one
and two bars before, and whether the music is repeating it; here also four and eight bars before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from musicvae_core.models.arithmetic import (
    LayerState,
    PlanCache,
    Product,
    in_integers,
    on_whole_blocks,
    step_dtype,
)
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
        self.past = _embedding(n_rows, width)
        self.place = _embedding(self._steps_per_bar, width)
        self.bar = _embedding(model.n_bars, width)
        self.shift = _embedding(2 * MAX_TRANSPOSITION + 1, width)
        self.present = _embedding(sum(one.n_classes + 1 for one in self.alphabets), width)
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
        self._steps: PlanCache[_Steps] = PlanCache()

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
        recalled = self.past(self._rows(past, steps.unsqueeze(1) + past.lags)).flatten(2)
        inputs = torch.cat([recalled, self._places(shifts)], dim=-1)
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
        dtype = step_dtype(noise.device)
        steps = self._steps.get(dtype, self.parameters(), lambda: _Steps(self, dtype))
        if dtype == torch.int8:  # exact for any number of rows
            return self._run(steps, uniform, held, is_held)
        drawn: Tensor = on_whole_blocks(
            lambda *rows: self._run(steps, *rows), uniform, held, is_held
        )
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

    def _run(self, steps: _Steps, uniform: Tensor, held: Tensor, is_held: Tensor) -> Tensor:
        n_examples, n_steps, n_parts = uniform.shape
        # The last part first, as drums lead; parts that are held throughout before those.
        order = sorted(range(n_parts), key=lambda part: (not is_held[..., part].all(), -part))
        past = self._past(torch.zeros_like(held))
        start = past.played.shape[1] - n_steps
        joined, layer = steps.start(n_examples)
        n_recalled = joined.shape[1] - self.config.size - 3 * self.config.embedding_size
        recalled = joined[:, :n_recalled]
        places = joined[:, n_recalled : -self.config.size]
        each_place = steps.places.unbind()
        each_at = (torch.arange(n_steps, device=held.device)[:, None, None] + past.lags).unbind()
        event = torch.zeros_like(held[:, 0])
        for step in range(n_steps):
            rows = self._rows(past, each_at[step])
            recalled.copy_(functional.embedding(rows, steps.past).flatten(1))
            places.copy_(each_place[step].expand_as(places))
            steps.advance(joined, layer)
            present = torch.zeros_like(event)
            known: list[int] = []
            for part in order:
                logits = steps.logits(joined, part, present, known) / self.config.temperature
                drawn = _pick(logits, uniform[:, step, part])
                present[:, part] = torch.where(is_held[:, step, part], held[:, step, part], drawn)
                known.append(part)
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

    def _rows(self, past: _Past, at: Tensor) -> Tensor:
        """Return the rows (B, S, lags, P, 2) of `past` for what was played at places (S, lags)."""
        repeats = past.played[:, at - 1] == past.played[:, at[:, :1]]  # (B, S, lags, P)
        classes = past.played[:, at] + past.n_rows * repeats
        rows = torch.stack([classes, past.events[:, at] + 2 * past.n_rows], dim=-1)
        return rows + past.offsets.unsqueeze(-1)

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


def _embedding(n_rows: int, width: int) -> nn.Embedding:
    """Return an embedding as PyTorch initialises it.

    On the meta device, where checkpoints are built, that would import torch's compiler.
    """
    rows = torch.empty(n_rows, width)
    return nn.Embedding(n_rows, width, _weight=rows if rows.is_meta else nn.init.normal_(rows))


class _Head(NamedTuple):
    """The weights of one part's head.

    first, bias: from the inputs and the state to the hidden layer. present: for each part, what
    each of its classes adds to the hidden layer, (classes + 1, hidden), last what it adds while it
    is not known. last: from the hidden layer to the logits.
    """

    first: Product
    bias: Tensor
    present: list[Tensor]
    last: nn.Module


class _Steps:
    """The weights of a `NotesPrior`, arranged for drawing step by step.

    What the LSTM reads and its hidden state are adjacent in one tensor, as in
    `arithmetic.StepPlan`; embeddings are divided by their largest value, to lie in [-1, 1].

    Parameters
    ----------
    prior
        The prior whose weights to use.
    dtype
        The precision of the products.
    """

    @torch.no_grad()
    def __init__(self, prior: NotesPrior, dtype: torch.dtype) -> None:
        self.size, width = prior.config.size, prior.config.embedding_size
        past, places = prior.past.weight, prior._places(torch.zeros(1, dtype=torch.int64))[0]
        largest = float(torch.stack([past.abs().max(), places.abs().max()]).max())
        inputs, own, self._bias = LayerState.weights(prior.lstm, "l0")
        self._gates = Product.of(torch.cat([inputs * largest, own], dim=1), dtype)
        n_inputs, n_parts = inputs.shape[1], len(prior.alphabets)
        self.past, self.places = (self._stored(one / largest) for one in (past, places))
        n_classes = [one.n_classes + 1 for one in prior.alphabets]
        present = torch.split(prior.present.weight, n_classes)
        self._heads = []
        for head in prior.heads:
            first, _, last = cast(tuple[nn.Linear, nn.SiLU, nn.Linear], tuple(cast(Any, head)))
            read, state, known = first.weight.tensor_split((n_inputs, n_inputs + self.size), dim=1)
            by_part = torch.split(known, width, dim=1) if n_parts > 1 else ()
            self._heads.append(
                _Head(
                    Product.of(torch.cat([read * largest, state], dim=1), dtype),
                    first.bias.detach(),
                    [table @ own.T for table, own in zip(present, by_part, strict=n_parts > 1)],
                    in_integers(nn.Sequential(last)) if dtype == torch.int8 else last,
                )
            )

    def _stored(self, values: Tensor) -> Tensor:
        stored = torch.empty_like(values, dtype=self._gates.weight.dtype)
        self._gates.store(stored, values * self._gates.unit)
        return stored

    def start(self, n_examples: int) -> tuple[Tensor, LayerState]:
        """Return the tensor (B, I + H) of inputs and hidden state, all zeros, and the cell."""
        weight = self._gates.weight
        cell = self._bias.new_zeros(n_examples, self.size)
        joined = weight.new_zeros(n_examples, weight.shape[1])
        return joined, LayerState(cell, self._gates.unit)

    def advance(self, joined: Tensor, layer: LayerState) -> None:
        """Take one step from the inputs in `joined`, and write the new hidden state there."""
        self._gates.sums(joined, layer.gates, self._bias)
        self._gates.store(joined[:, -self.size :], layer.advance())

    def logits(self, joined: Tensor, part: int, present: Tensor, known: list[int]) -> Tensor:
        """Return a part's logits (B, C), given the present classes (B, P) of the known parts."""
        head = self._heads[part]
        hidden = head.bias.new_empty(len(joined), len(head.bias))
        head.first.sums(joined, hidden, head.bias)
        for other, table in enumerate(head.present):
            is_known = other in known
            hidden += functional.embedding(present[:, other], table) if is_known else table[-1]
        logits: Tensor = head.last(functional.silu(hidden))
        return logits


def _pick(logits: Tensor, uniform: Tensor) -> Tensor:
    """Return the class (B,) at which the cumulative probability of logits (B, C) reaches (B,)."""
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    share = uniform.unsqueeze(-1) * cumulative[:, -1:]  # rounding may keep the sum below 1
    return (cumulative < share).sum(dim=-1)
