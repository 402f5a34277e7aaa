"""A frozen base split over the processes of a group (FSDP2), for one that does not fit a single GPU.

Each process keeps its share of every decoder layer's weights and gathers a layer when it is computed, forward and
backward. The adapter is small: it stays whole in every process, its gradients are averaged before each optimizer step,
so adapter files and checkpoints are those of any other run. Embedding and output layer stay whole as well.
"""

from __future__ import annotations

from typing import Any

import torch

from tasks.training.ranks import world


def split(model: Any) -> None:
    """Splits a PEFT model's decoder layers in place, on the CPU so that no GPU ever holds all of it."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    on_gpu = torch.cuda.is_available()
    mesh = init_device_mesh("cuda" if on_gpu else "cpu", (world(),))
    for layer in model.get_base_model().model.layers:
        trained = {parameter for parameter in layer.parameters() if parameter.requires_grad}
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=trained)


def share_held(model: Any) -> float:
    """Part of the decoder layers' frozen weights that this process holds at the moment."""
    held = total = 0
    for layer in model.get_base_model().model.layers:
        for one in layer.parameters():
            if not one.requires_grad:
                total += one.numel()
                held += one.to_local().numel() if hasattr(one, "to_local") else one.numel()
    return held / total


class Together(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Stands in for DistributedDataParallel: the trainer sees a wrapped model and wraps it no further."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.module = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model returns."""
        return self.module(*args, **kwargs)


def average_gradients(model: Any) -> None:
    """Replaces the adapter's gradients by their mean over all processes, as DistributedDataParallel does."""
    gradients = [one.grad for one in model.parameters() if one.requires_grad and one.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world()
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()
