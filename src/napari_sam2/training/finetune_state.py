"""The state of a fine-tuning on disk: whole or not at all, and only for the same configuration."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from napari_sam2.io.writing import writing_whole
from napari_sam2.training.finetune_learner import Learner
from napari_sam2.training.finetune_measure import Figures
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.finetune_rounds import Rounds

__all__ = ["CHECKPOINT", "Standing", "load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.pt"
_FREE = {"minutes", "steps", "passes", "device", "precision", "patience", "validations"}
"""Options that may change when a run goes on: how long it runs and on what."""


@dataclass
class Standing:
    """Where a fine-tuning stands, but for what it has learned.

    Attributes
    ----------
    step : int
        Steps done.
    elapsed : float
        Seconds spent, validation included.
    measured : int
        Validations done on the way.
    without_gain : int
        Validations since the best one.
    rounds : Rounds
    before, best : Figures or None
        At the start, and of the best weights; None where nothing measures.
    best_weights : dict of str to Tensor, or None
        Averaged parameters at the best validation.
    """

    step: int = 0
    elapsed: float = 0.0
    measured: int = 0
    without_gain: int = 0
    rounds: Rounds = field(default_factory=Rounds)
    before: Figures | None = None
    best: Figures | None = None
    best_weights: dict[str, Tensor] | None = None


def save_checkpoint(
    folder: Path,
    standing: Standing,
    learner: Learner,
    options: FineTuneOptions,
    data: Iterable[str],
) -> None:
    """Write everything that going on needs.

    Raises
    ------
    OSError
        If the disk is full; the checkpoint before is kept.
    """
    moving = {n: p.detach() for n, p in learner.model.named_parameters() if p.requires_grad}
    numbers = {
        entry.name: getattr(standing, entry.name)
        for entry in fields(standing)
        if entry.name not in ("rounds", "before", "best", "best_weights")
    }
    found = {
        "options": asdict(options),
        "data": list(data),
        "standing": numbers,
        "before": None if standing.before is None else asdict(standing.before),
        "best": None if standing.best is None else asdict(standing.best),
        "best_weights": standing.best_weights,
        "rounds": vars(standing.rounds),
        "model": moving,
        "average": learner.averaged(),
        "optimiser": learner.optimiser.state_dict(),
    }
    with (
        writing_whole(folder / CHECKPOINT, overwrite=True) as unfinished,
        unfinished.open("wb") as stream,
    ):
        _write(found, stream)


def load_checkpoint(
    folder: Path, learner: Learner, options: FineTuneOptions, data: Iterable[str]
) -> Standing:
    """Read a checkpoint of the same configuration back.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, or was made with other options or data; says which.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {CHECKPOINT}: start without resuming")
    damaged = f"{path} is damaged: start again with overwriting"
    # A torch file is a zip archive, whose end says that it is whole.
    if not zipfile.is_zipfile(path):
        raise ValueError(damaged)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError) as error:
        raise ValueError(damaged) from error
    _refuse_other(path, found, options, list(data))
    learner.model.load_state_dict(found["model"], strict=False)
    learner.average.load_state_dict(found["average"], strict=False)
    learner.optimiser.load_state_dict(found["optimiser"])
    standing = Standing(**found["standing"], best_weights=found["best_weights"])
    standing.rounds = Rounds(**found.get("rounds", {}))
    standing.before, standing.best = (
        None if found[name] is None else Figures(**found[name]) for name in ("before", "best")
    )
    return standing


def _refuse_other(
    path: Path, found: dict[str, Any], options: FineTuneOptions, data: list[str]
) -> None:
    """Raise a ValueError that names what differs from the configuration of a checkpoint."""
    now, then = asdict(options), found["options"]
    differ = [
        f"{name} was {then.get(name)!r} and is {now[name]!r}"
        for name in now
        if name not in _FREE and then.get(name) != now[name]
    ]
    differ += [f"the data had {text!r}" for text in found["data"] if text not in data]
    differ += [f"the data have {text!r}" for text in data if text not in found["data"]]
    if differ:
        raise ValueError(
            f"{path} belongs to another configuration: {'; '.join(differ)}. Go on with the old "
            "one, or start again with overwriting or in another folder"
        )


class _Whole:
    """A stream that remembers the error which torch turns into one without a cause."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._stream.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._stream.flush()


def _write(found: dict[str, Any], stream: BinaryIO) -> None:
    """Write with torch, and let a full disk be told from other failures."""
    whole = _Whole(stream)
    try:
        torch.save(found, whole)  # type: ignore[arg-type]
    except (OSError, RuntimeError):
        if whole.error is not None:
            raise whole.error from None
        raise
