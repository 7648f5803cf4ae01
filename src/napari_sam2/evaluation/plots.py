"""Plots of the curves: corrections, time, calibration."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_sam2.evaluation.calibration import reliability
from napari_sam2.evaluation.contest import SetResult
from napari_sam2.evaluation.methods import NETWORK
from napari_sam2.evaluation.summary import curves, iou_over_time
from napari_sam2.evaluation.tables import SHORT, confidence_pairs

STYLES = {
    NETWORK: ("tab:red", "-"),
    "copy the mask": ("tab:gray", ":"),
    "watershed (global threshold), linked": ("tab:olive", "--"),
    "watershed (local threshold), linked": ("tab:green", "--"),
    "optical flow (DIS) warping the mask": ("tab:blue", "-."),
}


def write_plots(folder: Path, results: Sequence[SetResult]) -> list[Path]:
    """Draw what there is to draw; return the pictures.

    Parameters
    ----------
    folder : Path
        Gets ``corrections.png``, ``over_time.png`` and ``calibration.png``.
    results : sequence of SetResult
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [_corrections(folder, results), _over_time(folder, results)]
    drawn.append(_calibration(folder, results))
    return [path for path in drawn if path is not None]


def _corrections(folder: Path, results: Sequence[SetResult]) -> Path | None:
    """J&F against the frames that were interacted with."""
    found = curves(results)
    if not found:
        return None
    titles = list(dict.fromkeys(curve.dataset for curve in found))
    paces = ("offline", "online")
    figure, axes = _figure(len(paces), len(titles))
    for row, pace in enumerate(paces):
        for column, title in enumerate(titles):
            plot = axes[row][column]
            for curve in found:
                if (curve.dataset, curve.protocol) == (title, pace):
                    color, line = STYLES.get(curve.method, ("tab:orange", "-"))
                    frames = range(1, len(curve.both) + 1)
                    label = SHORT.get(curve.method, curve.method)
                    plot.errorbar(
                        frames, curve.both, curve.errors, color=color, ls=line, label=label
                    )
            plot.set_title(f"{title}, {pace}")
            plot.set_xlabel("frames interacted with, 3 clicks each")
            plot.set_ylabel("J&F")
    axes[0][0].legend()
    return _save(figure, folder / "corrections.png")


def _over_time(folder: Path, results: Sequence[SetResult]) -> Path | None:
    """Mean J against the frames since the prompt, one plot a set."""
    wanted = {}
    for result in results:
        protocols = dict.fromkeys(s.protocol for s in result.scores if "from a mask" in s.protocol)
        if protocols and result.kind in ("movie", "stack"):
            wanted[result.title] = iou_over_time([result], list(protocols)[-1])
    if not wanted:
        return None
    figure, axes = _figure(1, len(wanted))
    for plot, (title, methods) in zip(axes[0], wanted.items(), strict=True):
        for method, points in methods.items():
            color, line = STYLES.get(method, ("tab:orange", "-"))
            plot.plot(
                *zip(*points, strict=True), color=color, ls=line, label=SHORT.get(method, method)
            )
        plot.set_title(title)
        plot.set_xlabel("frames since the mask was given")
        plot.set_ylabel("J")
        plot.set_ylim(0, 1)
    axes[0][0].legend()
    return _save(figure, folder / "over_time.png")


def _calibration(folder: Path, results: Sequence[SetResult]) -> Path | None:
    """Actual against predicted IoU, over all sets."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        for what, found in confidence_pairs(result).items():
            pairs.setdefault(what, []).extend(found)
    pairs = {what: found for what, found in pairs.items() if found}
    if not pairs:
        return None
    figure, axes = _figure(1, len(pairs))
    for plot, (what, found) in zip(axes[0], pairs.items(), strict=True):
        rows = reliability(*zip(*found, strict=True))
        plot.plot([0, 1], [0, 1], color="tab:gray", ls=":")
        sizes = [20 + 200 * row.count / rows.count for row in rows.bins]
        said, true = [row.predicted for row in rows.bins], [row.actual for row in rows.bins]
        plot.scatter(said, true, s=sizes, color="tab:red")
        plot.set_title(f"{what}: n = {rows.count}, error {rows.error:.2f}")
        plot.set_xlabel("predicted IoU")
        plot.set_ylabel("actual IoU")
        plot.set_xlim(0, 1)
        plot.set_ylim(0, 1)
    return _save(figure, folder / "calibration.png")


def _figure(rows: int, columns: int) -> tuple[Any, Any]:
    """Return a figure that needs no window, and its plots as rows of columns."""
    figure = importlib.import_module("matplotlib.figure").Figure(
        figsize=(4.2 * columns, 3.2 * rows), layout="constrained"
    )
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> Path:
    """Write a figure."""
    figure.savefig(path, dpi=100)
    return path
