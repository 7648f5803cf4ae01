"""The state of a run on disk: written so that a crash at any moment leaves a whole file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn

if TYPE_CHECKING:
    from napari_sam2.model.sam2 import SAM2

CHECKPOINT = "checkpoint.pt"


@dataclass
class RunState:
    """Where a run stands, but for its weights.

    Attributes
    ----------
    step : int
        Steps done.
    elapsed : float
        Seconds of training done; validation and start do not count.
    consumed : dict of str to int
        Batches taken from each stream of data.
    """

    step: int = 0
    elapsed: float = 0.0
    consumed: dict[str, int] = field(default_factory=dict)


def average_weights(average: SAM2, model: SAM2, decay: float) -> None:
    """Move the averaged weights towards the current ones, in place."""
    with torch.no_grad():
        target = [p.detach() for p in model.parameters()]
        torch._foreach_lerp_(list(average.parameters()), target, 1.0 - decay)


@dataclass(frozen=True, slots=True)
class Learners:
    """Everything in a run that learns: the network, its average, the extra head, the optimiser."""

    model: SAM2
    average: SAM2
    head: nn.Module
    optimiser: torch.optim.Optimizer


def save_run(folder: Path, state: RunState, learners: Learners) -> Path:
    """Write everything that resuming needs, replacing the last checkpoint whole."""
    path = folder / CHECKPOINT
    part = path.with_suffix(".part")
    torch.save(
        {
            "state": asdict(state),
            "model": learners.model.state_dict(),
            "average": learners.average.state_dict(),
            "head": learners.head.state_dict(),
            "optimiser": learners.optimiser.state_dict(),
        },
        part,
    )
    part.replace(path)
    return path


def load_run(folder: Path, learners: Learners) -> RunState:
    """Read a checkpoint back into what learns.

    Raises
    ------
    FileNotFoundError
        When the folder holds no checkpoint.
    """
    saved = _read(folder)
    learners.model.load_state_dict(saved["model"])
    learners.average.load_state_dict(saved["average"])
    learners.head.load_state_dict(saved["head"])
    learners.optimiser.load_state_dict(saved["optimiser"])
    return RunState(**saved["state"])


def export_average(folder: Path, target: Path, config_name: str, version: str) -> Path:
    """Write the averaged weights of a run as half-precision safetensors.

    Parameters
    ----------
    folder : Path
        Of the run.
    target : Path
        File to write; replaced whole when it is there.
    config_name, version : str
        Name of the preset and version of the architecture, kept in the metadata.

    Returns
    -------
    Path
        `target`.
    """
    saved = _read(folder)
    tensors = {k: _halve(v) for k, v in saved["average"].items()}
    state = RunState(**saved["state"])
    metadata = {
        "format": "napari-sam2",
        "config": config_name,
        "version": version,
        "steps": str(state.step),
        "seconds": str(round(state.elapsed)),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    save_file(tensors, part, metadata=metadata)
    part.chmod(0o644)
    part.replace(target)
    return target


def _halve(tensor: torch.Tensor) -> torch.Tensor:
    """Return a contiguous copy in half precision, whatever is not a float unchanged."""
    is_float = tensor.is_floating_point()
    return tensor.to(torch.float16 if is_float else tensor.dtype).contiguous()


def _read(folder: Path) -> dict[str, Any]:
    """Return the last checkpoint of a run."""
    path = folder / CHECKPOINT
    if not path.is_file():
        msg = f"{folder} holds no {CHECKPOINT}: start the run without resuming first"
        raise FileNotFoundError(msg)
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return saved


def write_options(folder: Path, options: Any) -> None:
    """Keep the options of a run beside its checkpoint."""
    text = json.dumps(asdict(options), indent=2)
    (folder / "options.json").write_text(text + "\n", encoding="utf-8")
