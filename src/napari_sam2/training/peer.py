"""Two runs that meet now and then: each on a core of its own, their weights averaged.

Local SGD (Stich 2019): runs that start alike, see other batches and average their weights every few
minutes learn as one run of larger batches, and neither waits for the other. What is exchanged is a
file, so a peer that is slower, has stopped or was never there costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

SHARED = "shared.safetensors"


@dataclass
class Peer:
    """The other run.

    Attributes
    ----------
    own, other : Path
        Folders of the two runs.
    seen : int
        Time stamp in nanoseconds of what was last taken from the other.
    """

    own: Path
    other: Path
    seen: int = 0

    def meet(self, modules: dict[str, nn.Module]) -> bool:
        """Lay down own weights, and average with the other's if there are new ones.

        Parameters
        ----------
        modules : dict of str to Module
            Averaged in place, each under its name.

        Returns
        -------
        bool
            Whether the other was there.
        """
        found = self._read()
        part = self.own / f"{SHARED}.part"
        save_file({k: v.detach().contiguous() for k, v in _flat(modules).items()}, part)
        part.replace(self.own / SHARED)
        if found is None:
            return False
        with torch.no_grad():
            for name, weight in _flat(modules).items():
                weight.lerp_(found[name].to(weight.dtype), 0.5)
        return True

    def _read(self) -> dict[str, torch.Tensor] | None:
        """Return what the other has laid down since the last time; None without anything new."""
        path = self.other / SHARED
        try:
            stamp = path.stat().st_mtime_ns
            if stamp <= self.seen:
                return None
            found = load_file(path)
        except (OSError, SafetensorError):
            return None
        self.seen = stamp
        return found


def _flat(modules: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": parameter.data
        for part, module in modules.items()
        for name, parameter in module.named_parameters()
    }
