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

from musicvae_core.errors import ConfigError
from musicvae_core.models.arithmetic import Sampler, StepPlan

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
        step_inputs: Tensor | None,
        n_steps: int,
        sampler: Sampler,
    ) -> Tensor:
        """Run the steps of a plan; see `StepPlan.run`."""
        if self.backend is None:
            return plan.run(z, step_inputs, n_steps, sampler)
        if self._compiled is None or self._compiled.plan is not plan:
            self._compiled = _CompiledRun(plan, self.backend)
        return self._compiled(z, step_inputs, n_steps, sampler)


class _CompiledRun:
    """A compiled step plan.

    Parameters
    ----------
    plan
        The weights.
    backend
        The compiler backend; see `torch.compile`.
    """

    def __init__(self, plan: StepPlan, backend: str) -> None:
        self.plan, self._step = plan, _compiled_step(backend)
        self._graphs: dict[Hashable, _CudaGraph] = {}

    @torch.no_grad()
    def __call__(
        self, z: Tensor, step_inputs: Tensor | None, n_steps: int, sampler: Sampler
    ) -> Tensor:
        """Run the steps; see `StepPlan.run`."""
        if z.device.type != "cuda":
            return self._run(z, step_inputs, n_steps, sampler)
        arguments = (z, step_inputs, sampler)
        key = (_mapped(lambda one: one.shape, arguments), n_steps)
        if key not in self._graphs:

            def run(z: Tensor, step_inputs: Tensor | None, sampler: Sampler) -> Tensor:
                return self._run(z, step_inputs, n_steps, sampler)

            self._graphs[key] = _CudaGraph(run, arguments)
        return self._graphs[key](arguments)

    def _run(self, z: Tensor, step_inputs: Tensor | None, n_steps: int, sampler: Sampler) -> Tensor:
        plan = self.plan
        initial, biases = plan.begin(z, step_inputs, n_steps)
        # Same memory layout as at later steps, so that the step is compiled only once.
        hidden, cells = (
            [part.contiguous() for part in half.tensor_split(half.shape[1] // plan.size, dim=1)]
            for half in torch.tanh(initial).chunk(2, dim=1)
        )
        previous, outputs = z.new_zeros(len(z), plan.n_features), []
        for bias, step in zip(biases, sampler.steps(n_steps), strict=True):
            previous, hidden, cells = self._step(
                plan, step, previous, hidden, cells, bias.contiguous()
            )
            outputs.append(previous)
        return torch.stack(outputs, dim=1)  # (B, T, F)


@cache
def _compiled_step(backend: str) -> _Step:
    return torch.compile(_take_step, dynamic=False, backend=backend)


def _take_step(
    plan: StepPlan,
    sampler: Sampler,
    previous: Tensor,
    hidden: list[Tensor],
    cells: list[Tensor],
    bias: Tensor,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return the sample of one step, and the new states of the layers.

    Parameters
    ----------
    plan, sampler
        The weights, and what draws this step.
    previous
        (B, F), the previous output.
    hidden, cells
        (B, H) for each layer.
    bias
        (B, 4H), the first layer's; see `StepPlan.begin`.
    """
    below = previous
    new_hidden, new_cells = [], []
    *products, to_head = plan.products
    *biases, head_bias = [bias, *plan.biases]
    for product, own, cell, bias in zip(products, hidden, cells, biases, strict=True):
        sums = product(torch.cat([below, own], dim=1)) + bias
        enter, forget, out, candidate = torch.sigmoid(sums).chunk(4, dim=1)
        # The candidate's weights are doubled: this is its tanh, see `arithmetic`.
        new_cells.append(forget * cell + enter * (2 * candidate - 1))
        below = out * torch.tanh(new_cells[-1])
        new_hidden.append(below)
    return sampler.draw(to_head(below) + head_bias), new_hidden, new_cells


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
