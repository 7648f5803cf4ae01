"""What was measured, in files: JSON for machines, Markdown for people."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from napari_sam2.evaluation.calibration import Confidence
from napari_sam2.evaluation.challenge import ChallengeScore
from napari_sam2.evaluation.contest import SetResult
from napari_sam2.evaluation.interactive import InteractiveScore
from napari_sam2.evaluation.protocol import ObjectScore
from napari_sam2.evaluation.summary import curves, summarise
from napari_sam2.evaluation.tables import report
from napari_sam2.evaluation.targets import targets
from napari_sam2.io.writing import writing_whole
from napari_sam2.predictor.runtime import Runtime

MARKERS = ("<!-- measured: begin -->", "<!-- measured: end -->")
"""Between these the tables of a page are written."""


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
        "code_sha256": code_hash(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe(facts: Mapping[str, Any]) -> str:
    """Return the circumstances that belong under a table, as one line."""
    digest = str(facts["weights_sha256"])[:12]
    return (
        f"{facts['model']} (weights {digest}), {facts['device']}, torch {facts['torch']}, "
        f"commit {str(facts['commit'])[:12]}, seed {facts.get('seed', '-')}"
    )


def write_json(path: Path, facts: Mapping[str, Any], results: Sequence[SetResult]) -> None:
    """Write the circumstances, the cells of the tables, and every object's score."""
    summaries = summarise(results)
    content = {
        "circumstances": dict(facts),
        "targets": [{**asdict(row), "is_met": row.is_met} for row in targets(results, summaries)],
        "summaries": [asdict(cell) for cell in summaries],
        "curves": [asdict(curve) for curve in curves(results)],
        "sets": [asdict(result) for result in results],
    }
    write_whole(path, json.dumps(content, indent=1) + "\n")


def read_results(path: Path) -> tuple[dict[str, Any], list[SetResult]]:
    """Read the circumstances and the results of `write_json`.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    try:
        content = json.loads(path.read_text())
        return content["circumstances"], [_result(entry) for entry in content["sets"]]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds no results of an evaluation ({error!r})") from error


def markdown(facts: Mapping[str, Any], results: Sequence[SetResult]) -> str:
    """Return all tables, and under them what was measured."""
    seconds = sum(result.seconds for result in results)
    return f"{report(results)}\n\n{describe(facts)}; {seconds / 60:.0f} minutes.\n"


def write_page(path: Path, text: str) -> None:
    """Write the tables into a page of the manual, between its two markers.

    Raises
    ------
    ValueError
        If the page has no markers.
    """
    page = path.read_text()
    begin, end = (page.find(marker) for marker in MARKERS)
    if not 0 <= begin < end:
        raise ValueError(f"{path} has no {MARKERS[0]} ... {MARKERS[1]} to write between")
    head = page[: begin + len(MARKERS[0])]
    write_whole(path, f"{head}\n\n{text.strip()}\n\n{page[end:]}")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that an interrupt leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path, overwrite=True) as unfinished:
        unfinished.write_text(text)


def weights_hash(model: torch.nn.Module) -> str:
    """Return the sha256 of all parameters and buffers, whatever file they came from."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def code_hash() -> str:
    """Return the sha256 of the code that figures depend on: engine, network and evaluation."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for part in ("evaluation", "model", "predictor"):
        for path in sorted((package / part).glob("*.py")):
            digest.update(path.read_bytes())
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


def _result(entry: Mapping[str, Any]) -> SetResult:
    """Read one set."""
    return SetResult(
        name=entry["name"],
        title=entry["title"],
        kind=entry["kind"],
        scores=[_score(score) for score in entry["scores"]],
        interactive=[
            InteractiveScore(**{**score, "j": tuple(score["j"]), "f": tuple(score["f"])})
            for score in entry["interactive"]
        ],
        challenge=[ChallengeScore(**score) for score in entry["challenge"]],
        automatic=[ChallengeScore(**score) for score in entry.get("automatic", ())],
        confidence=Confidence(**entry["confidence"]),
        seconds=entry["seconds"],
    )


def _score(entry: Mapping[str, Any]) -> ObjectScore:
    """Read one score; JSON has made words of the frames."""
    frames = {int(frame): value for frame, value in entry["per_frame"].items()}
    return ObjectScore(**{**entry, "per_frame": frames})
