"""Turn scores into a table for people and a JSON for machines."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from napari_sam2.evaluation.metrics import mean_and_error
from napari_sam2.evaluation.protocol import ObjectScore
from napari_sam2.predictor.runtime import Runtime


@dataclass(frozen=True)
class Summary:
    """One cell of a table: a method under a protocol on a set.

    Attributes
    ----------
    dataset, protocol, method : str
        Which cell.
    count : int
        Objects scored.
    iou, iou_error : float
        Mean over objects and its standard error.
    lost : float or None
        Share of masklets that lost their object.
    seconds : float
        Mean time an object.
    """

    dataset: str
    protocol: str
    method: str
    count: int
    iou: float
    iou_error: float
    lost: float | None
    seconds: float


def summarise(scores: Mapping[str, Iterable[ObjectScore]]) -> list[Summary]:
    """Average the scores of every set by protocol and method, in the order they came.

    Parameters
    ----------
    scores : mapping of str to iterable of ObjectScore
        By the name of the set.
    """
    cells: dict[tuple[str, str, str], list[ObjectScore]] = {}
    for dataset, found in scores.items():
        for score in found:
            cells.setdefault((dataset, score.protocol, score.method), []).append(score)
    return [_summarise_cell(key, found) for key, found in cells.items()]


def markdown(summaries: Sequence[Summary]) -> str:
    """Return one table a protocol: methods down, sets across.

    A cell reads mean IoU, plus or minus its standard error, and for masklets the share lost. The
    number of objects stands in the heading of the column.
    """
    blocks = []
    for protocol in dict.fromkeys(cell.protocol for cell in summaries):
        cells = [cell for cell in summaries if cell.protocol == protocol]
        blocks.append(_table(protocol, cells))
    return "\n\n".join(blocks)


def circumstances(model: torch.nn.Module, name: str, runtime: Runtime) -> dict[str, Any]:
    """Say what was measured, with what, where: everything needed to repeat it."""
    return {
        "model": name,
        "weights_sha256": weights_hash(model),
        "device": runtime.describe(),
        "dtype": str(runtime.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe(facts: Mapping[str, Any]) -> str:
    """Return the circumstances that belong under a table, as one line."""
    digest = str(facts["weights_sha256"])[:12]
    return (
        f"{facts['model']} (weights {digest}), {facts['device']}, torch {facts['torch']}, "
        f"commit {str(facts['commit'])[:12]}, seed {facts.get('seed', '-')}"
    )


def write_json(
    path: Path,
    facts: Mapping[str, Any],
    summaries: Sequence[Summary],
    scores: Mapping[str, Iterable[ObjectScore]],
) -> None:
    """Write the circumstances, the cells of the tables, and every object's score."""
    content = {
        "circumstances": dict(facts),
        "summaries": [asdict(cell) for cell in summaries],
        "objects": {name: [asdict(score) for score in found] for name, found in scores.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def weights_hash(model: torch.nn.Module) -> str:
    """Return the sha256 of all parameters and buffers, whatever file they came from."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def commit() -> str:
    """Return the commit of the source tree, with ``+`` if it was changed since; or "unknown"."""
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", ":/src")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    """Run git and return what it says."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _summarise_cell(key: tuple[str, str, str], scores: list[ObjectScore]) -> Summary:
    """Average one cell."""
    mean, error = mean_and_error([score.iou for score in scores])
    verdicts = [score.lost for score in scores if score.lost is not None]
    lost = sum(verdicts) / len(verdicts) if verdicts else None
    seconds = mean_and_error([score.seconds for score in scores])[0]
    return Summary(*key, len(scores), mean, error, lost, seconds)


def _table(protocol: str, cells: list[Summary]) -> str:
    """Lay out one protocol."""
    counts = {cell.dataset: cell.count for cell in cells}
    found = {(cell.method, cell.dataset): cell for cell in cells}
    has_lost = any(cell.lost is not None for cell in cells)
    heads = [f"{name} (n = {count})" for name, count in counts.items()]
    # A protocol that does not say what it measures measures IoU.
    measure = "" if ":" in protocol else ": IoU (lost)" if has_lost else ": IoU"
    lines = [
        "| " + " | ".join([protocol + measure, *heads]) + " |",
        "| --- " * (1 + len(heads)) + "|",
    ]
    for method in dict.fromkeys(cell.method for cell in cells):
        entries = [_entry(found.get((method, name))) for name in counts]
        lines.append("| " + " | ".join([method, *entries]) + " |")
    return "\n".join(lines)


def _entry(cell: Summary | None) -> str:
    """Format one cell."""
    if cell is None:
        return ""
    text = f"{cell.iou:.3f} ± {cell.iou_error:.3f}"
    return text if cell.lost is None else f"{text} ({100 * cell.lost:.0f} %)"
