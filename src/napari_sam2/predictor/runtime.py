"""Where the network runs and in which precision: decided in one place, and said."""

from __future__ import annotations

import ctypes
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

__all__ = ["DTYPES", "Runtime", "devices", "keep_heap"]

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""Precisions by the names that options use."""

_KINDS = ("cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A device and a precision.

    Attributes
    ----------
    device : torch.device
        Where tensors live.
    dtype : torch.dtype
        Precision of the large matrix products; parameters may stay in float32.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32

    @classmethod
    def auto(cls, device: str | None = None, dtype: str | None = None) -> Runtime:
        """Choose what was not asked for, and refuse what is not there.

        Parameters
        ----------
        device : str, optional
            ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; by default the fastest there is.
        dtype : str, optional
            ``"float32"``, ``"bfloat16"`` or ``"float16"``; by default bfloat16 on CUDA devices
            that have it, else float32.

        Raises
        ------
        ValueError
            If the name is none of these, or the device cannot compute in this precision.
        RuntimeError
            If the device is not there. Nothing else is taken in its place.
        """
        place = _best_device() if device is None else _asked_device(device)
        if dtype is None:
            return cls(place, torch.bfloat16 if _has_bfloat16(place) else torch.float32)
        if dtype not in DTYPES:
            raise ValueError(f"unknown precision {dtype!r}: choose one of {', '.join(DTYPES)}")
        _check_precision(place, dtype)
        return cls(place, DTYPES[dtype])

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which this precision holds; nothing changes outside it."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def describe(self) -> str:
        """Say what was chosen, in words: ``"CPU, 2 threads, float32"``."""
        precision = str(self.dtype).removeprefix("torch.")
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)} ({self.device}), {precision}"
        if self.device.type == "cpu":
            count = torch.get_num_threads()
            return f"CPU, {count} thread{'s' * (count > 1)}, {precision}"
        return f"{self.device.type.upper()}, {precision}"


def devices() -> tuple[str, ...]:
    """Return the devices of this machine by the names that `Runtime.auto` takes."""
    found = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def keep_heap() -> bool:
    """Keep freed memory in the process, which makes large temporary tensors cheap on Linux.

    By default the C library returns every block above 32 MB to the system, and asks for it again,
    page by page, in the next call of the network. The price is that the process stays as large as
    it ever was, and a few blocks larger. The setting belongs to the whole process, so only programs
    that own theirs (the command line, a worker) make it; importing never does.

    Returns
    -------
    bool
        Whether the setting was made; other C libraries than glibc have none.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # M_TRIM_THRESHOLD = -1 and M_MMAP_THRESHOLD = -3 in malloc.h; glibc answers 1 for "done".
    largest = 2**31 - 1
    done = [mallopt(option, largest) for option in (-1, -3)]
    return done == [1, 1]


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _asked_device(name: str) -> torch.device:
    """Return the device of this name, which has to be there."""
    unknown = f"unknown device {name!r}: choose 'cpu', 'cuda', 'cuda:1' ... or 'mps'"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(unknown) from None
    if device.type not in _KINDS:
        raise ValueError(unknown)
    if device.type == "cuda":
        return _asked_gpu(name, device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise RuntimeError(
            f"device {name!r} was asked for, but this PyTorch {torch.__version__} finds no Apple "
            "GPU: use device='cpu', or leave the device out"
        )
    return device


def _asked_gpu(name: str, device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"device {name!r} was asked for, but this PyTorch {torch.__version__} finds no CUDA "
            "device: install a CUDA build of PyTorch (https://pytorch.org/get-started) and the "
            "driver, or use device='cpu', or leave the device out"
        )
    count = torch.cuda.device_count()
    # torch.device is annotated as if it always had a number; "cuda" alone has none.
    index: int | None = device.index
    if index is None:
        return torch.device("cuda", torch.cuda.current_device())
    if index >= count:
        raise RuntimeError(
            f"device {name!r} was asked for, but there are {count} CUDA devices: "
            f"use 'cuda:0' to 'cuda:{count - 1}'"
        )
    return device


def _has_bfloat16(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    major, _ = torch.cuda.get_device_capability(device)
    return major >= 8


def _check_precision(device: torch.device, dtype: str) -> None:
    if device.type == "cpu" and dtype == "float16":
        raise ValueError(
            "float16 is neither fast nor precise on a CPU: use 'bfloat16' or 'float32'"
        )
    if device.type == "cuda" and dtype == "bfloat16" and not _has_bfloat16(device):
        name = torch.cuda.get_device_name(device)
        raise ValueError(f"{name} does not compute in bfloat16: use 'float16' or 'float32'")
