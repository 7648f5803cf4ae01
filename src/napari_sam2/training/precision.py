"""Precision of training: bfloat16 where the device multiplies it natively.

A processor that has no instructions for it computes the same products forty times more slowly than
in float32.
"""

from __future__ import annotations

import torch

__all__ = ["autocast", "multiplies_bfloat16"]


def autocast(device: torch.device, *, wanted: bool = True) -> torch.autocast:
    """Return a context in which large products are of bfloat16, or one that changes nothing.

    Parameters
    ----------
    device : torch.device
    wanted : bool
        Whether it is bfloat16 where the device has it.
    """
    is_on = wanted and (device.type != "cpu" or multiplies_bfloat16())
    return torch.autocast(device.type, torch.bfloat16, enabled=is_on)


def multiplies_bfloat16() -> bool:
    """Tell whether this processor has instructions for products of bfloat16."""
    # Older versions of PyTorch do not say; then the slower precision is right everywhere.
    ask = getattr(torch.cpu, "get_capabilities", None)
    found = ask() if ask is not None else {}
    return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
