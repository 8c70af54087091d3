"""Models compiled: training as it is, decoding step by step, on CUDA as one graph of all steps.

What `StepPlan.run` does with reused memory and as few kernels as can be written by hand is said
here plainly, for `torch.compile` to fuse. The two agree to rounding.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicvae_core.errors import ConfigError
from musicvae_core.models.arithmetic import StepPlan

_N_WARM_UPS = 3
_Step = Callable[..., tuple[Tensor, list[Tensor], list[Tensor]]]


def compile_model(model: nn.Module, backend: str = "inductor") -> None:
    """Compile what trains a model of any kind and what decodes with it, when first used.

    The music of a seed is then the same to rounding, and may differ between batches.

    Parameters
    ----------
    model
        On the device where it stays.
    backend
        What compiles, see `torch.compile`.

    Raises
    ------
    ConfigError
        If there is no C++ compiler, which a CPU needs.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    compilers = (os.environ.get("CXX", "g++"), "clang++", "cl")
    if on_cpu and backend == "inductor" and not any(map(shutil.which, compilers)):
        raise ConfigError(
            "To compile for a CPU, PyTorch needs a C++ compiler, and finds none; install g++, or "
            "leave --compile out."
        )
    model.compile(dynamic=False, backend=backend)
    for module in model.modules():
        if isinstance(module, RunsSteps):
            module.backend = backend


class RunsSteps(nn.Module):
    """A module that runs plans of steps, compiled once `compile_model` has been called."""

    def __init__(self) -> None:
        super().__init__()
        self.backend: str | None = None
        """What compiles, see `torch.compile`; None for nothing."""
        self._compiled: _CompiledRun | None = None

    def run_plan(
        self,
        plan: StepPlan,
        z: Tensor,
        of_steps: Tensor | None,
        n_steps: int,
        head: Any,
        temperature: float,
        noise: Any,
    ) -> Tensor:
        """Run the steps of a plan; see `StepPlan.run`."""
        if self.backend is None:
            return plan.run(z, of_steps, n_steps, head, temperature, noise)
        if self._compiled is None or self._compiled.plan is not plan:
            self._compiled = _CompiledRun(plan, head, self.backend)
        return self._compiled(z, of_steps, n_steps, temperature, noise)


class _CompiledRun:
    """A plan of steps, compiled.

    Parameters
    ----------
    plan
        The weights.
    head
        What draws the steps.
    backend
        What compiles, see `torch.compile`.
    """

    def __init__(self, plan: StepPlan, head: Any, backend: str) -> None:
        self.plan, self._head, self._step = plan, head, _compiled_step(backend)
        self._graphs: dict[Hashable, _CudaGraph] = {}

    @torch.no_grad()
    def __call__(
        self, z: Tensor, of_steps: Tensor | None, n_steps: int, temperature: float, noise: Any
    ) -> Tensor:
        """Run the steps; see `StepPlan.run`."""
        if z.device.type != "cuda":
            return self._run(z, of_steps, n_steps, temperature, noise)
        heard = (z, of_steps, noise)
        key = (_mapped(lambda one: one.shape, heard), n_steps, temperature)
        if key not in self._graphs:

            def run(z: Tensor, of_steps: Tensor | None, noise: Any) -> Tensor:
                return self._run(z, of_steps, n_steps, temperature, noise)

            self._graphs[key] = _CudaGraph(run, heard)
        return self._graphs[key](heard)

    def _run(
        self, z: Tensor, of_steps: Tensor | None, n_steps: int, temperature: float, noise: Any
    ) -> Tensor:
        plan = self.plan
        told = functional.linear(z, plan.from_z, plan.z_bias)
        initial, bias = told[:, : -4 * plan.size], told[:, -4 * plan.size :].contiguous()
        # Laid out as the states of later steps are, so that one compiled step serves for all.
        hidden, cells = (
            [part.contiguous() for part in half.tensor_split(half.shape[1] // plan.size, dim=1)]
            for half in torch.tanh(initial).chunk(2, dim=1)
        )
        heard, outputs = z.new_zeros(len(z), plan.n_features), []
        steps = noise.steps() if noise is not None else [None] * n_steps
        for place, step_noise in enumerate(steps):
            of_step = None if of_steps is None else of_steps[:, place]
            heard, hidden, cells = self._step(
                plan, self._head, temperature, heard, of_step, hidden, cells, bias, step_noise
            )
            outputs.append(heard)
        return torch.stack(outputs, dim=1)  # (B, T, F)


@cache
def _compiled_step(backend: str) -> _Step:
    return torch.compile(_take_step, dynamic=False, backend=backend)


def _take_step(
    plan: StepPlan,
    head: Any,
    temperature: float,
    heard: Tensor,
    of_step: Tensor | None,
    hidden: list[Tensor],
    cells: list[Tensor],
    bias: Tensor,
    noise: Any,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return what is drawn at a step, and the new states of the layers.

    Parameters
    ----------
    plan, head, temperature
        As in `StepPlan.run`.
    heard, of_step
        (B, F), the step before, and (B, S), what this one hears of its own.
    hidden, cells
        (B, H) of each layer.
    bias
        (B, 4H), what the gates of the first layer hear of z.
    noise
        Of this step.
    """
    dtype = plan.weights[0].dtype
    below = heard if of_step is None else torch.cat([heard, of_step], dim=1)
    new_hidden, new_cells = [], []
    biases = [bias, *plan.biases]
    for layer, (own, cell) in enumerate(zip(hidden, cells, strict=True)):
        inputs = torch.cat([below, own], dim=1).to(dtype)
        sums = functional.linear(inputs, plan.weights[layer]).float() + biases[layer]
        enter, forget, out, candidate = torch.sigmoid(sums).chunk(4, dim=1)
        # The candidate's weights are doubled: this is its tanh, see `arithmetic`.
        new_cells.append(forget * cell + enter * (2 * candidate - 1))
        below = out * torch.tanh(new_cells[-1])
        new_hidden.append(below)
    projected = functional.linear(below.to(dtype), plan.weights[-1]).float() + biases[-1]
    return head.draw(projected, temperature, noise), new_hidden, new_cells


class _CudaGraph:
    """A function whose kernels are launched all at once, for tensors of one shape each.

    Parameters
    ----------
    function
        It waits for nothing that the device computes.
    arguments
        To begin with: tensors, and named tuples of them.
    """

    def __init__(self, function: Callable[..., Tensor], arguments: tuple[Any, ...]) -> None:
        with torch.inference_mode(False):  # or they could not be written to outside of it
            self._arguments = _mapped(Tensor.clone, arguments)
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_N_WARM_UPS):  # compiles, and lets libraries set themselves up
                function(*self._arguments)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = function(*self._arguments)

    def __call__(self, arguments: tuple[Any, ...]) -> Tensor:
        """Return what the function makes of other tensors."""
        for own, one in zip(_tensors(self._arguments), _tensors(arguments), strict=True):
            own.copy_(one)
        self._graph.replay()
        return self._output.clone()


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _tensors(part)


def _mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Return nested tuples, plain or named, with a function applied to their tensors."""
    if isinstance(value, Tensor):
        return function(value)
    if not isinstance(value, tuple):
        return value
    parts = [_mapped(function, part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
