"""What every benchmark states, and how it writes numbers."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import torch

from napari_sam2.predictor.runtime import Runtime


def circumstances(device: str = "cpu") -> str:
    """Device, precision, versions and commit of a run."""
    runtime = Runtime.auto(device)
    if runtime.device.type != "cpu":
        return f"{runtime.describe()}, torch {torch.__version__}, commit {_commit()}"
    return (
        f"{_processor()}, {torch.get_num_threads()} threads, float32 "
        f"(matmul precision {torch.get_float32_matmul_precision()}), torch {torch.__version__}, "
        f"commit {_commit()}"
    )


def progress(what: str) -> None:
    """Say on standard error what is being timed."""
    sys.stderr.write(f"  {what} ...\n")


def seconds(value: float) -> str:
    """Write a time with the digits that mean something."""
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", maxsplit=1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return found.stdout.strip() or "unknown"
