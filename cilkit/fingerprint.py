"""One short text for many numbers: equal texts, equal numbers."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def fingerprint(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """Return the SHA-256 of a text and of all tensors' names, types, shapes and bytes."""
    checksum = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        checksum.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu().contiguous().flatten()
        checksum.update(values.view(torch.uint8).numpy().tobytes())  # NumPy knows no bfloat16
    return checksum.hexdigest()
