"""How accurately a MusicVAE reconstructs its input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicvae_core.data.windows import AnyWindows
from musicvae_core.models.config import TrainConfig
from musicvae_core.models.decoders import shift_right
from musicvae_core.models.encoder import kl_nats
from musicvae_core.models.heads import PartsHead
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.music.drums import N_VOICES, OFFSET_SCALE

_BATCH = 256
_ACTIVE_VARIANCE = 0.01


def measure(model: MusicVAE, windows: AnyWindows, config: TrainConfig) -> dict[str, float]:
    """Return `reconstruction_metrics` of held-out windows, and `loss`, the objective over them."""
    measured = reconstruction_metrics(model, windows.features[:], windows.tempos_bpm)
    loss = sum(value for name, value in measured.items() if name.startswith("nll_"))
    return {"loss": loss + config.beta * measured["kl_nats"]} | measured


@torch.inference_mode()
def reconstruction_metrics(
    model: MusicVAE, features: NDArray[np.float32], tempos_bpm: NDArray[np.float32]
) -> dict[str, float]:
    """Measure how accurately windows are reconstructed from their posterior means.

    Parameters
    ----------
    model
        In evaluation mode.
    features
        (N, T, 27) float32.
    tempos_bpm
        (N,) float32, to convert offsets to milliseconds.

    Returns
    -------
    `teacher_forcing_accuracy`
        Share of steps whose class (for drums: all nine voices) is right under teacher forcing.
    `sampling_accuracy`, `sampling_accuracy_nonsilent`
        The same with free-running decoding at temperature 0, over all steps and over those with
        a hit; the latter is omitted if every step is silent.
    `sampling_accuracy_...`, `teacher_forcing_accuracy_...`
        The same for each part of a trio; without a part's name they are means over the parts.
    `hit_f1`
        F1 of the free-running hits; 1 if both are silent.
    `velocity_mae`, `offset_mae_ms`
        Mean absolute errors over hits present in both, with a groove head; omitted if there are
        none.
    `kl_nats`, `active_units`
        Mean divergence from N(0, I), and the number of dimensions whose mean has a variance
        above 0.01.
    `nll_...`
        Negative log likelihood in nats per example, under teacher forcing with z at its mean.

    Source: Roberts et al. 2018, table 2; active units: Burda et al. 2016, section 5.
    """
    parts = [
        _compare(model, torch.from_numpy(features[start : start + _BATCH]))
        for start in range(0, len(features), _BATCH)
    ]
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    sounding = joined["true_hits"].any(-1)
    exact, forced = joined["exact"].float(), joined["forced_exact"].float()
    both = joined["true_hits"] & joined["hits"]
    metrics = {
        "teacher_forcing_accuracy": forced.mean(),
        "sampling_accuracy": exact.mean(),
        "hit_f1": _f1(joined["true_hits"], joined["hits"]),
        "kl_nats": joined["kl"].mean(),
        "active_units": (_variance(joined["mu"]) > _ACTIVE_VARIANCE).sum(),
    }
    metrics |= {name: v.mean() for name, v in joined.items() if name.startswith("nll_")}
    if isinstance(model.head, PartsHead):
        for index, name in enumerate(model.head.parts):
            metrics[f"sampling_accuracy_{name}"] = exact[..., index].mean()
            metrics[f"teacher_forcing_accuracy_{name}"] = forced[..., index].mean()
    over_some = {"sampling_accuracy_nonsilent": exact[sounding]}
    if model.config.has_feel:
        step_ms = 60_000 / torch.from_numpy(tempos_bpm) / model.config.steps_per_beat
        timing = (joined["offset_error"] / OFFSET_SCALE) * step_ms[:, None, None]
        over_some |= {
            "velocity_mae": joined["velocity_error"][both],
            "offset_mae_ms": timing[both],
        }
    metrics |= {name: values.mean() for name, values in over_some.items() if len(values)}
    return {name: float(value) for name, value in metrics.items()}


def _f1(truth: Tensor, found: Tensor) -> Tensor:
    n_both, n_either = (truth & found).sum(), truth.sum() + found.sum()
    return 2 * n_both / n_either if n_either else torch.tensor(1.0)


def _variance(mu: Tensor) -> Tensor:
    """Return the variance of each dimension over examples; 0 for a single example."""
    return mu.var(0, correction=min(1, len(mu) - 1))


def _compare(model: MusicVAE, features: Tensor) -> dict[str, Tensor]:
    """Decode a batch free-running and teacher-forced, and compare both with the truth."""
    device = next(model.parameters()).device
    features = features[..., : model.n_features].to(device)
    mu, sigma = model.encode(features)
    drawn = model.decode(mu, temperature=0.0)
    states = model.decode_forced(mu, shift_right(features))
    forced = model.head.sample(states, 0.0, None)
    true_hits, hits = model.head.onsets(features), model.head.onsets(drawn)
    classes = model.head.classes(features)
    compared = {
        "mu": mu,
        "kl": kl_nats(mu, sigma),
        "true_hits": true_hits,
        "hits": hits,
        "exact": classes == model.head.classes(drawn),
        "forced_exact": classes == model.head.classes(forced),
    }
    for name, log_prob in model.head.log_prob(states, features).items():
        compared[f"nll_{name}"] = -log_prob.sum(dim=1)
    if model.config.has_feel:
        error = (drawn - features).abs()
        compared["velocity_error"] = error[..., N_VOICES : 2 * N_VOICES]
        compared["offset_error"] = error[..., 2 * N_VOICES :]
    return {name: tensor.cpu() for name, tensor in compared.items()}
