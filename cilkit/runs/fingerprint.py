"""One short text for many numbers: equal texts, equal numbers."""

import hashlib
import sys
from collections.abc import Mapping

import torch
from torch import Tensor


def fingerprint(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """Return the SHA-256 of a text and of all tensors' names, types, shapes and bytes.

    The bytes are those of a little-endian machine, so that all machines agree.
    """
    checksum = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        checksum.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu().contiguous().flatten()
        letters = values.view(torch.uint8)  # NumPy knows no bfloat16
        if sys.byteorder == "big":
            letters = letters.view(-1, tensor.element_size()).flip(1).contiguous()
        checksum.update(letters.numpy().data)
    return checksum.hexdigest()
