"""Compiled models: training as a whole; decoding step by step, on CUDA as one graph of all steps.

`StepPlan.run` is optimised by hand, with reused memory and few kernels. This module writes the
same computation plainly, for `torch.compile` to fuse. The two agree up to rounding.
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
    """Make a model of any kind compile its training and decoding on first use.

    A seed's music is then reproducible only up to rounding, and may differ between batches.

    Parameters
    ----------
    model
        The model, already on its final device.
    backend
        The compiler backend; see `torch.compile`.

    Raises
    ------
    ConfigError
        If compiling for a CPU and there is no C++ compiler.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    compilers = (os.environ.get("CXX", "g++"), "clang++", "cl")
    if on_cpu and backend == "inductor" and not any(map(shutil.which, compilers)):
        raise ConfigError(
            "To compile for a CPU, PyTorch needs a C++ compiler, but there is none; install g++, "
            "or leave out --compile."
        )
    model.compile(dynamic=False, backend=backend)
    for module in model.modules():
        if isinstance(module, RunsSteps):
            module.backend = backend


class RunsSteps(nn.Module):
    """A module that runs step plans, compiled once `compile_model` has been called."""

    def __init__(self) -> None:
        super().__init__()
        self.backend: str | None = None
        """The compiler backend, see `torch.compile`; None if not compiled."""
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
    """A compiled step plan.

    Parameters
    ----------
    plan
        The weights.
    head
        The head that samples the steps.
    backend
        The compiler backend; see `torch.compile`.
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
        # Same memory layout as at later steps, so that the step is compiled only once.
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
    """Return the sample of one step, and the new states of the layers.

    Parameters
    ----------
    plan, head, temperature
        See `StepPlan.run`.
    heard, of_step
        (B, F), the previous output, and (B, S), this step's own input.
    hidden, cells
        (B, H) for each layer.
    bias
        (B, 4H), z's contribution to the first layer's gates.
    noise
        The noise of this step.
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
    """A function captured as one CUDA graph, for arguments of fixed shapes.

    Parameters
    ----------
    function
        Must not synchronise with the device.
    arguments
        Example arguments: tensors, and named tuples of them.
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
        """Return the function's result for other tensors of the same shapes."""
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
    """Apply a function to all tensors in nested tuples, plain or named."""
    if isinstance(value, Tensor):
        return function(value)
    if not isinstance(value, tuple):
        return value
    parts = [_mapped(function, part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
