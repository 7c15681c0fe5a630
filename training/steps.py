"""One step of flow matching, eager or as a CUDA graph."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Loss = Callable[..., Tensor]


class Stepper:
    """Computes a loss and its gradients. On a GPU each shape is recorded once and replayed: the networks
    are so small that starting their kernels one by one takes longer than running them."""

    def __init__(self, loss: Loss, parameters: Sequence[nn.Parameter], graphs: bool) -> None:
        self._loss, self.parameters, self._graphs = loss, list(parameters), graphs
        self._recorded: dict[
            tuple[tuple[int, ...], ...],
            tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor, list[Tensor | None]],
        ] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The loss; gradients are in the parameters."""
        if not self._graphs:
            for parameter in self.parameters:
                parameter.grad = None
            loss = self._loss(*inputs)
            loss.backward()
            return loss.detach()
        shapes = tuple(tuple(tensor.shape) for tensor in inputs)
        if shapes not in self._recorded:
            try:
                self._recorded[shapes] = self._record(inputs)
            except RuntimeError as error:  # slower, but a lent machine's minutes are not lost
                print(f"no CUDA graph, going on without: {error}", flush=True)
                self._graphs = False
                return self(*inputs)
        graph, held, loss, gradients = self._recorded[shapes]
        for place, tensor in zip(held, inputs, strict=True):
            place.copy_(tensor)
        graph.replay()
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    def _record(
        self, inputs: Sequence[Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor, list[Tensor | None]]:
        held = [tensor.clone() for tensor in inputs]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._clear()
                self._loss(*held).backward()
        torch.cuda.current_stream().wait_stream(side)
        self._clear()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self._loss(*held)
            loss.backward()
        return graph, held, loss.detach(), [parameter.grad for parameter in self.parameters]

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None


class Average:
    """A slow average of weights, which is what is kept."""

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self._live = list(parameters)
        self._slow = [parameter.detach().clone() for parameter in parameters]
        self._decay = decay

    @torch.no_grad()
    def follow(self, step: int) -> None:
        torch._foreach_lerp_(self._slow, list[Tensor](self._live), max(1 - self._decay, 1 / (step + 2)))

    @property
    def kept(self) -> list[Tensor]:
        return self._slow

    @torch.no_grad()
    def restore(self, kept: Sequence[Tensor]) -> None:
        torch._foreach_copy_(self._slow, list(kept))

    @torch.no_grad()
    def take(self) -> None:
        """Make the average the weights."""
        for live, slow in zip(self._live, self._slow, strict=True):
            live.copy_(slow)


def advance(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], rate: float) -> None:
    """Take the step that the gradients ask for, bounded in length."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
    optimizer.step()


def autocast(device: torch.device) -> torch.autocast:
    """bf16 on a GPU; without the cache of casts, which graphs cannot record."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False)
