"""Tables that a run writes as it goes: one row for some steps, one for each validation."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter

LOSS_COLUMNS = (
    "loss",
    "presence",
    "seen_right",
    "gone_right",
    "dice0",
    "dice",
    "balanced",
    "focal",
    "affinity",
    "iou_error",
    "iou0",
    "iou_best",
    "iou_chosen",
)


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Append a row to a CSV file, with a header when the file is new."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(row.keys())
        writer.writerow([f"{v:.5g}" if isinstance(v, float) else v for v in row.values()])


@dataclass
class RunLog:
    """Means of the parts of the loss and figures of validation, as CSV and for TensorBoard.

    Attributes
    ----------
    folder : Path
        ``steps.csv`` has a row for each stream of data and kind of prompt, ``validation.csv`` one
        for each figure; ``tensorboard/`` holds the same where TensorBoard is installed.
    """

    folder: Path
    _parts: dict[str, dict[str, list[torch.Tensor]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def __post_init__(self) -> None:
        """Open TensorBoard's file."""
        self._board = open_board(self.folder / "tensorboard")

    def add(self, name: str, parts: Mapping[str, torch.Tensor]) -> None:
        """Note the parts of one answer, each of shape (), under the name of its kind."""
        for key, value in parts.items():
            self._parts[name][key].append(value)

    def write(self, step: int, elapsed: float, rate: float, step_seconds: float) -> None:
        """Append the means since the last row and forget them."""
        head = {"step": step, "elapsed": elapsed, "rate": rate, "step_seconds": step_seconds}
        self._show("run", {"rate": rate, "step_seconds": step_seconds}, step)
        for name in sorted(self._parts):
            parts = self._parts[name]
            means = {k: _mean(parts[k]) for k in LOSS_COLUMNS if k in parts}
            means = {k: mean for k, mean in means.items() if not math.isnan(mean)}
            count = max(len(values) for values in parts.values())
            row = {k: means.get(k, "") for k in LOSS_COLUMNS}
            append_row(self.folder / "steps.csv", {**head, "answers": name, "count": count, **row})
            self._show(f"train/{name}", means, step)
        self._parts.clear()

    def write_figures(
        self, step: int, elapsed: float, figures: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Append the figures of a validation: set of data, measure, value."""
        for name, measures in figures.items():
            for measure, value in measures.items():
                row = {"step": step, "elapsed": elapsed, "set": name, "measure": measure}
                append_row(self.folder / "validation.csv", {**row, "value": value})
            self._show(f"validation/{name}", measures, step)

    def close(self) -> None:
        """Write out what is still held back."""
        if self._board is not None:
            self._board.flush()

    def _show(self, name: str, values: Mapping[str, float], step: int) -> None:
        if self._board is not None:
            for key, value in values.items():
                self._board.add_scalar(f"{name}/{key}", value, step)


def _mean(values: list[torch.Tensor]) -> float:
    """Return the mean of those that are not NaN, NaN without any."""
    return float(torch.stack(values).float().nanmean())


def open_board(folder: Path) -> SummaryWriter | None:
    """Return a writer for TensorBoard, or None where it is not installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
