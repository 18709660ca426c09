"""Torch's tensors, as the memory that they span, their form and their attributes."""

from __future__ import annotations

import sys
from pickle import PickleBuffer
from typing import Any

from ray_async.serialization.reducers.memory import writable

__all__ = ("reduce_tensor",)


def reduce_tensor(tensor: Any) -> Any:
    """CPU tensors with a dense layout travel as memory; the others, and subclasses, in torch's own way."""
    torch: Any = sys.modules["torch"]
    if type(tensor) is not torch.Tensor:
        return NotImplemented
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided or tensor.is_quantized:
        return NotImplemented
    if not tensor.is_leaf and tensor.requires_grad:
        return NotImplemented  # torch says what is wrong with it
    shape = tuple(tensor.shape)
    plain, strides = _dense(tensor.detach().resolve_conj().resolve_neg())
    memory = PickleBuffer(plain.as_strided((plain.numel(),), (1,)).view(torch.uint8).numpy()) if plain.numel() else b""
    return rebuild_tensor, (memory, tensor.dtype, shape, strides, tensor.requires_grad, tensor.__dict__ or None)


def _dense(plain: Any) -> tuple[Any, tuple[int, ...]]:
    """A contiguous tensor with the items in the order in which they lie, and the strides over it.

    Axes along which a tensor repeats itself (`expand`) keep the stride 0. One with gaps is copied.
    """
    repeated = [stride == 0 and size > 1 for size, stride in zip(plain.shape, plain.stride(), strict=True)]
    for axis, again in enumerate(repeated):
        plain = plain.narrow(axis, 0, 1) if again else plain
    order = sorted(range(plain.dim()), key=lambda axis: -plain.stride(axis))
    if not plain.permute(order).is_contiguous():
        plain, order = plain.contiguous(), list(range(plain.dim()))
    strides = tuple(0 if again else stride for again, stride in zip(repeated, plain.stride(), strict=True))
    return plain.permute(order), strides


def rebuild_tensor(
    memory: Any,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    requires_grad: bool,
    attributes: dict[str, Any] | None,
) -> Any:
    """A tensor over memory of the object store, whose pages are copied when they are written to.

    Torch has no read-only tensors, and what trains a model changes it in place.
    """
    import torch

    if len(memory) == 0:
        tensor = torch.empty_strided(shape, strides, dtype=dtype)
    else:
        tensor = torch.frombuffer(writable(memory), dtype=dtype).as_strided(shape, strides)
    if requires_grad:
        tensor.requires_grad_()
    if attributes:
        tensor.__dict__.update(attributes)
    return tensor
