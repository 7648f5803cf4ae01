"""Objects of a frame without a click: a grid of points, filtered and without duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.answering import record_of
from napari_sam2.predictor.automatic_options import FindOptions
from napari_sam2.predictor.diameter import estimate_diameter
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_proposals import Proposals, propose

__all__ = ["ObjectFinder", "covered_part", "without_duplicates"]

_INPUT_PART = 0.2
"""Diameter of a typical object as a part of the network's input: about 50 of 256 pixels."""
_BATCH = 32


class ObjectFinder:
    """Proposes the objects of a frame.

    Parameters
    ----------
    model : SAM2
        On the runtime's device.
    runtime : Runtime
    options : FindOptions, optional
    """

    def __init__(self, model: SAM2, runtime: Runtime, options: FindOptions | None = None) -> None:
        self._model = model
        self._runtime = runtime
        self._encoder = FrameEncoder(model, runtime)
        self.options = options or FindOptions()

    def find(
        self, session: VideoSession, frame: int, taken: NDArray[np.bool_] | None = None
    ) -> list[MaskRecord]:
        """Return the objects of a frame, the surest first.

        Parameters
        ----------
        session : VideoSession
            Only its frames are read; prompts and masks stay as they are.
        frame : int
        taken : ndarray, (H, W) bool, optional
            Where nothing is looked for, since it is known what is there.

        Returns
        -------
        list of MaskRecord
            Masks that share no pixel with each other.

        Raises
        ------
        ValueError
            If the frame is not in the movie.
        """
        proposed = [one for some in self.look(session, frame, taken) for one in some]
        return without_duplicates(proposed, self.options.most_overlap)

    def look(
        self, session: VideoSession, frame: int, taken: NDArray[np.bool_] | None = None
    ) -> Iterator[list[MaskRecord]]:
        """Propose objects of a frame, a few points at a time; see `find`.

        Yields
        ------
        list of MaskRecord
            What was found at the next points, often nothing; masks may overlap.
        """
        if not 0 <= frame < session.num_frames:
            last = session.num_frames - 1
            raise ValueError(f"frame {frame} is outside the movie: use 0 to {last}")
        diameter = self.options.diameter
        if diameter is None:
            diameter = estimate_diameter(session.mapping.apply(session.read(frame)))
        for view, grid in self._tiles(session.shape[1:], diameter):
            y, x = np.round(grid).astype(np.intp).T
            points = grid if taken is None else grid[~taken[y, x]]
            for start in range(0, len(points), _BATCH):
                features = self._encoder.features(session, frame, view)
                some = points[start : start + _BATCH]
                network = self._model, self._runtime
                found = propose(network, features, view, some, self.options)
                yield list(self._records(found, view, diameter))

    def _tiles(
        self, shape: tuple[int, int], diameter: float
    ) -> Iterable[tuple[View, NDArray[np.float64]]]:
        """Yield overlapping views, each with the grid points that it shows best."""
        size = self._model.config.input_size
        side = min(round(diameter / _INPUT_PART), max(shape))
        rows, columns = (_centres(extent, side, diameter) for extent in shape)
        step = diameter * self.options.spacing
        ys, xs = (_grid(extent, step) for extent in shape)
        to_row = np.abs(ys[:, None] - rows).argmin(axis=1)
        to_column = np.abs(xs[:, None] - columns).argmin(axis=1)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                own = np.meshgrid(ys[to_row == i], xs[to_column == j], indexing="ij")
                points = np.stack(own, axis=-1).reshape(-1, 2)
                yield View.square((row, column), side, shape, (size, size)), points

    def _records(self, found: Proposals, view: View, diameter: float) -> Iterator[MaskRecord]:
        """Pack masks of the right size that the border of the view does not cut."""
        for logits, iou, score in zip(found.logits, found.ious, found.scores, strict=True):
            record = record_of(logits, view, float(iou), float(score), prompted=True)
            own = 2 * np.sqrt(record.area / np.pi) / diameter
            is_fit = self.options.smallest <= own <= self.options.largest
            if record.visible and is_fit and view.contains(record.bbox, 1.0):
                yield record


def without_duplicates(records: Sequence[MaskRecord], most_overlap: float) -> list[MaskRecord]:
    """Keep the surest of masks that overlap, and give shared pixels to the surer one.

    Parameters
    ----------
    records : sequence of MaskRecord
        Of one frame.
    most_overlap : float
        Part of a mask that surer ones may cover.

    Returns
    -------
    list of MaskRecord
        The surest first; no two share a pixel.
    """
    height = max((one.bbox[2] for one in records), default=0)
    width = max((one.bbox[3] for one in records), default=0)
    taken = np.zeros((height, width), bool)
    kept = []
    for record in sorted(records, key=lambda one: -one.predicted_iou):
        if covered_part(record, taken) > most_overlap:
            continue
        y0, x0, y1, x1 = record.bbox
        free = record.crop() & ~taken[y0:y1, x0:x1]
        # What the surer neighbour leaves over may be a rim in pieces.
        pieces, count = ndimage.label(free)
        if count == 0:
            continue
        if count > 1:
            free = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        taken[y0:y1, x0:x1] |= free
        kept.append(
            MaskRecord.from_mask(
                free,
                predicted_iou=record.predicted_iou,
                object_score=record.object_score,
                prompted=record.prompted,
                origin=(y0, x0),
            )
        )
    return kept


def covered_part(record: MaskRecord, taken: NDArray[np.bool_]) -> float:
    """Return the part of a mask that lies on pixels (H, W) that are taken; 1 without a pixel."""
    if not record.visible:
        return 1.0
    y0, x0, y1, x1 = record.bbox
    return float((record.crop() & taken[y0:y1, x0:x1]).sum() / record.area)


def _centres(extent: int, side: int, overlap: float) -> NDArray[np.float64]:
    """Centres of views of a side that cover an extent, neighbours sharing an object's width."""
    if side >= extent:
        return np.array([(extent - 1) / 2])
    count = 1 + int(np.ceil((extent - side) / max(side - 1.5 * overlap, 1)))
    return np.linspace(side / 2 - 0.5, extent - side / 2 - 0.5, max(count, 2))


def _grid(extent: int, step: float) -> NDArray[np.float64]:
    count = max(1, round(extent / step))
    return (np.arange(count) + 0.5) * extent / count - 0.5
