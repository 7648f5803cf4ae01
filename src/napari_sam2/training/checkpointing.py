"""The state of a run on disk: written so that a crash at any moment leaves a whole file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from napari_sam2.training.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.training.optimiser import Optimisers

CHECKPOINT = "checkpoint.pt"
OPTIONS = "options.json"


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
    optimiser: Optimisers


def save_run(folder: Path, state: RunState, learners: Learners) -> Path:
    """Write everything that resuming needs, replacing the last checkpoint whole.

    Raises
    ------
    OSError
        When the disk is full; the last checkpoint stays.
    """
    values = {
        "state": asdict(state),
        "model": learners.model.state_dict(),
        "average": learners.average.state_dict(),
        "head": learners.head.state_dict(),
        "optimiser": learners.optimiser.state_dict(),
    }
    return write_checkpoint(folder / CHECKPOINT, values)


def write_checkpoint(path: Path, values: Mapping[str, object]) -> Path:
    """Write what `torch.load` reads, replacing a file whole.

    Raises
    ------
    OSError
        When the disk is full; the last file stays.
    """
    part = path.with_suffix(".part")
    try:
        torch.save(values, part)
    except (OSError, RuntimeError) as error:
        # PyTorch reports a full disk as either.
        part.unlink(missing_ok=True)
        raise OSError(f"{path} could not be written ({error}); the last one stays") from error
    part.replace(path)
    return path


def load_run(folder: Path, learners: Learners) -> RunState:
    """Read a checkpoint back into what learns.

    Raises
    ------
    FileNotFoundError
        When the folder holds no checkpoint.
    ValueError
        When it is of another network or of another layout of the optimiser.
    """
    saved = _read(folder)
    try:
        learners.model.load_state_dict(saved["model"])
        learners.average.load_state_dict(saved["average"])
        learners.head.load_state_dict(saved["head"])
        learners.optimiser.load_state_dict(saved["optimiser"])
    except (RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(
            f"{folder / CHECKPOINT} is of another configuration ({first}); resume with the one "
            "that it was made with, or start from its weights in a new folder"
        ) from error
    return RunState(**saved["state"])


def load_start(path: Path, model: nn.Module, head: nn.Module) -> None:
    """Read weights that another run ended with.

    Parameters
    ----------
    path : Path
        Safetensors, or a run's checkpoint: then the averaged network and the extra head.
    model, head : Module
        Filled in place; the head stays as it is where the file has none.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the weights do not fit the network.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: name a checkpoint.pt or a safetensors file")
    try:
        if path.suffix == ".safetensors":
            model.load_state_dict({k: v.float() for k, v in load_file(path).items()})
            return
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["average"])
        head.load_state_dict(saved["head"])
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{path} holds weights of another network: {first}") from error


_PRESENCE_BIAS = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"


@dataclass(frozen=True, slots=True)
class Mix:
    """Weights that those of a run are averaged with.

    Between two networks of which one was trained on from the other lie some that keep more of
    what the first one knew (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    Attributes
    ----------
    others : Path
        Safetensors of a network of the same architecture.
    share : float
        Of the run's weights, 0 to 1.
    """

    others: Path
    share: float

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share={self.share} of the run's weights is outside 0 to 1")

    def apply(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the mean of weights and the others.

        Raises
        ------
        ValueError
            When the others are of another network.
        """
        others = load_file(self.others)
        if {n: t.shape for n, t in others.items()} != {n: t.shape for n, t in tensors.items()}:
            raise ValueError(f"{self.others} holds weights of another network: nothing to mix")
        return {n: others[n].float().lerp(t.float(), self.share) for n, t in tensors.items()}


def export_average(
    folder: Path,
    target: Path,
    config_name: str,
    version: str,
    presence: float = 0.0,
    mix: Mix | None = None,
) -> Path:
    """Write the averaged weights of a run as half-precision safetensors.

    Parameters
    ----------
    folder : Path
        Of the run.
    target : Path
        File to write; replaced whole when it is there.
    config_name, version : str
        Name of the preset and version of the architecture, kept in the metadata.
    presence : float
        Added to the score of presence: where the network says too often that an object has gone.
    mix : Mix or None
        Other weights that the run's are averaged with.

    Returns
    -------
    Path
        `target`.
    """
    saved = _read(folder)
    average = saved["average"] if mix is None else mix.apply(saved["average"])
    average = shift_presence(average, presence)
    state = RunState(**saved["state"])
    metadata = {
        "format": "napari-sam2",
        "config": config_name,
        "version": version,
        "steps": str(state.step),
        "seconds": str(round(state.elapsed)),
    }
    return write_weights(average, target, metadata)


def write_weights(
    tensors: Mapping[str, torch.Tensor], target: Path, metadata: dict[str, str]
) -> Path:
    """Write half-precision safetensors, replacing a file whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    save_file({name: _halve(value) for name, value in tensors.items()}, part, metadata=metadata)
    part.chmod(0o644)
    part.replace(target)
    return target


def shift_presence(tensors: Mapping[str, torch.Tensor], added: float) -> dict[str, torch.Tensor]:
    """Return weights whose score of presence is `added` higher."""
    return {**tensors, _PRESENCE_BIAS: tensors[_PRESENCE_BIAS] + added}


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


def write_options(folder: Path, options: TrainOptions) -> None:
    """Keep the options of a run beside its checkpoint."""
    text = json.dumps(asdict(options), indent=2)
    (folder / OPTIONS).write_text(text + "\n", encoding="utf-8")


def read_options(folder: Path) -> TrainOptions:
    """Return the options that a run was last trained with; those it does not know are defaults."""
    values = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    known = {entry.name for entry in fields(TrainOptions)}
    return TrainOptions(**{name: value for name, value in values.items() if name in known})
