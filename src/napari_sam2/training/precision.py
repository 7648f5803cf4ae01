"""Precision of training: bfloat16 where the device multiplies it natively.

A processor that has no instructions for it computes the same products many times more slowly than
in float32.
"""

from __future__ import annotations

import torch

__all__ = ["autocast", "product_dtype"]


def autocast(device: torch.device, *, wanted: bool = True) -> torch.autocast:
    """Return a context in which large products are of bfloat16, or one that changes nothing.

    Parameters
    ----------
    device : torch.device
    wanted : bool
        Whether it is bfloat16 where the device has it.
    """
    is_on = wanted and product_dtype(device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=is_on)


def product_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16, or float32 on a processor without instructions for products of bfloat16."""
    if device.type != "cpu":
        return torch.bfloat16
    # Older versions of PyTorch do not say; then the slower precision is right everywhere.
    ask = getattr(torch.cpu, "get_capabilities", None)
    found = ask() if ask is not None else {}
    has_bfloat16 = any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if has_bfloat16 else torch.float32
