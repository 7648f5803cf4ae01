"""Tables that a run writes as it goes: one row for some steps, one for each validation."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOSS_COLUMNS = (
    "loss",
    "presence",
    "presence_right",
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
class StepLog:
    """Means of the parts of the loss, a row for each stream of data and kind of prompt.

    Attributes
    ----------
    path : Path
        CSV file that rows are appended to.
    """

    path: Path
    _sums: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, name: str, parts: Mapping[str, float]) -> None:
        """Note the parts of one answer under the name of its kind."""
        for key, value in parts.items():
            self._sums[name][key].append(value)

    def write(self, step: int, elapsed: float, rate: float, step_seconds: float) -> None:
        """Append the means since the last row and forget them."""
        head = {"step": step, "elapsed": elapsed, "rate": rate, "step_seconds": step_seconds}
        for name in sorted(self._sums):
            sums = self._sums[name]
            means = {k: sum(sums[k]) / len(sums[k]) if sums[k] else "" for k in LOSS_COLUMNS}
            count = max(len(values) for values in sums.values())
            append_row(self.path, {**head, "answers": name, "count": count, **means})
        self._sums.clear()
