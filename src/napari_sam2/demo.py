"""The demonstration: track the cells of a movie from one click each, and look at the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.batch.job import JobReport
from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.evaluation.metrics import iou, is_lost
from napari_sam2.evaluation.watershed import watershed_objects
from napari_sam2.io.contact_sheet import Tile, write_contact_sheet
from napari_sam2.io.label_stack import read_labels
from napari_sam2.masklets import MaskletSet
from napari_sam2.predictor.session import VideoSession
from napari_sam2.prompts import PointPrompt
from napari_sam2.training.synthetic import dividing_cells

__all__ = [
    "Accuracy",
    "DemoMovie",
    "clicks_on_truth",
    "measure",
    "propose_clicks",
    "synthetic_movie",
    "write_sheet",
]

_SHEET_FRAMES = 12


@dataclass(frozen=True, slots=True)
class DemoMovie:
    """A movie to show, with its truth where that is known.

    Parameters
    ----------
    path : Path
        The movie on disk.
    truth : ndarray of int, shape (T, H, W), optional
        Object ids.
    """

    path: Path
    truth: NDArray[np.integer] | None = None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well a tracked movie agrees with its truth.

    Parameters
    ----------
    mean_iou : float
        Mean over objects of the mean intersection over union on the frames that show the object,
        from its first click on.
    lost : tuple of int
        Objects that are not found on the last frames that show them.
    outlived : tuple of int
        Objects whose mask goes on after they have gone, as when a mother has divided.
    objects : int
        How many objects were measured.
    """

    mean_iou: float
    lost: tuple[int, ...]
    outlived: tuple[int, ...]
    objects: int


def synthetic_movie(folder: Path, frames: int = 30) -> DemoMovie:
    """Make the movie of dividing cells, and write it with its truth into a folder.

    Parameters
    ----------
    folder : Path
        Gets ``movie.tif`` and ``truth.tif``.
    frames : int
        Length of the movie.
    """
    made = dividing_cells(frames)
    path = folder / "movie.tif"
    for name, stack in (("movie.tif", made.images), ("truth.tif", made.labels)):
        tifffile.imwrite(folder / name, stack, photometric="minisblack", metadata={"axes": "TYX"})
    return DemoMovie(path, made.labels)


def clicks_on_truth(truth: NDArray[np.integer], part: float = 0.4) -> list[PointPrompt]:
    """Return one click for each object, in its middle, on the frame where it appears.

    Parameters
    ----------
    truth : ndarray of int, shape (T, H, W)
    part : float
        An object that comes in over the edge counts as there when it shows this part of its
        median area.
    """
    clicks: list[PointPrompt] = []
    for masklet in MaskletSet.from_labels(truth):
        records = masklet.records
        usual = float(np.median([record.area for record in records.values()]))
        frame = next(t for t in masklet.frames if records[t].area >= part * usual)
        middle = innermost_point(truth[frame] == masklet.object_id)
        clicks.append(PointPrompt(masklet.object_id, frame, middle))
    return clicks


def propose_clicks(frame: NDArray[Any], limit: int) -> tuple[list[PointPrompt], int]:
    """Return a click in the middle of each cell that thresholding finds on the first frame.

    Parameters
    ----------
    frame : ndarray, shape (H, W) or (H, W, C)
        The first frame.
    limit : int
        Most clicks to return; the largest cells are kept.

    Returns
    -------
    clicks : list of PointPrompt
    found : int
        How many cells there were before the limit.

    Raises
    ------
    ValueError
        If nothing stands out from the background.
    """
    labels = watershed_objects(frame, "local")
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    if ids.size == 0:
        raise ValueError(
            "no cell stands out on the first frame: give points with `napari-sam2 track --point`"
        )
    # Specks of noise are far smaller than what is usual here.
    least = max(15.0, 0.3 * float(np.median(areas)))
    order = np.argsort(-areas, kind="stable")
    largest = [
        int(label) for label, area in zip(ids[order], areas[order], strict=True) if area > least
    ]
    kept = largest[:limit]
    points = [innermost_point(labels == label) for label in kept]
    clicks = [PointPrompt(number, 0, yx) for number, yx in enumerate(sorted(points), start=1)]
    return clicks, len(largest)


def measure(masklets: MaskletSet, truth: NDArray[np.integer]) -> Accuracy:
    """Compare tracked masks with the truth, object by object, from each one's click on.

    Parameters
    ----------
    masklets : MaskletSet
        With the ids of `truth`.
    truth : ndarray of int, shape (T, H, W)
    """
    means: list[float] = []
    lost: list[int] = []
    outlived: list[int] = []
    actual = MaskletSet.from_labels(truth)
    for masklet in masklets:
        object_id = masklet.object_id
        shown = [t for t in actual.frames(object_id) if t >= masklet.frames[0]]
        scores = [iou(masklets.mask(object_id, t), actual.mask(object_id, t)) for t in shown]
        means.append(float(np.mean(scores)))
        if is_lost(scores):
            lost.append(object_id)
        if any(t > shown[-1] for t in masklet.visible_frames):
            outlived.append(object_id)
    return Accuracy(float(np.mean(means)), tuple(lost), tuple(outlived), len(means))


def write_sheet(path: Path, session: VideoSession, report: JobReport, *, overwrite: bool) -> Path:
    """Write the contact sheet of a job: frames spread over the movie, with what was written."""
    labels = read_labels(report.results.labels_zarr)
    count = min(_SHEET_FRAMES, session.num_frames)
    frames = np.unique(np.linspace(0, session.num_frames - 1, count).round().astype(int))
    tiles = [Tile(int(t), session.read(int(t)), np.asarray(labels[int(t)])) for t in frames]
    return write_contact_sheet(path, tiles, overwrite=overwrite)
